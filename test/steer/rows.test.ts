/** Rows that stay where they are while nodes come and go around them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeAddress, nodeCount, nodeEnabled, nodeSlots } from '../../src/steer/lookup.ts';
import type { SteerNode, SteerOptions } from '../../src/steer/nodes.ts';
import { CAPACITY, homes, newTable, nodesOf, someHashes, tableOf } from './tables.ts';

const KETAMA: SteerOptions = { algorithm: 'ketama', hash: 'murmur3' };
const MAGLEV: SteerOptions = { algorithm: 'maglev', hash: 'murmur3' };
const PLAIN: SteerOptions = { algorithm: 'ketama-unweighted', hash: 'murmur3' };
const HASHES = someHashes(4000);

/** The same nodes on these rows. */
const onRows = (nodes: readonly SteerNode[], rows: readonly number[]) =>
  nodes.map((node, i) => ({ ...node, row: rows[i]! }));

describe('rows', () => {
  it.each([KETAMA, MAGLEV, PLAIN])(
    'do not count for where a key goes, only for what its node is called, also when one is out: $algorithm',
    options => {
      const nodes = nodesOf(1, 1, 1, 1).map((node, i) => ({ ...node, available: i !== 2 }));
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
    // All points in common: a hash name with a port in it reads as the other's name and port.
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
