// Uses the page as a person would, in headless Chromium with its software GPU: trains, draws, verifies, saves.
//
//     npm install --prefix web; node web/test.mjs PROGRAM [SCREENSHOTS]      with Chromium in $CHROMIUM, else /usr/bin/chromium
//
// PROGRAM is `gpu-digits`, built after `web/build`: it serves the page, and says what the CPU computes and what it reads in the files.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { chromium } from 'playwright-core';

const [program, screenshots] = process.argv.slice(2);
if (!program) throw new Error('give the program: node web/test.mjs target/release/gpu-digits');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gpu-digits-page-'));
const digits = (...args) => execFileSync(program, args, { encoding: 'utf8' });

// A small model, so that the software GPU and the CPU are done soon.
const MODEL = 'conv 8x5, relu, pool 4, flatten, dense 10';
const SETTINGS = { count: 3000, epochs: 3, batch: 64, seed: 5 };

/** Pictures of what is shown, in two widths, light and dark, if a folder for them is given. */
async function shoot(page, name) {
  if (!screenshots) return;
  const before = page.viewportSize();
  for (const width of [1280, 390]) {
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize({ width, height: 900 });
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: path.join(screenshots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    }
  }
  await page.setViewportSize(before);
  await page.emulateMedia({ colorScheme: 'light' });
}

let passed = 0;
const tests = [];
const test = (name, run) => tests.push([name, run]);

const server = spawn(program, ['web', '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
const address = await new Promise((resolve, reject) => {
  readline.createInterface({ input: server.stdout }).once('line', resolve);
  server.once('exit', () => reject(new Error('the server ended at once')));
});

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader',
    // SwiftShader zeroes workgroup memory word by word, which takes its compiler seconds: findings/swiftshader-zeroed-workgroup-memory.sh
    '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension'],
});
const context = await browser.newContext({ acceptDownloads: true, viewport: { width: 1280, height: 900 } });

/** A page at an address, ready to be used. Whatever it asks of another host, or writes as an error, fails. */
async function open(where = '') {
  const page = await context.newPage();
  page.setDefaultTimeout(240_000);
  page.on('pageerror', (error) => { throw error; });
  page.on('console', (message) => {
    // MNIST may not be on the server, nor a model.
    if (message.type() === 'error' && !/404/.test(message.text())) console.log(`the page says: ${message.text().slice(0, 500)}`);
  });
  page.on('request', (request) => assert.ok(/^(data|blob):/.test(request.url()) || request.url().startsWith(address), request.url()));
  await page.goto(address + where);
  await page.locator('body[data-ready]').waitFor();
  return page;
}

async function saved(page, button) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator(button).first().click()]);
  const file = path.join(folder, download.suggestedFilename());
  await download.saveAs(file);
  return file;
}

/** Draws lines on the canvas with the mouse; places are shares of its sides. */
async function draw(page, strokes) {
  const { x, y, width, height } = await page.locator('#canvas').boundingBox();
  const at = ([right, down]) => [x + right * width, y + down * height];
  for (const [first, ...rest] of strokes) {
    await page.mouse.move(...at(first));
    await page.mouse.down();
    for (const point of rest) await page.mouse.move(...at(point), { steps: 8 });
    await page.mouse.up();
  }
}

const SEVEN = [[[0.3, 0.25], [0.7, 0.25], [0.45, 0.8]]];
const ONE = [[[0.5, 0.2], [0.5, 0.8]]];

let page = await open();

test('the page says that this is no GPU', async () => {
  assert.match(await page.textContent('#device'), /swiftshader/i);
  assert.match(await page.textContent('#notice'), /no GPU but software/);
});

test('trains on generated digits, with the losses of the CPU', async () => {
  await page.selectOption('#model', '');
  await page.fill('#layers', MODEL);
  for (const [id, value] of Object.entries(SETTINGS)) await page.fill(`#${id}`, String(value));
  await page.click('#start');
  await page.locator('#train[data-done]').waitFor();
  const run = await page.evaluate(() => window.lastRun);
  const accuracy = run.test.accuracy;
  const [, memory, selfTest] = [0, ...run.start.map(([, time]) => time)];
  console.log(`  ${(100 * accuracy).toFixed(2)} % of the test digits; ready after ${memory.toFixed(0)} ms, with the self-test ${selfTest.toFixed(0)} ms; `
    + `${run.epoch.row.images_per_second.toFixed(0)} images/s, ${run.epoch.steps_per_submission.toFixed(1)} steps a submission`);
  assert.ok(accuracy > 0.9, `${accuracy}`);
  const native = path.join(folder, 'native');
  digits('train', '--device', 'cpu', '--dataset', 'generated', '--generated-images', String(SETTINGS.count), '--add-generated', '0',
    '--model', MODEL, '--epochs', String(SETTINGS.epochs), '--batch-size', String(SETTINGS.batch), '--seed', String(SETTINGS.seed),
    '--augment', 'none', '--validation', '250', '--log-steps', '1', '--out', native);
  const rows = fs.readFileSync(path.join(native, 'metrics.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const losses = rows.filter((row) => row.kind === 'step').map((row) => row.loss);
  assert.equal(losses.length, run.losses.length);
  for (let step = 0; step < 10; step++) {
    const error = Math.abs(losses[step] - run.losses[step]);
    assert.ok(error <= 1e-4, `step ${step + 1}: ${run.losses[step]} in the page, ${losses[step]} on the CPU`);
  }
  await shoot(page, 'train');
});

test('saves a model that the program reads, with the same score', async () => {
  const file = await saved(page, '#save-model');
  const report = JSON.parse(digits('eval', file, '--device', 'cpu', '--dataset', 'generated', '--generated-images', String(SETTINGS.count),
    '--json', '-'));
  const here = await page.evaluate(() => window.lastRun.test.accuracy);
  assert.ok(Math.abs(report.accuracy - here) < 1e-9, `${report.accuracy} by the program, ${here} in the page`);
});

test('training can be stopped', async () => {
  await page.fill('#epochs', '50');
  await page.click('#start');
  await page.locator('#train-status', { hasText: /^step/ }).waitFor();
  await page.click('#stop-training');
  await page.locator('#train[data-done]').waitFor();
  assert.match(await page.textContent('#train-status'), /stopped early/);
});

test('reads a drawn digit', async () => {
  await page.click('#tab-draw');
  await draw(page, SEVEN);
  await page.locator('#reading', { hasText: /^7$/ }).waitFor();
  await page.locator('#layers-seen canvas').first().waitFor();
  await shoot(page, 'draw');
  await page.click('#clear');
  await draw(page, ONE);
  await page.locator('#reading', { hasText: /^1$/ }).waitFor();
});

test('times kernels and steps, which the program reads', async () => {
  await page.click('#tab-bench');
  await page.selectOption('#bench-model', 'mlp');
  await page.fill('#bench-batch', '32');
  await page.click('#measure');
  await page.locator('#bench[data-done]').waitFor();
  await shoot(page, 'bench');
  const file = await saved(page, '#save-bench');
  const [{ peaks, kernels }] = JSON.parse(fs.readFileSync(file, 'utf8')).adapters;
  assert.ok(peaks.flops_per_second > 1e8 && kernels.every((kernel) => kernel.bound_share > 0), JSON.stringify(peaks));
  const shown = digits('bench', 'show', file);
  assert.match(shown, /dense_forward/);
  assert.match(shown, /webgpu/);
  assert.match(digits('bench', 'check', file), /plausible/);
});

test('verifies the kernels of an op, named in the address', async () => {
  const other = await open('?op=relu_forward');
  await other.locator('#verify-status.good').waitFor();
  assert.match(await other.textContent('#verify-status'), /checks passed, 0 failed/);
  const result = JSON.parse(fs.readFileSync(await saved(other, '#save-json'), 'utf8'));
  assert.ok(result.failed === 0 && result.passed > 10 && result.browser.includes('Chrom'));
  assert.match(fs.readFileSync(await saved(other, '#save-junit'), 'utf8'), /<testsuite name="device 0/);
  await other.close();
});

test('a wrong kernel is found', async () => {
  const edit = new URLSearchParams({ op: 'max_pool_forward', from: 'values > best', to: 'values < best' });
  const other = await open(`?${edit}`);
  await other.locator('#verify-status.bad').waitFor();
  // Its page shows the fault on its own, from a file.
  await shoot(other, 'verify');
  const file = await saved(other, '.reproducer');
  await other.close();
  const alone = await context.newPage();
  await alone.goto(`file://${file}`);
  await alone.locator('body[data-done]').waitFor();
  assert.match(await alone.textContent('#result'), /^WRONG on .*: [1-9]/);
  await alone.close();
});

try {
  for (const [name, run] of tests) {
    const start = Date.now();
    await run();
    passed++;
    console.log(`ok ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  }
} finally {
  await browser.close();
  server.kill();
  fs.rmSync(folder, { recursive: true });
}
console.log(`${passed} of ${tests.length} passed`);
process.exit(passed === tests.length ? 0 : 1);
