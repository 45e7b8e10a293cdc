/**
 * The nodes' health together: who may be taken out, and who is to be probed how often.
 *
 * Two rules keep the pool from being taken apart by a fault that is not the nodes':
 *
 *     witness      a node is taken out only when its own host was heard by ICMP, or another node has answered, *since it
 *                  fell silent*. When nobody is heard, the fault is ours (a link, a switch, a lane): all stay, and no
 *                  cache is flushed for it. Nor is it when they are heard again one by one: a witness must not have
 *                  been suspected itself a moment ago.
 *     keep share   the nodes that stay must have at least `keepShare` of the weight, and there must be one. Moving more
 *                  keys would only overload those that are left (Envoy calls this its panic threshold).
 *
 * A node that has failed but may not go is KEPT: reads that wait for it are answered as misses (dataplane/sweep.ts).
 */
import { HEALTHY, KEPT, NodeHealth, type NodeSample, SUSPECT, type Transition } from './node-health.ts';
import { type HealthSettings, WITNESS_PERIOD_MS } from './settings.ts';

/**
 * A witness must have answered this share of `failMs` after the other fell silent, and have been sound for as long: when
 * a link of ours breaks, some are heard a little longer than others, and when it is mended, a little sooner.
 */
const WITNESS_SHARE = 0.5;
/** The same for a node that is kept: what is mended comes back bit by bit, and nothing is in a hurry any more, ms. */
const KEPT_MARGIN_MS = 500;

export interface PoolSample extends NodeSample {
  /** Row of the node table. */
  readonly node: number;
  /** Share of the keys; 0: administratively drained. */
  readonly weight: number;
  /** Number that the next flush of this node will have. */
  readonly flushNumber: number;
}

export interface PoolTransition extends Transition {
  readonly node: number;
}

export class HealthPool {
  readonly #settings: HealthSettings;
  readonly #nodes = new Map<number, NodeHealth>();

  constructor(settings: HealthSettings) {
    this.#settings = settings;
  }

  node(node: number): NodeHealth | undefined {
    return this.#nodes.get(node);
  }

  /** Nodes that are down and take keys nevertheless. */
  get kept(): number {
    return [...this.#nodes.values()].filter(({ state }) => state === KEPT).length;
  }

  /** NodeHealth.readmit, also for a node that no sample has named yet. */
  readmit(node: number): void {
    this.#healthOf(node).readmit();
  }

  /** How often to probe this node, ms. */
  periodMs(node: number): number {
    const health = this.#nodes.get(node);
    if (health === undefined) return 0;
    const isWitness = health.state === HEALTHY && (this.#some(SUSPECT) || this.#some(KEPT));
    return isWitness ? Math.min(health.periodMs, WITNESS_PERIOD_MS) : health.periodMs;
  }

  /** Everything that is known of all nodes now; nodes that are not among the samples are forgotten. */
  step(samples: readonly PoolSample[], nowMs: number): PoolTransition[] {
    this.#forgetOthers(samples);
    for (const sample of samples) this.#healthOf(sample.node).observe(sample, nowMs);
    const transitions: PoolTransition[] = [];
    for (const { node, flushNumber } of samples) {
      const health = this.#healthOf(node);
      const suffice = health.hasFailed && this.#othersSuffice(node, samples, nowMs);
      const transition = health.advance(nowMs, suffice, this.#some(KEPT), flushNumber);
      if (transition !== undefined) transitions.push({ node, ...transition });
    }
    return transitions;
  }

  #healthOf(node: number): NodeHealth {
    const known = this.#nodes.get(node);
    if (known !== undefined) return known;
    const health = new NodeHealth(this.#settings);
    this.#nodes.set(node, health);
    return health;
  }

  #forgetOthers(samples: readonly PoolSample[]): void {
    if (samples.length === this.#nodes.size && samples.every(({ node }) => this.#nodes.has(node))) return;
    const present = new Set(samples.map(({ node }) => node));
    for (const node of this.#nodes.keys()) if (!present.has(node)) this.#nodes.delete(node);
  }

  #othersSuffice(node: number, samples: readonly PoolSample[], nowMs: number): boolean {
    const silent = this.#healthOf(node);
    const marginMs = silent.state === KEPT ? KEPT_MARGIN_MS : this.#settings.failMs * WITNESS_SHARE;
    const sinceMs = (silent.silentMs ?? 0) + marginMs;
    let witnessed = silent.isHostHeard(marginMs);
    let total = 0;
    let left = 0;
    for (const { node: other, weight } of samples) {
      total += weight;
      const health = this.#healthOf(other);
      if (other === node || !health.isAvailable) continue;
      left += weight;
      const isSound = health.state === HEALTHY && health.soundMs <= nowMs - marginMs;
      witnessed ||= isSound && health.aliveMs >= sinceMs;
    }
    return witnessed && left > 0 && left >= this.#settings.keepShare * total;
  }

  #some(state: number): boolean {
    for (const health of this.#nodes.values()) if (health.state === state) return true;
    return false;
  }
}
