/**
 * A memcached client over UDP.
 *
 *     const client = await UdpClient.connect('10.77.0.100');
 *     await client.set('user:42', 'Ada', { ttl: 60 });
 *     const item = await client.get('user:42');        // { key, value: Buffer, flags } or undefined
 *     await client.close();
 *
 * Any number of calls may be outstanding. UDP loses datagrams: a call without a whole reply in time fails with
 * TimeoutError. Reads (get, gets, getMany, version, plain stats) are sent again when `retries` says so; whatever may
 * change something never is, as the request may have arrived and the reply been lost.
 */
import { ArgumentError } from './errors.ts';
import { type ExchangeCounts, Exchanges } from './exchanges.ts';
import { ManyKeysReading, singleMessage } from './readings.ts';
import type { Item, MetaReply } from './replies.ts';
import * as replies from './replies.ts';
import type { StoreOptions, StoreVerb, Value } from './requests.ts';
import * as requests from './requests.ts';
import { parseServer } from './server.ts';

export interface ClientOptions {
  /** How long a reply may take, ms. Default 1000. */
  readonly timeoutMs?: number;
  /** How often a read without an answer is sent again. Default 0. */
  readonly retries?: number;
  /**
   * With keys missing from a getMany that memcached answers itself: how long a hit may take that END has overtaken, ms.
   * Default 5. A reply of one message, as Keysteer sends it, is never waited for.
   */
  readonly settleMs?: number;
}

export type CasOutcome = 'stored' | 'exists' | 'not found';

const TIMEOUT_MS = 1000;
const SETTLE_MS = 5;
/** setTimeout takes no more. */
const TIMEOUT_MS_MAX = 0x7fffffff;
const RETRIES_MAX = 100;
/** Arguments of stats that change something. */
const STATS_WRITES = /^(reset|detail|sizes_enable|sizes_disable)\b/;

export class UdpClient {
  readonly #exchanges: Exchanges;
  readonly #readAttempts: number;

  private constructor(exchanges: Exchanges, readAttempts: number) {
    this.#exchanges = exchanges;
    this.#readAttempts = readAttempts;
  }

  /**
   * Opens the socket; nothing is sent yet.
   *
   * @param server `HOST` or `HOST:PORT`, IPv4
   * @throws ArgumentError; or the resolver's error
   */
  static async connect(server = '127.0.0.1', options: ClientOptions = {}): Promise<UdpClient> {
    const { timeoutMs = TIMEOUT_MS, retries = 0, settleMs = SETTLE_MS } = options;
    checkNumber('timeoutMs', timeoutMs, 1, TIMEOUT_MS_MAX);
    checkNumber('retries', retries, 0, RETRIES_MAX);
    checkNumber('settleMs', settleMs, 0, TIMEOUT_MS_MAX);
    return new UdpClient(await Exchanges.open(parseServer(server), { timeoutMs, settleMs }), retries + 1);
  }

  /** `127.0.0.1:11211` */
  get server(): string {
    return this.#exchanges.server;
  }

  /** Datagrams sent and received, retries, timeouts, duplicates, strays. */
  get counts(): Readonly<ExchangeCounts> {
    return { ...this.#exchanges.counts };
  }

  // ---- reads

  /** @returns undefined for a miss */
  async get(key: string): Promise<Item | undefined> {
    return this.#single('get', key, requests.retrieval('get', [key]), this.#readAttempts);
  }

  /** With the item's CAS id. */
  async gets(key: string): Promise<Item | undefined> {
    return this.#single('gets', key, requests.retrieval('gets', [key]), this.#readAttempts);
  }

  /**
   * One request for all keys, which must fit one datagram; misses are not in the map. The server bounds their number
   * (Keysteer: 100 unless configured).
   */
  async getMany(keys: Iterable<string>, { cas = false } = {}): Promise<Map<string, Item>> {
    const wanted = new Set(keys);
    if (wanted.size === 0) return new Map();
    const verb = cas ? 'gets' : 'get';
    const [key] = wanted;
    const reading = () => new ManyKeysReading(wanted, this.#asked(verb, key));
    const subject = { verb, key, attempts: this.#readAttempts };
    const { value } = await this.#exchanges.ask(requests.retrieval(verb, [...wanted]), reading, subject);
    return this.#askAgain(new Map(value.items), value.doubtful, verb);
  }

  async version(): Promise<string> {
    return this.#ask('version', undefined, requests.version(), replies.readVersion, this.#readAttempts);
  }

  /** `stats`, or with an argument `stats items`, `stats locate <key>`, …; names to values, in the server's order. */
  async stats(argument?: string): Promise<Map<string, string>> {
    const attempts = STATS_WRITES.test(argument ?? '') ? 1 : this.#readAttempts;
    return this.#ask('stats', argument, requests.stats(argument), replies.readStats, attempts);
  }

  // ---- writes

  set(key: string, value: Value, options?: StoreOptions): Promise<boolean> {
    return this.store('set', key, value, options);
  }

  /** Stores only where there is nothing. */
  add(key: string, value: Value, options?: StoreOptions): Promise<boolean> {
    return this.store('add', key, value, options);
  }

  /** Stores only where there is something. */
  replace(key: string, value: Value, options?: StoreOptions): Promise<boolean> {
    return this.store('replace', key, value, options);
  }

  append(key: string, value: Value): Promise<boolean> {
    return this.store('append', key, value);
  }

  prepend(key: string, value: Value): Promise<boolean> {
    return this.store('prepend', key, value);
  }

  /** @returns whether it was stored */
  async store(verb: Exclude<StoreVerb, 'cas'>, key: string, value: Value, options?: StoreOptions): Promise<boolean> {
    const payload = requests.store(verb, key, value, options);
    return (await this.#status(verb, key, payload, ['STORED', 'NOT_STORED'])) === 'STORED';
  }

  /** Stores only if the item is still the one that `gets` returned. */
  async cas(key: string, value: Value, cas: bigint, options: StoreOptions = {}): Promise<CasOutcome> {
    const payload = requests.store('cas', key, value, { ...options, cas });
    const word = await this.#status('cas', key, payload, ['STORED', 'EXISTS', 'NOT_FOUND']);
    return word === 'STORED' ? 'stored' : word === 'EXISTS' ? 'exists' : 'not found';
  }

  /** @returns whether there was one */
  async delete(key: string): Promise<boolean> {
    return (await this.#status('delete', key, requests.removal(key), ['DELETED', 'NOT_FOUND'])) === 'DELETED';
  }

  /** @returns the new number; undefined where there is nothing. It wraps at 2^64. */
  async incr(key: string, delta: bigint | number = 1): Promise<bigint | undefined> {
    return this.#ask('incr', key, requests.arithmetic('incr', key, delta), replies.readNumber);
  }

  /** Never below 0. */
  async decr(key: string, delta: bigint | number = 1): Promise<bigint | undefined> {
    return this.#ask('decr', key, requests.arithmetic('decr', key, delta), replies.readNumber);
  }

  /** Sets the time to live, s. @returns whether there was one */
  async touch(key: string, ttl: number): Promise<boolean> {
    return (await this.#status('touch', key, requests.touch(key, ttl), ['TOUCHED', 'NOT_FOUND'])) === 'TOUCHED';
  }

  /** get and touch: changes the time to live, so it is never sent twice. */
  async gat(key: string, ttl: number): Promise<Item | undefined> {
    return this.#single('gat', key, requests.retrievalWithTouch('gat', ttl, [key]));
  }

  async gats(key: string, ttl: number): Promise<Item | undefined> {
    return this.#single('gats', key, requests.retrievalWithTouch('gats', ttl, [key]));
  }

  // ---- anything

  /** A meta command as it stands, `mg user:42 v t`; `value` for ms, whose length the line declares. No flag q. */
  async meta(line: string, value?: Value): Promise<MetaReply> {
    return this.#ask('meta', line, requests.meta(line, value), replies.readMeta);
  }

  /**
   * Sends the payload of one request and returns the payload of its reply, both without frame headers. Not checked: a
   * store that declares a longer value than it has makes memcached swallow other clients' requests.
   */
  async request(payload: Uint8Array): Promise<Buffer> {
    const subject = { verb: 'a request', attempts: 1 };
    const reading = () => singleMessage(reply => reply);
    return (await this.#exchanges.ask(payload, reading, subject)).value;
  }

  /** Sends the payload of a request that asks for no reply (`requests.store('set', key, value, { noreply: true })`). */
  async send(payload: Uint8Array): Promise<void> {
    await this.#exchanges.post(payload);
  }

  /** What is outstanding fails with ClosedError. */
  close(): Promise<void> {
    return this.#exchanges.close();
  }

  /** One key at a time, each under an id of its own. */
  async #askAgain(items: Map<string, Item>, keys: readonly string[], verb: 'get' | 'gets'): Promise<Map<string, Item>> {
    await Promise.all(
      keys.map(async key => {
        const item = await this[verb](key);
        if (item === undefined) items.delete(key);
        else items.set(key, item);
      }),
    );
    return items;
  }

  #single(verb: string, key: string, payload: Uint8Array, attempts = 1): Promise<Item | undefined> {
    const parse = (reply: Buffer, asked: string) => replies.readSingle(reply, key, asked);
    return this.#ask(verb, key, payload, parse, attempts);
  }

  #status<Word extends string>(verb: string, key: string, payload: Uint8Array, words: readonly Word[]): Promise<Word> {
    return this.#ask(verb, key, payload, (reply, asked) => replies.readStatus(reply, words, asked));
  }

  async #ask<T>(
    verb: string,
    key: string | undefined,
    payload: Uint8Array,
    parse: (payload: Buffer, asked: string) => T,
    attempts = 1,
  ): Promise<T> {
    const asked = this.#asked(verb, key);
    const answered = await this.#exchanges.ask(payload, () => singleMessage(reply => parse(reply, asked)), {
      verb,
      key,
      attempts,
    });
    return answered.value;
  }

  #asked(verb: string, key: string | undefined): string {
    return key === undefined ? verb : `${verb} ${JSON.stringify(key)}`;
  }
}

function checkNumber(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new ArgumentError(name, value, `must be a whole number from ${min} to ${max}`);
}
