import { describe, expect, it } from 'vitest';
import { LoadOptionsError } from '../../src/load/options.ts';
import { type LoadResult, mergeResults } from '../../src/load/result.ts';
import { LoadError, type Progress, runLoad } from '../../src/load/run.ts';
import type { Transport } from '../../src/load/transport.ts';
import { type Fate, loadOptions, type Request, TIMEOUT_MS, World } from './model.ts';

/** Every look at the clock takes 10 µs, in which the server has its turn. */
function transportOf(world: World): Transport {
  const pass = (timeout_us: number, wakes: boolean) => {
    const end_ns = world.now_ns + timeout_us * 1e3;
    const { delivered } = world;
    do world.turn();
    while (world.now_ns < end_ns && !(wakes && world.delivered > delivered));
  };
  return {
    arena: world.arena,
    port: world.near,
    now_ns: () => {
      world.turn();
      return world.now_ns;
    },
    wait: timeout_us => pass(timeout_us, true),
    sleep: timeout_us => pass(timeout_us, false),
  };
}

async function run(options: Parameters<typeof loadOptions>[0], fate?: (request: Request) => Fate) {
  const world = new World(fate && { fate });
  const progress: Progress[] = [];
  const all = loadOptions({ warmupSeconds: 0.05, seconds: 0.2, window: 2, ...options });
  const result = await runLoad(all, report => progress.push(report), { transport: transportOf(world) });
  return { world, progress, result };
}

/** What must hold of every result. */
function expectSums(result: LoadResult): void {
  const { tally } = result;
  expect(result.requests).toBe(result.replies + result.lost);
  expect(result.replies).toBe(
    result.hits + result.misses + result.stored + result.errors + tally.measure.wrong_replies,
  );
  expect(result.get.requests + result.set.requests).toBe(result.requests);
  expect(result.histograms.get.count + result.histograms.set.count).toBe(result.replies);
}

describe('runLoad', () => {
  it('goes through its phases and adds up', async () => {
    const { world, progress, result } = await run({});
    expectSums(result);
    expect(result.requests).toBeGreaterThan(1000);
    expect([result.lost, result.wrong, result.misses, result.aborted]).toEqual([0, 0, 0, false]);
    expect(result.seconds).toBeCloseTo(0.2, 2);
    expect(Math.abs(result.requestsPerSecond * result.seconds - result.replies)).toBeLessThanOrEqual(2.5);
    expect(result.prefill).toMatchObject({ keys: 50, retries: 0 });
    const { prefill, warmup, measure } = result.tally;
    expect(prefill.set_requests).toBe(50);
    expect(warmup.get_requests + warmup.set_requests).toBeGreaterThan(100);
    expect(world.requests.length).toBe(
      50 + warmup.get_requests + warmup.set_requests + measure.get_requests + measure.set_requests,
    );
    expect(progress.map(({ phase }) => phase)).toContain('measure');
    // The replies come after 0.1 ms and a turn or two.
    expect(result.latency.p50Us).toBeGreaterThan(99);
    expect(result.latency.p50Us).toBeLessThan(300);
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  it('reports four times a second', async () => {
    const { progress } = await run({ seconds: 2, keyCount: 5, window: 1 });
    const measuring = progress.filter(({ phase }) => phase === 'measure');
    expect(measuring.length).toBeGreaterThanOrEqual(7);
    expect(measuring.length).toBeLessThanOrEqual(9);
    const shares = measuring.map(({ share }) => share as number);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(measuring.at(-1)?.repliesPerSecond).toBeGreaterThan(1000);
  });

  it('with losses, late replies and wrong ones, everything still adds up', async () => {
    const { world, result } = await run({ window: 32 }, ({ number }) => {
      if (number % 50 === 1) return [];
      if (number % 50 === 2) return [{ afterMs: TIMEOUT_MS + 5 }];
      if (number % 50 === 3) return [{ change: reply => void reply.payload.writeUInt8(9, 3) }];
      if (number % 50 === 4) return [{}, { afterMs: 1 }];
      return [{}];
    });
    const those = (rest: number) => world.requests.filter(({ number }) => number % 50 === rest).length;
    expectSums(result);
    const lostInAll = Object.values(result.tally).reduce((sum, { get_lost, set_lost }) => sum + get_lost + set_lost, 0);
    expect(lostInAll).toBe(those(1) + those(2));
    expect(result.wrong).toBe(those(3));
    expect(result.wrongByReason.framing).toBe(those(3));
    expect(result.wrongSamples.length).toBe(8);
    // What comes late to the last requests comes after the run is over.
    const last = world.requests.filter(({ at_ns }) => at_ns > world.now_ns - (TIMEOUT_MS + 6) * 1e6);
    const inTime = (rest: number) => those(rest) - last.filter(({ number }) => number % 50 === rest).length;
    expect(result.late).toBeGreaterThanOrEqual(inTime(2));
    expect(result.late).toBeLessThanOrEqual(those(2));
    expect(result.duplicates).toBeGreaterThanOrEqual(inTime(4));
    expect(result.duplicates).toBeLessThanOrEqual(those(4));
    expect(inTime(2)).toBeGreaterThan(10);
  });

  it('nobody answers ARP: says who and where', async () => {
    const world = new World({ addresses: [] });
    const outcome = runLoad(loadOptions({ patienceMs: 300 }), undefined, { transport: transportOf(world) });
    await expect(outcome).rejects.toThrow(LoadError);
    await expect(outcome).rejects.toThrow('no answer to ARP for 10.0.0.2 on loop0 in 300 ms');
  });

  it('nobody answers SETs: says how far prefill came', async () => {
    const outcome = run({ patienceMs: 100, keyCount: 20 }, ({ text }) => (text.includes('07 0 0') ? [] : [{}]));
    await expect(outcome).rejects.toThrow('prefill: 19 of 20 keys written, then no reply for 100 ms');
  });

  it.each(['prefill', 'measure'])('an abort during %s ends it at once, with what there is', async phase => {
    const world = new World();
    const abort = new AbortController();
    const options = loadOptions({
      warmupSeconds: 0,
      seconds: 100,
      keyCount: 100_000,
      prefillCount: phase === 'measure' ? 1 : 90_000,
      prefillWindow: 1,
      window: 1,
    });
    const result = await runLoad(
      options,
      report => {
        if (report.phase === phase) abort.abort();
      },
      { transport: transportOf(world), signal: abort.signal },
    );
    expect(result.aborted).toBe(true);
    expect(result.seconds).toBeLessThan(2);
    expectSums(result);
    expect(result.requests > 0).toBe(phase === 'measure');
  });

  it('seconds 0: prefill only', async () => {
    const { world, result } = await run({ seconds: 0 });
    expect([result.requests, result.requestsPerSecond, result.prefill.keys]).toEqual([0, 0, 50]);
    expect(world.values.size).toBe(50);
  });

  it('prefill false: none', async () => {
    const { world, result } = await run({ prefill: false, getRatio: 1 });
    expect(result.misses).toBe(result.replies);
    expect(world.values.size).toBe(0);
  });

  it('waits for the common start after prefill', async () => {
    const world = new World();
    let firstGet_ns = 0;
    const transport = transportOf(world);
    const { turn } = world;
    world.turn = () => {
      turn.call(world);
      if (firstGet_ns === 0 && world.requests.some(({ text }) => text.startsWith('get'))) firstGet_ns = world.now_ns;
    };
    const start_ns = world.now_ns;
    await runLoad(
      loadOptions({ startAtMs: Date.now() + 400, warmupSeconds: 0, seconds: 0.01, keyCount: 3 }),
      undefined,
      { transport },
    );
    expect((firstGet_ns - start_ns) / 1e6).toBeGreaterThan(390);
    expect((firstGet_ns - start_ns) / 1e6).toBeLessThan(410);
  });

  it('open loop: as many as the rate says, and the lag is reported', async () => {
    const { result } = await run({ rate: 5000, spacing: 'uniform' });
    expect(Math.abs(result.requests - 1000)).toBeLessThanOrEqual(5);
    expect(result.histograms.lag.count).toBe(result.requests);
    expectSums(result);
  });

  it('refuses options that contradict each other', async () => {
    await expect(runLoad(loadOptions({ valueBytes: [100, 50] }))).rejects.toThrow(LoadOptionsError);
  });
});

describe('mergeResults', () => {
  it('sums what counts, and takes latencies from all requests together', async () => {
    const [fast, slow] = [await run({}), await run({ getRatio: 0.5 }, () => [{ afterMs: 2 }])];
    const merged = mergeResults([fast.result, slow.result]);
    expectSums(merged);
    expect(merged.generators).toBe(2);
    expect(merged.requests).toBe(fast.result.requests + slow.result.requests);
    expect(merged.requestsPerSecond).toBeCloseTo(fast.result.requestsPerSecond + slow.result.requestsPerSecond, 6);
    expect(merged.prefill.keys).toBe(100);
    expect(merged.latency.maxUs).toBe(slow.result.latency.maxUs);
    expect(merged.latency.p50Us).toBe(fast.result.latency.p50Us);
    expect(merged.tally.measure.hits).toBe(merged.hits);
  });

  it('of one is that one; of none there is none', async () => {
    const { result } = await run({ seconds: 0.05 });
    expect(mergeResults([result])).toEqual(result);
    expect(() => mergeResults([])).toThrow(RangeError);
  });
});
