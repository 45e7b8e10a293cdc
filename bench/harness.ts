/** What every bench shares: rounds in turns, medians with spread, and a report that says where it was measured. */
import { execFileSync } from 'node:child_process';
import { cpus, release } from 'node:os';

export interface BenchOptions {
  readonly json: boolean;
  readonly rounds: number | undefined;
  readonly seconds: number | undefined;
}

/** Median of several rounds, and the range they spread over. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

export interface BenchReport {
  /** The one number that counts, as a sentence. */
  readonly headline: string;
  readonly results: Readonly<Record<string, unknown>>;
  readonly spread: Readonly<Record<string, unknown>>;
}

export interface Bench {
  readonly describe: string;
  run(options: BenchOptions): Promise<BenchReport>;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1], rounds: sorted.length };
}

export function where(): Record<string, unknown> {
  const [cpu] = cpus();
  return {
    commit: commit(),
    node: process.version,
    cpu: `${cpu?.model ?? 'unknown'} × ${cpus().length}`,
    kernel: release(),
    date: new Date().toISOString(),
  };
}

function commit(): string {
  try {
    const hash = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
    const dirty = execFileSync('git', ['status', '--porcelain'], { encoding: 'utf8' }).trim() !== '';
    return dirty ? `${hash}+changes` : hash;
  } catch {
    return 'unknown';
  }
}

/** Progress for people; never on stdout, which may be JSON. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
