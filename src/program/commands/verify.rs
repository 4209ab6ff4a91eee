//! `gpu-digits verify`.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;

use super::{Verdict, thousands};
use crate::device::{Device, DeviceChoice};
use crate::gpu::{AdapterInfo, Gpu, adapters};
use crate::layers::every_op;
use crate::names::did_you_mean;
use crate::ops::Case;
use crate::program::cli::VerifyArgs;
use crate::program::files::Destination;
use crate::program::names;
use crate::program::terminal;
use crate::verify::{Check, Lockstep, Outcome, Subject, cases, check_case, check_lockstep};

/// An adapter and the results of its checks.
struct Checked {
    gpu: Gpu,
    checks: Vec<Check>,
}

pub(super) async fn run(args: VerifyArgs) -> Result<Verdict> {
    let start = Instant::now();
    let subject = args.model.as_deref().map(Subject::new).transpose()?;
    let work = Work::select(&args.ops, subject.as_ref())?;
    let gpus = open(&args.device, "verify compares a GPU with the CPU").await?;
    for gpu in &gpus {
        note!("device: {}", gpu.info());
    }
    let mut checked: Vec<Checked> = gpus.iter().map(|gpu| Checked { gpu: gpu.clone(), checks: vec![] }).collect();
    print_header(&gpus);
    let bar = progress_bar(&work, gpus.len());
    for (op, cases) in &work.ops {
        for case in cases {
            bar.set_message(case.label());
            check_case(&gpus, case, |place, check| checked[place].checks.push(check)).await;
            bar.inc(gpus.len() as u64);
        }
        print_op(op, &checked, &args);
    }
    for locksteps in work.locksteps.chunk_by(|a, b| a.op == b.op) {
        for lockstep in locksteps {
            bar.set_message(lockstep.label.clone());
            for checked in &mut checked {
                checked.checks.push(check_lockstep(&checked.gpu, lockstep).await);
                bar.inc(1);
            }
        }
        print_op(locksteps[0].op, &checked, &args);
    }
    bar.finish_and_clear();
    if let Some(output) = &args.json {
        write_json(output, &checked)?;
    }
    if let Some(output) = &args.junit {
        write_junit(output, &checked)?;
    }
    print_summary(&checked, start)
}

/// The selected checks.
pub(super) struct Work {
    ops: Vec<(&'static str, Vec<Case>)>,
    locksteps: Vec<Lockstep>,
}

impl Work {
    /// Selects everything, or what the words name: ops, labels as a failure prints them, `lockstep`, or patterns of
    /// these. The sizes are those of the user's model if one is given, otherwise awkward sizes and those of the shipped
    /// models.
    pub(super) fn select(words: &[String], subject: Option<&Subject>) -> Result<Self> {
        // A label names a variant after a dot; a case is checked in all of its variants.
        let words: Vec<String> = words.iter().map(|word| without_variant(word)).collect();
        let mut used = HashSet::new();
        let mut wanted = |name: &str, label: &str| {
            let matching = words.iter().filter(|word| names::matches(word, name) || names::matches(word, label));
            let count = matching.map(|word| used.insert(word.clone())).count();
            words.is_empty() || count > 0
        };
        let mut ops = Vec::new();
        for entry in every_op() {
            let mut cases = subject.map_or_else(|| cases(entry.name), |subject| subject.cases(entry.name));
            cases.retain(|case| wanted(entry.name, &case.label()));
            if !cases.is_empty() {
                ops.push((entry.name, cases));
            }
        }
        let subjects = subject.map_or_else(|| Subject::shipped(), std::slice::from_ref);
        let mut locksteps = subjects.iter().map(Subject::locksteps).collect::<Result<Vec<_>>>()?.concat();
        locksteps.retain(|lockstep| wanted(lockstep.op, &lockstep.label));
        // Each kind is a line of the table.
        locksteps.sort_by_key(|lockstep| Reverse(lockstep.op));
        if let Some(word) = words.iter().find(|word| !used.contains(*word)) {
            let is_known = |op: &str| subject.is_none_or(|subject| !subject.cases(op).is_empty());
            let ops = every_op().map(|entry| entry.name).filter(|op| is_known(op));
            let known: Vec<&str> = ops.chain(["lockstep", "large_weights"]).collect();
            let meant = did_you_mean(word.split(':').next().unwrap_or(word), known.iter().copied());
            let of = if subject.is_some() { " of this model" } else { "" };
            bail!(
                "there is no op or case `{word}`{of}{meant}\nops are\n{}\n`*` stands for any letters",
                names::listed(&known)
            );
        }
        Ok(Self { ops, locksteps })
    }

    /// The cases of all ops.
    ///
    /// # Errors
    /// If the words select locksteps.
    pub(super) fn cases(self) -> Result<Vec<Case>> {
        ensure!(
            self.locksteps.is_empty(),
            "cannot time `{}`: it checks whole steps and is not a kernel; `gpu-digits verify` runs it",
            self.locksteps[0].op
        );
        Ok(self.ops.into_iter().flat_map(|(_, cases)| cases).collect())
    }

    fn len(&self) -> usize {
        self.ops.iter().map(|(_, cases)| cases.len()).sum::<usize>() + self.locksteps.len()
    }
}

fn without_variant(word: &str) -> String {
    match word.split_once(':') {
        Some((file, sizes)) => format!("{}:{sizes}", file.split('.').next().unwrap_or(file)),
        None => word.to_owned(),
    }
}

/// The GPUs that `--device` names; at least one must exist.
pub(super) async fn open(device: &str, purpose: &str) -> Result<Vec<Gpu>> {
    let mut gpus = Vec::new();
    if device == "all" {
        for adapter in adapters().await {
            match &adapter.info.unusable {
                Some(reason) => warning!("skipped: {} ({reason})", adapter.info),
                None => gpus.push(Gpu::open(&adapter).await?),
            }
        }
    } else {
        let choice: DeviceChoice = device.parse()?;
        ensure!(
            !matches!(choice, DeviceChoice::Cpu),
            "{purpose}, but --device cpu is not a GPU; leave it out, or name an adapter from `gpu-digits devices`"
        );
        if let Device::Gpu(gpu) = Device::open(&choice).await? {
            gpus.push(*gpu);
        }
    }
    ensure!(
        !gpus.is_empty(),
        "{purpose}, but no GPU was found; install its driver or software Vulkan (on Debian and \
         Ubuntu: `apt-get install mesa-vulkan-drivers libvulkan1`)"
    );
    Ok(gpus)
}

fn progress_bar(work: &Work, gpus: usize) -> ProgressBar {
    terminal::bar(work.len() * gpus, "{wide_bar} {pos}/{len} checks, {left}  {msg:40!}")
}

const NAME_WIDTH: usize = 34;

const COLUMN_WIDTH: usize = 23;

/// Adapters that fit side by side into 80 columns.
const MOST_COLUMNS: usize = 2;

fn print_header(gpus: &[Gpu]) {
    out!("worst error / allowed error of all checks; up to 1 passes");
    if gpus.len() <= MOST_COLUMNS {
        let columns: String = gpus.iter().map(|gpu| format!("{:>COLUMN_WIDTH$}", column_title(gpu.info()))).collect();
        out!("{:<NAME_WIDTH$}{columns}", "op");
    }
}

/// The number of an adapter as `--device` takes it, because two cards may have the same name; then a part of its name,
/// and its API.
fn column_title(info: &AdapterInfo) -> String {
    let name: String = info.name.chars().take(12).collect();
    format!("{} {} {}", info.index, name.trim(), info.backend.name())
}

/// Prints the results of an op on each adapter: side by side if there is room, otherwise a line for each. Failures
/// follow below.
fn print_op(op: &str, checked: &[Checked], args: &VerifyArgs) {
    let of_op =
        |checked: &Checked| -> Vec<Check> { checked.checks.iter().filter(|check| check.op == op).cloned().collect() };
    if checked.len() <= MOST_COLUMNS {
        let columns: String =
            checked.iter().map(|checked| format!("{:>COLUMN_WIDTH$}", summary(&of_op(checked)))).collect();
        out!("{op:<NAME_WIDTH$}{columns}");
    } else {
        out!("{op}");
        for checked in checked {
            let title = column_title(checked.gpu.info());
            out!("  {title:<width$}{:>COLUMN_WIDTH$}", summary(&of_op(checked)), width = NAME_WIDTH - 2);
        }
    }
    let model = args.model.as_ref().map_or_else(String::new, |model| format!("--model '{model}' "));
    for checked in checked {
        for Check { label, outcome, .. } in of_op(checked) {
            let adapter = checked.gpu.info();
            match outcome {
                Outcome::Passed { worst_ratio } if args.verbose => {
                    out!("  {label}  {worst_ratio:.3}  {}", column_title(adapter));
                }
                Outcome::Skipped { reason } if args.verbose => {
                    out!("  {label}  skipped: {reason}, {}", column_title(adapter));
                }
                Outcome::Failed { reason } => out!(
                    "  FAILED on device {}, {adapter}: {reason}\n    gpu-digits verify --device {} {model}'{label}'",
                    adapter.index,
                    adapter.index
                ),
                _ => {}
            }
        }
    }
}

fn summary(checks: &[Check]) -> String {
    let (mut passed, mut failed, mut worst) = (0, 0, 0.0f64);
    for check in checks {
        match check.outcome {
            Outcome::Passed { worst_ratio } => {
                passed += 1;
                worst = worst.max(worst_ratio);
            }
            Outcome::Failed { .. } => failed += 1,
            Outcome::Skipped { .. } => {}
        }
    }
    let noun = if passed == 1 { "check " } else { "checks" };
    match (passed, failed) {
        (0, 0) => "skipped".to_owned(),
        (_, 0) => format!("{passed} {noun} {worst:.3}"),
        _ => format!("{failed} of {} FAILED", passed + failed),
    }
}

fn print_summary(checked: &[Checked], start: Instant) -> Result<Verdict> {
    let count = |is: fn(&Outcome) -> bool| {
        checked.iter().flat_map(|checked| &checked.checks).filter(|check| is(&check.outcome)).count()
    };
    let passed = count(|outcome| matches!(outcome, Outcome::Passed { .. }));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed { .. }));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped { .. }));
    let seconds = start.elapsed().as_secs_f64();
    let noun = if passed == 1 { "check" } else { "checks" };
    out!(
        "\n{} {noun} passed, {} failed, {} skipped on {} {} in {seconds:.0} s",
        thousands(passed),
        thousands(failed),
        thousands(skipped),
        checked.len(),
        if checked.len() == 1 { "adapter" } else { "adapters" }
    );
    ensure!(passed + failed > 0, "nothing was checked because no adapter can run it; `--verbose` says why");
    Ok(if failed == 0 { Verdict::Passed } else { Verdict::Failed })
}

fn write_json(output: &Destination, checked: &[Checked]) -> Result<()> {
    let adapters: Vec<_> =
        checked.iter().map(|checked| json!({"adapter": checked.gpu.info(), "checks": checked.checks})).collect();
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": env!("GPU_DIGITS_COMMIT"),
        "date": crate::date::now(),
        "adapters": adapters,
    });
    output.write_json(&report)
}

/// The suite's name, which differs between adapters of the same name.
fn suite_name(info: &AdapterInfo) -> String {
    format!("device {}: {info}", info.index)
}

fn write_junit(output: &Destination, checked: &[Checked]) -> Result<()> {
    let mut report = Report::new("gpu-digits verify");
    for Checked { gpu, checks } in checked {
        let mut suite = TestSuite::new(suite_name(gpu.info()));
        for check in checks {
            let status = match &check.outcome {
                Outcome::Passed { .. } => TestCaseStatus::success(),
                Outcome::Skipped { reason } => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(reason.as_str());
                    status
                }
                Outcome::Failed { reason } => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(reason.as_str());
                    status
                }
            };
            let mut case = TestCase::new(check.label.as_str(), status);
            case.set_classname(check.op);
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    let text = report.to_string().context("cannot write the results as XML")?;
    output.write(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::AdapterKind;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn ops(selected: &[&str]) -> Vec<&'static str> {
        Work::select(&words(selected), None).unwrap().ops.into_iter().map(|(op, _)| op).collect()
    }

    fn error(selected: &str) -> String {
        Work::select(&words(&[selected]), None).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn ops_are_selected_by_name_label_and_pattern() {
        assert_eq!(ops(&["conv2d*"]), ["conv2d_forward", "conv2d_backward_input", "conv2d_backward_weight"]);
        assert_eq!(ops(&["relu_forward.quad:length=64"]), ["relu_forward"]);
        assert_eq!(ops(&["*:length=65", "relu_*"]).len(), 2);
        assert!(ops(&["lock*"]).is_empty());
        assert!(ops(&[]).len() == every_op().count());
    }

    #[test]
    fn a_misspelt_op_is_answered_with_the_nearest() {
        let error = error("conv2d_foward");
        assert!(error.starts_with("there is no op or case `conv2d_foward`; did you mean `conv2d_forward`?"), "{error}");
        assert!(self::error("zzz*").contains("ops are\n  batch_gather, "));
    }

    #[test]
    fn what_a_model_lacks_is_answered_with_the_ops_that_it_has() {
        let subject = Subject::new("flatten, dense 10").unwrap();
        let error = Work::select(&words(&["conv2d_forward"]), Some(&subject)).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        assert!(error.starts_with("there is no op or case `conv2d_forward` of this model\nops are\n"), "{error}");
        assert!(error.contains("dense_forward,") && !error.contains("max_pool"), "{error}");
    }

    #[test]
    fn a_users_model_is_checked_alone() {
        let subject = Subject::new("conv 6x3, relu, pool 2, flatten, dense 10").unwrap();
        let work = Work::select(&[], Some(&subject)).unwrap();
        assert!(work.ops.iter().any(|(op, _)| *op == "conv_relu_pool_forward"));
        assert!(!work.ops.iter().any(|(op, _)| *op == "matrix_chain"));
        assert_eq!(work.locksteps.len(), 5);
        assert_eq!(Work::select(&words(&["lockstep"]), Some(&subject)).unwrap().locksteps.len(), 3);
    }

    #[test]
    fn two_adapters_of_one_name_have_titles_of_two() {
        let [first, second] = [0, 1]
            .map(|index| AdapterInfo { index, ..AdapterInfo::example("GeForce RTX 4090", AdapterKind::Discrete) });
        assert_ne!(column_title(&first), column_title(&second));
        assert_ne!(suite_name(&first), suite_name(&second));
        assert!(column_title(&AdapterInfo { index: 63, ..first }).len() < COLUMN_WIDTH);
        const { assert!(NAME_WIDTH + MOST_COLUMNS * COLUMN_WIDTH <= 80) };
        assert!(every_op().all(|entry| entry.name.len() <= NAME_WIDTH));
    }
}
