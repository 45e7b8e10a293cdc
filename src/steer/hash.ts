/**
 * The key hashes a ring can be asked with. All take (bytes, view, offset, length) of the key and return int32.
 */

import { hashKey } from '../mem/murmur3.ts';
import { HASH_MD5, HASH_MURMUR3, HASH_ONE_AT_A_TIME, KEY_HASH } from './layout.ts';
import { md5 } from './md5.ts';
import { oneAtATime } from './one-at-a-time.ts';

export type KeyHash = (bytes: Uint8Array, view: DataView, offset: number, length: number) => number;
export type KeyHashName = 'murmur3' | 'md5' | 'one_at_a_time';

export const KEY_HASHES: Readonly<Record<KeyHashName, KeyHash>> = {
  murmur3: hashKey,
  md5,
  one_at_a_time: oneAtATime,
};

/** Value of the KEY_HASH word. */
export const KEY_HASH_IDS: Readonly<Record<KeyHashName, number>> = {
  murmur3: HASH_MURMUR3,
  md5: HASH_MD5,
  one_at_a_time: HASH_ONE_AT_A_TIME,
};

/**
 * Hash that steers this key by this table. `keyHash` is the key's `hashKey`, which the lane has anyway: with the default
 * configuration it is the answer.
 */
export function steerHash(
  words: Int32Array,
  table: number,
  keyHash: number,
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
): number {
  const id = words[table + KEY_HASH]!;
  if (id === HASH_MURMUR3) return keyHash;
  return id === HASH_MD5 ? md5(bytes, view, offset, length) : oneAtATime(bytes, view, offset, length);
}

const TEXT_BYTES_MAX = 512;
const textBytes = new Uint8Array(TEXT_BYTES_MAX);
const textView = new DataView(textBytes.buffer);
const encoder = new TextEncoder();

/** Control side: `hash` of a text's UTF-8. */
export function hashText(text: string, hash: KeyHash): number {
  const { read, written } = encoder.encodeInto(text, textBytes);
  if (read !== text.length) throw new RangeError(`hashText: the text has more than ${TEXT_BYTES_MAX} bytes`);
  return hash(textBytes, textView, 0, written);
}
