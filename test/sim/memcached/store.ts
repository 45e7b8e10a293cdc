/**
 * The items of a memcached 1.6.18: what its commands do to them, whatever protocol they come in. Modelled after its
 * behaviour, checked against the real one (differential.test.ts).
 *
 *     current time    whole seconds, moved on by a timer once a second: an item set with n seconds lives for n ticks,
 *                     so for more than n − 1 seconds and at most n
 *     CAS ids         one counter for the whole server, from 1, one for every store, and for flush_all and `md I`
 *     gone            an item that expired or was flushed is found out when it is looked up
 */

export interface Item {
  /** One character a byte. */
  value: string;
  flags: number;
  /** Current time from which it is expired; 0: never. */
  exptime: number;
  cas: number;
  /** Current time when it was stored, or bumped. */
  time: number;
  /** Hit once, hit again. */
  fetched: boolean;
  active: boolean;
  /** `md I`; and whether somebody was told to make it anew. */
  stale: boolean;
  tokenSent: boolean;
  /** Its key came base64-encoded. */
  binaryKey: boolean;
}

export const STORED = 0;
export const NOT_STORED = 1;
export const EXISTS = 2;
export const NOT_FOUND = 3;
/** `delta` alone. */
export const NON_NUMERIC = 4;

export type StoreMode = 'set' | 'add' | 'replace' | 'append' | 'prepend' | 'cas';

const THIRTY_DAYS_S = 60 * 60 * 24 * 30;
/** The server's current time begins here (ITEM_UPDATE_INTERVAL + 2). */
const FIRST_SECOND = 62;
const U64 = 2n ** 64n;

export class Store {
  readonly items = new Map<string, Item>();
  /** CAS id of the last store that succeeded. */
  cas = 0;
  /** Whether the last `delta` made the number longer: then the item was replaced. */
  hasGrown = false;
  /** Seconds; `tick` moves it. */
  now = FIRST_SECOND;
  /** Unix time at which `now` was 0, seconds. */
  readonly #startedS: number;
  #lastCas = 0;
  #oldestLive = 0;
  #oldestCas = 0;

  /** @param unixS time of its start */
  constructor(unixS: number) {
    this.#startedS = unixS - FIRST_SECOND;
  }

  /** @param seconds since its start, as its timer has counted them */
  tick(seconds: number): void {
    this.now = FIRST_SECOND + seconds;
  }

  /** What a number of seconds in a request stands for on the server's clock. */
  realTime(exptime: number): number {
    if (exptime === 0) return 0;
    const positive = exptime < 0 ? THIRTY_DAYS_S + 1 : exptime;
    if (positive <= THIRTY_DAYS_S) return positive + this.now;
    return positive <= this.#startedS ? 1 : positive - this.#startedS;
  }

  /** Looks up without a trace. */
  find(key: string): Item | undefined {
    const item = this.items.get(key);
    if (item === undefined) return undefined;
    if (!this.#isFlushed(item) && (item.exptime === 0 || item.exptime > this.now)) return item;
    this.items.delete(key);
    return undefined;
  }

  /** A hit counts: after `find`. */
  bump(item: Item): void {
    if (item.active) return;
    if (!item.fetched) item.fetched = true;
    else {
      item.active = true;
      item.time = this.now;
    }
  }

  get(key: string): Item | undefined {
    const item = this.find(key);
    if (item !== undefined) this.bump(item);
    return item;
  }

  /** @param exptime of `realTime` */
  touch(key: string, exptime: number): Item | undefined {
    const item = this.get(key);
    if (item !== undefined) item.exptime = exptime;
    return item;
  }

  /**
   * @param cas 0: none given
   * @param mayBeStale `ms I`: a CAS id that is older than the item's stores it as stale
   */
  store(
    mode: StoreMode,
    key: string,
    value: string,
    flags: number,
    exptime: number,
    cas: number,
    mayBeStale = false,
  ): number {
    const old = this.find(key);
    if (old === undefined) {
      if (mode === 'cas') return NOT_FOUND;
      if (mode !== 'add' && mode !== 'set') return NOT_STORED;
      return this.#link(key, value, flags, exptime);
    }
    switch (mode) {
      case 'add':
        old.time = this.now;
        return NOT_STORED;
      case 'cas':
        if (cas === old.cas) return this.#link(key, value, flags, exptime);
        if (!mayBeStale || cas === 0 || cas > old.cas) return EXISTS;
        return this.#linkStale(key, value, flags, old);
      case 'append':
      case 'prepend': {
        if (cas !== 0 && cas !== old.cas) return EXISTS;
        const joined = mode === 'append' ? old.value + value : value + old.value;
        return this.#link(key, joined, old.flags, old.exptime);
      }
      default:
        return this.#link(key, value, flags, exptime);
    }
  }

  /** Without any test: the item is made anew. */
  create(key: string, value: string, exptime: number): Item {
    this.#link(key, value, 0, exptime);
    return this.items.get(key)!;
  }

  delete(key: string): boolean {
    return this.find(key) !== undefined && this.items.delete(key);
  }

  /** What `md I` does. */
  makeStale(item: Item): void {
    item.stale = true;
    item.tokenSent = false;
    item.cas = ++this.#lastCas;
  }

  /**
   * incr and decr. A number that has become shorter is filled up with spaces: the item keeps its length.
   * @param cas 0: none given
   */
  delta(key: string, isIncrement: boolean, by: bigint, cas: number): number {
    const item = this.find(key);
    if (item === undefined) return NOT_FOUND;
    if (item.value === '') return NON_NUMERIC;
    if (cas !== 0 && item.cas !== cas) return EXISTS;
    const before = parseU64(item.value);
    if (before === undefined) return NON_NUMERIC;
    const after = isIncrement ? (before + by) % U64 : by > before ? 0n : before - by;
    const text = after.toString();
    item.cas = ++this.#lastCas;
    this.cas = item.cas;
    item.time = this.now;
    this.hasGrown = text.length > item.value.length;
    if (this.hasGrown) {
      item.fetched = false;
      item.active = false;
      item.stale = false;
      item.tokenSent = false;
      item.value = text;
    } else {
      item.value = text.padEnd(item.value.length);
    }
    return STORED;
  }

  /** @param delay seconds of a request */
  flush(delay: number): void {
    this.#oldestLive = (delay > 0 ? this.realTime(delay) : this.now) - 1;
    if (this.#oldestLive <= this.now) this.#oldestCas = ++this.#lastCas;
  }

  #link(key: string, value: string, flags: number, exptime: number): number {
    this.cas = ++this.#lastCas;
    this.items.set(key, {
      value,
      flags,
      exptime,
      cas: this.cas,
      time: this.now,
      fetched: false,
      active: false,
      stale: false,
      tokenSent: false,
      binaryKey: false,
    });
    return STORED;
  }

  #linkStale(key: string, value: string, flags: number, old: Item): number {
    this.#link(key, value, flags, old.exptime);
    const item = this.items.get(key)!;
    item.stale = true;
    item.tokenSent = old.tokenSent;
    return STORED;
  }

  #isFlushed(item: Item): boolean {
    if (this.#oldestLive === 0 || this.#oldestLive > this.now) return false;
    return item.time <= this.#oldestLive || (this.#oldestCas !== 0 && item.cas < this.#oldestCas);
  }
}

/** As safe_strtoull: digits, then the end or white space; undefined for what is no number. */
export function parseU64(text: string): bigint | undefined {
  const match = /^[ \t\n\v\f\r]*\+?(\d+)(?:[ \t\n\v\f\r]|$)/.exec(text);
  if (match === null) return undefined;
  const value = BigInt(match[1]!);
  return value < U64 ? value : undefined;
}
