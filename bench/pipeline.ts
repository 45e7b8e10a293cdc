/**
 * The whole data path in memory, one core: receive a batch, parse, classify, hash, ring, slot, rewrite in place with both
 * checksums updated, hand to the transmitting port. No kernel. The headline is requests (client → node) at the default
 * configuration; replies are reported beside it, and so are UDP checksums verified in software and every steering hash.
 *
 * Each variant runs in a process of its own, as a lane does, in turns: V8 compiles for what it has seen.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Bench, type BenchOptions, type BenchReport, note, spreadOf } from './harness.ts';
import { VARIANTS, type VariantResult } from './pipeline-variants.ts';

const ROUNDS = 5;
const PROGRAM = fileURLToPath(new URL('./pipeline-variant.bundle.js', import.meta.url));

async function run({ rounds = ROUNDS }: BenchOptions): Promise<BenchReport> {
  const measured = new Map<string, VariantResult[]>(VARIANTS.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name } of VARIANTS) measured.get(name)!.push(measure(name));
    note(
      `round ${round + 1}/${rounds}: ${(rateOf(measured.get('default')!, 'requests').median / 1e6).toFixed(2)} M frames/s`,
    );
  }
  return report(measured);
}

function measure(variant: string): VariantResult {
  return JSON.parse(execFileSync(process.execPath, [PROGRAM, variant], { encoding: 'utf8' })) as VariantResult;
}

function rateOf(results: readonly VariantResult[], field: 'requests' | 'replies') {
  return spreadOf(results.flatMap(result => result[field]));
}

function report(measured: ReadonlyMap<string, VariantResult[]>): BenchReport {
  const spreads = [...measured].map(([name, results]) => ({
    name,
    requests: rateOf(results, 'requests'),
    replies: rateOf(results, 'replies'),
  }));
  const [{ requests, replies }] = spreads;
  const bytesAllocatedPerFrame = spreadOf(measured.get('default')!.map(result => result.bytesAllocatedPerFrame)).median;
  return {
    headline:
      `pipeline: ${(requests.median / 1e6).toFixed(2)} M frames/s on one core ` +
      `(${(1e9 / requests.median).toFixed(0)} ns a frame), ${bytesAllocatedPerFrame} bytes allocated per frame`,
    results: {
      framesPerSecond: Math.round(requests.median),
      replyFramesPerSecond: Math.round(replies.median),
      bytesAllocatedPerFrame,
      nanosecondsPerFrame: Number((1e9 / requests.median).toFixed(1)),
      variants: Object.fromEntries(
        spreads.map(({ name, requests, replies }) => [
          name,
          { framesPerSecond: Math.round(requests.median), replyFramesPerSecond: Math.round(replies.median) },
        ]),
      ),
    },
    spread: Object.fromEntries(spreads.map(({ name, ...spread }) => [name, spread])),
  };
}

export const bench: Bench = {
  describe: 'data path in memory, one core, requests with 16-byte keys drawn uniformly from 1,000,000, 4 nodes',
  run,
};
