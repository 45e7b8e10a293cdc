/**
 * How the reads of copied keys settle on the nodes, worked out rather than measured. Control side; may allocate.
 *
 * The lane gives a read to that copy whose node has the least load for its weight, so in the long run a key's reads fill
 * its nodes like water: up to one level, over those that lie below it. With many keys, each filled against what the others
 * left, taking keys in turns again and again settles where no read could go to a less loaded node (each turn lowers
 * Σ load² / weight, which is convex).
 */

export interface SpreadNode {
  /** Share it should carry, > 0. */
  readonly weight: number;
}

/** Reads of one key, and how many of them each of its places gets. */
export interface Spreading {
  /** Reads of the key. */
  readonly rate: number;
  /** Its nodes, home first. */
  places: readonly number[];
  /** Reads at each place. */
  readonly at: number[];
}

/** Fills a key's reads into its places, on top of `loads` less what it had there. Changes both. */
export function pour(nodes: readonly SpreadNode[], loads: Float64Array, key: Spreading): void {
  takeOut(loads, key);
  const level = levelOf(nodes, loads, key);
  key.at.length = key.places.length;
  for (const [i, node] of key.places.entries()) {
    key.at[i] = Math.max(0, level * nodes[node]!.weight - loads[node]!);
    loads[node]! += key.at[i]!;
  }
}

/** Takes a key's reads from its places. */
export function takeOut(loads: Float64Array, key: Spreading): void {
  for (const [i, reads] of key.at.entries()) loads[key.places[i]!]! -= reads;
  key.at.length = 0;
}

/** Load ÷ weight up to which the key's places are filled. */
function levelOf(nodes: readonly SpreadNode[], loads: Float64Array, { rate, places }: Spreading): number {
  const rising = [...places].sort((a, b) => loads[a]! / nodes[a]!.weight - loads[b]! / nodes[b]!.weight);
  let [load, weight] = [rate, 0];
  for (const node of rising) {
    if (weight > 0 && load / weight <= loads[node]! / nodes[node]!.weight) break;
    load += loads[node]!;
    weight += nodes[node]!.weight;
  }
  return load / weight;
}

/** Lets all keys settle: turns until no level moves by more than `tolerance` loads, `turnsMax` at most. */
export function settle(
  nodes: readonly SpreadNode[],
  loads: Float64Array,
  keys: readonly Spreading[],
  tolerance: number,
  turnsMax: number,
): void {
  for (let turn = 0; turn < turnsMax; turn++) {
    const before = loads.slice();
    for (const key of keys) pour(nodes, loads, key);
    if (loads.every((load, node) => Math.abs(load - before[node]!) <= tolerance)) return;
  }
}
