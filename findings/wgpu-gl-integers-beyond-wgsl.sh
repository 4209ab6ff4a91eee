#!/usr/bin/env bash
# Through GL, wgpu divides integers by 0 and converts floats out of range as the driver likes, where WGSL says the result.
#
# Expected: WGSL gives integers no undefined results: x / 0 is x, x % 0 is 0, and a float out of range becomes the nearest
#   number that both types have. So one shader gives one result on each of wgpu's back ends.
# What happens: the shader below runs twice on one processor, by one version of Mesa's llvmpipe: through Vulkan it gives what WGSL says;
#   through GL 7 / 0 is 0, 7 % 0 is -1, 7u / 0u and 7u % 0u are 4294967295, i32(3e9) is -2147483648 and u32(-1.0) is 4294967295. naga
#   writes functions around these operations for SPIR-V, HLSL and Metal's language, and bare operators for GLSL. Nothing warns.
# Why it matters: GL is what wgpu falls back to where there is no Vulkan, Metal or Direct3D 12. An index that comes from a division
#   by a size that may be 0, or from a float that may be out of range, has the value of WGSL where a program is tested, and
#   any value where it falls back.
# Seen on: Debian mesa-vulkan-drivers, libegl-mesa0 and libgl1-mesa-dri 22.3.6-1+deb12u2 through PyPI wgpu 0.32.0 (wgpu-native 29),
#   2026-11-29, x86-64.
# Needs: Debian 12 (x86-64) with current package lists, Python 3.11 or later with venv. Nothing is installed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# The drivers, their compiler and the loaders are unpacked, not installed.
mesa=22.3.6-1+deb12u2
mkdir debs
cd debs
apt-get -qq -o APT::Sandbox::User=root download mesa-vulkan-drivers=$mesa libegl-mesa0=$mesa libgl1-mesa-dri=$mesa libglapi-mesa=$mesa \
  libgbm1=$mesa libllvm15=1:15.0.6-4+b1 libvulkan1=1.3.239.0-1 libegl1=1.6.0-1 libglvnd0=1.6.0-1 libbsd0 libdrm-amdgpu1 \
  libdrm-intel1 libdrm-nouveau2 libdrm-radeon1 libdrm2 libedit2 libelf1 libexpat1 libicu72 libmd0 libpciaccess0 libsensors5 \
  libwayland-client0 libwayland-server0 libx11-xcb1 libxau6 libxcb-dri2-0 libxcb-dri3-0 libxcb-present0 libxcb-randr0 libxcb-shm0 \
  libxcb-sync1 libxcb-xfixes0 libxcb1 libxdmcp6 libxml2 libxshmfence1 libz3-4 libzstd1 >/dev/null ||
  { echo 'this needs the packages of Debian 12 (run apt-get update first)'; exit 2; }
cd ..
for deb in debs/*.deb; do dpkg -x "$deb" root; done
lib=$(dirname "$(find "$dir/root" -name libvulkan_lvp.so)")
printf '{"file_format_version":"1.0.0","ICD":{"api_version":"1.1.230","library_path":"%s"}}\n' "$lib/libvulkan_lvp.so" >icd.json
printf '{"file_format_version":"1.0.0","ICD":{"library_path":"%s"}}\n' "$lib/libEGL_mesa.so.0" >egl.json

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check wgpu==0.32.0 numpy==2.4.6
cat >probe.py <<'END'
import numpy as np
import wgpu

CODE = """
@group(0) @binding(0) var<storage, read> ints: array<i32, 2>;    // 7, 0
@group(0) @binding(1) var<storage, read> floats: array<f32, 2>;  // 3e9, -1
@group(0) @binding(2) var<storage, read_write> out: array<i32, 6>;
@compute @workgroup_size(1) fn main() {
  out[0] = ints[0] / ints[1];
  out[1] = ints[0] % ints[1];
  out[2] = bitcast<i32>(u32(ints[0]) / u32(ints[1]));
  out[3] = bitcast<i32>(u32(ints[0]) % u32(ints[1]));
  out[4] = i32(floats[0]);
  out[5] = bitcast<i32>(u32(floats[1]));
}
"""
ASKED = ["7 / 0", "7 % 0", "7u / 0u", "7u % 0u", "i32(3e9)", "u32(-1.0)"]
USAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC


def run(adapter):
    device = adapter.request_device_sync()
    module = device.create_shader_module(code=CODE)
    given = [np.array([7, 0], "int32"), np.array([3e9, -1], "float32"), np.zeros(6, "int32")]
    buffers = [device.create_buffer_with_data(data=data, usage=USAGE) for data in given]
    pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module, "entry_point": "main"})
    entries = [{"binding": i, "resource": {"buffer": b, "offset": 0, "size": b.size}} for i, b in enumerate(buffers)]
    group = device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)
    encoder = device.create_command_encoder()
    work = encoder.begin_compute_pass()
    work.set_pipeline(pipeline)
    work.set_bind_group(0, group)
    work.dispatch_workgroups(1)
    work.end()
    device.queue.submit([encoder.finish()])
    return np.frombuffer(device.queue.read_buffer(buffers[2]), "int32").tolist()


seen = {}
for adapter in wgpu.gpu.enumerate_adapters_sync():
    seen[adapter.info["backend_type"]] = run(adapter)
    print(adapter.info["description"], "through", adapter.info["backend_type"], "by wgpu", wgpu.__version__)
for place, asked in enumerate(ASKED):
    print(f"{asked:10}", "  ".join(f"{name} {values[place]:11}" for name, values in sorted(seen.items(), reverse=True)))
print(seen["Vulkan"], seen["OpenGL"])
END
XDG_RUNTIME_DIR=$dir MESA_SHADER_CACHE_DISABLE=true LD_LIBRARY_PATH=$lib VK_DRIVER_FILES=$dir/icd.json LIBGL_DRIVERS_PATH=$lib/dri \
  __EGL_VENDOR_LIBRARY_FILENAMES=$dir/egl.json venv/bin/python probe.py >seen
sed '$d' seen
[ "$(tail -n 1 seen)" = '[7, 0, 7, 0, 2147483520, 0] [0, -1, -1, -1, -2147483648, -1]' ] ||
  { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: WGSL holds through Vulkan, and not through GL'
