/**
 * The keys of the multi-key request at hand, each with its node. Filled anew for each request; per key 8 int32:
 *
 *     word 0  KEY     offset in the arena, bytes
 *          1  BYTES   of the key
 *          2  OPCODE  that it is asked with (binary)
 *          3  HASH    of the key
 *          4  NODE    row of the steering table
 *          5  SLOT    first word of the slot that the node is asked under
 */
import { hashKey } from '../mem/murmur3.ts';
import { BINARY_HEADER_BYTES, keyLength } from '../memcached/binary.ts';
import { isNoop, keyStop, nextKey, packetEnd } from '../memcached/key-list.ts';
import { OUT_KEY_OFFSET, OUT_PROTOCOL, PROTOCOL_BINARY } from '../memcached/located.ts';
import { REFUSED_MULTIGET_KEYS, REFUSED_NO_NODE } from '../memcached/refusals.ts';
import { steerHash } from '../steer/hash.ts';
import { lookup } from '../steer/lookup.ts';
import type { Path } from './path.ts';

const ROW_SHIFT = 3;
export const ASKED_KEY = 0;
export const ASKED_BYTES = 1;
export const ASKED_OPCODE = 2;
export const ASKED_HASH = 3;
export const ASKED_NODE = 4;
export const ASKED_SLOT = 5;

export class AskedKeys {
  /** Rows of keys 0 … count − 1. */
  readonly words: Int32Array;
  count = 0;
  /** Offset of the last packet of a binary run. */
  lastPacket = 0;
  readonly #path: Path;
  readonly #keysMax: number;

  constructor(path: Path, keysMax: number) {
    this.#path = path;
    this.#keysMax = keysMax;
    this.words = new Int32Array(keysMax << ROW_SHIFT);
  }

  /** First word of the row of key `key`. */
  row(key: number): number {
    return key << ROW_SHIFT;
  }

  /**
   * Lists the keys of the request in bytes `start` … `end` − 1, of which `located` is what parseRequest found.
   * Returns 0, or the reason to refuse it.
   */
  list(start: number, end: number, located: Int32Array): number {
    this.count = 0;
    if (located[OUT_PROTOCOL] === PROTOCOL_BINARY) return this.#listPackets(start, end);
    return this.#listLine(located[OUT_KEY_OFFSET]);
  }

  #listLine(firstKey: number): number {
    const { bytes } = this.#path.memory;
    for (let at = firstKey; at >= 0; ) {
      const stop = keyStop(bytes, at);
      const reason = this.#add(at, stop - at, 0);
      if (reason !== 0) return reason;
      at = nextKey(bytes, stop);
    }
    return 0;
  }

  #listPackets(start: number, end: number): number {
    const { bytes } = this.#path.memory;
    for (let at = start; at < end; at = packetEnd(bytes, at)) {
      const opcode = bytes[at + 1];
      this.lastPacket = at;
      if (isNoop(opcode)) return 0;
      const reason = this.#add(at + BINARY_HEADER_BYTES, keyLength(bytes, at), opcode);
      if (reason !== 0) return reason;
    }
    return 0;
  }

  #add(key: number, keyBytes: number, opcode: number): number {
    if (this.count === this.#keysMax) return REFUSED_MULTIGET_KEYS;
    const { memory, steerWords, table } = this.#path;
    const { bytes, view } = memory;
    const row = this.row(this.count++);
    const hash = hashKey(bytes, view, key, keyBytes);
    const node = lookup(steerWords, table, steerHash(steerWords, table, hash, bytes, view, key, keyBytes));
    this.words[row + ASKED_KEY] = key;
    this.words[row + ASKED_BYTES] = keyBytes;
    this.words[row + ASKED_OPCODE] = opcode;
    this.words[row + ASKED_HASH] = hash;
    this.words[row + ASKED_NODE] = node;
    return node < 0 ? REFUSED_NO_NODE : 0;
  }
}
