/**
 * A ring of rows in shared memory for one writer and one reader, each a thread of its own.
 *
 *     word  0   TAIL   rows written so far, wrapping      writer
 *     word 16   HEAD   rows read so far, wrapping         reader
 *     word 32…  rows of `rowWords` words each
 *
 * The writer fills a row with plain stores and publishes it by storing TAIL atomically; the reader frees it by HEAD.
 */
const TAIL = 0;
const HEAD = 16;
const ROWS = 32;

/** Bytes of a ring of `rows` rows (a power of two) of `rowWords` words. */
export function ringByteLength(rows: number, rowWords: number): number {
  return (ROWS + rows * rowWords) * 4;
}

export class Ring {
  readonly words: Int32Array;
  readonly #base: number;
  readonly #mask: number;
  readonly #rowWords: number;

  /** @param base first word, zeroed before either side attaches */
  constructor(words: Int32Array, base: number, rows: number, rowWords: number) {
    this.words = words;
    this.#base = base;
    this.#mask = rows - 1;
    this.#rowWords = rowWords;
  }

  /** Writer: first word of the next free row, or −1 when the ring is full. */
  claim(): number {
    const tail = this.words[this.#base + TAIL];
    if (((tail - Atomics.load(this.words, this.#base + HEAD)) | 0) > this.#mask) return -1;
    return this.#row(tail);
  }

  /** Writer: the row claimed last is whole. */
  publish(): void {
    Atomics.store(this.words, this.#base + TAIL, (this.words[this.#base + TAIL] + 1) | 0);
  }

  /** Reader: first word of the oldest row, or −1. It stays until `release`. */
  peek(): number {
    const head = this.words[this.#base + HEAD];
    return Atomics.load(this.words, this.#base + TAIL) === head ? -1 : this.#row(head);
  }

  /** Reader: whether there may be a row; a plain read, late by a cycle at most. */
  get mayHaveRow(): boolean {
    return this.words[this.#base + TAIL] !== this.words[this.#base + HEAD];
  }

  /** Reader: the row peeked last is free. */
  release(): void {
    Atomics.store(this.words, this.#base + HEAD, (this.words[this.#base + HEAD] + 1) | 0);
  }

  #row(number: number): number {
    return this.#base + ROWS + Math.imul(number & this.#mask, this.#rowWords);
  }
}
