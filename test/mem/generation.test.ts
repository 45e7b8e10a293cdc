import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { transformWithOxc } from 'vite';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  canWrite,
  enterTable,
  generationByteLength,
  initGeneration,
  leaveTable,
  publishTable,
  spareTable,
  tableInUse,
} from '../../src/mem/generation.ts';

const LANES = 3;
const HALF_WORDS = 40;
const SWAPS = 300;
const BASE = 32;

function newRegion(lanes = LANES, halfWords = HALF_WORDS): Int32Array {
  const words = new Int32Array(new SharedArrayBuffer(BASE * 4 + generationByteLength(lanes, halfWords)));
  initGeneration(words, BASE, lanes, halfWords);
  return words;
}

/** The writer's turn: every word of the new table carries its generation. */
function writeNext(words: Int32Array, value: number, halfWords = HALF_WORDS): boolean {
  if (!canWrite(words, BASE)) return false;
  const table = spareTable(words, BASE);
  words.fill(value, table, table + halfWords);
  publishTable(words, BASE);
  return true;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('generation', () => {
  it('starts as an all-zero table that the writer may replace at once', () => {
    const words = newRegion();
    const table = enterTable(words, BASE, 0);
    expect([...words.subarray(table, table + HALF_WORDS)]).toEqual(Array(HALF_WORDS).fill(0));
    expect(canWrite(words, BASE)).toBe(true);
    expect(spareTable(words, BASE)).not.toBe(table);
  });

  it('keeps both halves inside the region, apart from each other and from the ACK words, on cache lines', () => {
    for (const [lanes, halfWords] of [
      [1, 1],
      [16, 16],
      [17, 33],
    ] as const) {
      const words = newRegion(lanes, halfWords);
      const halves = [tableInUse(words, BASE), spareTable(words, BASE)].sort((a, b) => a - b);
      expect(halves[0]).toBeGreaterThanOrEqual(BASE + 16 + lanes);
      expect(halves[1]! - halves[0]!).toBeGreaterThanOrEqual(halfWords);
      expect(halves[1]! + halfWords).toBeLessThanOrEqual(words.length);
      expect(halves.map(word => word % 16)).toEqual([0, 0]);
    }
  });

  it('shows the new table to a lane at its next entry, and the writer’s own view at once', () => {
    const words = newRegion();
    const before = enterTable(words, BASE, 0);
    writeNext(words, 7);
    expect(words[before]).toBe(0);
    expect(words[tableInUse(words, BASE)]).toBe(7);
    expect(words[enterTable(words, BASE, 0)]).toBe(7);
  });

  it('holds the writer back while a lane has not moved on, and no longer', () => {
    const words = newRegion();
    enterTable(words, BASE, 0);
    enterTable(words, BASE, 2);
    expect(writeNext(words, 1)).toBe(true);
    expect(writeNext(words, 2)).toBe(false);
    enterTable(words, BASE, 0);
    expect(writeNext(words, 2)).toBe(false);
    enterTable(words, BASE, 2);
    expect(writeNext(words, 2)).toBe(true);
  });

  it('does not wait for a lane that has left', () => {
    const words = newRegion();
    enterTable(words, BASE, 1);
    writeNext(words, 1);
    leaveTable(words, BASE, 1);
    expect(writeNext(words, 2)).toBe(true);
    expect(writeNext(words, 3)).toBe(true);
    expect(words[enterTable(words, BASE, 1)]).toBe(3);
  });

  it('gives a lane that wakes in the middle of swaps a table that the writer then leaves alone', () => {
    const words = newRegion();
    const { store } = Atomics;
    // Two swaps fall between the lane's look at GENERATION and its ACK: the half it looked at was filled again.
    const spied = vi.spyOn(Atomics as { store(array: Int32Array, index: number, value: number): number }, 'store');
    spied.mockImplementationOnce((array, index, value) => {
      expect([writeNext(words, 1), writeNext(words, 2), writeNext(words, 3)]).toEqual([true, true, true]);
      return store(array, index, value);
    });
    const table = enterTable(words, BASE, 0);
    expect(words[table]).toBe(3);
    writeNext(words, 4);
    expect(writeNext(words, 5)).toBe(false);
    expect(words[table]).toBe(3);
  });

  it('goes on when the generation number wraps', () => {
    const words = newRegion();
    words[BASE] = 0x7ffffffe;
    for (let value = 1; value <= 4; value++) {
      expect(writeNext(words, value)).toBe(true);
      expect(words[enterTable(words, BASE, 0)]).toBe(value);
    }
  });

  it('never changes a table under a lane that is in it, in any order of turns', () => {
    const lane = fc.nat(LANES - 1);
    const turn = fc.oneof(
      fc.record({ act: fc.constant('write' as const) }),
      fc.record({ act: fc.constantFrom('enter' as const, 'leave' as const), lane }),
    );
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 60 }), turns => {
        const words = newRegion();
        const held = new Map<number, { table: number; value: number }>();
        let value = 0;
        for (const t of turns) {
          if (t.act === 'write') {
            if (writeNext(words, value + 1)) value++;
          } else if (t.act === 'leave') {
            leaveTable(words, BASE, t.lane);
            held.delete(t.lane);
          } else {
            const table = enterTable(words, BASE, t.lane);
            expect(words[table]).toBe(value);
            held.set(t.lane, { table, value });
          }
          for (const { table, value: seen } of held.values()) {
            expect(words.subarray(table, table + HALF_WORDS).every(word => word === seen)).toBe(true);
          }
        }
      }),
    );
  });
});

/** `generation.ts` as a module a worker can import: Node 20 starts no worker from TypeScript, and no build is needed. */
async function moduleUrl(): Promise<string> {
  const path = fileURLToPath(new URL('../../src/mem/generation.ts', import.meta.url));
  const { code } = await transformWithOxc(readFileSync(path, 'utf8'), path);
  return dataUrl(code);
}

function dataUrl(code: string): string {
  return `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`;
}

/** A lane: counts cycles, tables seen, and reads that no one table explains. It parks now and then, as a sleeper does. */
const laneSource = (generation: string) => `
  import { workerData, parentPort } from 'node:worker_threads';
  import { enterTable, leaveTable } from '${generation}';
  const { words, base, lane, halfWords, stopWord, sawWord } = workerData;
  let cycles = 0, tables = 0, torn = 0, last = 0;
  parentPort.postMessage('ready');
  while (Atomics.load(words, stopWord) === 0) {
    const table = enterTable(words, base, lane);
    const value = words[table];
    for (let pass = 0; pass < 3; pass++) {
      for (let i = 0; i < halfWords; i++) if (words[table + i] !== value) torn++;
    }
    if (value < last) torn++;
    if (value !== last && ++tables === 2) Atomics.add(words, sawWord, 1);
    last = value;
    if (++cycles % (lane + 2) === 0) leaveTable(words, base, lane);
  }
  leaveTable(words, base, lane);
  parentPort.postMessage({ cycles, tables, torn });
`;

describe('generation, with threads', () => {
  it('shows no lane a torn or an older table while the writer swaps as fast as it may', async () => {
    const halfWords = 500;
    const words = newRegion(2, halfWords + 1);
    const stopWord = 0; // below BASE: not part of the region
    const sawWord = 1; // lanes that have seen a swap
    const source = new URL(dataUrl(laneSource(await moduleUrl())));
    const workers = [0, 1].map(
      lane => new Worker(source, { workerData: { words, base: BASE, lane, halfWords, stopWord, sawWord } }),
    );
    await Promise.all(workers.map(worker => once(worker, 'message')));

    let written = 0;
    // Until each lane has had its turn, too, however busy the machine is.
    while (written < SWAPS || Atomics.load(words, sawWord) < workers.length) {
      if (writeNext(words, written + 1, halfWords)) written++;
      else Atomics.wait(words, stopWord, 0, 0.1); // ms: gives the core to a lane that has yet to move on
    }
    const results = Promise.all(workers.map(worker => once(worker, 'message')));
    Atomics.store(words, stopWord, 1);

    for (const [{ cycles, tables, torn }] of await results) {
      expect({ torn, sawSwaps: tables > 1, cycled: cycles > 1 }).toEqual({ torn: 0, sawSwaps: true, cycled: true });
    }
  });
});
