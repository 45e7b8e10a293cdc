/**
 * A filter before the layers: two bits an item in one 32-bit word, so that nearly every key that is not hot is told by a
 * single load (128 KiB at 65,536 items). A clear bit of the two means "in no layer"; both set mean nothing, in one case of
 * fifty with all items in use: a word holds two items then, on average (a blocked Bloom filter: Putze, Sanders, Singler 2007).
 *
 * The bits have one writer, the keeper, who counts privately how many items share each. They are set before their item can be
 * found elsewhere, and cleared after it no longer can, so a reader never misses an item that is in.
 */
const BITS_PER_ITEM = 16;
const BITS_PER_WORD = 32;
const WORDS_MIN = 16;
/** Where in the hash the two bits' numbers stand. Its lower bits choose the word. */
const FIRST_SHIFT = 22;
const SECOND_SHIFT = 27;

/** Words for `items` items, a power of two. */
export function filterWords(items: number): number {
  let words = WORDS_MIN;
  while (words * BITS_PER_WORD < items * BITS_PER_ITEM) words *= 2;
  return words;
}

export function filterByteLength(items: number): number {
  return filterWords(items) * 4;
}

/** Whether an item with this hash may be in. @param mask words − 1 */
export function mayHold(words: Int32Array, base: number, mask: number, hash: number): boolean {
  const bits = (1 << (hash >>> FIRST_SHIFT)) | (1 << (hash >>> SECOND_SHIFT)); // a shift counts modulo 32
  return (words[base + wordOf(hash, mask)] & bits) === bits;
}

function wordOf(hash: number, mask: number): number {
  return (hash ^ (hash >>> 16)) & mask;
}

/** The keeper's side. */
export class Filter {
  readonly mask: number;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #counts: Uint16Array;

  /** @param base of `filterByteLength` zeroed bytes, words */
  constructor(words: Int32Array, base: number, items: number) {
    this.mask = filterWords(items) - 1;
    this.#words = words;
    this.#base = base;
    this.#counts = new Uint16Array(filterWords(items) * BITS_PER_WORD);
  }

  /** Before the item is inserted anywhere. */
  add(hash: number): void {
    for (const shift of [FIRST_SHIFT, SECOND_SHIFT]) {
      if (this.#count(hash, shift, 1) === 1) this.#words[this.#base + wordOf(hash, this.mask)] |= 1 << (hash >>> shift);
    }
  }

  /** After it was removed everywhere. */
  remove(hash: number): void {
    for (const shift of [FIRST_SHIFT, SECOND_SHIFT]) {
      if (this.#count(hash, shift, -1) === 0) {
        this.#words[this.#base + wordOf(hash, this.mask)] &= ~(1 << (hash >>> shift));
      }
    }
  }

  /** Items that share the bit, both bits of one item counted. */
  #count(hash: number, shift: number, by: number): number {
    const at = wordOf(hash, this.mask) * BITS_PER_WORD + ((hash >>> shift) & (BITS_PER_WORD - 1));
    this.#counts[at] += by;
    return this.#counts[at]!;
  }
}
