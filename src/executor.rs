//! Executors run plans. This is the interface that the GPU and the CPU share.

use std::cmp::Reverse;
use std::ops::{ControlFlow, Range};
use std::pin::Pin;

use anyhow::{Result, ensure};

use crate::op::{Operand, variant_label};
use crate::plan::{Call, Phase, Plan, Stage, TensorId};
use crate::tensor::HostTensor;
use crate::trace::Span;

/// A result to await. Only the outermost edge of a program blocks on it.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Counters of an executor's work, with which tests check its promises.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Blocks of memory allocated for tensors and transfers.
    pub allocations: u64,
    /// Tensors copied back to the host.
    pub reads: u64,
    /// Steps run, in both phases.
    pub steps: u64,
    /// Groups of steps submitted to the device.
    pub submissions: u64,
    /// Seconds that the host took to encode them.
    pub encode_seconds: f64,
    /// Seconds to submit them. The driver may block: Mesa's software Vulkan does so until an earlier group is done.
    pub submit_seconds: f64,
}

/// Observes a run and may end it.
pub trait Observer {
    /// Whether to copy the history back during the run, for a progress bar.
    fn watches_history(&self) -> bool {
        false
    }

    /// Called now and then with the number of completed steps, and with the history if it is watched. `Break` ends the
    /// run soon.
    fn progress(&mut self, steps: usize, history: Option<&[f32]>) -> ControlFlow<()>;
}

/// Observes nothing and never ends a run.
pub struct Unobserved;

impl Observer for Unobserved {
    fn progress(&mut self, _: usize, _: Option<&[f32]>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// What the host sends to the device while a run goes on, because there is no room for all of it.
pub trait Feed {
    /// The most steps that it sends something for at once.
    fn most_steps(&self) -> usize;

    /// What some steps of the run need, which are counted from 0. It is written after the steps before have read their own.
    fn parts(&mut self, steps: Range<usize>) -> Vec<Part>;
}

/// The new words of a part of a tensor.
pub struct Part {
    /// The tensor.
    pub tensor: TensorId,
    /// The first of the words.
    pub first: usize,
    /// The words.
    pub words: Vec<u32>,
}

/// Runs a plan.
pub trait Executor {
    /// The plan.
    fn plan(&self) -> &Plan;

    /// Writes a whole tensor. Later runs see the new value.
    ///
    /// # Panics
    /// If the number of `words` is not that of the tensor.
    fn write(&mut self, tensor: TensorId, words: &[u32]);

    /// Reads a whole tensor, after all earlier runs are done.
    fn read(&mut self, tensor: TensorId) -> Pending<'_, Result<HostTensor>>;

    /// Writes a part of a tensor. Later runs see the new value.
    ///
    /// # Panics
    /// If the tensor ends before the part.
    fn write_part(&mut self, part: &Part);

    /// Runs `steps` steps and returns the number of completed steps, which is lower only if the observer ended the run.
    fn run<'a>(&'a mut self, phase: Phase, steps: usize, observer: &'a mut dyn Observer) -> Pending<'a, Result<usize>> {
        self.run_fed(phase, steps, observer, None)
    }

    /// The same with tensors of which parts are written while it runs. No step waits for that.
    fn run_fed<'a>(
        &'a mut self,
        phase: Phase,
        steps: usize,
        observer: &'a mut dyn Observer,
        feed: Option<&'a mut dyn Feed>,
    ) -> Pending<'a, Result<usize>>;

    /// Runs `steps` steps and returns the words of some tensors after each step, one after the other. They are read
    /// back once, after the last step.
    fn run_collecting<'a>(
        &'a mut self,
        phase: Phase,
        steps: usize,
        tensors: &'a [TensorId],
    ) -> Pending<'a, Result<Vec<Vec<u32>>>>;

    /// Runs stages of one step, each after the one before, and hands over the words of each stage's tensors as soon as they
    /// are there, while the next stages run. It does not wait for a stage that nothing is read of.
    fn run_stages<'a>(
        &'a mut self,
        phase: Phase,
        stages: &'a [Stage],
        ready: &'a mut dyn FnMut(usize, Vec<Vec<u32>>),
    ) -> Pending<'a, Result<()>>;

    /// Runs one call of a phase alone.
    fn run_call(&mut self, phase: Phase, index: usize) -> Pending<'_, Result<()>>;

    /// Runs `steps` steps and returns when each call ran.
    fn trace(&mut self, phase: Phase, steps: usize) -> Pending<'_, Result<Vec<Span>>>;

    /// The shader, or the reference, that runs a call; for messages.
    fn describe_call(&self, phase: Phase, index: usize) -> String {
        let op = &self.plan().calls(phase)[index].op;
        let variants = op.variants();
        let plain = variants.iter().find(|variant| variant.name() == "plain");
        plain.map_or_else(|| op.label(), |variant| variant_label(op.as_ref(), variant))
    }

    /// The work done so far.
    fn counters(&self) -> Counters;
}

/// Refuses a plan with a tensor above the size limit, before anything is allocated. The error names its layer and
/// shapes.
pub(crate) fn ensure_tensors_fit(plan: &Plan, most_bytes: u64, who: &str) -> Result<()> {
    let Some(largest) = largest(plan) else { return Ok(()) };
    ensure!(
        plan.tensor(largest).size_bytes() <= most_bytes,
        "the plan does not fit on {who}: {}, but a tensor there may take at most {}; {}",
        describe(plan, largest),
        mebibytes(most_bytes),
        advice(plan, largest)
    );
    Ok(())
}

/// Refuses a plan that needs more bytes than are free, if that is known, before anything is allocated. The error names
/// the layer and the shapes of its largest tensor.
pub(crate) fn ensure_memory_suffices(plan: &Plan, bytes: u64, free: Option<u64>, who: &str) -> Result<()> {
    let (Some(free), Some(largest)) = (free, largest(plan)) else { return Ok(()) };
    ensure!(
        bytes <= free,
        "the plan does not fit on {who}: it takes {} in all, but {} are free; its largest tensor {}; {}",
        mebibytes(bytes),
        mebibytes(free),
        describe(plan, largest),
        advice(plan, largest)
    );
    Ok(())
}

/// The first of the largest tensors of a plan.
fn largest(plan: &Plan) -> Option<TensorId> {
    (0..plan.tensors.len()).map(TensorId).min_by_key(|id| Reverse(plan.tensor(*id).size_bytes()))
}

/// A tensor's size, and the layer that writes it.
fn describe(plan: &Plan, id: TensorId) -> String {
    let spec = plan.tensor(id);
    let size = mebibytes(spec.size_bytes());
    match writer(plan, id) {
        Some((call, operand)) => {
            let (layer, input, output) = (&call.layer, &call.op.operands()[0].shape, &operand.shape);
            format!("layer {layer} from {input} to {output}: `{}` takes {size}", spec.name)
        }
        None => format!("`{}` of shape {} takes {size}", spec.name, spec.shape),
    }
}

/// How to make a tensor smaller. A tensor that no layer writes is the data set, or grows with the run.
fn advice(plan: &Plan, id: TensorId) -> &'static str {
    match writer(plan, id) {
        Some(_) => "make the batch or the layer smaller",
        None => "use a smaller layer, fewer images or fewer epochs",
    }
}

/// The first call that writes a tensor, and its operand.
fn writer(plan: &Plan, id: TensorId) -> Option<(&Call, Operand)> {
    plan.train.iter().chain(&plan.evaluate).find_map(|call| {
        let mut operands = call.op.operands().into_iter().zip(&call.tensors);
        let (operand, _) = operands.find(|(operand, at)| **at == id && operand.is_written())?;
        Some((call, operand))
    })
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
