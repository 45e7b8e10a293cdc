/** Lists that the quick check must pass, and such that it must not. */
import { expect, test } from 'vitest';
import type { Operation } from './checker/operation.ts';
import { checkList } from './list-check.ts';

const client = 0;
const key = 'l';
const set = (value: string, invokedAt: number, returnedAt: number): Operation => ({
  ...{ client, key, verb: 'set', value, invokedAt, returnedAt, outcome: 'stored' },
});
const add = (value: string, invokedAt: number, returnedAt: number): Operation => ({
  ...{ client, key, verb: 'append', value, invokedAt, returnedAt, outcome: 'stored' },
});
const get = (read: string, invokedAt: number, returnedAt: number): Operation => ({
  ...{ client, key, verb: 'get', read, invokedAt, returnedAt, outcome: 'value' },
});

const ROWS: readonly (readonly [string, readonly Operation[], string | undefined])[] = [
  ['grows', [set('<1>', 0, 1), add('<2>', 2, 3), get('<1><2>', 4, 5)], undefined],
  ['is begun anew', [set('<1>', 0, 1), get('<1>', 2, 3), set('<2>', 4, 5), get('<2>', 6, 7)], undefined],
  ['is being added to', [set('<1>', 0, 1), add('<2>', 2, 9), get('<1>', 3, 4), get('<1><2>', 5, 6)], undefined],
  ['shrinks', [set('<1>', 0, 1), add('<2>', 2, 3), get('<1><2>', 4, 5), get('<1>', 6, 7)], 'shrunk'],
  ['turns', [set('<1>', 0, 1), add('<2>', 2, 3), get('<1><2>', 4, 5), get('<2><1>', 6, 7)], 'shrunk'],
  ['has lost a token', [set('<1>', 0, 1), get('<1>', 1, 2), add('<2>', 3, 4), get('<1>', 5, 6)], 'missing'],
  ['has a token twice', [set('<1>', 0, 1), add('<2>', 2, 3), get('<1><2><2>', 4, 5)], 'twice'],
  ['has a token of nobody', [set('<1>', 0, 1), get('<1><3>', 4, 5)], 'never written'],
  ['has a token too early', [set('<1>', 0, 1), get('<1><2>', 2, 3), add('<2>', 4, 5)], 'before'],
];

test.each(ROWS)('a list that %s', (_, operations, rule) => {
  const violation = checkList(operations);
  if (rule === undefined) expect(violation).toBeUndefined();
  else expect(violation?.rule).toContain(rule);
});
