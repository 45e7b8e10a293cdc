/** A node that is out: its keys go to its ring successors, and no other key moves. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lookupSlot, nextNodeSlot, nodeAtSlot, nodeEnabled, nodeSlots, nodeWeight } from '../../src/steer/lookup.ts';
import type { SteerNode, SteerOptions } from '../../src/steer/nodes.ts';
import { homes, loadOf, nodesOf, someHashes, tableOf } from './tables.ts';

const RINGS: readonly SteerOptions[] = [
  { algorithm: 'ketama', hash: 'murmur3' },
  { algorithm: 'maglev', hash: 'murmur3' },
  { algorithm: 'maglev', hash: 'murmur3', maglevSize: 251 },
  { algorithm: 'ketama-unweighted', hash: 'one_at_a_time' },
];
const HASHES = someHashes(3000);

const without = (nodes: readonly SteerNode[], ...out: number[]) =>
  nodes.map((node, index) => ({ ...node, available: !out.includes(index) }));

describe.each(RINGS)('with a node out, $algorithm $maglevSize', options => {
  const nodes = nodesOf(1, 1, 1, 1, 1);
  const all = tableOf(nodes, options);
  const before = homes(all, HASHES);

  it('its keys go to the next other node along the ring, all others stay', () => {
    const after = homes(tableOf(without(nodes, 2), options), HASHES);
    const successor = (hash: number) => {
      const slot = lookupSlot(all.words, all.current, hash);
      return nodeAtSlot(all.words, all.current, nextNodeSlot(all.words, all.current, slot));
    };
    expect(after).toEqual(before.map((home, i) => (home === 2 ? successor(HASHES[i]!) : home)));
    expect(loadOf(after, 5).filter(keys => keys > 0)).toHaveLength(4);
  });

  it('two out: the keys of the others stay; back in: everything is as it was', () => {
    const table = tableOf(nodes, options);
    expect(table.publish(without(nodes, 0, 3), options)).toBe(true);
    const after = homes(table, HASHES);
    before.forEach((home, i) => {
      if (home === 0 || home === 3) expect([1, 2, 4]).toContain(after[i]);
      else expect(after[i]).toBe(home);
    });
    expect(table.publish(nodes, options)).toBe(true);
    expect(homes(table, HASHES)).toEqual(before);
  });

  it('its row stays: weight, replies accepted, no slots', () => {
    const { words, current } = tableOf(without(nodes, 1), options);
    expect([nodeWeight(words, current, 1), nodeEnabled(words, current, 1), nodeSlots(words, current, 1)]).toEqual([
      1,
      true,
      0,
    ]);
  });

  it('all out: there is no node', () => {
    expect([...homes(tableOf(without(nodes, 0, 1, 2, 3, 4), options), HASHES.slice(0, 3))]).toEqual([-1, -1, -1]);
  });
});

describe('with unequal weights', () => {
  it.each([
    { algorithm: 'ketama', hash: 'murmur3' },
    { algorithm: 'maglev', hash: 'murmur3', maglevSize: 101 },
  ] as const)(
    '$algorithm: a node too light for a place of its own takes all keys when the heavy one is out',
    options => {
      const nodes = nodesOf(1, 100_000);
      expect(loadOf(homes(tableOf(nodes, options), HASHES), 2)).toEqual([0, HASHES.length]);
      expect(loadOf(homes(tableOf(without(nodes, 1), options), HASHES), 2)).toEqual([HASHES.length, 0]);
    },
  );

  it.each(['ketama', 'maglev'] as const)('property: %s moves only the keys of nodes that are out', algorithm => {
    const options: SteerOptions = {
      algorithm,
      hash: 'murmur3',
      ...(algorithm === 'maglev' ? { maglevSize: 1009 } : {}),
    };
    const pool = fc.array(fc.record({ weight: fc.nat(9), out: fc.boolean() }), { minLength: 2, maxLength: 9 });
    const some = HASHES.slice(0, 400);
    fc.assert(
      fc.property(pool, rows => {
        const nodes = nodesOf(...rows.map(({ weight }) => weight));
        const table = tableOf(nodes, options);
        const before = homes(table, some);
        table.publish(without(nodes, ...rows.flatMap(({ out }, index) => (out ? [index] : []))), options);
        const left = rows.some(({ weight, out }) => weight > 0 && !out);
        homes(table, some).forEach((home, i) => {
          const was = before[i]!;
          if (was < 0 || !left) expect(home).toBe(-1);
          else if (rows[was]!.out) expect(rows[home]).toMatchObject({ out: false });
          else expect(home).toBe(was);
        });
      }),
      { numRuns: 60 },
    );
  });
});
