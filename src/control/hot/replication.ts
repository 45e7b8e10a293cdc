/**
 * How many nodes each hot key that is not cached lies on. Once an epoch the loads of the nodes and the heat of the keys go
 * to the controller (hotkey/controller.ts); what it decides is written into the items, and lanes are told to copy.
 *
 * Loads are smoothed as heat is, so both are of one measure. What nodes carry of keys that are copied at present is taken off
 * first, in equal parts for their weights: that is how it was meant, and nobody counts it.
 */
import { CACHED, COPIES, REPLICAS_MAX } from '../../coherence/directory.ts';
import {
  type ControlledKey,
  type ControlledNode,
  imbalanceOf,
  type Plan,
  planTreatment,
} from '../../hotkey/controller.ts';
import type { Keeper } from './keeper.ts';
import type { PlacedNode, Placement } from './placement.ts';
import { HOT } from './roster.ts';
import type { HotLimits } from './settings.ts';

/** Keys that are planned for, the hottest: of a thousand nodes' keys, no more matter. */
const KEYS_MAX = 256;
/** Clients' requests, halved each epoch, below which nodes carry no load to speak of: what Keysteer itself asks, and chance. */
const CLIENT_REQUESTS_MIN = 32;
/** Fewer copies are made of a key when so many plans in a row ask for fewer. */
const PATIENCE = 3;

/** A hot key that is not cached. */
export interface BareKey {
  readonly item: number;
  readonly hash: number;
  readonly key: Uint8Array;
  readonly reads: number;
  readonly writes: number;
  /** Nodes it was to lie on so far. */
  readonly copies: number;
  /** It is written so often that copies, read only a while after they were made, would hardly ever be. */
  readonly isVoid: boolean;
}

export interface Balance {
  /** max ÷ mean over the nodes for their weights: foreseen under the plan in force, and without any copies. */
  readonly predicted: number;
  readonly untreated: number;
  /** Measured in the last epochs; 1 when hardly anything was asked. */
  readonly measured: number;
  /** Whether the plan keeps within what is allowed. */
  readonly met: boolean;
  /** Node → what holds it above. */
  readonly limits: Readonly<Record<string, string>>;
}

export const EVEN: Balance = { predicted: 1, untreated: 1, measured: 1, met: true, limits: {} };

export class Replication {
  balance: Balance = EVEN;
  readonly #placement: Placement;
  /** By row: requests seen so far; smoothed load. */
  readonly #seen = new Map<number, number>();
  readonly #loads = new Map<number, number>();
  /** Item → plans in a row that asked for fewer copies. */
  readonly #fewer = new Map<number, number>();

  constructor(placement: Placement) {
    this.#placement = placement;
  }

  /**
   * The end of an epoch. Returns the items whose number of copies changes.
   * @param bare the hottest first
   * @param clientRequests as the detectors count them
   */
  plan(bare: readonly BareKey[], limits: HotLimits, clientRequests: number): Map<number, number> {
    const nodes = this.#placement.nodes();
    this.#measure(nodes);
    const indices = new Map(nodes.map(({ row }, index) => [row, index]));
    const keys = bare.slice(0, KEYS_MAX).map(key => this.#controlled(key, indices, limits));
    const planned = keys.filter(({ places }, i) => places.length > 0 && !bare[i]!.isVoid);
    const controlled = this.#withoutCopies(nodes, bare, indices);
    const plan = planTreatment(controlled, planned, {
      imbalance: limits.imbalance,
      keysMax: KEYS_MAX,
      copiesMax: Math.min(limits.copiesMax, REPLICAS_MAX + 1),
      cacheKeysMax: 0,
      writeShareMax: limits.writeShareMax,
    });
    if (clientRequests < CLIENT_REQUESTS_MIN) this.balance = EVEN;
    else this.#report(nodes, controlled, plan);
    return this.#changes(bare, new Map(plan.decisions.map(({ hash, copies }) => [hash, copies])));
  }

  /** The item has another key. */
  forget(item: number): void {
    this.#fewer.delete(item);
  }

  #measure(nodes: readonly PlacedNode[]): void {
    const rows = new Set(nodes.map(({ row }) => row));
    for (const row of this.#loads.keys()) if (!rows.has(row)) this.#loads.delete(row);
    for (const row of rows) {
      const requests = this.#placement.requests(row);
      const since = Math.max(0, requests - (this.#seen.get(row) ?? requests));
      this.#seen.set(row, requests);
      this.#loads.set(row, (this.#loads.get(row) ?? 0) / 2 + since);
    }
  }

  #controlled(
    { hash, key, reads, writes, copies }: BareKey,
    indices: ReadonlyMap<number, number>,
    limits: HotLimits,
  ): ControlledKey {
    const rows = this.#placement.places(key, hash, limits.copiesMax);
    const places = rows.map(row => indices.get(row)).filter(index => index !== undefined);
    const estimate = reads + writes;
    const writeShare = estimate === 0 ? 0 : writes / estimate;
    return { hash, estimate, writeShare, places, cacheable: false, treated: copies > 1 };
  }

  /** Loads less what copied keys make of them. */
  #withoutCopies(
    nodes: readonly PlacedNode[],
    bare: readonly BareKey[],
    indices: ReadonlyMap<number, number>,
  ): ControlledNode[] {
    const loads = nodes.map(({ row }) => this.#loads.get(row) ?? 0);
    for (const { key, hash, reads, writes, copies } of bare.filter(({ copies }) => copies > 1)) {
      const places = this.#placement.places(key, hash, copies).map(row => indices.get(row)!);
      const known = places.filter(index => index !== undefined);
      const weight = known.reduce((sum, index) => sum + nodes[index]!.weight, 0);
      for (const index of known) loads[index]! -= writes + (weight === 0 ? 0 : (reads * nodes[index]!.weight) / weight);
    }
    return nodes.map(({ weight, available }, index) => ({ weight, available, load: Math.max(0, loads[index]!) }));
  }

  #report(nodes: readonly PlacedNode[], controlled: readonly ControlledNode[], plan: Plan): void {
    const measured = nodes.map(({ row }) => this.#loads.get(row) ?? 0);
    this.balance = {
      predicted: plan.predictedImbalance,
      untreated: plan.untreatedImbalance,
      measured: imbalanceOf(controlled, measured),
      met: plan.met,
      limits: Object.fromEntries([...plan.limits].map(([index, limit]) => [nodes[index]!.name, limit])),
    };
  }

  /** More copies at once; fewer when that is asked for again and again, as a copy that is made anew costs a write. */
  #changes(bare: readonly BareKey[], decided: ReadonlyMap<number, number>): Map<number, number> {
    const changes = new Map<number, number>();
    for (const { item, hash, copies } of bare) {
      const wanted = decided.get(hash) ?? 1;
      const times = wanted < copies ? (this.#fewer.get(item) ?? 0) + 1 : 0;
      this.#fewer.set(item, times);
      if (wanted > copies || times >= PATIENCE) changes.set(item, wanted);
    }
    return changes;
  }
}

/** Hot keys whose reads go to nodes, the hottest first. */
export function bareKeys(keeper: Keeper): BareKey[] {
  const { heat, items } = keeper;
  const { words } = keeper.shared;
  const bare = [...items.live].filter(item => {
    const at = keeper.wordOf(item);
    return items.phase[item] === HOT && (words[at + CACHED] === 0 || words[at + COPIES]! > 1);
  });
  bare.sort((a, b) => heat.reads[b]! - heat.reads[a]!);
  return bare.map(item => ({
    item,
    hash: items.hash[item]!,
    key: Buffer.from(items.key[item]!, 'latin1'),
    reads: heat.reads[item]!,
    writes: heat.writes[item]!,
    copies: words[keeper.wordOf(item) + COPIES]!,
    // Heat is of two epochs: a write in twice the time until a copy is read.
    isVoid: heat.writes[item]! * keeper.area.lifeMs >= keeper.area.epochMs,
  }));
}
