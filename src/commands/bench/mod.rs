//! `gpu-digits bench`, `bench train` and `bench compare`.

mod compare;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use comfy_table::{ColumnConstraint, Table, presets};

use super::verify::{Work, open};
use super::{Verdict, duration, kernel_bar, note_unfused, percent, print_table, table, thousands};
use crate::bench::report::{AdapterReport, KernelRow, Report};
use crate::bench::{Effort, Kind, Peaks, StepTiming, measure_kernels, measure_steps, of_cases, of_plan, roofline};
use crate::cli::{BenchArgs, BenchCommand, BenchTrainArgs, ShowArgs, Switch};
use crate::files::Destination;
use crate::gpu::Gpu;
use crate::model::Model;
use crate::plan::{Plan, PlanConfig};
use crate::train::TrainConfig;

pub(super) async fn run(args: BenchArgs) -> Result<Verdict> {
    match args.command {
        Some(BenchCommand::Train(args)) => bench_train(&args).await,
        Some(BenchCommand::Compare(args)) => compare::run(&args),
        Some(BenchCommand::Show(args)) => bench_show(&args),
        None => bench_kernels(&args).await,
    }
}

async fn open_and_say(device: &str) -> Result<Vec<Gpu>> {
    let gpus = open(device, "bench times kernels on a GPU").await?;
    for gpu in &gpus {
        note!("device: {}", gpu.info());
    }
    if cfg!(debug_assertions) {
        note!("  note: a debug build; build with --release");
    }
    Ok(gpus)
}

async fn bench_kernels(args: &BenchArgs) -> Result<Verdict> {
    let model: Model = args.model.parse()?;
    let optimizer = Some(TrainConfig::DEFAULT.optimizer);
    let batch = args.batch_size;
    let (fuse, precision) = (args.fuse == Switch::On, args.precision);
    let config = PlanConfig { steps: 1, fuse, precision, ..PlanConfig::for_mnist(batch, optimizer) };
    let plan = Plan::new(&model, config)?;
    note_unfused(&plan);
    let cases = if args.ops.is_empty() { None } else { Some(Work::select(&args.ops)?.cases()?) };
    let gpus = open_and_say(&args.device).await?;
    let effort = Effort { samples: args.samples, ..Effort::DEFAULT };

    let mut report = Report::new();
    for gpu in &gpus {
        let candidates = cases.as_ref().map_or_else(|| of_plan(gpu, &plan), |cases| of_cases(gpu, cases));
        let bar = kernel_bar(candidates.len());
        bar.set_message("what the adapter can do");
        let peaks = Peaks::measure(gpu, effort).await?;
        let kernels = measure_kernels(gpu, &peaks, &candidates, effort, |candidate| {
            bar.set_message(candidate.label());
            bar.inc(1);
        })
        .await?;
        let mut steps = Vec::new();
        if cases.is_none() {
            bar.set_message("the whole step");
            steps.push(measure_steps(gpu, &model, batch, Kind::Train, effort, fuse, precision).await?);
        }
        bar.finish_and_clear();
        report.adapters.push(AdapterReport { adapter: gpu.info().clone(), peaks: Some(peaks), kernels, steps });
    }
    // First what took so long: a closed pipe ends the program at the first line that it prints.
    write_json(&report, args.json.as_ref())?;
    show(&report, args.markdown, args.roofline.as_ref())?;
    Ok(Verdict::Passed)
}

/// Prints a report's tables and draws its picture.
fn show(report: &Report, markdown: bool, picture: Option<&Destination>) -> Result<()> {
    for measured in &report.adapters {
        print_adapter(measured, markdown);
    }
    if report.adapters.len() > 1 {
        print_side_by_side(report, markdown);
    }
    if let Some(output) = picture {
        roofline::draw(&report.adapters, output)?;
        note!("wrote {output}");
    }
    Ok(())
}

/// Prints saved reports, the adapters of several side by side.
fn bench_show(args: &ShowArgs) -> Result<Verdict> {
    if args.summary {
        let reports = args.reports.iter().map(|path| Report::load(path)).collect::<Result<Vec<_>>>()?;
        print_summary(&reports, args.markdown);
        return Ok(Verdict::Passed);
    }
    let mut all = Report::load(&args.reports[0])?;
    for path in &args.reports[1..] {
        all.adapters.extend(Report::load(path)?.adapters);
    }
    show(&all, args.markdown, args.roofline.as_ref())?;
    Ok(Verdict::Passed)
}

/// A relative noise in per cent; a dash where a single sample does not tell it.
fn noise(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", 100.0 * share))
}

fn write_json(report: &Report, output: Option<&Destination>) -> Result<()> {
    output.map_or(Ok(()), |output| output.write_json(report))
}

/// What an adapter can do, its kernels, and the sum of those of a step beside the whole step.
fn print_adapter(measured: &AdapterReport, markdown: bool) {
    out!("{}", measured.adapter);
    if let Some(peaks) = &measured.peaks {
        let rate = |rate: Option<f64>, of: &str| {
            rate.map_or_else(String::new, |rate| format!(", {:.1} GFLOP/s of {of}", rate / 1e9))
        };
        let half = rate(peaks.f16_flops_per_second, "f16");
        let matrices = rate(peaks.matrix_flops_per_second, "cooperative matrices");
        out!(
            "peaks: {:.1} GFLOP/s of f32 multiply-adds{half}{matrices}, {:.1} GB/s of memory; a dispatch takes {}, {} \
             after a barrier, submitting one and waiting {}",
            peaks.flops_per_second / 1e9,
            peaks.bytes_per_second / 1e9,
            duration(peaks.dispatch_seconds),
            duration(peaks.dependent_dispatch_seconds),
            duration(peaks.submit_seconds),
        );
    }
    let Some(first) = measured.kernels.first() else { return };
    out!("clock: {:?}, median of {} samples\n", first.timing.clock, first.timing.samples);
    let step_seconds: f64 = measured.kernels.iter().map(KernelRow::step_seconds).sum();
    let mut table =
        table(&["kernel", "layers", "time", "±", "GFLOP/s", "GB/s", "% of bound", "bound by", "% of step"], 2);
    for row in &measured.kernels {
        let seconds = row.timing.median_seconds;
        let share = if row.is_chosen && !row.layers.is_empty() {
            percent(row.step_seconds() / step_seconds)
        } else {
            String::new()
        };
        table.add_row([
            row.name().to_owned(),
            row.layers.join(" "),
            duration(seconds),
            noise(row.timing.uncertainty),
            format!("{:.2}", row.flops as f64 / seconds / 1e9),
            format!("{:.2}", row.bytes as f64 / seconds / 1e9),
            format!("{:.1}", 100.0 * row.bound_share),
            format!("{:?}", row.binding).to_lowercase(),
            share,
        ]);
    }
    if measured.kernels.iter().all(|row| row.layers.is_empty()) {
        for (index, column) in table.column_iter_mut().enumerate() {
            if index == 1 || index == 8 {
                column.set_constraint(ColumnConstraint::Hidden);
            }
        }
    }
    print(table, markdown);
    let mut warnings = BTreeMap::new();
    for warning in measured.kernels.iter().flat_map(|row| &row.timing.warnings) {
        *warnings.entry(warning).or_insert(0) += 1;
    }
    for (warning, count) in warnings {
        let of = if count == measured.kernels.len() { String::new() } else { format!(" ({count} kernels)") };
        out!("note: {warning}{of}");
    }
    if let Some(step) = measured.steps.first() {
        out!(
            "\nsum of the kernels of a step {}, whole step {} ({:+.1} %), {} images/s",
            duration(step_seconds),
            duration(step.step_seconds),
            100.0 * (step.step_seconds / step_seconds - 1.0),
            thousands(step.images_per_second as usize)
        );
    }
    out!("");
}

/// A line for each adapter of each report: what it can do, and its first training step.
fn print_summary(reports: &[Report], markdown: bool) {
    let header = ["adapter", "f32 GFLOP/s", "f16", "matrices", "GB/s", "batch", "step", "images/s", "date", "commit"];
    let mut table = table(&header, 1);
    for report in reports {
        for measured in &report.adapters {
            let peak = |of: fn(&Peaks) -> Option<f64>| {
                let rate = measured.peaks.as_ref().and_then(of);
                rate.map_or_else(String::new, |rate| format!("{:.1}", rate / 1e9))
            };
            let step = measured.steps.iter().find(|step| step.kind == Kind::Train);
            let of_step = |text: fn(&StepTiming) -> String| step.map_or_else(String::new, text);
            table.add_row([
                measured.adapter.to_string(),
                peak(|peaks| Some(peaks.flops_per_second)),
                peak(|peaks| peaks.f16_flops_per_second),
                peak(|peaks| peaks.matrix_flops_per_second),
                peak(|peaks| Some(peaks.bytes_per_second)),
                of_step(|step| step.batch_size.to_string()),
                of_step(|step| duration(step.step_seconds)),
                of_step(|step| thousands(step.images_per_second as usize)),
                report.date.chars().take(10).collect(),
                report.commit.chars().take(7).collect(),
            ]);
        }
    }
    print(table, markdown);
}

fn print_side_by_side(report: &Report, markdown: bool) {
    let titles: Vec<String> = report.adapters.iter().map(|measured| measured.adapter.to_string()).collect();
    let mut header = vec!["kernel".to_owned(), "layers".to_owned()];
    for (place, _) in titles.iter().enumerate() {
        header.push(format!("time {place}"));
        if place > 0 {
            header.push(format!("{place} / 0"));
        }
    }
    for (place, title) in titles.iter().enumerate() {
        out!("{place}: {title}");
    }
    let mut table = table(&header.iter().map(String::as_str).collect::<Vec<_>>(), 2);
    for row in &report.adapters[0].kernels {
        let mut cells = vec![row.name().to_owned(), row.layers.join(" ")];
        for (place, measured) in report.adapters.iter().enumerate() {
            let other = measured.kernels.iter().find(|other| other.case == row.case);
            cells.push(other.map_or_else(|| "-".to_owned(), |other| duration(other.timing.median_seconds)));
            if place > 0 {
                let ratio =
                    |other: &KernelRow| format!("{:.2}", other.timing.median_seconds / row.timing.median_seconds);
                cells.push(other.map_or_else(|| "-".to_owned(), ratio));
            }
        }
        table.add_row(cells);
    }
    print(table, markdown);
}

fn print(mut table: Table, markdown: bool) {
    if markdown {
        table.load_style(presets::ASCII_MARKDOWN);
        table.column_iter_mut().for_each(|column| {
            column.set_padding((1, 1));
        });
    }
    print_table(&table);
}

async fn bench_train(args: &BenchTrainArgs) -> Result<Verdict> {
    let model: Model = args.model.parse()?;
    let (fuse, precision) = (args.fuse == Switch::On, args.precision);
    // What cannot be planned for any batch is refused before any work.
    note_unfused(&Plan::new(&model, PlanConfig { fuse, precision, ..PlanConfig::for_mnist(1, None) })?);
    let gpus = open_and_say(&args.device).await?;
    let effort = Effort { samples: args.samples, ..Effort::DEFAULT };
    let mut report = Report::new();
    for gpu in &gpus {
        let mut steps: Vec<StepTiming> = Vec::new();
        out!("{}, {model}", gpu.info());
        out!(
            "  kind  batch     images/s        step    ±     device    encode     submit  first step  memory MB  dispatches"
        );
        for kind in [Kind::Train, Kind::Infer] {
            for &batch in &args.batch_size {
                let timing = match measure_steps(gpu, &model, batch, kind, effort, fuse, precision).await {
                    Ok(timing) => timing,
                    Err(error) => {
                        out!("{:>6}  {batch:>5}  {error:#}", format!("{kind:?}").to_lowercase());
                        continue;
                    }
                };
                let optional = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), duration);
                out!(
                    "{:>6}  {batch:>5}  {:>11}  {:>10}  {:>4}  {:>9}  {:>8}  {:>9}  {:>10}  {:>9.1}  {:>10}",
                    format!("{kind:?}").to_lowercase(),
                    thousands(timing.images_per_second as usize),
                    duration(timing.step_seconds),
                    noise(timing.spread),
                    optional(timing.device_seconds),
                    optional(timing.encode_seconds),
                    optional(timing.submit_seconds),
                    duration(timing.first_step_seconds),
                    timing.memory_bytes as f64 / 1e6,
                    timing.dispatches
                );
                steps.push(timing);
            }
        }
        report.adapters.push(AdapterReport { adapter: gpu.info().clone(), peaks: None, kernels: vec![], steps });
    }
    ensure!(
        report.adapters.iter().any(|adapter| !adapter.steps.is_empty()),
        "nothing could be measured: see the table"
    );
    write_json(&report, args.json.as_ref())?;
    Ok(Verdict::Passed)
}
