// Tables that sort by a column and show the rows that hold some words.

function compare(a, b) {
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) ? a.localeCompare(b, 'en') : difference;
}

function sort(table, column, heading) {
  const descending = heading.getAttribute('aria-sort') !== 'descending';
  for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
  heading.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const rows = [...table.tBodies[0].rows];
  // What has no value comes last, whichever way.
  rows.sort((a, b) => (value(a) === '') - (value(b) === '') || compare(value(a), value(b)) * (descending ? -1 : 1));
  table.tBodies[0].append(...rows);
}

function filter(table, inputs) {
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const fits = inputs.every(({ value, dataset }) => {
      const text = [...row.cells].filter((cell) => cell.dataset.column === dataset.filter).map((cell) => cell.textContent).join(' ');
      return text.toLowerCase().includes(value.trim().toLowerCase());
    });
    row.hidden = !fits;
    shown += fits;
  }
  table.caption.lastElementChild.textContent = `${shown} of ${table.tBodies[0].rows.length} rows`;
}

const tables = [...document.querySelectorAll('table.sorted')];
const inputs = [...document.querySelectorAll('[data-filter]')];
for (const table of tables) {
  for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...heading.childNodes);
    button.onclick = () => sort(table, column, heading);
    heading.append(button);
  }
}
for (const input of inputs) input.oninput = () => tables.forEach((table) => filter(table, inputs));
document.querySelector('.filters').hidden = false;
