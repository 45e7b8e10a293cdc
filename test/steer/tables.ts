/** Steering tables for tests, and the slow twins they are held against. */
import { createHash } from 'node:crypto';
import { hashKey } from '../../src/mem/murmur3.ts';
import { KEY_HASHES, type KeyHashName } from '../../src/steer/hash.ts';
import { lookup } from '../../src/steer/lookup.ts';
import type { SteerNode, SteerOptions } from '../../src/steer/nodes.ts';
import { type SteerCapacity, SteerTable } from '../../src/steer/table.ts';

export const CAPACITY: SteerCapacity = { nodesMax: 32, lanesMax: 2 };

export function newTable(capacity: SteerCapacity = CAPACITY): SteerTable {
  return new SteerTable(new SharedArrayBuffer(SteerTable.byteLength(capacity)), 0, capacity);
}

/** A table in use of these nodes. */
export function tableOf(nodes: readonly SteerNode[], options: SteerOptions, capacity = CAPACITY): SteerTable {
  const table = newTable(capacity);
  if (!table.publish(nodes, options)) throw new Error('a fresh table must be writable');
  return table;
}

/** 10.0.0.1:11211, 10.0.0.2:11211 … with these weights. */
export function nodesOf(...weights: number[]): SteerNode[] {
  return weights.map((weight, index) => ({ address: 0x0a000001 + index, port: 11211, weight, neighbour: index }));
}

/** `count` murmur3 hashes of distinct keys. */
export function someHashes(count: number, prefix = 'key'): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => hashOf(Buffer.from(`${prefix}:${i}`), 'murmur3'));
}

export function hashOf(key: Uint8Array, name: KeyHashName): number {
  const bytes = Uint8Array.from(key);
  const view = new DataView(bytes.buffer);
  return name === 'murmur3' ? hashKey(bytes, view, 0, key.length) : KEY_HASHES[name](bytes, view, 0, key.length);
}

/** Home node of every hash. */
export function homes(table: SteerTable, hashes: Int32Array): Int32Array {
  const { words, current } = table;
  return hashes.map(hash => lookup(words, current, hash));
}

/** Keys per node. */
export function loadOf(home: Int32Array, nodes: number): number[] {
  const load = Array<number>(nodes).fill(0);
  for (const node of home) load[node]! += 1;
  return load;
}

export interface SlowPoint {
  readonly hash: number;
  readonly node: number;
}

/** The KETAMA_WEIGHTED continuum of nodes on port 11211 by node:crypto and exact arithmetic. */
export function slowKetama(nodes: readonly SteerNode[]): SlowPoint[] {
  const live = nodes.filter(({ weight }) => weight > 0);
  const total = live.reduce((sum, { weight }) => sum + weight, 0);
  const points = nodes.flatMap((node, index) =>
    Array.from({ length: Math.floor((40 * live.length * node.weight) / total) }, (_, i) => slowPoints(node, index, i)),
  );
  return points.flat().sort((a, b) => a.hash - b.hash || a.node - b.node);
}

/** First point at or above the hash, else the first of all: by looking at every point. */
export function slowHome(points: readonly SlowPoint[], hash: number): number {
  const point = points.find(({ hash: at }) => at >= hash >>> 0) ?? points[0];
  return point?.node ?? -1;
}

function slowPoints(node: SteerNode, index: number, i: number): SlowPoint[] {
  const name = [24, 16, 8, 0].map(shift => (node.address >>> shift) & 255).join('.');
  const digest = createHash('md5').update(`${name}-${i}`).digest();
  return [0, 4, 8, 12].map(at => ({ hash: digest.readUInt32LE(at), node: index }));
}
