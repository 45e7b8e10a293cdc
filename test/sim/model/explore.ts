/** Breadth first through all worlds, so that a counterexample is a shortest one. */
import type { Setting } from './balancer.ts';
import { Monitor, VIOLATION } from './monitor.ts';
import { CORRECT, type Protocol } from './protocol.ts';
import {
  ABSENT,
  type Budget,
  type Entry,
  type Kind,
  NO_ITEM,
  type Op,
  UNKNOWN,
  type World,
  worldKey,
} from './state.ts';
import { stepsFrom } from './steps.ts';

export interface Scenario {
  readonly name: string;
  /** A text per client, a letter per operation: 'SR' sets, then gets. */
  readonly clients: readonly string[];
  readonly serve?: Setting['serve'];
  /** CLEAN with the value cached; so and copied; CLEAN with nothing known but the CAS; known to be absent; COLD. */
  readonly start?: 'cached' | 'copied' | 'uncached' | 'absent' | 'cold';
  readonly budget?: Partial<Budget>;
}

export interface Exploration {
  readonly states: number;
  /** Steps of a shortest way to an answer that no linearizable register gives; undefined: there is none. */
  readonly trace: readonly string[] | undefined;
  /** All worlds were seen; else states_max was reached. */
  readonly isComplete: boolean;
}

const LETTERS = 'abcdefgh';
const NO_BUDGET: Budget = {
  evictions: 0,
  replicaEvictions: 0,
  promotions: 0,
  demotions: 0,
  failovers: 0,
  duplicates: 0,
  givings: 0,
  copies: 3,
};

export function explore(scenario: Scenario, rules: Partial<Protocol> = {}, states_max = 3_000_000): Exploration {
  const ops = operationsOf(scenario);
  const setting: Setting = {
    ops,
    monitor: new Monitor(ops),
    protocol: { ...CORRECT, ...rules },
    serve: scenario.serve ?? 'cache',
  };
  const first = firstWorld(setting, scenario);
  const seen = new Set([worldKey(first)]);
  const cameFrom = [-1];
  const labels = [''];
  let worlds = [first];
  let numbers = [0];
  while (worlds.length > 0) {
    const nextWorlds: World[] = [];
    const nextNumbers: number[] = [];
    for (const [i, from] of worlds.entries()) {
      for (const { label, world } of stepsFrom(setting, from)) {
        const key = worldKey(world);
        if (seen.has(key)) continue;
        seen.add(key);
        cameFrom.push(numbers[i]!);
        labels.push(label);
        if (world.monitor === VIOLATION) {
          return { states: seen.size, trace: traceTo(labels.length - 1, cameFrom, labels), isComplete: true };
        }
        nextWorlds.push(world);
        nextNumbers.push(labels.length - 1);
      }
    }
    if (seen.size > states_max) return { states: seen.size, trace: undefined, isComplete: false };
    worlds = nextWorlds;
    numbers = nextNumbers;
  }
  return { states: seen.size, trace: undefined, isComplete: true };
}

function traceTo(number: number, cameFrom: readonly number[], labels: readonly string[]): string[] {
  const trace: string[] = [];
  for (let at = number; at > 0; at = cameFrom[at]!) trace.push(labels[at]!);
  return trace.reverse();
}

function operationsOf({ clients }: Scenario): Op[] {
  const ops: Op[] = [];
  for (const [client, program] of clients.entries()) {
    for (const kind of program) ops.push({ id: ops.length, client, kind: kind as Kind, letter: LETTERS[ops.length]! });
  }
  return ops;
}

function firstWorld({ monitor }: Setting, { clients, start = 'cached', budget }: Scenario): World {
  const isThere = start !== 'absent';
  const item = { value: 'o', cas: 1 };
  const entry: Entry = {
    mode: start === 'cold' ? 'COLD' : 'CLEAN',
    cas: start === 'cold' ? UNKNOWN : isThere ? 1 : NO_ITEM,
    value: start === 'cached' || start === 'copied' ? 'o' : start === 'absent' ? ABSENT : '',
    current: -1,
    stage: '',
    fence: 0,
    base: '',
    leaked: false,
    suspect: false,
    late: false,
    replicaCas: start === 'copied' ? 1 : UNKNOWN,
    replicaIn: start === 'copied',
  };
  return {
    begun: clients.map(() => 0),
    phase: clients.map(() => ''),
    nodes: [isThere ? item : null, start === 'copied' ? item : null],
    entry,
    net: [],
    budget: { ...NO_BUDGET, ...budget },
    ghost: -1,
    monitor: monitor.start(isThere ? 'o' : ABSENT),
  };
}
