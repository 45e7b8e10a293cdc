/**
 * MD5 (RFC 1321) of short texts in int32 arithmetic, for placement only: libmemcached's KETAMA_WEIGHTED and the
 * libketama-compatible clients take the first digest word as the hash of a key, and all four as points of a node.
 *
 * A block of 64 bytes is 64 steps in four rounds; within a round the shifts repeat every four steps, so a round is a
 * loop over four written-out steps. Scratch words are the module's own: one copy per thread, nothing per call.
 */

const BLOCK_BYTES = 64;
/** Longest text whose padding (0x80 and the 8-byte bit length) still fits into its last block. */
const LAST_BLOCK_TEXT_BYTES = BLOCK_BYTES - 9;
const BIT_LENGTH_WORD = 14;

const INIT_A = 0x67452301;
const INIT_B = 0xefcdab89 | 0;
const INIT_C = 0x98badcfe | 0;
const INIT_D = 0x10325476;

/** RFC 1321 §3.4: T[i] = floor(2^32 · |sin(i + 1)|). */
const T = Int32Array.from({ length: 64 }, (_, i) => Math.floor(2 ** 32 * Math.abs(Math.sin(i + 1))) | 0);

/** The sixteen words of the block in hand. */
const x = new Int32Array(16);
/** Chaining state A, B, C, D; after a call, the digest. */
const state = new Int32Array(4);

/** First four digest bytes as a little-endian int32: libmemcached's MEMCACHED_HASH_MD5. */
export function md5(bytes: Uint8Array, view: DataView, offset: number, length: number): number {
  state[0] = INIT_A;
  state[1] = INIT_B;
  state[2] = INIT_C;
  state[3] = INIT_D;
  let at = offset;
  let left = length;
  for (; left >= BLOCK_BYTES; left -= BLOCK_BYTES, at += BLOCK_BYTES) {
    loadWords(view, at, 16);
    digestBlock();
  }
  digestTail(bytes, view, at, left, length);
  return state[0]!;
}

/** Word `word` (0–3) of the digest of the last `md5` call on this thread, little endian as int32. */
export function md5DigestWord(word: number): number {
  return state[word]!;
}

function loadWords(view: DataView, at: number, count: number): void {
  for (let i = 0; i < count; i++) x[i] = view.getInt32(at + (i << 2), true);
}

/** The last 0 to 63 bytes of a text of `length` bytes, with their padding: one block, or two. */
function digestTail(bytes: Uint8Array, view: DataView, at: number, left: number, length: number): void {
  const words = left >> 2;
  loadWords(view, at, words);
  x[words] = paddedWord(bytes, at + (words << 2), left & 3);
  for (let i = words + 1; i < 16; i++) x[i] = 0;
  if (left > LAST_BLOCK_TEXT_BYTES) {
    digestBlock();
    x.fill(0);
  }
  x[BIT_LENGTH_WORD] = length << 3;
  digestBlock();
}

/** The last 0 to 3 bytes, then the 0x80 that ends every text. */
function paddedWord(bytes: Uint8Array, at: number, count: number): number {
  let word = 0x80 << (count << 3);
  for (let i = 0; i < count; i++) word |= bytes[at + i]! << (i << 3);
  return word;
}

/**
 * RFC 1321 §3.4, steps 1–64, on `x`. One function so that the state stays in registers throughout. Each step waits for
 * the one before, so what does not depend on it is added first: a third faster than in the order of the RFC.
 */
function digestBlock(): void {
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  for (let i = 0; i < 16; i += 4) {
    a = (a + x[i]! + T[i]! + (d ^ (b & (c ^ d)))) | 0;
    a = (((a << 7) | (a >>> 25)) + b) | 0;
    d = (d + x[i + 1]! + T[i + 1]! + (c ^ (a & (b ^ c)))) | 0;
    d = (((d << 12) | (d >>> 20)) + a) | 0;
    c = (c + x[i + 2]! + T[i + 2]! + (b ^ (d & (a ^ b)))) | 0;
    c = (((c << 17) | (c >>> 15)) + d) | 0;
    b = (b + x[i + 3]! + T[i + 3]! + (a ^ (c & (d ^ a)))) | 0;
    b = (((b << 22) | (b >>> 10)) + c) | 0;
  }
  for (let i = 16; i < 32; i += 4) {
    const k = 5 * i + 1;
    a = (a + x[k & 15]! + T[i]! + (c & ~d) + (d & b)) | 0;
    a = (((a << 5) | (a >>> 27)) + b) | 0;
    d = (d + x[(k + 5) & 15]! + T[i + 1]! + (b & ~c) + (c & a)) | 0;
    d = (((d << 9) | (d >>> 23)) + a) | 0;
    c = (c + x[(k + 10) & 15]! + T[i + 2]! + (a & ~b) + (b & d)) | 0;
    c = (((c << 14) | (c >>> 18)) + d) | 0;
    b = (b + x[(k + 15) & 15]! + T[i + 3]! + (d & ~a) + (a & c)) | 0;
    b = (((b << 20) | (b >>> 12)) + c) | 0;
  }
  for (let i = 32; i < 48; i += 4) {
    const k = 3 * i + 5;
    a = (a + x[k & 15]! + T[i]! + (d ^ c ^ b)) | 0;
    a = (((a << 4) | (a >>> 28)) + b) | 0;
    d = (d + x[(k + 3) & 15]! + T[i + 1]! + (c ^ b ^ a)) | 0;
    d = (((d << 11) | (d >>> 21)) + a) | 0;
    c = (c + x[(k + 6) & 15]! + T[i + 2]! + (b ^ a ^ d)) | 0;
    c = (((c << 16) | (c >>> 16)) + d) | 0;
    b = (b + x[(k + 9) & 15]! + T[i + 3]! + (a ^ d ^ c)) | 0;
    b = (((b << 23) | (b >>> 9)) + c) | 0;
  }
  for (let i = 48; i < 64; i += 4) {
    const k = 7 * i;
    a = (a + x[k & 15]! + T[i]! + (c ^ (b | ~d))) | 0;
    a = (((a << 6) | (a >>> 26)) + b) | 0;
    d = (d + x[(k + 7) & 15]! + T[i + 1]! + (b ^ (a | ~c))) | 0;
    d = (((d << 10) | (d >>> 22)) + a) | 0;
    c = (c + x[(k + 14) & 15]! + T[i + 2]! + (a ^ (d | ~b))) | 0;
    c = (((c << 15) | (c >>> 17)) + d) | 0;
    b = (b + x[(k + 21) & 15]! + T[i + 3]! + (d ^ (c | ~a))) | 0;
    b = (((b << 21) | (b >>> 11)) + c) | 0;
  }
  state[0] = (state[0]! + a) | 0;
  state[1] = (state[1]! + b) | 0;
  state[2] = (state[2]! + c) | 0;
  state[3] = (state[3]! + d) | 0;
}
