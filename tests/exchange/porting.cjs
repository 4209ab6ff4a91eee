// What TensorFlow.js computes in the measurements of porting.py, as JSON by the titles of its rows.
const tf = require('@tensorflow/tfjs-core');
require('@tensorflow/tfjs-backend-cpu');
tf.env().set('IS_TEST', true);
const layers = require('@tensorflow/tfjs-layers');

const shown = (value) => Number(value.toPrecision(3)).toString().replace(/e-(\d)$/, 'e-0$1');
const list = (tensor) => Array.from(tensor.dataSync());

// The changes of a parameter that is 1 at first, given its gradients and rates.
function changes(make, gradients, rates) {
  const weight = tf.variable(tf.ones([1]));
  const optimizer = make(rates[0]);
  return gradients.map((gradient, step) => {
    const before = list(weight)[0];
    if (step > 0) optimizer.learningRate = rates[step];
    if (optimizer.setLearningRate) optimizer.setLearningRate(rates[step]);
    optimizer.applyGradients({ [weight.name]: tf.tensor1d([gradient]) });
    return list(weight)[0] - before;
  });
}
const adam = (rate) => tf.train.adam(rate);
const momentum = (nesterov) => (rate) => tf.train.momentum(rate, 0.9, nesterov);
const first = (make, gradient, rate) => -changes(make, [gradient], [rate])[0] / rate;

const batch = tf.tensor2d([[0], [2]]);
const norm = layers.layers.batchNormalization({});
norm.apply(batch, { training: true });
const [, , mean, variance] = norm.getWeights().map((weight) => list(weight)[0]);
const small = list(layers.layers.batchNormalization({}).apply(tf.div(batch, 1000), { training: true }))[1];

const conv = layers.layers.conv2d({ filters: 64, kernelSize: 3, inputShape: [8, 8, 16] });
conv.build([null, 8, 8, 16]);
const largest = (weight) => Math.max(...list(weight).map(Math.abs)) * Math.sqrt(144);

const places = tf.tensor4d([0, 1, 10, 11, 100, 101, 110, 111], [1, 2, 2, 2]);
const flat = list(layers.layers.flatten().apply(places)).slice(0, 3);

const kernel = tf.buffer([3, 3, 1, 3]);
for (let column = 0; column < 3; column += 1) kernel.set(1, 1, column, 0, column);
const image = tf.tile(tf.reshape(tf.range(1, 9), [1, 1, 8, 1]), [1, 8, 1, 1]);
const seen = list(tf.slice(tf.conv2d(image, kernel.toTensor(), 2, 'same'), [0, 1, 0, 0], [1, 1, 1, 3]));

const logits = tf.tensor2d([[2, 0, 0]]);
const smooth = tf.losses.softmaxCrossEntropy(tf.tensor2d([[1, 0, 0]]), logits, undefined, 0.1);
const certain = layers.metrics.categoricalCrossentropy(tf.tensor2d([[1, 0]]), tf.softmax(tf.tensor2d([[-100, 0]])));

const ties = tf.grad((x) => tf.sum(layers.layers.maxPooling2d({ poolSize: 2 }).apply(x)))(tf.ones([1, 2, 2, 1]));

console.log(
  JSON.stringify({
    'Adam: first step at a gradient of 1e-7, over the rate': shown(first(adam, 1e-7, 1)),
    'Adam: first step at a gradient of 1, over the rate': shown(first(adam, 1, 1)),
    'SGD, momentum 0.9: second step at gradients of 1, over the rate': shown(
      -changes(momentum(false), [1, 1], [1e-2, 1e-2])[1] / 1e-2,
    ),
    'the same where the rate falls to a tenth before it, over the new rate': shown(
      -changes(momentum(false), [1, 1], [1e-2, 1e-3])[1] / 1e-3,
    ),
    'Nesterov: first step': shown(first(momentum(true), 1, 1e-2)),
    'max-pooling: shares of the gradient in a window of equals': list(ties).join(' '),
    'ReLU: gradient at 0': shown(list(tf.grad((x) => tf.sum(tf.relu(x)))(tf.zeros([1])))[0]),
    'leaky ReLU: slope by default': shown(-list(layers.layers.leakyReLU().apply(tf.tensor1d([-1])))[0]),
    'batch normalisation: running mean and variance after a batch of 0 and 2': `${shown(mean)}, ${shown(variance)}`,
    'its epsilon': shown((0.001 / small) ** 2 - 1e-6),
    'initial weights of a convolution before a ReLU: bound, times √(inputs)': shown(largest(conv.getWeights()[0])),
    'initial biases: bound, times √(inputs)': shown(largest(conv.getWeights()[1])),
    'label smoothing 0.1: loss of logits 2, 0, 0': shown(list(smooth)[0]),
    'loss of a label with the probability e^-100': shown(list(certain)[0]),
    'flatten: first elements, as row, column, channel': flat.map((place) => String(place).padStart(3, '0')).join(' '),
    '`same`, stride 2, 3x3: columns 1 to 8 that the first position sees, 0 for padding': seen.join(' '),
  }),
);
