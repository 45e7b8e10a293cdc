/**
 * L1: a set-associative hash table in shared memory. One writer (the keeper), any number of reading lanes.
 *
 *     a set, one cache line:   word 0    1     2    3          14   15
 *                            +------+------+------+------+-- … +------+------+
 *                            | hash |item+1| hash |item+1|     | hash |item+1|     8 ways
 *                            +------+------+------+------+-- … +------+------+
 *
 * set = hash & mask. item + 1 = 0: the way is free (its hash word may hold anything). Zeroed memory is an empty table.
 *
 * The writer stores the hash, then publishes the item atomically; it frees a way by its item word alone. A reader takes
 * no lock, so between its two loads a way may change hands: it may then see nothing, or an item that has another hash.
 * Whoever must not be deceived checks the hash that belongs to the item (layers.ts does, and asks the index).
 */

/** Ways of a set. */
export const L1_WAYS = 8;
const SET_WORDS = 16;
const SET_SHIFT = 4;

/** Sets that hold at least `items` items if all sets fill alike: a power of two. */
export function l1Sets(items: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, items / L1_WAYS)));
}

export function l1ByteLength(sets: number): number {
  return sets * SET_WORDS * 4;
}

/**
 * Item with this hash (int32), or −1.
 *
 * @param base word index of the table, on a cache line
 * @param mask sets − 1
 */
export function findL1(words: Int32Array, base: number, mask: number, hash: number): number {
  const set = base + ((hash & mask) << SET_SHIFT);
  // A loop takes twice as long.
  if (words[set] === hash) return itemFrom(words, set, 0, hash);
  if (words[set + 2] === hash) return itemFrom(words, set, 2, hash);
  if (words[set + 4] === hash) return itemFrom(words, set, 4, hash);
  if (words[set + 6] === hash) return itemFrom(words, set, 6, hash);
  if (words[set + 8] === hash) return itemFrom(words, set, 8, hash);
  if (words[set + 10] === hash) return itemFrom(words, set, 10, hash);
  if (words[set + 12] === hash) return itemFrom(words, set, 12, hash);
  if (words[set + 14] === hash) return itemFrom(words, set, 14, hash);
  return -1;
}

/** The first match may be a free way's leftover hash: the others are looked at, too. */
function itemFrom(words: Int32Array, set: number, first: number, hash: number): number {
  for (let way = set + first; way < set + SET_WORDS; way += 2) {
    const entry = words[way + 1]!;
    if (entry > 0 && words[way] === hash) return entry - 1;
  }
  return -1;
}

/** The writer's side. */
export class L1 {
  readonly mask: number;
  readonly #words: Int32Array;
  readonly #base: number;
  #size = 0;

  /** @param sets a power of two */
  constructor(words: Int32Array, base: number, sets: number) {
    if (sets < 1 || (sets & (sets - 1)) !== 0) throw new RangeError(`L1: sets is ${sets}; it must be a power of two`);
    this.#words = words;
    this.#base = base;
    this.mask = sets - 1;
  }

  /** Items in the table. */
  get size(): number {
    return this.#size;
  }

  get capacity(): number {
    return (this.mask + 1) * L1_WAYS;
  }

  /** Puts an item that is not in the table into a free way. Returns false when its set is full. */
  insert(hash: number, item: number): boolean {
    const way = this.#wayOf(hash, 0);
    if (way < 0) return false;
    this.#words[way] = hash;
    Atomics.store(this.#words, way + 1, item + 1);
    this.#size++;
    return true;
  }

  /** Takes the item out. Returns false when it was not there. */
  remove(hash: number, item: number): boolean {
    const way = this.#wayOf(hash, item + 1);
    if (way < 0) return false;
    Atomics.store(this.#words, way + 1, 0);
    this.#size--;
    return true;
  }

  /**
   * The item of a full set that must give way to one with this hash: the one with the lowest score, of equals the one
   * found first. −1 when the set is empty.
   *
   * @param scores word index in `words` of the scores, one per item
   */
  coldest(hash: number, words: Int32Array, scores: number): number {
    const set = this.#setOf(hash);
    let coldest = -1;
    for (let way = set; way < set + SET_WORDS; way += 2) {
      const item = this.#words[way + 1]! - 1;
      if (item < 0) continue;
      if (coldest < 0 || words[scores + item]! < words[scores + coldest]!) coldest = item;
    }
    return coldest;
  }

  /** Item in way 0 … capacity − 1 of the table, −1 when it is free. */
  itemAt(way: number): number {
    return this.#words[this.#base + 2 * way + 1]! - 1;
  }

  #wayOf(hash: number, entry: number): number {
    const set = this.#setOf(hash);
    for (let way = set; way < set + SET_WORDS; way += 2) {
      if (this.#words[way + 1] === entry) return way;
    }
    return -1;
  }

  #setOf(hash: number): number {
    return this.#base + ((hash & this.mask) << SET_SHIFT);
  }
}
