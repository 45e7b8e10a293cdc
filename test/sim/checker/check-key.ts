/** The verdict on one key: by zones where they can tell, by search for the rest. */
import { endOf, type Operation } from './operation.ts';
import { Search } from './search.ts';
import { type Conflict, checkZones } from './zones.ts';

export interface CheckOptions {
  /** How late memcached's clock may tick, in ms: added to every time to live. Default 0. */
  readonly slack_ms?: number;
  /** Search steps per key, after which it is called undecided. Default 5 million. */
  readonly steps_max?: number;
  /** Violations that are explained; the others are only counted. Default 3. */
  readonly explained_max?: number;
  /** Search every key, for tests of the fast path. */
  readonly searchAll?: boolean;
}

export type KeyVerdict = 'linearizable' | 'undecided' | readonly Conflict[];

const STEPS_MAX = 5_000_000;

/** @param operations all of one key; an empty list of conflicts: found by search, not yet explained */
export function checkKey(
  operations: readonly Operation[],
  { slack_ms = 0, steps_max = STEPS_MAX, searchAll = false }: CheckOptions = {},
): { verdict: KeyVerdict; isFast: boolean } {
  const conflicts = searchAll ? undefined : checkZones(operations, slack_ms);
  if (conflicts !== undefined) {
    return { verdict: conflicts.length === 0 ? 'linearizable' : conflicts, isFast: true };
  }
  const found = new Search(operations, slack_ms, steps_max).run();
  return { verdict: found === 'not linearizable' ? [] : found, isFast: false };
}

/** The history as it looked at `time`: what had not returned by then has no reply yet. */
export function upTo(operations: readonly Operation[], time: number): Operation[] {
  return operations
    .filter(op => op.invokedAt <= time)
    .map(op => (endOf(op) <= time ? op : { ...op, returnedAt: undefined }));
}
