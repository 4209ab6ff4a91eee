// Small helpers for the elements of the page.

export const byId = (id) => document.getElementById(id);

/** An element with some text and attributes. */
export function element(name, text = '', attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export const option = (value, text) => element('option', text, { value });

/** Says something important above all tabs; nothing takes it away. */
export function notice(text) {
  byId('notice').textContent = text;
  byId('notice').hidden = !text;
}

/** A row of a table. */
export function row(cells) {
  const made = document.createElement('tr');
  made.append(...cells.map((cell) => (cell instanceof Node ? cell : element('td', cell))));
  return made;
}

const style = document.head.appendChild(document.createElement('style'));
const styles = new Set();

/** Shows figures of the engine, each with the table behind it. */
export function showFigures(place, figures) {
  for (const figure of figures) {
    if (figure.style && !styles.has(figure.style)) {
      styles.add(figure.style);
      style.append(figure.style);
    }
    let shown = place.querySelector(`[data-name="${figure.name}"]`);
    if (!shown) {
      shown = element('figure', '', { 'data-name': figure.name });
      const details = document.createElement('details');
      details.append(element('summary', 'the numbers'), document.createElement('table'));
      shown.append(element('div', '', { role: 'img' }), details);
      place.append(shown);
    }
    const [picture, details] = shown.children;
    // The engine escapes every text in its SVG.
    picture.innerHTML = figure.svg;
    picture.setAttribute('aria-label', figure.alt);
    const table = details.querySelector('table');
    table.replaceChildren(row(figure.header.map((name) => element('th', name))), ...figure.rows.map(row));
  }
}

/** Gives the visitor a file to save. */
export function save(name, content, type) {
  const link = element('a', '', { href: URL.createObjectURL(new Blob([content], { type })), download: name });
  link.click();
  // The browser may read it a little later.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const percent = (share) => (share === null || share === undefined ? '' : (100 * share).toFixed(2));
export const count = (number) => Math.round(number).toLocaleString('en');
