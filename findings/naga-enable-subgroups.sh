#!/usr/bin/env bash
# No WGSL file that uses subgroups is accepted by both naga and Tint.
#
# Expected: `enable subgroups;` in the first line is what WGSL demands of a file that calls subgroupAdd, so a compiler that
#   knows the subgroup functions takes that line. `enable f16;`, its sister, is taken by both.
# What happens: naga knows the functions and the built-in values, but refuses the line that the standard demands of their
#   users: "the `subgroups` enable-extension is not yet supported". Without the line it takes the file, and Tint refuses it.
#   The text has to differ by compiler.
# Why it matters: a kernel that is tested natively (wgpu, Firefox) does not compile in Chrome, and the other way round.
#   Whoever ships one shader for both has to put the line in front at run time, and line numbers of messages shift by one
#   unless it stands in the same line as the file's first.
# Seen on: crates.io naga 30.0.2 and npm webgpu 0.6.2 (Tint), 2026-11-29. No GPU is used.
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
const device = await adapter.requestDevice({ requiredFeatures: ['subgroups', 'shader-f16'] });
for (const code of readFileSync(0, 'utf8').trim().split('\n')) {
  device.pushErrorScope('validation');
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  await device.popErrorScope();
  console.log(messages.find((m) => m.type === 'error')?.message.split('\n')[0] ?? 'accepted');
}
device.destroy();
END

sum='@group(0) @binding(0) var<storage, read_write> x: array<f32>; @compute @workgroup_size(32) fn main(@builtin(local_invocation_index) i: u32) { x[i] = subgroupAdd(x[i]); }'
half='@group(0) @binding(0) var<storage, read_write> x: array<f16>; @compute @workgroup_size(32) fn main(@builtin(local_invocation_index) i: u32) { x[i] = x[i] + 1h; }'
printf '%s\n' "$sum" "enable subgroups; $sum" "$half" "enable f16; $half" >modules
printf '%s\n' 'subgroupAdd' 'subgroupAdd, enable subgroups;' 'f16' 'f16, enable f16;' >names
timeout 120 node tint.mjs <modules >tint
target/debug/probe <modules >naga

echo 'naga 30.0.2 with all capabilities, npm webgpu 0.6.2 (Tint) on a device with subgroups and shader-f16'
paste -d '|' names tint naga | while IFS='|' read -r name tint naga; do
    printf '%-32s Tint: %s\n%-32s naga: %s\n' "$name" "$tint" '' "$naga"
done
verdict() { sed 's/^accepted$/yes/; t; s/.*/no/' "$1" | paste -s -d ' '; }
[ "$(verdict tint)" = 'no yes no yes' ] && [ "$(verdict naga)" = 'yes no no yes' ] || { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: each refuses the file with subgroups that the other accepts; with f16 they agree'
