//! The GPU executor: the buffers, kernels and bind groups of a plan, all made before the first step.

use std::collections::{HashSet, VecDeque};
use std::ops::{ControlFlow, Range};

use anyhow::{Context, Result, bail};
use web_time::Instant;

use super::Gpu;
use super::adapters::AdapterKind;
use super::choice::choose_variant;
use super::kernel::{Dispatch, Fresh, Kernel, encode, staging_buffer, storage_buffer};
use super::kernels::kernels;
use super::pace::Pace;
use super::texture::{self, Textures};
use crate::executor::{
    Counters, Executor, Feed, Observer, Part, Pending, Unobserved, ensure_memory_suffices, ensure_tensors_fit,
};
use crate::host::free_host_memory;
use crate::op::Variant;
use crate::plan::{Call, Phase, Plan, Stage, TensorId};
use crate::tensor::HostTensor;
use crate::trace::Span;

/// The most steps of a group.
const MAX_GROUP: usize = 256;

/// Groups submitted before waiting for the oldest: one runs while the next is ready.
const GROUPS_IN_FLIGHT: usize = 2;

/// Runs a plan on a GPU.
pub struct GpuExecutor {
    pub(super) gpu: Gpu,
    pub(super) plan: Plan,
    pub(super) places: Vec<Place>,
    train: Vec<Dispatch>,
    evaluate: Vec<Dispatch>,
    history_copies: Vec<wgpu::Buffer>,
    /// What was read of the stages of the last step, to read that of the next into.
    pub(super) stage_copies: Vec<wgpu::Buffer>,
    memory_bytes: u64,
    /// The call that was submitted last, if it was submitted alone: a device that hangs does so in it.
    pub(super) lone_call: Option<(Phase, usize)>,
    pub(super) counters: Counters,
}

/// The location of a tensor on the device.
pub(super) struct Place {
    pub(super) buffer: wgpu::Buffer,
    pub(super) offset: u64,
    pub(super) size: std::num::NonZeroU64,
}

impl Place {
    fn binding(&self) -> wgpu::BufferBinding<'_> {
        wgpu::BufferBinding { buffer: &self.buffer, offset: self.offset, size: Some(self.size) }
    }
}

/// A group of steps to submit to the device.
struct Group<'a> {
    phase: Phase,
    /// The steps of the run, counted from 0.
    steps: Range<usize>,
    /// The copy that receives the history after the group.
    history_copy: Option<usize>,
    collections: &'a [Collection],
}

/// The values of a tensor after each step of a run, one after the other, readable by the host.
struct Collection {
    tensor: TensorId,
    staging: wgpu::Buffer,
}

/// A submitted group of steps that may not be finished.
struct InFlight {
    steps_after: usize,
    submission: wgpu::SubmissionIndex,
    done: flume::Receiver<()>,
    history_copy: Option<usize>,
    /// A description of the steps.
    what: String,
}

impl GpuExecutor {
    /// Allocates every tensor of a plan, compiles every kernel that this GPU has not compiled yet, and makes every bind
    /// group.
    ///
    /// # Errors
    /// If the plan does not fit on the adapter, a shader does not compile, or memory runs out.
    pub async fn new(gpu: &Gpu, plan: Plan) -> Result<Self> {
        gpu.guarded(Self::build(gpu, plan)).await
    }

    async fn build(gpu: &Gpu, plan: Plan) -> Result<Self> {
        let info = gpu.info();
        ensure_tensors_fit(&plan, info.max_tensor_bytes, &info.to_string())?;

        let calls: Vec<&Call> = plan.train.iter().chain(&plan.evaluate).collect();
        let variants = calls.iter().map(|call| choose_variant(gpu, call.op.as_ref())).collect::<Result<Vec<_>>>()?;
        let memory_bytes = plan.size_bytes() + textures_bytes(&calls, &variants);
        let free_bytes = if info.kind == AdapterKind::Software { free_host_memory() } else { None };
        ensure_memory_suffices(&plan, memory_bytes, free_bytes, &info.to_string())?;
        let ops: Vec<_> = calls.iter().map(|call| call.op.as_ref()).zip(variants).collect();
        let kernels = kernels(gpu, &ops).await?;

        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let mut places: Vec<Place> = Vec::new();
        let mut allocations = GROUPS_IN_FLIGHT;
        for spec in &plan.tensors {
            let (buffer, offset) = if let Some((whole, start)) = spec.part_of {
                (places[whole.0].buffer.clone(), 4 * start as u64)
            } else {
                allocations += 1;
                (storage_buffer(gpu, &spec.name, spec.words()), 0)
            };
            if let Some(words) = &spec.initial {
                gpu.queue.write_buffer(&buffer, offset, bytemuck::cast_slice(words));
            }
            let size = std::num::NonZeroU64::new(spec.size_bytes()).context("a tensor has elements")?;
            places.push(Place { buffer, offset, size });
        }
        let history_words = plan.tensor(plan.host.history).shape.len();
        let history_copies: Vec<_> = (0..GROUPS_IN_FLIGHT).map(|_| staging_buffer(gpu, history_words)).collect();
        let mut textures = Textures::default();
        let bind = |(call, kernel): (&&Call, Kernel)| {
            let bindings: Vec<_> = call.tensors.iter().map(|id| places[id.0].binding()).collect();
            kernel.bind(gpu, &bindings, &mut textures)
        };
        let mut train: Vec<Dispatch> = calls.iter().zip(kernels).map(bind).collect();
        for (call, dispatch) in calls.iter().zip(&mut train) {
            let tensors = call.op.operands().into_iter().zip(&call.tensors);
            let written = tensors.filter(|(operand, _)| operand.is_written()).map(|(_, id)| places[id.0].binding());
            dispatch.outdates(&textures, written);
        }
        let evaluate = train.split_off(plan.train.len());
        if let Some(error) = scope.pop().await {
            let needed = memory_bytes >> 20;
            bail!(
                "{info} does not have the {needed} MiB of memory that the plan takes; make the batch smaller: {error}"
            );
        }
        let counters = Counters { allocations: allocations as u64, ..Counters::default() };
        let (gpu, lone_call) = (gpu.clone(), None);
        let stage_copies = vec![];
        Ok(Self { gpu, plan, places, train, evaluate, history_copies, stage_copies, memory_bytes, lone_call, counters })
    }

    /// Bytes of all tensors, and of the copies that kernels read as textures.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    pub(super) fn phase(&self, phase: Phase) -> &[Dispatch] {
        match phase {
            Phase::Train => &self.train,
            Phase::Evaluate => &self.evaluate,
        }
    }

    /// A description of some steps and their kernels, for the error of a device that does not answer.
    pub(super) fn describe_steps(&self, phase: Phase, steps: &Range<usize>) -> String {
        let mut kernels: Vec<&str> = self.phase(phase).iter().map(|dispatch| dispatch.label()).collect();
        kernels.iter_mut().for_each(|label| *label = label.split(':').next().unwrap_or(label));
        let kind = match phase {
            Phase::Train => "training",
            Phase::Evaluate => "evaluation",
        };
        format!("{kind} steps {} to {} ({})", steps.start + 1, steps.end, kernels.join(", "))
    }

    /// Submits a group of steps to the device.
    fn submit(&mut self, group: &Group<'_>) -> wgpu::SubmissionIndex {
        let start = Instant::now();
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        // Nothing else runs within the group, so that a copy in a texture serves all steps until a dispatch outdates
        // it.
        let mut fresh = Fresh::default();
        if group.collections.is_empty() {
            let steps = group.steps.clone();
            encode(&mut encoder, steps.flat_map(|_| self.phase(group.phase)), &mut fresh);
        } else {
            for step in group.steps.clone() {
                encode(&mut encoder, self.phase(group.phase).iter(), &mut fresh);
                for Collection { tensor, staging } in group.collections {
                    let Place { buffer, offset, size } = &self.places[tensor.0];
                    encoder.copy_buffer_to_buffer(buffer, *offset, staging, step as u64 * size.get(), size.get());
                }
            }
        }
        if let Some(copy) = group.history_copy {
            let Place { buffer, offset, size } = &self.places[self.plan.host.history.0];
            encoder.copy_buffer_to_buffer(buffer, *offset, &self.history_copies[copy], 0, size.get());
        }
        let commands = encoder.finish();
        let encoded = Instant::now();
        let submission = self.gpu.queue.submit([commands]);
        self.lone_call = None;
        self.counters.steps += group.steps.len() as u64;
        self.counters.submissions += 1;
        self.counters.encode_seconds += (encoded - start).as_secs_f64();
        self.counters.submit_seconds += encoded.elapsed().as_secs_f64();
        submission
    }

    fn write_words(&self, tensor: TensorId, first: usize, words: &[u32]) {
        let Place { buffer, offset, .. } = &self.places[tensor.0];
        let write = || self.gpu.queue.write_buffer(buffer, offset + 4 * first as u64, bytemuck::cast_slice(words));
        // If it fails, so does each later call that can say so.
        let _ = self.gpu.guarded_now(write);
    }

    /// Waits for a group and calls the observer.
    async fn finish(&mut self, group: InFlight, observer: &mut dyn Observer) -> Result<ControlFlow<()>> {
        self.gpu.wait(Some(group.submission.clone()), &group.done, &group.what).await?;
        let Some(copy) = group.history_copy else {
            return Ok(observer.progress(group.steps_after, None));
        };
        self.counters.reads += 1;
        let words = self.gpu.read_mapped(&self.history_copies[copy], Some(group.submission), &group.what).await?;
        Ok(observer.progress(group.steps_after, Some(bytemuck::cast_slice(&words))))
    }

    async fn read_back(&mut self, tensor: TensorId) -> Result<HostTensor> {
        self.counters.reads += 1;
        self.counters.allocations += 1;
        let Place { buffer, offset, size } = &self.places[tensor.0];
        let staging = staging_buffer(&self.gpu, self.plan.tensor(tensor).words());
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, *offset, &staging, 0, size.get());
        let submission = self.gpu.queue.submit([encoder.finish()]);
        let spec = self.plan.tensor(tensor);
        let what = match self.lone_call.take() {
            Some((phase, index)) => format!("`{}` and the copy of `{}`", self.phase(phase)[index].label(), spec.name),
            None => format!("the copy of `{}`", spec.name),
        };
        let words = self.gpu.read_mapped(&staging, Some(submission), &what).await?;
        Ok(HostTensor::from_words(spec.dtype, spec.shape.clone(), words))
    }

    async fn collect(&mut self, phase: Phase, steps: usize, tensors: &[TensorId]) -> Result<Vec<Vec<u32>>> {
        self.counters.reads += tensors.len() as u64;
        self.counters.allocations += tensors.len() as u64;
        let collection = |&tensor: &TensorId| {
            let staging = staging_buffer(&self.gpu, steps * self.plan.tensor(tensor).words());
            Collection { tensor, staging }
        };
        let collections: Vec<Collection> = tensors.iter().map(collection).collect();
        self.run_groups(phase, steps, &mut Unobserved, &collections, None).await?;
        let what = self.describe_steps(phase, &(0..steps));
        let mut collected = Vec::new();
        for Collection { staging, .. } in &collections {
            collected.push(self.gpu.read_mapped(staging, None, &what).await?);
        }
        Ok(collected)
    }

    async fn run_groups(
        &mut self,
        phase: Phase,
        steps: usize,
        observer: &mut dyn Observer,
        collections: &[Collection],
        mut feed: Option<&mut dyn Feed>,
    ) -> Result<usize> {
        let most = feed.as_ref().map_or(MAX_GROUP, |feed| feed.most_steps().min(MAX_GROUP));
        let mut in_flight = VecDeque::with_capacity(GROUPS_IN_FLIGHT);
        let pace = Pace::of(self.gpu.info().backend);
        let (mut submitted, mut group_size, mut stopped) = (0, pace.first.min(most), false);
        let mut next_copy = (0..GROUPS_IN_FLIGHT).cycle();
        let mut last_finish = Instant::now();
        while !(in_flight.is_empty() && (stopped || submitted == steps)) {
            if stopped || submitted == steps || in_flight.len() == GROUPS_IN_FLIGHT {
                let Some(group) = in_flight.pop_front() else { break };
                stopped |= self.finish(group, observer).await? == ControlFlow::Break(());
                let duration = last_finish.elapsed();
                last_finish = Instant::now();
                if duration < pace.duration / 2 {
                    group_size = (2 * group_size).min(most);
                } else if duration > 2 * pace.duration {
                    group_size = (group_size / 2).max(1);
                }
                continue;
            }
            let group = submitted..submitted + group_size.min(steps - submitted);
            let what = self.describe_steps(phase, &group);
            submitted = group.end;
            // The queue writes it after the groups that are submitted, and before the next.
            for part in feed.iter_mut().flat_map(|feed| feed.parts(group.clone())) {
                self.write_words(part.tensor, part.first, &part.words);
            }
            let history_copy = observer.watches_history().then(|| next_copy.next()).flatten();
            let submission = self.submit(&Group { phase, steps: group, history_copy, collections });
            let done = self.gpu.done();
            in_flight.push_back(InFlight { steps_after: submitted, submission, done, history_copy, what });
        }
        Ok(submitted)
    }
}

/// The bytes of the texture copies that some calls read. Calls that read a tensor in the same format share a copy.
fn textures_bytes(calls: &[&Call], variants: &[Variant]) -> u64 {
    let mut copied = HashSet::new();
    let mut bytes = 0;
    for (call, variant) in calls.iter().zip(variants) {
        let tensors = call.op.operands().into_iter().zip(&call.tensors);
        for (operand, &tensor) in tensors.filter(|(operand, _)| variant.textures.contains(&operand.name)) {
            if copied.insert((tensor, operand.dtype)) {
                bytes += texture::size_bytes(operand.dtype, operand.words());
            }
        }
    }
    bytes
}

impl Executor for GpuExecutor {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn write(&mut self, tensor: TensorId, words: &[u32]) {
        assert_eq!(words.len(), self.plan.tensor(tensor).words(), "a tensor is written whole");
        self.write_words(tensor, 0, words);
    }

    fn write_part(&mut self, part: &Part) {
        let end = part.first + part.words.len();
        assert!(end <= self.plan.tensor(part.tensor).words(), "the part lies within the tensor");
        self.write_words(part.tensor, part.first, &part.words);
    }

    fn read(&mut self, tensor: TensorId) -> Pending<'_, Result<HostTensor>> {
        let gpu = self.gpu.clone();
        Box::pin(async move { gpu.guarded(self.read_back(tensor)).await })
    }

    fn run_fed<'a>(
        &'a mut self,
        phase: Phase,
        steps: usize,
        observer: &'a mut dyn Observer,
        feed: Option<&'a mut dyn Feed>,
    ) -> Pending<'a, Result<usize>> {
        let gpu = self.gpu.clone();
        Box::pin(async move { gpu.guarded(self.run_groups(phase, steps, observer, &[], feed)).await })
    }

    fn run_collecting<'a>(
        &'a mut self,
        phase: Phase,
        steps: usize,
        tensors: &'a [TensorId],
    ) -> Pending<'a, Result<Vec<Vec<u32>>>> {
        let gpu = self.gpu.clone();
        Box::pin(async move { gpu.guarded(self.collect(phase, steps, tensors)).await })
    }

    fn run_stages<'a>(
        &'a mut self,
        phase: Phase,
        stages: &'a [Stage],
        ready: &'a mut dyn FnMut(usize, Vec<Vec<u32>>),
    ) -> Pending<'a, Result<()>> {
        let gpu = self.gpu.clone();
        Box::pin(async move { gpu.guarded(self.stages(phase, stages, ready)).await })
    }

    fn run_call(&mut self, phase: Phase, index: usize) -> Pending<'_, Result<()>> {
        Box::pin(async move {
            self.gpu.guarded_now(|| {
                let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                self.phase(phase)[index].encode_alone(&mut encoder);
                self.gpu.queue.submit([encoder.finish()]);
            })?;
            self.lone_call = Some((phase, index));
            self.gpu.ensure_healthy()
        })
    }

    fn trace(&mut self, phase: Phase, steps: usize) -> Pending<'_, Result<Vec<Span>>> {
        let gpu = self.gpu.clone();
        Box::pin(async move { gpu.guarded(self.trace_steps(phase, steps)).await })
    }

    fn describe_call(&self, phase: Phase, index: usize) -> String {
        self.phase(phase)[index].label().to_owned()
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}
