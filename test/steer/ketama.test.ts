import { describe, expect, it } from 'vitest';
import { lookup, nodeSlots, slotCount } from '../../src/steer/lookup.ts';
import type { SteerAlgorithm, SteerNode } from '../../src/steer/nodes.ts';
import { hashOf, homes, loadOf, nodesOf, someHashes, tableOf } from './tables.ts';
import { type Placement, placements, vectorKeys } from './vectors/libmemcached.ts';

/** The pool as its operator would configure it here. A plain KETAMA pool that was given weights is a weighted one. */
const ALGORITHM: Record<Placement['behaviour'], SteerAlgorithm> = {
  KETAMA_WEIGHTED: 'ketama',
  KETAMA: 'ketama-unweighted',
  'KETAMA, then weights': 'ketama',
};

function nodesOfServers(servers: Placement['servers']): SteerNode[] {
  return servers.map(({ name, port, weight }, index) => ({
    address: 0x7f000001 + index, // not what places it: hashName does
    port,
    weight,
    hashName: name,
    neighbour: 0,
  }));
}

const KETAMA = { algorithm: 'ketama', hash: 'murmur3' } as const;

describe('ketama', () => {
  it('has vectors of every behaviour and hash, for 1 to 25 servers', () => {
    expect(placements.length).toBe(78);
    expect(new Set(placements.map(({ behaviour, hash }) => `${behaviour}/${hash}`)).size).toBe(9);
    expect(new Set(placements.map(({ servers }) => servers.length))).toEqual(new Set([1, 2, 3, 4, 10, 25]));
  });

  it.each(placements.map(p => ({ ...p, pool: p.servers.map(s => `${s.name}:${s.port}x${s.weight}`).join(' ') })))(
    'places as libmemcached with $behaviour, $hash: $pool',
    ({ behaviour, hash, servers, placement }) => {
      const { words, current } = tableOf(nodesOfServers(servers), { algorithm: ALGORITHM[behaviour], hash });
      const home = vectorKeys.map(key => lookup(words, current, hashOf(key, hash)));
      expect(home).toEqual(placement);
    },
  );

  it('places by address where there is no hash name', () => {
    const { placement, hash } = placements.find(
      ({ behaviour, servers }) => behaviour === 'KETAMA_WEIGHTED' && servers[3]?.name === '10.77.1.14',
    )!;
    const nodes = nodesOf(1, 1, 1, 1).map((node, i) => ({ ...node, address: 0x0a4d010b + i }));
    const { words, current } = tableOf(nodes, { algorithm: 'ketama', hash });
    expect(vectorKeys.map(key => lookup(words, current, hashOf(key, hash)))).toEqual(placement);
  });

  it.each([
    { weights: [1], slots: [160] },
    { weights: [1, 1, 1, 1], slots: [160, 160, 160, 160] },
    { weights: [1, 2, 5], slots: [60, 120, 300] },
    { weights: [7, 0, 7], slots: [160, 0, 160] },
    { weights: [1, 2], slots: [104, 212] },
    { weights: [1, 1000], slots: [0, 316] },
    { weights: Array(25).fill(3), slots: Array(25).fill(156) },
  ])('gives nodes of weights $weights $slots points', ({ weights, slots }) => {
    const { words, current } = tableOf(nodesOf(...weights), KETAMA);
    expect(weights.map((_, node) => nodeSlots(words, current, node))).toEqual(slots);
    expect(slotCount(words, current)).toBe(slots.reduce((a, b) => a + b, 0));
  });

  it('gives 100 points to each node of a plain ring', () => {
    const { words, current } = tableOf(nodesOf(1, 0, 1), { algorithm: 'ketama-unweighted', hash: 'one_at_a_time' });
    expect([0, 1, 2].map(node => nodeSlots(words, current, node))).toEqual([100, 0, 100]);
  });

  it('holds 1024 nodes', () => {
    const capacity = { nodesMax: 1024, lanesMax: 1 };
    const table = tableOf(nodesOf(...Array(1024).fill(1)), KETAMA, capacity);
    const load = loadOf(homes(table, someHashes(200_000)), 1024);
    expect(Math.min(...load)).toBeGreaterThan(0);
  });
});

describe('ketama, balance', () => {
  // With 160 points a node its share has a standard deviation of about 1/√160 = 8 % of the mean.
  it.each([
    { weights: [1, 1, 1, 1], tolerance: 1.25 },
    { weights: Array(16).fill(1), tolerance: 1.3 },
    { weights: [1, 2, 5], tolerance: 1.25 },
    { weights: [1, 2, 1, 2, 5, 5, 1, 1], tolerance: 1.4 },
  ])('of weights $weights: no node above $tolerance × its share, none below the inverse', ({ weights, tolerance }) => {
    const hashes = someHashes(100_000);
    const load = loadOf(homes(tableOf(nodesOf(...weights), KETAMA), hashes), weights.length);
    const total = weights.reduce((a, b) => a + b, 0);
    for (const [node, keys] of load.entries()) {
      const ratio = keys / ((hashes.length * weights[node]!) / total);
      expect(ratio).toBeLessThan(tolerance);
      expect(ratio).toBeGreaterThan(1 / tolerance);
    }
  });
});

describe('ketama, movement', () => {
  const hashes = someHashes(50_000);

  it.each([2, 4, 9, 16])('of keys when a node joins %i equal ones: only to the newcomer, about its share', count => {
    const before = homes(tableOf(nodesOf(...Array(count).fill(1)), KETAMA), hashes);
    const after = homes(tableOf(nodesOf(...Array(count + 1).fill(1)), KETAMA), hashes);
    const moved = hashes.filter((_, i) => before[i] !== after[i]).length;
    expect(after.every((node, i) => node === before[i] || node === count)).toBe(true);
    expect(moved / hashes.length).toBeLessThan(1.3 / (count + 1));
    expect(moved / hashes.length).toBeGreaterThan(0.7 / (count + 1));
  });

  it.each([0, 2, 3])(
    'of keys when node %i of four is drained: only its own, to where a pool without it keeps them',
    n => {
      const before = homes(tableOf(nodesOf(1, 1, 1, 1), KETAMA), hashes);
      const drained = nodesOf(1, 1, 1, 1).map((node, i) => ({ ...node, weight: i === n ? 0 : 1 }));
      const after = homes(tableOf(drained, KETAMA), hashes);
      const removed = homes(tableOf(drained.toSpliced(n, 1), KETAMA), hashes).map(node => (node < n ? node : node + 1));
      expect(after).toEqual(removed);
      expect(after.every((node, i) => (before[i] === n ? node !== n : node === before[i]))).toBe(true);
    },
  );
});
