#!/usr/bin/env bash
# naga ends a const_assert at the first closing parenthesis: the classic test for a power of two is a syntax error.
#
# Expected: `const_assert (N & (N - 1u)) == 0u;` is fine. In WGSL const_assert is a statement, not a function: a whole
#   expression follows it, and that expression may begin with a parenthesis. Tint, the other WGSL compiler, takes it.
# What happens: naga takes a parenthesis right behind the word as the brackets of a call, reads `(N & (N - 1u))` as the
#   condition and then wants a semicolon. Any other way to begin the same expression works: `0u == (...)`, or one more
#   pair of parentheses round all of it. WGSL makes people write parentheses around `&`, so this is the common form.
# Why it matters: tile sizes of kernels are guarded like this (power of two, multiple of the workgroup). A file that
#   Tint (Chrome) takes is refused by naga (Firefox, wgpu) with "expected `;`", and the message hides the cause.
# Seen on: crates.io naga 30.0.2 and npm webgpu 0.6.2 (Tint), 2026-11-28. No GPU is used.
# Needs: Node 20, npm, cargo.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

npm install --silent --no-audit --no-fund --prefix "$dir" webgpu@0.6.2 >/dev/null
mkdir src
cat >Cargo.toml <<'EOF'
[package]
name = "probe"
version = "0.0.0"
edition = "2021"
[profile.dev]
debug = false
[dependencies]
naga = { version = "=30.0.2", features = ["wgsl-in"] }
EOF
# Both probes read one module a line and print "accepted" or the first line of the error.
cat >src/main.rs <<'EOF'
fn main() {
    for line in std::io::stdin().lines() {
        match naga::front::wgsl::parse_str(&line.unwrap()) {
            Ok(_) => println!("accepted"),
            Err(error) => println!("{}", error.message()),
        }
    }
}
EOF
CARGO_TARGET_DIR=$dir/target cargo build --quiet
cat >tint.mjs <<'EOF'
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
EOF

cat >asserts <<'EOF'
const_assert (N & (N - 1u)) == 0u;
const_assert (N * 4u) <= 256u;
const_assert (N > 8u) && (N < 128u);
const_assert 0u == (N & (N - 1u));
const_assert ((N & (N - 1u)) == 0u);
EOF
sed 's/^/const N = 64u; /' asserts >modules
timeout 120 node tint.mjs <modules >tint
target/debug/probe <modules >naga

echo 'naga 30.0.2, npm webgpu 0.6.2 (Tint); const N = 64u'
printf '%-40s %-10s %s\n' statement Tint naga
paste -d '|' asserts tint naga | while IFS='|' read -r text tint naga; do printf '%-40s %-10s %s\n' "$text" "$tint" "$naga"; done
changed=0
[ "$(sort -u tint)" = accepted ] || changed=1
# shellcheck disable=SC2016
[ "$(head -n 3 naga | grep -c 'expected `;`')" = 3 ] && [ "$(tail -n 2 naga | sort -u)" = accepted ] || changed=1
[ $changed = 0 ] || { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: naga refuses what begins with a parenthesis and goes on behind it'
