/** What a steering table is made from, and the rules it must obey. Control side. */

import type { KeyHashName } from './hash.ts';

/**
 * - `ketama`: libmemcached's KETAMA_WEIGHTED (and libketama's) ring.
 * - `ketama-unweighted`: libmemcached's plain KETAMA ring, what many clients mean by "ketama" or "consistent".
 * - `maglev`: Maglev's lookup table (NSDI 2016).
 */
export type SteerAlgorithm = 'ketama' | 'ketama-unweighted' | 'maglev';

export interface SteerNode {
  /** IPv4 address as int32 (10.77.1.11 = 0x0a4d010b). */
  readonly address: number;
  /** UDP port. It is part of the node's place on the ring. */
  readonly port: number;
  /** Share of the keys; 0 = drained: no keys, but replies still count. */
  readonly weight: number;
  /** The name by which the pool's clients knew the node, hashed to place it on the ring. Default: its address as text. */
  readonly hashName?: string;
  /** Row of the neighbour table that resolves its next hop. */
  readonly neighbour: number;
  /** Row of the node table. Default: its place in the list, which counts for the ring alone otherwise. */
  readonly row?: number;
  /** False keeps the row, and nothing else. Default: true. */
  readonly enabled?: boolean;
  /**
   * False while the node is out: its keys go to its successors on the ring, and no other key moves. (weight 0 builds
   * another ring, on which with unequal weights keys of the other nodes may move too.) Default: true.
   */
  readonly available?: boolean;
}

export interface SteerOptions {
  readonly algorithm: SteerAlgorithm;
  readonly hash: KeyHashName;
  /** Slots of a maglev table, a prime. Default 65537. */
  readonly maglevSize?: number;
}

/** A node as the ring builders see it: only those that have a place on it. */
export interface RingNode {
  /** Its row. */
  readonly node: number;
  readonly name: string;
  readonly port: number;
  readonly weight: number;
}

export const MAGLEV_SIZE = 65537;
/** Beyond this a table would outgrow every cache without balancing better. */
export const MAGLEV_SIZE_LIMIT = 1 << 20;
const HASH_NAME_BYTES_MAX = 255;
const WEIGHT_MAX = 0x7fffffff;

/** A node or option the table cannot be built from: names the field, its value and the rule. */
export class SteerConfigError extends Error {
  readonly field: string;
  readonly value: unknown;
  readonly rule: string;

  constructor(field: string, value: unknown, rule: string) {
    super(`${field} is ${JSON.stringify(value)}: ${rule}`);
    this.name = 'SteerConfigError';
    this.field = field;
    this.value = value;
    this.rule = rule;
  }
}

/** The nodes that the ring is built of, those that are out at the moment included. @throws SteerConfigError */
export function ringNodes(nodes: readonly SteerNode[], options: SteerOptions): RingNode[] {
  for (const [index, node] of nodes.entries()) checkNode(node, index, options.algorithm);
  checkDistinct(nodes);
  return nodes.flatMap((node, index) => {
    const { port, weight } = node;
    return isOnRing(node) ? [{ node: rowOf(node, index), name: hashNameOf(node), port, weight }] : [];
  });
}

/** Row of the node at `index` of a list. */
export function rowOf(node: SteerNode, index: number): number {
  return node.row ?? index;
}

/** @throws SteerConfigError when `size` is not a prime that `ring` and the capacity allow. */
export function checkMaglevSize(size: number, ring: readonly RingNode[], sizeMax: number): void {
  demand(size <= sizeMax, 'maglevSize', size, `must be at most ${sizeMax}`);
  demand(isPrime(size), 'maglevSize', size, 'must be a prime, so that every step size visits every slot');
  demand(size > ring.length, 'maglevSize', size, `must exceed the number of nodes, ${ring.length}`);
}

function checkNode(node: SteerNode, index: number, algorithm: SteerAlgorithm): void {
  const at = (field: string) => `nodes[${index}].${field}`;
  demand(isWhole(node.weight, 0, WEIGHT_MAX), at('weight'), node.weight, `must be a whole number, 0 to ${WEIGHT_MAX}`);
  demand(isWhole(node.port, 1, 65535), at('port'), node.port, 'must be a whole number, 1 to 65535');
  const nameBytes = Buffer.byteLength(hashNameOf(node));
  demand(
    nameBytes > 0 && nameBytes <= HASH_NAME_BYTES_MAX,
    at('hashName'),
    node.hashName,
    `must have 1 to ${HASH_NAME_BYTES_MAX} bytes`,
  );
  // libmemcached turns a plain KETAMA pool into a weighted one once a server of weight > 1 joins it.
  demand(
    algorithm !== 'ketama-unweighted' || node.weight <= 1,
    at('weight'),
    node.weight,
    'must be 0 or 1 with ketama-unweighted; algorithm "ketama" places a weighted pool as libmemcached does',
  );
}

function checkDistinct(nodes: readonly SteerNode[]): void {
  const seen = new Set<string>();
  for (const [index, node] of nodes.entries()) {
    if (!isOnRing(node)) continue;
    const place = `${hashNameOf(node)}:${node.port}`;
    demand(
      !seen.has(place),
      `nodes[${index}]`,
      place,
      'is the hash name and port of an earlier node: they would share all ring slots',
    );
    seen.add(place);
  }
}

function isOnRing({ weight, enabled = true }: SteerNode): boolean {
  return enabled && weight > 0;
}

/** Dotted-decimal text of an int32 IPv4 address. */
export function addressText(address: number): string {
  return [24, 16, 8, 0].map(shift => (address >>> shift) & 0xff).join('.');
}

function hashNameOf(node: SteerNode): string {
  return node.hashName ?? addressText(node.address);
}

function isWhole(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

function isPrime(n: number): boolean {
  if (!isWhole(n, 2, MAGLEV_SIZE_LIMIT)) return false;
  for (let divisor = 2; divisor * divisor <= n; divisor++) {
    if (n % divisor === 0) return false;
  }
  return true;
}

function demand(holds: boolean, field: string, value: unknown, rule: string): void {
  if (!holds) throw new SteerConfigError(field, value, rule);
}
