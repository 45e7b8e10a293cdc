import { describe, expect, it } from 'vitest';
import { KeyNames } from '../../src/load/keys.ts';
import { LoadOptionsError, parseLoadOptions } from '../../src/load/options.ts';
import { Random } from '../../src/load/random.ts';
import { NO_SURGE, Surges } from '../../src/load/surges.ts';
import { PHASE_MEASURE } from '../../src/load/tally.ts';
import { generatorIn, loadOptions, type Request, World } from './model.ts';

const EVERY_MS = 10;
const FORWARDED_TTL = 63;

function surges(share: number, skip = 0, count = 3) {
  return new Surges({ everyMs: EVERY_MS, share, ttl: 64, skip }, count, 100, new Random(7));
}

describe('keys of the hour', () => {
  it('each takes its share, from its instant to the next; then there are none', () => {
    const subject = surges(0.25);
    const drawn = new Map<number, number>();
    for (let i = 0; i < 40_000; i++) {
      const key = subject.next(5e9 + i * 1e3);
      drawn.set(key, (drawn.get(key) ?? 0) + 1);
    }
    expect([...drawn.keys()].sort((a, b) => a - b)).toEqual([NO_SURGE, 97, 98, 99]);
    // 2500 of 10,000 each; standard deviation 43.
    for (const key of [97, 98, 99]) expect(Math.abs(drawn.get(key)! - 2500)).toBeLessThan(220);
    expect(subject.results(new KeyNames(11)).map(({ key, treatedMs }) => [key, treatedMs])).toEqual([
      ['key00000099', null],
      ['key00000098', null],
      ['key00000097', null],
    ]);
  });

  it('only the first answer from nearby counts, and only until the next instant', () => {
    const subject = surges(1);
    const at = (ms: number) => 1e9 + ms * 1e6;
    subject.next(at(0));
    subject.next(at(1));
    subject.answered(99, FORWARDED_TTL, at(2));
    subject.answered(50, 64, at(2));
    subject.next(at(3));
    subject.answered(99, 64, at(4));
    subject.next(at(5));
    subject.answered(99, 64, at(6));
    subject.next(at(11));
    subject.answered(98, 64, at(21));
    const results = subject.results(new KeyNames(8));
    expect(results.map(({ treatedMs, requests }) => [treatedMs, requests])).toEqual([
      [4, 3],
      [null, 1],
      [null, 0],
    ]);
  });

  it('keys that have had their turn are passed over, and their answers are no news', () => {
    const subject = surges(1, 10);
    expect(subject.next(1e9)).toBe(89);
    subject.answered(95, 64, 1e9);
    subject.answered(89, 64, 1e9 + 5000);
    expect(subject.results(new KeyNames(8))[0]).toEqual({ key: '00000089', treatedMs: 0.005, requests: 1 });
  });

  it('more of them than keys: the error says so', () => {
    const options = { ...loadOptions({ keyCount: 5 }), seconds: 1, surges: { everyMs: 100, share: 0.1 } };
    expect(() => parseLoadOptions(options)).toThrow(LoadOptionsError);
    expect(() => parseLoadOptions(options)).toThrow(/surges: each takes a key, and there are only 5/);
  });
});

describe('in a run', () => {
  /** A balancer that answers itself from the fifth request for a key on: its replies have passed one router fewer. */
  function balanced(): World {
    const reads = new Map<string, number>();
    return new World({
      fate: ({ text }: Request) => {
        const seen = (reads.get(text) ?? 0) + 1;
        reads.set(text, seen);
        const isNear = text.startsWith('get ') && seen > 4;
        return [
          {
            change: reply => {
              reply.ttl = isNear ? 64 : FORWARDED_TTL;
            },
          },
        ];
      },
    });
  }

  function run(world: World, seconds: number) {
    const options = { getRatio: 1, rate: 20_000, keyCount: 10_000, seconds, surges: { everyMs: EVERY_MS, share: 0.2 } };
    const { generator, until } = generatorIn(world, { ...options, prefillFirst: 9000, prefillCount: 1000 });
    until(() => generator.resolved);
    generator.startPrefill();
    until(() => generator.prefill.done);
    const start_ns = world.now_ns;
    generator.startLoad(PHASE_MEASURE, start_ns);
    until(() => world.now_ns > start_ns + seconds * 1e9);
    generator.stop();
    until(() => generator.outstanding === 0);
    return generator;
  }

  it('the time of each is known, and the requests that it took', () => {
    const results = run(balanced(), 0.05).surgeResults();
    expect(results.map(({ key }) => key)).toEqual([9999, 9998, 9997, 9996, 9995].map(key => `keysteer0000${key}`));
    for (const { treatedMs, requests } of results) {
      // 4 requests a millisecond; the fifth is answered nearby, 0.1 ms after.
      expect(treatedMs).toBeGreaterThan(0.1);
      expect(treatedMs).toBeLessThan(EVERY_MS);
      expect(requests).toBeGreaterThanOrEqual(5);
      expect(requests).toBeLessThan(12);
    }
  });

  it('without the option there is nothing to tell', () => {
    const { generator } = generatorIn(new World());
    expect(generator.surgeResults()).toEqual([]);
  });
});
