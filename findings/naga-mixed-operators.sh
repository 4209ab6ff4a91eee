#!/usr/bin/env bash
# naga takes what WGSL forbids: operators of different kinds beside each other without parentheses.
#
# Expected: WGSL has no precedence between shifts, the bitwise operators, sums and comparisons. Its grammar refuses
#   `a >> b & c`, so that nobody need remember C's table, and a compiler that implements the grammar refuses it, too.
# What happens: Tint names the two operators and asks for parentheses. naga takes every such text and applies C's
#   precedence, silently: `a << b + c` is a << (b + c), and `a & b == c` is read as a & (b == c), whose error is then one
#   of types ("Entry point main at Compute is invalid") and not of the missing parentheses.
# Why it matters: a shader that runs natively (wgpu, Firefox) is a syntax error in Chrome, and no native test can find
#   that. It happens most in code that unpacks bytes: `word >> 8u & 255u`.
# Seen on: crates.io naga 30.0.2 and npm webgpu 0.6.2 (Tint), 2026-11-30. No GPU is used.
# Needs: Node 20, npm, cargo.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

npm install --silent --no-audit --no-fund --prefix "$dir" webgpu@0.6.2 >/dev/null
mkdir src
cat >Cargo.toml <<'END'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"
[profile.dev]
debug = false
[dependencies]
naga = { version = "=30.0.2", features = ["wgsl-in"] }
END
# Both probes read one module a line and print "accepted" or the first line of the error.
cat >src/main.rs <<'END'
use naga::valid::{Capabilities, ValidationFlags, Validator};

fn main() {
    for line in std::io::stdin().lines() {
        match naga::front::wgsl::parse_str(&line.unwrap()) {
            // With all that a device may have.
            Ok(module) => match Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module) {
                Ok(_) => println!("accepted"),
                Err(error) => println!("{error}"),
            },
            Err(error) => println!("{}", error.message()),
        }
    }
}
END
CARGO_TARGET_DIR=$dir/target cargo build --quiet
cat >tint.mjs <<'END'
import { create } from 'webgpu';
import { readFileSync } from 'node:fs';
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice();
for (const code of readFileSync(0, 'utf8').trim().split('\n')) {
  device.pushErrorScope('validation');
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  await device.popErrorScope();
  console.log(messages.find((m) => m.type === 'error')?.message.split('\n')[0] ?? 'accepted');
}
device.destroy();
END

forms=('a >> b & c' 'a << b + c' 'a ^ b << c' 'a & b | c' 'a + b & c' 'u32(a < b == (c < a))' 'u32(a < b && b < c || c < a)'
    'a & b & c' '(a >> b) & c' 'u32(a & b == c)')
for form in "${forms[@]}"; do
    echo "@group(0) @binding(0) var<storage, read_write> s: array<u32>; @compute @workgroup_size(1) fn main() { let a = s[0]; let b = s[1]; let c = s[2]; s[3] = $form; }"
done >modules
printf '%s\n' "${forms[@]}" >names
timeout 120 node tint.mjs <modules >tint
target/debug/probe <modules >naga

echo 'naga 30.0.2, npm webgpu 0.6.2 (Tint)'
paste -d '#' names tint naga | while IFS='#' read -r name tint naga; do
    printf '%-30s Tint: %s\n%-30s naga: %s\n' "$name" "$tint" '' "$naga"
done
verdict() { sed 's/^accepted$/yes/; t; s/.*/no/' "$1" | paste -s -d ' '; }
[ "$(verdict tint)" = 'no no no no no no no yes yes no' ] && [ "$(verdict naga)" = 'yes yes yes yes yes yes yes yes yes no' ] ||
    { echo 'CHANGED: not what was seen before'; exit 1; }
[ "$(grep -c 'requires parenthesis' tint)" = 8 ] && ! grep -q parenthesis naga || { echo 'CHANGED: other messages'; exit 1; }
echo 'as seen before: Tint asks for parentheses in eight of ten texts, naga in none; seven of them it takes'
