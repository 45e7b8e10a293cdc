/** What goes wrong in a run, when, and for how long: by lot. `heal` ends it all. */
import type { EventTarget } from './events.ts';
import type { FaultName } from './fault-names.ts';
import { FAIR, type HOPS, type Weather } from './network.ts';
import type { NodeHost } from './node.ts';
import type { Plan } from './plan.ts';
import type { Random } from './random.ts';
import type { SimNode } from './sim-config.ts';

/** What faults are done to. */
export interface FaultPlace {
  readonly plan: Plan;
  readonly random: Random;
  readonly world: FaultWorld;
  /** Of whoever runs it. */
  readonly more: readonly (() => void)[];
}

export interface FaultWorld {
  readonly nodes: readonly NodeHost[];
  /** After `ms`, once. */
  later(ms: number, action: () => void): void;
  setCut(node: NodeHost, isCut: boolean): void;
  setWeather(weather: (hop: (typeof HOPS)[number]) => Weather): void;
  killLane(isWithinCycle: boolean): void;
  stallLane(ms: number): void;
  setDrained(node: number, isDrained: boolean): void;
  reload(nodes: readonly SimNode[], algorithm: 'ketama' | 'maglev'): void;
  restartProcess(downMs: number): void;
}

type Fault = (place: FaultPlace) => void;

const WEATHER: ReadonlySet<FaultName> = new Set(['loss', 'duplicate', 'delay', 'reorder']);

export class Faults implements EventTarget {
  readonly #place: FaultPlace;
  readonly #acts: readonly Fault[];
  readonly #hasWeather: boolean;
  /** Of this run so far. */
  count = 0;
  #isOver = false;

  constructor(place: FaultPlace) {
    this.#place = place;
    const { faults } = place.plan;
    this.#acts = [...[...faults].filter(name => !WEATHER.has(name)).map(name => ACTS[name]!), ...place.more];
    this.#hasWeather = [...faults].some(name => WEATHER.has(name));
    this.#next();
  }

  /** Nothing goes wrong any more, and all that did is over. */
  heal(): void {
    this.#isOver = true;
    const { world } = this.#place;
    world.setWeather(() => ({ ...FAIR }));
    for (const [index, node] of world.nodes.entries()) {
      world.setCut(node, false);
      node.continue();
      node.start();
      world.setDrained(index, false);
    }
  }

  happen(): void {
    if (this.#isOver) return;
    const { random } = this.#place;
    this.count++;
    if (this.#acts.length === 0 || (this.#hasWeather && random.chance(0.25))) this.#changeWeather();
    else random.of(this.#acts)(this.#place);
    this.#next();
  }

  #next(): void {
    const { plan, random, world } = this.#place;
    if (plan.faults.size + this.#acts.length > 0) world.later(random.exponential(plan.faultMs), () => this.happen());
  }

  #changeWeather(): void {
    const { plan, random, world } = this.#place;
    const { faults, worst } = plan;
    const isFair = random.chance(0.3);
    world.setWeather(hop => {
      const severity = isFair ? 0 : random.unit();
      const isDelayed = faults.has('delay') && random.chance(0.7);
      return {
        loss: faults.has('loss') ? worst.loss * severity : 0,
        duplicate: faults.has('duplicate') ? worst.duplicate * severity : 0,
        minMs: FAIR.minMs,
        meanMs: isDelayed ? Math.max(worst.meanMs * severity, FAIR.meanMs) : FAIR.meanMs,
        maxMs: isDelayed ? worst.maxMs : FAIR.maxMs,
        stragglers: isDelayed ? worst.stragglers * severity : 0,
        // A hop on which nothing may overtake would hold everything up behind a straggler.
        reorders: faults.has('reorder') || (isDelayed && hop === 'client→nf'),
      };
    });
  }
}

/** Short, longer, and longer than health has patience. */
function spell(random: Random): number {
  return random.of([() => random.between(1, 60), () => random.between(60, 500), () => random.between(500, 3000)])();
}

const ACTS: Readonly<Partial<Record<FaultName, Fault>>> = {
  stop: ({ random, world }) => {
    const node = random.of(world.nodes);
    node.stop();
    world.later(spell(random), () => node.continue());
  },
  kill: ({ random, world }) => {
    const node = random.of(world.nodes);
    node.kill();
    world.later(random.chance(0.3) ? random.between(0, 5) : spell(random), () => node.start());
  },
  unplug: ({ random, world }) => {
    const node = random.of(world.nodes);
    world.setCut(node, true);
    world.later(spell(random), () => world.setCut(node, false));
  },
  evict: ({ random, world }) => random.of(world.nodes).evict(random.of([0.02, 0.2, 1])),
  lane: ({ random, world }) => world.killLane(random.chance(0.7)),
  stall: ({ random, world }) => world.stallLane(random.of([1, 10, 60]) * random.unit()),
  drain: ({ random, world }) => {
    const index = random.below(world.nodes.length);
    world.setDrained(index, true);
    world.later(spell(random), () => world.setDrained(index, false));
  },
  reload: ({ plan, random, world }) => {
    const all = Array.from({ length: plan.nodes }, (_, index) => ({ index, weight: random.of([1, 1, 2, 3]) }));
    const left = all.filter(() => random.chance(0.8));
    const algorithm = random.chance(0.2) ? (plan.algorithm === 'ketama' ? 'maglev' : 'ketama') : plan.algorithm;
    world.reload(left.length === 0 ? all : left, algorithm);
  },
  process: ({ random, world }) => world.restartProcess(random.between(20, 300)),
};
