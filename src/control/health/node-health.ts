/**
 * The health of one node: what was seen of it, and the state that follows. Pure: samples and time are arguments.
 *
 *     HEALTHY    takes keys
 *     SUSPECT    takes keys; is probed every few ms
 *     KEPT       does not answer, and takes keys all the same: too few would be left, or nobody answers at all
 *     OUT        does not answer, or not for long enough yet; its keys go to its ring successors
 *     RETURNING  answers; is being flushed
 *
 *     from       to         when
 *     HEALTHY    SUSPECT    a probe was not answered in time; a host refused a datagram; or some requests were not
 *     SUSPECT    HEALTHY    any sign of life: a reply or an answered probe
 *     SUSPECT    OUT        it has failed, and others suffice
 *     SUSPECT    KEPT       it has failed, and others do not suffice
 *     KEPT       HEALTHY    any sign of life: no key was elsewhere, so nothing in it is old
 *     KEPT       OUT        others suffice now
 *     OUT        RETURNING  it has answered for the hold time (damping.ts) and `passAfter` probes, and must be flushed
 *     OUT        HEALTHY    likewise, where `flushOnReturn` is off
 *     RETURNING  HEALTHY    a flush was confirmed
 *     RETURNING  OUT        it stopped answering again
 *     HEALTHY …  OUT        `readmit`: it took no keys for a while, by order, and is to be flushed; without a hold
 *
 * Forbidden: HEALTHY → OUT or KEPT by what was seen (nobody is judged by requests alone: probes come first). OUT → HEALTHY without a
 * flush where one is wanted (what it holds is older than what was written elsewhere). OUT → SUSPECT or KEPT, RETURNING →
 * SUSPECT or KEPT (its keys are elsewhere already).
 *
 * It has *failed* when since the last sign of life FAILED_PROBES_MIN probes in a row went unanswered and
 *
 *     its host said "port unreachable"                                                    or
 *     `failMs` passed and at least `failAfter` probes and requests together went unanswered
 *
 * so a pause shorter than `failMs` takes nobody out, and neither does loss: at 20 % a way, twelve in a row are lost once in
 * 200,000 times.
 */
import { Damping } from './damping.ts';
import {
  FAILED_PROBES_MIN,
  type HealthSettings,
  HOST_HEARD_MS,
  KEPT_PERIOD_MS,
  OUT_PERIOD_MS,
  RELAPSE_PROBES,
  SUSPECT_MS,
  SUSPECT_PERIOD_MS,
  SUSPECT_REQUESTS,
  UNDER_WAY_MS,
} from './settings.ts';

export const HEALTHY = 0;
export const SUSPECT = 1;
export const KEPT = 2;
export const OUT = 3;
export const RETURNING = 4;
export const HEALTH_NAMES = ['healthy', 'suspect', 'kept', 'out', 'returning'] as const;
export type HealthName = (typeof HEALTH_NAMES)[number];

/** What is known of a node at one moment; counts since the start, probes in a row. */
export interface NodeSample {
  /** Requests that must be answered, and replies. */
  readonly requests: number;
  readonly replies: number;
  /** Last round of probes that was answered, and how many since then were not. Wraps; only a change matters. */
  readonly answered: number;
  readonly missed: number;
  /** ICMP "port unreachable" and echo replies. */
  readonly refusals: number;
  readonly echoes: number;
  /** The next hop's Ethernet address is known; false once ARP requests went unanswered. */
  readonly resolved: boolean;
  /** Number of the last flush that was done, and of the last that was refused. */
  readonly flushed: number;
  readonly unflushed: number;
}

export interface Transition {
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

export class NodeHealth {
  readonly #settings: HealthSettings;
  readonly #damping: Damping;
  #state = HEALTHY;
  #reason = '';
  #last: NodeSample | undefined;
  #lastMs = 0;
  #aliveMs = Number.NEGATIVE_INFINITY;
  #soundMs = Number.NEGATIVE_INFINITY;
  /** At the last sign of life: requests without a reply, those lost ever included; and refusals. */
  #pendingThen = 0;
  #refusalsThen = 0;
  /** When its host was last heard, by either kind of ICMP. */
  #refusedMs = Number.NEGATIVE_INFINITY;
  #echoedMs = Number.NEGATIVE_INFINITY;
  /** Since when it answers ICMP echo, though memcached is silent. */
  #echoingMs = Number.NEGATIVE_INFINITY;
  /** Since when something has gone unanswered; undefined when nothing has. */
  #silentMs: number | undefined;
  /** The good series of a node that is out: since when, and how many probes. */
  #goodMs: number | undefined;
  #goodProbes = 0;
  #holdMs = 0;
  /** Number of the first flush of this return; those before it prove nothing. */
  #flushFrom = 0;

  constructor(settings: HealthSettings) {
    this.#settings = settings;
    this.#damping = new Damping(settings.returnAfterMs, settings.returnAfterMaxMs, settings.dampingHalfLifeS * 1000);
  }

  get state(): number {
    return this.#state;
  }

  /** Why it is not healthy; '' when it is. */
  get reason(): string {
    return this.#reason;
  }

  /** Time of the last sign of life. */
  get aliveMs(): number {
    return this.#aliveMs;
  }

  /** Since when it has been healthy without a break, suspicions included. */
  get soundMs(): number {
    return this.#soundMs;
  }

  /** Since when something has gone unanswered, if anything has. */
  get silentMs(): number | undefined {
    return this.#silentMs;
  }

  /**
   * Whether its host was heard since the node fell silent, and memcached not for so long, ms, since then: the network between is
   * whole. A kernel answers an echo before memcached answers a probe: where a link is mended, that alone says nothing.
   */
  isHostHeard(marginMs: number): boolean {
    return this.#hasRefused || (this.#hasEchoed && this.#lastMs - this.#echoingMs >= marginMs);
  }

  /** How long it must answer before it returns from this absence, ms. */
  get holdMs(): number {
    return this.#holdMs;
  }

  /** Whether it takes keys. */
  get isAvailable(): boolean {
    return this.#state <= KEPT;
  }

  /** Whether what is asked of it will not be answered. */
  get isDown(): boolean {
    return this.#state === KEPT || this.#state === OUT;
  }

  /** How often to probe it, ms; a healthy one at the configured interval, or sooner as a witness. */
  get periodMs(): number {
    const { intervalMs } = this.#settings;
    const periods = [intervalMs, SUSPECT_PERIOD_MS, KEPT_PERIOD_MS, OUT_PERIOD_MS, OUT_PERIOD_MS];
    return Math.min(periods[this.#state], intervalMs);
  }

  /** Takes in what was seen. To be called before `advance`, for all nodes. */
  observe(sample: NodeSample, nowMs: number): void {
    const last = this.#last ?? sample;
    if (sample.refusals !== last.refusals) this.#refusedMs = nowMs;
    if (sample.echoes !== last.echoes) {
      if (!this.#hasEchoed) this.#echoingMs = nowMs;
      this.#echoedMs = nowMs;
    }
    const isAlive = sample.replies !== last.replies || sample.answered !== last.answered;
    if (isAlive || this.#last === undefined) this.#noteLife(sample, last, isAlive, nowMs);
    else if (this.#silentMs === undefined && this.#evidence(sample) > 0) this.#silentMs = this.#lastMs;
    if (sample.missed >= RELAPSE_PROBES) this.#endSeries();
    this.#last = sample;
    this.#lastMs = nowMs;
  }

  /**
   * Moves on; one step at most. `othersSuffice`: enough others are there to take its keys, and one of them has answered
   * since this one stopped. `isShort`: a node that does not answer takes keys for want of others, so nobody waits out a
   * hold. `flushNumber`: the next flush that is ordered will have it.
   */
  advance(nowMs: number, othersSuffice: boolean, isShort: boolean, flushNumber: number): Transition | undefined {
    const sample = this.#last;
    if (sample === undefined) return undefined;
    const to = this.#next(sample, nowMs, othersSuffice, isShort);
    if (to === this.#state) {
      if (this.#state !== HEALTHY) this.#reason = this.#explain(sample);
      return undefined;
    }
    const from = this.#state;
    this.#enter(to, nowMs, flushNumber);
    this.#reason = to === HEALTHY ? '' : this.#explain(sample);
    return { from, to, reason: this.#reason };
  }

  /** The node is about to take keys again that were written elsewhere meanwhile: it is out until it was flushed. */
  readmit(): void {
    if (!this.isAvailable || !this.#settings.flushOnReturn) return;
    this.#state = OUT;
    this.#holdMs = 0;
    this.#endSeries();
    this.#reason = 'takes keys once it answers and was flushed';
  }

  /** Whether the next `advance` may take it out: what the pool needs to know to say whether others suffice. */
  get hasFailed(): boolean {
    return this.#last !== undefined && this.#state <= KEPT && this.#failed(this.#last, this.#lastMs);
  }

  #next(sample: NodeSample, nowMs: number, othersSuffice: boolean, isShort: boolean): number {
    const down = othersSuffice ? OUT : KEPT;
    switch (this.#state) {
      case HEALTHY:
        return this.#isSuspicious(sample, nowMs) ? SUSPECT : HEALTHY;
      case SUSPECT:
        if (this.#silentMs === undefined) return HEALTHY;
        return this.#failed(sample, nowMs) ? down : SUSPECT;
      case KEPT:
        return this.#silentMs === undefined ? HEALTHY : down;
      case OUT:
        if (!this.#mayReturn(nowMs, isShort)) return OUT;
        return this.#settings.flushOnReturn ? RETURNING : HEALTHY;
      default:
        if (sample.missed >= RELAPSE_PROBES) return OUT;
        return ((sample.flushed - this.#flushFrom) | 0) >= 0 ? HEALTHY : RETURNING;
    }
  }

  #enter(state: number, nowMs: number, flushNumber: number): void {
    if (state === OUT && this.#state !== RETURNING) this.#holdMs = this.#damping.hit(nowMs);
    if (state === OUT) this.#endSeries();
    if (state === HEALTHY && this.#state >= OUT) this.#damping.release(nowMs);
    if (state === RETURNING) this.#flushFrom = flushNumber;
    if (state === HEALTHY) this.#soundMs = nowMs;
    this.#state = state;
  }

  #noteLife(sample: NodeSample, last: NodeSample, isAlive: boolean, nowMs: number): void {
    this.#silentMs = undefined;
    // The node may have died since: what is pending now and was not a tick ago may be what it will never answer, and a
    // refusal of the same tick may be the later word.
    this.#pendingThen = Math.min(pending(sample), pending(last));
    this.#refusalsThen = last.refusals;
    if (!isAlive) return;
    this.#aliveMs = nowMs;
    this.#goodMs ??= nowMs;
    if (sample.answered !== last.answered) this.#goodProbes++;
  }

  #endSeries(): void {
    this.#goodMs = undefined;
    this.#goodProbes = 0;
  }

  #mayReturn(nowMs: number, isShort: boolean): boolean {
    if (this.#goodMs === undefined || this.#goodProbes < this.#settings.passAfter) return false;
    return isShort || nowMs - this.#goodMs >= this.#holdMs;
  }

  #isRefused(sample: NodeSample): boolean {
    return sample.refusals !== this.#refusalsThen;
  }

  #unansweredRequests(sample: NodeSample): number {
    return Math.max(pending(sample) - this.#pendingThen, 0);
  }

  /** Things that went unanswered since the last sign of life. */
  #evidence(sample: NodeSample): number {
    return this.#unansweredRequests(sample) + sample.missed + (this.#isRefused(sample) ? 1 : 0);
  }

  #isSuspicious(sample: NodeSample, nowMs: number): boolean {
    if (this.#silentMs === undefined) return false;
    if (sample.missed > 0 || this.#isRefused(sample)) return true;
    return this.#unansweredRequests(sample) >= SUSPECT_REQUESTS && nowMs - this.#silentMs >= SUSPECT_MS;
  }

  #failed(sample: NodeSample, nowMs: number): boolean {
    if (this.#silentMs === undefined || sample.missed < FAILED_PROBES_MIN) return false;
    if (this.#isRefused(sample)) return true;
    const { failMs, failAfter } = this.#settings;
    return nowMs - this.#silentMs >= failMs && this.#unansweredRequests(sample) + sample.missed >= failAfter;
  }

  get #hasRefused(): boolean {
    return this.#isHeard(this.#refusedMs, 0);
  }

  /** An echo reply that was under way when the node fell silent does not count. */
  get #hasEchoed(): boolean {
    return this.#isHeard(this.#echoedMs, UNDER_WAY_MS);
  }

  /** Whether that was later than so long after the node fell silent, and lately. */
  #isHeard(ms: number, afterMs: number): boolean {
    return this.#silentMs !== undefined && ms >= this.#silentMs + afterMs && this.#lastMs - ms < HOST_HEARD_MS;
  }

  #explain(sample: NodeSample): string {
    if (this.#state === RETURNING) {
      const refused = ((sample.unflushed - this.#flushFrom) | 0) >= 0;
      return refused
        ? 'memcached refuses flush_all (started with -F?); health.flush_on_return: false lets it return unflushed'
        : 'answers again; is being flushed';
    }
    if (this.#state === OUT && this.#silentMs === undefined) {
      if (this.#holdMs === 0) return 'takes keys once it answers and was flushed';
      return `answers again; returns when it has done so for ${(this.#holdMs / 1000).toFixed(1)} s`;
    }
    if (this.#hasRefused) return 'memcached down: its host says that nobody listens on the port';
    if (sample.missed === 0) return 'requests go unanswered';
    if (this.#hasEchoed) return 'memcached down: the host answers ICMP echo, memcached does not';
    return sample.resolved ? 'host down: no ICMP echo, no probe answer' : 'host down: no ARP answer';
  }
}

/** Requests that no reply came for, ever. Replies of several datagrams make it too small: then less counts as silence. */
function pending({ requests, replies }: NodeSample): number {
  return requests - replies;
}
