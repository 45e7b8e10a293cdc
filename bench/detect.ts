/**
 * What a detector costs: ns an update on 1,000,000 keys, drawn uniformly (nearly every update a newcomer: the worst case)
 * and by Zipf 0.99. One core, in memory, tables full. Processes take turns, as `bench -- pipeline` has it.
 * Then, end to end, how long it takes from a key's first request until it is treated (cold-to-treated.ts).
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type ColdToTreated, coldToTreatedFigures, measureColdToTreated } from './cold-to-treated.ts';
import { type DetectResult, STREAMS, VARIANT_NAMES, type VariantName } from './detect-variants.ts';
import { type Bench, type BenchOptions, type BenchReport, note, type Spread, spreadOf } from './harness.ts';

const ROUNDS = 5;
/** Of each round of keys that become hot. */
const SECONDS = 16;
const PROGRAM = fileURLToPath(new URL('./detect-variant.bundle.js', import.meta.url));
const HEADLINE: VariantName = 'self-adaptive';

type StreamName = (typeof STREAMS)[number]['name'];
/** Results of one detector, by stream. */
type Measured = ReadonlyMap<StreamName, DetectResult[]>;

async function run({ rounds = ROUNDS, seconds = SECONDS }: BenchOptions): Promise<BenchReport> {
  const measured = new Map<VariantName, Measured>(
    VARIANT_NAMES.map(name => [name, new Map(STREAMS.map(stream => [stream.name, []]))]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const [detector, streams] of measured) {
      for (const [stream, results] of streams) results.push(measure(detector, stream));
    }
    note(`round ${round + 1}/${rounds}: ${spreadOfStream(measured.get(HEADLINE)!, 'uniform').median.toFixed(1)} ns`);
  }
  return report(measured, await measureColdToTreated(rounds, seconds));
}

function measure(detector: VariantName, stream: StreamName): DetectResult {
  return JSON.parse(execFileSync(process.execPath, [PROGRAM, detector, stream], { encoding: 'utf8' })) as DetectResult;
}

/** Each process counts once, with the median of its slices. */
function spreadOfStream(streams: Measured, stream: StreamName): Spread {
  return spreadOf(streams.get(stream)!.map(({ nanosecondsPerUpdate }) => spreadOf(nanosecondsPerUpdate).median));
}

function report(measured: ReadonlyMap<VariantName, Measured>, treated: ColdToTreated): BenchReport {
  const rows = [...measured].map(([name, streams]) => [name, rowOf(streams)] as const);
  const best = Object.fromEntries(rows)[HEADLINE]!;
  const coldToTreatedMs = coldToTreatedFigures(treated);
  return {
    headline:
      `detect: ${best.nanosecondsPerUpdate} ns an update (${HEADLINE}, uniform over 1,000,000 keys; ` +
      `${best.zipf099.nanosecondsPerUpdate} ns at Zipf 0.99); ` +
      `from cold to treated in ${coldToTreatedMs.median} ms (median of ${coldToTreatedMs.repetitions}, longest ${coldToTreatedMs.max} ms)`,
    results: { ...Object.fromEntries(rows), coldToTreatedMs },
    spread: {
      ...Object.fromEntries(
        [...measured].map(([name, streams]) => [
          name,
          Object.fromEntries(STREAMS.map(({ name: stream }) => [stream, spreadOfStream(streams, stream)])),
        ]),
      ),
      ...(treated.ms.length === 0 ? {} : { coldToTreatedMs: spreadOf(treated.ms) }),
    },
  };
}

function rowOf(streams: Measured) {
  const [uniform, zipf099] = STREAMS.map(({ name }) => figuresOf(streams, name));
  return { ...uniform!, zipf099: zipf099! };
}

function figuresOf(streams: Measured, stream: StreamName) {
  const { entries, epsilon, displaced, bytes } = streams.get(stream)![0]!;
  const allocated = spreadOf(streams.get(stream)!.map(({ bytesAllocatedPerUpdate }) => bytesAllocatedPerUpdate));
  return {
    nanosecondsPerUpdate: Number(spreadOfStream(streams, stream).median.toFixed(1)),
    entries,
    epsilonInForce: epsilon,
    displaced,
    bytes,
    bytesAllocatedPerUpdate: allocated.median,
  };
}

export const bench: Bench = {
  describe:
    'one update of each hot-key detector; 1,000,000 keys, ε = 1e-5 or 1 MiB; figures of a row are for the uniform stream',
  run,
};
