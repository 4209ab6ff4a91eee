#!/usr/bin/env bash
# lavapipe of Debian 12 ends all loops of a shader invocation after 65,535 iterations in total, and reports nothing.
#
# Expected: a loop of 100,000 iterations runs 100,000 times; a driver with a limit loses the device or reports an error.
# What happens: Mesa 22.3.6's software Vulkan driver keeps one count for an invocation. When it is used up the running
#   loop ends as if its condition were false, every loop behind it runs once, and the kernel goes on with what it
#   has. Nested loops share the count: 300 x 300 stops in row 218. The dispatch succeeds.
# Why it matters: lavapipe is what checks kernels where there is no GPU, as in CI. A sum over a large input in one
#   invocation (a naive reference kernel, a loss over 70,000 images, a random-number test) is wrong there with no error
#   and right on GPUs, and it looks like a fault of the kernel. Mesa 26.2.6 counts right.
# Seen on: Debian mesa-vulkan-drivers 22.3.6-1+deb12u2 through PyPI wgpu 0.32.0 (wgpu-native 29), 2026-11-28, x86-64.
# Needs: Debian 12 (x86-64) with current package lists, Python 3.11 or later with venv. Nothing is installed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# The driver, its compiler and the loader are unpacked, not installed.
mkdir debs
cd debs
apt-get -qq -o APT::Sandbox::User=root download mesa-vulkan-drivers=22.3.6-1+deb12u2 libllvm15=1:15.0.6-4+b1 \
  libvulkan1=1.3.239.0-1 libbsd0 libdrm2 libedit2 libexpat1 libicu72 libmd0 libwayland-client0 libx11-xcb1 libxau6 \
  libxcb-dri3-0 libxcb-present0 libxcb-randr0 libxcb-shm0 libxcb-sync1 libxcb-xfixes0 libxcb1 libxdmcp6 libxml2 \
  libxshmfence1 libz3-4 >/dev/null || { echo 'this needs the packages of Debian 12 (run apt-get update first)'; exit 2; }
cd ..
for deb in debs/*.deb; do dpkg -x "$deb" root; done
lib=$(dirname "$(find "$dir/root" -name libvulkan_lvp.so)")
printf '{"file_format_version":"1.0.0","ICD":{"api_version":"1.1.230","library_path":"%s"}}\n' "$lib/libvulkan_lvp.so" >icd.json

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check wgpu==0.32.0 numpy==2.4.6
cat >probe.py <<'EOF'
import numpy as np
import wgpu

CODE = """
@group(0) @binding(0) var<storage, read_write> out: array<u32, 8>;
@compute @workgroup_size(1) fn one() {
  for (var i = 0u; i < out[7]; i++) { out[0]++; }        // 100,000
}
@compute @workgroup_size(1) fn two() {
  for (var i = 0u; i < out[7]; i++) { out[0]++; }        // 100,000
  for (var i = 0u; i < 50u + out[0]; i++) { out[1]++; }  // more than 50
}
@compute @workgroup_size(1) fn nested() {
  for (var i = 0u; i < out[6]; i++) {                    // 300 x 300
    out[1]++;
    for (var j = 0u; j < out[6]; j++) { out[0]++; }
  }
}
"""
adapter = next(a for a in wgpu.gpu.enumerate_adapters_sync() if a.info["backend_type"] == "Vulkan")
device = adapter.request_device_sync()
module = device.create_shader_module(code=CODE)


def run(entry):
    start = np.array([0, 0, 0, 0, 0, 0, 300, 100_000], "uint32")
    usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC
    buffer = device.create_buffer_with_data(data=start, usage=usage)
    pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module, "entry_point": entry})
    resource = {"buffer": buffer, "offset": 0, "size": start.nbytes}
    group = device.create_bind_group(
        layout=pipeline.get_bind_group_layout(0), entries=[{"binding": 0, "resource": resource}]
    )
    encoder = device.create_command_encoder()
    work = encoder.begin_compute_pass()
    work.set_pipeline(pipeline)
    work.set_bind_group(0, group)
    work.dispatch_workgroups(1)
    work.end()
    device.queue.submit([encoder.finish()])
    return np.frombuffer(device.queue.read_buffer(buffer), "uint32")[:2].tolist()


one, two, nested = run("one"), run("two"), run("nested")
print(adapter.info["description"], "through wgpu", wgpu.__version__)
print("one loop of 100,000 iterations ran             ", one[0])
print("a second loop behind it, of 50 and more, ran   ", two[1])
print("nested loops of 300 x 300 = 90,000 ran in total", nested[0], "in", nested[1], "rows")
print(one, two, nested)
EOF
XDG_RUNTIME_DIR=$dir MESA_SHADER_CACHE_DISABLE=true LD_LIBRARY_PATH=$lib VK_DRIVER_FILES=$dir/icd.json \
  venv/bin/python probe.py >seen
sed '$d' seen
[ "$(tail -n 1 seen)" = '[65535, 0] [65535, 1] [65101, 218]' ] || { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: 65,535 iterations in total, then every loop ends'
