//! Kernels: a variant compiled on a GPU, and buffers bound to it.

use anyhow::{Result, bail};

use super::texture::{self, TextureCopy, Textures};
use super::{Gpu, shader_module};
use crate::op::{Access, Op, Operand, Variant, variant_label};
use crate::tensor::HostTensor;

/// The bits that fill an output before a kernel runs: a NaN that no computation produces, so that an element which was
/// never written shows.
pub const POISON: u32 = 0x7fc0_dead;

/// Words that follow each tensor when a kernel runs alone: what a kernel reads there shows, and what it writes there is an
/// error, where a driver would otherwise let both pass.
const GUARD: usize = 64;

/// What stands behind a tensor that is written: no kernel writes this number, nor a NaN that it has read behind another.
const WRITTEN_GUARD: u32 = 12_345.0f32.to_bits();

/// A variant compiled on a GPU.
#[derive(Clone)]
pub(super) struct Kernel {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    workgroups: [u32; 3],
    label: String,
    /// For each operand the format of the texture that it is read as, where it is.
    formats: Vec<Option<wgpu::TextureFormat>>,
}

/// A kernel with its buffers: what a step is made of.
pub(super) struct Dispatch {
    kernel: Kernel,
    bind_group: wgpu::BindGroup,
    /// What it reads as textures.
    textures: Vec<TextureCopy>,
    /// Which of these are copied before it.
    copies: Vec<TextureCopy>,
}

impl Kernel {
    /// Compiles a variant; wgpu checks its constants' names and its bindings against the op's sizes and operands.
    ///
    /// All of the work is done by the call itself, on the calling thread; the future only brings what was wrong. So several
    /// threads can compile at a time, which is also why the error scope, one of its thread, is closed before the end.
    pub(super) fn compile(
        gpu: &Gpu,
        op: &dyn Op,
        variant: &Variant,
    ) -> impl Future<Output = Result<Self>> + Send + use<> {
        let label = variant_label(op, variant);
        let device = &gpu.device;
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);

        let format =
            |operand: &Operand| variant.textures.contains(&operand.name).then(|| texture::format(operand.dtype));
        let operands = op.operands();
        let formats: Vec<_> = operands.iter().map(format).collect();
        let entry = |(binding, (operand, format)): (u32, (&Operand, &Option<wgpu::TextureFormat>))| {
            wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: match *format {
                    Some(format) => texture::binding_type(format),
                    None => wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Storage { read_only: operand.access == Access::Read },
                        has_dynamic_offset: false,
                        min_binding_size: None,
                    },
                },
                count: None,
            }
        };
        let entries: Vec<_> = (0..).zip(operands.iter().zip(&formats)).map(entry).collect();
        let layout = device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(op.name()), entries: &entries });
        let module = shader_module(device, variant);
        let constants = [op.sizes(), variant.constants.clone()].concat();
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(op.name()),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            })),
            module: &module,
            entry_point: Some(op.name()),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let error = scope.pop();
        let kernel = Self { pipeline, layout, workgroups: variant.workgroups, label, formats };
        let (file, adapter) = (variant.shader.file, gpu.info.to_string());
        async move {
            match error.await {
                None => Ok(kernel),
                Some(error) => {
                    bail!("cannot compile `{}` from shaders/{file}.wgsl on {adapter}: {error}", kernel.label)
                }
            }
        }
    }

    /// Binds buffers, in the order of the op's operands, or their copies in textures.
    pub(super) fn bind(self, gpu: &Gpu, buffers: &[wgpu::BufferBinding<'_>], textures: &mut Textures) -> Dispatch {
        let copy = |(buffer, format): (_, &Option<_>)| format.map(|format| textures.copy_of(gpu, buffer, format));
        let copies: Vec<Option<TextureCopy>> = buffers.iter().zip(&self.formats).map(copy).collect();
        let mut entries = Vec::new();
        for (binding, (buffer, copy)) in (0..).zip(buffers.iter().zip(&copies)) {
            let resource = match copy {
                Some(copy) => wgpu::BindingResource::TextureView(copy.view()),
                None => wgpu::BindingResource::Buffer(buffer.clone()),
            };
            entries.push(wgpu::BindGroupEntry { binding, resource });
        }
        let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&self.label),
            layout: &self.layout,
            entries: &entries,
        });
        let textures: Vec<_> = copies.into_iter().flatten().collect();
        Dispatch { kernel: self, bind_group, copies: textures.clone(), textures }
    }
}

impl Dispatch {
    /// Whether tensors are copied before it.
    pub(super) fn has_copies(&self) -> bool {
        !self.copies.is_empty()
    }

    /// Appends this dispatch, behind copies of all that it reads as textures, whatever ran before.
    pub(super) fn encode_alone(&self, encoder: &mut wgpu::CommandEncoder) {
        self.textures.iter().for_each(|texture| texture.encode(encoder));
        self.encode(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
    }

    /// Appends this dispatch to a pass; what it reads has been copied before.
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.kernel.workgroups;
        pass.set_pipeline(&self.kernel.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }

    /// The variant and its sizes.
    pub(super) fn label(&self) -> &str {
        &self.kernel.label
    }
}

/// Leaves out the copies that an earlier one of some dispatches, which always run in this order, leaves up to date; `writes` tells
/// what each of them writes.
pub(super) fn leave_out_copies<'a, W: Iterator<Item = wgpu::BufferBinding<'a>>>(
    dispatches: &mut [Dispatch],
    writes: impl Iterator<Item = W>,
) {
    let mut fresh: Vec<TextureCopy> = Vec::new();
    for (dispatch, writes) in dispatches.iter_mut().zip(writes) {
        dispatch.copies.retain(|copy| !fresh.contains(copy));
        fresh.extend_from_slice(&dispatch.copies);
        writes.for_each(|written| fresh.retain(|copy| !copy.is_of(&written)));
    }
}

/// Appends dispatches, each behind the copies that it reads; all others share a pass.
pub(super) fn encode<'a>(encoder: &mut wgpu::CommandEncoder, dispatches: impl Iterator<Item = &'a Dispatch>) {
    let mut pass: Option<wgpu::ComputePass<'static>> = None;
    for dispatch in dispatches {
        if dispatch.has_copies() {
            drop(pass.take());
            dispatch.copies.iter().for_each(|copy| copy.encode(encoder));
        }
        let begin = || encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime();
        dispatch.encode(pass.get_or_insert_with(begin));
    }
}

/// A buffer for a tensor of `words` words, and up to three more so that it ends with a texel.
pub(super) fn storage_buffer(gpu: &Gpu, label: &str, words: usize) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: 4 * words.next_multiple_of(4) as u64,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}

/// A buffer that the host can map to read `words` words.
pub(super) fn staging_buffer(gpu: &Gpu, words: usize) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("staging"),
        size: 4 * words as u64,
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    })
}

fn whole(buffers: &[wgpu::Buffer]) -> Vec<wgpu::BufferBinding<'_>> {
    buffers.iter().map(|buffer| wgpu::BufferBinding { buffer, offset: 0, size: None }).collect()
}

/// A kernel with tensors of its own, ready to run again and again.
pub struct Bound(pub(super) Dispatch);

/// Compiles a variant of an op and binds it to `sets` sets of tensors, each of which holds `inputs`.
///
/// # Errors
/// Where the shader does not compile.
pub async fn bind_variant(
    gpu: &Gpu,
    op: &dyn Op,
    variant: &Variant,
    inputs: &[HostTensor],
    sets: usize,
) -> Result<Vec<Bound>> {
    let kernel = Kernel::compile(gpu, op, variant).await?;
    let operands = op.operands();
    let filled_buffer = |(operand, input): (&Operand, &HostTensor)| {
        let buffer = storage_buffer(gpu, operand.name, operand.words());
        gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(input.words()));
        buffer
    };
    let bind = |_| {
        let buffers: Vec<wgpu::Buffer> = operands.iter().zip(inputs).map(filled_buffer).collect();
        Bound(kernel.clone().bind(gpu, &whole(&buffers), &mut Textures::default()))
    };
    Ok((0..sets).map(bind).collect())
}

/// What stands behind an operand.
fn guard(operand: &Operand) -> u32 {
    if operand.is_written() { WRITTEN_GUARD } else { POISON }
}

/// Runs one variant of an op alone and gives all of its operands as they are afterwards.
///
/// Outputs are filled with a NaN first; an element that the kernel does not write keeps its bits.
///
/// # Errors
/// Where the shader does not compile, the device fails, or the kernel writes past the end of a tensor.
pub async fn run_variant(gpu: &Gpu, op: &dyn Op, variant: &Variant, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
    let kernel = Kernel::compile(gpu, op, variant).await?;
    let operands = op.operands();
    let mut buffers = Vec::new();
    for (operand, input) in operands.iter().zip(inputs) {
        let mut words = input.words().to_vec();
        if operand.access == Access::Write {
            words.fill(POISON);
        }
        words.resize((words.len() + GUARD).next_multiple_of(4), guard(operand));
        let buffer = storage_buffer(gpu, operand.name, words.len());
        gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
        buffers.push(buffer);
    }
    let dispatch = kernel.bind(gpu, &whole(&buffers), &mut Textures::default());
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    dispatch.encode_alone(&mut encoder);
    let stagings: Vec<_> = buffers
        .iter()
        .map(|buffer| {
            let staging = staging_buffer(gpu, buffer.size() as usize / 4);
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
            staging
        })
        .collect();
    gpu.queue.submit([encoder.finish()]);

    let mut results = Vec::new();
    for (operand, staging) in operands.into_iter().zip(&stagings) {
        let mut words = gpu.read_mapped(staging, None, dispatch.label()).await?;
        let behind = words.split_off(operand.words());
        if let Some(place) = behind.iter().position(|&word| word != guard(&operand)) {
            bail!("it writes past the end of {}, {} words after the last", operand.name, place + 1);
        }
        results.push(HostTensor::from_words(operand.dtype, operand.shape, words));
    }
    gpu.ensure_healthy()?;
    Ok(results)
}
