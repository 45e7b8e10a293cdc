/**
 * Asks for the same groups of keys in one of three ways, closed loop, as raw frames, in a process of its own:
 *
 *     multi     one request with all keys of the group to the one target (Keysteer)
 *     nodes     one request to each node with the group's keys that live there, as a client library does
 *     single    a request for each key
 *
 * A group is done when a value has come for each of its keys; what has not come after TIMEOUT_MS is lost, and counted.
 */

import { Host, type Neighbour } from '../src/load/host.ts';
import { KeyNames } from '../src/load/keys.ts';
import { parseEndpoint } from '../src/load/options.ts';
import { Targets } from '../src/load/targets.ts';
import { openTransport, sharpenTimers, type Transport } from '../src/load/transport.ts';
import { copyBytes } from '../src/mem/copy.ts';
import { widenInlining } from '../src/mem/inlining.ts';
import {
  BATCH_ROWS_MAX,
  CHECKSUM_START_SHIFT,
  FLAG_PARTIAL_CHECKSUM,
  PORT_COUNTERS,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
} from '../src/port/port.ts';
import * as ethernet from '../src/wire/ethernet.ts';
import * as ipv4 from '../src/wire/ipv4.ts';
import { parseIpv4 } from '../src/wire/ipv4-text.ts';
import * as udp from '../src/wire/udp.ts';

export type MultigetMode = 'multi' | 'nodes' | 'single';

export interface MultigetClientOptions {
  readonly interface: string;
  readonly address: string;
  readonly targets: readonly string[];
  readonly mode: MultigetMode;
  readonly keyCount: number;
  readonly keysPerGroup: number;
  /** Groups outstanding. */
  readonly window: number;
  readonly warmupSeconds: number;
  readonly seconds: number;
}

export interface MultigetClientResult {
  readonly groupsPerSecond: number;
  readonly keysPerSecond: number;
  /** Groups given up, and datagrams that were not values. */
  readonly lost: number;
  readonly wrong: number;
  readonly ringDropped: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

const KEY_BYTES = 16;
const GROUPS = 1024;
const RING_FRAMES = 4096;
const SEND_ROWS = 64;
const SOURCE_PORT = 20_000;
const TIMEOUT_MS = 500;
const IPV4_AT = 14;
const UDP_AT = 34;
const HEADER_AT = 42;
const BODY_AT = 50;
const PARTIAL_FLAGS = FLAG_PARTIAL_CHECKSUM | (UDP_AT << CHECKSUM_START_SHIFT);
const LF = 0x0a;
const SPACE = 0x20;
const LETTER_V = 0x56;
const ZERO = 0x30;
const NOBODY = -1;
/** Latencies are counted by whole microseconds up to this. */
const LATENCY_US_MAX = 100_000;

/** A request of a group, ready but for its id. */
interface Template {
  readonly offset: number;
  readonly length: number;
}

class Client {
  readonly #options: MultigetClientOptions;
  readonly #transport: Transport;
  readonly #host: Host;
  readonly #targets: Targets;
  readonly #batch: Int32Array;
  readonly #sendBatch: Int32Array;
  readonly #groups: Template[][] = [];
  /** Place in the window of each request id, or NOBODY. */
  readonly #placeOf = new Int32Array(65_536).fill(NOBODY);
  /** Of each place: values that are still to come, and since when, µs. */
  readonly #missing: Int32Array;
  readonly #since: Float64Array;
  readonly #idle: number[] = [];
  readonly latencies = new Int32Array(LATENCY_US_MAX + 1);
  done = 0;
  lost = 0;
  wrong = 0;
  #id = 0;
  #rows = 0;
  #group = 0;

  constructor(options: MultigetClientOptions) {
    const { keysPerGroup, keyCount, window } = options;
    const templateBytes = GROUPS * keysPerGroup * 512;
    this.#options = options;
    this.#transport = openTransport(options.interface, RING_FRAMES, templateBytes + 65_536);
    const { arena, port } = this.#transport;
    const rows = (count: number) =>
      new Int32Array(arena.buffer, arena.allocate(count * ROW_WORDS * 4), count * ROW_WORDS);
    this.#batch = rows(BATCH_ROWS_MAX);
    this.#sendBatch = rows(SEND_ROWS);
    const endpoints = options.targets.map(parseEndpoint);
    const names = new KeyNames(KEY_BYTES);
    this.#targets = new Targets(endpoints, names, keyCount);
    const hops = [...new Set(endpoints.map(({ address }) => address))];
    const learn = (neighbour: Neighbour) => this.#learn(neighbour);
    this.#host = new Host(port, arena.view, this.#sendBatch, [parseIpv4(options.address)], hops, learn);
    this.#missing = new Int32Array(window);
    this.#since = new Float64Array(window);
    for (let place = 0; place < window; place++) this.#idle.push(place);
    for (let group = 0; group < GROUPS; group++) this.#groups.push(this.#build(group, names));
  }

  get ringDropped(): number {
    this.#transport.port.refreshCounters();
    return this.#transport.port.counters[PORT_COUNTERS.indexOf('ring_dropped')];
  }

  /** Turns for so many seconds; returns how long that took. */
  run(seconds: number): number {
    const begun = performance.now();
    const end = begun + seconds * 1000;
    let sweep = begun + TIMEOUT_MS;
    for (let now = begun; now < end; now = performance.now()) {
      const work = this.#receive(now) + this.#fill(now);
      if (now > sweep) {
        this.#giveUp(now);
        sweep = now + TIMEOUT_MS / 10;
      }
      if (work === 0) this.#transport.wait(1000);
    }
    return (performance.now() - begun) / 1000;
  }

  resolve(): void {
    const end = performance.now() + 5000;
    while (!this.#host.resolved) {
      if (performance.now() > end) throw new Error('the targets do not answer ARP');
      this.#host.poll(this.#transport.now_ns());
      this.#receive(0);
      this.#transport.wait(1000);
    }
  }

  #receive(now: number): number {
    const { port } = this.#transport;
    const batch = this.#batch;
    const rows = port.receive(batch, BATCH_ROWS_MAX);
    if (rows === 0) return 0;
    for (let row = 0; row < rows * ROW_WORDS; row += ROW_WORDS) this.#accept(batch, row, now);
    port.transmit(batch, rows);
    port.release(batch, rows);
    return rows;
  }

  #accept(batch: Int32Array, row: number, now: number): void {
    const { view } = this.#transport.arena;
    const offset = batch[row + ROW_OFFSET];
    if (ethernet.etherType(view, offset) === ethernet.ETHERTYPE_ARP) return this.#host.acceptArp(batch, row);
    if (batch[row + ROW_LENGTH] < BODY_AT || view.getUint8(offset + IPV4_AT + 9) !== ipv4.PROTOCOL_UDP) return;
    const id = view.getUint16(offset + HEADER_AT);
    const place = this.#placeOf[id];
    if (place === NOBODY) return;
    const values = countValues(view, offset + BODY_AT, offset + UDP_AT + udp.length(view, offset + UDP_AT));
    if (values === 0) this.wrong++;
    this.#missing[place] -= values;
    if (this.#missing[place] <= 0) this.#finish(place, now);
  }

  #finish(place: number, now: number): void {
    const us = Math.min(LATENCY_US_MAX, Math.round((now - this.#since[place]) * 1000));
    this.latencies[us]++;
    this.done++;
    this.#free(place);
  }

  #free(place: number): void {
    this.#missing[place] = 0;
    this.#idle.push(place);
  }

  #giveUp(now: number): void {
    for (let place = 0; place < this.#missing.length; place++) {
      if (this.#missing[place] === 0 || now - this.#since[place] < TIMEOUT_MS) continue;
      this.lost++;
      this.#free(place);
    }
  }

  /** Asks again in every free place of the window. */
  #fill(now: number): number {
    let asked = 0;
    for (let place = this.#idle.pop(); place !== undefined; place = this.#idle.pop()) {
      this.#ask(place, now);
      asked++;
    }
    this.#flush();
    return asked;
  }

  #ask(place: number, now: number): void {
    const group = this.#groups[this.#group];
    this.#group = (this.#group + 1) % GROUPS;
    this.#missing[place] = this.#options.keysPerGroup;
    this.#since[place] = now;
    for (let i = 0; i < group.length; i++) this.#send(group[i], place);
  }

  #send({ offset, length }: Template, place: number): void {
    const { arena, port } = this.#transport;
    if (this.#rows === SEND_ROWS) this.#flush();
    const frame = port.claim();
    copyBytes(arena.view, offset, frame, length);
    // An id stays taken until it comes round again: a late datagram finds a place that has moved on, and is not a value of it.
    this.#placeOf[(this.#id - 32_768) & 0xffff] = NOBODY;
    this.#placeOf[this.#id] = place;
    arena.view.setUint16(frame + HEADER_AT, this.#id);
    this.#id = (this.#id + 1) & 0xffff;
    const row = this.#rows++ * ROW_WORDS;
    this.#sendBatch[row + ROW_OFFSET] = frame;
    this.#sendBatch[row + ROW_LENGTH] = length;
    this.#sendBatch[row + ROW_FLAGS] = PARTIAL_FLAGS;
    this.#sendBatch[row + ROW_VERDICT] = port.id;
  }

  #flush(): void {
    if (this.#rows > 0) this.#transport.port.transmit(this.#sendBatch, this.#rows);
    this.#rows = 0;
  }

  /** The requests of one group: 16-byte keys, the same ones in every mode. */
  #build(group: number, names: KeyNames): Template[] {
    const { keysPerGroup, keyCount, mode } = this.#options;
    const keys = Array.from(
      { length: keysPerGroup },
      (_, i) => (Math.imul(group * keysPerGroup + i, 7919) >>> 0) % keyCount,
    );
    if (mode === 'single') return keys.map(key => this.#template([key], names));
    if (mode === 'multi') return [this.#template(keys, names)];
    return [...grouped(keys, key => this.#targets.of(key)).values()].map(own => this.#template(own, names));
  }

  #template(keys: readonly number[], names: KeyNames): Template {
    const { arena, port } = this.#transport;
    const body = Buffer.from(`\0\0\0\0\0\x01\0\0get ${keys.map(key => names.text(key)).join(' ')}\r\n`, 'latin1');
    const offset = arena.allocate(HEADER_AT + body.length);
    const { view } = arena;
    const target = parseEndpoint(this.#options.targets[this.#targets.of(keys[0])]);
    const own = parseIpv4(this.#options.address);
    const udpBytes = udp.HEADER_BYTES + body.length;
    ethernet.writeHeader(view, offset, 0, 0, port.macHigh, port.macLow, ethernet.ETHERTYPE_IPV4);
    ipv4.writeHeader(view, offset + IPV4_AT, 20 + udpBytes, 0, 0x4000, 64, ipv4.PROTOCOL_UDP, own, target.address);
    udp.writeHeader(view, offset + UDP_AT, SOURCE_PORT, target.port, udpBytes);
    udp.setChecksum(view, offset + UDP_AT, ipv4.pseudoHeaderSum(view, offset + IPV4_AT, udpBytes));
    arena.bytes.set(body, offset + HEADER_AT);
    return { offset, length: HEADER_AT + body.length };
  }

  #learn({ address, macHigh, macLow }: Neighbour): void {
    const { view } = this.#transport.arena;
    for (const { offset } of this.#groups.flat()) {
      if (ipv4.destination(view, offset + IPV4_AT) === address) ethernet.setDestination(view, offset, macHigh, macLow);
    }
  }
}

function grouped(keys: readonly number[], by: (key: number) => number): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const key of keys) groups.set(by(key), [...(groups.get(by(key)) ?? []), key]);
  return groups;
}

/** Values in the bytes of a text reply: `VALUE <key> <flags> <bytes>\r\n<value>\r\n`, any number of times. */
function countValues(view: DataView, offset: number, end: number): number {
  let values = 0;
  let at = offset;
  while (at < end && view.getUint8(at) === LETTER_V) {
    let line = at + 6 + KEY_BYTES;
    while (line < end && view.getUint8(line) !== LF) line++;
    let bytes = 0;
    let first = line - 2;
    while (first > at && view.getUint8(first) !== SPACE) first--;
    for (let digit = first + 1; digit < line - 1; digit++) bytes = bytes * 10 + view.getUint8(digit) - ZERO;
    at = line + 1 + bytes + 2;
    if (at <= end) values++;
  }
  return values;
}

function quantile(latencies: Int32Array, share: number): number {
  const total = latencies.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  return latencies.findIndex(count => {
    seen += count;
    return seen >= total * share;
  });
}

function main(): void {
  widenInlining();
  sharpenTimers();
  const options = JSON.parse(process.argv[2] ?? '{}') as MultigetClientOptions;
  const client = new Client(options);
  client.resolve();
  client.run(options.warmupSeconds);
  client.done = client.lost = client.wrong = 0;
  client.latencies.fill(0);
  const seconds = client.run(options.seconds);
  const result: MultigetClientResult = {
    groupsPerSecond: client.done / seconds,
    keysPerSecond: (client.done * options.keysPerGroup) / seconds,
    lost: client.lost,
    wrong: client.wrong,
    ringDropped: client.ringDropped,
    p50Us: quantile(client.latencies, 0.5),
    p99Us: quantile(client.latencies, 0.99),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

main();
