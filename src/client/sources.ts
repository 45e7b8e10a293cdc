/**
 * Many clients from one host: probes from a range of source addresses, each counted by itself.
 *
 * Requests are written whole, IPv4 header and all (raw-socket.ts), so the addresses need not be ours for them to leave.
 * For the replies to come back the range must be routed to this host and be local to it:
 *
 *     ip route add local 10.99.0.0/16 dev lo
 *
 * A memcached that has no route to a source at all falls silent over UDP, for everybody, until it is restarted (1.6.18:
 * the reply that cannot be sent stays at the head of its queue). So probes from addresses that are not local here are
 * sent only when the caller says so.
 *
 * A reply counts for a source when it comes from the server to that address, under an id that the source has
 * outstanding, and answers its key; the first datagram of a longer one is enough. All sources use one port, which a
 * socket of ours holds, or the kernel would refuse the replies with ICMP.
 */

import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { FRAME_HEADER_BYTES, requestId, sequence, total } from '../memcached/frame-header.ts';
import { formatIpv4, parseIpv4 } from '../wire/ipv4-text.ts';
import { ArgumentError, ClientError } from './errors.ts';
import { type Latency, LatencyRecord } from './latency.ts';
import { eachInterval, orAborted } from './pace.ts';
import { openRawUdp, type RawSocket } from './raw-socket.ts';
import { readSingle } from './replies.ts';
import * as requests from './requests.ts';
import type { Server } from './server.ts';
import { type Arrived, type Flow, readArrived, writeRequest } from './source-datagram.ts';

export interface SourcesOptions {
  readonly server: Server;
  /** How many, 1 … 16,384. */
  readonly sources: number;
  /** The first address; the others follow. */
  readonly base: string;
  /** Rounds, in each of which every source sends one request. Infinity: until `signal`. */
  readonly rounds: number;
  /** Between rounds, over which the requests of a round are spread; 0: as the answers come. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Send although no reply can come back here. */
  readonly isUnroutedFine: boolean;
  /** Number of the request over all sources (1 …) → key. */
  readonly keyOf: (sequence: number) => string;
  readonly signal: AbortSignal;
}

export interface SourceCounts {
  readonly address: string;
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
}

export interface SourcesSummary {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly pending: number;
  readonly duplicates: number;
  /** Answers under an id that the source has not outstanding (late, or another's). */
  readonly strays: number;
  /** From the server to our port, but to an address that is none of the sources. */
  readonly misdirected: number;
  /** Answered by an error line, by another key, by no memcached reply. */
  readonly wrong: number;
  /** Requests that the kernel did not take, and why (the first). */
  readonly unsent: number;
  readonly unsentReason?: string;
  readonly latency?: Latency;
  readonly sources: readonly SourceCounts[];
  readonly seconds: number;
}

export const SOURCES_MAX = 16_384;
/** Requests outstanding at once: what a run may remember. */
const OUTSTANDING_MAX = 1 << 20;
/** With an interval of 0: requests under way at a time. */
const WINDOW = 64;
/** How often requests are looked through for those whose time is over, ms. */
const SWEEP_MS = 20;

interface Outstanding {
  readonly source: number;
  readonly key: string;
  readonly sentAtMs: number;
  isAnswered: boolean;
}

export class Sources {
  readonly #options: SourcesOptions;
  readonly #raw: RawSocket;
  readonly #server: number;
  readonly #port: number;
  readonly #base: number;
  readonly #firstId = randomInt(0x10000);
  readonly #sent: Uint32Array;
  readonly #received: Uint32Array;
  readonly #pending: Uint32Array;
  /** Sum of `#pending`. */
  #pendingCount = 0;
  readonly #latency = new LatencyRecord();
  readonly #counts = { duplicates: 0, strays: 0, misdirected: 0, wrong: 0, unsent: 0 };
  /** Source number × 65,536 + request id, oldest first; kept until the timeout, answered or not. */
  readonly #outstanding = new Map<number, Outstanding>();
  #unsentReason: string | undefined;

  private constructor(options: SourcesOptions, raw: RawSocket, server: number, port: number) {
    this.#options = options;
    this.#raw = raw;
    this.#server = server;
    this.#port = port;
    this.#base = parseIpv4(options.base);
    this.#sent = new Uint32Array(options.sources);
    this.#received = new Uint32Array(options.sources);
    this.#pending = new Uint32Array(options.sources);
    raw.on('message', bytes => this.#hear(bytes));
  }

  /**
   * Runs to its end.
   * @throws ArgumentError, KeyError, RawSocketError; AddressError for `base`; the resolver's error
   */
  static async run(options: SourcesOptions): Promise<SourcesSummary> {
    await checkOptions(options);
    const { address } = await lookup(options.server.host, { family: 4 });
    const raw = await openRawUdp();
    const placeholder = createSocket('udp4');
    try {
      placeholder.bind(0);
      await once(placeholder, 'listening');
      const { port } = placeholder.address();
      return await new Sources(options, raw, parseIpv4(address), port).#run();
    } finally {
      placeholder.close();
      raw.close();
    }
  }

  async #run(): Promise<SourcesSummary> {
    const startMs = performance.now();
    const { rounds, intervalMs, signal } = this.#options;
    const failed = new Promise<never>((_, reject) => {
      this.#raw.on('error', error => reject(error ?? new ClientError('the raw socket failed')));
    });
    const sweep = setInterval(() => this.#sweep(), SWEEP_MS);
    try {
      const sent = eachInterval(rounds, intervalMs, signal, round => this.#round(round));
      await Promise.race([sent.then(() => orAborted(this.#pendingBelow(1), signal)), failed]);
    } finally {
      clearInterval(sweep);
    }
    return this.#summary((performance.now() - startMs) / 1000);
  }

  /** One request of each source, sent; with an interval of 0 also answered or given up. */
  async #round(round: number): Promise<void> {
    const { sources, keyOf, signal } = this.#options;
    const id = (this.#firstId + round) & 0xffff;
    const startMs = performance.now();
    for (let source = 0; source < sources && !signal.aborted; source++) {
      await this.#turn(source, startMs);
      await this.#send(source, id, keyOf(round * sources + source + 1));
    }
    if (this.#options.intervalMs === 0) await this.#pendingBelow(1);
  }

  /** Resolves when it is this source's turn in the round. */
  async #turn(source: number, startMs: number): Promise<void> {
    const { intervalMs, sources } = this.#options;
    if (intervalMs === 0) return this.#pendingBelow(WINDOW);
    const aheadMs = startMs + (intervalMs * source) / sources - performance.now();
    if (aheadMs >= 1) await sleep(aheadMs);
  }

  async #send(source: number, id: number, key: string): Promise<void> {
    const flow = { ...this.#flow, source: (this.#base + source) | 0 };
    const datagram = writeRequest(flow, id, requests.retrieval('get', [key]));
    const name = source * 0x10000 + id;
    this.#sent[source] += 1;
    this.#changePending(source, 1);
    this.#outstanding.delete(name); // an entry of 65,536 rounds ago has long been decided; the new one goes to the end
    this.#outstanding.set(name, { source, key, sentAtMs: performance.now(), isAnswered: false });
    await new Promise<void>(resolve => {
      this.#raw.send(datagram, 0, datagram.length, formatIpv4(this.#server), error => {
        if (error !== null) this.#noteUnsent(name, error);
        resolve();
      });
    });
  }

  get #flow(): Flow {
    const { port: destinationPort } = this.#options.server;
    return { source: 0, sourcePort: this.#port, destination: this.#server, destinationPort };
  }

  #noteUnsent(name: number, error: Error): void {
    const { source } = this.#outstanding.get(name)!;
    this.#outstanding.delete(name);
    this.#sent[source] -= 1;
    this.#changePending(source, -1);
    this.#counts.unsent += 1;
    this.#unsentReason ??= error.message;
  }

  /** Every UDP datagram that this host takes comes here, our own requests too where the server is on this host. */
  #hear(bytes: Buffer): void {
    const arrived = readArrived(bytes);
    if (arrived === undefined || !this.#isReply(arrived)) return;
    const source = (arrived.destination - this.#base) >>> 0;
    if (source >= this.#options.sources) this.#counts.misdirected += 1;
    else if (arrived.body.length < FRAME_HEADER_BYTES) this.#counts.strays += 1;
    else this.#take(source, arrived.body);
  }

  #isReply({ source, sourcePort, destinationPort }: Arrived): boolean {
    return source === this.#server && sourcePort === this.#options.server.port && destinationPort === this.#port;
  }

  #take(source: number, body: Buffer): void {
    if (sequence(body, 0) !== 0) return; // a later part of a long reply
    const outstanding = this.#outstanding.get(source * 0x10000 + requestId(body, 0));
    if (outstanding === undefined) {
      this.#counts.strays += 1;
    } else if (outstanding.isAnswered) {
      this.#counts.duplicates += 1;
    } else {
      this.#latency.note((performance.now() - outstanding.sentAtMs) * 1000);
      outstanding.isAnswered = true;
      this.#received[source] += 1;
      this.#changePending(source, -1);
      if (!isAnswer(body, outstanding.key)) this.#counts.wrong += 1;
    }
  }

  #sweep(): void {
    const overMs = performance.now() - this.#options.timeoutMs;
    for (const [name, { source, sentAtMs, isAnswered }] of this.#outstanding) {
      if (sentAtMs > overMs) return;
      if (!isAnswered) this.#changePending(source, -1);
      this.#outstanding.delete(name);
    }
  }

  #changePending(source: number, by: number): void {
    this.#pending[source] += by;
    this.#pendingCount += by;
  }

  async #pendingBelow(count: number): Promise<void> {
    while (this.#pendingCount >= count && !this.#options.signal.aborted) await sleep(1);
  }

  #summary(seconds: number): SourcesSummary {
    const sources = Array.from(this.#sent, (sent, source): SourceCounts => {
      const received = this.#received[source];
      const lost = sent - received - this.#pending[source];
      return { address: formatIpv4((this.#base + source) | 0), sent, received, lost };
    });
    const sum = (counts: Uint32Array) => counts.reduce((total, count) => total + count, 0);
    const latency = this.#latency.summary();
    return {
      ...{ sent: sum(this.#sent), received: sum(this.#received), pending: this.#pendingCount },
      lost: sources.reduce((total, { lost }) => total + lost, 0),
      ...this.#counts,
      ...(this.#unsentReason !== undefined && { unsentReason: this.#unsentReason }),
      ...(latency && { latency }),
      ...{ sources, seconds },
    };
  }
}

/** Whole replies are read; of a longer one only what the first datagram must begin with. */
function isAnswer(body: Buffer, key: string): boolean {
  const payload = body.subarray(FRAME_HEADER_BYTES);
  if (total(body, 0) !== 1) return payload.toString('utf8', 0, key.length * 4 + 8).startsWith(`VALUE ${key} `);
  try {
    readSingle(payload, key, 'get');
    return true;
  } catch (error) {
    if (error instanceof ClientError) return false;
    throw error;
  }
}

async function checkOptions(options: SourcesOptions): Promise<void> {
  const { sources, base, intervalMs, timeoutMs, keyOf } = options;
  if (!(Number.isInteger(sources) && sources >= 1 && sources <= SOURCES_MAX)) {
    throw new ArgumentError('sources', sources, `must be 1 to ${SOURCES_MAX}`);
  }
  const first = parseIpv4(base) >>> 0;
  if (first >>> 24 === 0 || first >>> 24 === 127 || (first + sources - 1) / 2 ** 24 >= 224) {
    throw new ArgumentError('source base', base, 'must be the first of so many unicast addresses');
  }
  checkPrefix(base, sources);
  const rounds = intervalMs === 0 ? 1 : Math.ceil(timeoutMs / intervalMs) + 1;
  if (sources * rounds > OUTSTANDING_MAX) {
    throw new ArgumentError('sources × timeout ÷ interval', sources * rounds, `must be at most ${OUTSTANDING_MAX}`);
  }
  requests.checkKey(keyOf(Number.MAX_SAFE_INTEGER));
  if (!options.isUnroutedFine) await checkRouted(parseIpv4(base), sources);
}

/** What is made local goes to nobody else: the prefix that `checkRouted` names must be no wider than it has to be. */
function checkPrefix(base: string, sources: number): void {
  const prefix = coveringPrefix(parseIpv4(base), sources);
  if (2 ** (32 - Number(prefix.split('/')[1])) <= Math.max(256, 4 * sources)) return;
  throw new ArgumentError('source base', base, `must have its ${sources} addresses closer together than in ${prefix}`);
}

async function checkRouted(first: number, sources: number): Promise<void> {
  for (const address of [first, (first + sources - 1) | 0].map(formatIpv4)) {
    if (await isLocal(address)) continue;
    const command = `ip route add local ${coveringPrefix(first, sources)} dev lo`;
    const harm = 'a memcached without a route to a source stops answering anybody over UDP';
    throw new ArgumentError('source', address, `must be local here for replies to come back (${harm}): ${command}`);
  }
}

async function isLocal(address: string): Promise<boolean> {
  const socket: Socket = createSocket('udp4');
  try {
    socket.bind(0, address);
    await once(socket, 'listening');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL') return false;
    throw error;
  } finally {
    socket.close();
  }
}

/** The smallest prefix with all of the addresses: `10.99.0.0/22`. */
export function coveringPrefix(first: number, count: number): string {
  let length = 32;
  while (length > 0 && (first ^ (first + count - 1)) >>> (32 - length) !== 0) length -= 1;
  const mask = length === 0 ? 0 : -1 << (32 - length);
  return `${formatIpv4(first & mask)}/${length}`;
}
