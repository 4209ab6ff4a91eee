//! `gpu-digits verify`.

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Result, ensure};
use indicatif::ProgressBar;
use serde_json::json;

use super::fault;
use super::open::{open_adapters, taking};
use super::reproduce;
use super::{Verdict, arithmetic_for, model_of, thousands};
use crate::gpu::{AdapterInfo, Gpu};
use crate::program::cli::VerifyArgs;
use crate::program::files::Destination;
use crate::program::terminal;
use crate::verify::{
    Check, Example, Failure, Outcome, Repeats, Reproducer, Selection, Subject, Tally, check_lockstep, examine_case,
    junit, reduce,
};

/// An adapter and the results of its checks.
struct Checked {
    gpu: Gpu,
    checks: Vec<Check>,
}

pub(super) async fn run(args: VerifyArgs) -> Result<Verdict> {
    if let Some(folder) = &args.replay {
        return fault::replay(folder).await;
    }
    let start = Instant::now();
    let subject = args.model.as_deref().map(|text| Subject::of(text.trim(), model_of(text)?)).transpose()?;
    let selection = Selection::select(&args.ops, subject.as_ref())?;
    let gpus = taking(&args.variants, open_adapters(&args.adapters, "verify compares a GPU with the CPU").await?);
    for gpu in &gpus {
        note!("device: {}", gpu.info());
    }
    let mut checked: Vec<Checked> = gpus.iter().map(|gpu| Checked { gpu: gpu.clone(), checks: vec![] }).collect();
    print_header(&gpus);
    let repeats = Repeats { count: args.repeat, seed: args.seed };
    let mut failures = Failures::default();
    let bar = progress_bar(&selection, gpus.len());
    for (op, cases) in &selection.ops {
        for case in cases {
            bar.set_message(case.label());
            let mut failed = vec![];
            examine_case(&gpus, case, repeats, |examined| {
                failed.extend(examined.failure.map(|failure| (examined.gpu, failure)));
                checked[examined.gpu].checks.push(examined.check);
            })
            .await;
            for (gpu, failure) in failed {
                failures.take(&args, &gpus[gpu], failure).await?;
            }
            bar.inc(gpus.len() as u64);
        }
        print_op(op, &checked, &args);
        failures.print_reduced();
    }
    for locksteps in selection.locksteps.chunk_by(|a, b| a.op == b.op) {
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
    if let Some(folder) = &args.reproducer {
        note!("{} failing checks of kernels are written into {}", failures.written, folder.display());
    }
    if let Some(output) = &args.results.json {
        write_json(output, &checked).await?;
    }
    if let Some(output) = &args.junit {
        write_junit(output, &checked)?;
    }
    print_summary(&checked, start)
}

/// The failures so far, which are reduced or written as the options say.
#[derive(Default)]
struct Failures {
    /// Kernels and adapters of which a failure is reduced already: one says what there is to say.
    reduced: HashSet<(usize, &'static str)>,
    /// Lines about those of the op at hand.
    reduced_lines: Vec<String>,
    written: usize,
}

impl Failures {
    async fn take(&mut self, args: &VerifyArgs, gpu: &Gpu, failure: Failure) -> Result<()> {
        let adapter = gpu.info();
        let repeats = Repeats { count: args.repeat, seed: args.seed };
        let failure = match args.reduce {
            true if self.reduced.insert((adapter.index, failure.variant.shader.name)) => {
                let label = failure.label();
                let smaller = reduce(gpu, failure, repeats).await;
                let command = command(args, adapter, &smaller.label());
                self.reduced_lines.push(match smaller.label() == label {
                    true => format!("  no smaller sizes of it fail on device {}:\n    {command}", adapter.index),
                    false => {
                        format!("  smallest that fails on device {}: {}\n    {command}", adapter.index, smaller.reason)
                    }
                });
                smaller
            }
            true => return Ok(()),
            false => failure,
        };
        let Some(folder) = &args.reproducer else { return Ok(()) };
        let Failure { case, variant, got, reason } = &failure;
        let example = &Example::seeded(case, args.seed);
        let reproducer = Reproducer { op: case.as_ref(), variant, example, got: got.as_deref(), reason, adapter };
        reproduce::write(&folder.join(format!("device-{}", adapter.index)), &reproducer)?;
        self.written += 1;
        Ok(())
    }

    fn print_reduced(&mut self) {
        for line in self.reduced_lines.drain(..) {
            out!("{line}");
        }
    }
}

/// The command that repeats a check.
fn command(args: &VerifyArgs, adapter: &AdapterInfo, label: &str) -> String {
    let model = args.model.as_ref().map_or_else(String::new, |model| format!("--model '{model}' "));
    let seed = if args.seed == 0 { String::new() } else { format!("--seed {} ", args.seed) };
    let repeat = if args.repeat == 1 { String::new() } else { format!("--repeat {} ", args.repeat) };
    let all = if args.variants.all_variants { "--all-variants " } else { "" };
    format!("gpu-digits verify --device {} {all}{model}{seed}{repeat}'{label}'", adapter.index)
}

fn progress_bar(selection: &Selection, gpus: usize) -> ProgressBar {
    terminal::bar(selection.len() * gpus, "{wide_bar} {pos}/{len} checks, {left}  {msg:40!}")
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
                    "  FAILED on device {}, {adapter}: {reason}\n    {}",
                    adapter.index,
                    command(args, adapter, &label)
                ),
                _ => {}
            }
        }
    }
}

fn summary(checks: &[Check]) -> String {
    let Tally { passed, failed, worst_ratio: worst, .. } = checks.iter().map(|check| &check.outcome).collect();
    let noun = if passed == 1 { "check " } else { "checks" };
    match (passed, failed) {
        (0, 0) => "skipped".to_owned(),
        (_, 0) => format!("{passed} {noun} {worst:.3}"),
        _ => format!("{failed} of {} FAILED", passed + failed),
    }
}

fn print_summary(checked: &[Checked], start: Instant) -> Result<Verdict> {
    let checks = checked.iter().flat_map(|checked| &checked.checks);
    let Tally { passed, failed, skipped, .. } = checks.map(|check| &check.outcome).collect();
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

async fn write_json(output: &Destination, checked: &[Checked]) -> Result<()> {
    let mut adapters = Vec::new();
    for Checked { gpu, checks } in checked {
        let arithmetic = arithmetic_for(Some(output), gpu).await;
        adapters.push(json!({"adapter": gpu.info(), "arithmetic": arithmetic, "checks": checks}));
    }
    let report = json!({
        "version": crate::VERSION,
        "commit": crate::COMMIT,
        "date": crate::date::now(),
        "adapters": adapters,
    });
    output.write_json(&report)
}

fn write_junit(output: &Destination, checked: &[Checked]) -> Result<()> {
    let suites: Vec<(&AdapterInfo, &[Check])> =
        checked.iter().map(|Checked { gpu, checks }| (gpu.info(), &checks[..])).collect();
    output.write(junit(&suites)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::AdapterKind;
    use crate::layers::every_op;

    #[test]
    fn two_adapters_of_one_name_have_titles_of_two() {
        let [first, second] = [0, 1]
            .map(|index| AdapterInfo { index, ..AdapterInfo::example("GeForce RTX 4090", AdapterKind::Discrete) });
        assert_ne!(column_title(&first), column_title(&second));
        assert!(column_title(&AdapterInfo { index: 63, ..first }).len() < COLUMN_WIDTH);
        const { assert!(NAME_WIDTH + MOST_COLUMNS * COLUMN_WIDTH <= 80) };
        assert!(every_op().all(|entry| entry.name.len() <= NAME_WIDTH));
    }
}
