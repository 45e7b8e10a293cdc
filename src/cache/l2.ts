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
 * - a taken-out item leaves a tombstone, over which a search goes on. It is made free once no search for an item that is
 *   in goes over it, which is seen whenever an item of its run is taken out. So tombstones do not pile up, and there is no
 *   sweep;
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

  /**
   * Makes the slot a tombstone, and frees it and the tombstones in front of it over which no search has to go any more.
   * From the back to the front of the run, `foremost` is the slot where the earliest search for an item behind begins.
   */
  #bury(slot: number): void {
    const words = this.#words;
    this.#size--;
    this.#tombstones++;
    Atomics.store(words, this.#wordOf(slot) + 1, TOMBSTONE);
    let at = this.#lastOfRun(slot);
    for (let foremost = at + 1; at > slot - PROBES_MAX; at--) {
      const word = this.#wordOf(at);
      const entry = words[word + 1]!;
      if (entry === 0) return;
      if (entry > 0) foremost = Math.min(foremost, at - ((at - words[word]!) & this.mask));
      else if (foremost > at) this.#free(word);
    }
  }

  /** The last slot in use behind this one without a free one between; no further than a search may go on from it. */
  #lastOfRun(slot: number): number {
    let last = slot;
    while (last < slot + PROBES_MAX - 1 && this.#words[this.#wordOf(last + 1) + 1] !== 0) last++;
    return last;
  }

  #free(word: number): void {
    Atomics.store(this.#words, word + 1, 0);
    this.#tombstones--;
  }

  #wordOf(slot: number): number {
    return this.#base + ((slot & this.mask) << 1);
  }
}
