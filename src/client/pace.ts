/** One call each interval until a count is reached or a signal says stop. */
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Calls `step(n)` for n = 0, 1, … `count` − 1 at `intervalMs`, from the first call on and not from the end of the last
 * one. A step that returns a promise is awaited; the time that it, or a pause of the whole process, takes beyond the
 * interval is not made up for.
 */
export async function eachInterval(
  count: number,
  intervalMs: number,
  signal: AbortSignal,
  step: (n: number) => Promise<void> | undefined,
): Promise<void> {
  let dueMs = performance.now();
  for (let n = 0; n < count && !signal.aborted; n++) {
    const done = step(n);
    if (done !== undefined) await orAborted(done, signal);
    dueMs = Math.max(dueMs + intervalMs, performance.now() - intervalMs);
    if (intervalMs > 0 && n + 1 < count) await pause(dueMs - performance.now(), signal);
  }
}

/** Resolves when the promise does, or at once when the signal says stop. */
export async function orAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let stop = () => {};
  const aborted = new Promise<void>(resolve => {
    stop = resolve;
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Ends early, without an error, when the signal says stop. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(0, ms), undefined, { signal }).catch(() => {});
}
