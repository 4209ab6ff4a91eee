//! `gpu-digits verify`.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;

use super::{Verdict, thousands};
use crate::cli::VerifyArgs;
use crate::device::{Device, DeviceChoice};
use crate::files::Destination;
use crate::gpu::{Gpu, adapters};
use crate::ops::{Case, TABLE};
use crate::terminal;
use crate::verify::{Check, Outcome, cases, check_case, check_lockstep, lockstep_labels};

/// What one adapter is checked with and what came of it.
struct Checked {
    gpu: Gpu,
    checks: Vec<Check>,
}

pub(super) async fn run(args: VerifyArgs) -> Result<Verdict> {
    let start = Instant::now();
    let work = Work::select(&args.ops)?;
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
        print_op(op, &checked, args.verbose);
    }
    for label in &work.locksteps {
        bar.set_message(label.clone());
        for checked in &mut checked {
            checked.checks.push(check_lockstep(&checked.gpu, label).await);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    if !work.locksteps.is_empty() {
        print_op("lockstep", &checked, args.verbose);
    }
    if let Some(output) = &args.json {
        write_json(output, &checked)?;
    }
    if let Some(output) = &args.junit {
        write_junit(output, &checked)?;
    }
    print_summary(&checked, start)
}

/// The checks that were asked for.
pub(super) struct Work {
    ops: Vec<(&'static str, Vec<Case>)>,
    locksteps: Vec<String>,
}

impl Work {
    /// Everything, or what the words name: an op, a label as a failure prints it, or `lockstep`.
    pub(super) fn select(words: &[String]) -> Result<Self> {
        // A label names a variant after a dot; a case is checked in all of its variants.
        let words: Vec<String> = words.iter().map(|word| without_variant(word)).collect();
        let mut used = HashSet::new();
        let mut wanted = |name: &str, label: &str| {
            let matching = words.iter().filter(|word| *word == name || *word == label);
            let count = matching.map(|word| used.insert(word.clone())).count();
            words.is_empty() || count > 0
        };
        let mut ops = Vec::new();
        for entry in TABLE {
            let mut cases = cases(entry.name);
            cases.retain(|case| wanted(entry.name, &case.label()));
            if !cases.is_empty() {
                ops.push((entry.name, cases));
            }
        }
        let mut locksteps = lockstep_labels();
        locksteps.retain(|label| wanted("lockstep", label));
        if let Some(word) = words.iter().find(|word| !used.contains(*word)) {
            let names: Vec<&str> = TABLE.iter().map(|entry| entry.name).collect();
            bail!("there is no op or case `{word}`; ops are {} and lockstep", names.join(", "));
        }
        Ok(Self { ops, locksteps })
    }

    /// The cases of all ops.
    ///
    /// # Errors
    /// Where locksteps were asked for.
    pub(super) fn cases(self) -> Result<Vec<Case>> {
        ensure!(
            self.locksteps.is_empty(),
            "`lockstep` checks whole steps and is no kernel; `gpu-digits verify` runs it"
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

/// The GPUs that `--device` names, for which there must be at least one.
pub(super) async fn open(device: &str, purpose: &str) -> Result<Vec<Gpu>> {
    let mut gpus = Vec::new();
    if device == "all" {
        for adapter in adapters().await {
            match &adapter.info.unusable {
                Some(reason) => warning!("left out: {} ({reason})", adapter.info),
                None => gpus.push(Gpu::open(&adapter).await?),
            }
        }
    } else {
        let choice: DeviceChoice = device.parse()?;
        ensure!(
            !matches!(choice, DeviceChoice::Cpu),
            "{purpose}, and --device cpu names the CPU; leave it out, or name an adapter, which `gpu-digits devices` lists"
        );
        if let Device::Gpu(gpu) = Device::open(&choice).await? {
            gpus.push(*gpu);
        }
    }
    ensure!(
        !gpus.is_empty(),
        "{purpose}, and there is no GPU; install its driver or software Vulkan (on Debian and \
         Ubuntu: `apt-get install mesa-vulkan-drivers libvulkan1`)"
    );
    Ok(gpus)
}

fn progress_bar(work: &Work, gpus: usize) -> ProgressBar {
    terminal::bar(work.len() * gpus, "{wide_bar} {pos}/{len} checks, {left}  {msg:40!}")
}

const NAME_WIDTH: usize = 35;

fn print_header(gpus: &[Gpu]) {
    out!("worst error / allowed of all cases, at most 1 passes");
    let columns: String = gpus.iter().map(|gpu| format!("{:>22}", column_title(gpu))).collect();
    out!("{:<NAME_WIDTH$}{columns}", "op");
}

fn column_title(gpu: &Gpu) -> String {
    let name: String = gpu.info().name.chars().take(12).collect();
    format!("{} {}", name.trim(), gpu.info().backend.name())
}

/// One line for an op: on each adapter the number of cases and the worst of them; below it what failed.
fn print_op(op: &str, checked: &[Checked], verbose: bool) {
    let of_op =
        |checked: &Checked| -> Vec<Check> { checked.checks.iter().filter(|check| check.op == op).cloned().collect() };
    let columns: String = checked.iter().map(|checked| format!("{:>22}", summary(&of_op(checked)))).collect();
    out!("{op:<NAME_WIDTH$}{columns}");
    for checked in checked {
        for Check { label, outcome, .. } in of_op(checked) {
            let adapter = checked.gpu.info();
            match outcome {
                Outcome::Passed { worst_ratio } if verbose => {
                    out!("  {label}  {worst_ratio:.3}  {}", column_title(&checked.gpu));
                }
                Outcome::Skipped { reason } if verbose => out!("  {label}  skipped: {reason}, {adapter}"),
                Outcome::Failed { reason } => {
                    out!("  FAILED on {adapter}: {reason}\n    gpu-digits verify --device {} '{label}'", adapter.index)
                }
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
    let cases = if passed == 1 { "case " } else { "cases" };
    match (passed, failed) {
        (0, 0) => "skipped".to_owned(),
        (_, 0) => format!("{passed} {cases} {worst:.3}"),
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
    out!(
        "\n{} passed, {} failed, {} skipped on {} adapter(s) in {seconds:.0} s",
        thousands(passed),
        thousands(failed),
        thousands(skipped),
        checked.len()
    );
    ensure!(passed + failed > 0, "nothing was checked, since no adapter can run it; `--verbose` tells why");
    Ok(if failed == 0 { Verdict::Passed } else { Verdict::Failed })
}

fn write_json(output: &Destination, checked: &[Checked]) -> Result<()> {
    let adapters: Vec<_> =
        checked.iter().map(|checked| json!({"adapter": checked.gpu.info(), "checks": checked.checks})).collect();
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": env!("GPU_DIGITS_COMMIT"),
        "date": crate::run_folder::now(),
        "adapters": adapters,
    });
    output.write_json(&report)
}

fn write_junit(output: &Destination, checked: &[Checked]) -> Result<()> {
    let mut report = Report::new("gpu-digits verify");
    for Checked { gpu, checks } in checked {
        let mut suite = TestSuite::new(gpu.info().to_string());
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
    let text = report.to_string().context("cannot put the results into XML")?;
    output.write(text.as_bytes())
}
