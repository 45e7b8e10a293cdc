/**
 * The multi-key requests in progress ("gathers"). Per gather a record of 24 words, and behind it 12 words a key:
 *
 *     word 0  STATE        GATHER_*
 *          1  GENERATION   counts the uses of this record: a slot that was taken for an earlier use does not match
 *          2  NEXT         } in the list it is in: free, waiting (by deadline), or draining
 *          3  PREVIOUS     }
 *          4  DEADLINE     ms of the lane's clock, wrapping: end of the step it is in (gather.ts), or of its draining
 *          5  CLIENT       IPv4 address
 *          6  CLIENT_PORT  bits 0–15 UDP port; bits 16–31 upper 16 bits of the client's Ethernet address
 *          7  CLIENT_MAC   lower 32 bits of it
 *          8  ID           bits 0–15 the client's request id; bit 16 binary
 *          9  KEYS         asked for
 *         10  OPEN         of them not settled
 *         11  CHUNKS       that it holds
 *         12  TAIL         piece with what ends the reply (END, a noop's response), or NO_CHUNK
 *         13  TOTAL        datagrams of the merged reply
 *         14  SEQUENCE     of the datagram to be sent next
 *         15  PART         key whose value is being sent; KEYS: the tail
 *         16  CHUNK        } where in it the next byte lies, and how many are left of the part
 *         17  AT           }
 *         18  LEFT         }
 *         19  TAIL_BYTES   of the tail
 *         20  QUIET        steps in a row in which no long value went on
 *         21  PROGRESS     1: one has, in this step
 *
 *     key  0  STATE        bits 0–7 KEY_*; bits 8–15 opcode it was asked with (binary)
 *          1  SLOT         first word of the slot that its request went out under
 *          2  FIRST        chain of what has come, or NO_CHUNK
 *          3  LAST         last piece of it
 *          4  TOTAL        datagrams that its reply has, 0: none has come yet
 *          5  COME         datagrams that have come
 *          6  EXPECTED     bytes of the whole reply, as its first datagram says; 0: not come yet
 *          7  BYTES        that have come; of a hit, those that go to the client
 *          8  REQUEST      chain with the request for it, until it is settled, or NO_CHUNK
 *          9  ASKED        bits 0–15 bytes of the key; bits 16–23 times it was asked again; bits 24–31 verb
 *
 *     FREE ─take→ WAITING ─all keys settled, or time over→ DRAINING ─last datagram sent→ FREE
 *                 WAITING ─no room for a value→ DRAINING (of an error line)
 *                 DRAINING, deadline again ─→ FREE (multiget_abandoned)
 *     a key: WAITING ─asked again→ WAITING, what has come of a long value is forgotten
 *            WAITING ─a miss, an error, what does not fit→ MISS;  ─whole value→ HIT;  ─deadline→ MISS
 *     forbidden: whatever comes for a gather that is not WAITING, for another generation, or for a settled key
 */

export const GATHER_STATE = 0;
export const GATHER_GENERATION = 1;
const NEXT = 2;
const PREVIOUS = 3;
export const GATHER_DEADLINE = 4;
export const GATHER_CLIENT = 5;
export const GATHER_CLIENT_PORT = 6;
export const GATHER_CLIENT_MAC = 7;
export const GATHER_ID = 8;
export const GATHER_KEYS = 9;
export const GATHER_OPEN = 10;
export const GATHER_CHUNKS = 11;
export const GATHER_TAIL = 12;
export const GATHER_TOTAL = 13;
export const GATHER_SEQUENCE = 14;
export const GATHER_PART = 15;
export const GATHER_CHUNK = 16;
export const GATHER_AT = 17;
export const GATHER_LEFT = 18;
export const GATHER_TAIL_BYTES = 19;
export const GATHER_QUIET = 20;
export const GATHER_PROGRESS = 21;
const RECORD_WORDS = 24;

export const GATHER_FREE = 0;
export const GATHER_WAITING = 1;
export const GATHER_DRAINING = 2;
/** Within GATHER_ID. */
export const ID_BINARY = 0x10000;

const KEY_WORDS = 12;
export const KEY_STATE = 0;
export const KEY_SLOT = 1;
export const KEY_FIRST = 2;
export const KEY_LAST = 3;
export const KEY_TOTAL = 4;
export const KEY_COME = 5;
export const KEY_EXPECTED = 6;
export const KEY_BYTES = 7;
export const KEY_REQUEST = 8;
export const KEY_ASKED = 9;

export const KEY_STATE_MASK = 0xff;
export const KEY_WAITING = 0;
export const KEY_HIT = 1;
export const KEY_MISS = 2;
export const KEY_OPCODE_SHIFT = 8;
/** Within KEY_ASKED. */
export const ASKED_BYTES_MASK = 0xffff;
export const ASKED_AGAIN = 0x10000;
export const ASKED_AGAIN_MASK = 0xff0000;
export const ASKED_VERB_SHIFT = 24;

export const NO_GATHER = -1;

/** Bytes of a table of `gathers` gathers with at most `keysMax` keys each. */
export function gatherTableByteLength(gathers: number, keysMax: number): number {
  return gathers * recordWords(keysMax) * 4;
}

function recordWords(keysMax: number): number {
  return RECORD_WORDS + keysMax * KEY_WORDS;
}

export class GatherTable {
  readonly waiting: GatherList;
  readonly draining: GatherList;
  readonly keysMax: number;
  readonly #words: Int32Array;
  readonly #free: GatherList;

  /**
   * @param base first word of the table: zeroed, or left by a lane before this one. Its gathers are forgotten; what
   * still comes for them meets another generation.
   */
  constructor(words: Int32Array, base: number, gathers: number, keysMax: number) {
    this.#words = words;
    this.keysMax = keysMax;
    this.#free = new GatherList(words);
    this.waiting = new GatherList(words);
    this.draining = new GatherList(words);
    for (let i = 0; i < gathers; i++) this.#makeFree(base + i * recordWords(keysMax));
  }

  /** Gathers in progress. */
  get active(): number {
    return this.waiting.count + this.draining.count;
  }

  /** The first word of a free record, which is in no list then, or NO_GATHER. */
  take(): number {
    const gather = this.#free.first;
    if (gather !== NO_GATHER) this.#free.remove(gather);
    return gather;
  }

  /** Gives back a record that is in no list. */
  giveBack(gather: number): void {
    this.#makeFree(gather);
  }

  /** First word of the row of key `key`. */
  key(gather: number, key: number): number {
    return gather + RECORD_WORDS + Math.imul(key, KEY_WORDS);
  }

  #makeFree(gather: number): void {
    const words = this.#words;
    words[gather + GATHER_STATE] = GATHER_FREE;
    words[gather + GATHER_GENERATION] = (words[gather + GATHER_GENERATION] + 1) | 0;
    this.#free.push(gather);
  }
}

/** Gathers one behind another, linked through their records: first in, first out, and any can be taken out. */
export class GatherList {
  first = NO_GATHER;
  count = 0;
  readonly #words: Int32Array;
  #last = NO_GATHER;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  push(gather: number): void {
    const words = this.#words;
    words[gather + NEXT] = NO_GATHER;
    words[gather + PREVIOUS] = this.#last;
    if (this.#last === NO_GATHER) this.first = gather;
    else words[this.#last + NEXT] = gather;
    this.#last = gather;
    this.count++;
  }

  /** @param gather is in this list */
  remove(gather: number): void {
    const words = this.#words;
    const next = words[gather + NEXT];
    const previous = words[gather + PREVIOUS];
    if (previous === NO_GATHER) this.first = next;
    else words[previous + NEXT] = next;
    if (next === NO_GATHER) this.#last = previous;
    else words[next + PREVIOUS] = previous;
    this.count--;
  }
}
