/** Rows that stay where they are, and nodes that are out for a while. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  lookup,
  lookupSlot,
  nextNodeSlot,
  nodeAddress,
  nodeAtSlot,
  nodeCount,
  nodeEnabled,
  nodeSlots,
} from '../../src/steer/lookup.ts';
import type { SteerNode, SteerOptions } from '../../src/steer/nodes.ts';
import { CAPACITY, homes, loadOf, newTable, nodesOf, someHashes, tableOf } from './tables.ts';

const KETAMA: SteerOptions = { algorithm: 'ketama', hash: 'murmur3' };
const MAGLEV: SteerOptions = { algorithm: 'maglev', hash: 'murmur3' };
const PLAIN: SteerOptions = { algorithm: 'ketama-unweighted', hash: 'murmur3' };
const HASHES = someHashes(4000);

/** The same nodes on these rows. */
const onRows = (nodes: readonly SteerNode[], rows: readonly number[]) =>
  nodes.map((node, i) => ({ ...node, row: rows[i]! }));

const out = (nodes: readonly SteerNode[], ...rows: number[]) =>
  nodes.map((node, row) => ({ ...node, available: !rows.includes(row) }));

describe('rows', () => {
  it.each([KETAMA, MAGLEV, PLAIN])(
    'do not count for where a key goes, only for what its node is called: $algorithm',
    options => {
      const nodes = nodesOf(1, 1, 1, 1);
      const rows = fc.uniqueArray(fc.integer({ min: 0, max: CAPACITY.nodesMax - 1 }), { minLength: 4, maxLength: 4 });
      const dense = homes(tableOf(nodes, options), HASHES);
      fc.assert(
        fc.property(rows, chosen => {
          const sparse = homes(tableOf(onRows(nodes, chosen), options), HASHES);
          expect([...sparse]).toEqual([...dense].map(node => chosen[node]));
        }),
        { numRuns: 20 },
      );
    },
  );

  it('that no node has are empty, also where one lay before', () => {
    const table = tableOf(nodesOf(1, 1, 1, 1, 1, 1), KETAMA);
    for (let publish = 0; publish < 2; publish++) table.publish(onRows(nodesOf(1, 1), [4, 1]), KETAMA);
    const { words, current } = table;
    expect(nodeCount(words, current)).toBe(5);
    const rows = [0, 1, 2, 3, 4];
    expect(rows.map(row => nodeAddress(words, current, row))).toEqual([0, 0x0a000002, 0, 0, 0x0a000001]);
    expect(rows.map(row => nodeEnabled(words, current, row))).toEqual([false, true, false, false, true]);
    expect(rows.map(row => nodeSlots(words, current, row))).toEqual([0, 160, 0, 0, 160]);
  });

  it.each([
    ['twice', [1, 1]],
    ['below 0', [-1, 0]],
    ['beyond the table', [0, CAPACITY.nodesMax]],
    ['broken', [0.5, 1]],
  ])('given %s: a defect of the caller', (_, rows) => {
    expect(() => newTable().publish(onRows(nodesOf(1, 1), rows), KETAMA)).toThrow(RangeError);
  });

  it('with equal points: the earlier node of the list wins, as in libmemcached, whatever its row', () => {
    // Both at one place of the ring: told apart by port alone, which a hash name with a port in it undoes.
    const twins: SteerNode[] = [
      { address: 1, port: 11211, weight: 1, neighbour: 0, hashName: 'a:7' },
      { address: 2, port: 7, weight: 1, neighbour: 0, hashName: 'a' },
    ];
    for (const rows of [
      [0, 1],
      [9, 2],
    ]) {
      const table = tableOf(onRows(twins, rows), KETAMA);
      expect(new Set(homes(table, HASHES))).toEqual(new Set([rows[0]]));
    }
  });
});

describe('a node that is not available', () => {
  it.each([
    [KETAMA, [1, 2, 1, 5]],
    [KETAMA, [1, 1, 1, 1]],
    [PLAIN, [1, 1, 1, 1]],
    [MAGLEV, [1, 2, 1, 5]],
  ] as const)('%o, weights %j: its keys go to their successors, no other key moves', (options, weights) => {
    const nodes = nodesOf(...weights);
    const whole = tableOf(nodes, options);
    const without = tableOf(out(nodes, 1), options);
    for (const hash of HASHES) {
      const slot = lookupSlot(whole.words, whole.current, hash);
      const home = nodeAtSlot(whole.words, whole.current, slot);
      const next = nodeAtSlot(whole.words, whole.current, nextNodeSlot(whole.words, whole.current, slot));
      expect(lookup(without.words, without.current, hash)).toBe(home === 1 ? next : home);
    }
  });

  it.each([KETAMA, MAGLEV, PLAIN])('keeps its row, holds no slots, and takes its keys again: $algorithm', options => {
    const nodes = nodesOf(1, 1, 1);
    const table = tableOf(nodes, options);
    const before = homes(table, HASHES);
    table.publish(out(nodes, 0, 2), options);
    const { words } = table;
    expect(nodeEnabled(words, table.current, 0)).toBe(true);
    expect([0, 1, 2].map(row => nodeSlots(words, table.current, row) > 0)).toEqual([false, true, false]);
    expect(loadOf(homes(table, HASHES), 3)).toEqual([0, HASHES.length, 0]);
    table.publish(nodes, options);
    expect(homes(table, HASHES)).toEqual(before);
  });

  it.each([KETAMA, MAGLEV, PLAIN])('all of them out: no key has a home: $algorithm', options => {
    const { words, current } = tableOf(out(nodesOf(1, 1), 0, 1), options);
    expect(lookup(words, current, 12345)).toBe(-1);
  });
});
