#!/usr/bin/env bash
# SwiftShader, Chrome's software GPU, takes seconds to compile a kernel with 16 KiB of workgroup memory: it zeroes it word by word.
#
# Expected: the time to make a compute pipeline depends on the length of the shader. `var<workgroup> a: array<f32, 4096>` is as long
#   as `array<f32, 64>`, and zeroing it before the kernel is a loop of a few instructions.
# What happens: Dawn (Chrome, npm's `webgpu`) lets the driver zero workgroup memory where it has
#   VK_KHR_zero_initialize_workgroup_memory. SwiftShader has it, and takes more than proportionally longer for more of it: 15 ms for
#   256 bytes, a second and more for 16 KiB, which every WebGPU device allows. Where Dawn does without the extension, so that Tint
#   writes a loop, or does not zero at all, all sizes take 10 ms.
# Why it matters: tests of WebGPU in CI run on SwiftShader. A tiled matrix product that compiles in milliseconds on any GPU makes the
#   test time out, and looks like a hang; a page cannot switch it off.
# Seen on: npm webgpu 0.6.2 with the SwiftShader of Debian 12's chromium-common 156.0.8078.108, 2026-11-29.
# Needs: Node 20, npm, Debian 12 (apt-get download, no installation).
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

npm install --silent --no-audit --no-fund --prefix "$dir" webgpu@0.6.2 >/dev/null
apt-get download -qq chromium-common libvulkan1 >/dev/null 2>&1
for package in *.deb; do
    echo "${package%.deb}"
    dpkg -x "$package" unpacked
done
cat >probe.mjs <<'EOF'
import { create } from 'webgpu';
const gpu = create(process.argv.slice(2));
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice();
const milliseconds = async (length) => {
  const code = `var<workgroup> values: array<f32, ${length}>;
    @group(0) @binding(0) var<storage, read_write> data: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {
      for (var k = i; k < ${length}u; k += 64u) { values[k] = data[k]; }
      workgroupBarrier();
      data[i] = values[${length - 1}u - i];
    }`;
  const start = performance.now();
  await device.createComputePipelineAsync({ layout: 'auto', compute: { module: device.createShaderModule({ code }), entryPoint: 'main' } });
  return performance.now() - start;
};
// The first pipeline also starts the driver.
await milliseconds(65);
const lengths = [64, 1024, 2048, 4096];
const times = [];
for (const length of lengths) times.push(await milliseconds(length));
console.log(`${adapter.info.architecture} ${process.argv[2] ?? ''}`);
for (const [place, length] of lengths.entries()) console.log(`  ${String(4 * length).padStart(6)} bytes ${times[place].toFixed(0).padStart(6)} ms`);
device.destroy();
process.exitCode = times[3] > 10 * times[0] && times[3] > 200 ? 10 : 0;
EOF
export XDG_RUNTIME_DIR="$dir"
run() {
    VK_DRIVER_FILES="$dir/unpacked/usr/lib/chromium/vk_swiftshader_icd.json" LD_LIBRARY_PATH="$dir/unpacked/usr/lib/x86_64-linux-gnu" \
        timeout 120 node probe.mjs "$@" && code=0 || code=$?
}
run
as_it_comes=$code
run disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension
by_loop=$code
run enable-dawn-features=disable_workgroup_init
if [ "$as_it_comes $by_loop $code" = "10 0 0" ]; then
    echo "as seen before: zeroed workgroup memory takes SwiftShader's compiler long"
else
    echo "CHANGED: not what was seen before"
    exit 1
fi
