/**
 * From cold to treated: under load, a key that nobody asked for becomes the hottest at a known instant. How long until
 * Keysteer answers the first read of it by itself, which its IP TTL tells. A real Keysteer, real memcached, new keys one
 * after another.
 */
import type { LoadPlan } from '../src/experiment/load-runner.ts';
import { runClients } from '../src/experiment/load-runner.ts';
import { startMemcachedNodes } from '../src/experiment/memcached-node.ts';
import { startSystem } from '../src/experiment/systems.ts';
import { buildTestBed } from '../src/experiment/topology.ts';
import type { LoadResult } from '../src/load/result.ts';
import { note } from './harness.ts';

const NODES = 4;
/** Not a divisor of the keeper's epoch: instants fall everywhere in it. */
const EVERY_MS = 530;
/** The hottest of the others has 7.6 %. */
const SHARE = 0.1;

/** Before the first round: a lane is fast once V8 has compiled what it does. */
const COMPILE_SECONDS = 15;
const WARMUP_SECONDS = 4;

const PLAN = {
  keyCount: 100_000,
  zipf: 0.99,
  getRatio: 0.95,
  valueBytes: 64,
  rate: 20_000,
} satisfies LoadPlan;

export interface ColdToTreated {
  /** Of each key that was treated, ms, the shortest first. */
  readonly ms: readonly number[];
  /** Of each key: requests for it until it was. */
  readonly requests: readonly number[];
  /** Keys that were not before the next took their place. */
  readonly untreated: number;
  readonly lost: number;
  readonly wrong: number;
}

/** @param seconds of each round */
export async function measureColdToTreated(rounds: number, seconds: number): Promise<ColdToTreated> {
  const bed = buildTestBed({ layout: 'direct-veth', clients: 1, nodes: NODES, kernelClients: false });
  try {
    await startMemcachedNodes(bed.namespaces, bed.nodes);
    const keysteer = await startSystem(bed, 'keysteer');
    await runClients(bed, keysteer, { ...PLAN, warmupSeconds: 0, seconds: COMPILE_SECONDS });
    const results: LoadResult[] = [];
    for (let round = 1; round <= rounds; round++) {
      const surges = {
        everyMs: EVERY_MS,
        share: SHARE,
        skip: results.reduce((sum, { surges }) => sum + surges.length, 0),
      };
      const plan = { ...PLAN, warmupSeconds: WARMUP_SECONDS, seconds, surges, seed: round };
      results.push(await runClients(bed, keysteer, plan));
      note(`round ${round}/${rounds} from cold to treated: ${line(gather([results.at(-1)!]))}`);
    }
    return gather(results);
  } finally {
    await bed.close();
  }
}

function gather(results: readonly LoadResult[]): ColdToTreated {
  const surges = results.flatMap(result => result.surges);
  const treated = surges.flatMap(({ treatedMs }) => treatedMs ?? []);
  return {
    ms: treated.sort((a, b) => a - b),
    requests: surges.filter(({ treatedMs }) => treatedMs !== null).map(({ requests }) => requests),
    untreated: surges.length - treated.length,
    lost: results.reduce((sum, { lost }) => sum + lost, 0),
    wrong: results.reduce((sum, { wrong }) => sum + wrong, 0),
  };
}

/** Results of the bench. Keys that were not treated count as longer than all others. */
export function coldToTreatedFigures({ ms, requests, untreated, lost, wrong }: ColdToTreated) {
  const all = [...ms, ...Array<null>(untreated).fill(null)];
  const quantile = (share: number) => round1(all[Math.ceil(share * all.length) - 1] ?? null);
  const sorted = [...requests].sort((a, b) => a - b);
  return {
    median: quantile(0.5),
    p95: quantile(0.95),
    max: quantile(1),
    min: round1(all[0] ?? null),
    repetitions: all.length,
    untreated,
    requestsUntilTreated: sorted[sorted.length >> 1] ?? null,
    lost,
    wrong,
    requestsPerSecond: PLAN.rate,
    share: SHARE,
  };
}

function round1(value: number | null): number | null {
  return value === null ? null : Number(value.toFixed(1));
}

function line(measured: ColdToTreated): string {
  const { median, p95, max, repetitions, untreated, lost, wrong } = coldToTreatedFigures(measured);
  return `median ${median} ms  p95 ${p95} ms  max ${max} ms  of ${repetitions}, ${untreated} untreated  lost ${lost}  wrong ${wrong}`;
}
