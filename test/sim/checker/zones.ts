/**
 * The fast path: zones, after Gibbons & Korach, "Testing shared memories" (SIAM J. Computing 26, 1997), extended by
 * spontaneous emptiness and by writes without a reply. O(n log n).
 *
 * For histories of one key in which every written value is written once and every operation either brings a value in
 * (set, add that stored), reads a named value (get, gets), or needs an absent item (miss, NOT_FOUND; flush_all).
 *
 * The operations of one value, its write and its reads, must stand side by side: a cluster. Let `first` be its earliest
 * end and `last` its latest start.
 *
 *     first < last   the value was there from first to last for sure: a forward zone [first, last]
 *     else           all of the cluster can happen at any one moment of [last, first]: a backward zone
 *
 * An operation that needs an absent item is a backward zone of its own, [start, end]: the item may vanish and the next
 * one be written when they like, so absences bind nothing else. The history is linearizable exactly if
 *
 *     1. what is read was written, and not after the end of the read;
 *     2. no two forward zones overlap;
 *     3. no backward zone lies inside a forward zone (elsewhere there is always a moment between two values);
 *     4. TTL: last ≤ first + t. The write can be put off to `first` at most; in a backward zone all is one moment;
 *     5. the tokens of a cluster are one, and no other cluster's.
 *
 * A write without a reply ends at infinity, so only its reads bound it; unread, it may as well never have happened.
 */
import { endOf, isOpen, type Operation } from './operation.ts';
import { trimmed } from './register.ts';

export type Rule =
  | 'never written'
  | 'read before it was written'
  | 'two values at once'
  | 'stale value'
  | 'gone and back'
  | 'lived too long'
  | 'two tokens of one version'
  | 'one token of two versions'
  | 'wrong flags'
  | 'no order explains it';

export interface Conflict {
  readonly rule: Rule;
  /** Those that contradict each other; not sorted. */
  readonly operations: readonly Operation[];
}

interface Cluster {
  write: Operation | undefined;
  /** Ends first. */
  earliest: Operation;
  first: number;
  /** Starts last. */
  latest: Operation;
  last: number;
  tokenFrom: Operation | undefined;
}

type Part = 'write' | 'read' | 'absence' | 'none';

/** @returns the role of an operation in zones; undefined: not one for the fast path */
function partOf(op: Operation): Part | undefined {
  if (isOpen(op)) {
    if (op.verb === 'get' || op.verb === 'gets' || op.verb === 'delete' || op.verb === 'flush_all') return 'none';
    return op.verb === 'set' || op.verb === 'add' ? writeOrNot(op) : undefined;
  }
  switch (op.outcome) {
    case 'stored':
      return op.verb === 'set' || op.verb === 'add' ? writeOrNot(op) : undefined;
    case 'value':
      return op.verb === 'gat' ? undefined : 'read';
    case 'miss':
    case 'not_found':
    case 'ok':
      return 'absence';
    case 'not_stored':
      return op.verb === 'add' ? undefined : 'absence';
    default:
      return undefined;
  }
}

/** Stored with a negative time to live it is never seen: it needs no moment of its own, but it ends what was there. */
function writeOrNot(op: Operation): Part {
  if ((op.ttl ?? 0) >= 0) return 'write';
  return isOpen(op) ? 'none' : 'absence';
}

/** @returns conflicts (empty: linearizable); undefined: not a history for the fast path */
export function checkZones(history: readonly Operation[], slack_ms: number): Conflict[] | undefined {
  const clusters = new Map<string, Cluster>();
  const absences: Operation[] = [];
  for (const op of history) {
    const part = partOf(op);
    if (part === undefined) return undefined;
    if (part === 'absence') absences.push(op);
    if (part === 'write' && !addWrite(clusters, op)) return undefined;
  }
  const conflicts: Conflict[] = [];
  for (const op of history) {
    if (op.outcome === 'value' && !isOpen(op)) addRead(clusters, op, conflicts);
  }
  if (conflicts.length > 0) return conflicts;
  const all = [...clusters.values()];
  checkTimeToLive(all, slack_ms, conflicts);
  checkTokens(history, clusters, conflicts);
  checkPlaces(all, absences, conflicts);
  return conflicts;
}

function addWrite(clusters: Map<string, Cluster>, op: Operation): boolean {
  const value = trimmed(op.value!);
  if (clusters.has(value)) return false;
  clusters.set(value, {
    write: op,
    earliest: op,
    first: endOf(op),
    latest: op,
    last: op.invokedAt,
    tokenFrom: undefined,
  });
  return true;
}

function addRead(clusters: Map<string, Cluster>, op: Operation, conflicts: Conflict[]): void {
  const cluster = clusters.get(trimmed(op.read!));
  const write = cluster?.write;
  if (cluster === undefined || write === undefined) {
    conflicts.push({ rule: 'never written', operations: [op] });
  } else if (endOf(op) < write.invokedAt) {
    conflicts.push({ rule: 'read before it was written', operations: [write, op] });
  } else if (op.readFlags !== undefined && op.readFlags !== (write.flags ?? 0)) {
    conflicts.push({ rule: 'wrong flags', operations: [write, op] });
  } else {
    widen(cluster, op);
  }
}

function widen(cluster: Cluster, op: Operation): void {
  const end = endOf(op);
  if (end < cluster.first) {
    cluster.first = end;
    cluster.earliest = op;
  }
  if (op.invokedAt > cluster.last) {
    cluster.last = op.invokedAt;
    cluster.latest = op;
  }
}

function checkTimeToLive(clusters: readonly Cluster[], slack_ms: number, conflicts: Conflict[]): void {
  for (const { write, earliest, first, latest, last } of clusters) {
    if (!write?.ttl || last <= first + write.ttl * 1000 + slack_ms) continue;
    conflicts.push({ rule: 'lived too long', operations: distinct([write, earliest, latest]) });
  }
}

function checkTokens(history: readonly Operation[], clusters: Map<string, Cluster>, conflicts: Conflict[]): void {
  const owners = new Map<string, Operation>();
  for (const op of history) {
    if (op.cas === undefined || op.outcome !== 'value' || isOpen(op)) continue;
    const cluster = clusters.get(trimmed(op.read!))!;
    const { tokenFrom } = cluster;
    if (tokenFrom !== undefined && tokenFrom.cas !== op.cas) {
      conflicts.push({ rule: 'two tokens of one version', operations: [cluster.write!, tokenFrom, op] });
    }
    cluster.tokenFrom ??= op;
    const owner = owners.get(op.cas);
    if (owner === undefined) owners.set(op.cas, op);
    else if (trimmed(owner.read!) !== trimmed(op.read!)) {
      conflicts.push({ rule: 'one token of two versions', operations: [owner, op] });
    }
  }
}

function checkPlaces(clusters: readonly Cluster[], absences: readonly Operation[], conflicts: Conflict[]): void {
  const forward = clusters.filter(({ first, last }) => first < last).sort((a, b) => a.first - b.first);
  let apart = true;
  for (let i = 1; i < forward.length; i++) {
    const before = forward[i - 1]!;
    const after = forward[i]!;
    if (after.first >= before.last) continue;
    conflicts.push({ rule: 'two values at once', operations: membersOf(before, after) });
    apart = false;
  }
  if (!apart) return;
  for (const cluster of clusters) {
    if (cluster.first < cluster.last || cluster.first === Number.POSITIVE_INFINITY) continue;
    const around = zoneAround(forward, cluster.last, cluster.first);
    if (around !== undefined) conflicts.push({ rule: 'stale value', operations: membersOf(around, cluster) });
  }
  for (const op of absences) {
    const around = zoneAround(forward, op.invokedAt, endOf(op));
    if (around !== undefined) conflicts.push({ rule: 'gone and back', operations: [...membersOf(around), op] });
  }
}

/** @param forward disjoint, in order of time @returns the zone that holds [start, end] in its inside */
function zoneAround(forward: readonly Cluster[], start: number, end: number): Cluster | undefined {
  let low = 0;
  let high = forward.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (forward[middle]!.first < start) low = middle + 1;
    else high = middle;
  }
  const zone = forward[low - 1];
  return zone !== undefined && end < zone.last ? zone : undefined;
}

function membersOf(...clusters: readonly Cluster[]): Operation[] {
  return distinct(clusters.flatMap(({ write, earliest, latest }) => [write!, earliest, latest]));
}

function distinct(operations: readonly Operation[]): Operation[] {
  return [...new Set(operations)];
}
