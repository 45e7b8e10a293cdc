/** Where keys lie and what nodes carry, as the keeper asks it: a view of steering and of what lanes have counted. */
import { NODE_COUNT } from '../../dataplane/counters.ts';
import { nodeOfTag } from '../../dataplane/hot/sender.ts';
import { steerHash } from '../../steer/hash.ts';
import { lookupSlot, nodeAtSlot, slotCount } from '../../steer/lookup.ts';
import { type DirectoryNode, takesKeys } from '../nodes.ts';
import type { Steering } from '../steering.ts';

export interface PlacedNode {
  readonly row: number;
  readonly name: string;
  readonly weight: number;
  readonly available: boolean;
}

export interface Placement {
  nodes(): readonly PlacedNode[];
  /** Requests that were steered to the node of this row so far. */
  requests(row: number): number;
  /** Rows of the nodes of a key along the ring, its home first: `count` of them, or as many as there are. */
  places(key: Uint8Array, hash: number, count: number): number[];
  /** Row of the node that an item's list of copies names by this tag; −1: it is not there, or takes no keys. */
  rowOfTag(tag: number): number;
}

/** @param countsOf what all lanes have counted in a row, ever */
export function placementOf(steering: Steering, countsOf: (row: number) => Float64Array): Placement {
  return {
    nodes: () => steering.directory.nodes.map(placedNode),
    requests: row => countsOf(row)[NODE_COUNT.requests]!,
    places: (key, hash, count) => placesOf(steering.table.words, steering.table.current, key, hash, count),
    rowOfTag: tag => nodeOfTag(steering.table.words, steering.table.current, tag),
  };
}

function placedNode(node: DirectoryNode): PlacedNode {
  const { row, config } = node;
  return { row, name: config.name, weight: config.weight, available: takesKeys(node) };
}

/** Nodes along the ring from the key's slot on, each once. A ring of n slots is walked at most once. */
function placesOf(words: Int32Array, table: number, key: Uint8Array, hash: number, count: number): number[] {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const slot = lookupSlot(words, table, steerHash(words, table, hash, key, view, 0, key.length));
  const slots = slotCount(words, table);
  const places: number[] = [];
  for (let step = 0; slot >= 0 && step < slots && places.length < count; step++) {
    const node = nodeAtSlot(words, table, (slot + step) % slots);
    if (!places.includes(node)) places.push(node);
  }
  return places;
}
