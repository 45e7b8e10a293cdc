import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maglevEntries } from '../../src/steer/maglev.ts';
import type { RingNode } from '../../src/steer/nodes.ts';
import { homes, loadOf, nodesOf, someHashes, tableOf } from './tables.ts';

const SIZE = 65537;
const MAGLEV = { algorithm: 'maglev', hash: 'murmur3' } as const;

function ringOf(...weights: number[]): RingNode[] {
  return weights.map((weight, node) => ({ node, name: `10.0.0.${node + 1}`, port: 11211, weight }));
}

function slotsOf(entries: Int32Array, nodes: number): number[] {
  return loadOf(entries, nodes);
}

function differing(a: Int32Array, b: Int32Array): number {
  return a.filter((node, slot) => node !== b[slot]).length;
}

/** Pseudocode 1 of the paper with its permutation table spelled out; equal weights. */
function paperEntries(ring: readonly RingNode[], size: number): number[] {
  const permutation = ring.map(({ name, port }) => {
    const digest = digestWords(`${name}:${port}`);
    const offset = digest[0]! % size;
    const skip = (digest[1]! % (size - 1)) + 1;
    return Array.from({ length: size }, (_, j) => (offset + j * skip) % size);
  });
  const next = ring.map(() => 0);
  const entry = Array<number>(size).fill(-1);
  for (let n = 0; ; ) {
    for (let i = 0; i < ring.length; i++) {
      let c = permutation[i]![next[i]!]!;
      while (entry[c]! >= 0) c = permutation[i]![++next[i]!]!;
      entry[c] = ring[i]!.node;
      next[i]!++;
      if (++n === size) return entry;
    }
  }
}

function digestWords(text: string): number[] {
  const digest = createHash('md5').update(text).digest();
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}

describe('maglevEntries', () => {
  it.each([
    { nodes: 1, size: 7 },
    { nodes: 3, size: 7 },
    { nodes: 7, size: 251 },
    { nodes: 5, size: 2039 },
  ])('is the table of the paper for $nodes equal nodes and $size slots', ({ nodes, size }) => {
    const ring = ringOf(...Array(nodes).fill(1));
    expect([...maglevEntries(ring, size)]).toEqual(paperEntries(ring, size));
  });

  it('does not depend on the order of the nodes', () => {
    const ring = ringOf(1, 2, 3, 1, 1);
    expect(maglevEntries([...ring].reverse(), 251)).toEqual(maglevEntries(ring, 251));
  });

  it('gives equal nodes the same number of slots, give or take one', () => {
    for (const count of [1, 2, 3, 4, 16, 100, 1000]) {
      const slots = slotsOf(maglevEntries(ringOf(...Array(count).fill(5)), SIZE), count);
      expect(Math.max(...slots) - Math.min(...slots)).toBeLessThanOrEqual(1);
      expect(slots.reduce((a, b) => a + b, 0)).toBe(SIZE);
    }
  });

  it('gives every node its share: under 2 slots less, under max(2, nodes × share) more', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(weights, fc.constantFrom(251, 1021, 4093), (ws, size) => {
        const total = ws.reduce((a, b) => a + b, 0);
        for (const [node, slots] of slotsOf(maglevEntries(ringOf(...ws), size), ws.length).entries()) {
          const share = ws[node]! / total;
          expect(slots).toBeGreaterThan(size * share - 2);
          expect(slots).toBeLessThan(size * share + Math.max(2, ws.length * share));
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('maglev, balance', () => {
  it.each([[[1, 1, 1, 1]], [Array(16).fill(1)], [[1, 2, 5]], [[1, 100]]])(
    'of keys, weights %j: within 10 %',
    weights => {
      const hashes = someHashes(200_000);
      const load = loadOf(homes(tableOf(nodesOf(...weights), MAGLEV), hashes), weights.length);
      const total = weights.reduce((a: number, b: number) => a + b, 0);
      for (const [node, keys] of load.entries()) {
        const ratio = keys / ((hashes.length * weights[node]!) / total);
        expect(Math.abs(ratio - 1)).toBeLessThan(0.1);
      }
    },
  );
});

describe('maglev, movement', () => {
  // §5.3 of the paper: besides the slots of the node that went, few others change. Here: under 1 % of the table.
  it.each([
    { weights: [1, 1] },
    { weights: [1, 1, 1, 1] },
    { weights: [1, 2, 5] },
    { weights: [1, 2, 2, 1, 5, 1, 1, 1] },
    { weights: Array(64).fill(1) },
  ])('of slots when one of $weights goes, or comes: its own, and under 1 % of the rest', ({ weights }) => {
    const ring = ringOf(...weights);
    const before = maglevEntries(ring, SIZE);
    for (const gone of [0, weights.length >> 1, weights.length - 1]) {
      const after = maglevEntries(ring.toSpliced(gone, 1), SIZE);
      const own = before.filter(node => node === gone).length;
      expect(after.includes(gone)).toBe(false);
      expect((differing(before, after) - own) / SIZE).toBeLessThan(0.01);
    }
  });

  it('of keys when a node is drained: those of a table without it', () => {
    const hashes = someHashes(20_000);
    const drained = homes(tableOf(nodesOf(1, 0, 1, 1), MAGLEV), hashes);
    const removed = homes(tableOf(nodesOf(1, 1, 1, 1).toSpliced(1, 1), MAGLEV), hashes);
    expect(drained).toEqual(removed.map(node => (node < 1 ? node : node + 1)));
  });
});
