/** How much a piece of code leaves on the heap. */
const WARM_UP = 30_000;
const CALLS = 100_000;
const ATTEMPTS = 5;

/**
 * Bytes allocated per call once the code is warm: the median of several attempts, as a collection may fall into one of
 * them, and so may somebody else's garbage.
 */
export function bytesPerCall(call: (count: number) => void): number {
  for (let count = 0; count < WARM_UP; count++) call(count);
  const grown: number[] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = process.memoryUsage().heapUsed;
    for (let count = 0; count < CALLS; count++) call(count);
    grown.push((process.memoryUsage().heapUsed - before) / CALLS);
  }
  return grown.sort((a, b) => a - b)[ATTEMPTS >> 1]!;
}
