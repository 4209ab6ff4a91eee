// The engine's side: keeps what is open, and answers the calls of engine-client.js.

import init, { Data, Device, Reader, Training, Verification, benchmark, models, ops, stop } from './engine.js';

const ready = init();
let device;
let training;
let reader;
let verification;

// The objects live in WebAssembly's memory, which only `free` gives back.
const replaced = (old, now) => {
  old?.free();
  return now;
};

// What the browser tells of its GPU; some of it is often left empty.
async function nameOfGpu() {
  const info = (await navigator.gpu?.requestAdapter())?.info;
  return info?.description || [info?.vendor, info?.architecture].filter(Boolean).join(' ') || 'a GPU without a name';
}

const calls = {
  async open() {
    let problem;
    try {
      device = await Device.gpu(await nameOfGpu());
    } catch (error) {
      problem = error.message ?? String(error);
      device = Device.cpu();
    }
    return { ...JSON.parse(device.describe()), problem, models: JSON.parse(models()), ops: JSON.parse(ops()), files: Data.namesOfFiles() };
  },

  async prepare({ data: wanted, settings }, tell) {
    tell({ now: wanted.files ? 'reading the files' : 'drawing digits' });
    const data = wanted.files
      ? Data.from_files(wanted.files.map((file) => file.name), wanted.files.map((file) => file.bytes))
      // The digits that the program generates, with a sixth as many to test.
      : Data.generated(wanted.count, Math.ceil(wanted.count / 6), 0);
    try {
      const next = await Training.prepare(device, data, JSON.stringify(settings), (news) => tell(JSON.parse(news)));
      training = replaced(training, next);
      return { ...JSON.parse(training.describe()), data: JSON.parse(data.describe()) };
    } finally {
      data.free();
    }
  },
  epoch: async (_, tell) => JSON.parse(await training.epoch((news) => tell(JSON.parse(news)))),
  test: async () => JSON.parse(await training.test()),
  file: () => training.file(),

  async useTrained() {
    reader = replaced(reader, await training.reader());
    return JSON.parse(reader.describe());
  },
  async useFile(bytes) {
    reader = replaced(reader, Reader.open(bytes));
    return JSON.parse(reader.describe());
  },
  async read({ pixels, width }) {
    return JSON.parse(await reader.read(pixels, width));
  },
  async explain({ image, digit }) {
    return JSON.parse(await reader.explain(new Uint8Array(image), digit));
  },

  async choose(wanted) {
    verification = replaced(verification, Verification.choose(device, JSON.stringify(wanted)));
    return JSON.parse(verification.describe());
  },
  verify: async (_, tell) => JSON.parse(await verification.run((news) => tell(JSON.parse(news)))),
  junit: async () => verification.junit(),
  reproducer: (label) => verification.reproducer(label),

  async benchmark({ model, batch, browser }, tell) {
    return JSON.parse(await benchmark(device, model, batch, browser, (news) => tell(JSON.parse(news))));
  },

  async stop() {
    stop();
  },
};

onmessage = async ({ data: { id, name, args } }) => {
  try {
    await ready;
    const result = await calls[name](...args, (progress) => postMessage({ id, progress }));
    postMessage({ id, result });
  } catch (error) {
    postMessage({ id, error: error.message ?? String(error) });
  }
};
