//! `gpu-digits bench compare`: two results, or this program and another one measured alternately.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::super::grouped::Grouped;
use super::super::{Verdict, duration};
use crate::bench::report::Report;
use crate::bench::{Change, Comparison, Gate, compare, compare_rounds};
use crate::numbers::significant;
use crate::program::cli::CompareArgs;

/// The most cases of a kind that are printed by name; the others are only counted.
const MOST_NAMED: usize = 12;

pub(super) fn run(args: &CompareArgs) -> Result<Verdict> {
    let comparison = match (&args.run, &args.before, &args.now) {
        (Some(other), ..) => {
            let rounds = measure_in_turn(other, args)?;
            print_heading(&rounds[0].0, &rounds[0].1);
            out!("{} rounds; each round gives one ratio\n", rounds.len());
            compare_rounds(&rounds)
        }
        (None, Some(before), Some(now)) => {
            let (before, now) = (Report::load(before)?, Report::load(now)?);
            print_heading(&before, &now);
            out!("");
            compare(&before, &now)
        }
        _ => bail!("cannot compare: give two files of `bench --json`, or --run OTHER-BINARY"),
    };
    ensure!(
        !comparison.cases.is_empty() || !comparison.unusable.is_empty(),
        "cannot compare: the two results share no kernel and no step; measure the same model, batch size and adapter"
    );
    print(&comparison);
    args.fail_above.map_or(Ok(Verdict::Passed), |share| judge(&comparison, share))
}

fn judge(comparison: &Comparison, share: f64) -> Result<Verdict> {
    match comparison.judge(share) {
        Gate::Passed => {
            let (hidden, all) = (comparison.hidden_by_noise(share), comparison.cases.len());
            if hidden > 0 {
                let percent = significant(100.0 * share, 4);
                note!("note: in {hidden} of {all} cases noise hides a change of {percent} %; larger ones are found");
            }
            Ok(Verdict::Passed)
        }
        Gate::Failed(reasons) => {
            warning!("failed: {}", reasons.join("; "));
            Ok(Verdict::Failed)
        }
        Gate::TooNoisy(why) => bail!("{why}"),
    }
}

/// Prints the two programs and the adapters that they ran on.
fn print_heading(before: &Report, now: &Report) {
    for (name, report) in [("before", before), ("now", now)] {
        out!("{name:<6}  gpu-digits {} ({:.12}), {}", report.version, report.commit, report.date);
        for measured in &report.adapters {
            out!("        {}", measured.adapter);
        }
    }
}

fn print(comparison: &Comparison) {
    let mut table = Grouped::new("case", ["before", "now", "ratio", "noise", ""], 0);
    for change in comparison.wholes.iter().chain(&comparison.cases) {
        let verdict = match (change.is_real(), change.ratio > 1.0) {
            (false, _) => "",
            (true, true) => "slower",
            (true, false) => "faster",
        };
        let case = if change.adapter.is_empty() {
            change.case.clone()
        } else {
            format!("{} ({})", change.case, change.adapter)
        };
        table.row(
            case,
            [
                duration(change.seconds[0]),
                duration(change.seconds[1]),
                format!("{:.3}", change.ratio),
                noise(change),
                verdict.to_owned(),
            ],
        );
    }
    table.print(false);
    out!("");
    let count = |is: fn(&Change) -> bool| comparison.cases.iter().filter(|change| is(change)).count();
    out!("{} of {} cases changed by more than their noise", count(Change::is_real), comparison.cases.len());
    for whole in comparison.wholes.iter().filter(|whole| whole.is_real()) {
        out!("{} changed by more than their noise: {:+.1} %", whole.case, 100.0 * (whole.ratio - 1.0));
    }
    print_cases("missing in the second result", &comparison.missing);
    print_cases("only in the second result", &comparison.added);
    print_cases("not compared because a time is zero, negative or not a number", &comparison.unusable);
    for warning in &comparison.warnings {
        warning!("warning: {warning}");
    }
}

/// The noise of a change. With few rounds it may be too large to mean anything.
fn noise(change: &Change) -> String {
    let words = change.noise_in_words();
    if words.starts_with(|letter: char| letter.is_ascii_digit()) { format!("±{words}") } else { words }
}

fn print_cases(what: &str, cases: &[String]) {
    if cases.is_empty() {
        return;
    }
    out!("{} {what}:", cases.len());
    cases.iter().take(MOST_NAMED).for_each(|case| out!("  {case}"));
    if cases.len() > MOST_NAMED {
        out!("  and {} others", cases.len() - MOST_NAMED);
    }
}

/// Runs `bench` of both programs alternately: other, this, this, other, and so on. A temporary or growing slowdown of
/// the machine then affects both alike.
fn measure_in_turn(other: &Path, args: &CompareArgs) -> Result<Vec<(Report, Report)>> {
    let this = std::env::current_exe().context("cannot find this program's own executable file")?;
    let folder = tempfile::tempdir().context("cannot make a folder for the results")?;
    let mut rounds = Vec::new();
    for round in 1..=args.rounds {
        let measure = |program: &Path, name: &str| {
            note!("round {round} of {}: {name}", args.rounds);
            run_bench(program, &args.bench, folder.path().join(format!("{name}-{round}.json")))
        };
        rounds.push(if round % 2 == 1 {
            let before = measure(other, "other")?;
            (before, measure(&this, "this")?)
        } else {
            let now = measure(&this, "this")?;
            (measure(other, "other")?, now)
        });
    }
    Ok(rounds)
}

fn run_bench(program: &Path, words: &[String], result: PathBuf) -> Result<Report> {
    let mut command = Command::new(program);
    command.arg("bench").args(words).arg("--json").arg(&result);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}; --run takes the path of another gpu-digits", program.display()))?;
    ensure!(
        output.status.success(),
        "`{} bench {}` failed ({}):\n{}",
        program.display(),
        words.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Report::load(&result)
}
