// Train: choose, start, watch, stop, save.

import { byId, count, element, percent, row, save, showFigures } from './elements.js';
import { call } from './engine-client.js';

/** MNIST's files from the server's folder `mnist/`, if it has one. */
async function fromServer(names) {
  return Promise.all(names.map(async (name) => {
    const answer = await fetch(`mnist/${name}`);
    if (!answer.ok) throw new Error(`the server does not give mnist/${name}`);
    return { name, bytes: new Uint8Array(await answer.arrayBuffer()) };
  }));
}

const fromVisitor = (files) =>
  Promise.all([...files].map(async (file) => ({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) })));

function facts(entries) {
  byId('train-facts').replaceChildren(...entries.map(([name, value]) => {
    const fact = document.createElement('div');
    fact.append(element('dt', name), element('dd', value));
    return fact;
  }));
}

export function setUpTraining(device, drawing) {
  const status = byId('train-status');
  let dropped;

  const showChoices = () => {
    byId('layers-label').hidden = byId('model').value !== '';
    byId('count-label').hidden = byId('data').value !== 'generated';
    byId('files-label').hidden = byId('data').value !== 'files';
  };
  byId('model').onchange = () => {
    if (byId('model').value === '' && byId('layers').value === '') byId('layers').value = device.models[0][1];
    showChoices();
  };
  byId('data').onchange = showChoices;
  showChoices();
  fetch(`mnist/${device.files[1]}`, { method: 'HEAD' }).then(({ ok }) => { byId('data-server').hidden = !ok; }, () => {});

  // Files may also be dropped anywhere on the page.
  addEventListener('dragover', (event) => event.preventDefault());
  addEventListener('drop', (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length === 0) return;
    dropped = event.dataTransfer.files;
    byId('data').value = 'files';
    showChoices();
    status.textContent = `${dropped.length} files are here: ${[...dropped].map((file) => file.name).join(', ')}`;
  });

  async function wanted() {
    const number = (id) => Number(byId(id).value);
    const kind = byId('data').value;
    const data = {};
    if (kind === 'generated') data.count = number('count');
    if (kind === 'server') data.files = await fromServer(device.files);
    if (kind === 'files') data.files = await fromVisitor(byId('files').files.length ? byId('files').files : dropped ?? []);
    return {
      data,
      settings: {
        model: byId('model').value || byId('layers').value,
        epochs: number('epochs'), batch: number('batch'), seed: number('seed'), augment: byId('augment').value,
        // As much as `gpu-digits train` holds out.
        validation: kind === 'generated' ? Math.floor(data.count / 12) : 5000,
      },
    };
  }

  function working(isWorking) {
    byId('start').disabled = isWorking;
    byId('stop-training').disabled = !isWorking;
    byId('save-model').disabled = isWorking || !byId('train').dataset.done;
  }

  async function train() {
    const clicked = performance.now();
    for (const id of ['curves', 'test-figures', 'train-facts']) byId(id).replaceChildren();
    const body = byId('epochs-table').tBodies[0];
    body.replaceChildren();
    byId('epochs-table').hidden = true;
    delete byId('train').dataset.done;
    const said = (news) => { if (news.now) status.textContent = `${news.now} …`; };
    const run = await call('prepare', [await wanted()], said);
    const known = [['parameters', count(run.parameters)], ['training images', count(run.images)]];
    let first;
    const live = (news) => {
      first ??= ((performance.now() - clicked) / 1000).toFixed(1);
      byId('train-progress').value = news.step / news.steps;
      status.textContent = `step ${count(news.step)} of ${count(news.steps)}`;
      facts([...known, ['loss', news.loss.toFixed(4)], ['images a second', count(news.images_per_second)], ['to the first step', `${first} s`]]);
      showFigures(byId('curves'), news.figures);
    };
    let epoch;
    const losses = [];
    do {
      epoch = await call('epoch', [null], live);
      losses.push(...epoch.losses);
      const { row: values } = epoch;
      byId('epochs-table').hidden = false;
      body.append(row([String(values.epoch), values.loss.toFixed(4), percent(values.accuracy), percent(values.validation_accuracy),
        count(values.images_per_second)]));
      live({ step: values.step, steps: run.steps, loss: values.loss, images_per_second: values.images_per_second, figures: epoch.figures });
    } while (!epoch.is_last);
    status.textContent = 'scoring the test images …';
    const test = await call('test', [null]);
    showFigures(byId('test-figures'), test.figures);
    status.textContent = `${percent(test.accuracy)} % of ${count(test.images)} test images of ${test.data} are right`
      + (test.is_generated ? '; that is no accuracy on MNIST' : '') + (epoch.interrupted ? '. Training was stopped early.' : '');
    byId('train').dataset.done = 'true';
    // For whoever compares runs: what was trained, and how.
    window.lastRun = { ...run, losses, test: { accuracy: test.accuracy, loss: test.loss }, epoch };
    drawing.use(await call('useTrained', [null]), 'the model that was just trained');
  }

  byId('train-form').onsubmit = async (event) => {
    event.preventDefault();
    working(true);
    try {
      await train();
    } catch (error) {
      status.textContent = `Error: ${error.message}`;
    } finally {
      working(false);
    }
  };
  byId('stop-training').onclick = () => call('stop');
  byId('save-model').onclick = async () => save('model.safetensors', await call('file', [null]), 'application/octet-stream');
  working(false);
}
