//! Times the kernels of a model's training step, or the requested ones, on one adapter.

use anyhow::Result;

use super::measure::{Effort, Subject};
use super::peaks::Peaks;
use super::report::KernelRow;
use crate::gpu::{Gpu, choose_variant};
use crate::op::{Variant, variant_label};
use crate::ops::Case;
use crate::plan::Plan;

/// The number of kernels that are prepared together and sampled in turn. A temporary slowdown of the machine then
/// affects all of them and shows in their spread.
const AT_ONCE: usize = 40;

/// A kernel to be timed.
#[derive(Clone, Debug)]
pub struct Candidate {
    case: Case,
    variant: Variant,
    layers: Vec<String>,
    is_chosen: bool,
}

impl Candidate {
    /// The variant and its sizes.
    pub fn label(&self) -> String {
        variant_label(self.case.as_ref(), &self.variant)
    }

    /// Whether a training step uses this variant.
    pub fn is_chosen(&self) -> bool {
        self.is_chosen
    }

    /// The verified kernel, ready to be timed.
    ///
    /// # Errors
    /// The same as for [`Subject::new`].
    pub async fn subject(&self, gpu: &Gpu, effort: Effort) -> Result<Subject> {
        Subject::new(gpu, &self.case, &self.variant, effort).await
    }
}

/// Every variant that the adapter can run, for each different op of a plan's training step.
pub fn of_plan(gpu: &Gpu, plan: &Plan) -> Vec<Candidate> {
    let mut cases: Vec<(Case, Vec<String>)> = Vec::new();
    for call in &plan.train {
        match cases.iter_mut().find(|(case, _)| case.label() == call.op.label()) {
            Some((_, layers)) => layers.push(call.layer.clone()),
            None => cases.push((call.op.clone(), vec![call.layer.clone()])),
        }
    }
    cases.into_iter().flat_map(|(case, layers)| runnable(gpu, &case, &layers)).collect()
}

/// Every variant that the adapter can run, for some cases.
pub fn of_cases(gpu: &Gpu, cases: &[Case]) -> Vec<Candidate> {
    cases.iter().flat_map(|case| runnable(gpu, case, &[])).collect()
}

fn runnable(gpu: &Gpu, case: &Case, layers: &[String]) -> Vec<Candidate> {
    let chosen = choose_variant(gpu, case.as_ref()).ok();
    let candidate = |variant: Variant| Candidate {
        case: case.clone(),
        is_chosen: chosen.as_ref().is_some_and(|chosen| chosen.name() == variant.name()),
        variant,
        layers: layers.to_vec(),
    };
    gpu.runnable(case.as_ref()).into_iter().map(candidate).collect()
}

/// Times kernels. `tell` is called with each kernel before it is prepared, and with none while a group is timed in
/// turn.
///
/// # Errors
/// If a kernel is wrong, because wrong kernels are not timed, or if the device fails.
pub async fn measure_kernels(
    gpu: &Gpu,
    peaks: &Peaks,
    candidates: &[Candidate],
    effort: Effort,
    mut tell: impl FnMut(Option<&Candidate>),
) -> Result<Vec<KernelRow>> {
    let mut rows = Vec::new();
    for candidates in candidates.chunks(AT_ONCE) {
        let mut subjects = Vec::new();
        for candidate in candidates {
            tell(Some(candidate));
            subjects.push(candidate.subject(gpu, effort).await?);
        }
        tell(None);
        // Sample in turn. Short kernels continue when the others have enough samples.
        let mut are_all_done = false;
        while !are_all_done {
            are_all_done = true;
            for subject in subjects.iter_mut().filter(|subject| subject.wants_more(effort)) {
                subject.sample().await?;
                are_all_done = false;
            }
        }
        rows.extend(candidates.iter().zip(&subjects).map(|(candidate, subject)| row(peaks, candidate, subject)));
    }
    Ok(rows)
}

fn row(peaks: &Peaks, candidate: &Candidate, subject: &Subject) -> KernelRow {
    let Candidate { case, variant, layers, is_chosen } = candidate;
    let cost = case.cost();
    let timing = subject.timing();
    let (bound_seconds, binding) = peaks.bound(cost.flops, cost.bytes);
    KernelRow {
        op: case.name().to_owned(),
        case: candidate.label(),
        variant: variant.name().to_owned(),
        layers: layers.clone(),
        is_chosen: *is_chosen,
        flops: cost.flops,
        bytes: cost.bytes,
        bound_share: bound_seconds / timing.median_seconds,
        binding,
        timing,
    }
}
