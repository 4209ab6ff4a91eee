// Runs a model that `gpu-digits export RUN --format json` has written, in a browser or in node:
//
//     import { Network } from "./network.mjs";
//     const network = new Network(await (await fetch("model.json")).json());
//     const probabilities = network.probabilities(bytes);   // bytes of an image, [row][column][channel]
//
// or, for a file of images one after the other:  node network.mjs model.json images

export class Network {
  constructor(file) {
    if (file.format !== "gpu-digits network 1") throw new Error(`this is no network of gpu-digits: ${file.format}`);
    this.file = file;
    this.classes = file.classes;
    const floats = ({ float32 }) =>
      new Float32Array(Uint8Array.from(atob(float32), (letter) => letter.charCodeAt(0)).buffer);
    this.steps = file.steps.map((step) => {
      const names = ["weight", "bias", "mean", "variance"].filter((name) => name in step);
      return { ...step, ...Object.fromEntries(names.map((name) => [name, floats(step[name])])) };
    });
  }

  probabilities(bytes) {
    const { image, mean, deviation } = this.file;
    const { height, width, channels } = image;
    const planes = new Float32Array(bytes.length);
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < height * width; i++) {
        planes[c * height * width + i] = (bytes[i * channels + c] / 255 - mean) / deviation;
      }
    }
    const values = { image: { shape: [channels, height, width], data: planes } };
    let output = values.image;
    for (const step of this.steps) {
      const inputs = step.inputs.map((name) => values[name]);
      output = values[step.name] = { shape: step.output, data: functions[step.function](step, ...inputs) };
    }
    return softmax(output.data);
  }
}

// Each function takes a step and its inputs, maps [channel][row][column] or vectors, and returns the data of its output.
const functions = {
  convolution({ weight, bias, stride, padding, output }, { shape, data }) {
    const [channels, height, width] = shape;
    const [outputs, rows, columns] = output;
    const kernel = Math.round(Math.sqrt(weight.length / outputs / channels));
    const result = new Float32Array(outputs * rows * columns);
    let place = 0;
    for (let o = 0; o < outputs; o++) {
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++) {
          let sum = bias[o];
          let w = o * channels * kernel * kernel;
          for (let c = 0; c < channels; c++) {
            for (let ky = 0; ky < kernel; ky++) {
              for (let kx = 0; kx < kernel; kx++, w++) {
                const row = y * stride + ky - padding[0];
                const column = x * stride + kx - padding[0];
                if (row >= 0 && row < height && column >= 0 && column < width) {
                  sum += weight[w] * data[(c * height + row) * width + column];
                }
              }
            }
          }
          result[place++] = sum;
        }
      }
    }
    return result;
  },

  dense({ weight, bias }, { data }) {
    return bias.map((sum, o) => {
      for (let i = 0; i < data.length; i++) sum += weight[o * data.length + i] * data[i];
      return sum;
    });
  },

  normalization({ weight, bias, mean, variance, epsilon }, { data }) {
    const area = data.length / weight.length;
    return data.map((x, i) => {
      const c = Math.floor(i / area);
      return ((x - mean[c]) / Math.sqrt(variance[c] + epsilon)) * weight[c] + bias[c];
    });
  },

  rectifier: ({ slope }, { data }) => data.map((x) => (x > 0 ? x : x * slope)),
  "max pool": (step, input) => pooled(step, input, (window) => Math.max(...window)),
  "average pool": (step, input) => pooled(step, input, (window) => window.reduce((a, b) => a + b) / window.length),
  flatten: (_, { data }) => data,
  sum: (_, a, b) => a.data.map((x, i) => x + b.data[i]),
};

// Applies a function to each window; rows and columns left over are dropped.
function pooled({ window, output }, { shape, data }, apply) {
  const [, height, width] = shape;
  const [channels, rows, columns] = output;
  const result = new Float32Array(channels * rows * columns);
  const numbers = new Array(window[0] * window[1]);
  let place = 0;
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        for (let i = 0; i < numbers.length; i++) {
          const row = y * window[0] + Math.floor(i / window[1]);
          numbers[i] = data[(c * height + row) * width + x * window[1] + (i % window[1])];
        }
        result[place++] = apply(numbers);
      }
    }
  }
  return result;
}

function softmax(logits) {
  const most = Math.max(...logits);
  const shares = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = shares.reduce((a, b) => a + b);
  return shares.map((share) => share / sum);
}

if (globalThis.process?.argv[1]?.endsWith("network.mjs")) {
  const { readFileSync } = await import("node:fs");
  const [model, images] = process.argv.slice(2);
  const network = new Network(JSON.parse(readFileSync(model, "utf8")));
  const { height, width, channels } = network.file.image;
  const bytes = readFileSync(images);
  for (let start = 0; start < bytes.length; start += height * width * channels) {
    console.log(network.probabilities(bytes.subarray(start, start + height * width * channels)).join(" "));
  }
}
