//! Kernels: a variant compiled on a GPU, and buffers bound to it.

use anyhow::{Context, Result, bail};

use super::texture::{self, TextureCopy, Textures};
use super::{AdapterKind, Gpu, shader_module};
use crate::op::{Access, Feature, MAX_ITERATIONS, Op, Operand, SUBGROUP_LANES, Variant, variant_label};
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

/// The variant of an op that an adapter takes: the one that it prefers, or else the default of those that it can run.
///
/// # Errors
/// Where it can run none.
pub fn choose_variant(gpu: &Gpu, op: &dyn Op) -> Result<Variant> {
    let preferred = gpu.preferences.get(&op.label());
    let mut runnable = gpu.runnable(op);
    let place = runnable.iter().position(|variant| preferred.is_some_and(|name| name == variant.name()));
    (!runnable.is_empty())
        .then(|| runnable.swap_remove(place.unwrap_or_else(|| default_place(gpu.info.kind, &runnable))))
        .with_context(|| format!("{} can run no shader of `{}`", gpu.info, op.label()))
}

/// Which of some variants an adapter of a kind takes where nothing is known of their speed: a GPU the first made for GPUs, all
/// others, and it where there is none, the first.
fn default_place(kind: AdapterKind, variants: &[Variant]) -> usize {
    let is_gpu = kind != AdapterKind::Software;
    variants.iter().position(|variant| is_gpu && variant.for_gpus).unwrap_or(0)
}

impl Gpu {
    /// The variants of an op that this GPU can run, in the order of the op.
    pub fn runnable(&self, op: &dyn Op) -> Vec<Variant> {
        op.variants().into_iter().filter(|variant| self.why_not(op, variant).is_none()).collect()
    }

    /// Why this GPU cannot run a variant of an op, where it cannot.
    pub fn why_not(&self, op: &dyn Op, variant: &Variant) -> Option<String> {
        if variant.iterations > MAX_ITERATIONS {
            let Variant { iterations, .. } = variant;
            return Some(format!("it would loop {iterations} times, drivers execute {MAX_ITERATIONS}"));
        }
        let has_subgroups = self.info.subgroup_size.is_some_and(|[least, _]| least >= SUBGROUP_LANES);
        let most_rows = self.device.limits().max_texture_dimension_2d as usize;
        let operands = op.operands();
        let mut textures = operands.iter().filter(|operand| variant.textures.contains(&operand.name));
        if textures.any(|operand| texture::rows(operand.dtype, operand.words()) > most_rows) {
            return Some(format!("it needs textures of more than {most_rows} rows"));
        }
        match variant.needs {
            Some(Feature::Subgroups) if !has_subgroups => {
                Some(format!("it needs subgroups of {SUBGROUP_LANES} lanes or more"))
            }
            Some(Feature::F16) if !self.info.f16 => Some("it needs 16-bit floats".to_owned()),
            Some(Feature::CooperativeMatrix { size }) if !self.info.cooperative_matrices.contains(&size) => {
                Some(format!("it needs cooperative matrices of {size}x{size}"))
            }
            _ => None,
        }
    }
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
        let mut words = gpu.read_mapped(staging, None).await?;
        let behind = words.split_off(operand.words());
        if let Some(place) = behind.iter().position(|&word| word != guard(&operand)) {
            bail!("it writes past the end of {}, {} words after the last", operand.name, place + 1);
        }
        results.push(HostTensor::from_words(operand.dtype, operand.shape, words));
    }
    gpu.ensure_healthy()?;
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::shader;

    #[test]
    fn gpus_take_the_first_variant_made_for_them_and_software_the_first() {
        let plain = Variant::single(shader!("step_finish"), 1);
        let [first, second] = [1, 2].map(|_| plain.clone().for_gpus());
        let place = |kind, variants: &[&Variant]| {
            default_place(kind, &variants.iter().map(|&variant| variant.clone()).collect::<Vec<_>>())
        };
        for kind in [AdapterKind::Discrete, AdapterKind::Integrated, AdapterKind::Other] {
            assert_eq!(place(kind, &[&plain, &first, &second, &plain]), 1, "{kind:?}");
            assert_eq!(place(kind, &[&plain, &plain]), 0, "{kind:?}");
        }
        assert_eq!(place(AdapterKind::Software, &[&plain, &first]), 0);
        assert_eq!(place(AdapterKind::Software, &[&first, &plain]), 0);
    }
}
