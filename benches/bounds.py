#!/usr/bin/env python3
"""What bounds each kernel of a training step on some GPUs, from what their compilers say.

    gpu-digits inspect --json amd.json ...      # before AMD's compiler, navi21
    gpu-digits inspect --json intel.json ...    # before Intel's, dg2
    benches/bounds.py amd.json intel.json

Prints the table of docs/TRIED.md: for each kernel the microseconds that its multiply-adds, its reads of workgroup memory and its
bytes of global memory take at least, and the step's time, which is the sum of the longest of each kernel, or of the time
between two launches where that is longer. The first two are divided by the share of the multiply-adds in the hottest loop, or
multiplied with its words of workgroup memory, as the compiler says.
"""

import json
import sys

# Peak of f32 in TFLOP/s, words of workgroup memory for each multiply-add at that rate, GB/s; NVIDIA's compiler tells nothing
# without its GPU, so that AMD's shares stand in for it.
GPUS = {
    "RX 6800 XT": (20.7, 0.5, 512, 0),
    "Arc A770": (19.7, 0.25, 560, 1),
    "H100": (67.0, 0.25, 3350, 0),
}
# Between two dispatches of which the second waits for the first; an assumption.
LAUNCH = 3.0
# The gradient of the input multiplies all four positions of a window, of which one counts as work.
MADE = {"conv_relu_pool_backward_input": 4, "conv_relu_pool_backward_input_f16": 4}


def bounds(kernel, peak, words_at_peak, bandwidth):
    """Microseconds by arithmetic, by workgroup memory and by global memory."""
    name = kernel["case"].split(":")[0].split(".")[0]
    flops = kernel["flops"] * MADE.get(name, 1)
    memory = kernel["bytes"] / bandwidth / 1e3
    hottest = kernel["figures"]["hottest"]
    if not hottest or not hottest["multiply_adds"]:
        return 0.0, 0.0, memory
    share = hottest["multiply_adds"] / hottest["instructions"]
    words = hottest["workgroup_words"] / hottest["multiply_adds"]
    ideal = flops / peak / 1e6
    return ideal / share, ideal * words / words_at_peak, memory


def main(files):
    results = [json.load(open(file))["kernels"] for file in files]
    taken = [[kernel for kernel in kernels if kernel["is_taken"]] for kernels in results]
    print("| kernel | MFLOP | MB |", " | ".join(f"{gpu}, µs" for gpu in GPUS), "|")
    print("|---|---|---|" + "---|" * len(GPUS))
    steps = dict.fromkeys(GPUS, 0.0)
    for of_each in zip(*taken, strict=True):
        cells = []
        for gpu, (*peaks, of) in GPUS.items():
            three = bounds(of_each[of], *peaks)
            longest = max(*three, LAUNCH)
            steps[gpu] += longest
            marked = [f"**{us:.1f}**" if us == longest else f"{us:.1f}" for us in three]
            cells.append(" / ".join(marked))
        first = of_each[0]
        name = f"{first['case'].split(':')[0]} ({first['layer']})"
        print(f"| {name} | {first['flops'] / 1e6:.0f} | {first['bytes'] / 1e6:.1f} |", " | ".join(cells), "|")
    print("| the step | | |", " | ".join(f"{step:.0f}" for step in steps.values()), "|")


main(sys.argv[1:])
