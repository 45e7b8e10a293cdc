/**
 * Real clients, real memcached, real kernels, and whatever goes wrong between them: the history of every hot key is one of
 * a memcached register (test/sim/checker). A history that is not is written to a file, and said in few lines.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askAdmin } from '../../src/control/admin/client.ts';
import { Random } from '../sim/random.ts';
import { WORKLOAD, Workload, type WorkloadOptions } from '../sim/workload.ts';
import type { Balancer } from './balancer.ts';
import { Bed } from './bed.ts';
import { Doubts, judgeRun, readHistories } from './histories.ts';
import { Program, requireBed } from './program.ts';
import type { HistoryOrder, HistoryTold } from './programs/history-clients.ts';
import { THE_VIP } from './udp-client.ts';

const PROGRAMS = 2;
const CLIENTS = 6;
const PAUSE_MS = 4;
const TIMEOUT_MS = 400;
const SECONDS = 4;
/** From one order to the next about the keys that come and go, ms. */
const CHURN_MS = 60;
/** How late memcached's clock may tick on a busy machine, ms. */
const SLACK_MS = 500;
const STEPS_MAX = 300_000;
const SEED = 4;

const KEYS: WorkloadOptions = {
  ...WORKLOAD,
  keys: 12,
  skew: 0.6,
  reads: 0.6,
  lists: 0.2,
  counters: 0.3,
  ttls: 0,
  large: 0.05,
  multiget: 0.08,
};

interface Variant {
  readonly name: string;
  readonly mode?: 'gateway' | 'dsr';
  readonly lanes?: number;
  /** Of `ports.server`. */
  readonly faults?: string;
  /** More of the section `hot`. */
  readonly hot?: string;
  readonly more?: string;
  readonly workload?: Partial<WorkloadOptions>;
  /**
   * Homes move, nodes begin anew, or datagrams come twice: then the claim is for keys that are hot all the time, and none
   * come and go.
   */
  readonly isHard?: boolean;
  /** What goes wrong, once the load is on. */
  readonly during?: (world: World) => Promise<void>;
}

interface World {
  readonly bed: Bed;
  readonly balancer: Balancer;
  readonly configure: (weights: readonly number[]) => void;
}

/** No node is taken out because the machine is busy with other things. */
const PATIENT = 'health: { timeout_ms: 300, fail_ms: 30000 }';
const EAGER = 'health: { return_after_ms: 300 }';

const VARIANTS: readonly Variant[] = [
  { name: 'nothing goes wrong', more: PATIENT },
  { name: 'two lanes', lanes: 2, more: PATIENT },
  { name: 'gateway', mode: 'gateway', more: PATIENT },
  { name: 'dsr', mode: 'dsr', lanes: 2, more: PATIENT },
  { name: 'copies alone', hot: 'cache: false, imbalance: 1.01', more: PATIENT },
  { name: 'a fifth of the frames lost', faults: 'drop: 0.2, seed: 3', more: PATIENT },
  {
    name: 'frames twice, late and lost',
    faults: 'drop: 0.05, duplicate: 0.1, reorder: 0.2, seed: 5',
    lanes: 2,
    isHard: true,
    more: PATIENT,
  },
  { name: 'times to live', hot: 'ttl_guard_ms: 0', workload: { ttls: 0.6 }, more: PATIENT },
  { name: 'a node killed and started again', isHard: true, more: EAGER, during: killed },
  { name: 'a node that hangs', isHard: true, more: EAGER, during: hangs },
  { name: 'weights change', isHard: true, more: PATIENT, during: reweighted },
];

async function killed({ bed, balancer }: World): Promise<void> {
  await sleep(1000);
  bed.nodes[0]!.group.signal('SIGKILL');
  await balancer.figuresWhen('mc1 out', ({ nodes }) => nodes[0]!.health === 'out');
  await sleep(300);
  await bed.restartNode(0);
}

async function hangs({ bed }: World): Promise<void> {
  for (const [node, ms] of [
    [0, 60],
    [1, 150],
    [2, 1000],
    [0, 400],
  ] as const) {
    await sleep(300);
    bed.nodes[node]!.group.signal('SIGSTOP');
    await sleep(ms);
    bed.nodes[node]!.group.signal('SIGCONT');
  }
}

async function reweighted({ balancer, configure }: World): Promise<void> {
  for (const weights of [
    [1, 2, 3],
    [0, 1, 1],
    [4, 1, 0],
    [1, 1, 1],
  ]) {
    await sleep(500);
    configure(weights);
    await askAdmin(balancer.admin, 'POST', '/reload', {});
  }
}

describe.skipIf(requireBed()).each(['nat', 'gateway', 'dsr'] as const)('histories of hot keys, mode %s', mode => {
  const scratch = mkdtempSync(join(tmpdir(), 'keysteer-histories-'));
  let bed: Bed;
  let programs: Program<HistoryOrder, HistoryTold>[];

  beforeAll(async () => {
    bed = await Bed.start({ nodes: 3, clients: PROGRAMS, mode });
    programs = await Promise.all(
      bed.network.clients.map(({ host }) =>
        Program.start<HistoryOrder, HistoryTold>(bed.namespaces, host, 'history-clients'),
      ),
    );
  });
  afterAll(async () => {
    rmSync(scratch, { recursive: true });
    await bed?.close();
  });

  const variants = VARIANTS.filter(variant => (variant.mode ?? 'nat') === mode);

  test.each(variants.map(variant => [variant.name, variant] as const))(
    '%s',
    { timeout: 60_000 },
    async (name, variant) => {
      await Promise.all(bed.nodes.map((_, n) => bed.restartNode(n)));
      const workload = { ...KEYS, ...variant.workload };
      const { keys } = new Workload(workload, Random.stream(SEED, 'keys'));
      // Every third one comes and goes, where that is to be right.
      const coming = variant.isHard === true ? [] : keys.filter((_, rank) => rank % 3 === 1);
      const pins = keys.filter(key => !coming.includes(key));
      const configure = (weights: readonly number[]) =>
        bed.writeConfig('keys.yaml', configOf(bed, variant, pins, weights));
      const balancer = await bed.startBalancerWith(['--config', configure([1, 1, 1])]);
      await balancer.figuresWhen('all pinned keys clean', ({ hot }) => hot!.states.clean === pins.length);
      const doubts = new Doubts(balancer);
      const files = programs.map((_, part) => join(scratch, `${part}.jsonl`));
      const order = {
        to: THE_VIP,
        workload,
        seed: SEED,
        clients: CLIENTS,
        seconds: SECONDS,
        pauseMs: PAUSE_MS,
        timeoutMs: TIMEOUT_MS,
      };
      let isLoaded = true;
      const load = Promise.all(programs.map((program, part) => program.ask({ ...order, part, file: files[part]! })));
      const churn = churned(balancer, coming, () => isLoaded);
      await variant.during?.({ bed, balancer, configure });
      const told = await load;
      isLoaded = false;
      await churn;
      await sleep(200);
      doubts.end();
      const { figures } = await balancer.stop();
      const histories = readHistories(files, doubts);
      const startedMs = performance.now();
      const { violations, undecided } = judgeRun(name, histories, variant.isHard !== true, {
        slack_ms: SLACK_MS,
        steps_max: STEPS_MAX,
      });
      const sum = (count: (one: HistoryTold) => number) => told.reduce((total, one) => total + count(one), 0);
      const { hot_hits, hot_writes, hot_unsure, hot_unanswered, misses_answered } = figures.counters;
      console.log(
        `${name}: ${sum(one => one.operations)} operations on ${histories.size} keys, ${sum(one => one.answered)} answered, ` +
          `${hot_hits} from the cache, ${hot_writes} hot writes, ${hot_unsure} unsure, ${hot_unanswered} unanswered, ` +
          `${misses_answered} misses made up; ${undecided.length} undecided (${undecided.join(' ')}), ` +
          `checked in ${(performance.now() - startedMs).toFixed(0)} ms`,
      );
      expect(violations.join('\n')).toBe('');
      expect(hot_writes).toBeGreaterThan(100);
    },
  );
});

/** Pins, lets go, bans and lets in, in turn, until the load is over. */
async function churned(balancer: Balancer, keys: readonly string[], mayGoOn: () => boolean): Promise<void> {
  const random = new Random(SEED);
  const ask = (order: string, key: string) => askAdmin(balancer.admin, 'POST', `/hot/${order}?key=${key}`);
  while (keys.length > 0 && mayGoOn()) {
    const key = random.of(keys);
    const [first, then] = random.chance(0.5) ? (['pin', 'unpin'] as const) : (['ban', 'unban'] as const);
    await ask(first, key);
    await sleep(random.exponential(CHURN_MS));
    await ask(then, key);
  }
}

function configOf(bed: Bed, variant: Variant, pins: readonly string[], weights: readonly number[]): string {
  const { mode = 'nat', lanes = 1, faults, hot, more = '' } = variant;
  const nodes = bed.network.nodes.map(
    ({ name, address }, n) => `  - { name: ${name}, address: ${address}, weight: ${weights[n]} }`,
  );
  return [
    `vip: ${THE_VIP.address}`,
    `mode: ${mode}`,
    `lanes: ${lanes}`,
    'ports:',
    '  client: { interface: cl0 }',
    `  server: { interface: sv0, address: 10.77.1.1/24${faults === undefined ? '' : `, faults: { ${faults} }`} }`,
    'nodes:',
    ...nodes,
    'hot:',
    `  { keys: 64, l1_keys: 8, epoch_ms: 100, share: 0.001, error: 0.0001, write_share_max: 1, refresh_ms: 100,`,
    `    instant: { window: 64, count: 2 }, pin: [${pins.join(', ')}]${hot === undefined ? '' : `, ${hot}`} }`,
    'neighbours: { retry_ms: 50, retries: 25 }',
    more,
  ].join('\n');
}

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
