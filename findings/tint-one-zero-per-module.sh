#!/usr/bin/env bash
# Tint knows one constant zero per module and type: the first zero it meets, +0 or -0, decides the sign of all others.
#
# Expected: `const zero = 0.0f;` has the bits 0x00000000 and bitcast<f32>(0x80000000u) the bits 0x80000000, whatever
#   else the file says.
# What happens: Tint (the WGSL compiler of Chrome and of npm's `webgpu`) shares equal constants, and +0 equals -0. After
#   `trunc(-0.5f)` the literal `0.0f` has the bits 0x80000000; after any `0.0f`, also one in an unrelated function, the
#   constant trunc(-0.5f) has the bits 0, and so has a round trip of 0x80000000u through f32. `-0.0f` begins with the
#   literal 0.0f and is always +0. WGSL lets a compiler ignore the sign of zero; that a line elsewhere flips it surprises.
# Why it matters: people who check kernels compare bits. The usual sign mask bitcast<u32>(-0.0f) is 0 as a constant, so
#   flipping or copying signs with it does nothing, and a float made into a sortable integer at compile time is wrong
#   for zero. Joining two files that are right alone changes the bits in one of them.
# Seen on: npm webgpu 0.6.2, 2026-11-28. No GPU is used (Dawn's null backend: const_assert runs in the compiler).
# Needs: Node 20, npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

npm install --silent --no-audit --no-fund --prefix "$dir" webgpu@0.6.2 >/dev/null
cat >probe.mjs <<'EOF'
import { create } from 'webgpu';
import { readFileSync } from 'node:fs';
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice();
const compiles = async (code) => {
  device.pushErrorScope('validation');
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  await device.popErrorScope();
  return !messages.some((m) => m.type === 'error');
};
const bits = async (before, expression) => {
  for (const value of ['0x00000000', '0x80000000'])
    if (await compiles(`${before}\nconst_assert bitcast<u32>(${expression}) == ${value}u;`)) return value;
  return 'neither';
};
const other = '@compute @workgroup_size(1) fn unrelated() { let a = 0.0f; }';
const cases = [
  // text before, expression, bits seen
  ['', '0.0f', '0x00000000'],
  ['const n = trunc(-0.5f);', '0.0f', '0x80000000'],
  ['const n = trunc(-0.5f);', 'f32()', '0x80000000'],
  ['const n = trunc(-0.5f);', '1.0f - 1.0f', '0x80000000'],
  ['', 'trunc(-0.5f)', '0x80000000'],
  ['const z = 0.0f;', 'trunc(-0.5f)', '0x00000000'],
  [other, 'trunc(-0.5f)', '0x00000000'],
  ['', 'bitcast<f32>(0x80000000u)', '0x80000000'],
  ['const z = 0.0f;', 'bitcast<f32>(0x80000000u)', '0x00000000'],
  ['', '-0.0f', '0x00000000'],
  ['', '0.0f * -1.0f', '0x00000000'],
];
console.log(`npm webgpu ${JSON.parse(readFileSync('node_modules/webgpu/package.json')).version} (Tint)`);
console.log('expression'.padEnd(28) + 'bits'.padEnd(13) + 'after');
let changed = false;
for (const [before, expression, seen] of cases) {
  const got = await bits(before, expression);
  changed ||= got !== seen;
  console.log(expression.padEnd(28) + got.padEnd(13) + (before || 'nothing'));
}
console.log(changed ? 'CHANGED: not what was seen before' : 'as seen before: the first zero of the module decides');
device.destroy();
process.exitCode = changed ? 1 : 0;
EOF
timeout 120 node probe.mjs
