#!/usr/bin/env bash
# A half (f16) that lavapipe has stored to a buffer and loaded again still has the digits of the float that it was made of.
#
# Expected: f32(f16(1.0003)) is 1, because a half has 11 bits; at the latest after a trip through memory, and in any case where
#   two halves were packed into an integer and unpacked.
# What happens: Mesa 25.0.7 drops the pair of conversions in each of these ways of writing it: directly, through a function, through
#   a variable, after an addition of 0h or a product with 1h, through unpack2x16float(pack2x16float()), and through an element of a
#   storage buffer of halves that is written and read at once. The shader goes on with 1.0003, while the buffer holds 1: so what it
#   has read is not what is there.
# Why it matters: "rounded to half here" cannot be said in WGSL by a conversion. Emulated half precision, quantisation-aware
#   training, error-free splits of a float into two halves, and checks of an f16 kernel against a reference that rounds
#   give other numbers on one driver than on the next (Mesa 22.3.6 rounds each of the seven). Rounding the bits in integers works.
# Seen on: Debian mesa-vulkan-drivers 25.0.7-2~bpo12+1 (bookworm-backports) through PyPI wgpu 0.32.0 (wgpu-native 29), 2026-11-29,
#   x86-64. Mesa 26.2.6 rounds what is packed and unpacked, and none of the others.
# Needs: Debian 12 (x86-64) with a mirror in its package lists, Python 3.11 or later with venv. Nothing is installed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# The driver, its compiler and the loader are unpacked, not installed. Backports come from the machine's own mirror.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/$' | head -n 1) || true
[ -n "$mirror" ] || { echo 'this needs a mirror of Debian in the package lists'; exit 2; }
mkdir -p lists/partial cache/archives/partial debs
key=/usr/share/keyrings/debian-archive-keyring.gpg
for suite in bookworm bookworm-backports; do echo "deb [signed-by=$key] $mirror $suite main"; done >sources.list
apt() {
  apt-get -qq -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$dir/lists" \
    -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root "$@" >/dev/null
}
apt update
cd debs
apt download mesa-vulkan-drivers=25.0.7-2~bpo12+1 libllvm15 libvulkan1=1.3.239.0-1 libbsd0 libdrm-amdgpu1/bookworm-backports \
  libdrm2/bookworm-backports libedit2 libelf1 libexpat1 libicu72 libmd0 libwayland-client0 libx11-xcb1 libxau6 libxcb-dri3-0 \
  libxcb-present0 libxcb-randr0 libxcb-shm0 libxcb-sync1 libxcb-xfixes0 libxcb1 libxdmcp6 libxml2 libxshmfence1 libz3-4 libzstd1 ||
  { echo 'these packages of Debian 12 and its backports are not there any more'; exit 2; }
cd ..
for deb in debs/*.deb; do dpkg -x "$deb" root; done
lib=$(dirname "$(find "$dir/root" -name libvulkan_lvp.so)")
printf '{"file_format_version":"1.0.0","ICD":{"api_version":"1.1.230","library_path":"%s"}}\n' "$lib/libvulkan_lvp.so" >icd.json

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check wgpu==0.32.0 numpy==2.4.6
cat >probe.py <<'END'
import numpy as np
import wgpu

CODE = """
enable f16;
@group(0) @binding(0) var<storage, read_write> floats: array<f32, 8>;  // the first is given
@group(0) @binding(1) var<storage, read_write> halves: array<f16, 8>;
fn by_function(x: f32) -> f32 { return f32(f16(x)); }
@compute @workgroup_size(1) fn main() {
  let x = floats[0];
  var half = f16(x);
  halves[0] = f16(x);
  floats[7] = f32(halves[0]);
  floats[1] = f32(f16(x));
  floats[2] = by_function(x);
  floats[3] = f32(half);
  floats[4] = f32(f16(x) + 0h);
  floats[5] = f32(f16(x) * 1h);
  floats[6] = unpack2x16float(pack2x16float(vec2(x, 0.0))).x;
}
"""
adapter = next(a for a in wgpu.gpu.enumerate_adapters_sync() if a.info["backend_type"] == "Vulkan")
device = adapter.request_device_sync(required_features=["shader-f16"])
module = device.create_shader_module(code=CODE)
usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC
floats = device.create_buffer_with_data(data=np.array([1.0003] + 7 * [0], "float32"), usage=usage)
halves = device.create_buffer(size=16, usage=usage)
pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module, "entry_point": "main"})
entries = [{"binding": i, "resource": {"buffer": b, "offset": 0, "size": b.size}} for i, b in enumerate([floats, halves])]
group = device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)
encoder = device.create_command_encoder()
work = encoder.begin_compute_pass()
work.set_pipeline(pipeline)
work.set_bind_group(0, group)
work.dispatch_workgroups(1)
work.end()
device.queue.submit([encoder.finish()])
seen = np.frombuffer(device.queue.read_buffer(floats), "float32")
stored = np.frombuffer(device.queue.read_buffer(halves), "float16")[0]
print(adapter.info["description"], "through wgpu", wgpu.__version__)
ways = ["f32(f16(x))", "by a function", "by a variable", "plus 0h", "times 1h", "packed and unpacked", "stored and loaded"]
for way, value in zip(ways, seen[1:]):
    print(f"{way:20} {value:.4f}")
print(f"{'what was stored':20} {stored:.4f}")
print([round(float(value), 4) for value in seen[1:]] + [float(stored)])
END
XDG_RUNTIME_DIR=$dir MESA_SHADER_CACHE_DISABLE=true LD_LIBRARY_PATH=$lib VK_DRIVER_FILES=$dir/icd.json \
  venv/bin/python probe.py >seen
sed '$d' seen
kept='1.0003, 1.0003, 1.0003, 1.0003, 1.0003, 1.0003, 1.0003'
[ "$(tail -n 1 seen)" = "[$kept, 1.0]" ] || { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: no conversion to f16 rounds, not even one through memory'
