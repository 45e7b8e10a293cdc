/** What `GET /status` and `GET /nodes` say. */
import type { Conductor } from '../conductor.ts';
import type { Figures } from '../figures.ts';
import { latencyHistograms } from '../figures.ts';
import type { Reloader, ReloadFigures } from '../reload/reloader.ts';

/** A histogram with its empty buckets left out: [bucket, count]; limits by mem/histogram.ts. */
export interface SparseHistogram {
  readonly verbs: string;
  readonly path: string;
  readonly sumUs: number;
  readonly buckets: readonly (readonly [bucket: number, count: number])[];
}

export interface Status extends Figures {
  readonly version: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Absolute; absent when flags said everything. */
  readonly configFile?: string;
  readonly vip: string;
  readonly mode: string;
  readonly reloads: ReloadFigures;
  readonly histograms: readonly SparseHistogram[];
}

export interface Instance {
  readonly version: string;
  readonly startedAt: Date;
  readonly conductor: Conductor;
  readonly reloader: Reloader;
}

export function statusOf({ version, startedAt, conductor, reloader }: Instance): Status {
  const { vip, mode } = conductor.config;
  const { absolutePath } = reloader;
  return {
    version,
    pid: process.pid,
    startedAt: startedAt.toISOString(),
    ...(absolutePath === undefined ? {} : { configFile: absolutePath }),
    vip: `${vip.text}:${vip.port}`,
    mode,
    reloads: reloader.figures,
    ...conductor.figures(),
    histograms: sparseHistograms(conductor),
  };
}

function sparseHistograms(conductor: Conductor): SparseHistogram[] {
  return latencyHistograms(conductor.laneMemory).flatMap(({ verbs, path, sumUs, counts }) => {
    const buckets = Array.from(counts, (count, bucket) => [bucket, count] as const).filter(([, count]) => count > 0);
    return buckets.length === 0 ? [] : [{ verbs, path, sumUs, buckets }];
  });
}
