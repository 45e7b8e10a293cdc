/** How the keeper makes an item, and what it orders of lanes: the other end of dataplane/hot/setup.ts. */
import {
  ITEM_KEY_AT,
  ITEM_KEY_HASH,
  ITEM_KEY_LENGTH,
  ITEM_REPLICA_WORDS,
  ITEM_REPLICAS,
  itemWord,
} from '../../cache/items.ts';
import type { Layers } from '../../cache/layers.ts';
import * as directory from '../../coherence/directory.ts';
import {
  type HotSetup,
  ORDER_ITEM,
  ORDER_KIND,
  ORDER_PROMOTE,
  ORDER_ROWS,
  ORDER_WORDS,
  perLane,
} from '../../dataplane/hot/setup.ts';
import type { Arena } from '../../mem/arena.ts';
import { hashKey } from '../../mem/murmur3.ts';
import { Ring } from '../../mem/ring.ts';

type Area = Omit<HotSetup, 'laneOffset'>;

/** What is to be done with a key. */
export interface Treatment {
  /** Its value may be cached. */
  readonly cached: boolean;
  /** Nodes that shall have it, home among them; 1: none but home. */
  readonly copies: number;
}

/**
 * Makes item `item`, a free one, of a key and puts it into the layers: PROMOTING, so that lanes know of it from now on.
 * Returns what `Layers.admit` says; nothing has changed when that is not 0.
 * @param nowMs lanes' clock
 */
export function admitItem(
  shared: Arena,
  area: Area,
  layers: Layers,
  item: number,
  key: Uint8Array,
  score: number,
  nowMs: number,
  { cached, copies }: Treatment,
): number {
  const { words, bytes } = shared;
  const at = itemWord(area.itemsOffset >> 2, item);
  const version = words[at + directory.VERSION]!;
  words.fill(0, at, at + ITEM_REPLICAS + ITEM_REPLICA_WORDS);
  words[at + directory.VERSION] = version;
  bytes.set(key, (at << 2) + ITEM_KEY_AT);
  const hash = hashKey(bytes, shared.view, (at << 2) + ITEM_KEY_AT, key.length);
  words[at + ITEM_KEY_HASH] = hash;
  words[at + ITEM_KEY_LENGTH] = key.length;
  words[at + directory.CACHED] = cached ? 1 : 0;
  words[at + directory.COPIES] = copies;
  words[at + directory.FETCHED_MS] = nowMs;
  words[at + directory.STATE] = directory.PROMOTING;
  Atomics.add(words, at + directory.VERSION, 2);
  const refused = layers.admit(item, hash, score);
  if (refused !== 0) words[at + directory.STATE] = directory.FREE;
  return refused;
}

/** False: the lane's ring is full, try again. */
export function order(shared: Arena, area: Area, lane: number, kind: number, item: number): boolean {
  const ring = new Ring(shared.words, perLane(area, lane).ordersOffset >> 2, ORDER_ROWS, ORDER_WORDS);
  const row = ring.claim();
  if (row < 0) return false;
  shared.words[row + ORDER_KIND] = kind;
  shared.words[row + ORDER_ITEM] = item;
  ring.publish();
  return true;
}

export function orderPromotion(shared: Arena, area: Area, item: number, lane: number): boolean {
  return order(shared, area, lane, ORDER_PROMOTE, item);
}
