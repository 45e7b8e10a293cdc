/** Finalizer of MurmurHash3: every bit of a word on every bit of the result. For tables by numbers; for keys see murmur3.ts. */
export function mix32(word: number): number {
  let hash = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
