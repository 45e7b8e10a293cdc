/** A balancer in numbers: a ketama ring, a detector, the controller, and requests that go where the plan says. */
import {
  type ControlledKey,
  type ControlledNode,
  type ControllerOptions,
  type Plan,
  planTreatment,
} from '../../src/hotkey/controller.ts';
import { SHARE } from '../../src/hotkey/detectors.ts';
import { mergeShare } from '../../src/hotkey/merge.ts';
import { createPopularity } from '../../src/load/popularity.ts';
import { Random } from '../../src/load/random.ts';
import { lookup, lookupSlot, nodeAtSlot, slotCount } from '../../src/steer/lookup.ts';
import type { SteerTable } from '../../src/steer/table.ts';
import { nodesOf, tableOf } from '../steer/tables.ts';
import { bedOf, hashOf } from './streams.ts';

const REQUESTS = 1_500_000;

/** Which of a key's nodes reads it. */
export type Chooser = (places: readonly number[], loads: Float64Array, random: Random) => number;

export const choosers = {
  leastLoaded: (places: readonly number[], loads: Float64Array) =>
    places.reduce((best, node) => (loads[node]! < loads[best]! ? node : best)),
  powerOfTwo: (places: readonly number[], loads: Float64Array, random: Random) => {
    const first = random.below(places.length);
    const second = (first + 1 + random.below(Math.max(1, places.length - 1))) % places.length;
    return loads[places[first]!]! <= loads[places[second]!]! ? places[first]! : places[second]!;
  },
} satisfies Record<string, Chooser>;

/** What was learnt from a stream. */
export interface Learnt {
  readonly table: SteerTable;
  readonly nodes: readonly ControlledNode[];
  readonly keys: readonly ControlledKey[];
  readonly hashes: Int32Array;
  readonly exponent: number;
  readonly writeShare: number;
}

export function nodesEven(count: number): SteerTable {
  const capacity = { nodesMax: 64, lanesMax: 1 };
  return tableOf(nodesOf(...Array<number>(count).fill(1)), { algorithm: 'ketama', hash: 'murmur3' }, capacity);
}

/** Hashes of the keys, the hottest first. */
export function rankedKeys(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => hashOf(i));
}

/** Shows a stream to a detector and to the ring; names the keys from `SHARE` on. */
export function measure(
  table: SteerTable,
  hashes: Int32Array,
  exponent: number,
  writeShare: number,
  seed: number,
): Learnt {
  const { detector } = bedOf('self-adaptive');
  const nodes = table.words[table.current + 2]!;
  const loads = new Float64Array(nodes);
  const popularity = createPopularity(hashes.length, exponent, new Random(seed));
  for (let i = 0; i < REQUESTS; i++) {
    const hash = hashes[popularity.next()]!;
    detector.update(hash, 1);
    loads[lookup(table.words, table.current, hash)]! += 1;
  }
  const keys = mergeShare([detector], SHARE).keys.map(({ hash, estimate }) => {
    return { hash, estimate, writeShare, places: placesOf(table, hash), cacheable: true, treated: false };
  });
  const controlled = Array.from(loads, load => ({ weight: 1, available: true, load }));
  return { table, nodes: controlled, keys, hashes, exponent, writeShare };
}

export function treatmentFor({ nodes, keys }: Learnt, options: ControllerOptions): Plan {
  return planTreatment(nodes, keys, options);
}

/** Requests at each node when another stream of the same law is served. */
export function serve(learnt: Learnt, plan: Plan | undefined, choose: Chooser, seed: number): Float64Array {
  const { table, hashes, exponent, writeShare } = learnt;
  const random = new Random(seed + 1000);
  const loads = new Float64Array(learnt.nodes.length);
  const copied = new Map<number, readonly number[]>();
  for (const [i, { hash, treatment, copies }] of (plan?.decisions ?? []).entries()) {
    if (treatment === 'replicate') copied.set(hash, learnt.keys[i]!.places.slice(0, copies));
  }
  const popularity = createPopularity(hashes.length, exponent, new Random(seed));
  for (let i = 0; i < REQUESTS; i++) {
    const hash = hashes[popularity.next()]!;
    const places = copied.get(hash);
    if (places === undefined) loads[lookup(table.words, table.current, hash)]! += 1;
    else if (writeShare > 0 && random.unit() <= writeShare) for (const node of places) loads[node]! += 1;
    else loads[choose(places, loads, random)]! += 1;
  }
  return loads;
}

/** All nodes in ring order from a key's home on. */
function placesOf(table: SteerTable, hash: number): number[] {
  const { words, current } = table;
  const slots = slotCount(words, current);
  const found = new Set<number>();
  for (let slot = lookupSlot(words, current, hash), step = 0; step < slots; step++) {
    found.add(nodeAtSlot(words, current, (slot + step) % slots));
  }
  return [...found];
}
