//! The tables of `bench`: an adapter's kernels and steps, adapters side by side, a line for each step.

use std::collections::BTreeMap;

use super::super::grouped::Grouped;
use super::super::{duration, percent, thousands};
use super::noise;
use crate::bench::report::{AdapterReport, KernelRow, Report, told_apart};
use crate::bench::{Kind, Peaks, StepTiming};
use crate::model::short_name;
use crate::numbers::{NONE, fixed};
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
        "peaks: {} GFLOP/s of f32{}{}; {} GB/s of memory",
        fixed(peaks.flops_per_second / 1e9, 1),
        rate(peaks.f16_flops_per_second, "f16"),
        rate(peaks.matrix_flops_per_second, "matrix units"),
        fixed(peaks.bytes_per_second / 1e9, 1)
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
    let samples = measured.kernels.iter().map(|row| row.timing.samples).min().unwrap_or_default();
    out!("clock: {}, median of at least {samples} samples\n", timing.clock.name());
    let step_seconds: f64 = measured.kernels.iter().map(KernelRow::step_seconds).sum();
    let header = ["variant", "time", "±", "GFLOP/s", "GB/s", "% of bound", "by", "% of step"];
    let mut table = Grouped::new("kernel", header, 1);
    let headings = headings(&measured.kernels.iter().collect::<Vec<_>>());
    for (heading, row) in headings.into_iter().zip(&measured.kernels) {
        let seconds = row.timing.median_seconds;
        let is_of_step = row.is_chosen && !row.layers.is_empty();
        table.row(
            heading,
            [
                row.variant.clone(),
                duration(seconds),
                noise(row.timing.uncertainty),
                fixed(row.flops as f64 / seconds / 1e9, 2),
                fixed(row.bytes as f64 / seconds / 1e9, 2),
                if seconds.is_finite() { fixed(100.0 * row.bound_share, 1) } else { NONE.to_owned() },
                format!("{:?}", row.binding).to_lowercase(),
                if is_of_step { percent(row.step_seconds() / step_seconds) } else { String::new() },
            ],
        );
    }
    table.print(markdown);
    print_warnings(&measured.kernels);
    for step in &measured.steps {
        out!(
            "\nsum of the kernels of a step {}, whole step {} ({} %),\n{} images/s",
            duration(step_seconds),
            duration(step.step_seconds),
            signed(100.0 * (step.step_seconds / step_seconds - 1.0)),
            images_per_second(step)
        );
    }
}

fn images_per_second(step: &StepTiming) -> String {
    let rate = step.images_per_second;
    if rate.is_finite() { thousands(rate as usize) } else { NONE.to_owned() }
}

fn signed(value: f64) -> String {
    if value.is_finite() { format!("{value:+.1}") } else { NONE.to_owned() }
}

/// The warnings about kernels, each with the number of kernels that it concerns.
fn print_warnings(kernels: &[KernelRow]) {
    let mut warnings = BTreeMap::new();
    for warning in kernels.iter().flat_map(|row| &row.timing.warnings) {
        *warnings.entry(warning).or_insert(0) += 1;
    }
    for (warning, count) in warnings {
        let of = match count {
            count if count == kernels.len() => String::new(),
            1 => " (1 kernel)".to_owned(),
            count => format!(" ({count} kernels)"),
        };
        out!("note: {warning}{of}");
    }
}

/// What the kernels are called above their variants: the op with the layers that call it, or with its sizes if no layer
/// is known.
pub(super) fn headings(rows: &[&KernelRow]) -> Vec<String> {
    told_apart(rows, |row| match row.layers.as_slice() {
        [] => format!("{}:{}", row.op, row.sizes()),
        layers => format!("{} ({})", row.op, layers.join(", ")),
    })
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
    let optional = |seconds: Option<f64>| seconds.map_or_else(|| NONE.to_owned(), duration);
    format!(
        "{:<5}  {:>5}  {:>9}  {:>9}  {:>5}  {:>9}  {:>9}  {:>9}",
        kind_name(step.kind),
        step.batch_size,
        images_per_second(step),
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
                images_per_second(step),
                duration(step.step_seconds),
                noise(step.spread),
                step.device_seconds.map_or_else(|| NONE.to_owned(), duration),
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

/// The model's name if it has one, otherwise its layers.
fn short_model_name(step: &StepTiming) -> String {
    model_name(&StepTiming { model: short_name(&step.model).to_owned(), ..step.clone() })
}

/// A line for each training step of each adapter of each report, beside the adapter's peaks.
pub(super) fn summary(reports: &[Report]) -> Grouped {
    let header = ["f32 GFLOP/s", "f16", "matrices", "GB/s", "model", "batch", "step", "images/s", "date", "commit"];
    let mut table = Grouped::new("adapter", header, 0);
    for report in reports {
        for measured in &report.adapters {
            let peak = |of: fn(&Peaks) -> Option<f64>| {
                let rate = measured.peaks.as_ref().and_then(of);
                rate.map_or_else(String::new, |rate| fixed(rate / 1e9, 1))
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
                        of_step(short_model_name),
                        of_step(|step| step.batch_size.to_string()),
                        of_step(|step| duration(step.step_seconds)),
                        of_step(images_per_second),
                        report.date.chars().take(10).collect(),
                        report.commit.chars().take(7).collect(),
                    ],
                );
            }
        }
    }
    table
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::gpu::{AdapterInfo, AdapterKind};

    pub(in crate::program::commands::bench) fn step(kind: &str, batch: usize) -> serde_json::Value {
        json!({
            "kind": kind, "model": "flatten, dense 10", "batch_size": batch, "images_per_second": 1e6, "step_seconds": 0.123456,
            "spread": 0.5, "samples": 5, "host_seconds": 1e-3, "encode_seconds": 0.123, "submit_seconds": 0.123456,
            "device_seconds": 0.123456, "first_step_seconds": 1.0, "memory_bytes": 1, "dispatches": 1,
        })
    }

    pub(in crate::program::commands::bench) fn adapter(cases: &[&str], steps: &[serde_json::Value]) -> AdapterReport {
        let kernels: Vec<_> = cases
            .iter()
            .map(|case| {
                json!({
                    "op": case.split(['.', ':']).next(), "case": case, "variant": case.split(['.', ':']).nth(1), "layers": [], "is_chosen": true,
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
    fn the_summary_has_a_line_for_each_batch_size() {
        let mut report = Report::new();
        report.adapters.push(adapter(&[], &[step("train", 1), step("train", 32), step("infer", 32)]));
        let summary = summary(&[report]);
        let batches: Vec<&str> = summary.rows().iter().map(|(_, cells)| cells[5].as_str()).collect();
        assert_eq!(batches, ["1", "32"]);
        let models: Vec<&str> = summary.rows().iter().map(|(_, cells)| cells[4].as_str()).collect();
        assert_eq!(models, ["flatten, dense 10"; 2]);
    }

    #[test]
    fn kernels_of_a_layer_are_told_apart_by_the_sizes_that_differ() {
        let mut measured = adapter(&["relu:length=4,steps=1", "relu:length=9,steps=1", "relu:length=9"], &[]);
        for row in &mut measured.kernels[..2] {
            row.layers = vec!["dense1".to_owned()];
        }
        let rows: Vec<&KernelRow> = measured.kernels.iter().collect();
        assert_eq!(headings(&rows), ["relu (dense1), length=4", "relu (dense1), length=9", "relu:length=9"]);
        assert_eq!(headings(&rows[1..]), ["relu (dense1)", "relu:length=9"]);
    }

    #[test]
    fn a_step_fits_80_columns_and_stands_below_its_header() {
        let step: StepTiming = serde_json::from_value(step("train", 65_536)).expect("a step");
        let line = step_line(&step);
        assert_eq!(line.chars().count(), STEP_HEADER.chars().count(), "{line}");
        assert!(line.chars().count() <= 80);
    }
}
