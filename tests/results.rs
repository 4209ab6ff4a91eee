//! A faster variant must pay: a committed result shows it 10 % faster than all others somewhere, or a list says why it
//! has not been measured where it should be.

#[path = "common/files.rs"]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use common::files;
use gpu_digits::verify::shaders;
use serde_json::Value;

/// How many times as fast as the next one a variant must be somewhere.
const WIN: f64 = 1.1;

const NEEDS_GPU: &str = "made for GPUs, of which none has been measured by 2026-11-29";
const NEEDS_MATRICES: &str =
    "made for matrix units, of which none has been measured by 2026-11-28; software only imitates them";

const NEEDS_SIZES: &str = "no committed result has it at sizes that it is made for, by 2026-11-28";

/// Variants without a committed win: the shader and why.
const NOT_MEASURED: &[(&str, &str)] = &[
    ("step_finish.tree", NEEDS_GPU),
    ("conv_relu_pool_forward.ahead", NEEDS_GPU),
    ("conv_relu_pool_forward_f16.ahead", NEEDS_GPU),
    ("conv_relu_pool_forward_f16.blocks", NEEDS_GPU),
    ("conv_relu_pool_backward_input.ahead", NEEDS_GPU),
    ("conv_relu_pool_backward_input_f16.ahead", NEEDS_GPU),
    ("conv_relu_pool_backward_input_f16.blocks", NEEDS_GPU),
    ("conv_relu_pool_backward_weight.gather", NEEDS_GPU),
    ("conv_relu_pool_backward_weight.gather_any", NEEDS_GPU),
    ("conv_relu_pool_backward_weight_f16.gather", NEEDS_GPU),
    ("conv_relu_pool_backward_weight_f16.gather_any", NEEDS_GPU),
    ("conv2d_forward.ahead", NEEDS_GPU),
    ("conv2d_forward_f16.ahead", NEEDS_GPU),
    ("conv2d_backward_input.ahead", NEEDS_GPU),
    ("conv2d_backward_input_f16.ahead", NEEDS_GPU),
    ("conv2d_backward_weight.ahead", NEEDS_GPU),
    ("conv2d_backward_weight_f16.ahead", NEEDS_GPU),
    ("dense_forward_f16.blocks", NEEDS_GPU),
    ("dense_cross_entropy_forward_f16.blocks", NEEDS_GPU),
    ("dense_backward_f16.blocks", NEEDS_GPU),
    ("dense_backward_f16.blocks_narrow", NEEDS_GPU),
    ("dense_backward_weight_f16.blocks", NEEDS_GPU),
    ("average_update.quad", NEEDS_SIZES),
    ("avg_pool_backward.quad", NEEDS_SIZES),
    ("batch_augment.run", NEEDS_SIZES),
    ("batch_augment_f16.run", NEEDS_SIZES),
    ("avg_pool_backward_f16.quad", NEEDS_SIZES),
    ("avg_pool_forward.quad", NEEDS_SIZES),
    ("avg_pool_forward_f16.quad", NEEDS_SIZES),
    ("conv2d_backward_input_f16.blocks", NEEDS_GPU),
    ("conv2d_backward_input_f16.lanes", NEEDS_SIZES),
    ("conv2d_backward_weight_f16.blocks", NEEDS_GPU),
    ("conv2d_forward_f16.blocks", NEEDS_GPU),
    ("conv2d_forward_f16.lanes", NEEDS_SIZES),
    ("dense_backward.blocks", NEEDS_GPU),
    ("dense_backward.blocks_narrow", NEEDS_GPU),
    ("dense_backward_f16.lanes_narrow", NEEDS_SIZES),
    ("dense_backward_weight.blocks", NEEDS_GPU),
    ("dense_backward_weight_f16.lanes", NEEDS_SIZES),
    ("dense_forward.blocks", NEEDS_GPU),
    ("dropout_apply_f16.quad", NEEDS_SIZES),
    ("max_pool_backward_f16.quad", NEEDS_SIZES),
    ("max_pool_forward_f16.quad", NEEDS_SIZES),
    ("norm_apply.quad", NEEDS_SIZES),
    ("norm_apply_f16.quad", NEEDS_SIZES),
    ("norm_backward_input.quad", NEEDS_SIZES),
    ("norm_backward_input_f16.quad", NEEDS_SIZES),
    ("norm_backward_sums.quad", NEEDS_SIZES),
    ("norm_backward_sums_f16.quad", NEEDS_SIZES),
    ("norm_moments.quad", NEEDS_SIZES),
    ("norm_moments_f16.quad", NEEDS_SIZES),
    ("relu_backward_f16.quad", NEEDS_SIZES),
    ("relu_forward_f16.quad", NEEDS_SIZES),
    ("sum_forward_f16.quad", NEEDS_SIZES),
    ("conv_relu_pool_forward_f16.matrix8", NEEDS_MATRICES),
    ("conv_relu_pool_forward_f16.matrix16", NEEDS_MATRICES),
    ("conv_relu_pool_backward_input_f16.matrix8", NEEDS_MATRICES),
    ("conv_relu_pool_backward_input_f16.matrix16", NEEDS_MATRICES),
    ("conv_relu_pool_backward_weight_f16.matrix8", NEEDS_MATRICES),
    ("conv_relu_pool_backward_weight_f16.matrix16", NEEDS_MATRICES),
    ("matrix_chain.matrix8", NEEDS_MATRICES),
    ("matrix_chain.matrix16", NEEDS_MATRICES),
];

/// A measured shader, and the least and the most that its median may be by its noise.
struct Timed {
    shader: String,
    least: f64,
    most: f64,
}

/// The shaders that were 10 % faster than every other variant of their op, at some sizes on some adapter.
fn winners() -> BTreeSet<String> {
    let mut winners = BTreeSet::new();
    for (path, text) in files("benches/results", "json") {
        let results: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for adapter in results["adapters"].as_array().expect("adapters") {
            let mut by_case: BTreeMap<String, Vec<Timed>> = BTreeMap::new();
            for kernel in adapter["kernels"].as_array().expect("kernels") {
                let (shader, sizes) = kernel["case"].as_str().and_then(|case| case.split_once(':')).expect("a label");
                let timing = |key: &str| kernel["timing"][key].as_f64().expect("a number");
                let (seconds, noise) = (timing("median_seconds"), timing("uncertainty"));
                let shader = shader.to_owned();
                let case = format!("{}:{sizes}", kernel["op"]);
                let (least, most) = (seconds * (1.0 - noise), seconds * (1.0 + noise));
                by_case.entry(case).or_default().push(Timed { shader, least, most });
            }
            for mut timed in by_case.into_values() {
                timed.sort_by(|a, b| a.most.total_cmp(&b.most));
                let (first, others) = timed.split_first().expect("a kernel");
                if !others.is_empty() && others.iter().all(|other| first.most * WIN <= other.least) {
                    winners.insert(first.shader.clone());
                }
            }
        }
    }
    winners
}

#[test]
fn every_variant_wins_somewhere_or_is_listed_with_the_reason() {
    let winners = winners();
    let listed: BTreeMap<&str, &str> = NOT_MEASURED.iter().copied().collect();
    let names: BTreeSet<&str> = shaders()
        .iter()
        .map(|(_, variant)| variant)
        .filter(|variant| variant.name() != "plain")
        .map(|variant| variant.shader.name)
        .collect();
    let unproved: Vec<_> =
        names.iter().filter(|name| !winners.contains(**name) && !listed.contains_key(*name)).collect();
    assert!(unproved.is_empty(), "no committed result shows these 10 % faster than all others: {unproved:#?}");
    let proved: Vec<_> = listed.keys().filter(|name| winners.contains(**name)).collect();
    assert!(proved.is_empty(), "these have won by now: take them out of the list: {proved:?}");
    let gone: Vec<_> = listed.keys().filter(|name| !names.contains(*name)).collect();
    assert!(gone.is_empty(), "there are no such shaders: {gone:?}");
}

/// The page that README links. After a change of results or of the page:
/// `gpu-digits bench page benches/results/*.json --out benches/results/gpus.html`.
#[test]
fn the_page_of_all_results_is_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("gpus.html");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let results = files("benches/results", "json").into_keys().map(|path| root.join(path));
    let run = Command::new(env!("CARGO_BIN_EXE_gpu-digits"))
        .args(["bench", "page"])
        .args(results)
        .arg("--out")
        .arg(&page)
        .output()
        .expect("the program runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let [written, committed] = [page, root.join("benches/results/gpus.html")].map(fs::read_to_string).map(Result::ok);
    assert!(written.is_some() && written == committed, "`gpu-digits bench page` writes another page than gpus.html");
}
