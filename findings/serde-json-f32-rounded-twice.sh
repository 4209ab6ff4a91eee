#!/usr/bin/env bash
# serde_json with `float_roundtrip` gives another f32 than was written, once an enum with an inner tag stands around it.
#
# Expected: the feature `float_roundtrip` promises that numbers come back to the bit. A struct with an f32 field keeps that
#   promise, so a struct inside an enum should too.
# What happens: an enum with `#[serde(tag = "...")]` is read into a buffer first, in which every number is an f64. The f32
#   then comes from that f64: the decimal digits are rounded to 53 bits and those to 24. When the first rounding ends
#   exactly between two f32, the second takes the wrong one. Reading by way of `serde_json::Value` does the same.
# Why it matters: logs of training runs are often lines of JSON told apart by a `kind`. A learning rate or a loss that is
#   written and read again differs in its last bit, for few values only, so that comparisons of runs fail once in a while.
# Seen on: crates.io serde 1.0.229 and serde_json 1.0.154, 2026-11-28.
# Needs: cargo.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"
[profile.dev]
debug = false
[dependencies]
serde = { version = "=1.0.229", features = ["derive"] }
serde_json = { version = "=1.0.154", features = ["float_roundtrip"] }
TOML
cat >src/main.rs <<'RUST'
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Row {
    rate: f32,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Line {
    Row(Row),
}

fn main() {
    let written = 7.038531e-26_f32;
    let plain: Row = serde_json::from_str(&serde_json::to_string(&Row { rate: written }).unwrap()).unwrap();
    let Line::Row(tagged) =
        serde_json::from_str(&serde_json::to_string(&Line::Row(Row { rate: written })).unwrap()).unwrap();
    let text = serde_json::to_string(&Row { rate: written }).unwrap();
    let value: Row = serde_json::from_value(serde_json::from_str(&text).unwrap()).unwrap();
    for (way, rate) in [("written", written), ("struct", plain.rate), ("tagged enum", tagged.rate), ("Value", value.rate)] {
        println!("{way:<12} {rate:e} {:#010x}", rate.to_bits());
    }
}
RUST
CARGO_TARGET_DIR=$dir/target cargo build --quiet
target/debug/probe >seen
echo 'serde_json 1.0.154 with float_roundtrip, the f32 7.038531e-26 written and read again'
cat seen
bits() { awk -v way="$1" 'index($0, way) == 1 { print $NF }' seen; }
[ "$(bits struct)" = "$(bits written)" ] && [ "$(bits tagged)" != "$(bits written)" ] &&
  [ "$(bits Value)" != "$(bits written)" ] || { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: the struct comes back, and what passes through an f64 does not'
