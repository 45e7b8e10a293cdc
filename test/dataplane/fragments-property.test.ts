/**
 * Any datagrams, cut in any way, in any order, with repetitions, overlaps and lies among them, against the model: either the
 * exact datagram or a counted drop, the same counters, and no byte outside the buffers.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LANE_COUNTERS } from '../../src/dataplane/counters.ts';
import { Fragments } from '../../src/dataplane/fragments.ts';
import { LaneMemory, laneCountersByteLength, nodeCountersByteLength } from '../../src/dataplane/memory.ts';
import { FLAG_PARTIAL_CHECKSUM, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, ROW_WORDS } from '../../src/port/port.ts';
import { ipv4Frame } from '../support/frames.ts';
import { GuardedMemory } from '../support/lane-bed-canaries.ts';
import { slowChecksum } from '../wire/slow-checksum.ts';
import { type Counted, type Fragment, type Limits, ModelReassembly } from './fragments-model.ts';

const FRAME_ROOM_BYTES = 66_048;
const DESTINATION = '10.77.0.100';

/** The real thing, its memory between canaries. */
class Bed {
  readonly guarded: GuardedMemory;
  readonly memory: LaneMemory;
  readonly fragments: Fragments;
  readonly #frame: number;
  readonly #batch = new Int32Array(ROW_WORDS);

  constructor(limits: Limits) {
    const bytes = Fragments.byteLength(limits.datagrams);
    this.guarded = new GuardedMemory(bytes + FRAME_ROOM_BYTES + 65_536);
    const { guarded } = this;
    const counters = guarded.take(laneCountersByteLength());
    this.memory = new LaneMemory(guarded.arena, counters, guarded.take(nodeCountersByteLength(1)), 1);
    this.fragments = new Fragments(this.memory, guarded.take(bytes), limits, 0x1234_5678);
    this.#frame = guarded.take(FRAME_ROOM_BYTES);
  }

  /** The whole frame, or undefined. The fragment's own is overwritten at once, as a ring's slot is. */
  accept(fragment: Fragment, nowMs: number): Uint8Array | undefined {
    const { bytes } = this.memory;
    const frame = frameOf(fragment);
    bytes.set(frame, this.#frame);
    this.#batch.set([this.#frame, frame.length, fragment.isPartial ? FLAG_PARTIAL_CHECKSUM : 16, -1]);
    const isWhole = this.fragments.accept(this.#batch, 0, this.#frame + 14, fragment.port, nowMs | 0);
    bytes.fill(0xee, this.#frame, this.#frame + frame.length);
    if (!isWhole) return undefined;
    expect(this.#batch[ROW_FLAGS]).toBe(0);
    expect(this.#batch[ROW_OFFSET]! % 4).toBe(2);
    return bytes.slice(this.#batch[ROW_OFFSET], this.#batch[ROW_OFFSET]! + this.#batch[ROW_LENGTH]!);
  }

  get counted(): Counted {
    const counts = LANE_COUNTERS.map((name, i) => [name, this.memory.counters[i]!] as const);
    return Object.fromEntries(counts.filter(([, count]) => count !== 0));
  }
}

function frameOf({ source, identification, at, more, payload, headerBytes }: Fragment): Uint8Array {
  return ipv4Frame({
    src: `10.0.0.${source}`,
    dst: DESTINATION,
    protocol: 17,
    identification,
    dontFragment: false,
    fragmentOffset: at,
    moreFragments: more,
    options: Array(headerBytes - 20).fill(1),
    padding: payload.length < 26 ? 26 - payload.length : 0,
    payload,
  });
}

type Step = { readonly fragment: Fragment } | { readonly passMs: number } | { readonly endBatch: true };

/** Bytes that say where they belong: one in the wrong place is seen. */
const content = (seed: number, length: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) + seed) & 255);

const shape = fc.record({
  source: fc.integer({ min: 1, max: 4 }),
  identification: fc.integer({ min: 1, max: 3 }),
  port: fc.nat(1),
  seed: fc.nat(255),
  length: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1, max: 400 }) }, { weight: 1, arbitrary: fc.nat(9000) }),
  cuts: fc.array(fc.nat(60), { maxLength: 6 }),
  headerBytes: fc.constantFrom<number>(20, 20, 24, 60),
});
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never;

/** A datagram, cut at multiples of 8. */
function cut({ cuts, length, seed, ...rest }: Shape): Fragment[] {
  const whole = content(seed, length);
  const at = [...new Set(cuts.map(unit => unit * 8).filter(byte => byte > 0 && byte < length))].sort((a, b) => a - b);
  const bounds = [0, ...at, length];
  return bounds.slice(1).map((end, i) => {
    const payload = whole.slice(bounds[i], end);
    return { ...rest, at: bounds[i]!, more: end < length, payload, isPartial: false };
  });
}

const lie = fc.record({
  which: fc.nat(50),
  what: fc.constantFrom('shift', 'flip', 'longer', 'shorter', 'more', 'partial', 'far'),
});
type Lie = typeof lie extends fc.Arbitrary<infer T> ? T : never;

function lied(fragment: Fragment, what: Lie['what']): Fragment {
  const { at, payload, more } = fragment;
  switch (what) {
    case 'shift':
      return { ...fragment, at: at + 8 };
    case 'flip':
      return { ...fragment, payload: payload.map((byte, i) => (i === payload.length >> 1 ? byte ^ 1 : byte)) };
    case 'longer':
      return { ...fragment, payload: Uint8Array.from([...payload, ...payload.slice(0, 8)]) };
    case 'shorter':
      return { ...fragment, payload: payload.slice(0, -3) };
    case 'more':
      return { ...fragment, more: !more };
    case 'partial':
      return { ...fragment, isPartial: true };
    case 'far':
      return { ...fragment, at: 65_400 + (at % 128) };
  }
}

const story = fc
  .record({
    shapes: fc.array(shape, { minLength: 1, maxLength: 8 }),
    lies: fc.array(lie, { maxLength: 6 }),
    repeats: fc.array(fc.nat(50), { maxLength: 3 }),
    order: fc.array(fc.nat(10_000), { minLength: 60, maxLength: 60 }),
    /** 0: each datagram in a piece; the larger, the more they are mixed. */
    disorder: fc.constantFrom(0, 2, 1000),
    breaks: fc.array(
      fc.oneof(
        fc.record({ at: fc.nat(50), passMs: fc.nat(60) }),
        fc.record({ at: fc.nat(50), endBatch: fc.constant(true as const) }),
      ),
      { maxLength: 8 },
    ),
  })
  .map(({ shapes, lies, repeats, order, disorder, breaks }): Step[] => {
    const honest = shapes.flatMap(cut);
    const some = (n: number) => honest[n % honest.length]!;
    const all = [...honest, ...repeats.map(some), ...lies.map(({ which, what }) => lied(some(which), what))];
    const ranked = all.map((fragment, i) => ({ fragment, rank: i + (order[i % order.length]! % (disorder + 1)) }));
    const steps: Step[] = ranked.sort((a, b) => a.rank - b.rank).map(({ fragment }) => ({ fragment }));
    for (const { at, ...step } of breaks) steps.splice(at % (steps.length + 1), 0, step);
    return steps;
  });

const limits = fc.record({
  datagrams: fc.integer({ min: 1, max: 5 }),
  perSource: fc.integer({ min: 1, max: 3 }),
  timeoutMs: fc.constantFrom(50, 100_000),
});

describe('reassembly', () => {
  it('property: does what the model does, to the byte and to the counter', () => {
    const seen: Counted = {};
    fc.assert(
      fc.property(limits, story, (bounds, steps) => {
        const bed = new Bed(bounds);
        const model = new ModelReassembly(bounds);
        let nowMs = 2 ** 31 - 40;
        for (const step of steps) {
          if ('passMs' in step) {
            nowMs += step.passMs;
            bed.fragments.sweep(nowMs | 0);
            model.sweep(nowMs);
          } else if ('endBatch' in step) {
            bed.fragments.release();
            model.release();
          } else {
            sameOutcome(bed.accept(step.fragment, nowMs), model.accept(step.fragment, nowMs));
          }
          expect(bed.counted).toEqual(model.counted);
          expect(bed.fragments.held).toBe(model.held);
        }
        bed.guarded.assertCanaries();
        for (const [name, count] of Object.entries(model.counted)) seen[name] = (seen[name] ?? 0) + count;
      }),
      { numRuns: 1500 },
    );
    // Every rule was put to the test.
    const all = LANE_COUNTERS.filter(name => /fragments_(received|joined)|reassembled|drop_fragment/.test(name));
    expect(Object.keys(seen).sort()).toEqual(all.sort());
  });

  it('property: any cut in any order gives the datagram, whatever its length', () => {
    const lengths = fc.oneof(fc.integer({ min: 24, max: 2000 }), fc.integer({ min: 60_000, max: 65_515 }));
    const sizes = fc.integer({ min: 2, max: 185 });
    fc.assert(
      fc.property(lengths, sizes, fc.nat(255), fc.infiniteStream(fc.nat(2 ** 30)), (length, units, seed, stream) => {
        const cuts = Array.from({ length: Math.ceil(length / (units * 8)) }, (_, i) => i * units);
        const plain = { source: 1, identification: 1, port: 0, headerBytes: 20, seed, length };
        const ranks = new Map<Fragment, number>();
        for (const fragment of cut({ ...plain, cuts })) ranks.set(fragment, stream.next().value!);
        const shuffled = [...ranks.keys()].sort((a, b) => ranks.get(a)! - ranks.get(b)!);
        const bed = new Bed({ datagrams: 2, perSource: 2, timeoutMs: 500 });
        const outcomes = shuffled.map(fragment => bed.accept(fragment, 0));
        expect(outcomes.slice(0, -1).every(outcome => outcome === undefined)).toBe(true);
        sameOutcome(outcomes.at(-1), content(seed, length));
        bed.guarded.assertCanaries();
      }),
      { numRuns: 60 },
    );
  });
});

function sameOutcome(frame: Uint8Array | undefined, payload: Uint8Array | undefined): void {
  expect(frame === undefined).toBe(payload === undefined);
  if (frame === undefined || payload === undefined) return;
  const headerBytes = (frame[14]! % 16) * 4;
  expect(frame.length).toBe(14 + headerBytes + payload.length);
  expect(Buffer.compare(frame.subarray(14 + headerBytes), payload)).toBe(0);
  expect(frame[20]! * 256 + frame[21]!).toBe(0);
  expect(frame[16]! * 256 + frame[17]!).toBe(headerBytes + payload.length);
  expect(slowChecksum(frame.slice(14, 14 + headerBytes))).toBe(0);
}
