//! Kernels: a variant compiled on a GPU, and buffers bound to it.

use anyhow::{Result, bail};

use super::texture::{self, TextureCopy, Textures};
use super::{Gpu, shader_module};
use crate::op::{Access, Op, Operand, Variant, variant_label};
use crate::tensor::HostTensor;

/// The bits that fill an output before a kernel runs: a NaN that no computation produces, so that unwritten elements
/// are detected.
pub const POISON: u32 = 0x7fc0_dead;

/// Guard words after each tensor when a kernel runs alone. They reveal reads and writes beyond the tensor, which a
/// driver might otherwise tolerate.
const GUARD: usize = 64;

/// The guard word after a written tensor: no kernel writes this number, nor a NaN read from another guard.
const WRITTEN_GUARD: u32 = 12_345.0f32.to_bits();

/// A variant compiled on a GPU.
#[derive(Clone)]
pub(super) struct Kernel {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    workgroups: [u32; 3],
    label: String,
    /// For each operand the format of its texture, if it is read as one.
    formats: Vec<Option<wgpu::TextureFormat>>,
}

/// A kernel with its buffers; a step consists of these.
pub(super) struct Dispatch {
    kernel: Kernel,
    bind_group: wgpu::BindGroup,
    /// The textures that it reads.
    textures: Vec<TextureCopy>,
    /// The textures that are out of date after it.
    outdated: Vec<TextureCopy>,
}

/// The textures that are up to date at some point of a list of commands.
#[derive(Default)]
pub(super) struct Fresh(Vec<TextureCopy>);

impl Kernel {
    /// Compiles a variant; wgpu checks its constants' names and its bindings against the op's sizes and operands.
    ///
    /// The call itself does all of the work on the calling thread; the future only returns the error. So several
    /// threads can compile at a time. The error scope belongs to a thread, so it is closed before the call returns.
    pub(super) fn compile(
        gpu: &Gpu,
        op: &dyn Op,
        variant: &Variant,
    ) -> impl Future<Output = Result<Self>> + wgpu::WasmNotSend + use<> {
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
        let module = shader_module(device, variant, gpu.info.backend);
        let constants = [op.sizes(), variant.constants.clone()].concat();
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(op.name()),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            })),
            module: &module,
            entry_point: Some(variant.shader.entry_point()),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let error = scope.pop();
        let kernel = Self { pipeline, layout, workgroups: variant.workgroups, label, formats };
        let (shader, adapter) = (variant.shader, gpu.info.to_string());
        async move {
            match error.await {
                None => Ok(kernel),
                Some(error) => {
                    let (files, error) = (shader.files(), shader.in_parts(&error.to_string()));
                    bail!("cannot compile `{}` from {files} on {adapter}: {error}", kernel.label)
                }
            }
        }
    }

    /// Binds buffers, in the order of the op's operands, or their copies in textures. These are made each time that it
    /// runs, unless [`Dispatch::outdates`] says which it changes.
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
        Dispatch { kernel: self, bind_group, outdated: textures.clone(), textures }
    }
}

impl Dispatch {
    /// Whether it reads textures, so that tensors may be copied before it.
    pub(super) fn reads_textures(&self) -> bool {
        !self.textures.is_empty()
    }

    /// Notes what it writes: of all textures, the copies of these are out of date after it.
    pub(super) fn outdates<'a>(&mut self, textures: &Textures, written: impl Iterator<Item = wgpu::BufferBinding<'a>>) {
        self.outdated = written.flat_map(|written| textures.copies_of(written)).collect();
    }

    /// Appends this dispatch, after updates of all textures that it reads.
    pub(super) fn encode_alone(&self, encoder: &mut wgpu::CommandEncoder) {
        encode(encoder, std::iter::once(self), &mut Fresh::default());
    }

    /// Appends this dispatch to a pass; its textures must be up to date.
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

/// Appends dispatches. One that reads textures which are out of date starts a new pass after their updates; all others
/// share a pass.
pub(super) fn encode<'a>(
    encoder: &mut wgpu::CommandEncoder,
    dispatches: impl Iterator<Item = &'a Dispatch>,
    Fresh(fresh): &mut Fresh,
) {
    let mut pass: Option<wgpu::ComputePass<'static>> = None;
    for dispatch in dispatches {
        for texture in &dispatch.textures {
            if !fresh.contains(texture) {
                drop(pass.take());
                texture.encode(encoder);
                fresh.push(texture.clone());
            }
        }
        let begin = || encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime();
        dispatch.encode(pass.get_or_insert_with(begin));
        fresh.retain(|texture| !dispatch.outdated.contains(texture));
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

/// A kernel with its own tensors, ready to run repeatedly.
pub struct BoundKernel(pub(super) Dispatch);

/// Compiles a variant of an op and binds it to `sets` sets of tensors, each of which holds `inputs`.
///
/// # Errors
/// If the shader does not compile.
pub async fn bind_variant(
    gpu: &Gpu,
    op: &dyn Op,
    variant: &Variant,
    inputs: &[HostTensor],
    sets: usize,
) -> Result<Vec<BoundKernel>> {
    gpu.guarded(bind(gpu, op, variant, inputs, sets)).await
}

async fn bind(
    gpu: &Gpu,
    op: &dyn Op,
    variant: &Variant,
    inputs: &[HostTensor],
    sets: usize,
) -> Result<Vec<BoundKernel>> {
    let kernel = Kernel::compile(gpu, op, variant).await?;
    let operands = op.operands();
    let filled_buffer = |(operand, input): (&Operand, &HostTensor)| {
        let buffer = storage_buffer(gpu, operand.name, operand.words());
        gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(input.words()));
        buffer
    };
    let bind = |_| {
        let buffers: Vec<wgpu::Buffer> = operands.iter().zip(inputs).map(filled_buffer).collect();
        BoundKernel(kernel.clone().bind(gpu, &whole(&buffers), &mut Textures::default()))
    };
    Ok((0..sets).map(bind).collect())
}

/// The words of an operand before its kernel runs: an output is filled with a NaN, so that unwritten elements show.
pub(crate) fn poisoned(operand: &Operand, input: &HostTensor) -> Vec<u32> {
    if operand.access == Access::Write { vec![POISON; input.words().len()] } else { input.words().to_vec() }
}

/// The guard after an operand.
fn guard(operand: &Operand) -> u32 {
    if operand.is_written() { WRITTEN_GUARD } else { POISON }
}

/// Runs one variant of an op alone and returns all operands afterwards.
///
/// Outputs are filled with a NaN first; an element that the kernel does not write keeps its bits.
///
/// # Errors
/// If the shader does not compile, the device fails, or the kernel writes past the end of a tensor.
pub async fn run_variant(gpu: &Gpu, op: &dyn Op, variant: &Variant, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
    gpu.guarded(run(gpu, op, variant, inputs)).await
}

async fn run(gpu: &Gpu, op: &dyn Op, variant: &Variant, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
    let kernel = Kernel::compile(gpu, op, variant).await?;
    let operands = op.operands();
    let mut buffers = Vec::new();
    for (operand, input) in operands.iter().zip(inputs) {
        let mut words = poisoned(operand, input);
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
