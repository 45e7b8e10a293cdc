/**
 * Histories before the checker: what it needs to know of an operation, key by key and home by home.
 *
 * A cold key is as correct as the one memcached that it lives on. What an earlier home has kept of it is another matter, so
 * its history is taken apart where it moved:
 *
 *     ─── piece ───┤ move ├─── piece ───     an operation within a piece counts as it was
 *                                            a change that may also have reached this home: open, at any later time
 *                                            the rest of the piece begins where the first answer tells what is there
 */
import { type CheckOptions, check as checkHistory } from './checker/check.ts';
import { type Operation as Checked, type Verb as CheckedVerb, isOpen } from './checker/operation.ts';
import type { Operation } from './history.ts';
import type { Home } from './homes.ts';
import { checkList } from './list-check.ts';

/** Of the search for an order of a piece, where zones cannot tell: more rarely help, and take long. */
const STEPS_MAX = 2000;

export interface Violation {
  readonly key: string;
  readonly rule: string;
  /** Those that contradict each other, a line each. */
  readonly text: string;
}

export interface Judgement {
  readonly violations: readonly Violation[];
  /** Keys whose histories were too much to decide. */
  readonly undecided: readonly string[];
}

/**
 * @param homesOf where a key lived, in turn; one home for ever: it is judged as a whole
 * @param hasRestarted whether a node began anew in that time: then its CAS ids did, too, and say nothing
 */
export function judge(
  keys: ReadonlyMap<string, readonly Operation[]>,
  homesOf: (key: string) => readonly Home[],
  hasRestarted: HasRestarted,
  options: CheckOptions = {},
): Judgement {
  const violations: Violation[] = [];
  const undecided: string[] = [];
  for (const [key, recorded] of keys) {
    for (const piece of piecesOf(key, recorded, homesOf(key), hasRestarted)) {
      const verdict = checkHistory(piece, { steps_max: STEPS_MAX, ...options });
      violations.push(...verdict.violations);
      if (verdict.undecided.length === 0) continue;
      undecided.push(...verdict.undecided);
      const violation = piece.every(isOfList) ? checkList(piece) : undefined;
      if (violation !== undefined) violations.push(violation);
    }
  }
  return { violations, undecided };
}

type HasRestarted = (node: number, fromMs: number, toMs: number) => boolean;

/** The history of a key, one for each of its homes. */
export function piecesOf(
  key: string,
  recorded: readonly Operation[],
  homes: readonly Home[],
  hasRestarted: HasRestarted,
): Checked[][] {
  const told = recorded.filter(isTold);
  return homes.map((home, i) => {
    const name = i === 0 ? key : `${key} (home ${i + 1})`;
    const operations = pieceOf(told, home, i === 0);
    const hasTokens = !hasRestarted(home.node, home.movedMs, home.untilMs) && !operations.some(isOpenWithToken);
    const all = operations.map(operation => ({ ...checkedOf(operation, hasTokens), key: name }));
    renameForeignTokens(all);
    return all.every(isOfList) ? withoutUnread(all) : all;
  });
}

/**
 * Each node counts its CAS ids from 1: one that a client has from another home may be the number of a version that came
 * here later. Where such a one was refused, it is called something else.
 */
function renameForeignTokens(piece: Checked[]): void {
  const givenMs = new Map<string, number>();
  for (const { cas, invokedAt } of piece) {
    if (cas !== undefined && !(givenMs.get(cas)! <= invokedAt)) givenMs.set(cas, invokedAt);
  }
  for (const [i, operation] of piece.entries()) {
    const { token, outcome, invokedAt } = operation;
    if (token === undefined || outcome !== 'exists' || givenMs.get(token)! < invokedAt) continue;
    piece[i] = { ...operation, token: `${token} of elsewhere` };
  }
}

/** Whether what it stores is a token of its own. */
function isOfList({ value, verb }: Checked): boolean {
  return (value === undefined || /^<\d+>$/.test(value)) && !NOT_OF_LISTS.has(verb);
}

const NOT_OF_LISTS: ReadonlySet<CheckedVerb> = new Set(['incr', 'decr', 'cas', 'add', 'replace']);

/**
 * Without the open additions to a list that nobody has seen: each may as well never have been. There are many where the
 * network loses frames, and an order with them is sought in vain for long.
 */
function withoutUnread(piece: readonly Checked[]): Checked[] {
  const seen = new Set<string>();
  for (const { read } of piece) for (const token of read?.match(/<\d+>/g) ?? []) seen.add(token);
  return piece.filter(operation => {
    const isAddition = operation.verb === 'append' || operation.verb === 'prepend';
    return !isAddition || !isOpen(operation) || seen.has(operation.value!);
  });
}

/** Neither turned away nor of unknown outcome; a read without an answer tells nothing. */
function isTold({ op, output }: Operation): boolean {
  if (output === undefined) return op !== 'get';
  return output.kind !== 'refused' && output.kind !== 'unknown';
}

function pieceOf(operations: readonly Operation[], home: Home, isFirst: boolean): Operation[] {
  const { movedMs, fromMs, untilMs } = home;
  const isInside = ({ invokedAt, returnedAt }: Operation) =>
    invokedAt >= fromMs && returnedAt !== undefined && returnedAt <= untilMs;
  const began = operations.filter(
    ({ invokedAt, returnedAt = Number.POSITIVE_INFINITY }) => invokedAt < untilMs && returnedAt > movedMs,
  );
  const sure = isFirst ? undefined : began.find(operation => isInside(operation) && isSure(operation));
  if (sure === undefined && !isFirst) return [];
  const { invokedAt: fromSureMs = Number.NEGATIVE_INFINITY, returnedAt: sureMs = Number.NEGATIVE_INFINITY } =
    sure ?? {};
  const piece: Operation[] = [];
  for (const operation of began) {
    const { invokedAt, returnedAt = Number.POSITIVE_INFINITY, op } = operation;
    if (operation === sure) piece.push(afterwards(operation));
    else if (isInside(operation) && invokedAt >= sureMs) piece.push(operation);
    else if (op !== 'get' && returnedAt >= fromSureMs) piece.push(opened(operation));
  }
  return piece;
}

/** Whether nobody needs to know, once it is answered, what was there before. */
function isSure({ op, output }: Operation): boolean {
  if (output === undefined) return false;
  if (output.kind === 'miss' || output.kind === 'not_found' || output.kind === 'deleted') return true;
  return op === 'set' && output.kind === 'stored';
}

/** What the piece begins with: that something was deleted says no more than that nothing is there. */
function afterwards(operation: Operation): Operation {
  return operation.output?.kind === 'deleted' ? { ...operation, output: { kind: 'not_found' } } : operation;
}

function opened(operation: Operation): Operation {
  return operation.returnedAt === undefined ? operation : { ...operation, returnedAt: undefined };
}

/** Somebody may use the token of a version of which the piece knows only that it may have been. */
function isOpenWithToken({ returnedAt, output }: Operation): boolean {
  return returnedAt === undefined && output !== undefined && 'cas' in output && output.cas !== undefined;
}

function checkedOf(operation: Operation, hasTokens: boolean): Checked {
  const { client, key, op, input, invokedAt, returnedAt, output } = operation;
  const { value, flags, ttl, cas, delta } = input;
  return {
    client,
    key,
    verb: verbOf(operation),
    invokedAt,
    ...(returnedAt === undefined ? {} : { returnedAt }),
    ...(value === undefined ? {} : { value }),
    ...(flags === undefined || op === 'append' || op === 'prepend' ? {} : { flags }),
    ...(ttl === undefined || ttl === 0 ? {} : { ttl }),
    ...(cas === undefined ? {} : { token: `${cas}` }),
    ...(delta === undefined ? {} : { amount: delta }),
    ...(output === undefined || returnedAt === undefined ? {} : outcomeOf(output, hasTokens)),
  };
}

function verbOf({ op, output }: Operation): CheckedVerb {
  // What it would have read is nobody's matter.
  if (op === 'gat' && output === undefined) return 'touch';
  return op === 'get' && output !== undefined && 'cas' in output ? 'gets' : op;
}

function outcomeOf(output: NonNullable<Operation['output']>, hasTokens: boolean): Partial<Checked> {
  if (output.kind === 'refused' || output.kind === 'unknown') throw new RangeError(`${output.kind} is no outcome`);
  const token = hasTokens && 'cas' in output && output.cas !== undefined ? { cas: `${output.cas}` } : {};
  if (output.kind === 'value') return { outcome: 'value', read: output.value, readFlags: output.flags, ...token };
  if (output.kind === 'number') return { outcome: 'number', read: `${output.number}`, ...token };
  return { outcome: output.kind, ...token };
}
