/**
 * A filter before the layers: one bit for each of 8 hashes an item, so that nearly every key that is not hot is told by a
 * single word that stays in the CPU's first cache (8 KiB at 8192 items). A clear bit means "in no layer"; a set one means
 * nothing, in one case of eight with all items in use.
 *
 * The bits have one writer, the keeper, who counts privately how many items share each. A bit is set before its item can be
 * found elsewhere, and cleared after it no longer can, so a reader never misses an item that is in.
 */
const BITS_PER_ITEM = 8;

/** Bits for `items` items, a power of two. */
export function filterBits(items: number): number {
  let bits = 512;
  while (bits < items * BITS_PER_ITEM) bits *= 2;
  return bits;
}

export function filterByteLength(items: number): number {
  return filterBits(items) / 8;
}

/** Whether an item with this hash may be in. @param mask bits − 1 */
export function mayHold(words: Int32Array, base: number, mask: number, hash: number): boolean {
  // Other bits of the hash than those that choose sets and slots would do; these are as good, and shared.
  const bit = (hash ^ (hash >>> 16)) & mask;
  return (words[base + (bit >>> 5)] & (1 << (bit & 31))) !== 0;
}

/** The keeper's side. */
export class Filter {
  readonly mask: number;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #counts: Uint16Array;

  /** @param base of `filterByteLength` zeroed bytes, words */
  constructor(words: Int32Array, base: number, items: number) {
    const bits = filterBits(items);
    this.mask = bits - 1;
    this.#words = words;
    this.#base = base;
    this.#counts = new Uint16Array(bits);
  }

  /** Before the item is inserted anywhere. */
  add(hash: number): void {
    const bit = (hash ^ (hash >>> 16)) & this.mask;
    if (this.#counts[bit]++ === 0) this.#words[this.#base + (bit >>> 5)] |= 1 << (bit & 31);
  }

  /** After it was removed everywhere. */
  remove(hash: number): void {
    const bit = (hash ^ (hash >>> 16)) & this.mask;
    if (--this.#counts[bit] === 0) this.#words[this.#base + (bit >>> 5)] &= ~(1 << (bit & 31));
  }
}
