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
import { parsePlainGet } from '../memcached/plain-get.ts';
import { parsePlainSet } from '../memcached/plain-set.ts';
import { parseRequest } from '../memcached/request.ts';
import { steerHash } from '../steer/hash.ts';
import { lookup } from '../steer/lookup.ts';
import type { LaneMemory } from './memory.ts';
import type { Path } from './path.ts';

const VERB_MASK = 0xff;
const CLASS_SHIFT = 8;

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
    this.isBare = this.isPlain || parsePlainSet(bytes, view, start, end, this.located);
    return this.isBare ? 0 : parseRequest(bytes, start, end, this.located);
  }

  /** What forwarding needs to know of a bare request, in one word: for `recall`. */
  get facts(): number {
    return this.located[OUT_VERB] | (this.located[OUT_CLASS] << CLASS_SHIFT);
  }

  /** A bare request is in hand again, as far as forwarding goes. */
  recall(facts: number, keyHash: number): void {
    const { located } = this;
    located[OUT_PROTOCOL] = PROTOCOL_ASCII;
    located[OUT_FLAGS] = 0;
    located[OUT_VERB] = facts & VERB_MASK;
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
