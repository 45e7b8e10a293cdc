/** The neighbour table's state machine, on a clock that the test turns. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EMPTY,
  FAILED,
  INCOMPLETE,
  NEIGHBOUR_STATE_NAMES,
  Neighbours,
  neighboursByteLength,
  REACHABLE,
  STALE,
} from '../../src/dataplane/neighbours.ts';
import { address } from '../support/lane-bed.ts';

const TIMES = { retryMs: 200, retries: 3, lifetimeMs: 60_000 };
const HOP = address('10.77.1.11');
const ROWS = 4;
/** Near the top of the int32 clock: every deadline below lies beyond its wrap. */
const START_MS = 2 ** 31 - 50;

class Bed {
  readonly words = new Int32Array(16 + neighboursByteLength(ROWS) / 4 + 16);
  readonly table = new Neighbours(this.words, 16, TIMES);
  readonly row = this.table.add(HOP);
  nowMs = START_MS;

  /** Time passes; returns whether a request is sent now. */
  tick(ms: number): boolean {
    this.nowMs += ms;
    return this.table.advance(this.row, this.nowMs | 0);
  }

  answer(macHigh = 0x0200, macLow = 1): number {
    return this.table.learn(HOP, macHigh, macLow, this.nowMs | 0);
  }

  get state(): string {
    return NEIGHBOUR_STATE_NAMES[this.table.state(this.row)]!;
  }
}

/** The shortest way into each state. */
const ways: Record<string, (bed: Bed) => void> = {
  empty: () => {},
  incomplete: bed => void bed.tick(0),
  reachable: bed => void bed.answer(),
  stale: bed => {
    bed.answer();
    bed.tick(60_000);
  },
  failed: bed => {
    for (const ms of [0, 200, 200, 200]) bed.tick(ms);
  },
};

const events: Record<string, (bed: Bed) => boolean> = {
  'nothing, 1 ms': bed => bed.tick(1),
  'nothing, until just before the retry': bed => bed.tick(199),
  'the retry time': bed => bed.tick(200),
  'three retry times': bed => [200, 200, 200].map(ms => bed.tick(ms)).at(-1)!,
  'the lifetime': bed => bed.tick(60_000),
  'just before the lifetime': bed => bed.tick(59_999),
  'wanted, 1 ms': bed => {
    bed.table.want(bed.row);
    return bed.tick(1);
  },
  'wanted, the retry time': bed => {
    bed.table.want(bed.row);
    return bed.tick(200);
  },
  'an answer': bed => {
    bed.answer();
    return false;
  },
};

describe('a neighbour', () => {
  it.each<[from: string, event: string, to: string, asks: boolean]>([
    ['empty', 'nothing, 1 ms', 'incomplete', true], // a row is wanted from the moment it is added
    ['empty', 'an answer', 'reachable', false],
    ['incomplete', 'nothing, until just before the retry', 'incomplete', false],
    ['incomplete', 'the retry time', 'incomplete', true],
    ['incomplete', 'wanted, 1 ms', 'incomplete', false], // wanting does not make it ask faster
    ['incomplete', 'three retry times', 'failed', false],
    ['incomplete', 'an answer', 'reachable', false],
    ['reachable', 'nothing, 1 ms', 'reachable', false],
    ['reachable', 'wanted, the retry time', 'reachable', false],
    ['reachable', 'just before the lifetime', 'reachable', false],
    ['reachable', 'the lifetime', 'stale', true],
    ['reachable', 'an answer', 'reachable', false],
    ['stale', 'nothing, until just before the retry', 'stale', false],
    ['stale', 'the retry time', 'stale', true],
    ['stale', 'three retry times', 'failed', false],
    ['stale', 'an answer', 'reachable', false],
    ['failed', 'nothing, 1 ms', 'failed', false],
    ['failed', 'the lifetime', 'failed', false], // nobody wants it
    ['failed', 'wanted, 1 ms', 'failed', false], // too soon
    ['failed', 'wanted, the retry time', 'incomplete', true],
    ['failed', 'an answer', 'reachable', false],
  ])('%s, %s: %s, asks %s', (from, event, to, asks) => {
    const bed = new Bed();
    ways[from]!(bed);
    expect(bed.state).toBe(from);
    expect([events[event]!(bed), bed.state]).toEqual([asks, to]);
  });

  it('is asked for three times, a retry time apart, then given up', () => {
    const bed = new Bed();
    const asked = Array.from({ length: 100 }, () => bed.tick(10)).flatMap((asks, i) => (asks ? [i * 10] : []));
    expect(asked).toEqual([0, 200, 400]);
    expect(bed.state).toBe('failed');
  });

  it('gets its three tries again after each answer', () => {
    const bed = new Bed();
    for (let round = 0; round < 3; round++) {
      bed.answer();
      expect([60_000, 200, 200, 200].map(ms => bed.tick(ms))).toEqual([true, true, true, false]);
    }
  });

  it('can be used while reachable and while stale, and at no other time', () => {
    const usable = Object.keys(ways).filter(state => {
      const bed = new Bed();
      ways[state]!(bed);
      return bed.table.isUsable(bed.row);
    });
    expect(usable).toEqual(['reachable', 'stale']);
  });

  it('failed a month ago, wanted today: is asked for at once', () => {
    const bed = new Bed();
    ways.failed!(bed);
    const tenDays = 864_000_000;
    for (let i = 0; i < 3; i++) bed.tick(tenDays);
    bed.table.want(bed.row);
    expect([bed.tick(10), bed.state]).toEqual([true, 'incomplete']);
  });

  it('has the address of the last answer, whatever its top bits', () => {
    const bed = new Bed();
    bed.answer(0xfefe, -2);
    expect([bed.table.macHigh(bed.row), bed.table.macLow(bed.row)]).toEqual([0xfefe, -2]);
    bed.answer(0x0200, 7);
    expect([bed.table.macHigh(bed.row), bed.table.macLow(bed.row)]).toEqual([0x0200, 7]);
  });
});

describe('the table', () => {
  it('has one row for a next hop, however many nodes lie behind it', () => {
    const { table, row } = new Bed();
    expect([table.add(HOP), table.add(address('10.77.1.12')), table.add(HOP)]).toEqual([row, 1, row]);
    expect(table.count).toBe(2);
    expect([table.address(0), table.address(1)]).toEqual([HOP, address('10.77.1.12')]);
  });

  it('learns nothing of addresses it has no row for', () => {
    const { table, row } = new Bed();
    expect(table.learn(address('10.77.1.99'), 0x0200, 1, 0)).toBe(0);
    expect(table.learn(0, 0x0200, 1, 0)).toBe(0);
    expect(table.state(row)).toBe(EMPTY);
  });

  describe('a row that is nobody’s', () => {
    const OTHER = address('10.77.1.12');

    it.each(Object.keys(ways))('is wiped by lane 0, once it was %s, and only then given to another', way => {
      const bed = new Bed();
      ways[way]!(bed);
      bed.table.want(bed.row);
      bed.table.remove(bed.row);
      expect(bed.table.isBlank(bed.row)).toBe(false);
      expect(bed.table.add(OTHER)).toBe(1);
      expect([bed.tick(10), bed.table.isBlank(bed.row), bed.state]).toEqual([false, true, 'empty']);
      expect(bed.table.add(HOP + 5)).toBe(bed.row);
      expect([bed.state, bed.table.macLow(bed.row), bed.table.count]).toEqual(['empty', 0, 2]);
      expect([bed.tick(10), bed.state]).toEqual([true, 'incomplete']);
    });

    it('asks for nothing and learns nothing, of its last owner or of nobody', () => {
      const bed = new Bed();
      bed.table.remove(bed.row);
      expect([bed.answer(), bed.table.learn(0, 0x0200, 1, 0)]).toEqual([0, 0]);
      expect([10, 200, 60_000].map(ms => bed.tick(ms))).toEqual([false, false, false]);
      bed.table.want(bed.row); // as a lane would, that is late
      expect([10, 200, 60_000].map(ms => bed.tick(ms))).toEqual([false, false, false]);
      expect(bed.table.isBlank(bed.row)).toBe(true);
    });

    it('never makes the table longer, however often next hops come and go', () => {
      const { table } = new Bed();
      for (let round = 0; round < 100; round++) {
        const row = table.add(OTHER + round);
        expect(row).toBe(1);
        table.remove(row);
        table.advance(row, round);
      }
      expect(table.count).toBe(2);
    });
  });

  it('keeps to its own words when full', () => {
    const { words, table } = new Bed();
    for (let i = 1; i < ROWS; i++) table.add(HOP + i);
    for (let i = 0; i < ROWS; i++) table.learn(HOP + i, 0xffff, -1, -1);
    const outside = [...words.slice(0, 16), ...words.slice(16 + neighboursByteLength(ROWS) / 4)];
    expect(outside.every(word => word === 0)).toBe(true);
  });
});

/** Every move that is allowed; all others are forbidden. */
const MOVES: Record<number, readonly number[]> = {
  [EMPTY]: [EMPTY, INCOMPLETE, REACHABLE],
  [INCOMPLETE]: [INCOMPLETE, REACHABLE, FAILED],
  [REACHABLE]: [REACHABLE, STALE],
  [STALE]: [STALE, REACHABLE, FAILED],
  [FAILED]: [FAILED, REACHABLE, INCOMPLETE],
};

describe('property: whatever happens', () => {
  const happening = fc.oneof(
    { weight: 6, arbitrary: fc.nat(250).map(ms => ({ tick: ms })) },
    { weight: 1, arbitrary: fc.constant({ tick: 60_000 }) },
    { weight: 2, arbitrary: fc.constant({ want: true }) },
    { weight: 1, arbitrary: fc.constant({ answer: true }) },
  );

  it('no forbidden move, at most three requests without an answer, and never two within a retry time', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 200, size: 'max' }), happenings => {
        const bed = new Bed();
        let asked = 0;
        let askedMs = Number.NEGATIVE_INFINITY;
        for (const what of happenings) {
          const before = bed.table.state(bed.row);
          if ('want' in what) bed.table.want(bed.row);
          if ('answer' in what) bed.answer();
          if ('tick' in what && bed.tick(what.tick)) {
            expect(bed.nowMs - askedMs).toBeGreaterThanOrEqual(before === REACHABLE ? 0 : TIMES.retryMs);
            asked = before === FAILED ? 1 : asked + 1;
            askedMs = bed.nowMs;
          }
          const after = bed.table.state(bed.row);
          expect(MOVES[before]).toContain(after);
          if (after === REACHABLE) asked = 0;
          expect(asked).toBeLessThanOrEqual(TIMES.retries);
        }
      }),
      { numRuns: 300 },
    );
  });
});
