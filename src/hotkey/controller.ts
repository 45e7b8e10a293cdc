/**
 * From the imbalance that an operator allows to the keys that are treated, and how: cached, copied to how many nodes, or
 * left alone. Pure maths on the control side; may allocate.
 *
 * **Why few keys suffice** (balls and bins; NetKV, ANCS 2016; Fan et al., "Small Cache, Big Effect", SoCC 2011). Hashing n
 * nodes' worth of keys is throwing balls of different weight. With the O(n log n) heaviest out of the way, no ball left
 * weighs much beside a node's mean load, and by Chernoff no bin then strays far from the mean. `keysForBalance` is that
 * number, as an orientation; which keys are needed is decided by what the nodes were measured to carry, because a
 * ring's own unevenness (160 points a node leave the fullest of 16 nodes 15 % above the mean, of 64 nodes 20 %) cannot be
 * seen from key counts, and copied reads can fill it up.
 *
 * **What a treated key costs**, with r reads and w writes:
 *
 *     leave       home: r + w
 *     cache       home: w                                    the balancer answers the reads
 *     replicate   each of c copies: w, and its part of r     a write goes to every copy; reads to the least loaded
 *
 * A key with more than `writeShareMax` writes is left alone: copies multiply what weighs most. So is a key that would not
 * lighten its home.
 *
 * **The goal.** No node above `imbalance` × mean for its weight, where mean is what the nodes would carry on average without
 * the extra writes that copies cost. (Else a plan could meet the ratio by raising the mean.) The plan aims at
 * `AIM` of the allowance, as measured load jitters and lanes choose between copies by what they see, not by oracle.
 *
 * **How it is reached.** Cacheable keys first: they only relieve. Then, while some node is above the goal: of all keys that it
 * reads, take those whose move relieves it most, just as many as its excess asks for. A key at home alone gets copies, as
 * many as keep a copy's part below a quarter of the mean, two at least; a copied one gets twice as many. Then all reads settle
 * (spread.ts), and the round is repeated. A round that cannot change anything ends the plan, and `limits` says for each node
 * that stayed above why. What a key is worth is counted by its estimate, which it has at least.
 */

import { pour, type Spreading, settle, takeOut } from './spread.ts';

export interface ControlledNode {
  /** Share of the load it should carry; 0: drained, gets no copies. */
  readonly weight: number;
  readonly available: boolean;
  /** Requests measured there in the period, those of keys that are treated at present left out. */
  readonly load: number;
}

export interface ControlledKey {
  readonly hash: number;
  /** Requests that it had at least in the period: its share of the detectors' count, times the requests of the period. */
  readonly estimate: number;
  /** Part of its requests that are writes, 0 to 1. */
  readonly writeShare: number;
  /** Home and successors in ring order, distinct and available; as many as may hold copies. */
  readonly places: readonly number[];
  /** Whether its value fits the cache. */
  readonly cacheable: boolean;
  /** Whether it is treated at present: then `load` of its home does not contain it. */
  readonly treated: boolean;
}

export interface ControllerOptions {
  /** Largest load of a node ÷ mean that is allowed, weights accounted for: above 1. */
  readonly imbalance: number;
  /** Keys treated, at most. */
  readonly keysMax: number;
  /** Nodes that hold a copy, home included, at most. */
  readonly copiesMax: number;
  /** Keys cached, at most; 0: the cache is off. */
  readonly cacheKeysMax: number;
  /** Write share above which a key is left alone. Default 0.5. */
  readonly writeShareMax?: number;
}

export type Treatment = 'leave' | 'cache' | 'replicate';

export interface Decision {
  readonly hash: number;
  readonly treatment: Treatment;
  /** Nodes that hold it, home included: the first so many of its places. 1 unless it is replicated. */
  readonly copies: number;
}

/** Why a node stayed above the goal: most of its excess is … */
export type Limit =
  /** … keys that were not named to the controller, or cannot be moved. */
  | 'cold'
  /** … writes, which copies do not take off, or keys that are written more than read. */
  | 'writes'
  /** … keys beyond `keysMax`. */
  | 'keys'
  /** … keys that have `copiesMax` copies, or a copy at every place. */
  | 'copies';

export interface Plan {
  /** One for each key given, in the same order. */
  readonly decisions: readonly Decision[];
  /** max/mean as measured, without treatment: all reads and writes at home. */
  readonly untreatedImbalance: number;
  /** max/mean foreseen under this plan. */
  readonly predictedImbalance: number;
  /** Requests foreseen at each node in a period. */
  readonly predictedLoads: Float64Array;
  /** Whether max/mean is foreseen within what was allowed. */
  readonly met: boolean;
  /** Node → why, for the nodes above the goal. */
  readonly limits: ReadonlyMap<number, Limit>;
}

/** Part of the allowed unevenness that a plan makes use of. */
const AIM = 0.7;
const WRITE_SHARE_MAX = 0.5;
/** Largest part of a node's mean load that one copy should draw. */
const COPY_PART = 0.25;
/** What counts as lower, in parts of the whole. */
const LEAST_GAIN = 1e-6;
const ROUNDS_MAX = 60;
const TURNS_MAX = 12;
/** At the end, for what is foreseen. */
const FINAL_TURNS_MAX = 200;

/** Keys, about, that must be treated on n nodes so that the rest is balanced by hashing: n ln n. */
export function keysForBalance(nodes: number): number {
  return Math.ceil(nodes * Math.log(Math.max(2, nodes)));
}

/** @throws RangeError for an imbalance that no plan can have */
export function planTreatment(
  nodes: readonly ControlledNode[],
  keys: readonly ControlledKey[],
  options: ControllerOptions,
): Plan {
  if (!(options.imbalance > 1)) throw new RangeError(`imbalance is ${options.imbalance}: it must be above 1`);
  return new Planner(nodes, keys, options).plan();
}

/** Largest load ÷ mean over the nodes that take load, each for its weight. 1 when there is none. */
export function imbalanceOf(nodes: readonly ControlledNode[], loads: ArrayLike<number>): number {
  const live = liveNodes(nodes);
  const mean = meanOf(nodes, live, loads);
  return mean > 0 ? Math.max(...live.map(node => loads[node]! / nodes[node]!.weight)) / mean : 1;
}

function liveNodes(nodes: readonly ControlledNode[]): number[] {
  return [...nodes.keys()].filter(node => nodes[node]!.available && nodes[node]!.weight > 0);
}

function meanOf(nodes: readonly ControlledNode[], live: readonly number[], loads: ArrayLike<number>): number {
  const [load, weight] = live.reduce(([l, w], node) => [l + loads[node]!, w + nodes[node]!.weight], [0, 0]);
  return weight > 0 ? load / weight : 0;
}

/** A key while it is planned for. */
interface Candidate extends Spreading {
  readonly key: ControlledKey;
  readonly writes: number;
  treatment: Treatment;
}

class Planner {
  readonly #nodes: readonly ControlledNode[];
  readonly #options: ControllerOptions;
  readonly #candidates: readonly Candidate[];
  readonly #live: readonly number[];
  readonly #loads: Float64Array;
  readonly #untreatedImbalance: number;
  #treated = 0;
  /** Load ÷ weight: the mean without copies' extra writes, and what is aimed at. */
  #mean = 0;
  #goal = 0;

  constructor(nodes: readonly ControlledNode[], keys: readonly ControlledKey[], options: ControllerOptions) {
    this.#nodes = nodes;
    this.#options = options;
    this.#live = liveNodes(nodes);
    this.#loads = Float64Array.from(nodes, ({ load }) => load);
    this.#candidates = keys.map(candidateOf);
    for (const { key } of this.#candidates) if (key.treated) this.#loads[key.places[0]!]! += key.estimate;
    this.#untreatedImbalance = imbalanceOf(nodes, this.#loads);
  }

  plan(): Plan {
    this.#cache();
    this.#mean = meanOf(this.#nodes, this.#live, this.#loads);
    this.#goal = this.#mean * (1 + AIM * (this.#options.imbalance - 1));
    for (let round = 0; round < ROUNDS_MAX && this.#relieveAll(); round++) this.#settle(TURNS_MAX);
    this.#settle(FINAL_TURNS_MAX);
    return this.#report();
  }

  /** The keys with the most reads, among those that may be cached. */
  #cache(): void {
    const { cacheKeysMax, keysMax } = this.#options;
    const wanted = this.#candidates.filter(candidate => candidate.key.cacheable && this.#isReadMostly(candidate));
    wanted.sort((a, b) => b.rate - a.rate);
    for (const candidate of wanted.slice(0, Math.min(cacheKeysMax, keysMax))) {
      candidate.treatment = 'cache';
      this.#treated++;
      takeOut(this.#loads, candidate);
    }
  }

  /** One round over the nodes above the goal. False when nothing was changed. */
  #relieveAll(): boolean {
    const above = this.#nodesAbove(this.#goal);
    return above.map(node => this.#relieve(node)).some(Boolean);
  }

  #relieve(node: number): boolean {
    let excess = this.#loads[node]! - this.#goal * this.#nodes[node]!.weight;
    let changed = false;
    const movable = this.#candidates.filter(candidate => this.#canSpread(candidate, node));
    movable.sort((a, b) => readsAt(b, node) - readsAt(a, node));
    for (const candidate of movable) {
      if (excess <= 0) break;
      const before = this.#loads[node]!;
      if (this.#isKeysMaxReachedFor(candidate) || !this.#spreadFurther(candidate)) continue;
      changed = true;
      excess -= before - this.#loads[node]!;
    }
    return changed;
  }

  /** Whether more copies would take reads off this node. */
  #canSpread(candidate: Candidate, node: number): boolean {
    if (candidate.treatment === 'cache' || readsAt(candidate, node) <= 0) return false;
    if (candidate.places.length >= this.#copiesMax(candidate)) return false;
    return candidate.treatment === 'replicate' || this.#isReadMostly(candidate);
  }

  #isKeysMaxReachedFor({ treatment }: Candidate): boolean {
    return treatment === 'leave' && this.#treated >= this.#options.keysMax;
  }

  /** Gives a key its first copies, or twice as many, or more if that does not help. False when nothing does. */
  #spreadFurther(candidate: Candidate): boolean {
    const copies = candidate.places.length;
    const most = this.#copiesMax(candidate);
    const enough = Math.ceil(candidate.rate / (COPY_PART * this.#mean * this.#meanWeight()));
    for (let wanted = Math.max(2 * copies, copies === 1 ? enough : 0); ; wanted *= 2) {
      if (this.#helps(candidate, Math.min(wanted, most))) break;
      this.#setCopies(candidate, copies);
      if (wanted >= most) return false;
    }
    if (candidate.treatment === 'leave') this.#treated++;
    candidate.treatment = 'replicate';
    return true;
  }

  /** Sets the copies. Whether that lowers the worst of the nodes they lie on; or leaves it as it is and all more even. */
  #helps(candidate: Candidate, copies: number): boolean {
    const places = candidate.key.places.slice(0, copies);
    const [worst, unevenness] = [this.#worstOf(places), this.#unevennessOf(places)];
    this.#setCopies(candidate, copies);
    const worstNow = this.#worstOf(places);
    if (worstNow < worst * (1 - LEAST_GAIN)) return true;
    return worstNow <= Math.max(worst, this.#goal) && this.#unevennessOf(places) < unevenness * (1 - LEAST_GAIN);
  }

  #setCopies(candidate: Candidate, copies: number): void {
    takeOut(this.#loads, candidate);
    for (const node of candidate.places.slice(1)) this.#loads[node]! -= candidate.writes;
    candidate.places = candidate.key.places.slice(0, copies);
    for (const node of candidate.places.slice(1)) this.#loads[node]! += candidate.writes;
    pour(this.#nodes, this.#loads, candidate);
  }

  #settle(turnsMax: number): void {
    const spread = this.#candidates.filter(({ treatment }) => treatment === 'replicate');
    settle(this.#nodes, this.#loads, spread, this.#mean * 1e-4, turnsMax);
  }

  #report(): Plan {
    const { imbalance } = this.#options;
    const above = this.#nodesAbove(this.#mean * imbalance);
    return {
      decisions: this.#candidates.map(({ key, treatment, places }) => ({
        hash: key.hash,
        treatment,
        copies: places.length,
      })),
      untreatedImbalance: this.#untreatedImbalance,
      predictedImbalance: imbalanceOf(this.#nodes, this.#loads),
      predictedLoads: this.#loads.slice(),
      met: above.length === 0,
      limits: new Map(above.map(node => [node, this.#limitOf(node)])),
    };
  }

  /** What the largest part of the node's load by named keys is held up by, if that part could make up for its excess. */
  #limitOf(node: number): Limit {
    const excess = this.#loads[node]! - this.#goal * this.#nodes[node]!.weight;
    const held = { copies: 0, keys: 0, writes: 0 };
    for (const candidate of this.#candidates) {
      const { treatment, key, writes } = candidate;
      if (treatment === 'replicate' && candidate.places.includes(node)) {
        held.copies += readsAt(candidate, node);
        held.writes += writes;
      } else if (treatment === 'leave' && key.places[0] === node) {
        held[this.#isReadMostly(candidate) ? 'keys' : 'writes'] += readsAt(candidate, node) + writes;
      }
    }
    if (this.#treated < this.#options.keysMax) held.keys = 0;
    const [limit, load] = Object.entries(held).reduce((most, next) => (next[1] > most[1] ? next : most));
    return load >= excess ? (limit as Limit) : 'cold';
  }

  #nodesAbove(level: number): number[] {
    const above = this.#live.filter(node => this.#levelOf(node) > level * (1 + 1e-9));
    return above.sort((a, b) => this.#levelOf(b) - this.#levelOf(a));
  }

  #levelOf(node: number): number {
    return this.#loads[node]! / this.#nodes[node]!.weight;
  }

  #worstOf(places: readonly number[]): number {
    return Math.max(...places.map(node => this.#levelOf(node)));
  }

  /** Σ load² / weight: of the same load, the less the more evenly it lies. */
  #unevennessOf(places: readonly number[]): number {
    return places.reduce((sum, node) => sum + this.#loads[node]! * this.#levelOf(node), 0);
  }

  #meanWeight(): number {
    return this.#live.reduce((sum, node) => sum + this.#nodes[node]!.weight, 0) / this.#live.length;
  }

  #copiesMax({ key }: Candidate): number {
    return Math.min(this.#options.copiesMax, key.places.length);
  }

  #isReadMostly({ key }: Candidate): boolean {
    return key.writeShare <= (this.#options.writeShareMax ?? WRITE_SHARE_MAX);
  }
}

function candidateOf(key: ControlledKey): Candidate {
  const writes = key.estimate * key.writeShare;
  const rate = key.estimate - writes;
  return { key, rate, writes, places: key.places.slice(0, 1), at: [rate], treatment: 'leave' };
}

function readsAt(candidate: Candidate, node: number): number {
  const place = candidate.places.indexOf(node);
  return place < 0 ? 0 : (candidate.at[place] ?? 0);
}
