//! Instrumented shaders: every index into a shader's own arrays and every loop iteration is checked.
//!
//! WGSL clamps what lies beyond an array and wgpu's counters would end a loop, so neither mistake shows in results on
//! most drivers; on the others it is a wrong number or a hang. Here each shader runs with one more buffer, in which it
//! reports the first index beyond an array, and more rounds than its variant states. `watch.rs` puts that into its
//! text.

#[path = "../common/mod.rs"]
#[allow(dead_code)]
mod common;
mod watch;

use std::cmp::Reverse;

use common::{gpus, without_adapter};
use gpu_digits::gpu::{Gpu, run_variant};
use gpu_digits::layers::every_op;
use gpu_digits::op::{Op, Operand, Variant};
use gpu_digits::ops::Case;
use gpu_digits::random::Random;
use gpu_digits::tensor::{DType, HostTensor};
use gpu_digits::verify::cases;
use libtest_mimic::{Arguments, Failed, Trial};
use watch::{Found, REPORT_WORDS};

/// Of a shader without workgroup memory, whose arrays have one length for all, this many of the smallest cases run, and
/// as many of those with the most rounds.
const CASES: usize = 3;

/// Larger cases take too long in software.
const MOST_FLOPS: u64 = 2_000_000;

fn main() {
    let arguments = Arguments::from_args();
    let gpus = gpus();
    // The adapter that can run the most variants.
    let gpu = gpus.iter().max_by_key(|gpu| gpu.info().subgroup_size);
    let mut trials = vec![
        Trial::test("an_index_beyond_an_array_is_found", {
            let gpu = gpu.cloned();
            move || gpu.as_ref().map_or(Ok(()), an_index_beyond_an_array_is_found)
        }),
        Trial::test("a_loop_that_goes_on_is_found", {
            let gpu = gpu.cloned();
            move || gpu.as_ref().map_or(Ok(()), a_loop_that_goes_on_is_found)
        }),
    ];
    for entry in every_op() {
        let cases = cases(entry.name);
        let mut files: Vec<&str> =
            cases.iter().flat_map(|case| case.variants()).map(|variant| variant.shader.name).collect();
        files.sort_unstable();
        files.dedup();
        for file in files {
            let Some(gpu) = gpu.cloned() else {
                trials.push(without_adapter(file));
                continue;
            };
            let mut runs: Vec<(Case, Variant)> = cases
                .iter()
                .flat_map(|case| case.variants().into_iter().map(move |variant| (case.clone(), variant)))
                .filter(|(_, variant)| variant.shader.name == file)
                .collect();
            if runs.iter().all(|(_, variant)| variant.workgroup_bytes == 0) {
                runs = smallest_and_longest(runs);
            }
            let why_not = runs.iter().map(|(case, variant)| gpu.why_not(case.as_ref(), variant));
            let reasons: Vec<String> = why_not.clone().flatten().collect();
            if let (Some(reason), true) = (reasons.first(), why_not.clone().all(|reason| reason.is_some())) {
                trials.push(Trial::test(file, || Ok(())).with_kind(reason).with_ignored_flag(true));
                continue;
            }
            trials.push(Trial::test(file, move || {
                let can_run = |(case, variant): &&(Case, Variant)| gpu.why_not(case.as_ref(), variant).is_none();
                runs.iter().filter(can_run).try_for_each(|(case, variant)| {
                    match run_watched(&gpu, case, variant, variant.shader.source)? {
                        None => Ok(()),
                        Some(found) => Err(Failed::from(format!("{}: {found}", case.label()))),
                    }
                })
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The smallest cases, and of the others those in which an invocation makes the most rounds.
fn smallest_and_longest(mut runs: Vec<(Case, Variant)>) -> Vec<(Case, Variant)> {
    runs.sort_by_key(|(case, _)| case.flops());
    let mut others = runs.split_off(CASES.min(runs.len()));
    others.retain(|(case, _)| case.flops() <= MOST_FLOPS);
    others.sort_by_key(|(_, variant)| Reverse(variant.iterations));
    runs.extend(others.into_iter().take(CASES));
    runs
}

/// An op whose shaders have one more buffer, for their reports.
#[derive(Debug)]
struct Watched(Case);

impl Op for Watched {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn sizes(&self) -> Vec<(&'static str, f64)> {
        self.0.sizes()
    }

    fn operands(&self) -> Vec<Operand> {
        let report = Operand::update("watch_report", DType::U32, [REPORT_WORDS]);
        self.0.operands().into_iter().chain([report]).collect()
    }

    fn variants(&self) -> Vec<Variant> {
        self.0.variants()
    }

    fn reference(&self, _: &mut [HostTensor]) {
        unreachable!("what it computes is not looked at")
    }

    fn flops(&self) -> u64 {
        self.0.flops()
    }

    fn tolerance(&self) -> f64 {
        self.0.tolerance()
    }
}

/// Runs a variant with a text that is watched, and says what it did wrong.
fn run_watched(gpu: &Gpu, case: &Case, variant: &Variant, source: &str) -> Result<Option<Found>, Failed> {
    let watched = watch::watched(case.as_ref(), variant, source)?;
    if watched.sites.is_empty() && watched.loops == 0 {
        return Ok(None);
    }
    let shader = variant.shader.with_source(watched.source.leak());
    let variant = Variant { shader, ..variant.clone() };
    let mut inputs = case.test_inputs(&mut Random::new(0, 0));
    inputs.push(HostTensor::zeros(DType::U32, [REPORT_WORDS].into()));
    let results = pollster::block_on(run_variant(gpu, &Watched(case.clone()), &variant, &inputs))
        .map_err(|error| format!("{}: {error:#}", case.label()))?;
    let report = results.last().ok_or("a report")?;
    Ok(watch::read_report(report.u32(), &watched.sites))
}

/// What is found in some case of a shader of whose text one part is replaced.
fn found_in_broken(gpu: &Gpu, file: &str, from: &str, to: &str) -> Result<Option<Found>, Failed> {
    for case in cases(file.split('.').next().unwrap_or(file)) {
        let variant = case.variants().into_iter().find(|variant| variant.shader.name == file);
        let Some(variant) = variant.filter(|variant| gpu.why_not(case.as_ref(), variant).is_none()) else { continue };
        let source = variant.shader.source.replacen(from, to, 1);
        if source == variant.shader.source {
            return Err(format!("{file} has no `{from}`").into());
        }
        if let Some(found) = run_watched(gpu, &case, &variant, &source)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The limits that keep an index inside, taken away.
fn an_index_beyond_an_array_is_found(gpu: &Gpu) -> Result<(), Failed> {
    for (file, from, to) in [
        ("step_finish.tree", "sums[local] = sums_over", "sums[local + 1u] = sums_over"),
        ("conv_relu_pool_backward_weight.blocks", "min(number, tile_weights - 1u)", "number"),
    ] {
        match found_in_broken(gpu, file, from, to)? {
            Some(Found::Outside { .. }) => {}
            other => return Err(format!("{file}: an index beyond an array is not found, but {other:?}").into()),
        }
    }
    Ok(())
}

fn a_loop_that_goes_on_is_found(gpu: &Gpu) -> Result<(), Failed> {
    match found_in_broken(gpu, "matrix_chain", "k < size; k++", "k < 2u * size; k++")? {
        Some(Found::Rounds { .. }) => Ok(()),
        other => Err(format!("a loop of twice as many rounds is not found, but {other:?}").into()),
    }
}
