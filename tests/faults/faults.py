"""Makes each function of the driver fail, early and late in a training run, and looks at what the program does about it.

    python3 tests/faults/faults.py target/release/gpu-digits [FUNCTION...]

For Linux, with a C compiler and Vulkan's headers (Debian: gcc, libvulkan-dev). Each run must end with exit code 2 and a message
without a panic, or, if the failure does no harm, with 0. After a failure in mid-run, `--resume` without the fault must end with the
weights of a run that was left alone, and so must `--on-device-lost retry` where the fault ends with the first device. Lost
dispatches must be found by the self-test, and a hang by the time limit.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TRAIN = (
    "train --device vulkan --dataset generated --generated-images 600 --epochs 4 --checkpoint-every 1 --tune off"
).split() + ["--model", "conv 4x3, norm, relu, pool 2, flatten, dense 10"]
# Faults that no function reports: work that is lost, and work that is never finished.
SILENT = {
    "vkCmdDispatch:1:0": (1, "computes wrongly, so nothing is trained: a loop"),
    "vkCmdDispatch:12:0": (1, "computes wrongly, so nothing is trained: call 10 (norm1, `norm_backward_weight"),
    "vkQueueSubmit:30:0": (2, "it has not finished `dense_backward"),
    "vkQueueSubmit:80:0": (2, "to go on from the last checkpoint"),
}
CANNOT_LOSE = ("vkCreate", "vkAllocate", "vkBegin", "vkEnd", "vkMap")
RESULTS = {-2: "out of device memory", -4: "device lost"}


def main():
    program = Path(sys.argv[1]).resolve()
    source = Path(__file__).with_name("layer.c")
    functions = sys.argv[2:] or re.findall(r"ENTRY\((vk\w+)\)", source.read_text())
    home = Path(tempfile.mkdtemp())
    library = home / "libfaults.so"
    subprocess.run(["gcc", "-O1", "-Wall", "-shared", "-fPIC", "-o", library, source], check=True)
    layer = {
        "name": "VK_LAYER_faults",
        "type": "GLOBAL",
        "library_path": str(library),
        "api_version": "1.3.0",
        "implementation_version": "1",
        "description": "makes functions fail",
    }
    (home / "faults.json").write_text(json.dumps({"file_format_version": "1.1.2", "layer": layer}))

    def run(words, fault="none"):
        environment = os.environ | {
            "FAULT": fault,
            "VK_LAYER_PATH": str(home),
            "VK_INSTANCE_LAYERS": layer["name"],
            "GPU_DIGITS_WAIT_SECONDS": "10",
        }
        return subprocess.run([program, *words], env=environment, capture_output=True, text=True, timeout=120)

    def weights(done):
        return re.search(r"weights SHA-256 (\w+)", done.stdout + done.stderr)[1]

    whole = weights(run([*TRAIN, "--out", home / "whole"]))
    wrong, resumed, harmless = 0, 0, 0
    for fault, (code, says) in SILENT.items():
        done = run([*TRAIN, "--out", home / "silent"], fault)
        shutil.rmtree(home / "silent", ignore_errors=True)
        is_right = done.returncode == code and says in done.stderr and "panicked" not in done.stderr
        error = [line for line in done.stderr.splitlines() if "error: " in line]
        print(f"{'' if is_right else 'WRONG '}{fault}: exit code {done.returncode}; {' '.join(error)}", flush=True)
        wrong += not is_right
    for function in functions:
        for result, meaning in RESULTS.items():
            if result == -4 and function.startswith(CANNOT_LOSE):
                # These cannot lose a device.
                continue
            for call in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144]:
                fault = f"{function}:{call}:{result}"
                folder = home / fault.replace(":", "_")
                done = run([*TRAIN, "--out", folder], fault)
                says = done.stderr.strip().splitlines()
                is_right = "panicked" not in done.stderr and (
                    done.returncode == 0 or done.returncode == 2 and any(line.startswith("error: ") for line in says)
                )
                if done.returncode == 0:
                    harmless += 1
                    is_right &= weights(done) == whole
                elif (folder / "run.json").exists():
                    again = run(["train", "--resume", folder])
                    # A run that fails behind its end, in its report, is finished.
                    is_right &= "is finished" in again.stderr or again.returncode == 0 and weights(again) == whole
                    resumed += 1
                    retried = run([*TRAIN, "--on-device-lost", "retry", "--out", home / "retried"], fault + ":1")
                    is_right &= retried.returncode == 0 and weights(retried) == whole or "is finished" in again.stderr
                    shutil.rmtree(home / "retried")
                if not is_right or call == 5:
                    error = [line for line in says if "error: " in line] or says[-1:]
                    mark = "" if is_right else "WRONG "
                    print(f"{mark}{function}, call {call}, {meaning}: exit code {done.returncode}; {' '.join(error)}", flush=True)
                wrong += not is_right
                if done.returncode == 0:
                    # It is not called so often.
                    break
    print(f"{wrong} wrong, {resumed} gone on with, {harmless} without harm")
    sys.exit(wrong > 0)


main()
