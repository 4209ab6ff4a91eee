// Draw: a canvas, and what a model makes of it while one draws.

import { byId, element } from './elements.js';
import { call } from './engine-client.js';

/** A probability; only 1 itself is 100 %. */
const certainty = (share) => `${(share < 1 ? Math.min(100 * share, 99.9) : 100).toFixed(1)} %`;

/** Lines are this share of the canvas wide, as a felt pen's. */
const PEN = 0.055;

export function setUpDrawing() {
  const canvas = byId('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let isReady = false;
  let strokes = 0;
  let shown = 0;

  function clear() {
    context.fillStyle = '#ffffff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    strokes = 0;
    shown = 0;
    showDigits([], '');
  }

  function showDigits(digits, text, why) {
    byId('reading').textContent = text || (strokes === 0 ? 'Draw a digit' : 'no digit');
    byId('reading').title = why ?? '';
    byId('insight').hidden = digits.length === 0;
    shown = Math.min(shown, Math.max(digits.length - 1, 0));
    byId('choose-digit').replaceChildren(...(digits.length < 2 ? [] : digits.map((digit, place) => {
      const button = element('button', String(digit.digit), { 'aria-pressed': place === shown });
      button.onclick = () => { shown = place; showDigits(digits, text, why); };
      return button;
    })));
    const digit = digits[shown];
    byId('bars').replaceChildren(...Array.from({ length: 10 }, (_, number) => {
      const share = digit ? digit.probabilities[number] : 0;
      const bar = element('div', '', { role: 'listitem' });
      const length = element('i');
      length.style.width = `${100 * share}%`;
      bar.append(element('span', String(number)), length, element('b', digit ? certainty(share) : ''));
      return bar;
    }));
    if (digit) explain(digit);
  }

  async function explain(digit) {
    const { layers, attribution } = await call('explain', [{ image: digit.pixels, digit: digit.digit }]);
    paint(byId('seen'), (place) => [digit.pixels[place], digit.pixels[place], digit.pixels[place]]);
    const most = Math.max(1e-9, ...attribution.map(Math.abs));
    paint(byId('spoken'), (place) => {
      const share = attribution[place] / most;
      const grey = digit.pixels[place] * 0.2;
      const [red, green, blue] = share > 0 ? [255, 150, 60] : [70, 160, 255];
      return [red, green, blue].map((end) => grey + (end - grey) * Math.abs(share));
    });
    byId('layers-seen').replaceChildren(...layers.map(showSheet));
  }

  function paint(target, color) {
    const image = new ImageData(28, 28);
    for (let place = 0; place < 784; place++) image.data.set([...color(place), 255], 4 * place);
    target.getContext('2d').putImageData(image, 0, 0);
  }

  /** The channels of a layer, side by side. */
  function showSheet({ name, tile: [height, width], tiles, pixels, range }) {
    const bytes = Uint8Array.from(atob(pixels), (letter) => letter.charCodeAt(0));
    const shownTiles = bytes.length / (height * width);
    const columns = Math.min(shownTiles, height === 1 ? 32 : 16);
    const rows = Math.ceil(shownTiles / columns);
    // Single numbers touch each other.
    const gap = height * width === 1 ? 0 : 1;
    const [across, down] = [columns * (width + gap) - gap, rows * (height + gap) - gap];
    const image = new ImageData(across, down);
    for (const [place, byte] of bytes.entries()) {
      const number = Math.floor(place / (height * width));
      const [y, x] = [Math.floor(place / width) % height, place % width];
      const at = (Math.floor(number / columns) * (height + gap) + y) * across + (number % columns) * (width + gap) + x;
      image.data.set([byte, byte, byte, 255], 4 * at);
    }
    const drawn = element('canvas', '', { width: across, height: down, role: 'img', 'aria-label': `outputs of ${name}` });
    drawn.style.width = `${across * Math.max(1, Math.min(24, Math.round(560 / across)))}px`;
    drawn.getContext('2d').putImageData(image, 0, 0);
    const layer = element('div', '', { class: 'layer' });
    const size = height * width === 1 ? 'numbers' : `of ${height}x${width}`;
    layer.append(`${name}: ${tiles} ${size}, from ${range[0].toPrecision(3)} to ${range[1].toPrecision(3)}`, drawn);
    return layer;
  }

  // One reading at a time; what is drawn meanwhile is read next.
  let isReading = false;
  let isOutdated = false;
  async function read() {
    isOutdated = true;
    if (isReading || !isReady) return;
    isReading = true;
    try {
      while (isOutdated) {
        isOutdated = false;
        const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
        const { digits, text, why } = strokes ? await call('read', [{ pixels: data, width: canvas.width }]) : { digits: [], text: '' };
        showDigits(digits, text, why);
      }
    } catch (error) {
      byId('reader-status').textContent = `Error: ${error.message}`;
    } finally {
      isReading = false;
    }
  }

  let before;
  const place = ({ clientX, clientY }) => {
    const { left, top, width } = canvas.getBoundingClientRect();
    const scale = canvas.width / width;
    return [(clientX - left) * scale, (clientY - top) * scale];
  };
  function line(from, to) {
    context.strokeStyle = '#101828';
    context.lineCap = 'round';
    context.lineJoin = 'round';
    context.lineWidth = PEN * canvas.width;
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
  }
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    before = place(event);
    strokes++;
    line(before, before);
    read();
  };
  canvas.onpointermove = (event) => {
    if (!before) return;
    for (const between of event.getCoalescedEvents?.() ?? [event]) {
      const now = place(between);
      line(before, now);
      before = now;
    }
    read();
  };
  canvas.onpointerup = () => { before = undefined; };
  canvas.onpointercancel = canvas.onpointerup;
  canvas.onkeydown = ({ key }) => { if (key === 'Delete' || key === 'Backspace' || key === 'Escape') clear(); };
  byId('clear').onclick = clear;

  byId('picture').onchange = async ({ target }) => {
    const [file] = target.files;
    if (!file) return;
    try {
      const picture = await createImageBitmap(file);
      clear();
      const scale = Math.min(canvas.width / picture.width, canvas.height / picture.height);
      const [width, height] = [picture.width * scale, picture.height * scale];
      context.drawImage(picture, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
      strokes = 1;
      read();
    } catch {
      byId('reader-status').textContent = `Error: the browser cannot show ${file.name}`;
    }
    target.value = '';
  };

  /** Reads with another model from now on. */
  function use(model, from) {
    isReady = model.is_of_digits;
    byId('reader-status').textContent = isReady
      ? `Read by ${from}: ${model.model}, ${model.parameters.toLocaleString('en')} parameters`
      : 'This model is not one for digits.';
    read();
  }
  const open = async (bytes, from) => use(await call('useFile', [bytes]), from);
  byId('model-file').onchange = async ({ target }) => {
    const [file] = target.files;
    if (!file) return;
    try {
      await open(new Uint8Array(await file.arrayBuffer()), file.name);
    } catch (error) {
      byId('reader-status').textContent = `Error: ${error.message}`;
    }
    target.value = '';
  };

  clear();
  // A model that comes with the page, so that one can draw at once.
  fetch('model.safetensors')
    .then(async (answer) => {
      if (!answer.ok) throw new Error('the model of the page is not there');
      await open(new Uint8Array(await answer.arrayBuffer()), 'the model of this page, trained on MNIST');
    })
    .catch((error) => { byId('reader-status').textContent = `${error.message}; train one, or load a file`; });
  return { use };
}
