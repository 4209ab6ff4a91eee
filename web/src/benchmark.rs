//! The times of a model's kernels and steps on the visitor's GPU.

use std::cell::RefCell;

use anyhow::Result;
use gpu_digits::bench::report::{AdapterReport, Report};
use gpu_digits::bench::{Effort, Kind, Peaks, Step, measure_kernels, measure_steps, of_plan};
use gpu_digits::plan::{Plan, PlanConfig, PlanForm};
use gpu_digits::{Device, Model, TrainConfig};
use js_sys::Function;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use crate::device::Opened;
use crate::{Answer, failed, tell};

/// A browser tells late that work is done, so that samples are longer than natively.
const EFFORT: Effort = Effort { sample_seconds: 0.05, samples: 9 };

/// Times the kernels of a training step of a model, and its steps; `browser` is what it says of itself. Returns the report,
/// which is the JSON of `gpu-digits bench --json`, and rows to show.
///
/// # Errors
/// If the device is the CPU, the model cannot be planned, or a kernel is wrong: wrong kernels are not timed.
#[wasm_bindgen]
pub async fn benchmark(
    device: &Opened,
    model: &str,
    batch: usize,
    browser: &str,
    progress: &Function,
) -> Answer<String> {
    measured(&device.0, model, batch, browser, progress).await.map_err(failed)
}

async fn measured(device: &Device, model: &str, batch: usize, browser: &str, progress: &Function) -> Result<String> {
    let Device::Gpu(gpu) = device else { anyhow::bail!("there is no GPU to time") };
    let model: Model = model.parse()?;
    let optimizer = Some(TrainConfig::DEFAULT.optimizer);
    let config = PlanConfig { steps: 1, form: PlanForm::FUSED, ..PlanConfig::for_mnist(batch, optimizer) };
    let mut candidates = of_plan(gpu, &Plan::new(&model, config)?);
    candidates.retain(|candidate| candidate.is_chosen());
    tell(progress, &json!({"now": "the peaks of the GPU", "done": 0, "count": candidates.len() + 3}));
    let mut measured = AdapterReport::for_others(gpu).await?;
    let peaks = Peaks::measure(gpu, EFFORT).await?;
    let done = RefCell::new(0);
    let kernels = measure_kernels(gpu, &peaks, &candidates, EFFORT, |candidate| {
        if let Some(candidate) = candidate {
            *done.borrow_mut() += 1;
            let count = candidates.len() + 3;
            tell(progress, &json!({"now": candidate.label(), "done": *done.borrow(), "count": count}));
        }
    })
    .await?;
    for kind in [Kind::Train, Kind::Infer] {
        tell(
            progress,
            &json!({"now": "whole steps", "done": candidates.len() + 1 + measured.steps.len(), "count": candidates.len() + 3}),
        );
        measured.steps.push(measure_steps(gpu, &model, Step { kind, batch, form: PlanForm::FUSED }, EFFORT).await?);
    }
    let rows: Vec<Value> = kernels
        .iter()
        .map(|row| {
            let seconds = row.timing.median_seconds;
            json!({
                "name": row.name(), "layers": row.layers, "microseconds": 1e6 * seconds, "spread": row.timing.spread,
                "gflops": row.flops as f64 / seconds / 1e9, "gigabytes": row.bytes as f64 / seconds / 1e9,
                "bound_share": row.bound_share, "binding": row.binding, "warnings": row.timing.warnings,
            })
        })
        .collect();
    measured.add_kernels(peaks, kernels);
    let shown = json!({"rows": rows, "peaks": peaks, "steps": measured.steps});
    let mut report = Report::new();
    browser.clone_into(&mut report.platform);
    report.adapters.push(measured);
    Ok(serde_json::to_string(&json!({"report": report, "shown": shown}))?)
}
