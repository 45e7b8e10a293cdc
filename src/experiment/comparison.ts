/** The demo: one load, several systems in turn, one table. */
import type { LoadOptionsInput } from '../load/options.ts';
import type { Progress } from '../load/run.ts';
import { type LoadPlan, measureAgain, measureSystem, type SystemResult } from './load-runner.ts';
import { startMemcachedNodes } from './memcached-node.ts';
import { type RunningSystem, SYSTEM_NAMES, type SystemName, startSystem, systemUnavailable } from './systems.ts';
import { buildTestBed, type TestBed } from './topology.ts';

export interface ComparisonOptions {
  readonly clients: number;
  readonly nodes: number;
  readonly layout: TestBed['options']['layout'];
  readonly plan: LoadPlan;
  readonly systems?: readonly SystemName[];
  /** How long Keysteer, which finds hot keys as they are asked for, runs under load before it is measured once more. */
  readonly learnSeconds: number;
}

export interface Comparison {
  readonly plan: LoadPlan;
  readonly results: readonly SystemResult[];
  /** Keysteer, when it has found its hot keys. */
  readonly learnt?: SystemResult | undefined;
  /** Share of the reads that Keysteer answered itself, from its start to its end. */
  readonly answeredShare?: number | undefined;
  /** Systems that could not be had, with the reason. */
  readonly skipped: readonly { readonly system: SystemName; readonly reason: string }[];
}

/** Called as the work goes on: with the system under load and the generators' progress. */
export type OnComparisonProgress = (system: SystemName, position: number, count: number, progress: Progress) => void;

/** Zipf 0.99, nine GETs to a SET, 64-byte values: YCSB's mix B, leaning to writes. */
export const DEMO_PLAN = {
  keyCount: 20_000,
  zipf: 0.99,
  getRatio: 0.9,
  valueBytes: 64,
  window: 64,
  warmupSeconds: 0.5,
} satisfies Partial<LoadOptionsInput>;

/** Builds a bed, runs the load through each system, and takes everything down again, whatever happens. */
export async function compare(options: ComparisonOptions, onProgress: OnComparisonProgress): Promise<Comparison> {
  const wanted = options.systems ?? SYSTEM_NAMES;
  const skipped = wanted.flatMap(system => {
    const reason = systemUnavailable(system);
    return reason === undefined ? [] : [{ system, reason }];
  });
  const systems = wanted.filter(name => !skipped.some(({ system }) => system === name));
  const bed = buildTestBed({ ...options, kernelClients: false });
  try {
    const nodes = await startMemcachedNodes(bed.namespaces, bed.nodes);
    const results: SystemResult[] = [];
    let learnt: SystemResult | undefined;
    let answered: number | undefined;
    const count = systems.includes('keysteer') ? systems.length + 1 : systems.length;
    let position = 0;
    for (const name of systems) {
      const system = await startSystem(bed, name);
      const report = (progress: Progress) => onProgress(name, position, count, progress);
      results.push(await measureSystem(bed, nodes, system, options.plan, report));
      position++;
      if (name === 'keysteer') {
        const plan = { ...options.plan, warmupSeconds: options.learnSeconds };
        learnt = await measureAgain(bed, nodes, system, plan, report);
        position++;
      }
      await system.stop();
      if (name === 'keysteer') answered = answeredShare(system);
    }
    return { plan: options.plan, results, learnt, answeredShare: answered, skipped };
  } finally {
    await bed.close();
  }
}

/** By the figures that Keysteer prints when it ends; undefined when it was killed for being slow at that. */
function answeredShare({ group }: RunningSystem): number | undefined {
  const line = group!.output.split('\n').find(text => text.startsWith('{"event":"final"'));
  if (line === undefined) return undefined;
  const { hot_hits: hits, reads } = (JSON.parse(line) as { counters: Record<string, number> }).counters;
  return hits / Math.max(1, hits + reads);
}
