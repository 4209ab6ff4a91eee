#!/usr/bin/env bash
# Keras on JAX gives a network that predicts only NaN a top-k accuracy of 100 %, also with k = 1.
#
# Expected: a prediction of NaN is never among the k best, so top-k accuracy falls to 0 when training diverges (Keras on
#   NumPy does that), and k = 1 agrees with plain accuracy.
# What happens: the JAX backend counts the classes that are greater than the true one's. It puts -infinity in place of
#   the true class's NaN, but "NaN > -infinity" is false for all others, so the true class has rank 1: a hit, for each
#   label. Plain accuracy takes argmax, which is 0 for a row of NaN: it counts the share of zeros among the labels.
# Why it matters: a run that broke shows a perfect figure, and what keeps the best checkpoint by top-k accuracy (an
#   early stop, a sweep) keeps the broken one.
# Seen on: PyPI keras 3.15.1, jax and jaxlib 0.10.2, numpy 2.4.6, 2026-11-28, on the CPU.
# Needs: Python 3.11 or later with venv. About 400 MB for a moment.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cat >probe.py <<'EOF'
import keras
import numpy as np
from keras import metrics

labels = np.arange(10)  # one of each digit
broken = np.full((10, 10), np.nan, "float32")
usual = np.eye(10, dtype="float32")[(labels + 1) % 10]  # always one digit too high


def mean(metric, predictions):
    metric.update_state(labels, predictions)
    return f"{float(metric.result()):.1f}"


print(
    keras.config.backend(),
    mean(metrics.SparseCategoricalAccuracy(), broken),
    mean(metrics.SparseTopKCategoricalAccuracy(k=1), broken),
    mean(metrics.SparseTopKCategoricalAccuracy(k=5), broken),
    mean(metrics.SparseTopKCategoricalAccuracy(k=1), usual),
)
EOF
for backend in jax numpy; do
  KERAS_HOME=$dir/home KERAS_BACKEND=$backend JAX_PLATFORMS=cpu TF_CPP_MIN_LOG_LEVEL=3 venv/bin/python -W ignore probe.py
done >seen
venv/bin/python -c 'from importlib.metadata import version as v; print("keras", v("keras"), "jax", v("jax"))'
echo 'Ten labels 0 to 9. Accuracy, top 1, top 5 of predictions that are all NaN; top 1 of finite ones, all wrong:'
sed 's/^/  /' seen
printf 'jax 0.1 1.0 1.0 0.0\nnumpy 0.1 0.0 0.0 0.0\n' | cmp -s - seen || { echo 'CHANGED: not what was seen before'; exit 1; }
echo 'as seen before: on JAX each row of NaN is a hit'
