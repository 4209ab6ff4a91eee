//! Whether results can be right: for files that others send.
//!
//! Each rule has a reason why no honest result breaks it. A result that breaks none may still be wrong.

use std::collections::BTreeMap;

use super::peaks::Peaks;
use super::report::{AdapterReport, KernelRow, Report};
use super::statistics::median;

/// How far a kernel may be above the measured rate of multiply-adds. Winograd's method needs 2.25 times fewer than its
/// op counts, and the peak itself is measured.
const MOST_OF_ARITHMETIC: f64 = 2.25 * 1.15;

/// How far a kernel may be above the measured rate of memory, because its operands lie in a cache.
const MOST_OF_MEMORY: f64 = 20.0;

/// Mean losses of ten classes that a training may have, in nats.
const LOSSES: std::ops::Range<f64> = 0.0..100.0;

/// How far numbers that follow from each other may differ, because files round them.
const ROUNDING: f64 = 1e-6;

/// What is wrong with one adapter's results.
#[derive(Clone, Debug, PartialEq)]
pub struct Findings {
    /// The adapter.
    pub adapter: String,
    /// Each reason not to believe them.
    pub faults: Vec<String>,
    /// What they do not say, so that less can be checked.
    pub missing: Vec<String>,
}

/// Checks several reports, each adapter alone, and then those of the same adapter, driver and program against each
/// other. There is a list for each report.
pub fn check(reports: &[Report]) -> Vec<Vec<Findings>> {
    let mut found: Vec<Vec<Findings>> =
        reports.iter().map(|report| report.adapters.iter().map(findings).collect()).collect();
    // The weights of the short training, and where they were first seen.
    let mut seen: BTreeMap<[String; 6], (&str, usize)> = BTreeMap::new();
    for (index, report) in reports.iter().enumerate() {
        for (place, measured) in report.adapters.iter().enumerate() {
            let Some(training) = &measured.training else { continue };
            let adapter = &measured.adapter;
            let key = [
                &adapter.name,
                adapter.backend.name(),
                &adapter.driver,
                &adapter.driver_version,
                &report.commit,
                &training.model,
            ];
            let key = key.map(str::to_owned);
            let &mut (weights, first) = seen.entry(key).or_insert((&training.weights_sha256, index));
            if weights != training.weights_sha256 {
                found[index][place].faults.push(format!(
                    "its short training ends with other weights than that of result {} with the same adapter, driver \
                     and commit",
                    first + 1
                ));
            }
        }
    }
    found
}

fn findings(measured: &AdapterReport) -> Findings {
    let mut faults = Vec::new();
    let mut missing = Vec::new();
    match &measured.verified {
        Some(tally) if tally.failed > 0 => {
            faults.push(format!("{} checks of its kernels failed in the same process", tally.failed));
        }
        Some(tally) if tally.passed == 0 => {
            faults.push("no check of its kernels passed in the same process".to_owned())
        }
        Some(_) => {}
        None => missing.push("whether its kernels are right"),
    }
    match &measured.training {
        Some(training) if !LOSSES.contains(&training.loss) => {
            faults.push("its short training ends with an impossible loss".to_owned());
        }
        Some(training) if !is_hash(&training.weights_sha256) => {
            faults.push("the hash of its short training is no SHA-256".to_owned());
        }
        Some(_) => {}
        None => missing.push("the weights of the short training"),
    }
    if measured.kernels.is_empty() && measured.steps.is_empty() {
        faults.push("it holds no kernel and no step".to_owned());
    }
    faults.extend(measured.kernels.iter().filter_map(|row| {
        let fault = time_fault(row.timing.median_seconds, row.timing.min_seconds, &row.timing.sample_seconds)
            .or_else(|| roof_fault(measured, row))?;
        Some(format!("{}: {fault}", row.case))
    }));
    faults.extend(measured.steps.iter().filter_map(|step| {
        let rate = step.batch_size as f64 / step.step_seconds;
        let fault = time_fault(step.step_seconds, 0.0, &step.sample_seconds).or_else(|| {
            (!is_near(rate, step.images_per_second)).then(|| "images a second do not fit the time".into())
        })?;
        Some(format!("{:?} step of {}, batch {}: {fault}", step.kind, step.model, step.batch_size).to_lowercase())
    }));
    faults.extend(step_fault(measured));
    if !measured.kernels.is_empty() && measured.peaks.is_none() {
        missing.push("the peaks of the adapter");
    }
    let has_samples = measured.kernels.iter().all(|row| !row.timing.sample_seconds.is_empty())
        && measured.steps.iter().all(|step| !step.sample_seconds.is_empty());
    if !has_samples {
        missing.push("the samples of each time");
    }
    let missing = missing.into_iter().map(str::to_owned).collect();
    Findings { adapter: measured.adapter.to_string(), faults, missing }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= ROUNDING * a.abs().max(b.abs())
}

fn time_fault(median_seconds: f64, min_seconds: f64, samples: &[f64]) -> Option<String> {
    // Loading a report makes impossible times into NaN.
    if !median_seconds.is_finite() || min_seconds.is_nan() || min_seconds < 0.0 {
        return Some("it has an impossible time".to_owned());
    }
    if min_seconds > median_seconds * (1.0 + ROUNDING) {
        return Some("its fastest sample takes longer than its median".to_owned());
    }
    let is_median = samples.is_empty() || is_near(median(samples), median_seconds);
    (!is_median).then(|| "its median is not that of its samples".to_owned())
}

fn roof_fault(measured: &AdapterReport, row: &KernelRow) -> Option<String> {
    let peaks = measured.peaks.as_ref()?;
    let above = |amount: u64, peak: f64| amount as f64 / row.timing.median_seconds / peak;
    let (of_arithmetic, of_memory) = (above(row.flops, most_flops(peaks)), above(row.bytes, peaks.bytes_per_second));
    // A time below that of an empty dispatch says that the clock is too coarse for it, and nothing about the roof.
    let is_short = row.timing.median_seconds < peaks.dispatch_seconds;
    if of_arithmetic > MOST_OF_ARITHMETIC {
        Some(format!("{of_arithmetic:.1} times as fast as the adapter's peak of arithmetic"))
    } else if of_memory > MOST_OF_MEMORY && !is_short {
        Some(format!("{of_memory:.0} times as fast as the adapter's peak of memory"))
    } else {
        None
    }
}

/// The greatest of the rates of arithmetic: a report does not say which kernels use which.
fn most_flops(peaks: &Peaks) -> f64 {
    let others = [peaks.f16_flops_per_second, peaks.matrix_flops_per_second];
    others.into_iter().flatten().fold(peaks.flops_per_second, f64::max)
}

/// A training step cannot do its kernels' arithmetic faster than the peak allows.
fn step_fault(measured: &AdapterReport) -> Option<String> {
    let peaks = measured.peaks.as_ref()?;
    let chosen = measured.kernels.iter().filter(|row| row.is_chosen && !row.layers.is_empty());
    let flops: u64 = chosen.map(|row| row.flops * row.layers.len() as u64).sum();
    let [step] = &measured.steps[..] else { return None };
    let share = flops as f64 / step.step_seconds / most_flops(peaks);
    (share > MOST_OF_ARITHMETIC).then(|| format!("its step does {share:.1} times the arithmetic that the peak allows"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gpu::{AdapterInfo, AdapterKind};

    const HASH: &str = "9c5b278bedaa91ddf7a18702cee6cdb47a06302168356c4a7cc527a1581b36e3";

    /// A right result after a change of its JSON.
    fn report(change: impl Fn(&mut Value)) -> Report {
        let mut adapter = json!({
            "adapter": AdapterInfo::example("card", AdapterKind::Discrete),
            "verified": {"passed": 3, "failed": 0, "skipped": 0, "worst_ratio": 0.5},
            "training": {"model": "dense 10", "steps": 20, "loss": 0.7, "weights_sha256": HASH},
            "peaks": {
                "flops_per_second": 1e12, "f16_flops_per_second": null, "bytes_per_second": 1e11,
                "dispatch_seconds": 1e-6, "dependent_dispatch_seconds": 1e-6, "submit_seconds": 1e-5,
            },
            "kernels": [{
                "op": "relu_forward", "case": "relu_forward:length=4", "variant": "plain", "layers": ["relu1"],
                "is_chosen": true, "flops": 1_000_000_000_u64, "bytes": 1_000_000, "bound_share": 1.0, "binding": "compute",
                "timing": {
                    "clock": "gpu", "median_seconds": 2e-3, "min_seconds": 1e-3, "spread": 0.5, "uncertainty": 0.2,
                    "samples": 3, "sample_seconds": [3e-3, 1e-3, 2e-3], "repeats": 1, "warnings": [],
                },
            }],
            "steps": [{
                "kind": "train", "model": "dense 10", "batch_size": 100, "images_per_second": 1e4, "step_seconds": 1e-2,
                "spread": 0.5, "samples": 1, "sample_seconds": [1e-2], "host_seconds": 1e-3, "first_step_seconds": 1.0,
                "memory_bytes": 1, "dispatches": 1,
            }],
        });
        change(&mut adapter);
        let mut report = Report::new();
        report.adapters.push(serde_json::from_value(adapter).unwrap());
        report
    }

    fn faults(change: impl Fn(&mut Value)) -> Vec<String> {
        check(&[report(change)])[0][0].faults.clone()
    }

    #[test]
    fn a_right_result_has_no_fault_and_lacks_nothing() {
        let found = &check(&[report(|_| ())])[0][0];
        assert_eq!((&found.faults, &found.missing), (&vec![], &vec![]));
    }

    #[test]
    fn each_kind_of_nonsense_is_found() {
        let found = |change: fn(&mut Value), words: &str| {
            let faults = faults(change);
            assert!(faults.len() == 1 && faults[0].contains(words), "{words}: {faults:?}");
        };
        found(|r| r["verified"]["failed"] = json!(2), "2 checks of its kernels failed");
        found(|r| r["verified"]["passed"] = json!(0), "no check of its kernels passed");
        found(|r| r["training"]["weights_sha256"] = json!("abc"), "no SHA-256");
        found(|r| r["training"]["loss"] = json!(-1.0), "an impossible loss");
        found(|r| r["kernels"][0]["flops"] = json!(6_000_000_000_u64), "relu_forward:length=4: 3.0 times as fast");
        found(
            |r| r["kernels"][0]["bytes"] = json!(6_000_000_000_u64),
            "30 times as fast as the adapter's peak of memory",
        );
        found(|r| r["kernels"][0]["timing"]["median_seconds"] = json!(2.5e-3), "not that of its samples");
        found(|r| r["kernels"][0]["timing"]["min_seconds"] = json!(2.5e-3), "longer than its median");
        found(|r| r["kernels"][0]["timing"]["min_seconds"] = json!(-1.0), "an impossible time");
        found(
            |r| r["steps"][0]["images_per_second"] = json!(2e4),
            "train step of dense 10, batch 100: images a second",
        );
        found(
            |r| {
                r["steps"][0]["step_seconds"] = json!(1e-4);
                r["steps"][0]["images_per_second"] = json!(1e6);
                r["steps"][0]["sample_seconds"] = json!([1e-4]);
            },
            "its step does 10.0 times the arithmetic",
        );
        found(
            |r| {
                r["steps"] = json!([]);
                r["kernels"] = json!([]);
            },
            "no kernel and no step",
        );
    }

    #[test]
    fn what_is_not_said_is_named_and_no_fault() {
        let found = &check(&[report(|r| {
            for field in ["verified", "training", "peaks"] {
                r[field] = Value::Null;
            }
            r["steps"][0]["sample_seconds"] = json!([]);
        })])[0][0];
        assert_eq!(found.faults, Vec::<String>::new());
        assert_eq!(found.missing.len(), 4);
    }

    #[test]
    fn other_weights_on_the_same_adapter_are_found() {
        let other = report(|r| r["training"]["weights_sha256"] = json!(HASH.replace('9', "8")));
        let newer = report(|r| {
            r["training"]["weights_sha256"] = json!(HASH.replace('9', "8"));
            r["adapter"]["driver_version"] = json!("another");
        });
        let found = check(&[report(|_| ()), other, newer]);
        let faults: Vec<usize> = found.iter().map(|found| found[0].faults.len()).collect();
        assert_eq!(faults, [0, 1, 0]);
        assert!(found[1][0].faults[0].contains("than that of result 1"), "{:?}", found[1][0].faults);
    }
}
