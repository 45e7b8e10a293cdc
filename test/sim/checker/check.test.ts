/** The checker on histories that a reader can follow, what it says of wrong ones, and that it keeps pace. */
import { describe, expect, test } from 'vitest';
import { check } from './check.ts';
import { makeHistory, seeded } from './made-up.ts';
import { fromJsonLines, type Operation, toJsonLines } from './operation.ts';

type Row = readonly [from: number, to: number | undefined, rest: Partial<Operation>];

const set = (value: string, ttl = 0): Partial<Operation> => ({ verb: 'set', value, ttl, outcome: 'stored' });
const get = (read: string): Partial<Operation> => ({ verb: 'get', read, outcome: 'value' });
const gets = (read: string, cas: string): Partial<Operation> => ({ verb: 'gets', read, cas, outcome: 'value' });
const miss: Partial<Operation> = { verb: 'get', outcome: 'miss' };
const append = (value: string): Partial<Operation> => ({ verb: 'append', value, outcome: 'stored' });
const incr = (read: string): Partial<Operation> => ({ verb: 'incr', amount: 1, read, outcome: 'number' });
const cas = (value: string, token: string, outcome: 'stored' | 'exists'): Partial<Operation> => ({
  verb: 'cas',
  value,
  token,
  outcome,
});
const flush: Partial<Operation> = { verb: 'flush_all', key: '*', outcome: 'ok' };

function history(rows: readonly Row[]): Operation[] {
  return rows.map(([invokedAt, returnedAt, rest], client) => {
    return { client, key: 'k', verb: 'get', invokedAt, returnedAt, ...rest } as Operation;
  });
}

describe('right', () => {
  test.each<[string, Row[]]>([
    ['nothing', []],
    [
      'a miss, a set, a read',
      [
        [0, 1, miss],
        [2, 3, set('a')],
        [4, 5, get('a')],
      ],
    ],
    [
      'an item vanishes',
      [
        [0, 1, set('a')],
        [2, 3, miss],
      ],
    ],
    [
      'old and new while the set is under way',
      [
        [0, 1, set('a')],
        [2, 9, set('b')],
        [3, 4, get('a')],
        [5, 6, get('b')],
      ],
    ],
    [
      'a set without a reply takes effect late',
      [
        [0, 1, set('a')],
        [2, undefined, set('b')],
        [9, 10, get('a')],
        [11, 12, get('b')],
      ],
    ],
    [
      'an incr without a reply takes effect late',
      [
        [0, 1, set('1')],
        [2, undefined, incr('')],
        [9, 10, incr('3')],
      ],
    ],
    [
      'a value on its last moment',
      [
        [0, 10, set('a', 1)],
        [1010, 1020, get('a')],
      ],
    ],
    [
      'a compare and swap',
      [
        [0, 1, set('a')],
        [2, 3, gets('a', 't')],
        [4, 5, cas('b', 't', 'stored')],
        [6, 7, get('b')],
      ],
    ],
    [
      'a read while everything is flushed',
      [
        [0, 1, set('a')],
        [2, 9, flush],
        [3, 4, get('a')],
      ],
    ],
  ])('%s', (_, rows) => expect(check(history(rows)).linearizable).toBe(true));
});

describe('wrong', () => {
  test.each<[string, string, Row[]]>([
    ['never written', 'a foreign value', [[0, 1, get('a')]]],
    [
      'read before it was written',
      'a value of the future',
      [
        [0, 1, get('a')],
        [2, 3, set('a')],
      ],
    ],
    [
      'stale value',
      'new, then old',
      [
        [0, 1, set('a')],
        [2, 9, set('b')],
        [3, 4, get('b')],
        [5, 6, get('a')],
      ],
    ],
    [
      'stale value',
      'stale',
      [
        [0, 1, set('a')],
        [2, 3, set('b')],
        [4, 5, get('a')],
      ],
    ],
    [
      'two values at once',
      'in turns',
      [
        [0, 1, set('a')],
        [2, 9, get('a')],
        [3, 4, set('b')],
        [5, 6, get('b')],
        [7, 8, get('a')],
      ],
    ],
    [
      'gone and back',
      'value, miss, value',
      [
        [0, 1, set('a')],
        [2, 3, miss],
        [4, 5, get('a')],
      ],
    ],
    [
      'gone and back',
      'flushed, and there again',
      [
        [0, 1, set('a')],
        [2, 3, flush],
        [4, 5, get('a')],
      ],
    ],
    [
      'lived too long',
      'one second too long',
      [
        [0, 10, set('a', 1)],
        [1011, 1020, get('a')],
      ],
    ],
    [
      'two tokens of one version',
      'gets',
      [
        [0, 1, set('a')],
        [2, 3, gets('a', 't')],
        [4, 5, gets('a', 'u')],
      ],
    ],
    [
      'one token of two versions',
      'gets',
      [
        [0, 1, set('a')],
        [2, 3, gets('a', 't')],
        [4, 5, set('b')],
        [6, 7, gets('b', 't')],
      ],
    ],
    [
      'no order explains it',
      'appended twice',
      [
        [0, 1, set('a')],
        [2, 3, append('b')],
        [4, 5, get('abb')],
      ],
    ],
    [
      'no order explains it',
      'counted twice',
      [
        [0, 1, set('1')],
        [2, 3, incr('2')],
        [4, 5, incr('4')],
      ],
    ],
    [
      'no order explains it',
      'a repeated incr without a reply',
      [
        [0, 1, set('1')],
        [2, undefined, incr('')],
        [4, 5, get('3')],
      ],
    ],
    [
      'no order explains it',
      'an old token',
      [
        [0, 1, set('a')],
        [2, 3, gets('a', 't')],
        [4, 5, set('b')],
        [6, 7, cas('c', 't', 'stored')],
      ],
    ],
    [
      'no order explains it',
      'a good token refused',
      [
        [0, 1, set('a')],
        [2, 3, gets('a', 't')],
        [4, 5, cas('c', 't', 'exists')],
      ],
    ],
  ])('%s: %s', (rule, _, rows) => {
    const { linearizable, violations } = check(history(rows));
    expect(linearizable).toBe(false);
    expect(violations[0]!.rule).toBe(rule);
  });

  test('memcached 1.6: the clock may tick late by the slack', () => {
    const rows: Row[] = [
      [0, 10, set('a', 1)],
      [1100, 1120, get('a')],
    ];
    expect(check(history(rows), { slack_ms: 100 }).linearizable).toBe(true);
  });
});

describe('an explanation', () => {
  const around = makeHistory(seeded(7), {
    operations: 400,
    clients: 5,
    verbs: ['get', 'set', 'get', 'append', 'delete'],
    lost: 0.05,
    evicted: 0.02,
    values: 0,
    timeToLive: false,
    distinct: true,
  });
  const end = Math.max(...around.map(op => op.returnedAt ?? 0)) + 1;
  const late = (at: number, rest: Partial<Operation>): Operation =>
    ({ client: 9, key: 'k', verb: 'get', invokedAt: end + at, returnedAt: end + at + 1, ...rest }) as Operation;

  test('names few of many operations, in order of time', () => {
    const wrong = [...around, late(0, set('<x>')), late(2, set('<y>')), late(4, get('<x>')), late(6, append('<z>'))];
    const [violation] = check(wrong).violations;
    expect(violation!.operations.length).toBeLessThan(6);
    expect(violation!.text).toContain('set "<y>" → stored');
    expect(violation!.text).toContain('get → "<x>"');
    expect(violation!.text).not.toContain('<z>');
  });

  test('is text, one line an operation', () => {
    const { text } = check(
      history([
        [0, 1, set('a')],
        [2, 3, miss],
        [4, 5, get('a')],
      ]),
    ).violations[0]!;
    expect(text.split('\n')).toEqual([
      'gone and back: the key was absent while its value was there before and after',
      '       0.000 …      1.000  client 0  set "a" → stored',
      '       2.000 …      3.000  client 1  get → miss',
      '       4.000 …      5.000  client 2  get → "a"',
    ]);
  });
});

test('JSON lines: what is written is read back; a faulty line is named', () => {
  const rows = history([
    [0, 1, set('a b\n', 3)],
    [2, undefined, { verb: 'incr', amount: 5 }],
    [3, 4, gets('a', 't')],
  ]);
  expect(fromJsonLines(toJsonLines(rows))).toEqual(JSON.parse(JSON.stringify(rows)));
  expect(() => fromJsonLines('{"verb":"get","invokedAt":1}\n\n{"verb":"get"}\n')).toThrow('line 3');
  expect(() => fromJsonLines('{"verb":"get","invokedAt":3,"returnedAt":2}')).toThrow('before its start');
});

test('a million operations on 330 keys', () => {
  const all: Operation[] = [];
  for (let key = 0; key < 330; key++) {
    all.push(
      ...makeHistory(seeded(key), {
        operations: 3031,
        clients: 10,
        verbs: ['get', 'get', 'get', 'get', 'get', 'get', 'gets', 'set', 'set'],
        lost: 0.05,
        evicted: 0.01,
        values: 0,
        timeToLive: false,
        key: `k${key}`,
      }),
    );
  }
  const start = performance.now();
  const verdict = check(all);
  console.log(`checker: ${all.length} operations in ${((performance.now() - start) / 1000).toFixed(1)} s, by zones`);
  expect(verdict).toMatchObject({ linearizable: true, byZones: 330, bySearch: 0 });
}, 120_000);
