/** Random traffic, against an exact model of the buckets, and against the promises themselves. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SHARE_MS } from '../../src/dataplane/gatekeeper.ts';
import { KNOWN_AFTER_MS } from '../../src/dataplane/source-table.ts';
import { GateBed } from './gate-bed.ts';

const START_CREDIT = 65_536;

interface Rules {
  readonly requestsPerSecond: number;
  readonly responseBytesPerSecond: number;
  readonly responseRatioMax: number;
  readonly newcomersPerSecond: number;
}

/** Buckets with fractions, one object a source: as one would write it without bounds. */
class Bucket {
  readonly rules: Rules;
  readonly isShared: boolean;
  requests: number;
  bytes: number;
  credit = START_CREDIT;
  seenMs: number;
  /** When its share of the slots was last looked at, and whether it was too large. */
  sharedMs = Number.NEGATIVE_INFINITY;
  holds = false;

  constructor(rules: Rules, isShared: boolean, nowMs: number) {
    this.rules = rules;
    this.isShared = isShared;
    this.requests = this.requestRate;
    this.bytes = this.byteRate;
    this.seenMs = nowMs;
  }

  get requestRate(): number {
    const { newcomersPerSecond, requestsPerSecond } = this.rules;
    return this.isShared ? newcomersPerSecond || 16 * requestsPerSecond : requestsPerSecond;
  }

  get byteRate(): number {
    return (this.isShared ? 16 : 1) * this.rules.responseBytesPerSecond;
  }

  refill(nowMs: number): void {
    const elapsed = (nowMs - this.seenMs) / 1000;
    this.seenMs = nowMs;
    this.requests = Math.min(this.requests + elapsed * this.requestRate, this.requestRate);
    this.bytes = Math.min(this.bytes + elapsed * this.byteRate, this.byteRate);
  }

  ask(bytes: number, nowMs: number, slots: GateBed['slots'], source: number): string {
    const { responseBytesPerSecond, responseRatioMax } = this.rules;
    if (slots.isShort && !this.isShared && this.#hasShare(nowMs, slots.shareOf(source))) return 'share';
    this.credit += bytes * responseRatioMax;
    // Fractions are thousandths, which a double does not hold exactly.
    if (this.requestRate > 0 && this.requests < 1 - 1e-6) return this.isShared ? 'newcomers' : 'rate';
    if (responseBytesPerSecond > 0 && this.bytes < 1e-6) return 'response_bytes';
    if (responseRatioMax > 0 && this.credit <= 0) return 'ratio';
    this.requests -= 1;
    return 'ok';
  }

  #hasShare(nowMs: number, samples: number): boolean {
    if (nowMs - this.sharedMs >= SHARE_MS) {
      this.sharedMs = nowMs;
      this.holds = samples >= 16;
    }
    return this.holds;
  }

  tell(bytes: number): boolean {
    const { responseBytesPerSecond, responseRatioMax } = this.rules;
    if (responseBytesPerSecond > 0 && this.bytes < bytes - 1e-6) return false;
    if (responseRatioMax > 0 && this.credit < bytes) return false;
    this.bytes -= bytes;
    this.credit -= bytes;
    return true;
  }
}

class Model {
  readonly #rules: Rules;
  readonly #newcomers: Bucket;
  readonly #known = new Map<number, Bucket>();
  readonly #since = new Map<number, number>();

  constructor(rules: Rules, nowMs: number) {
    this.#rules = rules;
    this.#newcomers = new Bucket(rules, true, nowMs);
  }

  bucketOf(source: number, nowMs: number): Bucket {
    const bucket = this.#known.get(source) ?? this.#newcomers;
    bucket.refill(nowMs);
    return bucket;
  }

  ask(source: number, bytes: number, nowMs: number, slots: GateBed['slots']): string {
    const since = this.#since.get(source) ?? nowMs;
    this.#since.set(source, since);
    if (nowMs - since >= KNOWN_AFTER_MS && !this.#known.has(source)) {
      this.#known.set(source, new Bucket(this.#rules, false, nowMs));
    }
    return this.bucketOf(source, nowMs).ask(bytes, nowMs, slots, source);
  }
}

const someRules = fc.record({
  requestsPerSecond: fc.constantFrom(0, 1, 20, 1000),
  responseBytesPerSecond: fc.constantFrom(0, 1000, 50_000, 1_000_000),
  responseRatioMax: fc.constantFrom(0, 1, 30, 10_000),
  newcomersPerSecond: fc.constantFrom(0, 5, 500),
});
const source = fc.integer({ min: 1, max: 6 });
const step = fc.oneof(
  { arbitrary: fc.record({ act: fc.constant('ask' as const), source, bytes: fc.nat(1500) }), weight: 6 },
  { arbitrary: fc.record({ act: fc.constant('tell' as const), source, bytes: fc.nat(3000) }), weight: 6 },
  {
    arbitrary: fc.record({ act: fc.constant('fill' as const), isShort: fc.boolean(), source, samples: fc.nat(30) }),
    weight: 1,
  },
  {
    arbitrary: fc.record({
      act: fc.constant('wait' as const),
      ms: fc.oneof(fc.nat(3), fc.nat(60), fc.nat(3000)),
    }),
    weight: 1,
  },
);

test('lets in and sends what an exact model of the buckets does', () => {
  fc.assert(
    fc.property(someRules, fc.array(step, { minLength: 20, maxLength: 300 }), (rules, steps) => {
      const bed = new GateBed(rules);
      const model = new Model(rules, bed.nowMs);
      for (const move of steps) {
        if (move.act === 'wait') {
          bed.wait(move.ms);
          continue;
        }
        if (move.act === 'fill') {
          bed.slots.isShort = move.isShort;
          bed.slots.shares.set(move.source, move.samples);
        } else if (move.act === 'ask') {
          const expected = model.ask(move.source, move.bytes, bed.nowMs, bed.slots);
          expect(bed.ask(move.source, move.bytes)).toBe(expected);
        } else {
          expect(bed.tell(move.source, move.bytes)).toBe(model.bucketOf(move.source, bed.nowMs).tell(move.bytes));
        }
      }
      expect(bed.spilt).toBe(false);
    }),
    { numRuns: 400 },
  );
});

test('keeps its promises in every stretch of time', () => {
  fc.assert(
    fc.property(someRules, fc.array(step, { minLength: 50, maxLength: 300 }), (rules, steps) => {
      const bed = new GateBed(rules);
      for (let n = 1; n <= 6; n++) bed.introduce(n);
      bed.wait(2000);
      const startMs = bed.nowMs;
      const requests: [atMs: number, source: number][] = [];
      const sent: [atMs: number, source: number, bytes: number][] = [];
      const askedBytes = new Map<number, number>();
      for (const move of steps) {
        if (move.act === 'wait') bed.wait(move.ms);
        if (move.act === 'ask') {
          if (bed.ask(move.source, move.bytes) === 'ok') requests.push([bed.nowMs, move.source]);
          askedBytes.set(move.source, (askedBytes.get(move.source) ?? 0) + move.bytes);
        }
        if (move.act === 'tell' && bed.tell(move.source, move.bytes)) sent.push([bed.nowMs, move.source, move.bytes]);
      }
      const { requestsPerSecond, responseBytesPerSecond, responseRatioMax } = rules;
      for (let from = 1; from <= 6; from++) {
        const times = [startMs, ...requests.map(([atMs]) => atMs)].filter((_, n) => n % 7 === 0);
        for (const firstMs of times) {
          const seconds = (bed.nowMs - firstMs) / 1000 + 1;
          const later = requests.filter(([atMs, who]) => who === from && atMs >= firstMs).length;
          if (requestsPerSecond > 0) expect(later).toBeLessThanOrEqual(requestsPerSecond * seconds + 1e-6);
          const bytes = sent
            .filter(([atMs, who]) => who === from && atMs >= firstMs)
            .reduce((sum, [, , n]) => sum + n, 0);
          if (responseBytesPerSecond > 0) {
            expect(bytes).toBeLessThanOrEqual(responseBytesPerSecond * seconds + 1e-6);
          }
        }
        const total = sent.filter(([, who]) => who === from).reduce((sum, [, , n]) => sum + n, 0);
        const earned = START_CREDIT + responseRatioMax * (askedBytes.get(from) ?? 0);
        if (responseRatioMax > 0) expect(total).toBeLessThanOrEqual(earned);
      }
    }),
    { numRuns: 200 },
  );
});
