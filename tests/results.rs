//! A faster variant must pay: a committed result shows it 10 % faster than all others somewhere, or a list says why it has not
//! been measured where it should be.

#[path = "common/files.rs"]
mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::files;
use gpu_digits::verify::shaders;
use serde_json::Value;

/// How many times as fast as the next one a variant must be somewhere.
const WIN: f64 = 1.1;

const NEEDS_GPU: &str = "made for GPUs; only software adapters have been measured";
const NEEDS_MATRICES: &str = "made for matrix units, which software only imitates";

/// Variants without a committed win: the shader and why.
const NOT_MEASURED: &[(&str, &str)] = &[
    ("step_finish.tree", NEEDS_GPU),
];

/// The shaders that were 10 % faster than every other variant of their op, at some sizes on some adapter.
fn winners() -> BTreeSet<String> {
    let mut winners = BTreeSet::new();
    for (path, text) in files("benches/results", "json") {
        let results: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for adapter in results["adapters"].as_array().expect("adapters") {
            let mut by_case: BTreeMap<String, Vec<(f64, String)>> = BTreeMap::new();
            for kernel in adapter["kernels"].as_array().expect("kernels") {
                let (shader, sizes) = kernel["case"].as_str().and_then(|case| case.split_once(':')).expect("a label");
                let seconds = kernel["timing"]["median_seconds"].as_f64().expect("a time");
                let case = format!("{}:{sizes}", kernel["op"]);
                by_case.entry(case).or_default().push((seconds, shader.to_owned()));
            }
            for mut timed in by_case.into_values() {
                timed.sort_by(|a, b| a.0.total_cmp(&b.0));
                if let [(first, shader), (second, _), ..] = &timed[..]
                    && first * WIN <= *second
                {
                    winners.insert(shader.clone());
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
    let names: BTreeSet<&str> =
        shaders().iter().map(|(_, variant)| variant).filter(|variant| variant.name() != "plain").map(|variant| variant.shader.name).collect();
    let unproved: Vec<_> = names.iter().filter(|name| !winners.contains(**name) && !listed.contains_key(*name)).collect();
    assert!(unproved.is_empty(), "no committed result shows these 10 % faster than all others: {unproved:#?}");
    let proved: Vec<_> = listed.keys().filter(|name| winners.contains(**name)).collect();
    assert!(proved.is_empty(), "these have won by now: take them out of the list: {proved:?}");
    let gone: Vec<_> = listed.keys().filter(|name| !names.contains(*name)).collect();
    assert!(gone.is_empty(), "there are no such shaders: {gone:?}");
}
