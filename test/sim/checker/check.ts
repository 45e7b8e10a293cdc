/** Is a recorded history one of a memcached register per key? Zones where they can tell, search for the rest. */
import { type CheckOptions, checkKey } from './check-key.ts';
import { type Explanation, explain } from './explain.ts';
import type { History, Operation } from './operation.ts';

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
