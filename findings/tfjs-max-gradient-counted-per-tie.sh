#!/usr/bin/env bash
# TensorFlow.js multiplies the gradient of a maximum by the number of ties: 784 times on a blank 28x28 image.
#
# Expected: the gradient of max(x) sums to the incoming gradient. Where several elements are the maximum, one gets it
#   (as in max-pooling) or all share it (TensorFlow, JAX, tinygrad).
# What happens: tf.max and tf.min give every tied element the whole gradient, so 1 comes in and the number of ties goes
#   out. The layer globalMaxPooling2d is built on tf.max. tf.maxPool and maxPooling2d are right: one element gets it.
# Why it matters: ties are the rule on a blank background, where every pixel of a feature map equals the bias. There the
#   bias is moved by the number of pixels times what it should be; the forward pass and a numeric check of gradients on
#   random values (no ties) show nothing.
# Seen on: npm @tensorflow/tfjs-core, -backend-cpu and -layers 4.22.0, 2026-11-28.
# Needs: Node 20, npm.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

npm install --silent --no-audit --no-fund --prefix "$dir" \
  @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0 @tensorflow/tfjs-layers@4.22.0 >/dev/null
cat >probe.js <<'EOF'
const tf = require('@tensorflow/tfjs-core');
require('@tensorflow/tfjs-backend-cpu');
tf.env().set('IS_TEST', true); // no banner
const layers = require('@tensorflow/tfjs-layers');

const total = (f, x) => tf.sum(tf.grad(f)(x)).dataSync()[0];
const row = tf.tensor1d([1, 3, 3, 3]);
const image = tf.fill([1, 28, 28, 1], 0.5);
const globalMax = layers.layers.globalMaxPooling2d({});
const window = layers.layers.maxPooling2d({ poolSize: 28 });
const cases = [
  // what, sum of the gradient that a true maximum has, sum seen
  ['tf.max of [1, 3, 3, 3]', total((x) => tf.max(x), row), 3],
  ['tf.min of [-1, -3, -3, -3]', total((x) => tf.min(x), tf.neg(row)), 3],
  ['tf.max of [1, 2, 2.5, 3] (no ties)', total((x) => tf.max(x), tf.tensor1d([1, 2, 2.5, 3])), 1],
  ['globalMaxPooling2d, constant 28x28', total((x) => tf.sum(globalMax.apply(x)), image), 784],
  ['maxPooling2d of 28x28, constant', total((x) => tf.sum(window.apply(x)), image), 1],
];
console.log(`TensorFlow.js ${tf.version_core}; each sum of gradients should be 1`);
let changed = false;
for (const [what, got, seen] of cases) {
  changed ||= got !== seen;
  console.log(what.padEnd(38) + got);
}
console.log(changed ? 'CHANGED: not what was seen before' : 'as seen before: the incoming gradient is counted once per tie');
process.exitCode = changed ? 1 : 0;
EOF
node probe.js
