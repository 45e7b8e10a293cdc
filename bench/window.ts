/**
 * What a load costs and does while it is measured, without its prefill, warm-up and end: CPU time of processes, and
 * whatever else is asked for when the measured time begins and when it is nearly over. The generator reports four times a
 * second, so up to a quarter of a second is missing at each end; all rates are of the same time.
 */
import { cpuSeconds, type LoadPlan, runClients } from '../src/experiment/load-runner.ts';
import type { RunningSystem } from '../src/experiment/systems.ts';
import type { TestBed } from '../src/experiment/topology.ts';
import type { LoadResult } from '../src/load/result.ts';
import type { Progress } from '../src/load/run.ts';

/** Between two reports of a generator, with something to spare, s. */
const REPORT_SECONDS = 0.3;

export interface Sample<T> {
  /** `performance.now()`, ms. */
  readonly atMs: number;
  /** CPU time so far of each group of processes, s. */
  readonly cpuSeconds: readonly number[];
  readonly figures: T;
}

export interface Measured<T> {
  readonly load: LoadResult;
  readonly begin: Sample<T>;
  readonly end: Sample<T>;
  readonly seconds: number;
  /** CPU seconds a second, of each group of processes. */
  readonly cpuShares: readonly number[];
}

/**
 * @param pids groups of processes
 * @param figures asked twice
 * @throws Error when the measured time was too short to be looked at twice
 */
export async function measureWindow<T>(
  bed: TestBed,
  system: Pick<RunningSystem, 'targets' | 'path'>,
  plan: LoadPlan & { readonly seconds: number },
  pids: readonly (readonly number[])[],
  figures: () => T | Promise<T>,
): Promise<Measured<T>> {
  const samples: Promise<Sample<T>>[] = [];
  const take = async (): Promise<Sample<T>> => {
    const sample = { atMs: performance.now(), cpuSeconds: pids.map(cpuSeconds) };
    return { ...sample, figures: await figures() };
  };
  const onProgress = ({ phase, seconds }: Progress) => {
    if (phase !== 'measure') return;
    const isDue = samples.length === 0 || (samples.length === 1 && seconds >= plan.seconds - REPORT_SECONDS);
    if (isDue) samples.push(take());
  };
  const load = await runClients(bed, system, plan, onProgress);
  const [begin, end] = await Promise.all(samples);
  if (begin === undefined || end === undefined) throw new Error(`${plan.seconds} s are too short to measure in`);
  const seconds = (end.atMs - begin.atMs) / 1000;
  const cpuShares = end.cpuSeconds.map((after, group) => (after - begin.cpuSeconds[group]) / seconds);
  return { load, begin, end, seconds, cpuShares };
}
