/** The protocol in the small, exhaustively: no counterexample as it is meant, one for each rule that is left out. */
import { afterAll, describe, expect, test } from 'vitest';
import { explore } from './explore.ts';
import { Monitor, VIOLATION } from './monitor.ts';
import type { Op } from './state.ts';
import { MUTANTS, SCENARIOS, VARIANTS } from './table.ts';

const TIMEOUT_MS = 120_000;
let states = 0;

afterAll(() => console.log(`model: ${SCENARIOS.length} scenarios, ${states} states, ${MUTANTS.length} mutants`));

describe('the protocol', () => {
  test.each(SCENARIOS)(
    '$name: every answer is one of a linearizable register',
    scenario => {
      const found = explore(scenario);
      states += found.states;
      expect(found.trace?.join('\n')).toBe(undefined);
      expect(found.isComplete).toBe(true);
    },
    TIMEOUT_MS,
  );
});

describe('mutants', () => {
  test.each(MUTANTS)(
    '$bug: a counterexample',
    ({ rules, scenario }) => {
      expect(explore(scenario).trace?.join('\n')).toBe(undefined);
      const { trace } = explore(scenario, rules);
      expect(trace?.length).toBeGreaterThan(3);
    },
    TIMEOUT_MS,
  );

  test.each(VARIANTS)(
    '$bug: right is $isRight',
    ({ rules, scenario, isRight }) => {
      const { trace, isComplete } = explore(scenario, rules);
      expect(isComplete).toBe(true);
      expect(trace === undefined).toBe(isRight);
    },
    TIMEOUT_MS,
  );
});

describe('the judge', () => {
  const ops: Op[] = [
    { id: 0, client: 0, kind: 'S', letter: 'a' },
    { id: 1, client: 1, kind: 'R', letter: 'b' },
    { id: 2, client: 1, kind: 'R', letter: 'c' },
  ];
  const [set, first, second] = ops as [Op, Op, Op];

  test('new, then old, while a set is under way: no register does that', () => {
    const monitor = new Monitor(ops);
    let now = monitor.begin(monitor.start('o'), set);
    now = monitor.end(monitor.begin(now, first), first, 'a');
    now = monitor.begin(now, second);
    expect(monitor.end(now, second, 'a')).not.toBe(VIOLATION);
    expect(monitor.end(now, second, '-')).not.toBe(VIOLATION);
    expect(monitor.end(now, second, 'o')).toBe(VIOLATION);
  });

  test('a write without an answer takes effect once, at any later time', () => {
    const monitor = new Monitor(ops);
    let now = monitor.abandon(monitor.begin(monitor.start('o'), set), set);
    now = monitor.end(monitor.begin(now, first), first, '-');
    now = monitor.begin(now, second);
    expect(monitor.end(now, second, 'a')).not.toBe(VIOLATION);
    expect(monitor.end(now, second, 'o')).toBe(VIOLATION);
  });
});
