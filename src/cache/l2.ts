/**
 * The hash index beside the skip list of L2: open addressing with linear probing. One writer (the keeper), any number of
 * reading lanes. It holds every item of both layers, so that an item that moves between them is never out of it.
 *
 *     slot      word 0    1
 *             +------+------+
 *             | hash |entry |      entry = item + 1;  0: free;  −1: a tombstone, its item was taken out
 *             +------+------+
 *
 * A search begins at slot hash & mask and ends at the first free slot. At most a quarter of the slots hold items, so the
 * search for a key that is not here mostly ends at the first word it looks at. Zeroed memory is an empty index.
 *
 * Why a reader finds every item that stays in while it searches, though it takes no lock:
 * - an item stays in the slot where it was put: nothing is ever moved together;
 * - a taken-out item leaves a tombstone, over which a search goes on. A tombstone is made free only when the slot behind
 *   it is free: then no search for an item that is in passes over it. So they do not pile up, and need no sweep: what
 *   is left of them lies in front of an item, where the next newcomer to that run takes the first one;
 * - the hash is stored before the entry is published, and an entry is published by one atomic store.
 * An item that goes in or out during a search may or may not be found; the caller compares keys anyway.
 */

/** Slots a search looks at, at most. An item that would lie further off is refused. */
export const PROBES_MAX = 64;
const SLOTS_PER_ITEM = 4;
const TOMBSTONE = -1;

/** Slots of an index of at most `items` items: a power of two. */
export function indexSlots(items: number): number {
  return Math.max(PROBES_MAX, 2 ** Math.ceil(Math.log2(items * SLOTS_PER_ITEM)));
}

export function indexByteLength(slots: number): number {
  return slots * 8;
}

/**
 * Item with this hash (int32), or −1.
 *
 * @param base word index of the index, on a cache line
 * @param mask slots − 1
 */
export function findL2(words: Int32Array, base: number, mask: number, hash: number): number {
  const at = base + ((hash & mask) << 1);
  const entry = words[at + 1]!;
  if (entry === 0) return -1;
  if (words[at] === hash && entry > 0) return entry - 1;
  return findBehind(words, base, mask, hash);
}

/** The second probe and the following. */
function findBehind(words: Int32Array, base: number, mask: number, hash: number): number {
  for (let probe = 1; probe < PROBES_MAX; probe++) {
    const at = base + (((hash + probe) & mask) << 1);
    const entry = words[at + 1]!;
    if (entry === 0) return -1;
    if (words[at] === hash && entry > 0) return entry - 1;
  }
  return -1;
}

/** The writer's side. */
export class HashIndex {
  readonly mask: number;
  readonly #words: Int32Array;
  readonly #base: number;
  #size = 0;
  #tombstones = 0;

  /** @param slots a power of two, at least PROBES_MAX */
  constructor(words: Int32Array, base: number, slots: number) {
    if (slots < PROBES_MAX || (slots & (slots - 1)) !== 0) {
      throw new RangeError(`index: slots is ${slots}; it must be a power of two, ${PROBES_MAX} or more`);
    }
    this.#words = words;
    this.#base = base;
    this.mask = slots - 1;
  }

  /** Items in the index. */
  get size(): number {
    return this.#size;
  }

  get tombstones(): number {
    return this.#tombstones;
  }

  /** Item with this hash, or −1. */
  find(hash: number): number {
    return findL2(this.#words, this.#base, this.mask, hash);
  }

  /** Puts an item in whose hash is not there yet. Returns false when no slot is near enough. */
  insert(hash: number, item: number): boolean {
    const at = this.#openSlot(hash);
    if (at < 0) return false;
    if (this.#words[at + 1] === TOMBSTONE) this.#tombstones--;
    this.#words[at] = hash;
    Atomics.store(this.#words, at + 1, item + 1);
    this.#size++;
    return true;
  }

  /** Takes the item out. Returns false when it was not there. */
  remove(hash: number, item: number): boolean {
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const slot = hash + probe;
      const entry = this.#words[this.#wordOf(slot) + 1]!;
      if (entry === 0) return false;
      if (entry !== item + 1) continue;
      this.#bury(slot);
      return true;
    }
    return false;
  }

  /** First slot for this hash that has no item, as a word index, or −1. */
  #openSlot(hash: number): number {
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const at = this.#wordOf(hash + probe);
      if (this.#words[at + 1]! <= 0) return at;
    }
    return -1;
  }

  /** Makes the slot a tombstone; at the end of a run, makes it and the tombstones in front of it free. */
  #bury(slot: number): void {
    const words = this.#words;
    this.#size--;
    this.#tombstones++;
    Atomics.store(words, this.#wordOf(slot) + 1, TOMBSTONE);
    if (words[this.#wordOf(slot + 1) + 1] !== 0) return;
    for (let last = slot; words[this.#wordOf(last) + 1] === TOMBSTONE; last--) {
      Atomics.store(words, this.#wordOf(last) + 1, 0);
      this.#tombstones--;
    }
  }

  #wordOf(slot: number): number {
    return this.#base + ((slot & this.mask) << 1);
  }
}
