#!/usr/bin/env bash
# TensorFlow.js has -1 as the gradient of |x| at zero: an L1 penalty pushes weights that are zero away from zero.
#
# Expected: the gradient of |x| at 0 is 0, as in TensorFlow and PyTorch. A weight that L1 has brought to 0 stays there.
# What happens: tf.abs gives -1 at 0 (as for negative numbers). layers.regularizers.l1 is built on it, so a step of
#   descent moves each zero weight to +rate * l1, and the next one back: pruned weights flicker for ever, and all to one
#   side. The same goes for the loss absoluteDifference where the prediction is exactly right.
# Why it matters: weights of pixels that are always blank (67 of 784 in MNIST's training images) see nothing but the
#   penalty. Once at zero they count as "not zero" in every second step, so the sparsity measured after training depends
#   on whether the number of steps was even.
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
const { sequential, layers, regularizers } = require('@tensorflow/tfjs-layers');

const show = (x) => `[${[...x].map((v) => +v.toFixed(6)).join(', ')}]`;
(async () => {
  let changed = false;
  const check = (what, got, seen) => {
    changed ||= got !== seen;
    console.log(what.padEnd(48) + got);
  };
  console.log(`TensorFlow.js ${tf.version_core}`);
  const at = tf.tensor1d([-2, 0, 2]);
  check('gradient of |x| at [-2, 0, 2]', show(tf.grad((x) => tf.sum(tf.abs(x)))(at).dataSync()), '[-1, -1, 1]');
  const loss = (p) => tf.losses.absoluteDifference(tf.tensor1d([5]), p);
  check('gradient of |5 - p| at p = 5', show(tf.grad(loss)(tf.tensor1d([5])).dataSync()), '[1]');

  // Two weights that start at zero and whose input is always blank: only the penalty acts on them.
  const model = sequential();
  const penalty = regularizers.l1({ l1: 0.01 });
  model.add(layers.dense({ units: 1, inputShape: [2], kernelInitializer: 'zeros', kernelRegularizer: penalty }));
  model.compile({ optimizer: tf.train.sgd(1), loss: 'meanSquaredError' });
  const [x, y] = [tf.zeros([4, 2]), tf.zeros([4, 1])];
  for (let step = 1; step <= 4; step++) {
    await model.trainOnBatch(x, y);
    const kernel = show(model.layers[0].getWeights()[0].dataSync());
    check(`zero weights, blank input, after step ${step}`, kernel, step % 2 ? '[0.01, 0.01]' : '[0, 0]');
  }
  console.log(changed ? 'CHANGED: not what was seen before' : 'as seen before: at zero the gradient of |x| is -1');
  process.exitCode = changed ? 1 : 0;
})();
EOF
node probe.js
