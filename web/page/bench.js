// Bench: the times of a model's kernels and steps on this GPU.

import { byId, count, element, option, row, save } from './elements.js';
import { call } from './engine-client.js';

export function setUpBenchmark(device) {
  const status = byId('bench-status');
  let report;
  for (const [name] of device.models) byId('bench-model').append(option(name, name));

  function working(isWorking) {
    byId('measure').disabled = isWorking || !device.is_gpu;
    byId('save-bench').disabled = isWorking || !report;
  }

  const digits = (number, places) => number.toLocaleString('en', { maximumSignificantDigits: places });
  const spread = (share) => (share === null || share === undefined ? '' : `±${(50 * share).toFixed(0)} %`);

  async function measure() {
    byId('bench-table').hidden = true;
    byId('steps-table').hidden = true;
    const wanted = { model: byId('bench-model').value, batch: Number(byId('bench-batch').value), browser: navigator.userAgent };
    const result = await call('benchmark', [wanted], ({ now, done, count: all }) => {
      byId('bench-progress').value = done / all;
      status.textContent = `${now} …`;
    });
    report = result.report;
    const { rows, peaks, steps } = result.shown;
    byId('bench-progress').value = 1;
    byId('bench-table').tBodies[0].replaceChildren(...rows.map((kernel) => row([
      `${kernel.name} ${kernel.layers.join(' ')}`, digits(kernel.microseconds, 4), spread(kernel.spread), digits(kernel.gflops, 3),
      digits(kernel.gigabytes, 3), `${(100 * kernel.bound_share).toFixed(0)} % of ${kernel.binding}`])));
    byId('steps-table').tBodies[0].replaceChildren(...steps.map((step) => row([
      step.kind === 'train' ? 'training' : 'inference', digits(1e3 * step.step_seconds, 4), spread(step.spread), count(step.images_per_second)])));
    byId('bench-table').hidden = false;
    byId('steps-table').hidden = false;
    status.textContent = `Peaks of ${device.name}: ${digits(peaks.flops_per_second / 1e9, 3)} GFLOP/s, ${digits(peaks.bytes_per_second / 1e9, 3)} GB/s. `
      + 'Times are of long loops by the clock of the page, since browsers round the timestamps of GPUs.';
    byId('bench').dataset.done = 'true';
  }

  byId('bench-form').onsubmit = async (event) => {
    event.preventDefault();
    delete byId('bench').dataset.done;
    report = undefined;
    working(true);
    try {
      await measure();
    } catch (error) {
      status.textContent = `Error: ${error.message}`;
    } finally {
      working(false);
    }
  };
  byId('save-bench').onclick = () => save('gpu-digits-bench.json', JSON.stringify(report, null, 1), 'application/json');
  working(false);
}
