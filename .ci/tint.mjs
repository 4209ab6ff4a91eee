// Compiles shaders with Tint, the WGSL compiler of Chrome: node tint.mjs FOLDER, with npm's `webgpu` beside this file or in
// $NODE_PATH. FOLDER is what `gpu-digits shaders FOLDER` writes. The null backend of Dawn needs neither a GPU nor a driver.

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder] = process.argv.slice(2);
const { create } = await import(pathToFileURL(createRequire(import.meta.url).resolve('webgpu')));
const gpu = create(['backend=null']);
const adapter = await gpu.requestAdapter();
const features = ['subgroups', 'shader-f16'];
const device = await adapter.requestDevice({ requiredFeatures: features });

// Only wgpu has cooperative matrices under this name.
const unknown = 'enable wgpu_cooperative_matrix;';

const names = readdirSync(folder).filter((name) => name.endsWith('.wgsl')).sort();
let compiled = 0;
let failed = 0;
for (const name of names) {
  let code = readFileSync(`${folder}/${name}`, 'utf8');
  if (code.includes(unknown)) continue;
  // Browsers demand this line where a shader uses subgroups; naga refuses it.
  if (/\bsubgroup\w*\(|@builtin\(subgroup/.test(code)) code = `enable subgroups;${code}`;
  device.pushErrorScope('validation');
  const { messages } = await device.createShaderModule({ label: name, code }).getCompilationInfo();
  await device.popErrorScope();
  for (const { type, lineNum, linePos, message } of messages) console.log(`${name}:${lineNum}:${linePos}: ${type}: ${message}`);
  compiled += 1;
  failed += messages.some(({ type }) => type === 'error');
}
console.log(`Tint: ${compiled - failed} of ${compiled} shaders compile; ${names.length - compiled} use cooperative matrices, which only wgpu has`);
process.exit(failed || compiled === 0 ? 1 : 0);
