/** Which node sends from an address and port: against a search through the steering table. */
import { describe, expect, it } from 'vitest';
import { NodeIndex } from '../../src/dataplane/node-index.ts';
import type { SteerNode } from '../../src/steer/nodes.ts';
import { SteerTable } from '../../src/steer/table.ts';

const NODES_MAX = 1024;
const CAPACITY = { nodesMax: NODES_MAX, lanesMax: 1 };

function tableOf(nodes: readonly SteerNode[]): { words: Int32Array; table: number } {
  const buffer = new SharedArrayBuffer(SteerTable.byteLength(CAPACITY));
  const steer = new SteerTable(buffer, 0, CAPACITY);
  expect(steer.publish(nodes, { algorithm: 'ketama', hash: 'murmur3' })).toBe(true);
  return { words: new Int32Array(buffer), table: steer.current };
}

const node = (address: number, port: number, more: Partial<SteerNode> = {}): SteerNode => ({
  address,
  port,
  weight: 1,
  neighbour: 0,
  ...more,
});

describe('the index of nodes', () => {
  it('is empty until it follows a table', () => {
    expect(new NodeIndex(4).find(0x0a000001, 11211)).toBe(-1);
  });

  it('knows address and port together, rows with gaps between, drained nodes, and none that is disabled', () => {
    const { words, table } = tableOf([
      node(0x0a000001, 11211, { row: 3 }),
      node(0x0a000001, 11212, { row: 0 }),
      node(0x0a000002, 11211, { row: 9, weight: 0 }),
      node(0x0a000003, 11211, { row: 5, enabled: false }),
    ]);
    const index = new NodeIndex(NODES_MAX);
    index.follow(words, table, 1);
    const found = [
      [0x0a000001, 11211],
      [0x0a000001, 11212],
      [0x0a000002, 11211],
      [0x0a000003, 11211],
      [0x0a000001, 11213],
      [0, 0],
    ].map(([address, port]) => index.find(address!, port!));
    expect(found).toEqual([3, 0, 9, -1, -1, -1]);
  });

  it('is made anew with the generation, and only then', () => {
    const before = tableOf([node(1, 1)]);
    const after = tableOf([node(2, 2)]);
    const index = new NodeIndex(4);
    index.follow(before.words, before.table, 0);
    index.follow(after.words, after.table, 0);
    expect([index.find(1, 1), index.find(2, 2)]).toEqual([0, -1]);
    index.follow(after.words, after.table, 1);
    expect([index.find(1, 1), index.find(2, 2)]).toEqual([-1, 0]);
  });

  it('full: 1024 nodes, each found, neighbours of theirs not', () => {
    const nodes = Array.from({ length: NODES_MAX }, (_, n) => node((0x0a000000 + (n >> 2)) | 0, 11000 + (n & 3)));
    const { words, table } = tableOf(nodes.map(each => ({ ...each, address: each.address + 1 })));
    const index = new NodeIndex(NODES_MAX);
    index.follow(words, table, 7);
    for (const [row, { address, port }] of nodes.entries()) {
      expect(index.find(address + 1, port)).toBe(row);
      expect(index.find(address + 1, port + 4)).toBe(-1);
      expect(index.find(address + 300, port)).toBe(-1);
    }
  });
});
