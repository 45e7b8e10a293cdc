/** The table of clients against a model that keeps it in maps, and where a flood would break it. */
import { describe, expect, it } from 'vitest';
import { ClientTable, clientTableByteLength, FRESH_MS } from '../../src/dataplane/client-table.ts';

const SEEDS = [0x5eed, -77] as const;

function tablesOf(lanes: number, rows: number): ClientTable[] {
  const words = new Int32Array(16 + clientTableByteLength(lanes, rows) / 4 + 16).fill(-1);
  words.fill(0, 16, words.length - 16);
  return Array.from({ length: lanes }, (_, lane) => new ClientTable(words, 16, lanes, lane, SEEDS, rows));
}

function macOf(table: ClientTable, client: number, nowMs: number): [number, number] | undefined {
  const row = table.find(client, nowMs);
  return row < 0 ? undefined : [table.macHigh(row), table.macLow(row)];
}

describe('the table of clients', () => {
  it('nobody’s rows are nobody’s: not even of address 0', () => {
    const [table] = tablesOf(1, 4) as [ClientTable];
    expect(table.find(0, 0)).toBe(-1);
    expect(table.find(1, 0)).toBe(-1);
  });

  it('has the last Ethernet address that a client asked from', () => {
    const [table] = tablesOf(1, 4) as [ClientTable];
    table.learn(7, 0x0200, 1, 100, false);
    table.learn(7, 0x0201, -2, 101, false);
    expect(macOf(table, 7, 101)).toEqual([0x0201, -2]);
  });

  it('gives the row of the client not seen for longest, if 10 s or more ago', () => {
    const [table] = tablesOf(1, 4) as [ClientTable];
    for (let client = 1; client <= 4; client++) expect(table.learn(client, 0, client, client, false)).toBe(true);
    expect(table.learn(5, 0, 5, FRESH_MS, false)).toBe(false);
    expect(table.find(5, FRESH_MS)).toBe(-1);
    table.learn(1, 0, 1, FRESH_MS, false);
    expect(table.learn(5, 0, 5, FRESH_MS + 3, false)).toBe(true);
    expect([1, 2, 3, 4, 5].map(client => table.find(client, FRESH_MS + 3) >= 0)).toEqual([
      true,
      false,
      true,
      true,
      true,
    ]);
  });

  it('across the wrap of the clock', () => {
    const [table] = tablesOf(1, 4) as [ClientTable];
    const wrapMs = 0x7fffffff;
    for (let client = 1; client <= 4; client++) table.learn(client, 0, client, wrapMs, false);
    expect(table.learn(5, 0, 5, (wrapMs + FRESH_MS - 1) | 0, false)).toBe(false);
    expect(table.learn(5, 0, 5, (wrapMs + FRESH_MS) | 0, false)).toBe(true);
  });

  it('sources that are not known have two rows of a set', () => {
    const [table] = tablesOf(1, 4) as [ClientTable];
    const isTaken = [1, 2, 3, 4].map(client => table.learn(client, 0, client, 0, true));
    expect(isTaken).toEqual([true, true, false, false]);
    expect([5, 6, 7].map(client => table.learn(client, 0, client, 0, false))).toEqual([true, true, false]);
    expect(table.learn(1, 0, 9, 0, true)).toBe(true);
  });

  it('of other lanes: whoever heard the client last, once the own row is old', () => {
    const [a, b, c] = tablesOf(3, 16) as [ClientTable, ClientTable, ClientTable];
    a.learn(7, 0, 1, 0, false);
    c.learn(7, 0, 3, 5, false);
    expect(macOf(b, 7, 5)).toEqual([0, 3]);
    expect(macOf(a, 7, 5)).toEqual([0, 1]);
    expect(macOf(a, 7, FRESH_MS)).toEqual([0, 3]);
    // By the clock of a lane that is behind the one that wrote.
    expect(macOf(b, 7, 3)).toEqual([0, 3]);
  });

  it('a row that changes hands meanwhile is no longer the client’s', () => {
    const [table] = tablesOf(1, 4) as [ClientTable];
    for (let client = 1; client <= 4; client++) table.learn(client, 0, client, client, false);
    const row = table.find(1, 5);
    expect(table.isOf(row, 1)).toBe(true);
    table.learn(5, 0, 5, FRESH_MS + 1, false);
    expect(table.isOf(row, 1)).toBe(false);
  });
});

describe('against a model, 3 lanes of 64 rows', () => {
  it.each([1, 2, 3, 4])('seed %i', seed => {
    const tables = tablesOf(3, 64);
    /** Per lane and client: when, and from where. */
    const model = tables.map(() => new Map<number, { seenMs: number; mac: number }>());
    let state = seed;
    const below = (limit: number) => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return (state >>> 8) % limit;
    };
    let nowMs = 0x7fffffff - 20_000; // the clock wraps on the way
    let found = 0;
    for (let step = 0; step < 20_000; step++) {
      nowMs += below(40);
      const lane = below(3);
      const client = 1 + below(200);
      if (below(2) === 0) {
        const known = model[lane]!.get(client);
        const isFresh = known !== undefined && nowMs - known.seenMs < FRESH_MS;
        const isTaken = tables[lane]!.learn(client, 0x0200, step, nowMs | 0, false);
        if (isFresh) expect(isTaken).toBe(true);
        if (isTaken) model[lane]!.set(client, { seenMs: nowMs, mac: step });
        continue;
      }
      const heard = model.map(seen => seen.get(client)).filter(seen => seen !== undefined);
      const own = model[lane]!.get(client);
      const mac = macOf(tables[lane]!, client, nowMs | 0);
      const fresh = heard.filter(({ seenMs }) => nowMs - seenMs < FRESH_MS);
      if (own !== undefined && nowMs - own.seenMs < FRESH_MS) expect(mac).toEqual([0x0200, own.mac]);
      else if (fresh.length > 0) {
        const youngestMs = Math.max(...fresh.map(({ seenMs }) => seenMs));
        const candidates = fresh.filter(({ seenMs }) => seenMs === youngestMs).map(seen => seen.mac);
        expect(candidates).toContain(mac?.[1]);
      } else if (mac !== undefined) expect(heard.map(seen => seen.mac)).toContain(mac[1]);
      if (mac !== undefined) found++;
    }
    expect(found).toBeGreaterThan(3000);
  });
});

it('a flood of forged sources pushes out nobody who asks at least every 10 s', () => {
  const [table] = tablesOf(1, 256) as [ClientTable];
  const honest = Array.from({ length: 20 }, (_, n) => 0x0a4d0001 + n).filter(client =>
    table.learn(client, 1, client, 0, false),
  );
  expect(honest.length).toBe(20);
  let refused = 0;
  for (let n = 0; n < 100_000; n++) {
    const nowMs = n >> 1;
    if (n % 19_000 === 0) for (const client of honest) expect(table.learn(client, 1, client, nowMs, false)).toBe(true);
    if (!table.learn(0x0b000000 + n, 2, n, nowMs, false)) refused++;
    if (n % 997 === 0)
      expect(honest.map(client => macOf(table, client, nowMs))).toEqual(honest.map(client => [1, client]));
  }
  expect(refused).toBeGreaterThan(90_000);
});
