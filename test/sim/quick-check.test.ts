/** Histories that the quick check must pass, and such that it must not. */
import { expect, test } from 'vitest';
import type { Operation, Output, Verb } from './history.ts';
import { checkKey } from './quick-check.ts';
import type { Family } from './workload.ts';

let id = 0;

/** @param returnedAt undefined: no answer */
function operation(
  op: Verb,
  invokedAt: number,
  returnedAt: number | undefined,
  value?: string,
  output?: Output,
  more: object = {},
): Operation {
  const input = { protocol: 'classic', ...(value === undefined ? {} : { value }), ...more } as const;
  return { id: id++, client: 0, key: 'k', op, input, invokedAt, returnedAt, output };
}

const set = (value: string, from: number, to?: number, more = {}) =>
  operation('set', from, to, value, to === undefined ? undefined : { kind: 'stored' }, more);
const add = (value: string, from: number, to: number) => operation('append', from, to, value, { kind: 'stored' });
const get = (value: string, from: number, to: number) =>
  operation('get', from, to, undefined, { kind: 'value', value, flags: 0 });
const miss = (from: number, to: number) => operation('get', from, to, undefined, { kind: 'miss' });
const remove = (from: number, to: number) => operation('delete', from, to, undefined, { kind: 'deleted' });

const ROWS: readonly (readonly [string, Family, readonly Operation[], string | undefined])[] = [
  ['reads after writes', 'register', [set('a', 0, 1), get('a', 2, 3), set('b', 4, 5), get('b', 6, 7)], undefined],
  ['a stale read', 'register', [set('a', 0, 1), set('b', 2, 3), get('a', 4, 5)], 'another value'],
  [
    'a write under way is read',
    'register',
    [set('a', 0, 1), set('b', 2, 9), get('b', 3, 4), get('b', 5, 6)],
    undefined,
  ],
  ['new, then old', 'register', [set('a', 0, 1), set('b', 2, 9), get('b', 3, 4), get('a', 5, 6)], 'another value'],
  [
    'in turns',
    'register',
    [set('a', 0, 1), set('b', 2, 9), get('b', 3, 4), get('a', 5, 6), get('b', 7, 8)],
    'two values',
  ],
  ['it was evicted', 'register', [set('a', 0, 1), get('a', 2, 3), miss(4, 5), set('b', 6, 7)], undefined],
  ['evicted, and there again', 'register', [set('a', 0, 1), miss(4, 5), get('a', 6, 7)], 'empty'],
  ['deleted, and there again', 'register', [set('a', 0, 1), remove(4, 5), get('a', 6, 7)], 'empty'],
  [
    'an open write takes effect late',
    'register',
    [set('a', 0), miss(1, 2), set('b', 3, 4), get('a', 90, 91)],
    undefined,
  ],
  [
    'an open write does so once',
    'register',
    [set('a', 0), get('a', 1, 2), set('b', 3, 4), get('a', 90, 91)],
    'another value',
  ],
  ['out of nothing', 'register', [get('a', 0, 1)], 'nobody has written'],
  ['too early', 'register', [get('a', 0, 1), set('a', 2, 3)], 'before it was written'],
  ['expired', 'register', [set('a', 0, 1, { ttl: 1 }), get('a', 1002, 1003)], 'expired'],
  ['not quite', 'register', [set('a', 0, 10, { ttl: 1 }), get('a', 1009, 1020)], undefined],
  ['a list that grows', 'list', [set('<1>', 0, 1), add('<2>', 2, 3), get('<1><2>', 4, 5)], undefined],
  [
    'a list that shrinks',
    'list',
    [set('<1>', 0, 1), add('<2>', 2, 3), get('<1><2>', 4, 5), get('<1>', 6, 7)],
    'shrunk',
  ],
  ['a lost token', 'list', [set('<1>', 0, 1), get('<1>', 1, 2), add('<2>', 3, 4), get('<1>', 5, 6)], 'missing'],
  ['twice', 'list', [set('<1>', 0, 1), add('<2>', 2, 3), get('<1><2><2>', 4, 5)], 'twice'],
];

test.each(ROWS)('%s (%s)', (_, family, operations, rule) => {
  const violation = checkKey(family, operations, []);
  if (rule === undefined) expect(violation).toBeUndefined();
  else expect(violation?.rule).toContain(rule);
});

test('each home is judged by itself', () => {
  const history = [set('a', 0, 1), set('b', 20, 21), get('b', 22, 23), get('a', 40, 41)];
  expect(checkKey('register', history, [])).toBeDefined();
  const moves = [
    { fromMs: 10, toMs: 12 },
    { fromMs: 30, toMs: 32 },
  ];
  expect(checkKey('register', history, moves)).toBeUndefined();
});
