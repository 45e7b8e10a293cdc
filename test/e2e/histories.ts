/**
 * Histories of real clients before the checker of the simulator (test/sim/judge.ts). What a real run does not tell for sure
 * is taken out first: a miss that Keysteer may have said in the place of a silent node says nothing of the key.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Figures } from '../../src/control/conductor.ts';
import type { CheckOptions } from '../sim/checker/check-key.ts';
import { toJsonLines } from '../sim/checker/operation.ts';
import type { Operation } from '../sim/history.ts';
import type { Home } from '../sim/homes.ts';
import { judge, piecesOf, type Violation } from '../sim/judge.ts';
import type { Balancer } from './balancer.ts';
import type { Recorded } from './programs/history-clients.ts';

/** Between what is counted, printed and read here, and what a client hears, ms. */
const MARGIN_MS = 250;
/** Misses for one key that Keysteer makes up, and for one of several. */
const MADE_UP = ['misses_answered'] as const;
const MADE_UP_OF_SEVERAL = ['multiget_unanswered', 'multiget_node_errors', 'multiget_abandoned'] as const;

const FOR_EVER: readonly Home[] = [
  {
    node: 0,
    movedMs: Number.NEGATIVE_INFINITY,
    fromMs: Number.NEGATIVE_INFINITY,
    untilMs: Number.POSITIVE_INFINITY,
  },
];

/** The machine's monotonic clock, ms: as programs/history-clients.ts has it. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** When Keysteer made misses up, by its figures. */
export class Doubts {
  readonly #spans: { readonly names: readonly string[]; readonly fromMs: number; readonly untilMs: number }[] = [];
  readonly #stop: () => void;
  #latest: Figures | undefined;
  #times = [nowMs(), nowMs()];

  constructor(balancer: Balancer) {
    this.#stop = balancer.watch(figures => this.#look(figures));
  }

  end(): void {
    this.#stop();
  }

  isDoubtful({ isOfSeveral, returnedAt = 0 }: Recorded): boolean {
    const kind = isOfSeveral ? MADE_UP_OF_SEVERAL : MADE_UP;
    return this.#spans.some(
      ({ names, fromMs, untilMs }) => names === kind && fromMs < returnedAt && returnedAt < untilMs,
    );
  }

  #look(figures: Figures): void {
    const atMs = nowMs();
    const [beforeMs] = this.#times;
    for (const names of [MADE_UP, MADE_UP_OF_SEVERAL]) {
      const hasMoved = names.some(name => figures.counters[name] !== (this.#latest?.counters[name] ?? 0));
      if (hasMoved) this.#spans.push({ names, fromMs: beforeMs! - MARGIN_MS, untilMs: atMs + MARGIN_MS });
    }
    this.#latest = figures;
    this.#times = [this.#times[1]!, atMs];
  }
}

/** What several programs have recorded, by key, in the order of their starts; times from the first on. */
export function readHistories(files: readonly string[], doubts: Doubts): Map<string, Operation[]> {
  const lines = files.flatMap(file => readFileSync(file, 'utf8').trim().split('\n'));
  const all = lines.map(line => JSON.parse(line) as Recorded).sort((a, b) => a.invokedAt - b.invokedAt);
  const zeroMs = all[0]!.invokedAt;
  const keys = new Map<string, Operation[]>();
  for (const [id, recorded] of all.entries()) {
    const { isOfSeveral, ...operation } = withoutDoubt(recorded, doubts);
    const { returnedAt } = operation;
    const told = {
      ...operation,
      id,
      invokedAt: operation.invokedAt - zeroMs,
      returnedAt: returnedAt === undefined ? undefined : returnedAt - zeroMs,
    };
    keys.set(told.key, [...(keys.get(told.key) ?? []), told]);
  }
  return keys;
}

/** What may yet be done by a node that was silent stays open; a read tells nothing. As the simulator's clients do. */
function withoutDoubt(operation: Recorded, doubts: Doubts): Recorded {
  const { op, output } = operation;
  const isMiss = output?.kind === 'miss' || (op !== 'delete' && output?.kind === 'not_found');
  if (!isMiss || !doubts.isDoubtful(operation)) return operation;
  return op === 'get'
    ? { ...operation, output: { kind: 'unknown' } }
    : { ...operation, returnedAt: undefined, output: undefined };
}

export interface JudgedRun {
  /** What does not fit, in words; with the file that the history of the key was written to. */
  readonly violations: readonly string[];
  readonly undecided: readonly string[];
}

/** @param hasTokens CAS ids say which version it is: no node began anew, no key moved, none got a new one under the same value */
export function judgeRun(
  name: string,
  keys: ReadonlyMap<string, readonly Operation[]>,
  hasTokens: boolean,
  check: CheckOptions,
): JudgedRun {
  const { violations, undecided } = judge(
    keys,
    () => FOR_EVER,
    () => !hasTokens,
    check,
  );
  return { violations: violations.map(violation => told(name, violation, keys, hasTokens)), undecided };
}

function told(
  name: string,
  { key, text }: Violation,
  keys: ReadonlyMap<string, readonly Operation[]>,
  hasTokens: boolean,
): string {
  const file = join(tmpdir(), `keysteer-history-${name.replaceAll(/[^a-z0-9]+/gi, '-')}-${key}-${process.pid}.jsonl`);
  const pieces = piecesOf(key, keys.get(key)!, FOR_EVER, () => !hasTokens);
  writeFileSync(file, toJsonLines(pieces.flat()));
  return `${name}: ${key}: ${text}\n  the history: ${file}`;
}
