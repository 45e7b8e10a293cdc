/**
 * Why a history is not linearizable, in few lines: the shortest beginning of it that is wrong, then without every
 * operation that it is wrong without.
 */
import { type CheckOptions, checkKey, upTo } from './check-key.ts';
import { needsSomeItem, readBy, writtenBy } from './needs.ts';
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
const THIN_STEPS_MAX = 400;
const THIN_SEARCH_STEPS_MAX = 20_000;
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
  const few = thin(beginning, { ...options, steps_max: THIN_SEARCH_STEPS_MAX });
  const [simple] = conflictsOfZones(few, options);
  return simple ?? { rule: 'no order explains it', operations: few.filter(op => concerns(op, few)) };
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

/** Leaves out one part after another, as long as the rest is wrong by itself. */
function thin(operations: readonly Operation[], options: CheckOptions): Operation[] {
  let left = shortestEnd(operations, options);
  for (let chunk = left.length >> 1, steps = 0; chunk >= 1 && steps < THIN_STEPS_MAX; chunk >>= 1) {
    for (let at = 0; at < left.length && steps < THIN_STEPS_MAX; steps++) {
      const fewer = without(left, new Set(left.slice(at, at + chunk)));
      if (fewer.length < left.length && isWrong([...fewer, ...standIns(fewer)], options)) left = fewer;
      else at += chunk;
    }
  }
  return left;
}

/** Mostly the last few operations are wrong enough. */
function shortestEnd(operations: readonly Operation[], options: CheckOptions): Operation[] {
  const sorted = [...operations].sort((a, b) => a.invokedAt - b.invokedAt);
  for (let length = 8; length < sorted.length; length *= 2) {
    const end = without(sorted, new Set(sorted.slice(0, -length)));
    if (isWrong([...end, ...standIns(end)], options)) return end;
  }
  return sorted;
}

/** A write goes with all that shows its value; what counts stays. */
function without(operations: readonly Operation[], dropped: ReadonlySet<Operation>): Operation[] {
  const goes = [...dropped].filter(op => !isCount(op));
  const values = goes.flatMap(({ value }) => (value === undefined ? [] : [trimmed(value)]));
  const gone = new Set(goes);
  const shows = (op: Operation): boolean => values.some(value => op.read?.includes(value));
  return operations.filter(op => !gone.has(op) && (isCount(op) || !shows(op)));
}

/** Numbers hang together: neither counters nor what may start them are left out. */
function isCount(op: Operation): boolean {
  return op.verb === 'incr' || op.verb === 'decr' || (op.value !== undefined && /^\d+ *$/.test(op.value));
}

/** For operations that need some item, in place of writes that were left out. */
function standIns(operations: readonly Operation[]): Operation[] {
  const needy = operations.filter(op => !isOpen(op) && needsSomeItem(op));
  return needy.map(({ key }) => ({
    client: -1,
    key,
    verb: 'set',
    value: '\u0001',
    invokedAt: Number.NEGATIVE_INFINITY,
  }));
}

/** Not shown: what has no reply and is not seen in anything that is left. */
function concerns(op: Operation, others: readonly Operation[]): boolean {
  if (!isOpen(op)) return true;
  if (op.value === undefined) return op.verb === 'incr' || op.verb === 'decr';
  return others.some(({ read }) => read?.includes(op.value!));
}

function isUnwritten(op: Operation, operations: readonly Operation[]): boolean {
  const value = readBy(op);
  if (value === undefined) return false;
  return !operations.some(other => {
    if (['append', 'prepend', 'incr', 'decr'].includes(other.verb))
      return isOpen(other) || other.outcome !== 'not_found';
    return writtenBy(other) === value;
  });
}

function isWrong(operations: readonly Operation[], options: CheckOptions): boolean {
  const { verdict } = checkKey(operations, options);
  return typeof verdict !== 'string';
}
