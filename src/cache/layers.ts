/**
 * Who is where: the keeper's view of the two layers. Items are numbers, their records are elsewhere (items.ts).
 *
 *              admit                    epoch: head of the list
 *     outside ───────▶ L2: skip list ───────────────────────────▶ L1: hash table
 *        ▲             hotter │ cooler half ◀─────────────────────  way taken by a hotter item,
 *        │                    │                                     or colder than L2's hotter half
 *        └── remove ──────────┘ epoch: leaving, when hotter newcomers wait
 *
 * "Half-always-on": at each epoch the hotter half of L2 stays whatever waits outside; of the cooler half the coldest
 * leave, as many as there are newcomers who are hotter and find no free place, and no more.
 *
 * Lanes look in L1, then in the index. The index holds the items of both layers from `admit` to `remove`, so a move from
 * one layer to the other, at any moment of a search, hides nothing: L1 is a faster way to some of them.
 *
 *     words  0     ITEMS       items at most                        written once
 *            1     L1_MASK     sets of L1 − 1                       once
 *            2     INDEX_MASK  slots of the index − 1               once
 *            3 … 5 L1_AT INDEX_AT HASHES_AT, words from the base    once
 *            6     COUNT       items in the layers                  keeper
 *            7     L1_COUNT    of these, in L1                      keeper
 *            8     FILTER_AT   words from the base                  once
 *            9     FILTER_MASK words of the filter − 1              once
 *           16 …   L1, index, hash of each item, score of each item, skip list, filter; each on a line of its own
 *
 * All words have one writer, the keeper. A hash is written before its item is published, and stays until the item number
 * is given to another key: to be done no sooner than every lane has been seen to begin another cycle.
 */
import { Filter, filterByteLength, mayHold } from './filter.ts';
import { findL1, L1, l1ByteLength, l1Sets } from './l1.ts';
import { findL2, HashIndex, indexByteLength, indexSlots } from './l2.ts';
import { SkipList, skipListByteLength } from './skip-list.ts';

const ITEMS = 0;
const L1_MASK = 1;
const INDEX_MASK = 2;
const L1_AT = 3;
const INDEX_AT = 4;
const HASHES_AT = 5;
const COUNT = 6;
const L1_COUNT = 7;
const FILTER_AT = 8;
const FILTER_MASK = 9;
const HEADER_WORDS = 16;
const LINE_WORDS = 16;

/** Scores are whole numbers from 0 to this; what is beyond is cut to it. */
export const SCORE_MAX = 0x3fffffff;
/** Stands above every score, so that a pinned item is at the head of every order. */
const SCORE_PINNED = 0x7fffffff;
/** An item takes the way of another in L1 when its score is higher by more than an eighth: no swapping back and forth. */
const TAKEOVER_SHIFT = 3;

export const OUTSIDE = 0;
export const IN_L2 = 2;
export const IN_L1 = 1;

/** Answers of `admit`. */
export const ADMITTED = 0;
/** The item is in already. */
export const REFUSED_PRESENT = 1;
/** Another item has this hash. */
export const REFUSED_HASH = 2;
/** Too many items with hashes like this one. */
export const REFUSED_CROWDED = 3;

export interface LayersCapacity {
  /** Items in both layers together; item numbers are 0 … items − 1. */
  readonly items: number;
  /** Of these in L1 at most, rounded up to a power of two of 8 or more; at most half of `items`. */
  readonly l1Items: number;
}

interface Parts {
  readonly sets: number;
  readonly slots: number;
  readonly starts: readonly number[];
  readonly words: number;
}

function partsOf({ items, l1Items }: LayersCapacity): Parts {
  const sets = l1Sets(l1Items);
  const slots = indexSlots(items);
  const column = items * 4;
  const starts: number[] = [];
  let at = HEADER_WORDS;
  const listBytes = skipListByteLength(items);
  const parts = [l1ByteLength(sets), indexByteLength(slots), column, column, listBytes, filterByteLength(items)];
  for (const byteLength of parts) {
    starts.push(at);
    at += (byteLength / 4 + LINE_WORDS - 1) & -LINE_WORDS;
  }
  return { sets, slots, starts, words: at };
}

export function layersByteLength(capacity: LayersCapacity): number {
  return partsOf(capacity).words * 4;
}

export class Layers {
  /** Of the last epoch: items that went from L2 into L1, and how many of the array's entries are. */
  readonly promoted: Int32Array;
  promotedCount = 0;
  /** Likewise from L1 into L2. An item may be in both. */
  readonly demoted: Int32Array;
  demotedCount = 0;
  /** Likewise: items that are to be removed as soon as they can be, to make room. They stay findable until then. */
  readonly leaving: Int32Array;
  leavingCount = 0;

  readonly #words: Int32Array;
  readonly #base: number;
  readonly #hashes: number;
  readonly #scores: number;
  readonly #items: number;
  readonly #l1: L1;
  readonly #index: HashIndex;
  readonly #filter: Filter;
  readonly #list: SkipList;
  readonly #layer: Uint8Array;
  readonly #isPinned: Uint8Array;
  readonly #isLeaving: Uint8Array;
  /** Scores as given, for those whose place the pin decides. */
  readonly #given: Int32Array;
  #leavingNow = 0;

  /**
   * The keeper, once, before any lane looks.
   *
   * @param base word index of `layersByteLength` zeroed bytes, on a cache line
   * @param random any int32, all equally likely: levels of the skip list
   * @throws RangeError when L1 would hold more than half of the items
   */
  constructor(words: Int32Array, base: number, capacity: LayersCapacity, random: () => number) {
    const { sets, slots, starts } = partsOf(capacity);
    const { items } = capacity;
    this.#words = words;
    this.#base = base;
    this.#items = items;
    this.#l1 = new L1(words, base + starts[0]!, sets);
    if (this.#l1.capacity * 2 > items) {
      throw new RangeError(`layers: L1 holds ${this.#l1.capacity} items; of ${items} it may hold half`);
    }
    this.#index = new HashIndex(words, base + starts[1]!, slots);
    this.#filter = new Filter(words, base + starts[5]!, items);
    this.#hashes = base + starts[2]!;
    this.#scores = base + starts[3]!;
    this.#list = new SkipList(words, base + starts[4]!, this.#scores, random);
    this.#layer = new Uint8Array(items);
    this.#isPinned = new Uint8Array(items);
    this.#isLeaving = new Uint8Array(items);
    this.#given = new Int32Array(items);
    this.promoted = new Int32Array(this.#l1.capacity);
    this.demoted = new Int32Array(2 * this.#l1.capacity);
    this.leaving = new Int32Array(items);
    words.set([items, this.#l1.mask, this.#index.mask, ...starts.slice(0, 3)], base + ITEMS);
    words.set([starts[5]!, this.#filter.mask], base + FILTER_AT);
  }

  get capacity(): number {
    return this.#items;
  }

  /** Items in both layers, those that are leaving included. */
  get size(): number {
    return this.#index.size;
  }

  get l1Size(): number {
    return this.#l1.size;
  }

  /** OUTSIDE, IN_L1 or IN_L2. */
  layerOf(item: number): number {
    return this.#layer[item]!;
  }

  isLeaving(item: number): boolean {
    return this.#isLeaving[item] !== 0;
  }

  scoreOf(item: number): number {
    return this.#given[item]!;
  }

  hashOf(item: number): number {
    return this.#words[this.#hashes + item]!;
  }

  /** The item with this hash, or −1. */
  find(hash: number): number {
    return this.#index.find(hash);
  }

  /** Is the item one of those that stay at the next epoch whatever waits outside: in L1, or in the hotter half of L2? */
  isResident(item: number): boolean {
    const rank = this.#list.rank(item);
    return this.#layer[item] === IN_L1 || (rank >= 0 && rank < this.#hotterHalf());
  }

  /** The coldest item of L2, or −1. */
  coldest(): number {
    return this.#list.last();
  }

  /** Brings an item into L2: ADMITTED or REFUSED_*. Lanes find it from here on, so its record must be ready. */
  admit(item: number, hash: number, score: number): number {
    if (this.#layer[item] !== OUTSIDE) return REFUSED_PRESENT;
    if (this.#index.find(hash) >= 0) return REFUSED_HASH;
    this.#words[this.#hashes + item] = hash;
    this.#filter.add(hash);
    if (!this.#index.insert(hash, item)) {
      this.#filter.remove(hash);
      return REFUSED_CROWDED;
    }
    this.#given[item] = clamp(score);
    this.#words[this.#scores + item] = this.#isPinned[item] ? SCORE_PINNED : clamp(score);
    this.#list.insert(item);
    this.#layer[item] = IN_L2;
    this.#publishCounts();
    return ADMITTED;
  }

  /** Sets an item's score. It changes layers at the next epoch. */
  rescore(item: number, score: number): void {
    this.#given[item] = clamp(score);
    if (!this.#isPinned[item]) this.#list.rescore(item, clamp(score));
  }

  /**
   * Takes an item out of the layers. Lanes that found it before may still be at work on it.
   * Returns false, and does nothing, when it is pinned or was not in.
   */
  remove(item: number): boolean {
    if (this.#layer[item] === OUTSIDE || this.#isPinned[item]) return false;
    const hash = this.hashOf(item);
    this.#l1.remove(hash, item);
    this.#index.remove(hash, item);
    this.#filter.remove(hash);
    this.#list.remove(item);
    this.#layer[item] = OUTSIDE;
    this.#setLeaving(item, 0);
    this.#publishCounts();
    return true;
  }

  /** A pinned item is never leaving and never removed. It may be pinned before it is admitted. */
  pin(item: number): void {
    this.#isPinned[item] = 1;
    this.#setLeaving(item, 0);
    this.#list.rescore(item, SCORE_PINNED);
  }

  unpin(item: number): void {
    this.#isPinned[item] = 0;
    this.#list.rescore(item, this.#given[item]!);
  }

  /** Lets an item stay that was to leave. */
  retain(item: number): void {
    this.#setLeaving(item, 0);
  }

  /**
   * The end of an epoch. Moves items between the layers, and names in `leaving` those that must make room.
   *
   * @param newcomers scores of the keys that wait for a place, the hottest first
   * @param count how many of them there are
   */
  epoch(newcomers: Int32Array, count: number): void {
    this.promotedCount = 0;
    this.demotedCount = 0;
    this.leavingCount = 0;
    const places = this.#items - this.size + this.#leavingNow;
    const isCrowded = count > places;
    const half = this.#hotterHalf();
    if (isCrowded) this.#demoteCooled(half);
    this.#promoteHead(isCrowded ? Math.min(half, this.#l1.capacity) : this.#l1.capacity);
    this.#turnOver(newcomers, places, count);
    this.#publishCounts();
  }

  /** Items of L1 that are colder than L2's hotter half: they are to stand where they can be turned over. */
  #demoteCooled(half: number): void {
    const last = this.#list.at(half - 1);
    if (last < 0) return;
    const line = this.#words[this.#scores + last]!;
    for (let way = 0; way < this.#l1.capacity; way++) {
      const item = this.#l1.itemAt(way);
      if (item >= 0 && this.#words[this.#scores + item]! < line) this.#demote(item);
    }
  }

  #promoteHead(count: number): void {
    let item = this.#list.first();
    for (let left = count; item >= 0 && left > 0; left--) {
      const next = this.#list.next(item);
      if (!this.#isLeaving[item]) this.#tryPromote(item);
      item = next;
    }
  }

  #tryPromote(item: number): void {
    const hash = this.hashOf(item);
    if (!this.#l1.insert(hash, item)) {
      const coldest = this.#l1.coldest(hash, this.#words, this.#scores);
      if (!this.#takesOver(item, coldest)) return;
      this.#demote(coldest);
      this.#l1.insert(hash, item);
    }
    this.#list.remove(item);
    this.#layer[item] = IN_L1;
    this.promoted[this.promotedCount++] = item;
  }

  #takesOver(item: number, from: number): boolean {
    const score = this.#words[this.#scores + from]!;
    return this.#words[this.#scores + item]! > score + (score >> TAKEOVER_SHIFT);
  }

  #demote(item: number): void {
    this.#list.insert(item);
    this.#layer[item] = IN_L2;
    this.#l1.remove(this.hashOf(item), item);
    this.demoted[this.demotedCount++] = item;
  }

  /**
   * The newcomers that find no place take those of the coldest of the cooler half, as long as the coldest newcomer to be
   * let in is hotter than the hottest that has to leave for it.
   */
  #turnOver(newcomers: Int32Array, places: number, count: number): void {
    let rank = this.#list.size - 1;
    for (let newcomer = places; newcomer < count; newcomer++) {
      while (rank >= 0 && this.#isLeaving[this.#list.at(rank)]) rank--;
      if (rank < this.#hotterHalf()) return;
      const item = this.#list.at(rank);
      if (this.#isPinned[item] || newcomers[newcomer]! <= this.#words[this.#scores + item]!) return;
      this.#setLeaving(item, 1);
      this.leaving[this.leavingCount++] = item;
      rank--;
    }
  }

  /** Items in the hotter half of L2. */
  #hotterHalf(): number {
    return (this.#list.size + 1) >> 1;
  }

  #setLeaving(item: number, isLeaving: number): void {
    this.#leavingNow += isLeaving - this.#isLeaving[item]!;
    this.#isLeaving[item] = isLeaving;
  }

  #publishCounts(): void {
    this.#words[this.#base + COUNT] = this.#index.size;
    this.#words[this.#base + L1_COUNT] = this.#l1.size;
  }
}

/**
 * A lane's way in. The item found may hold another key (another hash even, if it goes out at this moment): the caller
 * compares keys. An item that is in throughout a call is found, in whatever layers it is meanwhile.
 */
export class Lookup {
  readonly #words: Int32Array;
  readonly #count: number;
  readonly #l1: number;
  readonly #l1Mask: number;
  readonly #index: number;
  readonly #indexMask: number;
  readonly #hashes: number;
  readonly #filter: number;
  readonly #filterMask: number;

  /** @param base as given to `Layers`, which was made before */
  constructor(words: Int32Array, base: number) {
    this.#words = words;
    this.#count = base + COUNT;
    this.#l1 = base + words[base + L1_AT]!;
    this.#l1Mask = words[base + L1_MASK]!;
    this.#index = base + words[base + INDEX_AT]!;
    this.#indexMask = words[base + INDEX_MASK]!;
    this.#hashes = base + words[base + HASHES_AT]!;
    this.#filter = base + words[base + FILTER_AT]!;
    this.#filterMask = words[base + FILTER_MASK]!;
  }

  /** Whether the layers hold nothing. */
  get isEmpty(): boolean {
    return this.#words[this.#count] === 0;
  }

  /** False: no item has this hash. */
  mayHold(hash: number): boolean {
    return mayHold(this.#words, this.#filter, this.#filterMask, hash);
  }

  /** Item with this hash (int32), or −1. */
  find(hash: number): number {
    if (!mayHold(this.#words, this.#filter, this.#filterMask, hash)) return -1;
    const item = this.findInL1(hash);
    return item >= 0 ? item : this.findInIndex(hash);
  }

  /** The same in L1 alone. A way that changed hands between two loads counts as a miss. */
  findInL1(hash: number): number {
    const item = findL1(this.#words, this.#l1, this.#l1Mask, hash);
    return item >= 0 && this.#words[this.#hashes + item] === hash ? item : -1;
  }

  /** The same in the index, which holds the items of both layers. */
  findInIndex(hash: number): number {
    return findL2(this.#words, this.#index, this.#indexMask, hash);
  }
}

/** Items in the layers, and those in L1, for a reader of another thread. */
export function countItems(words: Int32Array, base: number): number {
  return words[base + COUNT]!;
}

export function countL1Items(words: Int32Array, base: number): number {
  return words[base + L1_COUNT]!;
}

function clamp(score: number): number {
  return Math.min(SCORE_MAX, Math.max(0, Math.floor(score)));
}
