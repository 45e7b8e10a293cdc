/**
 * A quick judgement of histories, key by key, by conditions that every linearizable one meets; of a register also enough
 * that it is one.
 *
 * Registers (Gibbons and Korach 1997, for values written once): a value and all that saw it make a cluster; its zone lies
 * between the first moment by which it was over for somebody and the last at which somebody began to see it. If the first
 * is earlier, the value must have been there all the while (a forward zone). Two forward zones may not overlap, and nothing
 * else may lie within one: neither another value's whole life, nor a moment at which the register was empty.
 *
 * Lists: the same for their first token; besides, they only grow, and nothing that was acknowledged is missing.
 */
import { GHOST, type Operation, type Output, textOf } from './history.ts';
import type { Move } from './homes.ts';
import type { Family } from './workload.ts';

export interface Violation {
  readonly key: string;
  readonly rule: string;
  /** Those that contradict each other. */
  readonly operations: readonly Operation[];
}

/** @param moves of the key from home to home, in their order */
export function checkKey(
  family: Family,
  operations: readonly Operation[],
  moves: readonly Move[],
): Violation | undefined {
  if (family === 'counter') return undefined;
  const told = operations.filter(isTold);
  const ends = [...moves.map(({ fromMs }) => fromMs), Number.POSITIVE_INFINITY];
  const starts = [Number.NEGATIVE_INFINITY, ...moves.map(({ toMs }) => toMs)];
  for (const [i, startMs] of starts.entries()) {
    const piece = pieceOf(told, startMs, ends[i]!);
    const violation = family === 'register' ? checkRegister(piece) : checkList(piece);
    if (violation !== undefined) return violation;
  }
  return undefined;
}

export function violationText({ key, rule, operations }: Violation): string {
  return `${key}: ${rule}\n${operations.map(operation => `    ${textOf(operation)}\n`).join('')}`;
}

/** Neither turned away nor of unknown outcome; a read without an answer tells nothing. */
function isTold({ op, output }: Operation): boolean {
  if (output === undefined) return op !== 'get';
  return output.kind !== 'refused' && output.kind !== 'unknown';
}

interface Piece {
  /** Operations that lie wholly between two moves. */
  readonly inside: readonly Operation[];
  /** All that may have changed something by then; those not inside at any time. */
  readonly writes: readonly Operation[];
  readonly touches: readonly Operation[];
}

function pieceOf(operations: readonly Operation[], startMs: number, endMs: number): Piece {
  const began = operations.filter(({ invokedAt }) => invokedAt < endMs);
  return {
    inside: began.filter(
      ({ invokedAt, returnedAt = Number.POSITIVE_INFINITY }) => invokedAt >= startMs && returnedAt <= endMs,
    ),
    writes: began.filter(({ input }) => input.value !== undefined),
    touches: began.filter(({ op }) => op === 'touch' || op === 'gat'),
  };
}

interface Cluster {
  /** Undefined for a moment of emptiness. */
  readonly write: Operation | undefined;
  firstReturn: Operation | undefined;
  lastInvocation: Operation;
}

function checkRegister({ inside, writes, touches }: Piece): Violation | undefined {
  const { writers, doubled } = writersOf(writes);
  const clusters = new Map<string, Cluster>();
  const moments: Cluster[] = [];
  const isInside = new Set(inside);
  for (const operation of inside) {
    const { output } = operation;
    if (output === undefined) continue;
    if (isEmptiness(output, operation))
      moments.push({ write: undefined, firstReturn: operation, lastInvocation: operation });
    if (output.kind !== 'value' && output.kind !== 'stored') continue;
    const value = output.kind === 'value' ? output.value : operation.input.value!;
    if (doubled.has(value)) continue;
    const write = writers.get(value);
    if (write === undefined) return fault(operation.key, 'a value that nobody has written', [operation]);
    if (output.kind === 'value') {
      const violation = checkRead(operation, output, write, touches);
      if (violation !== undefined) return violation;
    }
    join(clusters, value, operation, isInside.has(write) ? write : undefined);
  }
  return checkZones([...clusters.values(), ...moments]);
}

/** By value; and values that the network may have written twice. */
function writersOf(writes: readonly Operation[]): { writers: Map<string, Operation>; doubled: Set<string> } {
  const writers = new Map<string, Operation>();
  const doubled = new Set<string>();
  for (const write of writes) {
    if (write.client === GHOST) doubled.add(write.input.value!);
    else writers.set(write.input.value!, write);
  }
  return { writers, doubled };
}

/** Whether it has found the register empty, or made it so. */
function isEmptiness(output: Output, { op }: Operation): boolean {
  if (output.kind === 'miss' || output.kind === 'not_found' || output.kind === 'deleted') return true;
  return output.kind === 'not_stored' && op === 'replace';
}

function checkRead(
  read: Operation,
  { flags }: Output & { kind: 'value' },
  write: Operation,
  touches: readonly Operation[],
): Violation | undefined {
  if (read.returnedAt! < write.invokedAt)
    return fault(read.key, 'a value that was read before it was written', [write, read]);
  if (flags !== (write.input.flags ?? 0)) return fault(read.key, 'a value with the flags of another', [write, read]);
  const { ttl = 0 } = write.input;
  if (ttl === 0 || write.returnedAt === undefined || read.invokedAt <= write.returnedAt + ttl * 1000) return undefined;
  const isTouched = touches.some(
    ({ invokedAt, returnedAt = Number.POSITIVE_INFINITY }) =>
      invokedAt < read.returnedAt! && returnedAt > write.invokedAt,
  );
  return isTouched ? undefined : fault(read.key, 'a value that has expired', [write, read]);
}

/** @param write undefined when nobody knows when it took effect */
function join(clusters: Map<string, Cluster>, value: string, operation: Operation, write: Operation | undefined): void {
  let cluster = clusters.get(value);
  if (cluster === undefined) {
    cluster = { write, firstReturn: operation, lastInvocation: operation };
    clusters.set(value, cluster);
    if (write !== undefined) widen(cluster, write);
  }
  widen(cluster, operation);
}

function widen(cluster: Cluster, operation: Operation): void {
  const { returnedAt } = operation;
  if (returnedAt !== undefined && returnedAt < cluster.firstReturn!.returnedAt!) cluster.firstReturn = operation;
  if (operation.invokedAt > cluster.lastInvocation.invokedAt) cluster.lastInvocation = operation;
}

function checkZones(clusters: readonly Cluster[]): Violation | undefined {
  const low = ({ firstReturn }: Cluster) => firstReturn!.returnedAt!;
  const high = ({ lastInvocation }: Cluster) => lastInvocation.invokedAt;
  const forward = clusters.filter(cluster => low(cluster) < high(cluster)).sort((a, b) => low(a) - low(b));
  for (let i = 1; i < forward.length; i++) {
    if (low(forward[i]!) < high(forward[i - 1]!))
      return contradiction('two values at the same time', forward[i - 1]!, forward[i]!);
  }
  for (const cluster of clusters) {
    if (low(cluster) < high(cluster)) continue;
    const around = forward[lastBelow(forward, low, high(cluster))];
    if (around === undefined || low(cluster) >= high(around)) continue;
    const what = cluster.write === undefined && isMoment(cluster) ? 'empty' : 'another value';
    return contradiction(`${what}, and later again what was there before`, around, cluster);
  }
  return undefined;
}

function isMoment({ firstReturn, lastInvocation }: Cluster): boolean {
  return firstReturn === lastInvocation;
}

/** Index of the last cluster whose zone begins before `ms`, or −1. */
function lastBelow(clusters: readonly Cluster[], low: (cluster: Cluster) => number, ms: number): number {
  let from = 0;
  let to = clusters.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (low(clusters[middle]!) < ms) from = middle + 1;
    else to = middle;
  }
  return from - 1;
}

function contradiction(rule: string, a: Cluster, b: Cluster): Violation {
  const all = [a.write, a.firstReturn, a.lastInvocation, b.write, b.firstReturn, b.lastInvocation];
  const operations = [...new Set(all.filter(operation => operation !== undefined))];
  return fault(
    operations[0]!.key,
    rule,
    operations.sort((x, y) => x.invokedAt - y.invokedAt),
  );
}

function fault(key: string, rule: string, operations: readonly Operation[]): Violation {
  return { key, rule, operations };
}

interface ListRead {
  readonly operation: Operation;
  readonly tokens: readonly string[];
}

function checkList({ inside, writes }: Piece): Violation | undefined {
  const { writers, doubled } = writersOf(writes);
  const clusters = new Map<string, Cluster>();
  const moments: Cluster[] = [];
  const reads = new Map<string, ListRead[]>();
  const isInside = new Set(inside);
  for (const operation of inside) {
    const { output } = operation;
    if (output === undefined) continue;
    const isStored = output.kind === 'stored' && operation.op === 'set';
    if (isEmptiness(output, operation))
      moments.push({ write: undefined, firstReturn: operation, lastInvocation: operation });
    if (output.kind !== 'value' && !isStored) continue;
    const text = output.kind === 'value' ? output.value : operation.input.value!;
    const tokens = text.match(/<\d+>/g) ?? [];
    const unknown = tokens.find(token => !writers.has(token));
    if (tokens.join('') !== text || unknown !== undefined)
      return fault(operation.key, 'a token that nobody has written', [operation]);
    const base = tokens.find(token => writers.get(token)!.op === 'set');
    if (base === undefined) return fault(operation.key, 'a list without a beginning', [operation]);
    if (doubled.has(base)) continue;
    const write = writers.get(base)!;
    join(clusters, base, operation, isInside.has(write) ? write : undefined);
    if (output.kind === 'value') reads.set(base, [...(reads.get(base) ?? []), { operation, tokens }]);
  }
  for (const list of reads.values()) {
    const violation = checkGrowth(list, inside, doubled);
    if (violation !== undefined) return violation;
  }
  return checkZones([...clusters.values(), ...moments]);
}

/** @param reads of one list, in the order in which they were begun */
function checkGrowth(
  reads: readonly ListRead[],
  inside: readonly Operation[],
  doubled: Set<string>,
): Violation | undefined {
  const ended = [...reads].sort((a, b) => a.operation.returnedAt! - b.operation.returnedAt!);
  const [first] = ended;
  const grown = inside.filter(
    ({ op, output, invokedAt }) =>
      (op === 'append' || op === 'prepend') && output?.kind === 'stored' && invokedAt > first!.operation.returnedAt!,
  );
  let longest: ListRead | undefined;
  let next = 0;
  for (const read of reads) {
    const { operation, tokens } = read;
    const { key, invokedAt } = operation;
    if (new Set(tokens).size < tokens.length && !tokens.some(token => doubled.has(token))) {
      return fault(key, 'a token that stands there twice', [operation]);
    }
    for (; next < ended.length && ended[next]!.operation.returnedAt! < invokedAt; next++) {
      if (longest === undefined || ended[next]!.tokens.length > longest.tokens.length) longest = ended[next];
    }
    if (longest !== undefined && !tokens.join('').includes(longest.tokens.join(''))) {
      return fault(key, 'a list that has shrunk, or lost its order', [longest.operation, operation]);
    }
    const lost = grown.find(write => write.returnedAt! < invokedAt && !tokens.includes(write.input.value!));
    if (lost !== undefined)
      return fault(key, 'a token that was acknowledged is missing', [first!.operation, lost, operation]);
  }
  return undefined;
}
