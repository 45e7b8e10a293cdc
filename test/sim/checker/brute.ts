/**
 * The checker's checker: every order of every choice of replyless operations, with a sequential object of its own that
 * vanishes explicitly, numbers its versions and looks moments up by relaxing differences. For a handful of operations.
 */
import { endOf, isOpen, type Operation } from './operation.ts';

interface State {
  readonly value: string | undefined;
  readonly flags: number;
  /** Position in the order of the operation that set the time to live; −1: none. */
  readonly timed: number;
  readonly version: number;
}

interface Bounds {
  /** [a, b, ms]: the moment at b is at most ms after the moment at a. */
  readonly limits: readonly (readonly [number, number, number])[];
  readonly tokens: ReadonlyMap<string, number>;
}

const EMPTY: State = { value: undefined, flags: 0, timed: -1, version: 0 };

export function isLinearizableByForce(history: readonly Operation[], slack_ms = 0): boolean {
  const required = history.filter(op => !isOpen(op));
  const open = history.filter(isOpen);
  const known = new Set(history.filter(op => !isOpen(op) && op.cas !== undefined).map(op => op.cas!));
  for (let choice = 0; choice < 1 << open.length; choice++) {
    const chosen = open.filter((_, i) => (choice & (1 << i)) !== 0);
    if (extend([], [...required, ...chosen], order => explains(order, slack_ms, known))) return true;
  }
  return false;
}

function extend(order: Operation[], left: Operation[], holds: (order: Operation[]) => boolean): boolean {
  if (left.length === 0) return holds(order);
  return left.some(op => {
    if (left.some(other => other !== op && endOf(other) < op.invokedAt)) return false;
    return extend(
      [...order, op],
      left.filter(other => other !== op),
      holds,
    );
  });
}

function explains(order: readonly Operation[], slack_ms: number, known: ReadonlySet<string>): boolean {
  const walk = (at: number, state: State, bounds: Bounds): boolean => {
    if (at === order.length) return hasMoments(order, bounds.limits);
    const states = state.value === undefined ? [state] : [state, EMPTY];
    return states.some(from => {
      const after = apply(from, order[at]!, at, bounds, slack_ms, order, known);
      return after !== undefined && walk(at + 1, ...after);
    });
  };
  return walk(0, EMPTY, { limits: [], tokens: new Map() });
}

function apply(
  state: State,
  op: Operation,
  at: number,
  bounds: Bounds,
  slack_ms: number,
  order: readonly Operation[],
  known: ReadonlySet<string>,
): [State, Bounds] | undefined {
  const present = state.value !== undefined;
  const result = (outcome: string, next: State, given: Bounds = bounds): [State, Bounds] | undefined => {
    if (!isOpen(op) && op.outcome !== outcome && !(outcome === 'not_found' && op.outcome === 'not_stored')) return;
    return [next, given];
  };
  const stored = (value: string): State => ({
    value: (op.ttl ?? 0) < 0 ? undefined : value,
    flags: op.flags ?? 0,
    timed: op.ttl ? at : -1,
    version: at + 1,
  });
  const live = present ? alive(state, at, bounds, slack_ms, order) : bounds;
  const change = (value: string): State => ({ ...state, value, version: at + 1 });
  switch (op.verb) {
    case 'get':
    case 'gets':
    case 'gat': {
      if (!present) return result('miss', state);
      if (!isOpen(op) && op.read?.replace(/^(\d+) +$/, '$1') !== state.value) return;
      if (!isOpen(op) && op.readFlags !== undefined && op.readFlags !== state.flags) return;
      const given = isOpen(op) ? live : withToken(live, op.cas, state.version);
      const next = op.verb === 'gat' ? { ...state, timed: op.ttl ? at : -1 } : state;
      return given && result('value', (op.ttl ?? 0) < 0 ? EMPTY : next, given);
    }
    case 'set':
      return result('stored', stored(op.value!));
    case 'add':
      return present ? result('not_stored', state, live) : result('stored', stored(op.value!));
    case 'replace':
      return present ? result('stored', stored(op.value!), live) : result('not_found', state);
    case 'append':
      return present ? result('stored', change(state.value! + op.value!), live) : result('not_found', state);
    case 'prepend':
      return present ? result('stored', change(op.value! + state.value!), live) : result('not_found', state);
    case 'cas': {
      if (!present) return result('not_found', state);
      const owner = bounds.tokens.get(op.token!);
      const isOwn =
        owner === state.version || (owner === undefined && !known.has(op.token!) && isUntold(state, bounds));
      if (isOwn && (isOpen(op) || op.outcome === 'stored')) return result('stored', stored(op.value!), live);
      if (owner === state.version || (owner === undefined && known.has(op.token!))) return undefined;
      return result('exists', state, live);
    }
    case 'incr':
    case 'decr': {
      if (!present) return result('not_found', state);
      if (!/^\d+$/.test(state.value!)) return result('non_numeric', state, live);
      const before = BigInt(state.value!);
      const amount = BigInt(op.amount ?? 1);
      const number = String(op.verb === 'incr' ? before + amount : before > amount ? before - amount : 0n);
      return isOpen(op) || op.read === number ? result('number', change(number), live) : undefined;
    }
    case 'delete':
      return present ? result('deleted', EMPTY, live) : result('not_found', state);
    case 'touch':
      if (!present) return result('not_found', state);
      return result('touched', (op.ttl ?? 0) < 0 ? EMPTY : { ...state, timed: op.ttl ? at : -1 }, live);
    case 'flush_all':
      return result('ok', EMPTY);
  }
}

function isUntold(state: State, bounds: Bounds): boolean {
  return ![...bounds.tokens.values()].includes(state.version);
}

function withToken(bounds: Bounds, token: string | undefined, version: number): Bounds | undefined {
  if (token === undefined) return bounds;
  const owner = bounds.tokens.get(token);
  if (owner !== undefined && owner !== version) return undefined;
  if (owner === undefined && [...bounds.tokens.values()].includes(version)) return undefined;
  return { ...bounds, tokens: new Map(bounds.tokens).set(token, version) };
}

/** Still there at this operation: not later than its time to live after the operation that set it. */
function alive(state: State, at: number, bounds: Bounds, slack_ms: number, order: readonly Operation[]): Bounds {
  if (state.timed < 0) return bounds;
  const limit = [state.timed, at, order[state.timed]!.ttl! * 1000 + slack_ms] as const;
  return { ...bounds, limits: [...bounds.limits, limit] };
}

/** Is there a moment for each, in order, within its interval and the limits? (Bellman and Ford) */
function hasMoments(order: readonly Operation[], limits: Bounds['limits']): boolean {
  const earliest = order.map(op => op.invokedAt);
  for (let round = 0; round <= order.length * 2 + 2; round++) {
    let isStill = true;
    const raise = (at: number, time: number): void => {
      if (time > earliest[at]!) {
        earliest[at] = time;
        isStill = false;
      }
    };
    for (let at = 1; at < order.length; at++) raise(at, earliest[at - 1]!);
    for (const [from, to, ms] of limits) raise(from, earliest[to]! - ms);
    if (order.some((op, at) => earliest[at]! > endOf(op))) return false;
    if (isStill) return true;
  }
  return false;
}
