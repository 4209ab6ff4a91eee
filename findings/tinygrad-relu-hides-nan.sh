#!/usr/bin/env bash
# tinygrad's ReLU turns NaN into 0 and its max-pooling keeps or drops a NaN by its place: a broken layer looks healthy.
#
# Expected: NaN spreads, as in NumPy, JAX and today's PyTorch: relu(NaN), max(1, NaN, 2) and the loss are NaN.
# What happens: relu is written as "x where x > 0, else 0", so NaN becomes 0 (relu6 and elu too, and sign(NaN) is 1).
#   max(NaN, 1, 2) is NaN but max(1, NaN, 2) is 2, and so it is in a max-pooling window. argmax of a row of NaN is the
#   row's length: an index outside of it. Two backends agree in all this.
# Why it matters: weights of the first layer can be NaN while the loss stays finite (here 2.30 = ln 10) and its
#   gradient 0, so a check "is the loss finite?" passes for ever. And a comparison of kernels with tinygrad as the
#   reference disagrees exactly where one looks for the fault.
# Seen on: PyPI tinygrad 0.14.0 with DEV=PYTHON (its own interpreter; DEV=CPU with clang 14 gives the same), 2026-11-28.
# Needs: Python 3.11 or later with venv.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check tinygrad==0.14.0 numpy==2.4.6
cat >probe.py <<'EOF'
from importlib.metadata import version

import numpy as np
from tinygrad import Tensor

nan = float("nan")
changed = False


def check(what, tensor, seen):
    global changed
    value = np.array2string(tensor.numpy().reshape(-1), precision=2, separator=", ")
    changed |= value != seen
    print(f"{what:<54}{value}")


print("tinygrad", version("tinygrad"))
check("relu of [NaN, -1, 2]", Tensor([nan, -1.0, 2.0]).relu(), "[0., 0., 2.]")
check("relu6, elu, sign of NaN", Tensor.cat(*[f(Tensor([nan])) for f in (Tensor.relu6, Tensor.elu, Tensor.sign)]), "[0., 0., 1.]")
check("max of [NaN, 1, 2]", Tensor([nan, 1.0, 2.0]).max(), "[nan]")
check("max of [1, NaN, 2]", Tensor([1.0, nan, 2.0]).max(), "[2.]")
check("max_pool2d of [[NaN, 1], [0, 2]]", Tensor([[[[nan, 1.0], [0.0, 2.0]]]]).max_pool2d(), "[nan]")
check("max_pool2d of [[1, NaN], [0, 2]]", Tensor([[[[1.0, nan], [0.0, 2.0]]]]).max_pool2d(), "[2.]")
check("argmax of [NaN, NaN, NaN]", Tensor([nan, nan, nan]).argmax(), "[3]")

# A two-layer classifier whose whole first layer is NaN.
first = Tensor(np.full((4, 3), nan, "float32"))
second = Tensor(np.ones((3, 10), "float32"))
images = Tensor(np.ones((2, 4), "float32"))
loss = (images @ first).relu().matmul(second).sparse_categorical_crossentropy(Tensor([7, 1]))
loss.backward()
check("loss of a classifier whose first weights are all NaN", loss, "[2.3]")
check("sum of the gradient of those weights", first.grad.sum(), "[0.]")
print("CHANGED: not what was seen before" if changed else "as seen before: NaN becomes 0, and the loss is finite")
raise SystemExit(changed)
EOF
DEV=PYTHON CACHEDB=$dir/cache.db venv/bin/python probe.py
