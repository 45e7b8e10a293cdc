/**
 * Drives a generator through its phases on the calling thread:
 *
 *     resolve    ARP for the targets or their gateway
 *     prefill    every key written once
 *     await      until the common start, when one is given
 *     warmup     load that is not measured
 *     measure    load that is
 *     drain      no more requests; the last replies come or are lost
 *
 * It works in slices of 50 ms, between which the event loop turns, for progress and abort. With nothing to do it sleeps
 * in the kernel until a frame comes or a request is due.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { PORT_COUNTERS } from '../port/port.ts';
import { formatIpv4 } from '../wire/ipv4-text.ts';
import { GENERATOR_BYTES, Generator } from './generator.ts';
import { type LoadOptions, type LoadOptionsInput, parseLoadOptions } from './options.ts';
import { type LoadResult, type RunFigures, resultOf } from './result.ts';
import { PHASE_MEASURE, PHASE_WARMUP } from './tally.ts';
import { openTransport, type Transport } from './transport.ts';

const SLICE_NS = 50e6;
const PROGRESS_NS = 250e6;
const WAIT_US_MAX = 1000;

export type RunPhase = 'resolve' | 'prefill' | 'await' | 'warmup' | 'measure' | 'drain';

export interface Progress {
  phase: RunPhase;
  /** Since this phase began. */
  seconds: number;
  /** How much of the phase is done, 0 … 1; absent where nobody knows. */
  share?: number;
  /** Replies since the last report, a second. */
  repliesPerSecond: number;
  outstanding: number;
  lost: number;
  wrong: number;
}

export interface RunContext {
  /** Default: the interface named in the options, as raw frames. */
  transport?: Transport;
  /** Ends the run early; what was measured so far is the result. */
  signal?: AbortSignal;
}

/** A run that cannot go on; the message says what to look at. */
export class LoadError extends Error {
  override readonly name = 'LoadError';
}

/**
 * Runs one load.
 * @param onProgress called about four times a second
 * @throws LoadOptionsError, PortError; LoadError when a target does not answer
 */
export async function runLoad(
  input: LoadOptionsInput,
  onProgress: (progress: Progress) => void = () => {},
  { transport, signal }: RunContext = {},
): Promise<LoadResult> {
  const options = parseLoadOptions(input);
  const carrier = transport ?? openTransport(options.interface, options.ringFrames, GENERATOR_BYTES);
  try {
    return await new Run(options, carrier, onProgress, signal).result();
  } finally {
    if (transport === undefined) carrier.port.close();
  }
}

class Run {
  readonly #options: LoadOptions;
  readonly #transport: Transport;
  readonly #generator: Generator;
  readonly #onProgress: (progress: Progress) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #figures: RunFigures = {
    aborted: false,
    seconds: 0,
    repliesInTime: 0,
    cpuSeconds: 0,
    transmitRefused: 0,
    ringDropped: 0,
    prefillSeconds: 0,
  };
  #phase: RunPhase = 'resolve';
  #phaseStart_ns = 0;
  #report_ns = 0;
  #reportedReplies = 0;

  constructor(
    options: LoadOptions,
    transport: Transport,
    onProgress: (progress: Progress) => void,
    signal: AbortSignal | undefined,
  ) {
    this.#options = options;
    this.#transport = transport;
    this.#generator = new Generator(transport.port, transport.arena, options, transport.now_ns);
    this.#onProgress = onProgress;
    this.#signal = signal;
  }

  async result(): Promise<LoadResult> {
    const start_ns = this.#startTime();
    await this.#resolve();
    if (this.#options.prefill) await this.#prefill();
    await this.#enter('await', () => this.#transport.now_ns() >= start_ns);
    if (this.#options.seconds > 0) await this.#load();
    this.#generator.stop();
    await this.#enter('drain', () => this.#generator.outstanding === 0);
    return resultOf(this.#generator, this.#figures);
  }

  /** The common start on our clock, ns. */
  #startTime(): number {
    const { startAtMs } = this.#options;
    return startAtMs === undefined ? 0 : this.#transport.now_ns() + (startAtMs - Date.now()) * 1e6;
  }

  async #resolve(): Promise<void> {
    const { patienceMs } = this.#options;
    await this.#enter('resolve', elapsed_ns => {
      if (this.#generator.resolved) return true;
      if (elapsed_ns < patienceMs * 1e6) return false;
      const silent = this.#generator.unresolved().map(formatIpv4).join(', ');
      throw new LoadError(`no answer to ARP for ${silent} on ${this.#transport.port.name} in ${patienceMs} ms`);
    });
  }

  async #prefill(): Promise<void> {
    const { prefill } = this.#generator;
    const { patienceMs } = this.#options;
    let settled = 0;
    let progress_ns = 0;
    this.#generator.startPrefill();
    await this.#enter('prefill', elapsed_ns => {
      if (prefill.settled > settled) {
        settled = prefill.settled;
        progress_ns = elapsed_ns;
      }
      if (elapsed_ns - progress_ns < patienceMs * 1e6) return prefill.done;
      throw new LoadError(`prefill: ${settled} of ${prefill.count} keys written, then no reply for ${patienceMs} ms`);
    });
    this.#figures.prefillSeconds = this.#elapsed_ns() / 1e9;
    this.#generator.stop();
  }

  async #load(): Promise<void> {
    const { warmupSeconds, seconds } = this.#options;
    this.#generator.startLoad(PHASE_WARMUP, this.#transport.now_ns());
    await this.#enter('warmup', elapsed_ns => elapsed_ns >= warmupSeconds * 1e9);
    if (this.#figures.aborted) return;
    this.#generator.switchPhase(PHASE_MEASURE);
    const cpuBefore = process.cpuUsage();
    const [refusedBefore, droppedBefore] = this.#portLosses();
    await this.#enter('measure', elapsed_ns => elapsed_ns >= seconds * 1e9);
    const cpu = process.cpuUsage(cpuBefore);
    const [refused, dropped] = this.#portLosses();
    this.#figures.seconds = this.#elapsed_ns() / 1e9;
    this.#figures.repliesInTime = this.#generator.tally.replies(PHASE_MEASURE);
    this.#figures.cpuSeconds = (cpu.user + cpu.system) / 1e6;
    this.#figures.transmitRefused = refused - refusedBefore;
    this.#figures.ringDropped = dropped - droppedBefore;
  }

  /** Begins a phase and stays in it until `isDone`, or the run is aborted. Draining is never cut short. */
  async #enter(phase: RunPhase, isDone: (elapsed_ns: number) => boolean): Promise<void> {
    this.#phase = phase;
    this.#phaseStart_ns = this.#transport.now_ns();
    while (phase === 'drain' || !this.#checkAborted()) {
      const done = this.#slice(isDone);
      this.#report();
      if (done) return;
      await turn();
    }
  }

  #checkAborted(): boolean {
    if (this.#signal?.aborted) this.#figures.aborted = true;
    return this.#figures.aborted;
  }

  /** Cycles for 50 ms, or until the phase is done; true if it is. */
  #slice(isDone: (elapsed_ns: number) => boolean): boolean {
    let now_ns = this.#transport.now_ns();
    const end_ns = now_ns + SLICE_NS;
    while (now_ns < end_ns) {
      const frames = this.#generator.cycle(now_ns);
      if (isDone(now_ns - this.#phaseStart_ns)) return true;
      if (frames === 0) this.#idle();
      now_ns = this.#transport.now_ns();
    }
    return false;
  }

  /** Waits for a frame or for what is due; while room is held back for a batch, frames shall not wake us one by one. */
  #idle(): void {
    const left_us = (this.#generator.due_ns - this.#transport.now_ns()) / 1e3;
    if (left_us < 1) return;
    if (this.#generator.isHolding) this.#transport.sleep(left_us | 0);
    else this.#transport.wait(Math.min(left_us, WAIT_US_MAX) | 0);
  }

  #elapsed_ns(): number {
    return this.#transport.now_ns() - this.#phaseStart_ns;
  }

  #portLosses(): [refused: number, dropped: number] {
    const { port } = this.#transport;
    port.refreshCounters();
    const count = (name: (typeof PORT_COUNTERS)[number]) => port.counters[PORT_COUNTERS.indexOf(name)] as number;
    return [count('transmit_refused'), count('ring_dropped')];
  }

  #report(): void {
    const now_ns = this.#transport.now_ns();
    const since_ns = now_ns - this.#report_ns;
    if (since_ns < PROGRESS_NS) return;
    const { tally, outstanding } = this.#generator;
    const { replies, lost, wrong } = tally.totals();
    this.#onProgress({
      phase: this.#phase,
      seconds: this.#elapsed_ns() / 1e9,
      ...this.#share(),
      repliesPerSecond: this.#report_ns === 0 ? 0 : ((replies - this.#reportedReplies) * 1e9) / since_ns,
      outstanding,
      lost,
      wrong,
    });
    this.#report_ns = now_ns;
    this.#reportedReplies = replies;
  }

  #share(): { share?: number } {
    const { prefill } = this.#generator;
    if (this.#phase === 'prefill') return { share: prefill.settled / prefill.count };
    const seconds = { warmup: this.#options.warmupSeconds, measure: this.#options.seconds }[this.#phase as string];
    return seconds ? { share: Math.min(this.#elapsed_ns() / 1e9 / seconds, 1) } : {};
  }
}
