/** A detector read by one thread while another writes it. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { rolldown } from 'rolldown';
import { expect, test } from 'vitest';
import { COUNT_MAX } from '../../src/hotkey/detector.ts';
import { detectorByteLength, openDetector } from '../../src/hotkey/detectors.ts';
import { hashOf } from './streams.ts';

const OPTIONS = { bytes: 1 << 14 };
const READINGS = 300;
/** Four keys of the writer have a tenth each. */
const HOT = [0, 1, 2, 3].map(hashOf);

/** The program as one module that a worker of Node can load. */
async function bundled(file: string): Promise<URL> {
  const input = fileURLToPath(new URL(file, import.meta.url));
  const bundle = await rolldown({ input, platform: 'node', logLevel: 'silent' });
  const { output } = await bundle.generate({ format: 'esm' });
  return new URL(`data:text/javascript;base64,${Buffer.from(output[0].code).toString('base64')}`);
}

test('hot keys are seen whole while the lane counts and epochs end', async () => {
  const words = new Int32Array(new SharedArrayBuffer(detectorByteLength('self-adaptive', OPTIONS)));
  const control = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(await bundled('writer.ts'), { workerData: { words, control, options: OPTIONS } });
  const ended = once(worker, 'exit');
  const detector = openDetector('self-adaptive', words, 0, OPTIONS);
  const out = new Int32Array(3 * 2000);
  let complete = 0;
  for (let reading = 0; reading < READINGS; reading++) {
    const look = Atomics.load(control, 1);
    while (Atomics.load(control, 1) < look + 30) await new Promise(resolve => setTimeout(resolve, 1));
    const found = detector.collect(Math.ceil(0.04 * detector.count), out);
    const named = new Set(Array.from({ length: found }, (_, row) => out[3 * row]!));
    if (HOT.every(hash => named.has(hash))) complete++;
    for (let row = 0; row < found; row++) {
      expect(out[3 * row + 1]! >= 0 && out[3 * row + 2]! >= 0 && out[3 * row + 1]! < COUNT_MAX).toBe(true);
    }
  }
  Atomics.store(control, 0, 1);
  await ended;
  // Where N was halved between two looks at it, a reading may be of two epochs.
  expect(complete).toBeGreaterThanOrEqual(0.98 * READINGS);
  const found = detector.collect(Math.ceil(0.04 * detector.count), out);
  expect(Array.from({ length: found }, (_, row) => out[3 * row]!).sort()).toEqual([...HOT].sort());
});
