import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lookup, lookupSlot, nextNodeSlot, nodeAtSlot, slotCount, slotHash } from '../../src/steer/lookup.ts';
import { maglevEntries } from '../../src/steer/maglev.ts';
import type { SteerOptions } from '../../src/steer/nodes.ts';
import type { SteerTable } from '../../src/steer/table.ts';
import { newTable, nodesOf, slowHome, slowKetama, tableOf } from './tables.ts';

const KETAMA: SteerOptions = { algorithm: 'ketama', hash: 'murmur3' };
const MAGLEV: SteerOptions = { algorithm: 'maglev', hash: 'murmur3', maglevSize: 65537 };

/** Where signed and unsigned, the first and the last point, and index entries part. */
const EDGE_HASHES = [0, 1, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff].map(hash => hash | 0);

const weights = fc.array(fc.constantFrom(0, 1, 1, 1, 2, 5), { minLength: 1, maxLength: 12 });
const hashes = fc.array(fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.constantFrom(...EDGE_HASHES)), {
  minLength: 20,
  maxLength: 200,
});

function expectSlotAgrees({ words, current }: SteerTable, hash: number): void {
  const slot = lookupSlot(words, current, hash);
  expect(slot).toBeGreaterThanOrEqual(0);
  expect(slot).toBeLessThan(slotCount(words, current));
  expect(nodeAtSlot(words, current, slot)).toBe(lookup(words, current, hash));
}

describe('lookup, ketama', () => {
  it('is the first point at or above the hash, for any weights and hashes', () => {
    fc.assert(
      fc.property(weights, hashes, (ws, hs) => {
        const nodes = nodesOf(...ws);
        const { words, current } = tableOf(nodes, KETAMA);
        const points = slowKetama(nodes);
        for (const hash of hs) expect(lookup(words, current, hash)).toBe(slowHome(points, hash));
      }),
      { numRuns: 40 },
    );
  });

  it('is right just below, at and just above every point', () => {
    const nodes = nodesOf(1, 2, 1);
    const table = tableOf(nodes, KETAMA);
    const points = slowKetama(nodes);
    for (const { hash } of points) {
      for (const near of [hash - 1, hash, hash + 1].map(n => n | 0)) {
        expect(lookup(table.words, table.current, near)).toBe(slowHome(points, near));
        expectSlotAgrees(table, near);
      }
    }
  });

  it.each(EDGE_HASHES)('is right for hash %i', hash => {
    const nodes = nodesOf(1, 1, 1, 1);
    const table = tableOf(nodes, KETAMA);
    expect(lookup(table.words, table.current, hash)).toBe(slowHome(slowKetama(nodes), hash));
    expectSlotAgrees(table, hash);
  });

  it('wraps past the last point to slot 0', () => {
    const { words, current } = tableOf(nodesOf(1, 1), KETAMA);
    const last = slotHash(words, current, slotCount(words, current) - 1);
    expect(lookupSlot(words, current, last)).toBe(slotCount(words, current) - 1);
    expect(lookupSlot(words, current, last + 1)).toBe(0);
    expect(lookupSlot(words, current, -1)).toBe(0);
  });

  it('finds the points in the order of their hashes', () => {
    const nodes = nodesOf(1, 1, 5);
    const { words, current } = tableOf(nodes, KETAMA);
    const found = Array.from({ length: slotCount(words, current) }, (_, slot) => ({
      hash: slotHash(words, current, slot) >>> 0,
      node: nodeAtSlot(words, current, slot),
    }));
    expect(found).toEqual(slowKetama(nodes));
  });
});

describe('lookup, maglev', () => {
  it.each([3, 251, 65537])('is entry floor(hash · %i / 2^32)', maglevSize => {
    const table = tableOf(nodesOf(1, 2), { ...MAGLEV, maglevSize });
    const ring = [1, 2].map((weight, node) => ({
      node,
      name: `10.0.0.${node + 1}`,
      port: 11211,
      weight,
      available: true,
    }));
    const entries = maglevEntries(ring, maglevSize);
    fc.assert(
      fc.property(hashes, hs => {
        for (const hash of hs) {
          const slot = Number((BigInt(hash >>> 0) * BigInt(maglevSize)) >> 32n);
          expect(lookupSlot(table.words, table.current, hash)).toBe(slot);
          expect(lookup(table.words, table.current, hash)).toBe(entries[slot]);
          expectSlotAgrees(table, hash);
        }
      }),
    );
  });

  it('ends each slot at its slotHash', () => {
    const { words, current } = tableOf(nodesOf(1, 1, 1), { ...MAGLEV, maglevSize: 251 });
    for (let slot = 0; slot < 251; slot++) {
      const end = slotHash(words, current, slot);
      expect(lookupSlot(words, current, end)).toBe(slot);
      expect(lookupSlot(words, current, (end + 1) | 0)).toBe((slot + 1) % 251);
    }
  });
});

describe('lookup, no node takes keys', () => {
  it.each([
    ['before anything is published', newTable()],
    ['ketama of no nodes', tableOf([], KETAMA)],
    ['ketama, all drained', tableOf(nodesOf(0, 0), KETAMA)],
    ['maglev, all drained', tableOf(nodesOf(0, 0), MAGLEV)],
  ])('%s: −1', (_, { words, current }) => {
    for (const hash of EDGE_HASHES) {
      expect(lookup(words, current, hash)).toBe(-1);
      expect(lookupSlot(words, current, hash)).toBe(-1);
    }
  });
});

describe('nextNodeSlot', () => {
  it.each([KETAMA, MAGLEV])('is the nearest slot ahead that another node holds, wrapping: $algorithm', options => {
    const { words, current } = tableOf(nodesOf(1, 2, 1), { ...options, maglevSize: 251 });
    const count = slotCount(words, current);
    const owners = Array.from({ length: count }, (_, slot) => nodeAtSlot(words, current, slot));
    for (let slot = 0; slot < count; slot++) {
      const ahead = [...owners.slice(slot), ...owners.slice(0, slot)];
      const distance = ahead.findIndex(node => node !== owners[slot]);
      expect(nextNodeSlot(words, current, slot)).toBe((slot + distance) % count);
    }
  });

  it('is where ketama sends the key once its home is drained', () => {
    const { words, current } = tableOf(nodesOf(1, 1, 1), KETAMA);
    const drained = tableOf(nodesOf(1, 0, 1), KETAMA);
    for (let hash = -(2 ** 31); hash < 2 ** 31; hash += 9_999_991) {
      const slot = lookupSlot(words, current, hash);
      if (nodeAtSlot(words, current, slot) !== 1) continue;
      const successor = nodeAtSlot(words, current, nextNodeSlot(words, current, slot));
      expect(lookup(drained.words, drained.current, hash)).toBe(successor);
    }
  });

  it.each([KETAMA, MAGLEV])('is −1 where one node holds the whole ring: $algorithm', options => {
    const { words, current } = tableOf(nodesOf(0, 1), options);
    expect(nextNodeSlot(words, current, 0)).toBe(-1);
  });
});
