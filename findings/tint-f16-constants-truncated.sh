#!/usr/bin/env bash
# Tint cuts half-precision constants off, naga rounds them: one WGSL text trains with two sets of constants.
#
# Expected: `0.7h` and `f16(0.7f)` are the f16 nearest to 0.7, as NumPy, C compilers and processors make it.
# What happens: Tint (the WGSL compiler of Chrome and of npm's `webgpu`) takes the next f16 towards zero for literals,
#   for conversions, for quantizeToF16 and pack2x16float, and for arithmetic on constants (2048h + 3h = 2050). naga
#   (Firefox, wgpu) takes the nearest. WGSL allows either neighbour, so neither compiler says a word.
# Why it matters: constants lean towards zero by up to one unit in the last place, and only where the compiler sees them:
#   a value from a buffer is converted by the device, which commonly rounds. A bit-exact check of an f16 kernel against a
#   CPU reference passes with one compiler and fails with the other, and a step of 1e-7h is 6.0e-8 here, 1.2e-7 there.
# Seen on: npm webgpu 0.6.2 and crates.io naga 30.0.2, 2026-11-28. No GPU is used (Dawn's null backend, naga's validator).
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
# Both probes read one module a line and print "yes" or "no": does it compile?
cat >src/main.rs <<'EOF'
fn main() {
    for line in std::io::stdin().lines() {
        let ok = naga::front::wgsl::parse_str(&line.unwrap()).is_ok();
        println!("{}", if ok { "yes" } else { "no" });
    }
}
EOF
CARGO_TARGET_DIR=$dir/target cargo build --quiet
cat >tint.mjs <<'EOF'
import { create } from 'webgpu';
import { readFileSync } from 'node:fs';
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice({ requiredFeatures: ['shader-f16'] });
for (const code of readFileSync(0, 'utf8').trim().split('\n')) {
  device.pushErrorScope('validation');
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  await device.popErrorScope();
  console.log(messages.some((m) => m.type === 'error') ? 'no' : 'yes');
}
device.destroy();
EOF

# expression | nearest f16 | f16 next to it towards zero
cat >cases <<'EOF'
0.7h|0.7001953125|0.69970703125
f16(0.7f)|0.7001953125|0.69970703125
vec2h(vec2f(0.3f)).y|0.300048828125|0.2998046875
0.1h * 0.7h|0.07000732421875|0.06994628906250
2048.0h + 3.0h|2052.0|2050.0
exp(1.0h)|2.71875|2.716796875
1e-7h|1.1920928955078125e-07|5.9604644775390625e-08
quantizeToF16(0.7f)|0.7001953125|0.69970703125
unpack2x16float(pack2x16float(vec2f(0.7f))).x|0.7001953125|0.69970703125
EOF
while IFS='|' read -r expression nearest cut; do
  for value in "$nearest" "$cut"; do echo "enable f16; const_assert f32($expression) == $value;"; done
done <cases >modules
timeout 120 node tint.mjs <modules | paste - - >tint
target/debug/probe <modules | paste - - >naga

echo 'npm webgpu 0.6.2 (Tint), crates.io naga 30.0.2'
printf '%-47s %-24s %s\n' 'constant (nearest / towards zero)' Tint naga
changed=0 row=0
name() { case $1 in "yes	no") echo nearest ;; "no	yes") echo 'towards zero' ;; *) echo 'not evaluated' ;; esac; }
while IFS='|' read -r expression nearest cut; do
  row=$((row + 1))
  tint=$(name "$(sed -n "${row}p" tint)") naga=$(name "$(sed -n "${row}p" naga)")
  printf '%-47s %-24s %s\n' "$expression" "$tint" "$naga"
  [ "$tint" = 'towards zero' ] || changed=1
  case $expression in quantize* | unpack*) want='not evaluated' ;; *) want=nearest ;; esac
  [ "$naga" = "$want" ] || changed=1
done <cases
[ $changed = 0 ] || { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: Tint cuts off what naga rounds'
