//! The tables of `bench`: an adapter's kernels and steps, adapters side by side, a line for each step.

use std::collections::BTreeMap;

use super::super::grouped::Grouped;
use super::super::{duration, percent, thousands};
use super::noise;
use crate::bench::report::{AdapterReport, KernelRow, Report};
use crate::bench::{Kind, Peaks, StepTiming};
use crate::plan::Precision;

/// Prints an adapter's peaks, its kernels, and their sum beside the time of the whole step; or its steps.
pub(super) fn print_adapter(title: &str, measured: &AdapterReport, markdown: bool) {
    out!("{title}");
    measured.peaks.iter().for_each(print_peaks);
    if measured.kernels.is_empty() {
        print_steps(&measured.steps, markdown);
    } else {
        print_kernels(measured, markdown);
    }
    out!("");
}

fn print_peaks(peaks: &Peaks) {
    let rate =
        |rate: Option<f64>, of: &str| rate.map_or_else(String::new, |rate| format!(", {:.1} of {of}", rate / 1e9));
    out!(
        "peaks: {:.1} GFLOP/s of f32{}{}; {:.1} GB/s of memory",
        peaks.flops_per_second / 1e9,
        rate(peaks.f16_flops_per_second, "f16"),
        rate(peaks.matrix_flops_per_second, "matrix units"),
        peaks.bytes_per_second / 1e9
    );
    out!(
        "a dispatch takes {}, or {} after a barrier; submitting one and waiting takes {}",
        duration(peaks.dispatch_seconds),
        duration(peaks.dependent_dispatch_seconds),
        duration(peaks.submit_seconds)
    );
}

fn print_kernels(measured: &AdapterReport, markdown: bool) {
    let timing = &measured.kernels[0].timing;
    out!("clock: {}, median of at least {} samples\n", timing.clock.name(), timing.samples);
    let step_seconds: f64 = measured.kernels.iter().map(KernelRow::step_seconds).sum();
    let header = ["variant", "time", "±", "GFLOP/s", "GB/s", "% of bound", "by", "% of step"];
    let mut table = Grouped::new("kernel", header, 1);
    for row in &measured.kernels {
        let seconds = row.timing.median_seconds;
        let is_of_step = row.is_chosen && !row.layers.is_empty();
        table.row(
            heading(row),
            [
                row.variant.clone(),
                duration(seconds),
                noise(row.timing.uncertainty),
                format!("{:.2}", row.flops as f64 / seconds / 1e9),
                format!("{:.2}", row.bytes as f64 / seconds / 1e9),
                format!("{:.1}", 100.0 * row.bound_share),
                format!("{:?}", row.binding).to_lowercase(),
                if is_of_step { percent(row.step_seconds() / step_seconds) } else { String::new() },
            ],
        );
    }
    table.print(markdown);
    print_warnings(&measured.kernels);
    for step in &measured.steps {
        out!(
            "\nsum of the kernels of a step {}, whole step {} ({:+.1} %),\n{} images/s",
            duration(step_seconds),
            duration(step.step_seconds),
            100.0 * (step.step_seconds / step_seconds - 1.0),
            thousands(step.images_per_second as usize)
        );
    }
}

/// The warnings about kernels, each with the number of kernels that it concerns.
fn print_warnings(kernels: &[KernelRow]) {
    let mut warnings = BTreeMap::new();
    for warning in kernels.iter().flat_map(|row| &row.timing.warnings) {
        *warnings.entry(warning).or_insert(0) += 1;
    }
    for (warning, count) in warnings {
        let of = if count == kernels.len() { String::new() } else { format!(" ({count} kernels)") };
        out!("note: {warning}{of}");
    }
}

/// The op with the layers that call it, or with its sizes if no layer is known.
fn heading(row: &KernelRow) -> String {
    match row.case.split_once(':') {
        Some((_, sizes)) if row.layers.is_empty() => format!("{}:{sizes}", row.op),
        _ => format!("{} ({})", row.op, row.layers.join(", ")),
    }
}

const STEP_HEADER: &str = "kind   batch   images/s       step      ±     device     encode     submit";

/// The header of [`print_step`]'s lines.
pub(super) fn print_step_header() {
    out!("{STEP_HEADER}");
}

/// A line for a step.
pub(super) fn print_step(step: &StepTiming) {
    out!("{}", step_line(step));
}

fn step_line(step: &StepTiming) -> String {
    let optional = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), duration);
    format!(
        "{:<5}  {:>5}  {:>9}  {:>9}  {:>5}  {:>9}  {:>9}  {:>9}",
        kind_name(step.kind),
        step.batch_size,
        thousands(step.images_per_second as usize),
        duration(step.step_seconds),
        noise(step.spread),
        optional(step.device_seconds),
        optional(step.encode_seconds),
        optional(step.submit_seconds),
    )
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Train => "train",
        Kind::Infer => "infer",
    }
}

/// Prints the start-up time and the memory of each step.
pub(super) fn print_start_up(steps: &[StepTiming]) {
    out!("\nkind   batch  first step  memory MB  dispatches");
    for step in steps {
        out!(
            "{:<5}  {:>5}  {:>10}  {:>9.1}  {:>10}",
            kind_name(step.kind),
            step.batch_size,
            duration(step.first_step_seconds),
            step.memory_bytes as f64 / 1e6,
            step.dispatches
        );
    }
}

/// Prints the steps of `bench train` in the same form as that command.
fn print_steps(steps: &[StepTiming], markdown: bool) {
    if markdown {
        return step_table(steps).print(true);
    }
    let mut models: Vec<String> = steps.iter().map(model_name).collect();
    models.dedup();
    for model in models {
        out!("{model}");
        let of_model: Vec<StepTiming> = steps.iter().filter(|step| model_name(step) == model).cloned().collect();
        print_step_header();
        of_model.iter().for_each(print_step);
        print_start_up(&of_model);
    }
}

fn step_table(steps: &[StepTiming]) -> Grouped {
    let header = ["kind", "batch", "images/s", "step", "±", "device", "first step", "memory MB", "dispatches"];
    let mut table = Grouped::new("model", header, 1);
    for step in steps {
        table.row(
            model_name(step),
            [
                kind_name(step.kind).to_owned(),
                step.batch_size.to_string(),
                thousands(step.images_per_second as usize),
                duration(step.step_seconds),
                noise(step.spread),
                step.device_seconds.map_or_else(|| "-".to_owned(), duration),
                duration(step.first_step_seconds),
                format!("{:.1}", step.memory_bytes as f64 / 1e6),
                step.dispatches.to_string(),
            ],
        );
    }
    table
}

pub(super) fn model_name(step: &StepTiming) -> String {
    let precision = if step.precision == Precision::F16 { " (f16)" } else { "" };
    format!("{}{precision}", step.model)
}

/// A line for each training step of each adapter of each report, beside the adapter's peaks.
pub(super) fn summary(reports: &[Report]) -> Grouped {
    let header = ["f32 GFLOP/s", "f16", "matrices", "GB/s", "batch", "step", "images/s", "date", "commit"];
    let mut table = Grouped::new("adapter", header, 0);
    for report in reports {
        for measured in &report.adapters {
            let peak = |of: fn(&Peaks) -> Option<f64>| {
                let rate = measured.peaks.as_ref().and_then(of);
                rate.map_or_else(String::new, |rate| format!("{:.1}", rate / 1e9))
            };
            let mut steps: Vec<Option<&StepTiming>> =
                measured.steps.iter().filter(|step| step.kind == Kind::Train).map(Some).collect();
            if steps.is_empty() {
                steps.push(None);
            }
            for step in steps {
                let of_step = |text: fn(&StepTiming) -> String| step.map_or_else(String::new, text);
                table.row(
                    measured.adapter.to_string(),
                    [
                        peak(|peaks| Some(peaks.flops_per_second)),
                        peak(|peaks| peaks.f16_flops_per_second),
                        peak(|peaks| peaks.matrix_flops_per_second),
                        peak(|peaks| Some(peaks.bytes_per_second)),
                        of_step(|step| step.batch_size.to_string()),
                        of_step(|step| duration(step.step_seconds)),
                        of_step(|step| thousands(step.images_per_second as usize)),
                        report.date.chars().take(10).collect(),
                        report.commit.chars().take(7).collect(),
                    ],
                );
            }
        }
    }
    table
}

/// A kernel or step of several adapters: its heading, its name below that, and its seconds on each.
#[derive(Debug, PartialEq)]
struct SideBySide {
    heading: String,
    name: String,
    seconds: Vec<Option<f64>>,
}

/// The kernels and steps of all adapters, in order of appearance.
fn side_by_side(adapters: &[AdapterReport]) -> Vec<SideBySide> {
    let mut rows: Vec<SideBySide> = Vec::new();
    for (place, measured) in adapters.iter().enumerate() {
        let kernels = measured.kernels.iter().map(|row| (heading(row), row.variant.clone(), row.timing.median_seconds));
        let steps = measured.steps.iter().map(|step| {
            let name = format!("{} step, batch {}", kind_name(step.kind), step.batch_size);
            (model_name(step), name, step.step_seconds)
        });
        for (heading, name, seconds) in kernels.chain(steps) {
            let at = rows.iter().position(|row| row.heading == heading && row.name == name).unwrap_or_else(|| {
                // After the last row of the same heading.
                let end = rows.iter().rposition(|row| row.heading == heading).map_or(rows.len(), |last| last + 1);
                rows.insert(end, SideBySide { heading, name, seconds: vec![None; adapters.len()] });
                end
            });
            rows[at].seconds[place] = Some(seconds);
        }
    }
    rows
}

/// Prints several adapters side by side, each against the first.
pub(super) fn print_side_by_side(titles: &[String], adapters: &[AdapterReport], markdown: bool) {
    let mut header = vec!["variant or step".to_owned()];
    for (place, title) in titles.iter().enumerate() {
        out!("{place}: {title}");
        header.push(format!("time {place}"));
        if place > 0 {
            header.push(format!("{place} / 0"));
        }
    }
    let mut table = Grouped::new("kernel", header, 1);
    for row in side_by_side(adapters) {
        let mut cells = vec![row.name];
        for (place, &seconds) in row.seconds.iter().enumerate() {
            cells.push(seconds.map_or_else(|| "-".to_owned(), duration));
            if place > 0 {
                let ratio = seconds.zip(row.seconds[0]).map(|(seconds, first)| format!("{:.2}", seconds / first));
                cells.push(ratio.unwrap_or_else(|| "-".to_owned()));
            }
        }
        table.row(row.heading, cells);
    }
    table.print(markdown);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gpu::{AdapterInfo, AdapterKind};

    fn step(kind: &str, batch: usize) -> serde_json::Value {
        json!({
            "kind": kind, "model": "flatten, dense 10", "batch_size": batch, "images_per_second": 1e6, "step_seconds": 0.123456,
            "spread": 0.5, "samples": 5, "host_seconds": 1e-3, "encode_seconds": 0.123, "submit_seconds": 0.123456,
            "device_seconds": 0.123456, "first_step_seconds": 1.0, "memory_bytes": 1, "dispatches": 1,
        })
    }

    fn adapter(cases: &[&str], steps: &[serde_json::Value]) -> AdapterReport {
        let kernels: Vec<_> = cases
            .iter()
            .map(|case| {
                json!({
                    "op": "relu", "case": case, "variant": case.split(['.', ':']).nth(1), "layers": [], "is_chosen": true,
                    "flops": 1, "bytes": 1, "bound_share": 0.5, "binding": "memory",
                    "timing": {
                        "clock": "gpu", "median_seconds": 1e-3, "min_seconds": 1e-3, "spread": 0.0, "uncertainty": 0.0,
                        "samples": 15, "repeats": 1, "warnings": [],
                    },
                })
            })
            .collect();
        serde_json::from_value(json!({
            "adapter": AdapterInfo::example("card", AdapterKind::Discrete),
            "peaks": null, "kernels": kernels, "steps": steps,
        }))
        .expect("a report of an adapter")
    }

    #[test]
    fn rows_that_the_first_adapter_lacks_are_shown() {
        let first = adapter(&["relu.vec4:length=4"], &[step("train", 1)]);
        let second = adapter(&["relu.vec4:length=4", "relu.wide:length=4"], &[step("train", 1), step("infer", 8)]);
        let rows = side_by_side(&[first, second]);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["vec4", "wide", "train step, batch 1", "infer step, batch 8"]);
        assert_eq!(rows[1].seconds, [None, Some(1e-3)]);
    }

    #[test]
    fn the_summary_has_a_line_for_each_batch_size() {
        let mut report = Report::new();
        report.adapters.push(adapter(&[], &[step("train", 1), step("train", 32), step("infer", 32)]));
        let summary = summary(&[report]);
        let batches: Vec<&str> = summary.rows().iter().map(|(_, cells)| cells[4].as_str()).collect();
        assert_eq!(batches, ["1", "32"]);
    }

    #[test]
    fn a_step_fits_80_columns_and_stands_below_its_header() {
        let step: StepTiming = serde_json::from_value(step("train", 65_536)).expect("a step");
        let line = step_line(&step);
        assert_eq!(line.chars().count(), STEP_HEADER.chars().count(), "{line}");
        assert!(line.chars().count() <= 80);
    }
}
