import { describe, expect, it } from 'vitest';
import { enterTable, leaveTable } from '../../src/mem/generation.ts';
import {
  lookup,
  nodeAddress,
  nodeCount,
  nodeEnabled,
  nodeNeighbour,
  nodePort,
  nodeSlots,
  nodeWeight,
} from '../../src/steer/lookup.ts';
import { SteerConfigError, type SteerNode, type SteerOptions } from '../../src/steer/nodes.ts';
import { SteerTable } from '../../src/steer/table.ts';
import { CAPACITY, homes, loadOf, newTable, nodesOf, someHashes, tableOf } from './tables.ts';

const KETAMA: SteerOptions = { algorithm: 'ketama', hash: 'murmur3' };
const MAGLEV: SteerOptions = { algorithm: 'maglev', hash: 'murmur3' };
const PLAIN: SteerOptions = { algorithm: 'ketama-unweighted', hash: 'one_at_a_time' };

const node = (fields: Partial<SteerNode> = {}): SteerNode => ({
  address: 0x0a000001,
  port: 11211,
  weight: 1,
  neighbour: 0,
  ...fields,
});

describe('SteerTable, node rows', () => {
  const { words, current } = tableOf(
    [
      node({ address: 0xc0a80001 | 0, port: 11211, weight: 1, neighbour: 7 }),
      node({ address: 0x0a4d010c, port: 65535, weight: 0, neighbour: 3 }),
      node({ address: 0x0a4d010d, port: 1, weight: 5, neighbour: 0, enabled: false }),
    ],
    KETAMA,
  );

  it.each([
    { row: 0, address: 0xc0a80001 | 0, port: 11211, weight: 1, neighbour: 7, enabled: true, slots: 160 },
    { row: 1, address: 0x0a4d010c, port: 65535, weight: 0, neighbour: 3, enabled: true, slots: 0 },
    { row: 2, address: 0x0a4d010d, port: 1, weight: 5, neighbour: 0, enabled: false, slots: 0 },
  ])('row $row reads back: $address:$port weight $weight', ({ row, ...fields }) => {
    expect(nodeCount(words, current)).toBe(3);
    expect({
      address: nodeAddress(words, current, row),
      port: nodePort(words, current, row),
      weight: nodeWeight(words, current, row),
      neighbour: nodeNeighbour(words, current, row),
      enabled: nodeEnabled(words, current, row),
      slots: nodeSlots(words, current, row),
    }).toEqual(fields);
  });

  it.each([KETAMA, MAGLEV, PLAIN])('sends no key to a drained or disabled node: $algorithm', options => {
    const nodes = [
      node({ weight: 0 }),
      node({ address: 2 }),
      node({ address: 3, enabled: false }),
      node({ address: 4 }),
    ];
    const load = loadOf(homes(tableOf(nodes, options), someHashes(2000)), 4);
    expect(load.map(keys => keys > 0)).toEqual([false, true, false, true]);
  });
});

describe('SteerTable, what it refuses', () => {
  it.each<[string, SteerNode[], SteerOptions, string]>([
    ['a negative weight', [node(), node({ weight: -1 })], KETAMA, 'nodes[1].weight'],
    ['a broken weight', [node({ weight: 1.5 })], KETAMA, 'nodes[0].weight'],
    ['a weight beyond int32', [node({ weight: 2 ** 31 })], MAGLEV, 'nodes[0].weight'],
    ['port 0', [node({ port: 0 })], KETAMA, 'nodes[0].port'],
    ['port 65536', [node({ port: 65536 })], KETAMA, 'nodes[0].port'],
    ['an empty hash name', [node({ hashName: '' })], KETAMA, 'nodes[0].hashName'],
    ['a hash name of 256 bytes', [node({ hashName: 'ž'.repeat(128) })], KETAMA, 'nodes[0].hashName'],
    ['weights on a plain ketama ring', [node(), node({ weight: 2 })], PLAIN, 'nodes[1].weight'],
    ['two nodes at one place', [node(), node()], KETAMA, 'nodes[1]'],
    ['two nodes of one hash name', [node({ hashName: '10.0.0.2' }), node({ address: 0x0a000002 })], MAGLEV, 'nodes[1]'],
    ['more nodes than rows', nodesOf(...Array(33).fill(1)), KETAMA, 'nodes'],
    ['a maglev size that is no prime', [node()], { ...MAGLEV, maglevSize: 65536 }, 'maglevSize'],
    ['a maglev size of 1', [], { ...MAGLEV, maglevSize: 1 }, 'maglevSize'],
    ['a maglev size above the capacity', [node()], { ...MAGLEV, maglevSize: 131071 }, 'maglevSize'],
    ['fewer maglev slots than nodes', nodesOf(1, 1, 1), { ...MAGLEV, maglevSize: 3 }, 'maglevSize'],
  ])('%s', (_, nodes, options, field) => {
    const table = tableOf(nodesOf(1, 1), KETAMA);
    const before = table.words.slice();
    let error: unknown;
    try {
      table.publish(nodes, options);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(SteerConfigError);
    expect((error as SteerConfigError).field).toBe(field);
    expect(table.words.every((word, i) => word === before[i])).toBe(true);
  });

  it.each<[string, SteerNode[], SteerOptions]>([
    ['weight 0 and the largest weight', [node({ weight: 0 }), node({ address: 2, weight: 2 ** 31 - 1 })], MAGLEV],
    ['ports 1 and 65535', [node({ port: 1 }), node({ port: 65535 })], KETAMA],
    ['a hash name of 254 bytes', [node({ hashName: 'ž'.repeat(127) })], KETAMA],
    ['a drained node beside its replacement of the same name', [node({ weight: 0 }), node()], KETAMA],
    ['as many nodes as rows', nodesOf(...Array(32).fill(1)), MAGLEV],
    ['weight 1 and 0 on a plain ring', nodesOf(1, 0, 1), PLAIN],
  ])('but takes %s', (_, nodes, options) => {
    expect(newTable().publish(nodes, options)).toBe(true);
  });

  it.each([
    { nodesMax: 0, lanesMax: 1 },
    { nodesMax: 1025, lanesMax: 1 },
    { nodesMax: 1, lanesMax: 0 },
    { nodesMax: 1, lanesMax: 1, maglevSizeMax: 2 ** 21 },
  ])('a capacity of %o', capacity => {
    expect(() => newTable(capacity)).toThrow(RangeError);
  });
});

describe('SteerTable, swaps', () => {
  it('leaves the table a lane is in as it was, until the lane enters the next', () => {
    const table = tableOf(nodesOf(1, 1), KETAMA);
    const { words, base } = table;
    const old = enterTable(words, base, 0);
    const copy = words.slice(old, old + 1000);
    expect(table.publish(nodesOf(1, 1, 1), MAGLEV)).toBe(true);
    expect(table.canPublish).toBe(false);
    expect(table.publish(nodesOf(1), PLAIN)).toBe(false);
    expect([...words.slice(old, old + 1000)]).toEqual([...copy]);
    expect(nodeCount(words, enterTable(words, base, 0))).toBe(3);
    expect(table.publish(nodesOf(1), PLAIN)).toBe(true);
  });

  it('does not wait for a lane that has left', () => {
    const table = tableOf(nodesOf(1, 1), KETAMA);
    enterTable(table.words, table.base, 1);
    table.publish(nodesOf(1), KETAMA);
    leaveTable(table.words, table.base, 1);
    expect(table.publish(nodesOf(1, 1, 1), KETAMA)).toBe(true);
  });

  it('carries nothing over from the table that lay in the half before', () => {
    const table = tableOf(nodesOf(5, 5, 5), MAGLEV);
    const steps: [SteerNode[], SteerOptions][] = [
      [nodesOf(1, 1, 1, 1), KETAMA],
      [nodesOf(2, 1), KETAMA],
      [nodesOf(0, 0), MAGLEV],
      [nodesOf(1), PLAIN],
      [nodesOf(3, 1), MAGLEV],
      [[], KETAMA],
    ];
    const hashes = someHashes(500);
    for (const [nodes, options] of steps) {
      table.publish(nodes, options);
      const fresh = tableOf(nodes, options);
      expect(homes(table, hashes)).toEqual(homes(fresh, hashes));
      expect(nodes.map((_, i) => nodeSlots(table.words, table.current, i))).toEqual(
        nodes.map((_, i) => nodeSlots(fresh.words, fresh.current, i)),
      );
    }
  });

  it('writes nothing outside its region', () => {
    const bytes = SteerTable.byteLength(CAPACITY);
    const buffer = new SharedArrayBuffer(bytes + 128);
    const words = new Int32Array(buffer);
    words.fill(0x5ca1ab1e, 0, 16);
    words.fill(0x5ca1ab1e, (bytes + 64) / 4);
    const table = new SteerTable(buffer, 64, CAPACITY);
    for (const options of [KETAMA, MAGLEV, KETAMA, MAGLEV]) table.publish(nodesOf(...Array(32).fill(1)), options);
    expect(words.subarray(0, 16).every(word => word === 0x5ca1ab1e)).toBe(true);
    expect(words.subarray((bytes + 64) / 4).every(word => word === 0x5ca1ab1e)).toBe(true);
    expect(lookup(words, table.current, 12345)).toBeGreaterThanOrEqual(0);
  });
});
