/**
 * The load generator: a host of its own that sends memcached requests over UDP as raw frames, matches every reply and
 * checks every byte of it.
 *
 * `cycle` receives what has come, gives up what has waited too long and sends what is due. It never blocks and, once
 * running, allocates nothing. The clock is an argument, read anew for each batch received (≤ 256 frames) or sent
 * (≤ 64): a time stamp is off by no more than the time that batch takes, some 10 to 100 µs with a kernel, and errs
 * towards a longer latency for sending and a shorter one for receiving.
 */
import type { Arena } from '../mem/arena.ts';
import {
  BATCH_ROWS_MAX,
  CHECKSUM_START_SHIFT,
  FLAG_PARTIAL_CHECKSUM,
  type Port,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
} from '../port/port.ts';
import { parseIpv4 } from '../wire/ipv4-text.ts';
import { Ledger } from './dialect.ts';
import { createDialect } from './dialects.ts';
import { Histogram } from './histogram.ts';
import { Host, type Neighbour } from './host.ts';
import { KeyNames } from './keys.ts';
import { type LoadOptions, parseEndpoint, rowsPerFlow, surgeCount, valueRange } from './options.ts';
import { ClosedPace, NEVER_NS, OpenPace, type Pace } from './pace.ts';
import { createPopularity, type Popularity } from './popularity.ts';
import { Prefill } from './prefill.ts';
import { mix32, Random } from './random.ts';
import { Receiver } from './receiver.ts';
import { RequestFrames, UDP_OFFSET } from './request-frames.ts';
import { NO_SLOT, SlotTable } from './slots.ts';
import { NO_SURGE, type SurgeResult, Surges } from './surges.ts';
import { LOST, PHASE_MEASURE, PHASE_PREFILL, REQUESTS, Tally } from './tally.ts';
import { Targets } from './targets.ts';
import { ValueRule } from './values.ts';

/** Frames sent with one transmit; AF_PACKET lends no more at a time. */
const SEND_ROWS = 64;
/** Batches of each direction in one cycle, so that neither starves the other. */
const RECEIVE_BATCHES_MAX = 4;
const SEND_BATCHES_MAX = 8;
const PARTIAL_FLAGS = FLAG_PARTIAL_CHECKSUM | (UDP_OFFSET << CHECKSUM_START_SHIFT);

/** Nanoseconds from any fixed moment on, whole. */
export type Clock = () => number;

/** Arena bytes that a generator takes beside its port. */
export const GENERATOR_BYTES = (BATCH_ROWS_MAX + SEND_ROWS) * ROW_WORDS * 4 + 256;

export class Generator {
  readonly tally = new Tally();
  readonly prefill: Prefill;
  /** Of measured GETs and SETs, ns. */
  readonly latency: readonly [Histogram, Histogram] = [new Histogram(), new Histogram()];
  /** Open loop: how late measured requests left, by this program's own fault, ns. Part of their latency. */
  readonly lag = new Histogram();
  readonly #port: Port;
  readonly #clock: Clock | undefined;
  readonly #options: LoadOptions;
  readonly #batch: Int32Array;
  readonly #sendBatch: Int32Array;
  readonly #flowsPerClient: number;
  readonly #firstPort: number;
  readonly #getRatio: number;
  readonly #timeout_ns: number;
  readonly #flags: number;
  readonly #verbs: Random;
  readonly #gaps: Random;
  readonly #popularity: Popularity;
  readonly #surges: Surges | undefined;
  readonly #names: KeyNames;
  readonly #ledger: Ledger;
  readonly #targets: Targets;
  readonly #slots: SlotTable;
  readonly #host: Host;
  readonly #frames: RequestFrames;
  readonly #receiver: Receiver;
  #pace: Pace | undefined;
  #phase = PHASE_PREFILL;
  #isOpen = false;
  #now_ns = 0;

  /** @param clock read for each batch; without one, every time stamp of a cycle is the time that it was given */
  constructor(port: Port, arena: Arena, options: LoadOptions, clock?: Clock) {
    const { clients, prefillFirst, prefillCount = options.keyCount - prefillFirst } = options;
    const addresses = clients.map(parseIpv4);
    const endpoints = options.targets.map(parseEndpoint);
    this.#port = port;
    this.#clock = clock;
    this.#options = options;
    this.#batch = rowsIn(arena, BATCH_ROWS_MAX);
    this.#sendBatch = rowsIn(arena, SEND_ROWS);
    this.#flowsPerClient = options.flowsPerClient;
    this.#firstPort = options.firstPort;
    this.#getRatio = options.getRatio;
    this.#timeout_ns = options.timeoutMs * 1e6;
    this.#flags = options.checksum === 'partial' ? PARTIAL_FLAGS : 0;
    const seed = mix32(options.seed) ^ options.writer;
    this.#verbs = new Random(seed);
    this.#gaps = new Random(seed + 1);
    this.#popularity = createPopularity(options.keyCount, options.zipf, new Random(seed + 2));
    this.#surges =
      options.surges && new Surges(options.surges, surgeCount(options), options.keyCount, new Random(seed + 3));
    this.#ledger = new Ledger(options.writer, options.keyCount, options.prefill);
    const names = new KeyNames(options.keyBytes);
    this.#names = names;
    this.#targets = new Targets(endpoints, names, options.keyCount, options.ring);
    this.#slots = new SlotTable(clients.length * options.flowsPerClient, rowsPerFlow(options));
    this.prefill = new Prefill(prefillFirst, prefillCount, options.prefillWindow);
    const hops = options.gateway === undefined ? endpoints.map(({ address }) => address) : [parseIpv4(options.gateway)];
    const onResolved = (neighbour: Neighbour) => this.#setNextHop(hops, neighbour);
    this.#host = new Host(port, arena.view, this.#sendBatch, addresses, [...new Set(hops)], onResolved);
    const values = new ValueRule(...valueRange(options));
    const dialect = createDialect(options.protocol, { names, values, ledger: this.#ledger });
    this.#frames = new RequestFrames({
      view: arena.view,
      macHigh: port.macHigh,
      macLow: port.macLow,
      clients: addresses,
      targets: endpoints,
      dialect,
      names,
      values,
      writer: options.writer,
      checksum: options.checksum,
    });
    this.#receiver = new Receiver({
      view: arena.view,
      host: this.#host,
      slots: this.#slots,
      targets: this.#targets,
      dialect,
      names,
      tally: this.tally,
      prefill: this.prefill,
      latency: this.latency,
      surges: this.#surges,
      flowsPerClient: options.flowsPerClient,
      firstPort: options.firstPort,
    });
  }

  /** Is the way to every target known? */
  get resolved(): boolean {
    return this.#host.resolved;
  }

  /** Addresses that have not answered ARP, int32. */
  unresolved(): number[] {
    return this.#host.unresolved();
  }

  get outstanding(): number {
    return this.#slots.outstanding;
  }

  /** What became of each key that was made hot. */
  surgeResults(): SurgeResult[] {
    return this.#surges?.results(this.#names) ?? [];
  }

  /** When a cycle has something to do even if no frame comes, ns; Infinity if never. */
  get due_ns(): number {
    const due = this.#host.due_ns;
    return due !== NEVER_NS || this.#pace === undefined ? due : this.#pace.next_ns;
  }

  /** Are requests held back for a better batch, so that it is not worth waking for each reply? */
  get isHolding(): boolean {
    return this.#pace?.isHolding ?? false;
  }

  /** Begins to write every key once. */
  startPrefill(): void {
    this.#enter(PHASE_PREFILL, new ClosedPace(this.#options.prefillWindow), false);
  }

  /** Begins the load proper, in the phase given. */
  startLoad(phase: number, now_ns: number): void {
    const { rate, window, spacing } = this.#options;
    if (rate === undefined) this.#enter(phase, new ClosedPace(window), false);
    else this.#enter(phase, new OpenPace(rate, now_ns, spacing === 'poisson' ? this.#gaps : undefined), true);
  }

  /** From now on requests belong to `phase`; the load goes on as it is. */
  switchPhase(phase: number): void {
    this.#phase = phase;
    this.#receiver.phase = phase;
  }

  /** Sends no more requests; replies are still taken. */
  stop(): void {
    this.#pace = undefined;
  }

  /** One turn. Returns the number of frames received and sent. */
  cycle(now_ns: number): number {
    this.#now_ns = now_ns;
    const received = this.#receive();
    this.#expire();
    return received + this.#send();
  }

  #enter(phase: number, pace: Pace, isOpen: boolean): void {
    this.switchPhase(phase);
    this.#pace = pace;
    this.#isOpen = isOpen;
  }

  #readClock(): void {
    if (this.#clock !== undefined) this.#now_ns = this.#clock();
  }

  #receive(): number {
    let frames = 0;
    for (let i = 0; i < RECEIVE_BATCHES_MAX; i++) {
      const rows = this.#port.receive(this.#batch, BATCH_ROWS_MAX);
      if (rows === 0) break;
      this.#readClock();
      this.#acceptBatch(rows);
      frames += rows;
      if (rows < BATCH_ROWS_MAX) break;
    }
    return frames;
  }

  #acceptBatch(rows: number): void {
    const batch = this.#batch;
    const receiver = this.#receiver;
    receiver.now_ns = this.#now_ns;
    let answers = 0;
    for (let i = 0; i < rows; i++) {
      receiver.accept(batch, i * ROW_WORDS);
      if (batch[i * ROW_WORDS + ROW_VERDICT] === this.#port.id) answers++;
    }
    if (answers > 0) this.#port.transmit(batch, rows);
    this.#port.release(batch, rows);
  }

  #expire(): void {
    const deadline_ns = this.#now_ns - this.#timeout_ns;
    const slots = this.#slots;
    for (;;) {
      const position = slots.expired(deadline_ns);
      if (position === NO_SLOT) return;
      const phase = slots.phaseOf(position);
      this.tally.add(phase, LOST + slots.setOf(position));
      if (phase === PHASE_PREFILL) this.prefill.retry(slots.keyOf(position));
    }
  }

  #send(): number {
    const asked = this.#host.poll(this.#now_ns);
    const pace = this.#pace;
    if (pace === undefined || !this.#host.resolved) return asked;
    let frames = 0;
    for (let i = 0; i < SEND_BATCHES_MAX; i++) {
      this.#readClock();
      const rows = this.#sendRequests(pace);
      frames += rows;
      if (rows < SEND_ROWS) break;
    }
    return asked + frames;
  }

  /** Sends what is due, a batch at most. */
  #sendRequests(pace: Pace): number {
    const room = Math.min(pace.room(this.#now_ns, this.#slots.outstanding), SEND_ROWS);
    let rows = 0;
    while (rows < room && pace.isDue(this.#now_ns) && this.#writeRequest(pace, rows)) rows++;
    // What the port refuses is counted there, and here as lost when its time is up.
    if (rows > 0) this.#port.transmit(this.#sendBatch, rows);
    return rows;
  }

  /** Writes the next request into row `row`; false when there is none, or no slot or frame for it. */
  #writeRequest(pace: Pace, row: number): boolean {
    const isPrefill = this.#phase === PHASE_PREFILL;
    if (this.#slots.isFull || (isPrefill && this.prefill.exhausted)) return false;
    const offset = this.#port.claim();
    if (offset < 0) return false;
    const key = isPrefill ? this.prefill.next() : this.#nextKey();
    const set = isPrefill || this.#verbs.unit() > this.#getRatio ? 1 : 0;
    const length = this.#writeFrame(offset, key, set, pace);
    const batch = this.#sendBatch;
    const word = row * ROW_WORDS;
    batch[word + ROW_OFFSET] = offset;
    batch[word + ROW_LENGTH] = length;
    batch[word + ROW_FLAGS] = this.#flags;
    batch[word + ROW_VERDICT] = this.#port.id;
    return true;
  }

  #nextKey(): number {
    const surges = this.#surges;
    if (surges === undefined || this.#phase !== PHASE_MEASURE) return this.#popularity.next();
    const key = surges.next(this.#now_ns);
    return key === NO_SURGE ? this.#popularity.next() : key;
  }

  #writeFrame(offset: number, key: number, set: number, pace: Pace): number {
    const slots = this.#slots;
    const version = set === 1 ? this.#ledger.issue(key) : 0;
    const position = slots.claim(key, version, set, this.#phase);
    this.#stamp(position, pace);
    this.tally.add(this.#phase, REQUESTS + set);
    const flow = slots.flowOf(position);
    const client = (flow / this.#flowsPerClient) | 0;
    const port = this.#firstPort + flow - client * this.#flowsPerClient;
    const target = this.#targets.of(key);
    const id = slots.idOf(position);
    return set === 1
      ? this.#frames.writeSet(offset, client, target, port, id, key, version)
      : this.#frames.writeGet(offset, client, target, port, id, key);
  }

  #stamp(position: number, pace: Pace): void {
    const intended_ns = pace.take(this.#now_ns);
    this.#slots.stamp(position, intended_ns, this.#now_ns);
    if (this.#isOpen && this.#phase === PHASE_MEASURE) this.lag.record(this.#now_ns - intended_ns);
  }

  #setNextHop(hops: readonly number[], { address, macHigh, macLow }: Neighbour): void {
    // Behind a gateway there is one hop for all targets, otherwise one for each.
    for (let target = 0; target < this.#options.targets.length; target++) {
      if (hops[Math.min(target, hops.length - 1)] === address) this.#frames.setNextHop(target, macHigh, macLow);
    }
  }
}

function rowsIn(arena: Arena, rows: number): Int32Array {
  return new Int32Array(arena.buffer, arena.allocate(rows * ROW_WORDS * 4), rows * ROW_WORDS);
}
