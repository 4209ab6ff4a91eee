//! Verification: every case of every op and variant against its CPU reference, and whole steps of models in lockstep.

mod compare;
mod conditioning;
mod gradients;
#[cfg(feature = "junit")]
mod junit;
mod lockstep;
mod outputs;
mod reduce;
mod replay;
#[cfg(feature = "figures")]
mod reproducer;
mod selection;
mod selftest;
mod subject;
mod tally;

use std::collections::HashSet;

use anyhow::Result;
use serde::Serialize;

use crate::gpu::{Gpu, run_variant};
use crate::layers::every_op;
use crate::model::Model;
use crate::op::{Variant, tolerance, variant_label};
use crate::ops::Case;
use crate::random::Random;
use crate::tensor::HostTensor;
pub use compare::compare;
use compare::worse;
pub use gradients::{check_gradients, layer_output};
#[cfg(feature = "junit")]
pub use junit::junit;
pub use lockstep::check_lockstep;
pub use outputs::layers_output;
pub use reduce::reduce;
pub use replay::{Step, Written};
#[cfg(feature = "figures")]
pub use reproducer::{Reproducer, bytes_of_words};
pub use selection::Selection;
pub use selftest::{check_next_step, self_test};
pub use subject::{Lockstep, Subject};
pub use tally::Tally;

/// The outcome of a check.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// All elements are within the tolerance.
    Passed {
        /// The largest error, divided by the error allowed there.
        worst_ratio: f64,
    },
    /// Some element is outside of it, or the kernel could not run.
    Failed {
        /// The reason.
        reason: String,
    },
    /// The adapter lacks what this variant needs.
    Skipped {
        /// What it lacks.
        reason: String,
    },
}

/// One check on one adapter.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// The op, `lockstep` or `large_weights`.
    pub op: &'static str,
    /// Variant and sizes; `verify` accepts the same text.
    pub label: String,
    /// Its outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Every case of an op: its awkward sizes, and its sizes in the plans of the shipped models.
pub fn cases(op: &str) -> Vec<Case> {
    let Some(entry) = every_op().find(|entry| entry.name == op) else { return vec![] };
    let shipped = Subject::shipped().iter().flat_map(|subject| subject.cases(op));
    let mut seen = HashSet::new();
    (entry.awkward_cases)().into_iter().chain(shipped).filter(|case| seen.insert(case.label())).collect()
}

/// Every shader of the table once, with a case and a variant that uses it.
pub fn shaders() -> Vec<(Case, Variant)> {
    let mut seen = HashSet::new();
    let mut shaders = Vec::new();
    for case in every_op().flat_map(|entry| cases(entry.name)) {
        for variant in case.variants() {
            if seen.insert(variant.shader.name) {
                shaders.push((case.clone(), variant));
            }
        }
    }
    shaders
}

/// A case with seeded operands, and their expected values after the op.
pub struct Example {
    inputs: Vec<HostTensor>,
    wanted: Vec<HostTensor>,
}

impl Example {
    /// The operands before the op.
    pub fn inputs(&self) -> &[HostTensor] {
        &self.inputs
    }

    /// The operands that are right after the op.
    pub fn wanted(&self) -> &[HostTensor] {
        &self.wanted
    }

    /// Draws the operands and runs the reference.
    pub fn of(case: &Case) -> Self {
        Self::seeded(case, 0)
    }

    /// The same with operands of another seed.
    pub fn seeded(case: &Case, seed: u64) -> Self {
        let inputs = case.test_inputs(&mut Random::new(seed, 0));
        let mut wanted = inputs.clone();
        case.reference(&mut wanted);
        Self { inputs, wanted }
    }
}

/// Verifies all variants of an op at its sizes on an adapter; the op may be your own.
pub async fn check(gpu: &Gpu, case: Case) -> Vec<Check> {
    let mut checks = Vec::new();
    check_case(std::slice::from_ref(gpu), &case, |_, check| checks.push(check)).await;
    checks
}

/// Verifies a model on an adapter: every kernel of its plans, plain, fused and in half precision, and whole training
/// steps in lockstep with the CPU. The model may have layers of your own.
///
/// ```no_run
/// use gpu_digits::device::DeviceChoice;
/// use gpu_digits::verify::{self, Outcome};
/// use gpu_digits::{Device, Model};
///
/// # async fn verified() -> anyhow::Result<bool> {
/// let model: Model = "conv 8x5, relu, pool 4, flatten, dense 10".parse()?;
/// let Device::Gpu(gpu) = Device::open(&DeviceChoice::Auto).await? else { anyhow::bail!("no adapter") };
/// let checks = verify::check_model(&gpu, &model).await?;
/// Ok(!checks.iter().any(|check| matches!(check.outcome, Outcome::Failed { .. })))
/// # }
/// ```
///
/// # Errors
/// If the model cannot be planned. A wrong kernel is no error, but an [`Outcome::Failed`].
pub async fn check_model(gpu: &Gpu, model: &Model) -> Result<Vec<Check>> {
    let subject = Subject::of(&model.to_string(), model.clone())?;
    let locksteps = subject.locksteps()?;
    let mut checks = Vec::new();
    for case in subject.all_cases() {
        checks.extend(check(gpu, case).await);
    }
    for lockstep in &locksteps {
        checks.push(check_lockstep(gpu, lockstep).await);
    }
    Ok(checks)
}

/// Verifies all variants of an op at its sizes on several adapters, and passes on each check with the adapter's index
/// in `gpus`.
pub async fn check_case(gpus: &[Gpu], case: &Case, mut report: impl FnMut(usize, Check)) {
    examine_case(gpus, case, Repeats::ONCE, |examined| report(examined.gpu, examined.check)).await;
}

/// How often a check is made, and with which operands.
#[derive(Clone, Copy, Debug)]
pub struct Repeats {
    /// Runs of each kernel with the same operands; a driver may fail in one of many.
    pub count: usize,
    /// The seed of the operands.
    pub seed: u64,
}

impl Repeats {
    /// Once, with the operands that everyone has.
    pub const ONCE: Self = Self { count: 1, seed: 0 };
}

/// A check of a kernel.
pub struct Examined {
    /// The index of the adapter.
    pub gpu: usize,
    /// The check.
    pub check: Check,
    /// What is needed to repeat it, if it failed.
    pub failure: Option<Failure>,
}

/// A kernel that failed. Its operands are drawn again from the seed: see [`Example::seeded`].
pub struct Failure {
    /// The op at its sizes.
    pub case: Case,
    /// The kernel.
    pub variant: Variant,
    /// The operands as the kernel left them; none if it did not run.
    pub got: Option<Vec<HostTensor>>,
    /// What was wrong.
    pub reason: String,
}

impl Failure {
    /// Op, variant and sizes.
    pub fn label(&self) -> String {
        variant_label(self.case.as_ref(), &self.variant)
    }

    /// Runs a kernel several times on operands of a seed; none if it is right each time.
    pub(crate) async fn of(gpu: &Gpu, case: &Case, variant: &Variant, repeats: Repeats) -> Option<Self> {
        let example = Example::seeded(case, repeats.seed);
        let (outcome, got) = examine_repeatedly(gpu, case, variant, &example, repeats.count).await;
        Self::from_outcome(case, variant, &outcome, got)
    }

    fn from_outcome(case: &Case, variant: &Variant, outcome: &Outcome, got: Option<Vec<HostTensor>>) -> Option<Self> {
        let Outcome::Failed { reason } = outcome else { return None };
        Some(Self { case: case.clone(), variant: variant.clone(), got, reason: reason.clone() })
    }
}

/// Verifies all variants of an op at its sizes on several adapters as [`check_case`] does, several times each. A check fails
/// if a run does; its reason says how many did.
pub async fn examine_case(gpus: &[Gpu], case: &Case, repeats: Repeats, mut report: impl FnMut(Examined)) {
    let example = &Example::seeded(case, repeats.seed);
    for (index, gpu) in gpus.iter().enumerate() {
        for variant in &case.variants() {
            let (outcome, got) = examine_repeatedly(gpu, case, variant, example, repeats.count).await;
            let failure = Failure::from_outcome(case, variant, &outcome, got);
            let check = Check { op: case.name(), label: variant_label(case.as_ref(), variant), outcome };
            report(Examined { gpu: index, check, failure });
        }
    }
}

/// The first failure of several runs, or the worst of them.
async fn examine_repeatedly(
    gpu: &Gpu,
    case: &Case,
    variant: &Variant,
    example: &Example,
    runs: usize,
) -> (Outcome, Option<Vec<HostTensor>>) {
    let mut first = examine_variant(gpu, case, variant, example).await;
    let mut failed = usize::from(matches!(first.0, Outcome::Failed { .. }));
    for _ in 1..runs {
        let next = examine_variant(gpu, case, variant, example).await;
        let is_failure = matches!(next.0, Outcome::Failed { .. });
        match next.0 {
            Outcome::Skipped { .. } => break,
            Outcome::Failed { .. } if failed == 0 => first = next,
            Outcome::Passed { .. } if failed == 0 => first.0 = worse(first.0, next.0),
            _ => {}
        }
        failed += usize::from(is_failure);
    }
    if let (Outcome::Failed { reason }, true) = (&mut first.0, runs > 1) {
        *reason = format!("in {failed} of {runs} runs: {reason}");
    }
    first
}

/// Checks one variant of an op on one adapter.
pub async fn check_variant(gpu: &Gpu, case: &Case, variant: &Variant, example: &Example) -> Outcome {
    examine_variant(gpu, case, variant, example).await.0
}

/// The same, with the operands as the kernel left them, if it ran.
pub async fn examine_variant(
    gpu: &Gpu,
    case: &Case,
    variant: &Variant,
    example: &Example,
) -> (Outcome, Option<Vec<HostTensor>>) {
    if let Some(reason) = gpu.why_not(case.as_ref(), variant) {
        return (Outcome::Skipped { reason }, None);
    }
    match run_variant(gpu, case.as_ref(), variant, &example.inputs).await {
        Ok(got) => (compare_operands(case, &got, &example.wanted), Some(got)),
        Err(error) => (Outcome::Failed { reason: format!("{error:#}") }, None),
    }
}

/// Compares all operands. Those that are only read must be unchanged.
fn compare_operands(case: &Case, got: &[HostTensor], wanted: &[HostTensor]) -> Outcome {
    let mut worst = Outcome::Passed { worst_ratio: 0.0 };
    for ((operand, got), wanted) in case.operands().iter().zip(got).zip(wanted) {
        worst = worse(worst, compare(operand.name, got, wanted, tolerance(case.as_ref(), operand)));
    }
    worst
}
