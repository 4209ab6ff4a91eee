//! The CPU executor: runs a plan with the references of its ops.

use std::ops::ControlFlow;

use anyhow::Result;
use web_time::Instant;

use crate::executor::{self, Counters, Executor, Feed, Observer, Pending, ensure_memory_suffices};
use crate::host::free_host_memory;
use crate::plan::{Phase, Plan, Stage, TensorId};
use crate::tensor::HostTensor;
use crate::trace::{Span, Track};

/// Runs a plan on the host, on all threads of the current rayon pool. The results do not depend on the number of
/// threads.
pub struct CpuExecutor {
    plan: Plan,
    tensors: Vec<HostTensor>,
    parts: Vec<Part>,
    counters: Counters,
}

/// A tensor that is a part of another one's memory.
struct Part {
    whole: TensorId,
    part: TensorId,
    start: usize,
}

impl Part {
    /// Its words within the whole, and its own words.
    fn views<'a>(&self, tensors: &'a mut [HostTensor]) -> [&'a mut [u32]; 2] {
        let [whole, part] = tensors.get_disjoint_mut([self.whole.0, self.part.0]).expect("a part is not its whole");
        let words = part.words_mut();
        [&mut whole.words_mut()[self.start..][..words.len()], words]
    }
}

impl CpuExecutor {
    /// Allocates the tensors of a plan, all zeros.
    ///
    /// # Errors
    /// If they need more memory than is free.
    pub fn new(plan: Plan) -> Result<Self> {
        // Training also keeps the schedule, the packed data set and a loss for each step in memory.
        let [schedule, images] = [plan.host.schedule, plan.host.images].map(|id| plan.tensor(id).size_bytes());
        let bytes = plan.size_bytes() + 2 * schedule + images;
        ensure_memory_suffices(&plan, bytes, free_host_memory(), "the CPU")?;
        // Parts have their own memory too: ops on the whole are rare, and copying is cheap in comparison.
        let initial = |spec: &crate::plan::TensorSpec| match &spec.initial {
            Some(words) => HostTensor::from_words(spec.dtype, spec.shape.clone(), words.to_vec()),
            None => HostTensor::zeros(spec.dtype, spec.shape.clone()),
        };
        let tensors: Vec<HostTensor> = plan.tensors.iter().map(initial).collect();
        let part = |(index, spec): (usize, &crate::plan::TensorSpec)| {
            spec.part_of.map(|(whole, start)| Part { whole, part: TensorId(index), start })
        };
        let parts = plan.tensors.iter().enumerate().filter_map(part).collect();
        let counters = Counters { allocations: tensors.len() as u64, ..Counters::default() };
        Ok(Self { plan, tensors, parts, counters })
    }

    /// The current value of a tensor.
    pub fn tensor(&self, id: TensorId) -> &HostTensor {
        &self.tensors[id.0]
    }

    /// The current values of a call's operands, in operand order.
    pub fn operands(&mut self, phase: Phase, index: usize) -> Vec<HostTensor> {
        self.gather(phase, index);
        self.plan.calls(phase)[index].tensors.iter().map(|&id| self.tensor(id).clone()).collect()
    }

    fn step(&mut self, phase: Phase) {
        for index in 0..self.plan.calls(phase).len() {
            self.execute(phase, index);
        }
        self.counters.steps += 1;
        self.counters.submissions += 1;
    }

    /// Brings tensors that a call takes whole up to date with their parts.
    fn gather(&mut self, phase: Phase, index: usize) {
        let Self { plan, tensors, parts, .. } = self;
        let call = &plan.calls(phase)[index];
        for part in parts.iter().filter(|part| call.tensors.contains(&part.whole)) {
            let [within, words] = part.views(tensors);
            within.copy_from_slice(words);
        }
    }

    fn execute(&mut self, phase: Phase, index: usize) {
        self.gather(phase, index);
        let Self { plan, tensors, parts, .. } = self;
        let call = &plan.calls(phase)[index];
        let empty = || HostTensor::zeros(crate::tensor::DType::U32, [0].into());
        // The reference borrows the operands as one slice; of a tensor that it reads twice, it gets a copy.
        let mut lent: Vec<HostTensor> = Vec::with_capacity(call.tensors.len());
        for (place, id) in call.tensors.iter().enumerate() {
            let earlier = call.tensors[..place].iter().position(|earlier| earlier == id);
            let tensor = earlier.map(|earlier| lent[earlier].clone());
            lent.push(tensor.unwrap_or_else(|| std::mem::replace(&mut tensors[id.0], empty())));
        }
        call.op.reference(&mut lent);
        for (id, tensor) in call.tensors.iter().zip(lent) {
            tensors[id.0] = tensor;
        }
        for (operand, &id) in call.op.operands().iter().zip(&call.tensors) {
            if operand.is_written() {
                scatter(parts, tensors, id);
            }
        }
    }
}

/// Updates the parts of a tensor.
fn scatter(parts: &[Part], tensors: &mut [HostTensor], whole: TensorId) {
    for part in parts.iter().filter(|part| part.whole == whole) {
        let [within, words] = part.views(tensors);
        words.copy_from_slice(within);
    }
}

impl Executor for CpuExecutor {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn write(&mut self, tensor: TensorId, words: &[u32]) {
        self.tensors[tensor.0].words_mut().copy_from_slice(words);
        scatter(&self.parts, &mut self.tensors, tensor);
    }

    fn read(&mut self, tensor: TensorId) -> Pending<'_, Result<HostTensor>> {
        self.counters.reads += 1;
        let copy = self.tensors[tensor.0].clone();
        Box::pin(async move { Ok(copy) })
    }

    fn write_part(&mut self, part: &executor::Part) {
        self.tensors[part.tensor.0].words_mut()[part.first..][..part.words.len()].copy_from_slice(&part.words);
        scatter(&self.parts, &mut self.tensors, part.tensor);
    }

    fn run_fed<'a>(
        &'a mut self,
        phase: Phase,
        steps: usize,
        observer: &'a mut dyn Observer,
        mut feed: Option<&'a mut dyn Feed>,
    ) -> Pending<'a, Result<usize>> {
        Box::pin(async move {
            for done in 1..=steps {
                for part in feed.iter_mut().flat_map(|feed| feed.parts(done - 1..done)) {
                    self.write_part(&part);
                }
                self.step(phase);
                let history = observer.watches_history().then(|| self.tensors[self.plan.host.history.0].f32());
                if observer.progress(done, history) == ControlFlow::Break(()) {
                    return Ok(done);
                }
            }
            Ok(steps)
        })
    }

    fn run_collecting<'a>(
        &'a mut self,
        phase: Phase,
        steps: usize,
        tensors: &'a [TensorId],
    ) -> Pending<'a, Result<Vec<Vec<u32>>>> {
        Box::pin(async move {
            self.counters.reads += tensors.len() as u64;
            let mut collected = vec![vec![]; tensors.len()];
            for _ in 0..steps {
                self.step(phase);
                for (words, tensor) in collected.iter_mut().zip(tensors) {
                    words.extend_from_slice(self.tensors[tensor.0].words());
                }
            }
            Ok(collected)
        })
    }

    fn run_stages<'a>(
        &'a mut self,
        phase: Phase,
        stages: &'a [Stage],
        ready: &'a mut dyn FnMut(usize, Vec<Vec<u32>>),
    ) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            for (index, Stage { calls, tensors }) in stages.iter().enumerate() {
                calls.clone().for_each(|call| self.execute(phase, call));
                self.counters.submissions += 1;
                self.counters.reads += tensors.len() as u64;
                if !tensors.is_empty() {
                    ready(index, tensors.iter().map(|id| self.tensors[id.0].words().to_vec()).collect());
                }
            }
            Ok(())
        })
    }

    fn run_call(&mut self, phase: Phase, index: usize) -> Pending<'_, Result<()>> {
        self.execute(phase, index);
        Box::pin(async { Ok(()) })
    }

    fn trace(&mut self, phase: Phase, steps: usize) -> Pending<'_, Result<Vec<Span>>> {
        let start = Instant::now();
        let mut spans = Vec::new();
        for step in 0..steps {
            for index in 0..self.plan.calls(phase).len() {
                let start_seconds = start.elapsed().as_secs_f64();
                self.execute(phase, index);
                let seconds = start.elapsed().as_secs_f64() - start_seconds;
                let call = &self.plan.calls(phase)[index];
                let details =
                    vec![("step", step.to_string()), ("layer", call.layer.clone()), ("case", call.op.label())];
                spans.push(Span {
                    track: Track::Device,
                    name: call.op.name().to_owned(),
                    details,
                    start_seconds,
                    seconds,
                });
            }
        }
        self.counters.steps += steps as u64;
        Box::pin(async { Ok(spans) })
    }

    fn counters(&self) -> Counters {
        self.counters
    }
}
