/**
 * What a lane does for hot keys by requests of its own: a record each, bounded in number, while it is under way.
 *
 *     word  0  KIND          OPERATION_*
 *           1  ITEM          first word of the item
 *           2  GENERATION    counts the uses: a reply to an earlier one does not count
 *           3  STEP          where it stands (writes.ts, fills.ts, copies.ts)
 *           4  SLOT          its request is under way in, or −1
 *           5  NODE          row of the node that is asked
 *           6  SENT_MS       when the request was sent first
 *           7  DUE_MS        when it is sent again, or given up
 *           8  TRIES         times it was sent
 *           9  NONCE_HIGH    } of the request under way
 *          10  NONCE_LOW     }
 *          11  SEEN          VERSION of the item when it began
 *          12  STAMP         flush epoch then
 *          13  FENCE_HIGH    } CAS that the write under way demands
 *          14  FENCE_LOW     }
 *          15  FLAGS         OPERATION_* bits
 *          16  CLIENT        IPv4 address, 0: nobody waits for an answer
 *          17  CLIENT_PORT   bits 0–15 UDP port; bits 16–31 upper 16 bits of the client's Ethernet address
 *          18  CLIENT_MAC    lower 32 bits of it
 *          19  CLIENT_ID     bits 0–15 request id
 *          20  CLIENT_FLAGS  FLAG_* of the client's frame
 *          21  REQUEST_BYTES of the client's request, kept in the record's buffer
 *          22  REPEAT        row of the table of repeats, −1: none
 *          23  RETURNS       times it began anew
 *
 * Each has a buffer in the lane's arena for the client's request: REQUEST_BYTES_MAX.
 */
export const KIND = 0;
export const ITEM = 1;
export const GENERATION = 2;
export const STEP = 3;
export const SLOT = 4;
export const NODE = 5;
export const SENT_MS = 6;
export const DUE_MS = 7;
export const TRIES = 8;
export const NONCE_HIGH = 9;
export const NONCE_LOW = 10;
export const SEEN = 11;
export const STAMP = 12;
export const FENCE_HIGH = 13;
export const FENCE_LOW = 14;
export const FLAGS = 15;
export const CLIENT = 16;
export const CLIENT_PORT = 17;
export const CLIENT_MAC = 18;
export const CLIENT_ID = 19;
export const CLIENT_FLAGS = 20;
export const REQUEST_BYTES = 21;
export const REPEAT = 22;
export const RETURNS = 23;
const RECORD_WORDS = 24;

export const OPERATION_NONE = 0;
export const OPERATION_FETCH = 1;
export const OPERATION_WRITE = 2;
/** The client's own request is under way in a slot. */
export const OPERATION_RELAY = 3;
export const OPERATION_PROMOTE = 4;
export const OPERATION_DEMOTE = 5;
export const OPERATION_COPY = 6;
/** Looks for what a late datagram may have brought back, and deletes it. */
export const OPERATION_BURY = 7;

/** Longest request that is carried out by one of our own, bytes. */
export const REQUEST_BYTES_MAX = 1472;
const BUFFER_BYTES = 1536;
export const OPERATIONS_LIMIT = 4096;
const GENERATION_MASK = 0xfffff;
const GENERATION_SHIFT = 12;

export function operationsByteLength(operations: number): number {
  return operations * BUFFER_BYTES;
}

export class Operations {
  readonly words: Int32Array;
  /** Numbers of those under way, `count` of them. */
  readonly active: Int32Array;
  count = 0;
  /** Clients' writes among them. */
  writes = 0;
  readonly #free: Int32Array;
  readonly #base: number;
  #freeCount: number;

  /** @param base of `operationsByteLength` in the lane's arena, bytes */
  constructor(base: number, operations: number) {
    this.#base = base;
    this.words = new Int32Array(operations * RECORD_WORDS);
    this.active = new Int32Array(operations);
    this.#free = Int32Array.from({ length: operations }, (_, i) => operations - 1 - i);
    this.#freeCount = operations;
  }

  /** Whether more than half of them are under way: what waits must not take the rest from what is quick. */
  get areMany(): boolean {
    return this.count * 2 > this.active.length;
  }

  /** First word of a free record, or −1. */
  take(kind: number, item: number): number {
    if (this.#freeCount === 0) return -1;
    const number = this.#free[--this.#freeCount];
    const op = number * RECORD_WORDS;
    const generation = (this.words[op + GENERATION] + 1) & GENERATION_MASK;
    this.words.fill(0, op, op + RECORD_WORDS);
    this.words[op + KIND] = kind;
    this.words[op + ITEM] = item;
    if (kind === OPERATION_WRITE) this.writes++;
    this.words[op + GENERATION] = generation;
    this.words[op + SLOT] = -1;
    this.words[op + REPEAT] = -1;
    this.active[this.count++] = number;
    return op;
  }

  giveBack(op: number): void {
    const number = op / RECORD_WORDS;
    if (this.words[op + KIND] === OPERATION_WRITE) this.writes--;
    this.words[op + KIND] = OPERATION_NONE;
    const at = this.active.indexOf(number);
    this.active[at] = this.active[--this.count];
    this.#free[this.#freeCount++] = number;
  }

  /** The i-th of those under way. */
  at(i: number): number {
    return this.active[i] * RECORD_WORDS;
  }

  /** Operations of a kind under way. */
  countOf(kind: number): number {
    let count = 0;
    for (let i = 0; i < this.count; i++) if (this.words[this.at(i) + KIND] === kind) count++;
    return count;
  }

  /** How a slot names the operation: number and generation. */
  tag(op: number): number {
    return (op / RECORD_WORDS) | (this.words[op + GENERATION] << GENERATION_SHIFT);
  }

  /** The operation with this tag, or −1 when it is over. */
  byTag(tag: number): number {
    const op = (tag & (OPERATIONS_LIMIT - 1)) * RECORD_WORDS;
    if (op >= this.words.length || this.words[op + KIND] === OPERATION_NONE) return -1;
    return this.words[op + GENERATION] === tag >>> GENERATION_SHIFT ? op : -1;
  }

  /** Byte offset of its buffer. */
  buffer(op: number): number {
    return this.#base + (op / RECORD_WORDS) * BUFFER_BYTES;
  }
}
