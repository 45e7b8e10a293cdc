/**
 * The ketama continuum as libmemcached 1.1.4 builds it (libmemcached/hosts.cc, update_continuum), so that an existing
 * pool keeps its placement. Every node gets points on a ring of 2^32; a key belongs to the first point at or above its
 * hash, past the end to the first of all. Control side.
 *
 * - KETAMA_WEIGHTED: on average 160 points a node, in proportion to its weight, always by MD5: each text
 *   `name-i` (`name:port-i` unless the port is 11211) yields four, the digest's words in little endian. The key hash is
 *   MD5 too unless HASH is set after KETAMA_WEIGHTED.
 * - plain KETAMA: 100 points a node, each the key hash of one such text.
 */

import { hashText, type KeyHash } from './hash.ts';
import {
  INDEX_ASK_POINTS,
  INDEX_BITS_MAX,
  INDEX_BITS_MIN,
  INDEX_NODE_SHIFT,
  INDEX_SHIFT,
  INDEX_SLOT_SHIFT,
  NODES_LIMIT,
  POINT_HASH,
  POINT_NODE,
  POINT_WORDS,
  POINTS,
  POINTS_PER_NODE_MAX,
  RING,
  RING_KETAMA,
  RING_KIND,
  SLOT_COUNT,
} from './layout.ts';
import { md5, md5DigestWord } from './md5.ts';
import type { RingNode } from './nodes.ts';

const POINTS_PER_NODE_PLAIN = 100;
const POINTS_PER_DIGEST = 4;
const DEFAULT_PORT = 11211;
const SIGN_BIT = 0x80000000 | 0;
/** Index entries per point: with 8, an entry's stretch holds a point of its own in at most one case out of nine. */
const INDEX_ENTRIES_PER_POINT = 8;

/**
 * Points in ring order, each packed as hash · NODES_LIMIT + node. Equal hashes are in the order of the list of nodes, as
 * there, whatever rows the nodes have.
 */
export type PackedPoints = Float64Array;

/** Points of a KETAMA_WEIGHTED continuum. */
export function weightedPoints(ring: readonly RingNode[]): PackedPoints {
  const total = ring.reduce((sum, { weight }) => sum + weight, 0);
  const packed: number[] = [];
  for (const [position, node] of ring.entries()) {
    const texts = weightedPointCount(node.weight, total, ring.length) / POINTS_PER_DIGEST;
    for (let i = 0; i < texts; i++) {
      hashText(pointText(node, i), md5);
      for (let word = 0; word < POINTS_PER_DIGEST; word++) packed.push(pack(md5DigestWord(word), position));
    }
  }
  return inRingOrder(packed, ring);
}

/** Points of a plain KETAMA continuum. */
export function plainPoints(ring: readonly RingNode[], hash: KeyHash): PackedPoints {
  const packed = ring.flatMap((node, position) =>
    Array.from({ length: POINTS_PER_NODE_PLAIN }, (_, i) => pack(hashText(pointText(node, i), hash), position)),
  );
  return inRingOrder(packed, ring);
}

/** @param packed with each node's position in `ring` in place of the node */
function inRingOrder(packed: readonly number[], ring: readonly RingNode[]): PackedPoints {
  const sorted = Float64Array.from(packed).sort();
  return sorted.map(point => point - pointNode(point) + ring[pointNode(point)]!.node);
}

export function pointHash(packed: number): number {
  return Math.floor(packed / NODES_LIMIT) | 0;
}

export function pointNode(packed: number): number {
  return packed % NODES_LIMIT;
}

/** Writes header words, index, points and closing point of a ring of at least one point. `ringAt` is relative to `table`. */
export function writeKetama(words: Int32Array, table: number, ringAt: number, points: PackedPoints): void {
  const bits = indexBits(points.length);
  const pointsAt = ringAt + (1 << bits);
  words[table + RING_KIND] = RING_KETAMA;
  words[table + SLOT_COUNT] = points.length;
  words[table + RING] = ringAt;
  words[table + POINTS] = pointsAt;
  words[table + INDEX_SHIFT] = 32 - bits;
  for (const [slot, packed] of points.entries()) {
    writePoint(words, table + pointsAt, slot, pointHash(packed), pointNode(packed));
  }
  writePoint(words, table + pointsAt, points.length, 0xffffffff | 0, pointNode(points[0]!));
  writeIndex(words, table, ringAt, bits, points);
}

/** libmemcached computes in C `float`, step by step; so do we, as a rounding decides over four points. */
function weightedPointCount(weight: number, totalWeight: number, nodes: number): number {
  const { fround } = Math;
  const share = fround(fround(weight) / fround(totalWeight));
  const digests = fround(fround(fround(share * POINTS_PER_NODE_MAX) / POINTS_PER_DIGEST) * fround(nodes));
  return Math.floor(fround(digests + fround(1e-10))) * POINTS_PER_DIGEST;
}

function pointText({ name, port }: RingNode, i: number): string {
  return port === DEFAULT_PORT ? `${name}-${i}` : `${name}:${port}-${i}`;
}

function pack(hash: number, node: number): number {
  return (hash >>> 0) * NODES_LIMIT + node;
}

function indexBits(points: number): number {
  const wanted = Math.ceil(Math.log2(points * INDEX_ENTRIES_PER_POINT));
  return Math.min(Math.max(wanted, INDEX_BITS_MIN), INDEX_BITS_MAX);
}

function writePoint(words: Int32Array, pointsWord: number, slot: number, hash: number, node: number): void {
  const at = pointsWord + slot * POINT_WORDS;
  words[at + POINT_HASH] = hash ^ SIGN_BIT;
  words[at + POINT_NODE] = node;
}

function writeIndex(words: Int32Array, table: number, ringAt: number, bits: number, points: PackedPoints): void {
  const stretch = 2 ** (32 - bits) * NODES_LIMIT;
  let slot = 0;
  for (let entry = 0; entry < 1 << bits; entry++) {
    while (slot < points.length && points[slot]! < entry * stretch) slot++;
    const within = slot < points.length && points[slot]! < (entry + 1) * stretch;
    const node = pointNode(points[slot % points.length]!);
    const ask = within ? INDEX_ASK_POINTS : 0;
    words[table + ringAt + entry] = (slot << INDEX_SLOT_SHIFT) | (node << INDEX_NODE_SHIFT) | ask;
  }
}
