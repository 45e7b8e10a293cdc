/**
 * The whole data path in memory, one core: receive a batch, parse, classify, hash, ring, slot, rewrite in place with both
 * checksums updated, hand to the transmitting port. No kernel. The headline is requests (client → node) at the default
 * configuration; replies are reported beside it, and so are UDP checksums verified in software and every steering hash.
 *
 * Each variant runs in a process of its own, as a lane does, in turns: V8 compiles for what it has seen.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Bench, type BenchOptions, type BenchReport, note, type Spread, spreadOf } from './harness.ts';
import { VARIANTS, type VariantResult } from './pipeline-variants.ts';

const ROUNDS = 5;
const PROGRAM = fileURLToPath(new URL('./pipeline-variant.bundle.js', import.meta.url));

async function run({ rounds = ROUNDS }: BenchOptions): Promise<BenchReport> {
  const measured = new Map<string, VariantResult[]>(VARIANTS.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name } of VARIANTS) measured.get(name)!.push(measure(name));
    note(
      `round ${round + 1}/${rounds}: ${(ratesOf(measured.get('default')!, 'requests')!.median / 1e6).toFixed(2)} M frames/s`,
    );
  }
  return report(measured);
}

/** MB: what a variant allocates while that is measured fits into the young generation, so that no collection hides it. */
const ROOMY = ['--min-semi-space-size=512', '--max-semi-space-size=512'];

function measure(variant: string): VariantResult {
  return JSON.parse(
    execFileSync(process.execPath, [...ROOMY, PROGRAM, variant], { encoding: 'utf8' }),
  ) as VariantResult;
}

function ratesOf(results: readonly VariantResult[], field: 'requests' | 'replies'): Spread | undefined {
  const rates = results.flatMap(result => result[field]);
  return rates.length === 0 ? undefined : spreadOf(rates);
}

function report(measured: ReadonlyMap<string, VariantResult[]>): BenchReport {
  const spreads = [...measured].map(([name, results]) => ({
    name,
    requests: ratesOf(results, 'requests')!,
    replies: ratesOf(results, 'replies'),
    allocated: spreadOf(results.map(result => result.bytesAllocatedPerFrame)).median,
  }));
  const [{ requests, replies, allocated: bytesAllocatedPerFrame }] = spreads;
  return {
    headline:
      `pipeline: ${(requests.median / 1e6).toFixed(2)} M frames/s on one core ` +
      `(${(1e9 / requests.median).toFixed(0)} ns a frame), ${bytesAllocatedPerFrame} bytes allocated per frame`,
    results: {
      framesPerSecond: Math.round(requests.median),
      replyFramesPerSecond: Math.round(replies!.median),
      bytesAllocatedPerFrame,
      nanosecondsPerFrame: Number((1e9 / requests.median).toFixed(1)),
      variants: Object.fromEntries(
        spreads.map(({ name, requests, replies, allocated }) => [
          name,
          {
            framesPerSecond: Math.round(requests.median),
            ...(replies && { replyFramesPerSecond: Math.round(replies.median) }),
            bytesAllocatedPerFrame: allocated,
          },
        ]),
      ),
    },
    spread: Object.fromEntries(
      spreads.map(({ name, requests, replies }) => [name, { requests, ...(replies && { replies }) }]),
    ),
  };
}

export const bench: Bench = {
  describe:
    'data path in memory, one core, 16-byte keys, 4 nodes: GETs of 1,000,000 keys with detector and cache look-ups; hot and cold variants',
  run,
};
