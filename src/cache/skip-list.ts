/**
 * The skip list of L2 (Pugh 1990, with spans as in Redis's sorted sets): items in order of falling score, of equals the
 * lower item number first. In shared memory, but the keeper's alone; lanes find items by the index (l2.ts).
 *
 * A node is one cache line. Node 0 is the head, item i is node i + 1; so 0 is "no node", and zeroed memory an empty list.
 *
 *     word  0         LEVELS    1 … 7; 0: not in the list
 *           1 …  7    NEXT      level 0 … 6: node that follows, 0 for none
 *           8 … 14    SPAN      level 0 … 6: places from this node to the next; to the end of the list where there is none
 *          15         -
 *
 * A node reaches a level with a quarter of the chance of the level below, so seven levels suit 4^7 = 16,384 items; more
 * only make the top level longer. Insert, remove, rank and at take O(log n) steps. Nothing is allocated after the start.
 */

export const LEVELS_MAX = 7;
export const NODE_WORDS = 16;
export const LEVELS = 0;
export const NEXT = 1;
export const SPAN = 8;
const HEAD = 0;

/** Bytes of a list of items 0 … items − 1. */
export function skipListByteLength(items: number): number {
  return (items + 1) * NODE_WORDS * 4;
}

export class SkipList {
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #scores: number;
  readonly #random: () => number;
  #size = 0;
  /** Per level: the last node in front of what was sought, and its place (the head's is 0, the first item's 1). */
  readonly #before = new Int32Array(LEVELS_MAX);
  readonly #places = new Int32Array(LEVELS_MAX);

  /**
   * @param base word index of the nodes
   * @param scores word index, in the same words, of the scores: one int32 per item. An item's score is changed by
   *   `rescore` alone while it is in the list
   * @param random any int32, all equally likely
   */
  constructor(words: Int32Array, base: number, scores: number, random: () => number) {
    this.#words = words;
    this.#base = base;
    this.#scores = scores;
    this.#random = random;
  }

  get size(): number {
    return this.#size;
  }

  has(item: number): boolean {
    return this.#words[this.#nodeAt(item + 1) + LEVELS] !== 0;
  }

  /** The hottest item, or −1. */
  first(): number {
    return this.#words[this.#base + NEXT]! - 1;
  }

  /** The item behind this one, which is in the list, or −1. */
  next(item: number): number {
    return this.#words[this.#nodeAt(item + 1) + NEXT]! - 1;
  }

  /** The coldest item, or −1. */
  last(): number {
    return this.at(this.#size - 1);
  }

  /** The item with this rank (0 is the hottest), or −1. */
  at(rank: number): number {
    if (rank < 0 || rank >= this.#size) return -1;
    let node = HEAD;
    let left = rank + 1;
    for (let level = LEVELS_MAX - 1; level >= 0; level--) {
      while (this.#nextOf(node, level) !== 0 && this.#spanOf(node, level) <= left) {
        left -= this.#spanOf(node, level);
        node = this.#nextOf(node, level);
      }
    }
    return node - 1;
  }

  /** 0 for the hottest, or −1 when the item is not in the list. */
  rank(item: number): number {
    if (!this.has(item)) return -1;
    this.#seek(item);
    return this.#places[0]!;
  }

  /** Puts an item in that is not there, by its score. */
  insert(item: number): void {
    this.#seek(item);
    this.#link(item, this.#draw());
  }

  /** Takes the item out. Returns false when it was not there. */
  remove(item: number): boolean {
    if (!this.has(item)) return false;
    this.#seek(item);
    this.#unlink(item);
    return true;
  }

  /** Sets the score of an item, and its place when it is in the list. */
  rescore(item: number, score: number): void {
    const isIn = this.has(item);
    if (isIn) this.#seek(item);
    if (!isIn || this.#fits(item, score)) {
      this.#words[this.#scores + item] = score;
      return;
    }
    const levels = this.#words[this.#nodeAt(item + 1) + LEVELS]!;
    this.#unlink(item);
    this.#words[this.#scores + item] = score;
    this.#seek(item);
    this.#link(item, levels);
  }

  /** After `#seek(item)`: would the item stay where it is with this score? */
  #fits(item: number, score: number): boolean {
    const before = this.#before[0]! - 1;
    const behind = this.next(item);
    if (before >= 0 && !this.#precedes(before, item, score)) return false;
    return behind < 0 || !this.#precedes(behind, item, score);
  }

  /** Does `other` stand in front of `item` if that has `score`? */
  #precedes(other: number, item: number, score: number): boolean {
    const otherScore = this.#words[this.#scores + other]!;
    return otherScore > score || (otherScore === score && other < item);
  }

  /** Finds, per level, the last node in front of the place of `item`. */
  #seek(item: number): void {
    const score = this.#words[this.#scores + item]!;
    let node = HEAD;
    let place = 0;
    for (let level = LEVELS_MAX - 1; level >= 0; level--) {
      for (;;) {
        const next = this.#nextOf(node, level);
        if (next === 0 || !this.#precedes(next - 1, item, score)) break;
        place += this.#spanOf(node, level);
        node = next;
      }
      this.#before[level] = node;
      this.#places[level] = place;
    }
  }

  /** After `#seek(item)`. */
  #link(item: number, levels: number): void {
    const words = this.#words;
    const node = this.#nodeAt(item + 1);
    const place = this.#places[0]! + 1;
    words[node + LEVELS] = levels;
    for (let level = 0; level < LEVELS_MAX; level++) {
      const before = this.#nodeAt(this.#before[level]!);
      const span = words[before + SPAN + level]! + 1;
      const spanToIt = place - this.#places[level]!;
      words[before + SPAN + level] = level < levels ? spanToIt : span;
      if (level >= levels) continue;
      words[node + NEXT + level] = words[before + NEXT + level]!;
      words[node + SPAN + level] = span - spanToIt;
      words[before + NEXT + level] = item + 1;
    }
    this.#size++;
  }

  /** After `#seek(item)`. */
  #unlink(item: number): void {
    const words = this.#words;
    const node = this.#nodeAt(item + 1);
    for (let level = 0; level < LEVELS_MAX; level++) {
      const before = this.#nodeAt(this.#before[level]!);
      words[before + SPAN + level]! -= 1;
      if (words[before + NEXT + level] !== item + 1) continue;
      words[before + NEXT + level] = words[node + NEXT + level]!;
      words[before + SPAN + level]! += words[node + SPAN + level]!;
    }
    words[node + LEVELS] = 0;
    this.#size--;
  }

  /** Levels of a new node: every two leading zeros of a random word are one more. */
  #draw(): number {
    return Math.min(LEVELS_MAX, 1 + (Math.clz32(this.#random()) >> 1));
  }

  #nextOf(node: number, level: number): number {
    return this.#words[this.#nodeAt(node) + NEXT + level]!;
  }

  #spanOf(node: number, level: number): number {
    return this.#words[this.#nodeAt(node) + SPAN + level]!;
  }

  #nodeAt(node: number): number {
    return this.#base + node * NODE_WORDS;
  }
}
