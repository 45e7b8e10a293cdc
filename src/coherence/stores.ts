/**
 * Stores of cold keys that are under way, counted by hash bucket and lane: nothing fences them, so a key becomes hot
 * only when none for its bucket can still reach a node.
 *
 *     a bucket of a lane:   word 0  OPEN      stores sent and not answered
 *                                1  SENT_MS   when the last was sent
 *
 * Drained: none open, or the last of them sent longer ago than a datagram lives. One writer, the lane; any reader.
 */
export const STORE_BUCKETS = 1 << 15;
const MASK = STORE_BUCKETS - 1;

/** Bytes for all lanes. */
export function storesByteLength(lanes: number): number {
  return lanes * STORE_BUCKETS * 8;
}

/** First word of the bucket of `hash` in lane `lane`. */
export function storeBucket(base: number, lane: number, hash: number): number {
  return base + ((Math.imul(lane, STORE_BUCKETS) + (hash & MASK)) << 1);
}

/** The lane: a store was sent. @param lifeMs L; what is older and open was lost */
export function noteStore(words: Int32Array, bucket: number, nowMs: number, lifeMs: number): void {
  if (words[bucket] !== 0 && ((nowMs - words[bucket + 1]) | 0) > lifeMs) words[bucket] = 0;
  words[bucket + 1] = nowMs;
  words[bucket] += 1;
}

/** The lane: one was answered. */
export function noteStored(words: Int32Array, bucket: number): void {
  if (words[bucket] > 0) words[bucket] -= 1;
}

/** Whether no lane's store for the bucket of `hash` can still reach a node. */
export function storesDrained(
  words: Int32Array,
  base: number,
  lanes: number,
  hash: number,
  nowMs: number,
  lifeMs: number,
): boolean {
  for (let lane = 0; lane < lanes; lane++) {
    const bucket = storeBucket(base, lane, hash);
    if (words[bucket] !== 0 && ((nowMs - words[bucket + 1]) | 0) <= lifeMs) return false;
  }
  return true;
}
