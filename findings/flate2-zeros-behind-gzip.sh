#!/usr/bin/env bash
# flate2's MultiGzDecoder refuses a gzip file that is filled up with zeros, which gzip and Python read.
#
# Expected: zeros behind the last stream are passed over. Tapes and block devices fill files up to a whole block, and
#   both GNU gzip ("trailing zeros are ignored") and Python's gzip module read on to the end of them.
# What happens: MultiGzDecoder takes the first zero for the head of another stream and fails with "invalid gzip header".
#   GzDecoder reads the file, but it also drops every stream behind the first one, and says nothing of it.
# Why it matters: MNIST and its relatives are handed on as .gz files. One that passed a tape archive or a disk image is read
#   by every Python trainer and called damaged by a Rust one; the usual way out, GzDecoder, loses the rest of a file that
#   was put together of two.
# Seen on: crates.io flate2 1.1.11 (miniz_oxide), 2026-11-28; GNU gzip and Python as this system has them.
# Needs: cargo, gzip, python3.
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
flate2 = "=1.1.11"
TOML
cat >src/main.rs <<'RUST'
use flate2::bufread::{GzDecoder, MultiGzDecoder};
use std::io::Read;

fn show(way: &str, mut decoder: impl Read) {
    let mut content = Vec::new();
    match decoder.read_to_end(&mut content) {
        Ok(count) => println!("{way}: {count} bytes"),
        Err(error) => println!("{way}: {error}"),
    }
}

fn main() {
    let file = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
    show("MultiGzDecoder", MultiGzDecoder::new(&file[..]));
    show("GzDecoder", GzDecoder::new(&file[..]));
}
RUST
CARGO_TARGET_DIR=$dir/target cargo build --quiet
head -c 1000 /dev/zero | tr '\0' 7 | gzip -n >part.gz
head -c 512 /dev/zero >zeros
cat part.gz zeros >filled.gz
cat part.gz part.gz >two.gz

for file in filled two; do
  echo "$file.gz"
  target/debug/probe $file.gz | tee $file.rust
  echo "gzip: $(gzip -dc $file.gz 2>/dev/null | wc -c) bytes" | tee $file.others
  echo "Python: $(python3 -c "import gzip,sys; print(len(gzip.open(sys.argv[1]).read()))" $file.gz) bytes" | tee -a $file.others
done >seen
echo 'flate2 1.1.11: 1,000 bytes packed, then 512 zeros behind them; the same stream twice'
cat seen
grep -q '^MultiGzDecoder: invalid gzip header' filled.rust && grep -q '^GzDecoder: 1000 bytes' filled.rust &&
  [ "$(grep -c ': 1000 bytes' filled.others)" = 2 ] && grep -q '^MultiGzDecoder: 2000 bytes' two.rust &&
  grep -q '^GzDecoder: 1000 bytes' two.rust && [ "$(grep -c ': 2000 bytes' two.others)" = 2 ] ||
  { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: each decoder fails on one of the two files that gzip and Python read'
