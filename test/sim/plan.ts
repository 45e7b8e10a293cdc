/**
 * What a run is like, drawn from its seed: swarm testing (Groce et al. 2012), as a run in which everything goes wrong at
 * once hides what a few faults alone would show. Whatever the caller says stands.
 */
import type { ClientOptions } from './client.ts';
import { BY_NAME_ONLY, FAULTS, type FaultName } from './fault-names.ts';
import { type HotPlan, hotPlanOf, hotSection } from './hot-plan.ts';
import { FAIR, type Weather } from './network.ts';
import { Random } from './random.ts';
import type { Mode } from './sim-config.ts';
import { WORKLOAD, type WorkloadOptions } from './workload.ts';

export interface Plan {
  readonly seed: number;
  /** Operations to begin; infinity where only the time counts. */
  readonly operations: number;
  /** Longest virtual time to begin operations in, ms. */
  readonly durationMs: number;
  readonly mode: Mode;
  readonly arms: 1 | 2;
  readonly lanes: number;
  readonly algorithm: 'ketama' | 'maglev';
  readonly nodes: number;
  readonly workers: number;
  readonly preemptions: number;
  readonly clients: readonly ClientOptions[];
  readonly workload: WorkloadOptions;
  readonly faults: ReadonlySet<FaultName>;
  /** From fault to fault, ms on average. */
  readonly faultMs: number;
  /** The worst weather of each kind; it changes between this and fair. */
  readonly worst: Weather;
  /** What the lanes' clock shows at the start, ms. */
  readonly startMs: number;
  /** Longest life of a datagram, ms. */
  readonly lifeMs: number;
  /** More lines of the configuration file. */
  readonly config: string;
  /** Undefined: no keys are hot, unless `config` says otherwise. */
  readonly hot: HotPlan | undefined;
}

export interface PlanOptions extends Partial<Omit<Plan, 'workload' | 'hot'>> {
  readonly workload?: Partial<WorkloadOptions>;
  /** Whether keys are hot. */
  readonly hot?: boolean;
}

/** ms at which words of the clock wrap: µs in 31 and 32 bits, ms in 31. */
const WRAPS_MS = [2 ** 31 / 1000, 2 ** 32 / 1000, 2 ** 31];
const LIFE_MS = 2000;
const OPERATIONS = 20_000;

export function planOf(seed: number, options: PlanOptions = {}): Plan {
  const random = Random.stream(seed, 'plan');
  const mode = options.mode ?? random.of(['nat', 'nat', 'gateway', 'dsr'] as const);
  const drawn: Plan = {
    seed,
    operations: OPERATIONS,
    durationMs: Number.POSITIVE_INFINITY,
    mode,
    arms: mode === 'nat' && random.chance(0.2) ? 1 : 2,
    lanes: random.whole(1, 3),
    algorithm: random.of(['ketama', 'maglev']),
    nodes: random.whole(2, 5),
    workers: random.whole(1, 4),
    preemptions: random.of([0, 0.001, 0.01]),
    clients: clientsOf(random),
    workload: workloadOf(random),
    faults: new Set(FAULTS.filter(name => random.chance(0.6) && !BY_NAME_ONLY.has(name))),
    faultMs: random.of([100, 300, 1000]),
    worst: worstOf(random),
    startMs: random.chance(0.5) ? random.between(0, 1e6) : random.of(WRAPS_MS) - random.between(0, 10_000),
    lifeMs: LIFE_MS,
    config: '',
    hot: hotPlanOf(random, /^hot:/m.test(options.config ?? '') ? false : options.hot),
  };
  const { workload, hot: _, ...rest } = options;
  return { ...drawn, ...rest, workload: { ...drawn.workload, ...workload } };
}

/** What of the configuration file is not said by the plan in numbers. */
export function configLines({ config, hot }: Plan): string {
  return `${/^hot:/m.test(config) ? '' : hotSection(hot)}${config}`;
}

function clientsOf(random: Random): ClientOptions[] {
  const isOpenLoop = random.chance(0.25);
  const timeoutMs = random.of([100, 300, 1000]);
  return Array.from({ length: random.whole(3, 8) }, () => ({
    sockets: random.whole(2, 6),
    isOpenLoop,
    pauseMs: random.of([5, 20, 60]) * (isOpenLoop ? 3 : 1),
    timeoutMs,
    isOffloading: random.chance(0.5),
  }));
}

function workloadOf(random: Random): WorkloadOptions {
  return {
    ...WORKLOAD,
    keys: random.of([5, 30, 200, 1000]),
    skew: random.of([0, 0.8, 0.99, 1.2]),
    reads: random.of([0.3, 0.6, 0.9]),
    ttls: random.of([0, 0.05, 0.5]),
    large: random.of([0, 0.02, 0.2]),
    noreply: random.of([0, 0.02]),
    multiget: random.of([0, 0.05, 0.3]),
  };
}

function worstOf(random: Random): Weather {
  return {
    ...FAIR,
    loss: random.of([0.01, 0.05, 0.2]),
    duplicate: random.of([0.005, 0.05]),
    meanMs: random.of([0.2, 2, 15]),
    maxMs: 50,
    stragglers: random.of([0, 0.0005, 0.005]),
    reorders: true,
  };
}
