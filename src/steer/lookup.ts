/**
 * Hash → ring slot → node, on the words of layout.ts. Runs once per frame: no division, no search.
 *
 * ketama: the top bits of the hash pick an index entry, which stands for one stretch of the ring. The index has several
 * entries per point, so in nearly every stretch no point lies, and the entry itself names the node. Otherwise the points
 * are asked, from the first one in the stretch; the closing point ends every scan.
 *
 * maglev: slot = floor(hash · size / 2^32), the multiply-shift reduction in place of `hash mod size`. It uses the upper
 * bits where the modulo uses the lower; both spread a good hash evenly. The product stays below 2^53 and is exact.
 */

import {
  INDEX_ASK_POINTS,
  INDEX_NODE_SHIFT,
  INDEX_SHIFT,
  INDEX_SLOT_SHIFT,
  NODE_ADDRESS,
  NODE_COUNT,
  NODE_ENABLED,
  NODE_FLAGS,
  NODE_NEIGHBOUR,
  NODE_PORT,
  NODE_ROW_SHIFT,
  NODE_ROWS,
  NODE_SLOTS,
  NODE_WEIGHT,
  NODES_LIMIT,
  POINT_HASH,
  POINT_NODE,
  POINT_WORDS,
  POINTS,
  RING,
  RING_KETAMA,
  RING_KIND,
  RING_MAGLEV,
  SLOT_COUNT,
} from './layout.ts';

const TO_UNIT_INTERVAL = 2 ** -32;
const SIGN_BIT = 0x80000000 | 0;

/** Home node of a key with this hash (int32, any value), or −1 when no node takes keys. */
export function lookup(words: Int32Array, table: number, hash: number): number {
  const kind = words[table + RING_KIND]!;
  if (kind === RING_KETAMA) return ketamaNode(words, table, hash);
  if (kind === RING_MAGLEV) return entryAt(words, table, entryFor(words, table, hash));
  return -1;
}

/** Ring slot of this hash, 0 … slots − 1, or −1 when no node takes keys. */
export function lookupSlot(words: Int32Array, table: number, hash: number): number {
  const kind = words[table + RING_KIND]!;
  if (kind === RING_MAGLEV) return entryFor(words, table, hash);
  if (kind !== RING_KETAMA) return -1;
  const slot = (pointFor(words, table, hash) - table - words[table + POINTS]!) / POINT_WORDS;
  return slot === words[table + SLOT_COUNT]! ? 0 : slot;
}

/** Node that holds ring slot `slot`, a slot of this table. */
export function nodeAtSlot(words: Int32Array, table: number, slot: number): number {
  if (words[table + RING_KIND] === RING_MAGLEV) return entryAt(words, table, slot);
  return words[pointWord(words, table, slot) + POINT_NODE]!;
}

/**
 * Next slot along the ring whose node is another than that of `slot`: where the key goes when its node is out, and where
 * its next replica lies. −1 when one node holds the whole ring.
 */
export function nextNodeSlot(words: Int32Array, table: number, slot: number): number {
  const slots = words[table + SLOT_COUNT]!;
  const node = nodeAtSlot(words, table, slot);
  for (let step = 1; step < slots; step++) {
    const next = slot + step < slots ? slot + step : slot + step - slots;
    if (nodeAtSlot(words, table, next) !== node) return next;
  }
  return -1;
}

/** Highest hash that ring slot `slot` takes, as int32: a ketama point's own hash, a maglev slot's upper end. */
export function slotHash(words: Int32Array, table: number, slot: number): number {
  if (words[table + RING_KIND] === RING_MAGLEV)
    return (Math.ceil((slot + 1) / (words[table + SLOT_COUNT]! * TO_UNIT_INTERVAL)) - 1) | 0;
  return words[pointWord(words, table, slot) + POINT_HASH]! ^ SIGN_BIT;
}

export function slotCount(words: Int32Array, table: number): number {
  return words[table + SLOT_COUNT]!;
}

export function nodeCount(words: Int32Array, table: number): number {
  return words[table + NODE_COUNT]!;
}

/** IPv4 address of the node, int32. */
export function nodeAddress(words: Int32Array, table: number, node: number): number {
  return words[nodeRow(table, node) + NODE_ADDRESS]!;
}

export function nodePort(words: Int32Array, table: number, node: number): number {
  return words[nodeRow(table, node) + NODE_PORT]!;
}

export function nodeWeight(words: Int32Array, table: number, node: number): number {
  return words[nodeRow(table, node) + NODE_WEIGHT]!;
}

/** Row of the neighbour table that resolves the node's next hop. */
export function nodeNeighbour(words: Int32Array, table: number, node: number): number {
  return words[nodeRow(table, node) + NODE_NEIGHBOUR]!;
}

/** Ring slots the node holds: 0 when it is drained, disabled, or too light beside the others for a single point. */
export function nodeSlots(words: Int32Array, table: number, node: number): number {
  return words[nodeRow(table, node) + NODE_SLOTS]!;
}

/** Whether replies of the node are accepted. True for a drained node. */
export function nodeEnabled(words: Int32Array, table: number, node: number): boolean {
  return (words[nodeRow(table, node) + NODE_FLAGS]! & NODE_ENABLED) !== 0;
}

function nodeRow(table: number, node: number): number {
  return table + NODE_ROWS + (node << NODE_ROW_SHIFT);
}

/** Entry of the index for the stretch in which `hash` lies. */
function indexEntry(words: Int32Array, table: number, hash: number): number {
  return words[table + words[table + RING] + (hash >>> words[table + INDEX_SHIFT])];
}

function ketamaNode(words: Int32Array, table: number, hash: number): number {
  const entry = indexEntry(words, table, hash);
  if ((entry & INDEX_ASK_POINTS) === 0) return (entry >> INDEX_NODE_SHIFT) & (NODES_LIMIT - 1);
  return words[pointFor(words, table, hash) + POINT_NODE];
}

/** Word of the first point at or above `hash`; the closing point when the ring wraps. */
function pointFor(words: Int32Array, table: number, hash: number): number {
  const biased = hash ^ SIGN_BIT;
  let at = pointWord(words, table, indexEntry(words, table, hash) >> INDEX_SLOT_SHIFT);
  while (words[at] < biased) at += POINT_WORDS;
  return at;
}

function pointWord(words: Int32Array, table: number, slot: number): number {
  return table + words[table + POINTS]! + slot * POINT_WORDS;
}

function entryFor(words: Int32Array, table: number, hash: number): number {
  return ((hash >>> 0) * words[table + SLOT_COUNT]! * TO_UNIT_INTERVAL) | 0;
}

function entryAt(words: Int32Array, table: number, slot: number): number {
  return (words[table + words[table + RING]! + (slot >> 1)]! >>> ((slot & 1) << 4)) & 0xffff;
}
