// Verify: every kernel on this GPU against the references.

import { byId, count, element, row, save } from './elements.js';
import { call } from './engine-client.js';

export function setUpVerification(device, query) {
  const status = byId('verify-status');
  // `?op=…&case=…&seed=…` runs a part; `from` and `to` change the kernels of an op, to see that this is noticed.
  const asked = { case: query.get('case') ?? '', from: query.get('from') ?? '', to: query.get('to') ?? '' };
  byId('op').value = query.get('op') ?? '';
  byId('verify-seed').value = Number(query.get('seed') ?? 0);
  let result;

  function working(isWorking) {
    byId('check').disabled = isWorking || !device.is_gpu;
    byId('stop-verifying').disabled = !isWorking;
    for (const id of ['save-json', 'save-junit']) byId(id).disabled = isWorking || !result;
  }

  function showRow(body, { op, passed, failed, skipped, worst_ratio: worst }) {
    const known = body.querySelector(`[data-op="${op}"]`);
    const state = failed > 0 ? 'bad' : 'good';
    const made = row([op, count(passed), element('td', count(failed), failed ? { class: 'bad' } : {}), count(skipped),
      element('td', failed > 0 ? 'FAILED' : passed > 0 ? worst.toFixed(3) : '–', { class: passed || failed ? state : '' })]);
    made.dataset.op = op;
    if (known) known.replaceWith(made);
    else body.append(made);
  }

  /** Failures that stand on the page; the file has more. */
  const SHOWN = 5;

  function showFailures(failures, leftOut) {
    byId('failures').replaceChildren(...failures.slice(0, SHOWN).map(({ case: label, reason }) => {
      const paragraph = element('p');
      const link = new URL(location.href);
      link.hash = 'verify';
      link.searchParams.set('case', label);
      const button = element('button', 'Save a page that shows it', { class: 'reproducer' });
      button.onclick = async () => {
        try {
          save(`${label.replace(/[^\w.=-]/g, '-').slice(0, 150)}.html`, await call('reproducer', [label]), 'text/html');
        } catch (error) {
          status.textContent = `Error: ${error.message}`;
        }
      };
      paragraph.append(element('b', 'FAILED ', { class: 'bad' }), element('a', label, { href: link.href }), ` ${reason} `, button);
      return paragraph;
    }));
    const rest = Math.max(failures.length - SHOWN, 0) + leftOut;
    if (rest > 0) byId('failures').append(element('p', `and ${count(rest)} more`));
  }

  async function verify() {
    const body = byId('ops-table').tBodies[0];
    body.replaceChildren();
    showFailures([], 0);
    byId('ops-table').hidden = false;
    result = undefined;
    working(true);
    await call('choose', [{ ...asked, op: byId('op').value, seed: Number(byId('verify-seed').value) }]);
    result = await call('verify', [null], ({ done, count: all, row: values }) => {
      byId('verify-progress').value = done / all;
      status.textContent = `${count(done)} of ${count(all)} cases; now ${values.op}`;
      showRow(body, values);
    });
    result.browser = navigator.userAgent;
    for (const values of result.ops) showRow(body, values);
    showFailures(result.failures, result.failures_left_out);
    const reasons = Object.entries(result.skipped_because).map(([reason, number]) => `${count(number)}: ${reason}`);
    status.textContent = `${count(result.passed)} checks passed, ${count(result.failed)} failed, ${count(result.skipped)} skipped on ${device.name}`
      + ` in ${result.seconds.toFixed(0)} s${result.is_complete ? '' : ', stopped early'}`
      + (reasons.length ? `. Skipped: ${reasons.join('; ')}` : '');
    status.className = result.failed ? 'bad' : result.is_complete ? 'good' : '';
    window.lastResult = result;
  }

  byId('verify-form').onsubmit = async (event) => {
    event?.preventDefault();
    status.className = '';
    try {
      await verify();
    } catch (error) {
      status.textContent = `Error: ${error.message}`;
    } finally {
      working(false);
    }
  };
  byId('stop-verifying').onclick = () => call('stop');
  byId('save-json').onclick = () => save('gpu-digits-verify.json', JSON.stringify(result, null, 1), 'application/json');
  byId('save-junit').onclick = async () => save('gpu-digits-verify.xml', await call('junit'), 'application/xml');
  working(false);
  if (device.is_gpu && (query.has('op') || asked.case)) byId('verify-form').onsubmit();
}
