/** Native against twin: the same rows, and random ones, through both; native under sanitizers. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BATCH_ROWS_MAX,
  CHECKSUM_START_SHIFT,
  DROP,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_VLAN,
  REFUSED,
  VERDICT_GROUP_SHIFT,
  VLAN_SHIFT,
} from '../../src/port/port.ts';
import { byTwin, caseOf, type Done, HEADROOM, hex, NativeBatch } from './batch-cases.ts';
import type { Row, Sender } from './batch-twin.ts';
import { requireSanitizers } from './sanitizer.ts';

const P = FLAG_PARTIAL_CHECKSUM;
const plain = (verdict: number, length = 60, flags = 0) => ({ length, flags, verdict });
const of = (id: number, group: number) => id | (group << VERDICT_GROUP_SHIFT);
const NEAR: Sender = { id: 0, frameBytesMax: 1514, vlan: 0, joins: false };
const TAGGED: Sender = { id: 3, frameBytesMax: 1514, vlan: 0x123, joins: true };
const tag = (control: number) => FLAG_VLAN | (control << VLAN_SHIFT);

const table: readonly (readonly [what: string, sender: Sender, rows: readonly Omit<Row, 'offset'>[]])[] = [
  ['nothing', NEAR, []],
  ['a frame', NEAR, [plain(0)]],
  ['the shortest and the longest', NEAR, [plain(0, 14), plain(0, 1514)]],
  ['too short and too long', NEAR, [plain(0, 13), plain(0, 1515), plain(0, 0), plain(0, 20)]],
  ['a partial checksum', NEAR, [plain(0, 60, P | (34 << CHECKSUM_START_SHIFT))]],
  ['the last start', NEAR, [plain(0, 400, P | (255 << CHECKSUM_START_SHIFT))]],
  ['a start without a partial checksum', NEAR, [plain(0, 60, 34 << CHECKSUM_START_SHIFT)]],
  ['a tag on the way out of an untagged port', NEAR, [plain(0, 60, tag(0xe005))]],
  ['nobody’s, and another’s', NEAR, [plain(DROP), plain(1), plain(REFUSED), plain(0), plain(30)]],
  ['groups', NEAR, [1, 2, 1, 0, 2, 0, 1].map(group => plain(of(0, group)))],
  ['groups that count as one', NEAR, [1, 2, 2049, 1].map(group => plain(of(0, group)))],
  ['the last group there is', NEAR, [plain(of(0, 0x7fffff)), plain(0), plain(of(0, 0x7fffff))]],
  ['a tagged frame', TAGGED, [plain(3)]],
  ['tags that keep their priority', TAGGED, [0, 0x1000, 0xe007, 0xffff].map(word => plain(of(3, 1), 60, tag(word)))],
  ['bits that are no tag', TAGGED, [plain(3, 60, 0xe000 << VLAN_SHIFT)]],
  ['a partial checksum behind a tag', TAGGED, [plain(3, 60, P | (34 << CHECKSUM_START_SHIFT) | tag(0x6000))]],
  ['a start that a tag moves beyond a byte', TAGGED, [plain(3, 400, P | (255 << CHECKSUM_START_SHIFT))]],
  ['tagged, the shortest and the longest', TAGGED, [plain(3, 14), plain(3, 13), plain(3, 1514), plain(3, 1515)]],
  ['more than a batch', NEAR, Array.from({ length: 300 }, (_, i) => plain(of(0, i % 7), 20 + i))],
];

describe.skipIf(requireSanitizers())('what a transmit does to bytes, native and twin', () => {
  const native = new NativeBatch();

  beforeAll(() => native.compile(), 120_000);

  afterAll(() => native.remove());

  it.each(table)('%s', (_, sender, rows) => {
    const each = caseOf(sender, rows);
    expect(native.run([each])).toEqual([byTwin(each)]);
  });

  it('a plain frame, byte for byte', () => {
    const each = caseOf(NEAR, [plain(0, 14, P | (34 << CHECKSUM_START_SHIFT))]);
    const own = hex(each.memory.slice(HEADROOM));
    const [{ frames, memory }] = native.run([each]) as [Done];
    expect(frames).toEqual([[1, 0, `01000000000022000600${own}`]]);
    expect(memory).toBe(`01000000000022000600${own}`);
  });

  it('a tagged frame, byte for byte', () => {
    const each = caseOf(TAGGED, [plain(3, 14, P | (34 << CHECKSUM_START_SHIFT) | tag(0x6fff))]);
    const own = hex(each.memory.slice(HEADROOM));
    const [{ frames, memory }] = native.run([each]) as [Done];
    expect(frames).toEqual([[1, 0, `01000000000026000600${own.slice(0, 24)}81006123${own.slice(24)}`]]);
    expect(memory).toBe(hex(each.memory));
  });

  it('random batches, one process for all: a call leaves nothing behind for the next', () => {
    const sender = fc.record({
      id: fc.nat(30),
      frameBytesMax: fc.constantFrom(100, 1514, 9014),
      vlan: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4094 })),
      joins: fc.boolean(),
    });
    const anyRow = fc.record({
      length: fc.oneof(fc.nat(20), fc.nat(200)),
      flags: fc.integer(),
      verdict: fc.oneof(fc.constantFrom(DROP, REFUSED), fc.nat(30), fc.nat(1025 << 8), fc.integer()),
    });
    const anyCase = fc.tuple(sender, fc.array(anyRow, { maxLength: BATCH_ROWS_MAX + 20, size: 'max' }), fc.boolean());
    const cases = fc.sample(anyCase, { numRuns: 300, seed: 20261122 }).map(([from, rows, mostlyOurs]) =>
      caseOf(
        from,
        rows.map((row, i) =>
          mostlyOurs && i % 8 !== 0 && row.verdict >= 0 ? { ...row, verdict: (row.verdict & ~0xff) | from.id } : row,
        ),
      ),
    );
    expect(cases.some(({ rows }) => rows.length > BATCH_ROWS_MAX)).toBe(true);
    const done = native.run(cases);
    for (const [i, each] of cases.entries()) expect(done[i]).toEqual(byTwin(each));
    expect(done.reduce((sum, { frames }) => sum + frames.length, 0)).toBeGreaterThan(5000);
  });
});
