/**
 * The key hash of Keysteer: MurmurHash3_x86_32 (Austin Appleby, public domain) seeded as libmemcached seeds it for
 * MEMCACHED_HASH_MURMUR3. The slot table, the hot-key detectors and, by default, the ring all use this one value, so
 * a key is hashed once per frame.
 */

/** libmemcached: `seed = 0xdeadbeef * length`, modulo 2^32. */
const SEED_FACTOR = 0xdeadbeef | 0;

const C1 = 0xcc9e2d51 | 0;
const C2 = 0x1b873593;
const BLOCK_ADDEND = 0xe6546b64 | 0;

/**
 * Hash of `length` bytes at `offset`, as int32. `bytes` and `view` show the same buffer; words may be unaligned.
 * Nothing outside the `length` bytes is read.
 */
export function hashKey(bytes: Uint8Array, view: DataView, offset: number, length: number): number {
  const tail = offset + (length & ~3);
  let h = Math.imul(SEED_FACTOR, length);
  let at = offset;
  for (; at + 8 <= tail; at += 8) {
    h = mixBlock(h, view.getInt32(at, true));
    h = mixBlock(h, view.getInt32(at + 4, true));
  }
  if (at < tail) h = mixBlock(h, view.getInt32(at, true));
  if ((length & 3) !== 0) h ^= scramble(tailWord(bytes, tail, length & 3));
  return mixFinally(h ^ length);
}

function mixBlock(hash: number, word: number): number {
  const h = hash ^ scramble(word);
  return (Math.imul((h << 13) | (h >>> 19), 5) + BLOCK_ADDEND) | 0;
}

function scramble(word: number): number {
  const k = Math.imul(word, C1);
  return Math.imul((k << 15) | (k >>> 17), C2);
}

/** The last 1 to 3 bytes as a little-endian word. */
function tailWord(bytes: Uint8Array, at: number, count: number): number {
  let word = bytes[at]!;
  if (count > 1) word |= bytes[at + 1]! << 8;
  if (count > 2) word |= bytes[at + 2]! << 16;
  return word;
}

/** fmix32: every input bit reaches every output bit. */
function mixFinally(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
