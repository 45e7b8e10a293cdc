/**
 * Values for the cache, from the balancer's own `mg` alone: a reply that merely passes by may be forged, or older than a
 * write. One fetch a key at a time, whoever asks for it (single flight); taken over only if nothing has happened to the
 * key since it was sent, that is, if its VERSION is the same.
 *
 *     sent ─VA→ taken over: CLEAN, VALUED              (stale_fills when VERSION or the flush epoch has moved)
 *          ─EN→ CLEAN, ABSENT: those who wait are told "not there"
 *          ─too large, or soon over→ CLEAN, not asked for again for a while
 *          ─silence→ sent again, four times in all; then those who wait go home
 *
 * Time to live: `t` counts whole seconds, so of an item with t the rest lies in (t − 1, t]. EXPIRES = when it was asked
 * for, + t − 1 s; it is served until `ttlGuardMs` before that.
 */
import {
  BODY_BYTES_MAX,
  ITEM_BODY_AT,
  ITEM_BODY_LENGTH,
  ITEM_BODY_SUM,
  ITEM_CAS_HIGH,
  ITEM_CAS_LOW,
  ITEM_EXPIRES,
  ITEM_FLAGS,
  ITEM_KEY_AT,
  ITEM_KEY_LENGTH,
  ITEM_SERVE_UNTIL,
  ITEM_STAMP,
  ITEM_VALUE_AT,
  ITEM_VALUE_LENGTH,
} from '../../cache/items.ts';
import * as directory from '../../coherence/directory.ts';
import { FRAME_HEADER_BYTES, total } from '../../memcached/frame-header.ts';
import {
  HIT_FLAGS,
  HIT_KEY_AT,
  HIT_KEY_LENGTH,
  HIT_VALUE_AT,
  HIT_VALUE_LENGTH,
  HIT_WORDS,
  writeBody,
} from '../../memcached/hit-reply.ts';
import { OUT_STATUS, OUT_VALUE_LENGTH, OUT_VALUE_OFFSET, OUT_WORDS } from '../../memcached/located.ts';
import { bearsMarks, hasNonce, returnToken } from '../../memcached/own-meta.ts';
import { parseReply, STATUS_EN, STATUS_VA } from '../../memcached/reply.ts';
import { NUMBER, readUint64 } from '../../memcached/uint64.ts';
import { sum16 } from '../../wire/checksum.ts';
import { COUNT } from '../counters.ts';
import type { Path } from '../path.ts';
import type { HotKeys } from './keys.ts';
import * as op from './operations.ts';
import { type Sender, TRIES_MAX } from './sender.ts';
import { HOT_FLUSH_DUE, HOT_FLUSHING, HOT_STAMP } from './setup.ts';

const MS_PER_S = 1000;
/** A time to live beyond this is as good as none: ms of the clock wrap. */
const TTL_S_MAX = 1_000_000;
/** Seconds up to here are relative, beyond it is a Unix time (memcached's REALTIME_MAXDELTA). */
const RELATIVE_S_MAX = 60 * 60 * 24 * 30;
/** A fetch that is not over by then is nobody's. */
const FETCH_MS_MAX = 300;
/** How soon a value is asked for again that could not be cached. */
const RETRY_MS = 250;
const LETTER_C = 0x63;
const LETTER_F = 0x66;
const LETTER_T = 0x74;
const MINUS = 0x2d;
/** How long a value whose time to be compared has come is served on, beside as long again as that, ms. */
const GRACE_MS = 50;
/** No time to live. */
export const NEVER = -1;

export class Fills {
  readonly #path: Path;
  readonly #keys: HotKeys;
  readonly #operations: op.Operations;
  readonly #sender: Sender;
  readonly #located = new Int32Array(OUT_WORDS);
  readonly #hit = new Int32Array(HIT_WORDS);
  readonly #pieces = new Uint8Array(BODY_BYTES_MAX);
  readonly #piecesView = new DataView(this.#pieces.buffer);

  constructor(path: Path, keys: HotKeys, operations: op.Operations, sender: Sender) {
    this.#path = path;
    this.#keys = keys;
    this.#operations = operations;
    this.#sender = sender;
  }

  /** Sees to it that the item is fetched. False when that cannot be now. */
  want(item: number): boolean {
    const { words, nowMs, lane, control } = this.#keys;
    if (words[item + directory.FETCHER] !== 0 && ((nowMs - words[item + directory.FETCHED_MS]) | 0) < FETCH_MS_MAX) {
      return true;
    }
    if (this.isFlushing || words[item + directory.MARKED] !== 0) return false;
    if (((nowMs - words[item + directory.RETRY_MS]) | 0) < 0) return false;
    const node = this.#sender.homeOf(item);
    const operation = node < 0 ? -1 : this.#operations.take(op.OPERATION_FETCH, item);
    if (operation < 0) return false;
    const ops = this.#operations.words;
    ops[operation + op.SEEN] = Atomics.load(words, item + directory.VERSION);
    ops[operation + op.STAMP] = words[control + HOT_STAMP];
    if (!this.#sender.askFor(operation, item, node, false)) {
      this.#operations.giveBack(operation);
      return false;
    }
    words[item + directory.FETCHED_MS] = nowMs;
    words[item + directory.FETCHER] = lane + 1;
    this.#path.memory.counters[COUNT.hot_fetches] += 1;
    return true;
  }

  /** Whether a flush_all is under way, or due: what is fetched now may be gone then. */
  get isFlushing(): boolean {
    const { words, control, nowMs } = this.#keys;
    if (words[control + HOT_FLUSHING] !== 0) return true;
    const dueMs = words[control + HOT_FLUSH_DUE];
    return dueMs !== 0 && ((dueMs - nowMs) | 0) >= 0;
  }

  /** Whether the cached value may be served now; sees to it that it is compared with home now and then. */
  isServable(item: number): boolean {
    const { words, nowMs, control, setup } = this.#keys;
    if (words[item + ITEM_STAMP] !== words[control + HOT_STAMP]) return false;
    const overMs = (nowMs - words[item + ITEM_SERVE_UNTIL]) | 0;
    if (overMs < 0) return true;
    if (overMs >= GRACE_MS + setup.refreshMs) return false;
    // While a write is under way nothing would be believed.
    if (directory.stateOf(words, item) === directory.CLEAN) this.want(item);
    return !this.isOver(item);
  }

  /** Whether there is a cached value that must be fetched anew before it may be served: nobody has asked for it for long. */
  isStale(item: number): boolean {
    const { words, nowMs, control, setup } = this.#keys;
    if (this.isOver(item)) return false;
    if (words[item + ITEM_STAMP] !== words[control + HOT_STAMP]) return true;
    return ((nowMs - words[item + ITEM_SERVE_UNTIL]) | 0) >= GRACE_MS + setup.refreshMs;
  }

  /** Whether the cached value's time to live is over, or its last second has begun. */
  isOver(item: number): boolean {
    const { words, nowMs, setup } = this.#keys;
    if ((words[item + directory.STATE] & directory.TTL_SET) === 0) return false;
    return ((words[item + ITEM_EXPIRES] - setup.ttlGuardMs - nowMs) | 0) <= 0;
  }

  /** A datagram, from its frame header at `header`, to a fetch's slot. */
  hear(operation: number, header: number, end: number): void {
    const { bytes } = this.#path.memory;
    const ops = this.#operations.words;
    const start = header + FRAME_HEADER_BYTES;
    const item = ops[operation + op.ITEM];
    parseReply(bytes, start, end, this.#located);
    if (!hasNonce(bytes, this.#located, ops[operation + op.NONCE_HIGH], ops[operation + op.NONCE_LOW])) return;
    this.#settle(operation, item, start, end, total(bytes, header) === 1);
    this.#end(operation);
  }

  /** Its time is over: once more, or never. */
  tick(operation: number): void {
    const ops = this.#operations.words;
    const item = ops[operation + op.ITEM];
    const isVoid = Atomics.load(this.#keys.words, item + directory.VERSION) !== ops[operation + op.SEEN];
    const isSpent = ops[operation + op.TRIES] >= TRIES_MAX;
    if (!isVoid && !isSpent && this.#sender.askFor(operation, item, ops[operation + op.NODE], true)) return;
    if (!isVoid) this.#keys.words[item + directory.RETRY_MS] = (this.#keys.nowMs + RETRY_MS) | 0;
    this.#end(operation);
  }

  #end(operation: number): void {
    const { words, lane } = this.#keys;
    const item = this.#operations.words[operation + op.ITEM];
    if (words[item + directory.FETCHER] === lane + 1) words[item + directory.FETCHER] = 0;
    this.#sender.dropSlot(operation);
    this.#operations.giveBack(operation);
  }

  #settle(operation: number, item: number, start: number, end: number, isWhole: boolean): void {
    const { words, lane, control } = this.#keys;
    const { counters } = this.#path.memory;
    const ops = this.#operations.words;
    const isStale =
      Atomics.load(words, item + directory.VERSION) !== ops[operation + op.SEEN] ||
      ops[operation + op.STAMP] !== words[control + HOT_STAMP] ||
      this.isFlushing;
    if (isStale || directory.stateOf(words, item) !== directory.CLEAN || !directory.tryLock(words, item, lane)) {
      counters[COUNT.hot_stale_fills] += 1;
      return;
    }
    // Another lane may have had the lock in between.
    if (Atomics.load(words, item + directory.VERSION) === ops[operation + op.SEEN]) {
      this.#take(operation, item, start, end, isWhole);
    } else {
      counters[COUNT.hot_stale_fills] += 1;
    }
    directory.unlock(words, item);
  }

  /** Holder of the lock; what was known when the fetch was sent is still so. */
  #take(operation: number, item: number, start: number, end: number, isWhole: boolean): void {
    const { words, nowMs, control } = this.#keys;
    const located = this.#located;
    const sentMs = this.#operations.words[operation + op.SENT_MS];
    if (located[OUT_STATUS] === STATUS_EN) return this.#takeAbsence(item, sentMs);
    if (located[OUT_STATUS] !== STATUS_VA) {
      words[item + directory.RETRY_MS] = (nowMs + RETRY_MS) | 0;
      return;
    }
    const { bytes } = this.#path.memory;
    readUint64(bytes, returnToken(bytes, start, end, LETTER_C));
    const casHigh = NUMBER[0];
    const casLow = NUMBER[1];
    if (this.#isZombie(item, casHigh, casLow)) return;
    if (this.#isForeign(item, casHigh, casLow)) this.#path.memory.counters[COUNT.hot_foreign_writes] += 1;
    const flags = this.#number(start, end, LETTER_F);
    const ttl = this.#number(start, end, LETTER_T);
    const valueBytes = located[OUT_VALUE_LENGTH];
    const at = located[OUT_VALUE_OFFSET];
    if (bearsMarks(bytes, start, end)) words[item + directory.MARKED] = 1;
    const isAliased =
      (words[item + directory.STATE] & directory.ALIASED) !== 0 && !this.#isForeign(item, casHigh, casLow);
    const mayBeCached = (words[item + directory.CACHED] !== 0 || isAliased) && words[item + directory.MARKED] === 0;
    const isThere = isWhole && at + valueBytes + 2 === end && mayBeCached;
    const isOfNow =
      (words[item + directory.STATE] & directory.VALUED) !== 0 &&
      words[item + ITEM_STAMP] === words[control + HOT_STAMP];
    if (isOfNow && isThere && !this.#isForeign(item, casHigh, casLow)) return this.#renew(item, sentMs, ttl);
    const begun = directory.beginChange(words, item);
    if (this.#isForeign(item, casHigh, casLow)) words[item + directory.STATE] &= ~directory.ALIASED;
    words[item + directory.CAS_HIGH] = casHigh;
    words[item + directory.CAS_LOW] = casLow;
    const isKept = isThere && this.install(item, bytes, at, valueBytes, flags, sentMs, ttl);
    if (!isKept) words[item + directory.RETRY_MS] = (nowMs + RETRY_MS) | 0;
    this.#finishChange(item, isKept, sentMs, ttl, begun);
  }

  #finishChange(item: number, isKept: boolean, sentMs: number, ttl: number, begun: number): void {
    const { words } = this.#keys;
    const flags =
      directory.CAS_KNOWN |
      (words[item + directory.STATE] & directory.ALIASED) |
      this.#looseStill(item, sentMs) |
      (isKept ? directory.VALUED : 0) |
      (ttl === NEVER ? 0 : directory.TTL_SET);
    if (isKept) this.#path.memory.counters[COUNT.hot_fills] += 1;
    directory.endChange(words, item, directory.CLEAN, flags, begun);
  }

  /** The value is the one that is cached: its time begins anew. Only who waits for that need notice. */
  #renew(item: number, sentMs: number, ttl: number): void {
    const { words } = this.#keys;
    const before = words[item + directory.STATE];
    const state = (before & ~(directory.TTL_SET | directory.LOOSE)) | this.#looseStill(item, sentMs);
    // A fetch of before may have read what a late ME had brought back.
    if (((before ^ state) & directory.LOOSE) !== 0 || this.isStale(item))
      Atomics.add(words, item + directory.VERSION, 2);
    words[item + directory.STATE] = ttl === NEVER ? state : state | directory.TTL_SET;
    this.#setTimes(item, sentMs, ttl);
  }

  #takeAbsence(item: number, sentMs: number): void {
    const { words } = this.#keys;
    const tomb = words[item + directory.STATE] & directory.TOMB;
    // A tomb has a look of its own.
    const kept = tomb === 0 ? this.#looseStill(item, sentMs) : words[item + directory.STATE] & (directory.LOOSE | tomb);
    const begun = directory.beginChange(words, item);
    words[item + directory.REPLICAS_JOINED] = 0;
    directory.endChange(words, item, directory.CLEAN, directory.ABSENT | kept, begun);
  }

  /**
   * While a late `add` of ours may still come, home is believed only if it has what we know it has: another CAS then is that
   * of a value come back. It is taken for absent, and buried (writes.ts).
   */
  #isZombie(item: number, casHigh: number, casLow: number): boolean {
    const { words } = this.#keys;
    const state = words[item + directory.STATE];
    if ((state & directory.LOOSE) === 0) return false;
    // Of a key that only its node knows now there is nothing to compare with; but under a tomb nothing is of now.
    if ((state & (directory.CAS_KNOWN | directory.ABSENT | directory.TOMB)) === 0) return false;
    const isOurs = (state & directory.CAS_KNOWN) !== 0 && !this.#isForeign(item, casHigh, casLow);
    if (isOurs) return false;
    const begun = directory.beginChange(words, item);
    words[item + directory.REPLICAS_JOINED] = 0;
    directory.endChange(words, item, directory.CLEAN, directory.ABSENT | directory.LOOSE | directory.TOMB, begun);
    this.#path.memory.counters[COUNT.hot_zombies] += 1;
    return true;
  }

  /** LOOSE until a fetch that was sent after its time has found what we know home to have. */
  #looseStill(item: number, sentMs: number): number {
    const { words } = this.#keys;
    const isOver = ((sentMs - words[item + directory.LOOSE_UNTIL]) | 0) >= 0;
    return isOver ? 0 : words[item + directory.STATE] & directory.LOOSE;
  }

  #isForeign(item: number, casHigh: number, casLow: number): boolean {
    const { words } = this.#keys;
    if ((words[item + directory.STATE] & directory.CAS_KNOWN) === 0) return false;
    return words[item + directory.CAS_HIGH] !== casHigh || words[item + directory.CAS_LOW] !== casLow;
  }

  /** The return flag's number; −1 for a sign, 0 when it is missing. */
  #number(start: number, end: number, letter: number): number {
    const { bytes } = this.#path.memory;
    const at = returnToken(bytes, start, end, letter);
    if (at < 0) return 0;
    if (bytes[at] === MINUS) return NEVER;
    readUint64(bytes, at);
    return NUMBER[1];
  }

  /**
   * Holder of the lock, VERSION odd: puts a value into the item. The CAS is that of the directory. Returns false when it
   * cannot be cached: too large, or over too soon.
   * @param ttl seconds to live when it was asked for or stored, at `sentMs`; NEVER
   */
  install(
    item: number,
    from: Uint8Array,
    at: number,
    valueBytes: number,
    flags: number,
    sentMs: number,
    ttl: number,
  ): boolean {
    const { words, view, control, setup, nowMs } = this.#keys;
    const leftMs = ttl === NEVER ? 0 : (ttl - 1) * MS_PER_S - setup.ttlGuardMs - (nowMs - sentMs);
    if (ttl !== NEVER && leftMs <= 0) return false;
    const start = (item << 2) + ITEM_BODY_AT;
    const key = (item << 2) + ITEM_KEY_AT;
    const keyBytes = words[item + ITEM_KEY_LENGTH];
    const hit = this.#hit;
    hit[HIT_KEY_AT] = 0;
    hit[HIT_KEY_LENGTH] = keyBytes;
    hit[HIT_FLAGS] = flags;
    hit[HIT_VALUE_LENGTH] = valueBytes;
    hit[HIT_VALUE_AT] = keyBytes;
    if (!this.#gather(key, keyBytes, from, at, valueBytes)) return false;
    const length = writeBody(hit, this.#piecesView, view, start, BODY_BYTES_MAX);
    if (length === 0) return false;
    words[item + ITEM_FLAGS] = flags;
    words[item + ITEM_VALUE_LENGTH] = valueBytes;
    words[item + ITEM_VALUE_AT] = length - VALUE_END_BYTES - valueBytes;
    words[item + ITEM_BODY_LENGTH] = length;
    words[item + ITEM_BODY_SUM] = sum16(view, start, length);
    const isAliased = (words[item + directory.STATE] & directory.ALIASED) !== 0;
    words[item + ITEM_CAS_HIGH] = words[item + (isAliased ? directory.ALIAS_HIGH : directory.CAS_HIGH)];
    words[item + ITEM_CAS_LOW] = words[item + (isAliased ? directory.ALIAS_LOW : directory.CAS_LOW)];
    words[item + ITEM_STAMP] = words[control + HOT_STAMP];
    this.#setTimes(item, sentMs, ttl);
    return true;
  }

  /** Key and value side by side. False when they are too long together for any body. */
  #gather(key: number, keyBytes: number, from: Uint8Array, at: number, valueBytes: number): boolean {
    if (keyBytes + valueBytes > this.#pieces.length) return false;
    const { bytes } = this.#keys;
    for (let i = 0; i < keyBytes; i++) this.#pieces[i] = bytes[key + i];
    for (let i = 0; i < valueBytes; i++) this.#pieces[keyBytes + i] = from[at + i];
    return true;
  }

  #setTimes(item: number, sentMs: number, ttl: number): void {
    const { words, setup, nowMs } = this.#keys;
    const refreshMs = (nowMs + setup.refreshMs) | 0;
    const seconds = Math.min(ttl, TTL_S_MAX) - 1;
    const expiresMs = (sentMs + seconds * MS_PER_S) | 0;
    words[item + ITEM_EXPIRES] = expiresMs;
    const servedMs = (expiresMs - setup.ttlGuardMs) | 0;
    const isSooner = ttl !== NEVER && ((servedMs - refreshMs) | 0) < 0;
    words[item + ITEM_SERVE_UNTIL] = isSooner ? servedMs : refreshMs;
  }
}

/** `\r\nEND\r\n` behind the value. */
const VALUE_END_BYTES = 7;

/** Seconds to live of a store with this exptime, as of `unixMs`: NEVER, or what `t` would say at once (≤ 0: over). */
export function ttlOf(exptime: number, unixMs: number): number {
  if (exptime === 0) return NEVER;
  if (exptime < 0) return 0;
  return exptime <= RELATIVE_S_MAX ? exptime : Math.max(0, exptime - Math.floor(unixMs / MS_PER_S));
}
