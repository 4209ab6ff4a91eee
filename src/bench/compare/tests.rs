use serde_json::{Value, json};

use super::*;
use crate::bench::{Kind, StepTiming};
use crate::gpu::{AdapterInfo, AdapterKind};

/// A report of 12 kernels and a training step on each adapter. `factors` multiply the times of each adapter.
fn report(factors: &[f64]) -> Report {
    let adapters: Vec<Value> = factors.iter().enumerate().map(|(index, &factor)| adapter(index, factor)).collect();
    serde_json::from_value(json!({
        "schema": 1, "version": "0", "commit": "c", "wgpu": "30", "date": "", "platform": "linux", "command": [],
        "adapters": adapters,
    }))
    .expect("a report")
}

fn adapter(index: usize, factor: f64) -> Value {
    let card = AdapterInfo::example("card", AdapterKind::Discrete);
    let info = AdapterInfo { index, id: format!("{}-{index}", card.id), driver_version: "1".to_owned(), ..card };
    let kernel = |number: usize| {
        json!({
            "op": "relu_forward", "case": format!("relu_forward:length={number}"), "variant": "plain", "layers": [],
            "is_chosen": true, "flops": 1, "bytes": 1, "bound_share": 0.5, "binding": "memory",
            "timing": {
                "clock": "gpu", "median_seconds": factor * 1e-3 * number as f64, "min_seconds": 1e-3, "spread": 0.0,
                "uncertainty": 0.0, "samples": 15, "repeats": 1, "warnings": [],
            },
        })
    };
    json!({
        "adapter": info,
        "peaks": {
            "flops_per_second": 1e12, "f16_flops_per_second": null, "bytes_per_second": 1e11, "dispatch_seconds": 1e-7,
            "dependent_dispatch_seconds": 1e-7, "submit_seconds": 1e-5,
        },
        "kernels": (1..=12).map(kernel).collect::<Vec<_>>(),
        "steps": [{
            "kind": "train", "model": "dense 10", "batch_size": 1, "images_per_second": 1.0, "step_seconds": factor,
            "spread": 0.0, "samples": 15, "host_seconds": 1e-3, "first_step_seconds": 1.0, "memory_bytes": 1, "dispatches": 1,
        }],
    })
}

/// Pseudo-random numbers between -1 and 1.
fn noise(seed: usize) -> f64 {
    ((seed as f64 * 12.9898).sin() * 43758.5453).fract()
}

fn named(comparison: &Comparison) -> usize {
    comparison.cases.iter().chain(&comparison.wholes).filter(|change| change.is_real()).count()
}

fn is_failed(gate: &Gate, words: &str) -> bool {
    matches!(gate, Gate::Failed(reasons) if reasons.iter().any(|reason| reason.contains(words)))
}

#[test]
fn a_report_is_equal_to_itself() {
    for cards in [&[1.0][..], &[1.0, 3.0]] {
        let comparison = compare(&report(cards), &report(cards));
        assert_eq!(comparison.cases.len(), 13 * cards.len());
        assert_eq!((named(&comparison), comparison.judge(0.1)), (0, Gate::Passed));
        assert_eq!(comparison.judge(0.0), Gate::Passed);
        assert!(comparison.warnings.len() == 1 && comparison.warnings[0].contains("one measurement"), "{comparison:?}");
        assert!(comparison.missing.is_empty(), "{comparison:?}");
    }
}

#[test]
fn a_noisy_file_is_equal_to_itself_at_any_threshold() {
    let mut noisy = report(&[1.0, 3.0]);
    for measured in &mut noisy.adapters {
        measured.kernels.iter_mut().for_each(|row| row.timing.spread = Some(0.9));
        measured.steps[0].spread = None;
        // Measured twice, with another time.
        let again = measured.steps[0].clone();
        measured.steps.push(StepTiming { step_seconds: 9.0, ..again });
    }
    let comparison = compare(&noisy, &noisy);
    assert_eq!((named(&comparison), comparison.missing.len(), comparison.judge(0.001)), (0, 0, Gate::Passed));
    // A time that cannot be is none there either.
    noisy.adapters[0].steps[0].step_seconds = f64::NAN;
    assert!(is_failed(&compare(&noisy, &noisy).judge(0.1), "1 case has an impossible time"));
}

#[test]
fn steps_are_judged_by_how_far_they_lie_apart_where_other_work_disturbs_them() {
    // Four steps, each of little spread, measured on a busy machine.
    let of = |seconds: [f64; 4]| {
        let mut report = report(&[1.0]);
        let measured = &mut report.adapters[0];
        measured.kernels.clear();
        let step = measured.steps.remove(0);
        for (index, seconds) in seconds.into_iter().enumerate() {
            let kind = if index < 2 { Kind::Train } else { Kind::Infer };
            measured.steps.push(StepTiming { kind, batch_size: index, step_seconds: seconds, ..step.clone() });
        }
        report
    };
    let before = of([1.0; 4]);
    let compare_with = |seconds| compare(&before, &of(seconds));
    let busy = compare_with([0.43, 1.56, 2.7, 0.9]);
    assert_eq!(named(&busy), 0, "{busy:?}");
    assert!(matches!(busy.judge(0.1), Gate::TooNoisy(_)));
    // On a quiet machine slower steps are reported: one step, steps of one kind, all steps.
    for (slower, count) in [([3.0, 1.0, 1.0, 1.0], 1), ([3.0, 3.0, 1.0, 1.0], 2), ([3.0; 4], 4)] {
        let comparison = compare_with(slower);
        assert_eq!(named(&comparison), count, "{slower:?}");
        assert!(is_failed(&comparison.judge(0.1), "slower by more than 10 %"));
    }
}

#[test]
fn a_slower_kernel_does_not_pass_where_peaks_are_no_numbers() {
    for wrong in [f64::NAN, f64::INFINITY] {
        let (mut before, mut now) = (report(&[1.0]), report(&[3.0]));
        for report in [&mut before, &mut now] {
            let peaks = report.adapters[0].peaks.as_mut().expect("peaks");
            (peaks.flops_per_second, peaks.dependent_dispatch_seconds) = (wrong, wrong);
        }
        assert!(is_failed(&compare(&before, &now).judge(0.1), "13 cases are slower"));
    }
}

#[test]
fn a_slower_second_card_of_the_same_name_does_not_pass() {
    let gate = compare(&report(&[1.0, 1.0]), &report(&[1.0, 3.0])).judge(0.1);
    assert!(is_failed(&gate, "13 cases are slower"), "{gate:?}");
}

#[test]
fn cards_are_told_apart_by_their_identity_and_in_old_files_by_their_order() {
    let (before, mut now) = (report(&[1.0, 3.0]), report(&[1.0, 3.0]));
    // Another card before them changes their numbers.
    now.adapters.swap(0, 1);
    assert_eq!(named(&compare(&before, &now)), 0);
    let mut old = before.clone();
    old.adapters.iter_mut().for_each(|measured| measured.adapter.id.clear());
    assert_eq!(named(&compare(&old, &before)), 0);
    assert!(named(&compare(&old, &report(&[3.0, 1.0]))) > 0);
}

#[test]
fn cases_that_are_missing_fail_and_are_named() {
    let (before, mut now) = (report(&[1.0]), report(&[1.0]));
    now.adapters[0].kernels.truncate(2);
    let comparison = compare(&before, &now);
    assert_eq!(comparison.missing.len(), 10);
    assert!(comparison.missing.contains(&"relu_forward:length=12".to_owned()), "{comparison:?}");
    assert!(is_failed(&comparison.judge(0.1), "10 cases are missing"));
    // A new case is reported but is not a failure.
    let comparison = compare(&now, &before);
    assert_eq!((comparison.added.len(), comparison.judge(0.1)), (10, Gate::Passed));
    // A missing card is 13 missing cases.
    let comparison = compare(&report(&[1.0, 1.0]), &report(&[1.0]));
    assert!(is_failed(&comparison.judge(0.1), "13 cases are missing"), "{comparison:?}");
}

#[test]
fn a_time_of_zero_fails() {
    for wrong in [0.0, -1.0, f64::NAN] {
        let mut now = report(&[1.0]);
        now.adapters[0].kernels[4].timing.median_seconds = wrong;
        now.adapters[0].steps[0].step_seconds = wrong;
        let comparison = compare(&report(&[1.0]), &now);
        assert_eq!(comparison.unusable.len(), 2);
        assert!(is_failed(&comparison.judge(0.1), "2 cases have an impossible time"));
    }
}

#[test]
fn the_whole_is_judged_where_each_kernel_is_a_little_slower() {
    let comparison = compare(&report(&[1.0]), &report(&[1.15]));
    assert!(is_failed(&comparison.judge(0.05), "all 12 kernels"), "{comparison:?}");
    assert!(is_failed(&comparison.judge(0.12), "all 12 kernels"), "{comparison:?}");
    assert_eq!(comparison.judge(0.2), Gate::Passed);
}

#[test]
fn a_threshold_below_the_noise_is_no_pass() {
    let mut noisy = report(&[1.0]);
    for row in &mut noisy.adapters[0].kernels {
        row.timing.spread = Some(0.1);
    }
    let mut again = noisy.clone();
    again.adapters[0].kernels[0].timing.median_seconds *= 1.001;
    let comparison = compare(&noisy, &again);
    assert!(matches!(comparison.judge(0.05), Gate::TooNoisy(why) if why.contains("5 %") && why.contains("--run")));
    assert_eq!(comparison.judge(0.8), Gate::Passed);
}

#[test]
fn a_faster_step_does_not_hide_noise_of_the_kernels() {
    let (mut before, mut now) = (report(&[1.0]), report(&[1.001]));
    for report in [&mut before, &mut now] {
        report.adapters[0].kernels.iter_mut().for_each(|row| row.timing.spread = Some(0.2));
        report.adapters[0].steps[0].spread = Some(0.4);
    }
    now.adapters[0].steps[0].step_seconds = 0.1;
    let gate = compare(&before, &now).judge(0.1);
    assert!(matches!(&gate, Gate::TooNoisy(why) if why.contains("all 12 kernels")), "{gate:?}");
}

#[test]
fn a_single_sample_is_not_taken_for_exact() {
    let mut single = report(&[1.0]);
    for row in &mut single.adapters[0].kernels {
        row.timing.spread = None;
    }
    let mut slower = single.clone();
    slower.adapters[0].kernels[0].timing.median_seconds *= 1.5;
    let comparison = compare(&single, &slower);
    assert_eq!(named(&comparison), 0);
    assert!(matches!(comparison.judge(0.1), Gate::TooNoisy(why) if why.contains("--samples")));
}

#[test]
fn a_machine_that_was_slower_in_one_run_is_told_by_its_peaks() {
    let mut now = report(&[1.3]);
    let peaks = now.adapters[0].peaks.as_mut().expect("peaks");
    peaks.flops_per_second /= 1.3;
    assert_eq!(named(&compare(&report(&[1.0]), &now)), 0);
    assert!(named(&compare(&report(&[1.0]), &report(&[1.3]))) > 0);
}

#[test]
fn other_adapters_and_drivers_are_told() {
    let mut now = report(&[1.0]);
    now.adapters[0].adapter.name = "other card".to_owned();
    now.adapters[0].adapter.driver_version = "2".to_owned();
    let warnings = compare(&report(&[1.0]), &now).warnings.join("\n");
    assert!(warnings.contains("card, then other card") && warnings.contains("1, then 2"), "{warnings}");
}

/// Pairs of noisy reports. In the second of each pair, the first kernel is `factor` times as slow.
fn rounds(seed: usize, factor: f64) -> Vec<(Report, Report)> {
    let of = |seed: usize, round: usize, factor: f64| {
        let mut report = report(&[1.0]);
        for (number, row) in report.adapters[0].kernels.iter_mut().enumerate() {
            let sum: f64 = (0..4).map(|part| noise(seed * 10_007 + round * 997 + number * 31 + part)).sum();
            row.timing.median_seconds *= (0.05 * sum).exp() * if number == 0 { factor } else { 1.0 };
        }
        report
    };
    (0..6).map(|round| (of(2 * seed, round, 1.0), of(2 * seed + 1, round, factor))).collect()
}

#[test]
fn a_program_compared_with_itself_in_rounds_is_named_in_one_of_twenty_tries_at_most() {
    let alarms = (0..200).filter(|&seed| named(&compare_rounds(&rounds(seed, 1.0))) > 0).count();
    assert!(alarms <= 20, "{alarms} of 200");
}

#[test]
fn rounds_find_a_slower_kernel_among_noise_and_only_that() {
    let comparison = compare_rounds(&rounds(3, 2.0));
    let slower: Vec<&str> =
        comparison.cases.iter().filter(|change| change.is_real()).map(|change| change.case.as_str()).collect();
    assert_eq!(slower, ["relu_forward:length=1"]);
    assert!(is_failed(&comparison.judge(0.2), "1 case is slower"));
}

#[test]
fn a_slow_hour_cancels_out_in_rounds() {
    let slow = |factor: f64| (report(&[factor]), report(&[factor]));
    let comparison = compare_rounds(&[slow(1.0), slow(3.0), slow(1.5)]);
    assert_eq!((named(&comparison), comparison.judge(0.01)), (0, Gate::Passed));
}

#[test]
fn a_case_that_a_round_lacks_cannot_be_compared() {
    let mut rounds = rounds(5, 1.0);
    rounds[3].1.adapters[0].kernels.pop();
    assert!(is_failed(&compare_rounds(&rounds).judge(1.0), "1 case is missing"));
}
