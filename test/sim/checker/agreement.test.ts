/** Zones, search and brute force say the same of thousands of small histories, right ones and spoilt ones. */
import { describe, expect, test } from 'vitest';
import { isLinearizableByForce } from './brute.ts';
import { checkKey } from './check-key.ts';
import { makeHistory, type Recipe, seeded, spoil } from './made-up.ts';
import { describeOperation, type Operation, type Verb } from './operation.ts';
import { checkZones } from './zones.ts';

const REGISTER: readonly Verb[] = ['get', 'gets', 'set', 'set', 'get'];
const ALL: readonly Verb[] = [
  ...(['get', 'gets', 'gets', 'set', 'add', 'replace', 'append', 'prepend'] as const),
  ...(['cas', 'cas', 'incr', 'decr', 'delete', 'touch', 'gat', 'flush_all'] as const),
];
const small = { operations: 6, clients: 3, lost: 0.15, evicted: 0.1, values: 0, timeToLive: false };

const RECIPES: readonly (readonly [string, Recipe, number])[] = [
  ['register, unique values', { ...small, verbs: REGISTER }, 2000],
  ['register, unique values, time to live', { ...small, verbs: REGISTER, timeToLive: true }, 1500],
  ['register, two values', { ...small, verbs: REGISTER, values: 2 }, 1000],
  ['register, two values, time to live', { ...small, verbs: REGISTER, values: 2, timeToLive: true }, 1000],
  ['absence', { ...small, verbs: ['get', 'set', 'add', 'delete', 'flush_all'], evicted: 0.3 }, 1500],
  ['counter', { ...small, verbs: ['get', 'set', 'incr', 'decr', 'incr'], values: 2 }, 1000],
  ['append', { ...small, verbs: ['get', 'set', 'append', 'prepend', 'get'] }, 1000],
  ['compare and swap', { ...small, verbs: ['gets', 'cas', 'gets', 'cas', 'set'] }, 1500],
  ['every verb', { ...small, verbs: ALL }, 1500],
  ['every verb, two values, time to live', { ...small, verbs: ALL, values: 2, timeToLive: true }, 1500],
];

const ANY_TIMES = 20_000;

describe.each(RECIPES)('%s', (_, recipe, times) => {
  test('right histories are right', () => {
    for (let seed = 0; seed < times; seed++) expect(judge(makeHistory(seeded(seed), recipe), seed)).toBe(true);
  });

  test('spoilt histories: the three agree, and many are wrong', () => {
    let wrong = 0;
    for (let seed = 0; seed < times; seed++) {
      const random = seeded(seed + 1_000_000);
      if (!judge(spoil(random, makeHistory(random, recipe)), seed)) wrong++;
    }
    expect(wrong).toBeGreaterThan(times / 20);
  });
});

test('any recipe, spoilt up to twice', () => {
  let wrong = 0;
  for (let seed = 0; seed < ANY_TIMES; seed++) {
    const random = seeded(seed + 5_000_000);
    let history = makeHistory(random, anyRecipe(random));
    for (let times = Math.floor(random() * 3); times > 0; times--) history = spoil(random, history);
    if (!judge(history, seed, random() < 0.3 ? 300 : 0)) wrong++;
  }
  expect(wrong).toBeGreaterThan(ANY_TIMES / 20);
});

function anyRecipe(random: () => number): Recipe {
  const mixes: readonly (readonly Verb[])[] = [
    ...RECIPES.map(([, { verbs }]) => verbs),
    ['gets', 'cas', 'replace', 'touch', 'gat', 'set', 'delete', 'add'],
    ['append', 'get', 'add', 'delete', 'set'],
  ];
  return {
    operations: 4 + Math.floor(random() * 4),
    clients: 2 + Math.floor(random() * 3),
    verbs: mixes[Math.floor(random() * mixes.length)]!,
    lost: random() < 0.5 ? 0.35 : 0.1,
    evicted: random() * 0.3,
    values: random() < 0.5 ? 0 : 2,
    timeToLive: random() < 0.3,
    distinct: random() < 0.3,
  };
}

/** @throws where they disagree */
function judge(history: readonly Operation[], seed: number, slack_ms = 0): boolean {
  const expected = isLinearizableByForce(history, slack_ms);
  const search = checkKey(history, { searchAll: true, slack_ms }).verdict === 'linearizable';
  const conflicts = checkZones(history, slack_ms);
  const zones = conflicts === undefined ? search : conflicts.length === 0;
  if (search !== expected || zones !== expected) {
    const lines = history.map(describeOperation).join('\n');
    throw new Error(`seed ${seed}: by force ${expected}, search ${search}, zones ${zones}\n${lines}`);
  }
  return expected;
}
