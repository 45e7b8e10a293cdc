/**
 * Where the parts of merged replies wait until all have come: a fixed number of chunks, handed out and taken back.
 *
 * What is kept together is a chain of chunks. A chain grows by pieces (a piece is one datagram of a node's reply, in as
 * many chunks as it needs) and is ordered by their sequence, in whatever order they come. Per chunk 4 words:
 *
 *     word 0  NEXT      the chunk behind it in the chain, also across pieces; in a free one, the next free one; −1: none
 *          1  LAST      last chunk of the piece                     } of a piece's first chunk
 *          2  SEQUENCE  of the piece                                }
 *          3  BYTES     used in this chunk
 *
 * Chunks are small: most values are, and a datagram of 1392 bytes wastes a tenth of the six that it takes.
 */
import { copyBytes } from '../mem/copy.ts';

const CHUNK_SHIFT = 8;
export const CHUNK_BYTES = 1 << CHUNK_SHIFT;
const WORDS_SHIFT = 2;
const NEXT = 0;
const LAST = 1;
const SEQUENCE = 2;
const BYTES = 3;

export const NO_CHUNK = -1;

/** Bytes of the arena for `chunks` chunks. */
export function chunkStoreByteLength(chunks: number): number {
  return chunks * (CHUNK_BYTES + (4 << WORDS_SHIFT));
}

/** Chunks that `bytes` bytes take. */
export function chunksFor(bytes: number): number {
  return (bytes + CHUNK_BYTES - 1) >> CHUNK_SHIFT;
}

export class ChunkStore {
  /** Chunks that are free. */
  free = 0;
  readonly chunks: number;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #links: number;
  readonly #base: number;
  #head = NO_CHUNK;

  /** @param offset of `chunkStoreByteLength(chunks)` bytes; what they hold does not matter */
  constructor(view: DataView, words: Int32Array, offset: number, chunks: number) {
    this.#view = view;
    this.#words = words;
    this.chunks = chunks;
    this.#base = offset;
    this.#links = (offset + (chunks << CHUNK_SHIFT)) >> 2;
    for (let chunk = chunks - 1; chunk >= 0; chunk--) this.#release(chunk);
  }

  /** Copies `length` > 0 bytes into a piece of its own; returns its first chunk, or NO_CHUNK when there is no room. */
  put(from: number, length: number, sequence: number): number {
    if (chunksFor(length) > this.free) return NO_CHUNK;
    const first = this.#take(from, length);
    let last = first;
    for (let at = CHUNK_BYTES; at < length; at += CHUNK_BYTES) {
      const chunk = this.#take(from + at, length - at);
      this.#words[this.#link(last) + NEXT] = chunk;
      last = chunk;
    }
    const link = this.#link(first);
    this.#words[link + LAST] = last;
    this.#words[link + SEQUENCE] = sequence;
    return first;
  }

  /** Puts a piece behind the piece `after`, or in front of the chain `head` when `after` is NO_CHUNK. */
  insert(piece: number, after: number, head: number): void {
    const words = this.#words;
    const end = this.#link(words[this.#link(piece) + LAST]);
    if (after === NO_CHUNK) {
      words[end + NEXT] = head;
      return;
    }
    const before = this.#link(words[this.#link(after) + LAST]);
    words[end + NEXT] = words[before + NEXT];
    words[before + NEXT] = piece;
  }

  /** The piece of the chain `head` that `sequence` comes behind: its own twin if there is one; NO_CHUNK: none. */
  pieceBefore(head: number, sequence: number): number {
    let before = NO_CHUNK;
    let piece = head;
    while (piece !== NO_CHUNK && this.sequence(piece) <= sequence) {
      before = piece;
      piece = this.next(this.#words[this.#link(piece) + LAST]);
    }
    return before;
  }

  /** Frees a chain, or NO_CHUNK; returns the number of its chunks. */
  release(head: number): number {
    const before = this.free;
    let chunk = head;
    while (chunk !== NO_CHUNK) {
      const next = this.next(chunk);
      this.#release(chunk);
      chunk = next;
    }
    return this.free - before;
  }

  next(chunk: number): number {
    return this.#words[this.#link(chunk) + NEXT];
  }

  sequence(piece: number): number {
    return this.#words[this.#link(piece) + SEQUENCE];
  }

  bytes(chunk: number): number {
    return this.#words[this.#link(chunk) + BYTES];
  }

  /** Of the chunk's first byte, in the arena. */
  offset(chunk: number): number {
    return this.#base + (chunk << CHUNK_SHIFT);
  }

  #take(from: number, left: number): number {
    const chunk = this.#head;
    const link = this.#link(chunk);
    this.#head = this.#words[link + NEXT];
    this.free--;
    const bytes = Math.min(left, CHUNK_BYTES);
    this.#words[link + NEXT] = NO_CHUNK;
    this.#words[link + BYTES] = bytes;
    copyBytes(this.#view, from, this.offset(chunk), bytes);
    return chunk;
  }

  #release(chunk: number): void {
    this.#words[this.#link(chunk) + NEXT] = this.#head;
    this.#head = chunk;
    this.free++;
  }

  #link(chunk: number): number {
    return this.#links + (chunk << WORDS_SHIFT);
  }
}
