/** Lanes that search as fast as they can while the keeper churns: what stays in must never be missed. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { rolldown } from 'rolldown';
import { expect, it } from 'vitest';
import { IN_L1, Layers, layersByteLength } from '../../src/cache/layers.ts';
import { randomFrom } from './random.ts';

const CAPACITY = { items: 256, l1Items: 32 };
const STABLE = 64;
const BASE = 16;
const EPOCHS = 1500;

const dataUrl = (code: string) => `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`;

/** `layers.ts` and what it imports as one module that a worker can import (Node 20 starts none from TypeScript). */
async function moduleUrl(): Promise<string> {
  const bundle = await rolldown({ input: fileURLToPath(new URL('../../src/cache/layers.ts', import.meta.url)) });
  const { output } = await bundle.generate({ format: 'esm' });
  await bundle.close();
  return dataUrl(output[0].code);
}

/** Looks for the stable hashes, which belong to items 0 … n − 1, and for others; counts misses and wrong finds. */
const laneSource = (layers: string) => `
  import { workerData, parentPort } from 'node:worker_threads';
  import { Lookup } from '${layers}';
  const { words, base, hashes, stopWord } = workerData;
  const lookup = new Lookup(words, base);
  let searches = 0, wrong = 0, inL1 = 0;
  parentPort.postMessage('ready');
  while (Atomics.load(words, stopWord) === 0) {
    for (let item = 0; item < hashes.length; item++) {
      if (lookup.find(hashes[item]) !== item) wrong++;
      if (lookup.findInL1(hashes[item]) === item) inL1++;
    }
    searches += hashes.length;
  }
  parentPort.postMessage({ searches, wrong, inL1 });
`;

it('find every item that stays in, whatever is moved, admitted and removed around it', async () => {
  const words = new Int32Array(new SharedArrayBuffer(BASE * 4 + layersByteLength(CAPACITY)));
  const random = randomFrom(17);
  const layers = new Layers(words, BASE, CAPACITY, random);
  // Hashes of few sets and runs, so that items are in one another's way; no two alike.
  const newHash = (() => {
    let count = 0;
    return () => (count++ << 9) | (random() & 0x13f);
  })();
  const hashes = Array.from({ length: STABLE }, newHash);
  hashes.forEach((hash, item) => {
    layers.admit(item, hash, 100);
  });
  const stopWord = 0; // below BASE: not part of the layers
  const source = new URL(dataUrl(laneSource(await moduleUrl())));
  const workers = [0, 1].map(() => new Worker(source, { workerData: { words, base: BASE, hashes, stopWord } }));
  await Promise.all(workers.map(worker => once(worker, 'message')));

  let moves = 0;
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    for (let item = 0; item < CAPACITY.items; item++) {
      if (item < STABLE || layers.layerOf(item) === IN_L1) layers.rescore(item, random() & 1023);
      else if (random() & 1) layers.remove(item);
      else layers.admit(item, newHash(), random() & 1023);
    }
    layers.epoch(new Int32Array(0), 0);
    moves += layers.promotedCount + layers.demotedCount;
  }
  const results = Promise.all(workers.map(worker => once(worker, 'message')));
  Atomics.store(words, stopWord, 1);
  expect(moves).toBeGreaterThan(EPOCHS);
  for (const [{ searches, wrong, inL1 }] of await results) {
    expect({ wrong, searched: searches > STABLE, sawL1: inL1 > 0 }).toEqual({ wrong: 0, searched: true, sawL1: true });
  }
});
