/** The request in hand: where its parts lie, and its key with its hash. One for each stage that reads requests, re-aimed. */
import { hashKey } from '../mem/murmur3.ts';
import { decodeBase64Key } from '../memcached/base64-key.ts';
import {
  KEY_BYTES_MAX,
  OUT_CLASS,
  OUT_FLAGS,
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_PROTOCOL,
  OUT_VERB,
  OUT_WORDS,
  PROTOCOL_ASCII,
  REQUEST_KEY_BASE64,
} from '../memcached/located.ts';
import { isPlainGet, PLAIN_BEHIND_BYTES, PLAIN_KEY_AT, parsePlainGet } from '../memcached/plain-get.ts';
import { PLAIN_SET_KEY_AT, parsePlainSet, plainSetKeyBytes } from '../memcached/plain-set.ts';
import { parseRequest } from '../memcached/request.ts';
import { CLASS_READ, CLASS_WRITE, VERB_GET, VERB_SET } from '../memcached/verbs.ts';
import { steerHash } from '../steer/hash.ts';
import { lookup } from '../steer/lookup.ts';
import { VERBS_MAX } from './commands.ts';
import type { LaneMemory } from './memory.ts';
import type { Path } from './path.ts';

const VERB_MASK = 0xff;
const CLASS_SHIFT = 8;
const GET_FACTS = VERB_GET | (CLASS_READ << CLASS_SHIFT);
const SET_FACTS = VERB_SET | (CLASS_WRITE << CLASS_SHIFT);

/** VERB_* of a bare request. */
export function verbOf(facts: number): number {
  return facts & VERB_MASK;
}

export function isReadOf(facts: number): boolean {
  return facts >> CLASS_SHIFT === CLASS_READ;
}

/** Where in a lane's gate the action for a bare request stands. */
export function actionOf(facts: number): number {
  return (facts >> CLASS_SHIFT) * VERBS_MAX + verbOf(facts);
}

export class Asked {
  readonly located = new Int32Array(OUT_WORDS);
  /** Where the key lies: in the lane's arena, or decoded. Valid after `hashKey`. */
  bytes: Uint8Array;
  view: DataView;
  key = 0;
  keyBytes = 0;
  keyHash = 0;
  /** `get <key>` as nearly every request is. */
  isPlain = false;
  /** That, or a plain `set`: a classic request with nothing to it but class, verb and key. */
  isBare = false;
  /** What forwarding needs to know of a bare request, in one word: for `recall`. */
  facts = 0;
  readonly #memory: LaneMemory;
  readonly #decoded = new Uint8Array(KEY_BYTES_MAX);
  readonly #decodedView = new DataView(this.#decoded.buffer);

  constructor(memory: LaneMemory) {
    this.#memory = memory;
    this.bytes = memory.bytes;
    this.view = memory.view;
  }

  /** Locates the request in bytes `start` … `end` − 1. Returns 0 or the reason to refuse it. */
  parse(start: number, end: number): number {
    const { bytes, view } = this.#memory;
    this.isPlain = parsePlainGet(view, start, end, this.located);
    this.isBare = this.isPlain || parsePlainSet(view, start, end, this.located);
    this.facts = this.isPlain ? GET_FACTS : SET_FACTS;
    return this.isBare ? 0 : parseRequest(bytes, start, end, this.located);
  }

  /**
   * Takes a bare request in bytes `start` … `end` − 1 and hashes its key. Returns its facts, or 0: it is none. `located` is
   * not written; `recall` makes up for it.
   */
  takeBare(start: number, end: number): number {
    const { view } = this.#memory;
    this.isPlain = isPlainGet(view, start, end);
    if (this.isPlain) {
      const key = start + PLAIN_KEY_AT;
      return this.#bare(GET_FACTS, key, end - PLAIN_BEHIND_BYTES - key);
    }
    const keyBytes = plainSetKeyBytes(view, start, end);
    return keyBytes === 0 ? 0 : this.#bare(SET_FACTS, start + PLAIN_SET_KEY_AT, keyBytes);
  }

  #bare(facts: number, key: number, keyBytes: number): number {
    const { bytes, view } = this.#memory;
    this.isBare = true;
    this.facts = facts;
    this.bytes = bytes;
    this.view = view;
    this.key = key;
    this.keyBytes = keyBytes;
    this.keyHash = hashKey(bytes, view, key, keyBytes);
    return facts;
  }

  /** A bare request is in hand again, as far as forwarding goes. */
  recall(facts: number, keyHash: number): void {
    const { located } = this;
    located[OUT_PROTOCOL] = PROTOCOL_ASCII;
    located[OUT_FLAGS] = 0;
    located[OUT_VERB] = verbOf(facts);
    located[OUT_CLASS] = facts >> CLASS_SHIFT;
    this.keyHash = keyHash;
  }

  /** Hashes the (first) key. memcached stores a base64 key under the bytes it stands for, so those are what counts. */
  hash(): number {
    const { located } = this;
    if ((located[OUT_FLAGS] & REQUEST_KEY_BASE64) !== 0) return this.#hashDecoded();
    const { bytes, view } = this.#memory;
    this.bytes = bytes;
    this.view = view;
    this.key = located[OUT_KEY_OFFSET];
    this.keyBytes = located[OUT_KEY_LENGTH];
    this.keyHash = hashKey(bytes, view, this.key, this.keyBytes);
    return this.keyHash;
  }

  #hashDecoded(): number {
    const { located } = this;
    this.bytes = this.#decoded;
    this.view = this.#decodedView;
    this.key = 0;
    const { bytes } = this.#memory;
    this.keyBytes = decodeBase64Key(bytes, located[OUT_KEY_OFFSET], located[OUT_KEY_LENGTH], this.#decoded, 0);
    this.keyHash = hashKey(this.#decoded, this.#decodedView, 0, this.keyBytes);
    return this.keyHash;
  }

  /** Home node of the key hashed last, or −1. */
  home(path: Path): number {
    const { steerWords, table } = path;
    const ringHash = steerHash(steerWords, table, this.keyHash, this.bytes, this.view, this.key, this.keyBytes);
    return lookup(steerWords, table, ringHash);
  }
}
