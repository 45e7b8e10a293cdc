import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_SLOT, SlotTable, STRAY_DUPLICATE, STRAY_LATE, STRAY_NEVER_ASKED } from '../../src/load/slots.ts';

const TIMEOUT = 100;

function claim(table: SlotTable, now: number, key = 0): { position: number; flow: number; id: number } {
  const position = table.claim(key, 0, 0, 2);
  table.stamp(position, now, now);
  return { position, flow: table.flowOf(position), id: table.idOf(position) };
}

/** Loses everything that is overdue; returns the positions. */
function expire(table: SlotTable, now: number): number[] {
  const lost: number[] = [];
  for (let position = table.expired(now - TIMEOUT); position !== NO_SLOT; position = table.expired(now - TIMEOUT)) {
    lost.push(position);
  }
  return lost;
}

describe('SlotTable', () => {
  it('goes round the flows, then to the next id of each', () => {
    const table = new SlotTable(3, 2);
    const given = Array.from({ length: 6 }, () => claim(table, 0));
    expect(given.map(({ flow, id }) => [flow, id])).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
      [0, 1],
      [1, 1],
      [2, 1],
    ]);
    expect(table.isFull).toBe(true);
  });

  it('gives a slot out again under a new id, and keeps what was asked', () => {
    const table = new SlotTable(1, 2);
    const first = claim(table, 0);
    claim(table, 0);
    table.settle(first.position);
    expect(table.expired(-1)).toBe(NO_SLOT);
    const position = table.claim(77, 5, 1, 1);
    table.stamp(position, 123, 456);
    expect(position).toBe(first.position);
    expect([table.idOf(position), table.keyOf(position), table.versionOf(position)]).toEqual([2, 77, 5]);
    expect([table.setOf(position), table.phaseOf(position), table.intendedOf(position)]).toEqual([1, 1, 123]);
  });

  it('is full while the slot in turn waits, whatever lies behind it', () => {
    const table = new SlotTable(1, 4);
    const [first, ...others] = Array.from({ length: 4 }, () => claim(table, 0));
    for (const { position } of others) table.settle(position);
    expect(expire(table, 0)).toEqual([]);
    expect([table.isFull, table.outstanding]).toEqual([true, 1]);
    table.settle(first!.position);
    expire(table, 0);
    expect(table.isFull).toBe(false);
  });

  it('knows late, duplicate and never asked apart', () => {
    const table = new SlotTable(1, 2);
    const lost = claim(table, 0);
    const answered = claim(table, 50);
    table.settle(answered.position);
    expect(expire(table, 100)).toEqual([lost.position]);
    expect(table.find(lost.flow, lost.id)).toBe(NO_SLOT);
    expect(table.classifyStray(0, lost.id)).toBe(STRAY_LATE);
    expect(table.classifyStray(0, lost.id)).toBe(STRAY_DUPLICATE);
    expect(table.classifyStray(0, answered.id)).toBe(STRAY_DUPLICATE);
    expect(table.classifyStray(0, 2)).toBe(STRAY_NEVER_ASKED);
    expect(table.classifyStray(0, 0xffff)).toBe(STRAY_NEVER_ASKED);
  });

  it('remembers losses across laps while the slot is in use again', () => {
    const table = new SlotTable(1, 1);
    const lost = claim(table, 0);
    expire(table, 100);
    for (let lap = 1; lap <= 31; lap++) table.settle(claim(table, 100 + lap).position);
    expect(table.classifyStray(0, lost.id)).toBe(STRAY_LATE);
    expect(table.classifyStray(0, lost.id)).toBe(STRAY_DUPLICATE);
  });

  it('comes back to the same ids after 65536 requests of a flow', () => {
    const table = new SlotTable(1, 4);
    const ids = new Set<number>();
    for (let i = 0; i < 65_536; i++) {
      const { position, id } = claim(table, 0);
      ids.add(id);
      table.settle(position);
      table.expired(-1);
    }
    expect(ids.size).toBe(65_536);
    expect(claim(table, 0).id).toBe(0);
  });

  it('property: agrees with a model that keeps every request ever made', () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant({ kind: 'send' as const, n: 0 }) },
      { weight: 3, arbitrary: fc.nat(30).map(n => ({ kind: 'reply' as const, n })) },
      { weight: 1, arbitrary: fc.nat(60).map(n => ({ kind: 'time' as const, n })) },
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom(1, 2, 8),
        fc.array(step, { maxLength: 200 }),
        (flows, rows, steps) => {
          const table = new SlotTable(flows, rows);
          const made: { flow: number; id: number; sent: number; state: 'out' | 'answered' | 'lost' | 'late' }[] = [];
          let now = 0;
          for (const { kind, n } of steps) {
            if (kind === 'time') {
              now += n;
              const overdue = made.filter(request => request.state === 'out' && request.sent <= now - TIMEOUT);
              expect(expire(table, now).length).toBe(overdue.length);
              for (const request of overdue) request.state = 'lost';
            } else if (kind === 'send') {
              expire(table, now);
              for (const request of made)
                if (request.state === 'out' && request.sent <= now - TIMEOUT) request.state = 'lost';
              if (!table.isFull) made.push({ ...claim(table, now), sent: now, state: 'out' });
            } else if (n < made.length) {
              // Counted from the latest, so that recent requests are hit often; within the table's memory of 32 laps.
              const request = made[made.length - 1 - n]!;
              const position = table.find(request.flow, request.id);
              expect(position !== NO_SLOT).toBe(request.state === 'out');
              if (position !== NO_SLOT) {
                table.settle(position);
                request.state = 'answered';
              } else {
                const expected = request.state === 'lost' ? STRAY_LATE : STRAY_DUPLICATE;
                expect(table.classifyStray(request.flow, request.id)).toBe(expected);
                request.state = 'late';
              }
            }
            expect(table.outstanding).toBe(made.filter(request => request.state === 'out').length);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([0, 3, 131_072])('%i rows: refused', rows => {
    expect(() => new SlotTable(1, rows)).toThrow(/power of two/);
  });
});
