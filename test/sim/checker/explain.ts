/**
 * Why a history is not linearizable, in few lines: the shortest beginning of it that is wrong, then without every
 * operation that it is wrong without.
 */
import { type CheckOptions, checkKey, upTo } from './check.ts';
import { describeOperation, endOf, isOpen, type Operation } from './operation.ts';
import { trimmed } from './register.ts';
import type { Conflict, Rule } from './zones.ts';

export interface Explanation {
  readonly rule: Rule;
  /** In order of their starts. */
  readonly operations: readonly Operation[];
  readonly text: string;
}

/** Longer histories are not thinned one operation at a time. */
const THIN_STEPS_MAX = 2000;
const SHOWN_MAX = 24;

const REASONS: Readonly<Record<Rule, string>> = {
  'never written': 'a value was returned that nobody wrote',
  'read before it was written': 'a value was returned before its write began',
  'two values at once': 'two values were seen in turns: at least one is stale',
  'stale value': 'a value was written and seen, all while another one was there before and after',
  'gone and back': 'the key was absent while its value was there before and after',
  'lived too long': 'a value was returned after its time to live',
  'two tokens of one version': 'gets returned two CAS tokens for one version',
  'one token of two versions': 'gets returned one CAS token for two versions',
  'wrong flags': 'a value was returned with flags that were not stored with it',
  'no order explains it': 'no order of these operations explains what was returned',
};

export function explain(
  operations: readonly Operation[],
  conflicts: readonly Conflict[],
  options: CheckOptions,
): Explanation {
  const conflict = conflicts[0] ?? searchedConflict(operations, options);
  const sorted = [...conflict.operations].sort((a, b) => a.invokedAt - b.invokedAt || endOf(a) - endOf(b));
  const shown = sorted.slice(-SHOWN_MAX).map(op => `  ${describeOperation(op)}`);
  const omitted = sorted.length > SHOWN_MAX ? [`  (${sorted.length - SHOWN_MAX} earlier ones not shown)`] : [];
  const head = `${conflict.rule}: ${REASONS[conflict.rule]}`;
  return { rule: conflict.rule, operations: sorted, text: [head, ...omitted, ...shown].join('\n') };
}

function searchedConflict(operations: readonly Operation[], options: CheckOptions): Conflict {
  const beginning = shortestBeginning(operations, options);
  const unwritten = beginning.find(op => isUnwritten(op, beginning));
  if (unwritten !== undefined) return { rule: 'never written', operations: [unwritten] };
  const few = thin(beginning, options);
  const [simple] = conflictsOfZones(few, options);
  return { rule: simple?.rule ?? 'no order explains it', operations: few };
}

function conflictsOfZones(operations: readonly Operation[], options: CheckOptions): readonly Conflict[] {
  const { verdict, isFast } = checkKey(operations, { ...options, searchAll: false });
  return isFast && typeof verdict !== 'string' ? verdict : [];
}

/** A beginning of a linearizable history is linearizable, so the first wrong one is found by halving. */
function shortestBeginning(operations: readonly Operation[], options: CheckOptions): Operation[] {
  const ends = operations.map(endOf).filter(Number.isFinite);
  ends.sort((a, b) => a - b);
  let low = 0;
  let high = ends.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isWrong(upTo(operations, ends[middle]!), options)) high = middle;
    else low = middle + 1;
  }
  return upTo(operations, ends[low]!);
}

/**
 * Leaves out one operation after another, as long as it stays wrong. What brings in a value goes only with all that
 * read it: else its reads would be wrong for want of a write.
 */
function thin(operations: readonly Operation[], options: CheckOptions): Operation[] {
  let left = [...operations];
  for (let chunk = left.length >> 1, steps = 0; chunk >= 1 && steps < THIN_STEPS_MAX; chunk >>= 1) {
    for (let at = 0; at < left.length && steps < THIN_STEPS_MAX; steps++) {
      const fewer = without(left, new Set(left.slice(at, at + chunk)));
      if (fewer.length < left.length && isWrong(fewer, options)) left = fewer;
      else at += chunk;
    }
  }
  return left;
}

function without(operations: readonly Operation[], dropped: ReadonlySet<Operation>): Operation[] {
  const values = new Set<string>();
  for (const op of dropped) if (op.value !== undefined) values.add(trimmed(op.value));
  const derives = [...dropped].some(isDerived);
  return operations.filter(op => {
    if (dropped.has(op)) return derives;
    return !(op.read !== undefined && values.has(trimmed(op.read)));
  });
}

/** Changes what is there, so that later values hang on it: never left out. */
function isDerived(op: Operation): boolean {
  return ['append', 'prepend', 'incr', 'decr', 'cas'].includes(op.verb) && (isOpen(op) || op.outcome !== 'not_found');
}

function isUnwritten(op: Operation, operations: readonly Operation[]): boolean {
  if (op.outcome !== 'value' || isOpen(op)) return false;
  const value = trimmed(op.read!);
  return !operations.some(other => isDerived(other) || (other.value !== undefined && trimmed(other.value) === value));
}

function isWrong(operations: readonly Operation[], options: CheckOptions): boolean {
  const { verdict } = checkKey(operations, options);
  return typeof verdict !== 'string';
}
