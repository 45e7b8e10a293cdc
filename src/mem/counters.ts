/**
 * Named counters in shared memory: one block of 64-bit floats per lane.
 *
 * One writer per word (the lane); any thread may read and sum. A float64 counts exactly to 2^53 and an aligned
 * 8-byte store is not torn on the 64-bit machines we run on, so the lane pays a plain load, add and store.
 */
export type CounterNames = readonly string[];

/** Bytes of a block of `names.length` counters, rounded to a cache line so that lanes do not share one. */
export function countersByteLength(names: CounterNames): number {
  return Math.ceil((names.length * 8) / 64) * 64;
}

export function countersAt(buffer: SharedArrayBuffer, byteOffset: number, names: CounterNames): Float64Array {
  return new Float64Array(buffer, byteOffset, names.length);
}

/** Sums blocks of the same names into one record. */
export function sumCounters(names: CounterNames, blocks: readonly Float64Array[]): Record<string, number> {
  return Object.fromEntries(
    names.map((name, position) => [name, blocks.reduce((sum, block) => sum + (block[position] ?? 0), 0)]),
  );
}
