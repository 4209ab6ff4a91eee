// The frame of the page: its tabs, and the device that everything runs on.

import { call } from './engine-client.js';
import { setUpBenchmark } from './bench.js';
import { setUpDrawing } from './draw.js';
import { byId, notice, option } from './elements.js';
import { setUpTraining } from './train.js';
import { setUpVerification } from './verify.js';

const tabs = ['train', 'draw', 'verify', 'bench'];
const query = new URLSearchParams(location.search);

function show(name) {
  for (const tab of tabs) {
    byId(tab).hidden = tab !== name;
    const button = byId(`tab-${tab}`);
    button.setAttribute('aria-selected', tab === name);
    button.tabIndex = tab === name ? 0 : -1;
  }
}

function shownByAddress() {
  const wanted = location.hash.slice(1);
  if (tabs.includes(wanted)) return wanted;
  return query.has('op') || query.has('case') ? 'verify' : 'train';
}

for (const [place, tab] of tabs.entries()) {
  const button = byId(`tab-${tab}`);
  button.onclick = () => { location.hash = tab; };
  // As in any list of tabs, arrows lead to the neighbours.
  button.onkeydown = ({ key }) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (!step) return;
    const next = tabs[(place + step + tabs.length) % tabs.length];
    location.hash = next;
    byId(`tab-${next}`).focus();
  };
}
onhashchange = () => show(shownByAddress());
show(shownByAddress());

try {
  const device = await call('open');
  byId('device').textContent = device.is_gpu ? `on ${device.name}` : 'on the CPU';
  byId('version').textContent = `gpu-digits ${device.version}, commit ${device.commit.slice(0, 10)}.`;
  if (device.problem) {
    notice(`No GPU is used: ${device.problem}. The CPU computes instead, on one thread and slowly, and there is nothing to verify. `
      + 'Chrome and Edge have WebGPU on most machines, Safari from version 26 on, Firefox on Windows and macOS; '
      + 'chrome://gpu or about:support say why it is off.');
  } else if (device.is_software) {
    notice(`${device.name} is no GPU but software that computes on the processor, slowly. What it shows says nothing about your GPU. `
      + 'chrome://gpu says why the GPU is not used; the setting “Use graphics acceleration when available” may be off.');
  }
  for (const [name] of device.models) byId('model').append(option(name, name));
  byId('model').append(option('', 'layers of your own …'));
  for (const op of device.ops) byId('op').append(option(op, op));
  const drawing = setUpDrawing();
  setUpTraining(device, drawing);
  setUpVerification(device, query);
  setUpBenchmark(device);
  document.body.dataset.ready = 'true';
} catch (error) {
  byId('device').textContent = '';
  notice(`The engine could not be started: ${error.message}`);
}
