//! Every kernel on the visitor's GPU, against the references.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use gpu_digits::Device;
use gpu_digits::gpu::Gpu;
use gpu_digits::op::{Variant, variant_label};
use gpu_digits::verify::{
    Check, Example, Outcome, Reproducer, Selection, Tally, check_lockstep, check_variant, examine_variant, junit,
};
use js_sys::Function;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use crate::device::Opened;
use crate::{Answer, begin, failed, is_stopped, json, tell};

/// Failures that a result names; more of them hardly say more.
const MOST_FAILURES: usize = 40;

/// What to verify.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    /// One op; all if it is empty.
    op: String,
    /// One case, or one variant of it, as a failure prints it: `relu_forward.quad:length=64,negative_slope=0`.
    case: String,
    /// The seed of the operands.
    seed: u32,
    /// A text in the kernels of `op`, and what to put there instead: makes them wrong, to see that it is noticed.
    from: String,
    to: String,
}

/// The results of an op.
#[derive(Clone, Default, Serialize)]
struct Row {
    op: String,
    #[serde(flatten)]
    tally: Tally,
}

/// The checks that were chosen, and their results.
#[wasm_bindgen]
pub struct Verification {
    gpu: Gpu,
    wanted: Wanted,
    selection: Selection,
    checks: Vec<Check>,
    seconds: f64,
}

#[wasm_bindgen]
impl Verification {
    /// Chooses checks; `wanted` is JSON with any of `op`, `case`, `seed`, `from` and `to`.
    ///
    /// # Errors
    /// If the device is the CPU, or there is no such op or case.
    pub fn choose(device: &Opened, wanted: &str) -> Answer<Verification> {
        Self::chosen(&device.0, wanted).map_err(failed)
    }

    fn chosen(device: &Device, wanted: &str) -> Result<Self> {
        let wanted: Wanted = serde_json::from_str(wanted)?;
        let Device::Gpu(gpu) = device else { anyhow::bail!("there is no GPU to verify") };
        // A case says its op, too.
        let word = if wanted.case.is_empty() { &wanted.op } else { &wanted.case };
        let words = if word.is_empty() { vec![] } else { vec![word.clone()] };
        let selection = Selection::select(&words, None)?;
        Ok(Self { gpu: (**gpu).clone(), wanted, selection, checks: vec![], seconds: 0.0 })
    }

    /// The ops, and how many checks there are in all.
    pub fn describe(&self) -> Answer<String> {
        let ops: Vec<Value> =
            self.selection.ops.iter().map(|(op, cases)| json!({"op": op, "cases": cases.len()})).collect();
        json(&json!({"ops": ops, "cases": self.selection.len()}))
    }

    /// Runs the checks, or those before [`stop`](crate::stop), and returns the result.
    ///
    /// # Errors
    /// If an edit of the kernels changes nothing.
    pub async fn run(&mut self, progress: &Function) -> Answer<String> {
        begin();
        self.run_all(progress).await.map_err(failed)?;
        self.result()
    }

    async fn run_all(&mut self, progress: &Function) -> Result<()> {
        let start = web_time::Instant::now();
        let (count, mut done, mut edited) = (self.selection.len(), 0, 0);
        for (op, cases) in &self.selection.ops {
            let mut row = Row { op: (*op).to_owned(), ..Row::default() };
            for case in cases {
                if is_stopped() {
                    break;
                }
                let example = Example::seeded(case, self.wanted.seed.into());
                for variant in case.variants() {
                    let label = variant_label(case.as_ref(), &variant);
                    // A case may name one variant, or stand for all.
                    if self.wanted.case.contains('.') && self.wanted.case != label {
                        continue;
                    }
                    let variant = self.edited(op, variant, &mut edited);
                    let outcome = check_variant(&self.gpu, case, &variant, &example).await;
                    row.tally.add(&outcome);
                    self.checks.push(Check { op, label, outcome });
                }
                done += 1;
                tell(progress, &json!({"done": done, "count": count, "row": row}));
            }
        }
        for lockstep in &self.selection.locksteps {
            if is_stopped() {
                break;
            }
            self.checks.push(check_lockstep(&self.gpu, lockstep).await);
            done += 1;
            let row = self.rows().into_iter().find(|row| row.op == lockstep.op);
            tell(progress, &json!({"done": done, "count": count, "row": row}));
        }
        self.seconds = start.elapsed().as_secs_f64();
        let Wanted { from, op, .. } = &self.wanted;
        ensure!(
            from.is_empty() || edited > 0 || is_stopped(),
            "no kernel of `{op}` holds `{from}`, so nothing was changed"
        );
        Ok(())
    }

    /// The variant with the text that was asked for.
    fn edited(&self, op: &str, variant: Variant, edited: &mut usize) -> Variant {
        let Wanted { from, to, .. } = &self.wanted;
        let source = variant.shader.source;
        if from.is_empty() || op != self.wanted.op || !source.contains(from.as_str()) {
            return variant;
        }
        *edited += 1;
        let source: &'static str = source.replace(from.as_str(), to).leak();
        Variant { shader: variant.shader.with_source(source), ..variant }
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for check in &self.checks {
            if rows.last().is_none_or(|row| row.op != check.op) {
                rows.push(Row { op: check.op.to_owned(), ..Row::default() });
            }
            if let Some(row) = rows.last_mut() {
                row.tally.add(&check.outcome);
            }
        }
        rows
    }

    /// The result as JSON, small enough to be sent to someone.
    pub fn result(&self) -> Answer<String> {
        let rows = self.rows();
        let mut skipped: BTreeMap<&str, usize> = BTreeMap::new();
        let mut failures = Vec::new();
        for check in &self.checks {
            match &check.outcome {
                Outcome::Skipped { reason } => *skipped.entry(reason).or_default() += 1,
                Outcome::Failed { reason } => {
                    failures.push(json!({"op": check.op, "case": check.label, "reason": reason}))
                }
                Outcome::Passed { .. } => {}
            }
        }
        let all: Tally = self.checks.iter().map(|check| &check.outcome).collect();
        json(&json!({
            "kind": "verification",
            "version": gpu_digits::VERSION,
            "commit": gpu_digits::COMMIT,
            "date": gpu_digits::date::now(),
            "adapter": self.gpu.info(),
            "seed": self.wanted.seed,
            "is_complete": !is_stopped(),
            "seconds": self.seconds,
            "passed": all.passed,
            "failed": all.failed,
            "skipped": all.skipped,
            "skipped_because": skipped,
            "ops": rows,
            "failures_left_out": failures.len().saturating_sub(MOST_FAILURES),
            "failures": failures.into_iter().take(MOST_FAILURES).collect::<Vec<_>>(),
        }))
    }

    /// A page of HTML that shows a failed check without this project; the kernel runs once more for it.
    ///
    /// # Errors
    /// If no kernel has such a check.
    pub async fn reproducer(&self, label: &str) -> Answer<String> {
        self.reproduced(label).await.map_err(failed)
    }

    async fn reproduced(&self, label: &str) -> Result<String> {
        for (op, cases) in &self.selection.ops {
            for case in cases {
                for variant in case.variants() {
                    if variant_label(case.as_ref(), &variant) != label {
                        continue;
                    }
                    let variant = &self.edited(op, variant, &mut 0);
                    let example = &Example::seeded(case, self.wanted.seed.into());
                    let (outcome, got) = examine_variant(&self.gpu, case, variant, example).await;
                    let reason = match &outcome {
                        Outcome::Failed { reason } | Outcome::Skipped { reason } => reason.as_str(),
                        Outcome::Passed { .. } => "it failed once, and was right when it was run again",
                    };
                    let (op, got, adapter) = (case.as_ref(), got.as_deref(), self.gpu.info());
                    return Ok(Reproducer { op, variant, example, got, reason, adapter }.html());
                }
            }
        }
        anyhow::bail!("`{label}` is no check of a kernel; whole steps have no page of their own")
    }

    /// The checks as JUnit's XML.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn junit(&self) -> Answer<String> {
        junit(&[(self.gpu.info(), &self.checks)]).map_err(failed)
    }
}
