/** What a lane notes of requests and their answers: latency by verb, and what is answered, silent or outstanding. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NODE_COUNT } from '../../src/dataplane/counters.ts';
import { LATENCY_CLASSES, LATENCY_PATHS, LATENCY_SERIES } from '../../src/dataplane/latency.ts';
import {
  countOutstanding,
  SLOT_NODE_PORT,
  SLOT_QUIET,
  SLOT_SENT,
  SlotTable,
  STATE_ANSWERED,
  STATE_OUTSTANDING,
  slotTableByteLength,
} from '../../src/dataplane/slot-table.ts';
import { bucketOf, HISTOGRAM_BUCKETS, Histograms } from '../../src/mem/histogram.ts';
import { BOB, LaneBed, MC1, MC2, reply, request } from '../support/lane-bed.ts';

/** `class path: bucket × count` of everything recorded so far. */
function recorded(bed: LaneBed): Record<string, number> {
  const histograms = new Histograms(
    bed.lane().path.memory.bytes.buffer as SharedArrayBuffer,
    bed.setup().latencyOffset,
    LATENCY_SERIES,
  );
  const found: Record<string, number> = {};
  for (let series = 0; series < LATENCY_SERIES; series++) {
    const counts = new Float64Array(HISTOGRAM_BUCKETS);
    histograms.addTo(counts, series);
    const name = `${LATENCY_CLASSES[Math.floor(series / 3)]} ${LATENCY_PATHS[series % 3]}`;
    for (const [bucket, count] of counts.entries()) if (count > 0) found[`${name} ${bucket}`] = count;
  }
  return found;
}

function nodeCount(bed: LaneBed, name: keyof typeof NODE_COUNT, row = 0): number {
  const { nodeCounters } = bed.lane().path.memory;
  return nodeCounters[row * Object.keys(NODE_COUNT).length + NODE_COUNT[name]]!;
}

function answerAfter(bed: LaneBed, asked: string, ms: number, ...replies: Uint8Array[]): void {
  bed.hear('client', request(asked));
  bed.nowMs += ms;
  for (const frame of replies) bed.hear('server', frame);
}

describe('latency', () => {
  it.each([
    ['get k\r\n', 'END\r\n', 'read'],
    ['mg k v\r\n', 'EN\r\n', 'read'],
    ['set k 0 0 1\r\nx\r\n', 'STORED\r\n', 'write'],
    ['gat 5 k\r\n', 'END\r\n', 'write'],
    ['delete k\r\n', 'DELETED\r\n', 'write'],
  ])('of %j is recorded among the %3$s', (asked, answered, verbs) => {
    const bed = new LaneBed();
    answerAfter(bed, asked, 1.5, reply(answered));
    expect(recorded(bed)).toEqual({ [`${verbs} forwarded ${bucketOf(1500)}`]: 1 });
  });

  it('is that of the first datagram alone', () => {
    const bed = new LaneBed();
    const part = (sequence: number) => reply('VALUE k 0 3\r\nabc\r\nEND\r\n', { sequence, total: 2 });
    answerAfter(bed, 'get k\r\n', 3, part(0), part(1));
    expect(recorded(bed)).toEqual({ [`read forwarded ${bucketOf(3000)}`]: 1 });
    expect([nodeCount(bed, 'answered'), nodeCount(bed, 'replies')]).toEqual([1, 2]);
  });

  it('is right across the wrap of the clock', () => {
    const bed = new LaneBed({ startMs: 2 ** 32 / 1000 - 0.5 });
    answerAfter(bed, 'get k\r\n', 2, reply('END\r\n'));
    expect(recorded(bed)).toEqual({ [`read forwarded ${bucketOf(2000)}`]: 1 });
  });

  it('is not recorded for what is dropped: late, from another node, under another key', () => {
    const bed = new LaneBed({ nodes: [MC1], replyLifetimeMs: 100 });
    answerAfter(bed, 'get k\r\n', 1, reply('END\r\n', { node: MC2 }), reply('VALUE j 0 1\r\nx\r\nEND\r\n'));
    answerAfter(bed, 'get k\r\n', 101, reply('END\r\n', { slot: 1 }));
    expect(recorded(bed)).toEqual({});
    expect(nodeCount(bed, 'answered')).toBe(0);
  });
});

describe('a node’s figures', () => {
  it('tell the silent requests from those to be answered', () => {
    const bed = new LaneBed();
    for (const asked of ['set k 0 0 1 noreply\r\nx\r\n', 'mg k q v\r\n', 'get k\r\n'])
      bed.hear('client', request(asked));
    bed.hear('server', [reply('EN\r\n', { slot: 1 }), reply('END\r\n', { slot: 2 })]);
    const figures = (['requests', 'silent_requests', 'answered'] as const).map(name => nodeCount(bed, name));
    expect(figures).toEqual([3, 2, 1]);
  });

  it('are those of the row the request was steered by', () => {
    const bed = new LaneBed();
    bed.hear('client', request('get k\r\n'));
    bed.publish([]);
    bed.hear('client', request('get k\r\n', { client: BOB }));
    bed.hear('server', reply('END\r\n'));
    expect(nodeCount(bed, 'answered', 0)).toBe(1);
  });
});

describe('countOutstanding', () => {
  const LIFETIME_US = 1_000_000;
  const SLOTS = 2048;
  const NEWCOMERS = 512;
  const BASE = 32;

  it('property: is what a look at every slot finds, whatever was taken, answered and forgotten', () => {
    const step = fc.record({
      row: fc.nat(3),
      quiet: fc.boolean(),
      answered: fc.boolean(),
      isNewcomer: fc.boolean(),
      afterUs: fc.nat(40_000),
    });
    const starts = fc.tuple(fc.nat(SLOTS - NEWCOMERS - 1), fc.nat(NEWCOMERS - 1));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: 'max' }), fc.nat(2 ** 31), starts, (steps, startUs, turns) => {
        const words = new Int32Array(BASE + slotTableByteLength(SLOTS) / 4);
        const table = new SlotTable(words, BASE, SLOTS, 40_000, LIFETIME_US, NEWCOMERS);
        words.set(turns, BASE);
        const open: { row: number; sentUs: number }[] = [];
        let nowUs = startUs;
        for (const { row, quiet, answered, isNewcomer, afterUs } of steps) {
          table.aim(isNewcomer);
          const word = table.take(nowUs | 0);
          words[word] = (answered ? STATE_ANSWERED : STATE_OUTSTANDING) | (quiet ? SLOT_QUIET : 0);
          words[word + SLOT_NODE_PORT] = 11211 | (row << 16);
          words[word + SLOT_SENT] = nowUs | 0;
          if (!quiet && !answered) open.push({ row, sentUs: nowUs });
          nowUs += afterUs;
        }
        const rows = new Float64Array(4);
        countOutstanding(words, BASE, SLOTS, NEWCOMERS, LIFETIME_US, nowUs | 0, rows);
        const young = open.filter(({ sentUs }) => nowUs - sentUs <= LIFETIME_US);
        expect([...rows]).toEqual([0, 1, 2, 3].map(row => young.filter(each => each.row === row).length));
      }),
    );
  });

  it('adds to what other lanes have, and looks no further than the lifetime', () => {
    const words = new Int32Array(BASE + slotTableByteLength(SLOTS) / 4);
    const rows = Float64Array.of(5);
    countOutstanding(words, BASE, SLOTS, NEWCOMERS, LIFETIME_US, 2 ** 31 - 1, rows);
    expect([...rows]).toEqual([5]);
  });
});
