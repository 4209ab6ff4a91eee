//! `gpu-digits bench` and its commands.

mod clocks;
mod compare;
mod page;
mod roofline;
mod side_by_side;
mod tables;

use std::path::Path;

use anyhow::{Result, ensure};

use super::open::{open_adapters, taking};
use super::{Verdict, arithmetic_for, kernel_bar, lowering};
use crate::bench::report::{AdapterReport, Report};
use crate::bench::{Effort, Kind, Peaks, Step, StepTiming, measure_kernels, measure_steps, of_cases, of_plan};
use crate::gpu::Gpu;
use crate::numbers::NONE;
use crate::plan::{Plan, PlanConfig};
use crate::program::cli::{AdaptersArgs, BenchArgs, BenchCommand, BenchTrainArgs, ShowArgs};
use crate::program::files::Destination;
use crate::program::terminal;
use crate::train::TrainConfig;
use crate::verify::Selection;

pub(super) async fn run(args: BenchArgs) -> Result<Verdict> {
    match args.command {
        Some(BenchCommand::Train(args)) => bench_train(&args).await,
        Some(BenchCommand::Compare(args)) => compare::run(&args),
        Some(BenchCommand::Show(args)) => bench_show(&args),
        Some(BenchCommand::Check(args)) => page::check(&args),
        Some(BenchCommand::Page(args)) => page::write(&args),
        None => bench_kernels(&args).await,
    }
}

async fn open_and_say(adapters: &AdaptersArgs) -> Result<Vec<Gpu>> {
    let gpus = open_adapters(adapters, "bench times kernels on a GPU").await?;
    for gpu in &gpus {
        note!("device: {}", gpu.info());
    }
    if cfg!(debug_assertions) {
        note!("  note: this is a debug build, many times slower; build with --release");
    }
    Ok(gpus)
}

/// The report of an adapter before anything is timed. What only readers of a file want is asked for a file only.
async fn begun(gpu: &Gpu, output: Option<&Destination>) -> Result<AdapterReport> {
    if output.is_none() {
        return Ok(AdapterReport::new(gpu));
    }
    let arithmetic = arithmetic_for(output, gpu).await;
    Ok(AdapterReport { arithmetic, clocks: clocks::clocks(gpu.info()), ..AdapterReport::for_others(gpu).await? })
}

async fn bench_kernels(args: &BenchArgs) -> Result<Verdict> {
    let (model, form) = lowering(&args.step)?;
    let optimizer = Some(TrainConfig::DEFAULT.optimizer);
    let batch = args.batch_size;
    let config = PlanConfig { steps: 1, form, ..PlanConfig::for_mnist(batch, optimizer) };
    let plan = Plan::new(&model, config)?;
    let cases = if args.ops.is_empty() { None } else { Some(Selection::select(&args.ops, None)?.cases()?) };
    let gpus = taking(&args.variants, open_and_say(&args.adapters).await?);
    let effort = Effort { samples: args.samples, ..Effort::DEFAULT };

    let mut report = Report::new();
    for gpu in &gpus {
        let candidates = cases.as_ref().map_or_else(|| of_plan(gpu, &plan), |cases| of_cases(gpu, cases));
        let bar = kernel_bar(candidates.len());
        bar.set_message("measuring the adapter's peaks");
        let mut measured = begun(gpu, args.results.json.as_ref()).await?;
        let peaks = Peaks::measure(gpu, effort).await?;
        let kernels = measure_kernels(gpu, &peaks, &candidates, effort, |candidate| match candidate {
            Some(candidate) => {
                bar.set_message(candidate.label());
                bar.inc(1);
            }
            None => bar.set_message("timing the kernels in turn"),
        })
        .await?;
        measured.add_kernels(peaks, kernels);
        if cases.is_none() {
            bar.set_message("timing the whole step");
            measured.steps.push(measure_steps(gpu, &model, Step { kind: Kind::Train, batch, form }, effort).await?);
        }
        bar.finish_and_clear();
        report.adapters.push(measured);
    }
    // Write the file first: a closed pipe ends the program at its first printed line.
    write_json(&report, args.results.json.as_ref())?;
    show(&report, &titles(&report, None), args.markdown, args.roofline.as_ref())?;
    Ok(Verdict::Passed)
}

/// Prints a report's tables and draws its roofline. `titles` are the titles of its adapters.
fn show(report: &Report, titles: &[String], markdown: bool, picture: Option<&Destination>) -> Result<()> {
    for (title, measured) in titles.iter().zip(&report.adapters) {
        tables::print_adapter(title, measured, markdown);
    }
    if report.adapters.len() > 1 {
        side_by_side::print(titles, &report.adapters, markdown);
    }
    if let Some(output) = picture {
        roofline::draw(&report.adapters, output)?;
        note!("wrote {output}");
    }
    Ok(())
}

/// The adapters' names, each after the file's name if there are several files.
fn titles(report: &Report, file: Option<&Path>) -> Vec<String> {
    let file = file.map_or_else(String::new, |file| format!("{}: ", file.display()));
    report.adapters.iter().map(|measured| format!("{file}{}", measured.adapter)).collect()
}

/// Prints saved reports, with the adapters of several reports side by side.
fn bench_show(args: &ShowArgs) -> Result<Verdict> {
    let reports = args.reports.iter().map(|path| Report::load(path)).collect::<Result<Vec<_>>>()?;
    for (path, report) in args.reports.iter().zip(&reports) {
        let is_empty = |measured: &AdapterReport| measured.kernels.is_empty() && measured.steps.is_empty();
        ensure!(
            !report.adapters.iter().all(is_empty),
            "{} holds no kernel and no step to show; measure again with `gpu-digits bench --json {0}`",
            path.display()
        );
    }
    if args.summary {
        tables::summary(&reports).print(args.markdown);
        return Ok(Verdict::Passed);
    }
    let are_several = reports.len() > 1;
    let mut all = Report::new();
    let mut names = Vec::new();
    for (path, report) in args.reports.iter().zip(reports) {
        names.extend(titles(&report, are_several.then_some(path)));
        all.adapters.extend(report.adapters);
    }
    show(&all, &names, args.markdown, args.roofline.as_ref())?;
    Ok(Verdict::Passed)
}

/// A relative noise in per cent, or a dash if a single sample has none.
fn noise(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), |share| format!("{:.0} %", 100.0 * share))
}

fn write_json(report: &Report, output: Option<&Destination>) -> Result<()> {
    output.map_or(Ok(()), |output| output.write_json(report))
}

async fn bench_train(args: &BenchTrainArgs) -> Result<Verdict> {
    let (model, form) = lowering(&args.step)?;
    // Refuse a model that cannot be planned before any work.
    Plan::new(&model, PlanConfig { form, ..PlanConfig::for_mnist(1, None) })?;
    let gpus = open_and_say(&args.adapters).await?;
    let effort = Effort { samples: args.samples, ..Effort::DEFAULT };
    let mut report = Report::new();
    let mut failed = 0;
    for gpu in &gpus {
        let mut measured = begun(gpu, args.results.json.as_ref()).await?;
        let mut steps: Vec<StepTiming> = Vec::new();
        out!("{}\n{model}", gpu.info());
        tables::print_step_header();
        for kind in [Kind::Train, Kind::Infer] {
            for batch in each_once(&args.batch_size) {
                let bar = terminal::bar(1, "{spinner} {msg}");
                bar.set_message(format!(
                    "{} step, batch {batch}: compiling kernels (first time only)",
                    tables::kind_name(kind)
                ));
                let measured = measure_steps(gpu, &model, Step { kind, batch, form }, effort).await;
                bar.finish_and_clear();
                match measured {
                    Ok(step) => {
                        tables::print_step(&step);
                        if gpu.info().timestamps && step.device_seconds.is_none() {
                            warning!("  note: the device's timestamps are implausible, so the device time is left out");
                        }
                        steps.push(step);
                    }
                    Err(error) => {
                        failed += 1;
                        out!("{:<5}  {batch:>5}  cannot be measured", tables::kind_name(kind));
                        warning!("{} step, batch {batch}: {error:#}", tables::kind_name(kind));
                    }
                }
            }
        }
        if !steps.is_empty() {
            tables::print_start_up(&steps);
        }
        measured.steps = steps;
        report.adapters.push(measured);
    }
    ensure!(
        report.adapters.iter().any(|adapter| !adapter.steps.is_empty()),
        "no step could be measured; the lines above show the error of each"
    );
    write_json(&report, args.results.json.as_ref())?;
    if failed == 0 {
        return Ok(Verdict::Passed);
    }
    warning!("failed: {failed} of {} steps cannot be measured", 2 * gpus.len() * each_once(&args.batch_size).len());
    Ok(Verdict::Failed)
}

/// Batch sizes in the order in which they were given; one that was given twice is measured once.
fn each_once(batches: &[usize]) -> Vec<usize> {
    let is_new = |index: &usize| !batches[..*index].contains(&batches[*index]);
    (0..batches.len()).filter(is_new).map(|index| batches[index]).collect()
}
