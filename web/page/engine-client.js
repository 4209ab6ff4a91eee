// Calls of the engine, which runs in a worker so that the page stays responsive.

const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
const waiting = new Map();
let last = 0;

worker.onmessage = ({ data: { id, progress, result, error } }) => {
  const call = waiting.get(id);
  if (progress !== undefined) {
    call.onProgress(progress);
    return;
  }
  waiting.delete(id);
  if (error === undefined) call.resolve(result);
  else call.reject(new Error(error));
};
worker.onerror = (event) => {
  for (const call of waiting.values()) call.reject(new Error(event.message || 'the engine could not be started'));
  waiting.clear();
};

/** Calls a function of worker.js; `onProgress` hears what it tells before it is done. */
export function call(name, args = [], onProgress = () => {}) {
  const id = ++last;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject, onProgress });
    worker.postMessage({ id, name, args });
  });
}
