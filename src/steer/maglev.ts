/**
 * Maglev's lookup table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
 * §3.4). Every node has its own order of preference over all slots, offset + i · skip modulo a prime; the nodes take
 * turns, each taking its best slot that is still free. So every node gets the same number of slots, give or take one,
 * and when a node goes, most slots of the others stay where they were. Control side.
 *
 * Weights: a node has a turn in a round when its credit, which grows by weight ÷ greatest weight a round, is full.
 * A node's slots then differ from its exact share by less than 2, or by less than nodes × share when that is more.
 *
 * The table does not depend on the order of the nodes in the configuration: they take turns in the order of their names.
 */

import { hashText } from './hash.ts';
import { RING, RING_KIND, RING_MAGLEV, SLOT_COUNT } from './layout.ts';
import { md5, md5DigestWord } from './md5.ts';
import type { RingNode } from './nodes.ts';

const FREE = -1;

interface Turn {
  readonly node: number;
  readonly weight: number;
  readonly skip: number;
  /** Next slot of the node's order of preference. */
  next: number;
  credit: number;
}

/** Slot → node, for `size` slots (a prime) and at least one node. */
export function maglevEntries(ring: readonly RingNode[], size: number): Int32Array {
  const entries = new Int32Array(size).fill(FREE);
  const turns = inNameOrder(ring).map(node => turnOf(node, size));
  const weightMax = Math.max(...ring.map(({ weight }) => weight));
  let free = size;
  while (free > 0) free -= playRound(entries, turns, weightMax, free);
  return entries;
}

/**
 * The same with each slot of a node that is out given to the next node along the table that is in, which is its
 * successor as `nextNodeSlot` has it. Slots lie in no order, so the load spreads over all that are left. Undefined when
 * no node that is in has a slot.
 */
export function withSuccessors(entries: Int32Array, isAvailable: (node: number) => boolean): Int32Array | undefined {
  const first = entries.find(node => isAvailable(node));
  if (first === undefined) return undefined;
  const filled = entries.slice();
  let successor = first;
  for (let slot = entries.length - 1; slot >= 0; slot--) {
    if (isAvailable(entries[slot]!)) successor = entries[slot]!;
    else filled[slot] = successor;
  }
  return filled;
}

/** Writes header words and entries, two to a word. `ringAt` is relative to `table`. */
export function writeMaglev(words: Int32Array, table: number, ringAt: number, entries: Int32Array): void {
  words[table + RING_KIND] = RING_MAGLEV;
  words[table + SLOT_COUNT] = entries.length;
  words[table + RING] = ringAt;
  for (let slot = 0; slot < entries.length; slot += 2) {
    const odd = slot + 1 < entries.length ? entries[slot + 1]! : 0;
    words[table + ringAt + (slot >> 1)] = entries[slot]! | (odd << 16);
  }
}

/** One turn for every node whose credit is full, while slots are free. Returns the number of slots taken. */
function playRound(entries: Int32Array, turns: readonly Turn[], weightMax: number, free: number): number {
  let taken = 0;
  for (const turn of turns) {
    turn.credit += turn.weight;
    if (turn.credit < weightMax) continue;
    if (taken === free) break;
    turn.credit -= weightMax;
    takeBestSlot(entries, turn);
    taken++;
  }
  return taken;
}

function takeBestSlot(entries: Int32Array, turn: Turn): void {
  while (entries[turn.next] !== FREE) turn.next = (turn.next + turn.skip) % entries.length;
  entries[turn.next] = turn.node;
}

/** The paper's two hashes of the name are two words of its MD5. */
function turnOf({ node, name, port, weight }: RingNode, size: number): Turn {
  const offset = (hashText(`${name}:${port}`, md5) >>> 0) % size;
  const skip = ((md5DigestWord(1) >>> 0) % (size - 1)) + 1;
  return { node, weight, skip, next: offset, credit: 0 };
}

function inNameOrder(ring: readonly RingNode[]): RingNode[] {
  return [...ring].sort((a, b) => (a.name === b.name ? a.port - b.port : a.name < b.name ? -1 : 1));
}
