/** Is a recorded history one of a memcached register per key? Zones where they can tell, search for the rest. */
import { type Explanation, explain } from './explain.ts';
import { endOf, type History, type Operation } from './operation.ts';
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

export interface Violation extends Explanation {
  readonly key: string;
}

export interface Verdict {
  /** No violation, and every key decided. */
  readonly linearizable: boolean;
  readonly violations: readonly Violation[];
  /** Keys with a violation. */
  readonly violated: number;
  /** Keys whose search was given up. */
  readonly undecided: readonly string[];
  readonly operations: number;
  /** Keys decided by zones, and by search. */
  readonly byZones: number;
  readonly bySearch: number;
}

type KeyVerdict = 'linearizable' | 'undecided' | readonly Conflict[];

const STEPS_MAX = 5_000_000;

export function check(history: History, options: CheckOptions = {}): Verdict {
  const { explained_max = 3 } = options;
  const violations: Violation[] = [];
  const undecided: string[] = [];
  let violated = 0;
  let byZones = 0;
  const keys = operationsByKey(history);
  for (const [key, operations] of keys) {
    const { verdict, isFast } = checkKey(operations, options);
    if (isFast) byZones++;
    if (verdict === 'undecided') undecided.push(key);
    else if (verdict !== 'linearizable') {
      if (violated++ < explained_max) violations.push({ key, ...explain(operations, verdict, options) });
    }
  }
  return {
    linearizable: violated === 0 && undecided.length === 0,
    violations,
    violated,
    undecided,
    operations: history.length,
    byZones,
    bySearch: keys.size - byZones,
  };
}

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

/** A flush_all stands in the history of every key. */
function operationsByKey(history: History): Map<string, Operation[]> {
  const keys = new Map<string, Operation[]>();
  const flushes: Operation[] = [];
  for (const op of history) {
    if (op.verb === 'flush_all') flushes.push(op);
    else {
      const known = keys.get(op.key);
      if (known === undefined) keys.set(op.key, [op]);
      else known.push(op);
    }
  }
  if (flushes.length > 0) for (const operations of keys.values()) operations.push(...flushes);
  return keys;
}

/** The history as it looked at `time`: what had not returned by then has no reply yet. */
export function upTo(operations: readonly Operation[], time: number): Operation[] {
  return operations
    .filter(op => op.invokedAt <= time)
    .map(op => (endOf(op) <= time ? op : { ...op, returnedAt: undefined }));
}
