//! `gpu-digits sweep`: trains a grid of settings, several seeds each.
//!
//! A run is trained in a folder of another name, which is renamed when the run is whole: so a sweep that was ended goes on
//! where it stopped.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Parser as _, ValueEnum};

use super::session::Session;
use super::train::train;
use super::{Verdict, percent, print_table, table};
use crate::cli::{Cli, Command, OptimizerName, SweepArgs};
use crate::files::write_atomically;
use crate::model::Model;
use crate::random::Random;
use crate::report::{REPORT_FILE, RunReport, compare};

/// The random stream that draws settings.
const DRAW_STREAM: u64 = 2 << 32;

/// What the runs of a row of the table have in common.
#[derive(Clone, Debug)]
struct Setting {
    model: String,
    optimizer: OptimizerName,
    /// None for the optimizer's default.
    rate: Option<f64>,
    batch: usize,
}

impl Setting {
    /// The options of `train`.
    fn words(&self) -> Vec<String> {
        let mut words = vec![
            "--model",
            &self.model,
            "--optimizer",
            &name_of(self.optimizer),
            "--batch-size",
            &self.batch.to_string(),
        ]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
        if let Some(rate) = self.rate {
            words.extend(["--lr".to_owned(), rate.to_string()]);
        }
        words
    }

    /// The name of its folder, and of its row: the options without their names.
    fn name(&self) -> String {
        let values: Vec<String> = self.words().into_iter().skip(1).step_by(2).collect();
        values.join("_").replace(|letter: char| !letter.is_alphanumeric() && !"._-".contains(letter), "-")
    }
}

pub(super) async fn run(args: &SweepArgs) -> Result<Verdict> {
    let settings = settings(args)?;
    let session = Session::open(&args.device, &args.data).await?.of_many_runs();
    let count = settings.len() * args.seeds;
    let mut runs: Vec<Vec<(String, RunReport)>> = vec![vec![]; settings.len()];
    for seed in 0..args.seeds {
        // Seed by seed, so that an unfinished sweep has tried every setting.
        for (place, (setting, runs_of_setting)) in settings.iter().zip(&mut runs).enumerate() {
            let number = seed * settings.len() + place + 1;
            let name = format!("{}/seed-{seed}", setting.name());
            note!("run {number}/{count}: {name}");
            let Some(report) = run_of(args, &session, setting, seed, &args.out.join(&name)).await? else {
                note!("interrupted; the same command goes on with this run");
                return Ok(Verdict::Interrupted);
            };
            runs_of_setting.push((name, report));
        }
    }
    let mut rows: Vec<Row> = settings.iter().zip(&runs).map(|(setting, runs)| Row::new(setting, runs)).collect();
    rows.sort_by(|a, b| b.validation.0.total_cmp(&a.validation.0));
    print(&rows);
    let comparison = args.out.join("comparison.html");
    write_atomically(&comparison, compare(&runs.concat())?.as_bytes())?;
    out!("comparison {}", comparison.display());
    Ok(Verdict::Passed)
}

/// The grid, or some of it, every model checked.
fn settings(args: &SweepArgs) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    let rates: Vec<Option<f64>> =
        if args.lr.is_empty() { vec![None] } else { args.lr.iter().copied().map(Some).collect() };
    for model in args.models.iter().map(|model| model.trim().to_owned()) {
        model.parse::<Model>()?;
        for &optimizer in &args.optimizer {
            for &rate in &rates {
                for &batch in &args.batch_size {
                    settings.push(Setting { model: model.clone(), optimizer, rate, batch });
                }
            }
        }
    }
    if let Some(count) = args.random {
        Random::new(0, DRAW_STREAM).shuffle(&mut settings);
        settings.truncate(count);
    }
    Ok(settings)
}

/// The report of a run, trained where its folder does not hold it yet; none where the user ended it.
async fn run_of(
    args: &SweepArgs,
    session: &Session,
    setting: &Setting,
    seed: usize,
    folder: &Path,
) -> Result<Option<RunReport>> {
    if folder.join(REPORT_FILE).exists() {
        let report = RunReport::load(folder)?;
        let there = &report.record.settings;
        ensure!(
            there.epochs == args.epochs && there.validation == args.validation && session.is_that_of(&report.record),
            "{} holds a run of {} epochs with {} images held out on {} and {}; give another --out, or the same options",
            folder.display(),
            there.epochs,
            there.validation,
            report.record.data.name,
            report.record.device
        );
        return Ok(Some(report));
    }
    let mut partial = folder.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("cannot remove the unfinished {}", partial.display()))?;
    }
    let command = command(args, setting, seed, folder);
    let Command::Train(mut train_args) = Cli::try_parse_from(&command)?.command else {
        unreachable!("the second word is train")
    };
    train_args.out = Some(partial.clone());
    let (verdict, report) = train(session, &train_args, command).await?;
    if verdict == Verdict::Interrupted {
        return Ok(None);
    }
    fs::rename(&partial, folder)
        .with_context(|| format!("cannot rename {} to {}", partial.display(), folder.display()))?;
    Ok(Some(report))
}

/// The name of a value on the command line.
fn name_of(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The command line that repeats a run.
fn command(args: &SweepArgs, setting: &Setting, seed: usize, out: &Path) -> Vec<String> {
    let mut words = vec![env!("CARGO_PKG_NAME").to_owned(), "train".to_owned()];
    words.extend(setting.words());
    let options = [
        ("--epochs", args.epochs.to_string()),
        ("--validation", args.validation.to_string()),
        ("--seed", seed.to_string()),
        ("--device", args.device.device.to_string()),
        ("--dataset", name_of(args.data.dataset)),
        ("--generated-images", args.data.generated_images.to_string()),
        ("--out", out.display().to_string()),
    ];
    words.extend(options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
    if let Some(folder) = &args.data.data {
        words.extend(["--data".to_owned(), folder.display().to_string()]);
    }
    words
}

/// A row of the table.
struct Row {
    name: String,
    runs: usize,
    /// Mean, and half the width of its 95 % interval where there are several.
    validation: (f64, Option<f64>),
    test: (f64, Option<f64>),
    seconds: f64,
}

impl Row {
    fn new(setting: &Setting, runs: &[(String, RunReport)]) -> Self {
        let last = |report: &RunReport| report.epochs.last().and_then(|epoch| epoch.validation_accuracy);
        let validation: Vec<f64> = runs.iter().filter_map(|(_, report)| last(report)).collect();
        let test: Vec<f64> = runs.iter().filter_map(|(_, report)| Some(report.evaluation.as_ref()?.accuracy)).collect();
        let seconds: f64 = runs.iter().flat_map(|(_, report)| &report.epochs).map(|epoch| epoch.seconds).sum();
        Self {
            name: setting.name(),
            runs: runs.len(),
            validation: mean_and_interval(&validation),
            test: mean_and_interval(&test),
            seconds: seconds / runs.len() as f64,
        }
    }
}

fn print(rows: &[Row]) {
    let mut table = table(&["setting", "runs", "validation %", "±", "test %", "±", "seconds"], 1);
    for row in rows {
        let interval = |(_, half): (f64, Option<f64>)| half.map_or_else(|| "-".to_owned(), percent);
        table.add_row([
            row.name.clone(),
            row.runs.to_string(),
            percent(row.validation.0),
            interval(row.validation),
            percent(row.test.0),
            interval(row.test),
            format!("{:.1}", row.seconds),
        ]);
    }
    print_table(&table);
    if let Some(best) = rows.first() {
        out!("\nchosen by validation accuracy: {}", best.name);
    }
}

/// Mean, and half the width of its 95 % interval by Student's t (Student, "The probable error of a mean", 1908).
fn mean_and_interval(values: &[f64]) -> (f64, Option<f64>) {
    /// 97.5 % quantiles of the t distribution with 1, 2, 3, ... degrees of freedom.
    const T: [f64; 12] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179];
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return (mean, None);
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    // With many degrees of freedom the quantile goes to that of the normal distribution; this is right to 0.005.
    let quantile = T.get(values.len() - 2).copied().unwrap_or(1.96 + 2.55 / (count - 1.0));
    (mean, Some(quantile * (variance / count).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::mean_and_interval;

    #[test]
    fn the_interval_of_a_mean_is_students() {
        // scipy: t.interval(0.95, 2, loc=2, scale=sem([1, 2, 3])) is (-0.4841, 4.4841).
        let (mean, half) = mean_and_interval(&[1.0, 2.0, 3.0]);
        assert!(mean == 2.0 && (half.unwrap_or(0.0) - 2.4841).abs() < 1e-3, "{half:?}");
        assert_eq!(mean_and_interval(&[0.5]), (0.5, None));
    }
}
