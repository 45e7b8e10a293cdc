import { describe, expect, test } from 'vitest';
import { SHARE_MS } from '../../src/dataplane/gatekeeper.ts';
import { sourceRanges } from '../../src/dataplane/source-ranges.ts';
import { IDLE_MS, KNOWN_AFTER_MS } from '../../src/dataplane/source-table.ts';
import { address } from '../support/lane-bed.ts';
import { GateBed } from './gate-bed.ts';

const ALICE = '10.77.0.1';
const BOB = '10.77.0.2';
const KB64 = 65_536;

describe('who is known', () => {
  test('a source that asks again after a while; until then it counts as a newcomer', () => {
    const bed = new GateBed();
    const isNewcomer = (source: string) => {
      expect(bed.ask(source)).toBe('ok');
      return bed.gate.isNewcomer;
    };
    expect(isNewcomer(ALICE)).toBe(true);
    bed.wait(KNOWN_AFTER_MS - 1);
    expect(isNewcomer(ALICE)).toBe(true);
    expect(isNewcomer(BOB)).toBe(true);
    bed.wait(1);
    expect(isNewcomer(ALICE)).toBe(false);
    expect(isNewcomer(BOB)).toBe(true);
    bed.wait(KNOWN_AFTER_MS);
    expect(isNewcomer(BOB)).toBe(false);
    bed.wait(1_000_000);
    expect(isNewcomer(ALICE)).toBe(false);
  });

  test('a million sources that ask once do not push out one that asks now and then, nor leave the table', () => {
    const bed = new GateBed({}, { rows: 1024 });
    bed.introduce(ALICE);
    let random = 1;
    for (let n = 1; n <= 1_000_000; n++) {
      random = (Math.imul(random, 1664525) + 1013904223) | 0;
      bed.ask(random);
      if (n % 200_000 !== 0) continue;
      bed.wait(IDLE_MS - 1);
      expect(bed.ask(ALICE)).toBe('ok');
      expect(bed.gate.isNewcomer).toBe(false);
    }
    expect(bed.spilt).toBe(false);
  });

  test('the same sources do push out one that has been idle: the test above can fail', () => {
    const bed = new GateBed({}, { rows: 8 });
    bed.introduce(ALICE);
    bed.wait(IDLE_MS);
    for (let n = 1; n <= 100; n++) bed.ask(n << 8);
    bed.ask(ALICE);
    expect(bed.gate.isNewcomer).toBe(true);
  });

  test('of those on probation the one that came first gives way', () => {
    const bed = new GateBed({}, { rows: 8 });
    for (let n = 1; n <= 10; n++) {
      bed.ask(n);
      bed.wait(1);
    }
    bed.wait(KNOWN_AFTER_MS);
    const isKnown = (n: number) => {
      bed.ask(n);
      return !bed.gate.isNewcomer;
    };
    // Numbers 9 and 10 took the places of 1 and 2.
    for (let n = 3; n <= 10; n++) expect(isKnown(n)).toBe(true);
    for (let n = 1; n <= 2; n++) expect(isKnown(n)).toBe(false);
  });

  test('with all rows of a set known and at work, a newcomer is served, but has no row', () => {
    const bed = new GateBed({}, { rows: 8 });
    for (let n = 1; n <= 8; n++) bed.introduce(n);
    bed.introduce(9);
    expect(bed.gate.isNewcomer).toBe(true);
    expect(bed.ask(9)).toBe('ok');
    for (let n = 1; n <= 8; n++) {
      bed.ask(n);
      expect(bed.gate.isNewcomer).toBe(false);
    }
  });
});

describe('who may ask', () => {
  const OFFICE = [{ address: address('10.77.0.0'), prefixLength: 24 }];

  test('those in the allow-list, known or not', () => {
    const bed = new GateBed({ ranges: sourceRanges(OFFICE, [address(BOB)]) });
    expect(bed.ask(ALICE)).toBe('ok');
    expect(bed.ask(BOB)).toBe('source');
    expect(bed.ask('10.77.1.1')).toBe('source');
    bed.introduce(ALICE);
    expect(bed.ask(ALICE)).toBe('ok');
    expect(bed.gate.isNewcomer).toBe(false);
  });

  test('new rules hold for sources that were known under the old ones', () => {
    const bed = new GateBed();
    bed.introduce(ALICE);
    bed.introduce('10.99.0.1');
    bed.publish({ ranges: sourceRanges(OFFICE, []) });
    expect(bed.ask('10.99.0.1')).toBe('source');
    expect(bed.ask('10.99.0.1')).toBe('source');
    expect(bed.ask(ALICE)).toBe('ok');
    expect(bed.gate.isNewcomer).toBe(false);
    bed.publish({});
    expect(bed.ask('10.99.0.1')).toBe('ok');
    expect(bed.gate.isNewcomer).toBe(true);
  });

  test('a source just refused is let in when the rules change', () => {
    const bed = new GateBed();
    bed.introduce('10.99.0.1');
    bed.publish({ ranges: sourceRanges(OFFICE, []) });
    expect(bed.ask('10.99.0.1')).toBe('source');
    bed.publish({});
    bed.introduce('10.99.0.1');
    bed.introduce(BOB);
    expect(bed.ask('10.99.0.1')).toBe('ok');
    expect(bed.gate.isNewcomer).toBe(false);
  });

  test('everybody, when nobody watches', () => {
    const bed = new GateBed({ watches: false, requestsPerSecond: 1, ranges: sourceRanges(OFFICE, []) });
    for (let n = 0; n < 10; n++) expect(bed.ask('10.99.0.1')).toBe('ok');
    expect(bed.tell('10.99.0.1', 1e9)).toBe(true);
    expect(bed.gate.isNewcomer).toBe(false);
  });
});

describe('how much', () => {
  /** How many of `count` requests are let in, and why the others are not. */
  const askMany = (bed: GateBed, source: string, count: number) => {
    const said: Record<string, number> = {};
    for (let n = 0; n < count; n++) {
      const word = bed.ask(source);
      said[word] = (said[word] ?? 0) + 1;
    }
    return said;
  };

  test('requests: a second’s worth at once, then at the rate', () => {
    const bed = new GateBed({ requestsPerSecond: 100 });
    bed.ask(ALICE);
    bed.wait(KNOWN_AFTER_MS);
    expect(askMany(bed, ALICE, 150)).toEqual({ ok: 100, rate: 50 });
    bed.wait(5);
    expect(askMany(bed, ALICE, 1)).toEqual({ rate: 1 });
    bed.wait(5);
    expect(askMany(bed, ALICE, 2)).toEqual({ ok: 1, rate: 1 });
    bed.wait(1_000_000);
    expect(askMany(bed, ALICE, 150)).toEqual({ ok: 100, rate: 50 });
  });

  test('requests of newcomers: together, and silent about whose fault it is', () => {
    const bed = new GateBed({ newcomersPerSecond: 10 });
    const said = Array.from({ length: 30 }, (_, n) => bed.ask(n + 1));
    expect(said).toEqual([...Array(10).fill('ok'), ...Array(20).fill('newcomers')]);
    bed.wait(KNOWN_AFTER_MS);
    expect(bed.ask(29)).toBe('ok');
    expect(bed.gate.isNewcomer).toBe(false);
    expect(bed.ask(31)).toBe('newcomers');
    bed.wait(100);
    expect(bed.ask(31)).toBe('ok');
  });

  test('requests of newcomers without a rate of their own: as of 16 sources', () => {
    const bed = new GateBed({ requestsPerSecond: 2 });
    const said = Array.from({ length: 40 }, (_, n) => bed.ask(n + 1));
    expect(said.filter(word => word === 'ok').length).toBe(32);
  });

  test('response bytes: a second’s worth, then the rate; a request finds out when nothing is left', () => {
    const bed = new GateBed({ responseBytesPerSecond: 10_000 });
    bed.introduce(ALICE);
    expect(bed.tell(ALICE, 9000)).toBe(true);
    expect(bed.tell(ALICE, 1001)).toBe(false);
    expect(bed.tell(ALICE, 1000)).toBe(true);
    expect(bed.ask(ALICE)).toBe('response_bytes');
    expect(bed.tell(ALICE, 1)).toBe(false);
    bed.wait(1);
    expect(bed.ask(ALICE)).toBe('ok');
    expect(bed.tell(ALICE, 11)).toBe(false);
    expect(bed.tell(ALICE, 10)).toBe(true);
    expect(bed.tell(BOB, 160_000)).toBe(true);
    expect(bed.tell('10.77.0.3', 1)).toBe(false);
  });

  test('out to in: 64 KiB to begin with, then what the requests have earned', () => {
    const bed = new GateBed({ responseRatioMax: 10 });
    bed.introduce(ALICE);
    expect(bed.tell(ALICE, KB64 + 1)).toBe(false);
    expect(bed.tell(ALICE, KB64)).toBe(true);
    expect(bed.tell(ALICE, 1)).toBe(false);
    expect(bed.ask(ALICE, 0)).toBe('ratio');
    expect(bed.ask(ALICE, 30)).toBe('ok');
    expect(bed.tell(ALICE, 301)).toBe(false);
    expect(bed.tell(ALICE, 300)).toBe(true);
    bed.wait(1_000_000);
    expect(bed.tell(ALICE, 1)).toBe(false);
  });

  test('budgets are a lane’s part of the whole, rounded up', () => {
    const bed = new GateBed({ requestsPerSecond: 10, responseBytesPerSecond: 10_000, lanes: 4 });
    bed.introduce(ALICE);
    expect(askMany(bed, ALICE, 10)).toEqual({ ok: 2, rate: 8 });
    expect(bed.tell(ALICE, 3000)).toBe(true);
    expect(bed.tell(ALICE, 1)).toBe(false);
  });

  test('slots, when they are short: a quarter of them, estimated anew every 10 ms', () => {
    const bed = new GateBed();
    const hold = (samples: number) => bed.slots.shares.set(address(ALICE), samples);
    bed.introduce(ALICE);
    hold(64);
    expect(bed.ask(ALICE)).toBe('ok');
    bed.slots.isShort = true;
    expect(bed.ask(ALICE)).toBe('share');
    hold(15);
    bed.wait(SHARE_MS - 1);
    expect(bed.ask(ALICE)).toBe('share');
    bed.wait(1);
    expect(bed.ask(ALICE)).toBe('ok');
    hold(16);
    expect(bed.ask(ALICE)).toBe('ok');
    bed.wait(SHARE_MS);
    expect(bed.ask(ALICE)).toBe('share');
    expect(bed.ask(BOB)).toBe('ok');
    bed.slots.isShort = false;
    expect(bed.ask(ALICE)).toBe('ok');
  });
});

test('the clock may wrap', () => {
  const bed = new GateBed({ requestsPerSecond: 100 });
  bed.wait(2 ** 31 - 5000 - 20);
  bed.introduce(ALICE);
  for (let n = 0; n < 99; n++) expect(bed.ask(ALICE)).toBe('ok');
  expect(bed.ask(ALICE)).toBe('rate');
  bed.nowMs = (bed.nowMs + 20) | 0;
  bed.gate.enter(bed.nowMs);
  expect(bed.nowMs).toBeLessThan(0);
  expect([bed.ask(ALICE), bed.ask(ALICE), bed.ask(ALICE)]).toEqual(['ok', 'ok', 'rate']);
});
