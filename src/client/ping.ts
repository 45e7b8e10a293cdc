/**
 * Probes at an interval, as ping(8): which of them were answered, how fast, and by which node.
 *
 * A probe is a `get`, which changes nothing; a miss is an answer like any other. With `valueFor` it is a `set` and then a
 * `get` that must bring the value back. The node is asked for apart, by `stats locate <key>`, which Keysteer answers
 * itself: where that key goes now. Other servers know no such thing and are not asked again.
 */
import { ReplyError, ServerError } from './errors.ts';
import { type Answered, Exchanges, type Subject } from './exchanges.ts';
import { type Latency, LatencyRecord } from './latency.ts';
import { eachInterval, orAborted } from './pace.ts';
import { singleMessage } from './readings.ts';
import { type Item, readSingle, readStats, readStatus } from './replies.ts';
import * as requests from './requests.ts';
import type { Server } from './server.ts';

export interface PingOptions {
  readonly server: Server;
  /** Infinity: until `signal`. */
  readonly count: number;
  /** 0: each probe follows the answer to the last. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Sequence (1 …) → key. */
  readonly keyOf: (sequence: number) => string;
  /** Sequence → what is written and must be read again; absent: nothing is written. */
  readonly valueFor?: (sequence: number) => Uint8Array;
  /** Ends the run; what is outstanding then is not counted as lost. */
  readonly signal: AbortSignal;
}

/**
 * hit, miss: answered. verified: written and read back. wrong: the value that came back is another, or gone.
 * error: answered by an error line, or by what is no memcached reply. lost: no answer in time, or could not be sent.
 */
export type Outcome = 'hit' | 'miss' | 'verified' | 'wrong' | 'error' | 'lost';

export interface Probe {
  /** 1, 2, … */
  readonly sequence: number;
  readonly key: string;
  readonly outcome: Outcome;
  /** Round trip of the get, of the set. */
  readonly getMicroseconds?: number;
  readonly setMicroseconds?: number;
  /** Where Keysteer sends the key; absent when the server does not say. */
  readonly node?: Node;
  /** What is to be said of wrong, error and lost. */
  readonly detail?: string;
}

export interface Node {
  readonly name: string;
  /** `10.77.1.11:11211` */
  readonly address?: string;
}

export interface PingSummary {
  readonly sent: number;
  /** Answered, rightly or not. */
  readonly received: number;
  readonly lost: number;
  /** Under way when the run was ended. */
  readonly pending: number;
  /** Datagrams that came a second time, and answers that came after their timeout. */
  readonly duplicates: number;
  readonly late: number;
  readonly wrong: number;
  readonly errors: number;
  /** Absent when nothing came. */
  readonly get?: Latency;
  readonly set?: Latency;
  /** Node name → answered probes of keys that it has. */
  readonly nodes: Readonly<Record<string, number>>;
  readonly seconds: number;
}

/** What may go to a terminal as it is. */
const PRINTABLE = /^[!-~]{1,64}$/;
/** Time to live of what is written, s. */
const TTL = 60;
/** Past ids by which a duplicate is known; a client has no more. */
const IDS = 0x10000;

export class Ping {
  readonly #options: PingOptions;
  readonly #exchanges: Exchanges;
  readonly #onProbe: (probe: Probe) => void;
  readonly #get = new LatencyRecord();
  readonly #set = new LatencyRecord();
  readonly #nodes = new Map<string, number>();
  readonly #counts = { sent: 0, received: 0, lost: 0, strays: 0, late: 0, wrong: 0, errors: 0 };
  /** Request id → 1 asked, 2 answered, by this run. */
  readonly #ids = new Uint8Array(IDS);
  readonly #underWay = new Set<Promise<void>>();
  /** The id that was given to what is being asked now. */
  #sentId = -1;
  #locates = true;

  private constructor(options: PingOptions, exchanges: Exchanges, onProbe: (probe: Probe) => void) {
    this.#options = options;
    this.#exchanges = exchanges;
    this.#onProbe = onProbe;
    exchanges.onSend = id => {
      this.#sentId = id;
    };
    exchanges.onStray = id => this.#noteStray(id);
  }

  /**
   * Runs to its end and tells of each probe as it is decided.
   * @throws KeyError, ArgumentError for a key or a value that cannot be sent; or the resolver's error
   */
  static async run(options: PingOptions, onProbe: (probe: Probe) => void): Promise<PingSummary> {
    const { server, timeoutMs, keyOf, valueFor } = options;
    requests.store('set', keyOf(Number.MAX_SAFE_INTEGER), valueFor?.(Number.MAX_SAFE_INTEGER) ?? '', { ttl: TTL });
    const exchanges = await Exchanges.open(server, { timeoutMs, settleMs: 0 });
    try {
      return await new Ping(options, exchanges, onProbe).#run();
    } finally {
      await exchanges.close();
    }
  }

  async #run(): Promise<PingSummary> {
    const { count, intervalMs, signal, keyOf } = this.#options;
    // Before the first probe, so that its time is not that of code that runs for the first time.
    await orAborted(this.#locate(keyOf(1)), signal);
    const startMs = performance.now();
    await eachInterval(count, intervalMs, signal, n => {
      const probe = this.#start(n + 1);
      return intervalMs === 0 ? probe : undefined;
    });
    await orAborted(Promise.all(this.#underWay), signal);
    return this.#summary((performance.now() - startMs) / 1000);
  }

  #start(sequence: number): Promise<void> {
    this.#counts.sent += 1;
    const probe = this.#probe(sequence).finally(() => this.#underWay.delete(probe));
    this.#underWay.add(probe);
    return probe;
  }

  async #probe(sequence: number): Promise<void> {
    const key = this.#options.keyOf(sequence);
    const asked = this.#decide(sequence, key);
    const [decided, node] = await Promise.all([asked, this.#locate(key)]);
    if (this.#options.signal.aborted) return;
    const probe: Probe = { sequence, key, ...decided, ...(node && { node }) };
    this.#note(probe);
    this.#onProbe(probe);
  }

  async #decide(sequence: number, key: string): Promise<Omit<Probe, 'sequence' | 'key' | 'node'>> {
    const value = this.#options.valueFor?.(sequence);
    try {
      const set = value && (await this.#ask('set', key, requests.store('set', key, value, { ttl: TTL }), stored));
      const { value: item, microseconds } = await this.#ask('get', key, requests.retrieval('get', [key]), single(key));
      const times = { getMicroseconds: microseconds, ...(set && { setMicroseconds: set.microseconds }) };
      return { ...judge(item, value), ...times };
    } catch (error) {
      const isAnswer = error instanceof ServerError || error instanceof ReplyError;
      return { outcome: isAnswer ? 'error' : 'lost', detail: (error as Error).message };
    }
  }

  async #ask<T>(verb: string, key: string, payload: Uint8Array, parse: (reply: Buffer) => T): Promise<Answered<T>> {
    const subject: Subject = { verb, key, attempts: 1 };
    const answered = this.#exchanges.ask(payload, () => singleMessage(parse), subject);
    const id = this.#sentId;
    this.#ids[id] = 1;
    const { value, microseconds } = await answered;
    this.#ids[id] = 2;
    return { value, microseconds: Math.round(microseconds) };
  }

  /** A datagram that nobody waits for: of a probe that was answered, or of one that was given up? */
  #noteStray(id: number): void {
    if (this.#ids[id] === 2) this.#counts.strays += 1;
    else if (this.#ids[id] === 1) this.#counts.late += 1;
  }

  async #locate(key: string): Promise<Node | undefined> {
    if (!this.#locates) return undefined;
    const subject: Subject = { verb: 'stats locate', key, attempts: 1 };
    const parse = (reply: Buffer) => readStats(reply, 'stats locate');
    try {
      const asked = this.#exchanges.ask(requests.stats(`locate ${key}`), () => singleMessage(parse), subject);
      this.#ids[this.#sentId] = 0;
      const stats = (await asked).value;
      const name = stats.get('node');
      const address = stats.get('address');
      if (name !== undefined && PRINTABLE.test(name))
        return { name, ...(address && PRINTABLE.test(address) && { address }) };
      this.#locates = false;
    } catch (error) {
      if (error instanceof ServerError) this.#locates = false;
    }
    return undefined;
  }

  #note({ outcome, getMicroseconds, setMicroseconds, node }: Probe): void {
    if (outcome === 'lost') this.#counts.lost += 1;
    else this.#counts.received += 1;
    if (outcome === 'wrong') this.#counts.wrong += 1;
    if (outcome === 'error') this.#counts.errors += 1;
    if (getMicroseconds !== undefined) this.#get.note(getMicroseconds);
    if (setMicroseconds !== undefined) this.#set.note(setMicroseconds);
    if (node && outcome !== 'lost') this.#nodes.set(node.name, (this.#nodes.get(node.name) ?? 0) + 1);
  }

  #summary(seconds: number): PingSummary {
    const { sent, received, lost, strays, late, wrong, errors } = this.#counts;
    const duplicates = strays + this.#exchanges.counts.duplicates;
    const get = this.#get.summary();
    const set = this.#set.summary();
    return {
      ...{ sent, received, lost, pending: sent - received - lost, duplicates, late, wrong, errors },
      ...(get && { get }),
      ...(set && { set }),
      nodes: Object.fromEntries([...this.#nodes].sort(([a], [b]) => a.localeCompare(b))),
      seconds,
    };
  }
}

/** `user:%d` → `user:1`, `user:2`, … */
export function keysOf(pattern: string): (sequence: number) => string {
  return sequence => pattern.replaceAll('%d', `${sequence}`);
}

function judge(item: Item | undefined, value: Uint8Array | undefined): { outcome: Outcome; detail?: string } {
  if (value === undefined) return { outcome: item === undefined ? 'miss' : 'hit' };
  if (item === undefined) return { outcome: 'wrong', detail: 'what was set is not there' };
  if (Buffer.compare(item.value, value) === 0) return { outcome: 'verified' };
  return { outcome: 'wrong', detail: `another value than was set: ${item.value.length} of ${value.length} bytes` };
}

function stored(reply: Buffer): string {
  return readStatus(reply, ['STORED'], 'set');
}

function single(key: string): (reply: Buffer) => Item | undefined {
  return reply => readSingle(reply, key, `get ${JSON.stringify(key)}`);
}
