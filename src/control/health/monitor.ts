/**
 * The loop that keeps the nodes' health: a hundred times a second it reads what lanes have counted and lane 0 has
 * heard, lets the pool judge (pool.ts), and carries out what follows:
 *
 *     how often to probe, ICMP echo beside it       orders to lane 0
 *     out: DOWN, steering without the node, sweep   in this order: what is swept after no lane steers there is all there is
 *     kept: DOWN, sweep
 *     returning: flushes until one is confirmed
 *     healthy: not DOWN, steering with the node     in this order: nobody answers for a node that takes keys
 */
import {
  ANSWERED,
  DOWN,
  ECHO,
  ECHOES,
  FLUSH,
  FLUSHED,
  type HealthBlock,
  PERIOD,
  REFUSALS,
  RTT_US,
  UNFLUSHED,
} from '../../dataplane/health-block.ts';
import { HEALTH_NAMES, HEALTHY, type HealthName, OUT, RETURNING } from './node-health.ts';
import { HealthPool, type PoolSample, type PoolTransition } from './pool.ts';
import { FLUSH_RETRY_MS, type HealthSettings } from './settings.ts';

/** A large pool is looked through less often: it is tenths of a millisecond each time. */
const TICK_MS = 10;
/** While every node is healthy and nobody asks, there is nothing that could be noticed between two probes. */
const QUIET_TICK_MS = 50;
const LARGE_POOL_TICK_MS = 20;
const LARGE_POOL_NODES = 128;

/** What the lanes have counted of a node, and what steering knows of it. */
export interface NodeCensus {
  /** Row of the node table. */
  readonly node: number;
  readonly weight: number;
  /** Requests that must be answered, and replies, since the start. */
  readonly requests: number;
  readonly replies: number;
  readonly resolved: boolean;
}

/** Takes nodes out of steering and back. */
export interface Availability {
  /** Resolves once no lane steers otherwise; a rejection is answered by another try. */
  set(node: number, available: boolean, reason: string): Promise<void>;
}

export interface NodeHealthFigures {
  readonly health: HealthName | 'unwatched';
  /** '' for a healthy node. */
  readonly reason: string;
  /** Round trip of the last answered probe, µs; 0: none so far. */
  readonly rttUs: number;
}

export class HealthMonitor {
  readonly #settings: HealthSettings;
  readonly #block: HealthBlock;
  readonly #availability: Availability;
  readonly #census: () => readonly NodeCensus[];
  readonly #onTransition: (transition: PoolTransition) => void;
  readonly #pool: HealthPool;
  /** Nodes that steering leaves out at our word. */
  readonly #out = new Set<number>();
  /** When to flush a returning node again. */
  readonly #flushMs = new Map<number, number>();
  #known: ReadonlySet<number> = new Set();
  #timer: NodeJS.Timeout | undefined;
  /** Since the last look nobody has asked for anything, and no node is in doubt. */
  #isQuiet = false;
  #requests = 0;

  constructor(
    settings: HealthSettings,
    block: HealthBlock,
    availability: Availability,
    census: () => readonly NodeCensus[],
    onTransition: (transition: PoolTransition) => void = () => {},
  ) {
    this.#settings = settings;
    this.#block = block;
    this.#availability = availability;
    this.#census = census;
    this.#onTransition = onTransition;
    this.#pool = new HealthPool(settings);
  }

  /** Watches until `stop`; keeps no process alive. */
  start(): void {
    if (!this.#settings.enabled) return;
    const turn = () => {
      this.tick(performance.now());
      this.#timer = setTimeout(turn, this.tickMs).unref();
    };
    turn();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** How long until the next look, ms. */
  get tickMs(): number {
    if (this.#isQuiet) return QUIET_TICK_MS;
    return this.#known.size > LARGE_POOL_NODES ? LARGE_POOL_TICK_MS : TICK_MS;
  }

  /** One look at everything. For `start`, and whoever has a clock of his own. */
  tick(nowMs: number): void {
    const census = this.#census();
    this.#forgetOthers(census);
    const transitions = this.#pool.step(census.map(this.#sample), nowMs);
    for (const transition of transitions) this.#applyDown(transition);
    for (const { node } of census) this.#steer(node);
    this.#block.keep(this.#pool.kept);
    let ordered = false;
    for (const { node } of census) ordered = this.#order(node, nowMs) || ordered;
    if (ordered) this.#block.announceOrders();
    for (const transition of transitions) this.#onTransition(transition);
    this.#noteQuiet(census);
  }

  #noteQuiet(census: readonly NodeCensus[]): void {
    const requests = census.reduce((sum, node) => sum + node.requests, 0);
    const isHealthy = census.every(({ node }) => this.#pool.node(node)?.state === HEALTHY);
    this.#isQuiet = isHealthy && requests === this.#requests;
    this.#requests = requests;
  }

  figures(node: number): NodeHealthFigures {
    const health = this.#pool.node(node);
    const rttUs = this.#block.get(node, RTT_US);
    if (health === undefined) return { health: 'unwatched', reason: '', rttUs };
    return { health: HEALTH_NAMES[health.state], reason: health.reason, rttUs };
  }

  /**
   * To be called before steering gives keys to a node that had none, as they may have been written elsewhere meanwhile. True:
   * steering must leave it out for now; it will hear when the node answers and was flushed.
   */
  readmit(node: number): boolean {
    if (!this.#settings.enabled || !this.#settings.flushOnReturn) return false;
    this.#pool.readmit(node);
    this.#out.add(node);
    return true;
  }

  #forgetOthers(census: readonly NodeCensus[]): void {
    const known = new Set(census.map(({ node }) => node));
    for (const node of this.#known) {
      if (known.has(node)) continue;
      this.#block.clear(node);
      this.#out.delete(node);
      this.#flushMs.delete(node);
    }
    this.#known = known;
  }

  readonly #sample = ({ node, weight, requests, replies, resolved }: NodeCensus): PoolSample => {
    const block = this.#block;
    return {
      node,
      weight,
      requests,
      replies,
      resolved,
      answered: block.get(node, ANSWERED),
      missed: block.missed(node),
      refusals: block.get(node, REFUSALS),
      echoes: block.get(node, ECHOES),
      flushed: block.get(node, FLUSHED),
      unflushed: block.get(node, UNFLUSHED),
      flushNumber: (block.get(node, FLUSH) + 1) | 0,
    };
  };

  #applyDown({ node, to }: PoolTransition): void {
    const isDown = this.#pool.node(node)!.isDown || to === RETURNING;
    const wasDown = this.#block.get(node, DOWN) !== 0;
    this.#block.set(node, DOWN, isDown ? 1 : 0);
    // One that goes out is swept once it is out of steering.
    if (isDown && !wasDown && to !== OUT) this.#block.announceSweep();
  }

  /** Brings steering in line with the pool's judgement. */
  #steer(node: number): void {
    const { isAvailable, reason } = this.#pool.node(node)!;
    if (isAvailable !== this.#out.has(node)) return;
    if (isAvailable) this.#out.delete(node);
    else this.#out.add(node);
    this.#availability.set(node, isAvailable, reason).then(
      () => {
        if (!isAvailable) this.#block.announceSweep();
      },
      () => this.#restore(node, isAvailable),
    );
  }

  /** Steering did not follow: the next tick finds the difference again. */
  #restore(node: number, isAvailable: boolean): void {
    if (isAvailable) this.#out.add(node);
    else this.#out.delete(node);
  }

  /** What lane 0 shall do for this node; true when that is news. */
  #order(node: number, nowMs: number): boolean {
    const block = this.#block;
    const { state } = this.#pool.node(node)!;
    const periodMs = this.#pool.periodMs(node);
    const echo = state === HEALTHY ? 0 : 1;
    const flushes = this.#flushIfDue(node, state, nowMs);
    if (block.get(node, PERIOD) === periodMs && block.get(node, ECHO) === echo) return flushes;
    block.set(node, PERIOD, periodMs);
    block.set(node, ECHO, echo);
    return true;
  }

  #flushIfDue(node: number, state: number, nowMs: number): boolean {
    if (state !== RETURNING) this.#flushMs.delete(node);
    if (state !== RETURNING || nowMs < (this.#flushMs.get(node) ?? 0)) return false;
    this.#flushMs.set(node, nowMs + FLUSH_RETRY_MS);
    this.#block.set(node, FLUSH, (this.#block.get(node, FLUSH) + 1) | 0);
    return true;
  }
}
