/** Where would this key go? Answered by the table and the look-up that steer frames. */
import { hashKey } from '../mem/murmur3.ts';
import { steerHash } from '../steer/hash.ts';
import { lookupSlot, nextNodeSlot, nodeAtSlot, nodeSlots, slotCount } from '../steer/lookup.ts';
import { SteerTable } from '../steer/table.ts';
import type { Config } from './config/normalise.ts';
import { showKey } from './hot/key-text.ts';

export interface ExplainedKey {
  /** As people read it: hot/key-text.ts. */
  key: string;
  keyBytes: number;
  hashName: string;
  /** 8 hex digits. */
  hash: string;
  algorithm: string;
  /** −1 when no node takes keys. */
  slot: number;
  slots: number;
  node: { name: string; address: string; weight: number; slotShare: number } | null;
  /** Where the key goes when its node is out. */
  successor: string | null;
}

/** The steering table that lanes with this configuration use, for one reader. */
export function steerTableOf(config: Config): SteerTable {
  const capacity = { nodesMax: Math.max(config.nodes.length, 1), lanesMax: 1 };
  const steer = new SteerTable(new SharedArrayBuffer(SteerTable.byteLength(capacity)), 0, capacity);
  steer.publish(
    config.nodes.map(node => ({ ...node, neighbour: 0 })),
    config.steering,
  );
  return steer;
}

/** What the ring is asked for: the hash of the key in `bytes`. */
export function ringHashOf({ words, current }: SteerTable, bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return steerHash(words, current, hashKey(bytes, view, 0, bytes.length), bytes, view, 0, bytes.length);
}

/** @param key 1 to 250 bytes, or text that is UTF-8 */
export function explainKey(config: Config, key: string | Uint8Array): ExplainedKey {
  const steer = steerTableOf(config);
  const { words, current } = steer;
  const bytes = typeof key === 'string' ? Buffer.from(key) : key;
  const hash = ringHashOf(steer, bytes);
  const slot = lookupSlot(words, current, hash);
  const slots = slotCount(words, current);
  const next = slot < 0 ? -1 : nextNodeSlot(words, current, slot);
  return {
    key: showKey(bytes),
    keyBytes: bytes.length,
    hashName: config.steering.hash,
    hash: (hash >>> 0).toString(16).padStart(8, '0'),
    algorithm: config.steering.algorithm,
    slot,
    slots,
    node: slot < 0 ? null : explainNode(config, nodeAtSlot(words, current, slot), words, current, slots),
    successor: next < 0 ? null : config.nodes[nodeAtSlot(words, current, next)].name,
  };
}

function explainNode(config: Config, node: number, words: Int32Array, table: number, slots: number) {
  const { name, text, port, weight } = config.nodes[node];
  return { name, address: `${text}:${port}`, weight, slotShare: nodeSlots(words, table, node) / slots };
}
