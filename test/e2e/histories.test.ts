/**
 * Real clients, real memcached, real kernels, and whatever goes wrong between them: the history of every hot key is one of
 * a memcached register (test/sim/checker). A history that is not is written to a file, and said in few lines.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askAdmin } from '../../src/control/admin/client.ts';
import type { Figures } from '../../src/control/conductor.ts';
import { Random } from '../sim/random.ts';
import { WORKLOAD, Workload, type WorkloadOptions } from '../sim/workload.ts';
import type { Balancer } from './balancer.ts';
import { Bed } from './bed.ts';
import { Doubts, type JudgedRun, judgeRun, readHistories } from './histories.ts';
import { Program, requireBed } from './program.ts';
import type { HistoryOrder, HistoryTold } from './programs/history-clients.ts';
import { THE_VIP } from './udp-client.ts';

const PROGRAMS = 2;
const CLIENTS = 12;
const PAUSE_MS = 2;
const TIMEOUT_MS = 250;
const SECONDS = 3;
/** From one order to the next about the keys that come and go, ms. */
const CHURN_MS = 40;
/** How late memcached's clock may tick on a busy machine, ms. */
const SLACK_MS = 500;
const STEPS_MAX = 300_000;
const SEED = 4;
const LONG = { timeout: 60_000 } as const;
/** Counters that tell how much of the protocol a run went through. */
const TOLD = [
  'hot_hits',
  'hot_writes',
  'hot_waits',
  'hot_relays',
  'hot_copies',
  'hot_copies_gone',
  'hot_promotions',
  'hot_moves',
  'hot_stale_fills',
  'hot_foreign_writes',
  'hot_unsure',
  'hot_unanswered',
  'hot_zombies',
  'misses_answered',
];

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
  /** Of the section `hot`, otherwise than in HOT. */
  readonly hot?: Readonly<Record<string, unknown>>;
  readonly more?: string;
  readonly workload?: Partial<WorkloadOptions>;
  /** Half of the clients ask the only node itself. */
  readonly bypasses?: boolean;
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

/** Keys are hot at once, whatever is written to them, and soon no more; and can soon be hot again. */
const HOT = {
  keys: 64,
  l1_keys: 8,
  epoch_ms: 100,
  share: 0.001,
  error: 0.0001,
  instant: { window: 64, count: 2 },
  write_share_max: 1,
  refresh_ms: 100,
  datagram_life_ms: 500,
  keep_s: 0,
};
/** What copies are made of: few keys, asked for unevenly, and read. A new copy is not read from for the life of a datagram. */
const COPIES = { cache: false, imbalance: 1.01 };
const UNEVEN = { keys: 6, skew: 1.5, reads: 0.97, lists: 0.4, counters: 0.4 };

const VARIANTS: readonly Variant[] = [
  { name: 'nothing goes wrong', more: PATIENT },
  { name: 'two lanes', lanes: 2, more: PATIENT },
  { name: 'gateway', mode: 'gateway', more: PATIENT },
  { name: 'dsr', mode: 'dsr', lanes: 2, more: PATIENT },
  { name: 'copies alone', hot: COPIES, workload: UNEVEN, more: PATIENT },
  {
    name: 'copies alone; frames twice, late and lost',
    hot: COPIES,
    workload: UNEVEN,
    faults: 'drop: 0.05, duplicate: 0.1, reorder: 0.2, seed: 6',
    isHard: true,
    more: PATIENT,
  },
  { name: 'copies alone; a node killed', hot: COPIES, workload: UNEVEN, isHard: true, more: EAGER, during: killed },
  { name: 'a fifth of the frames lost', faults: 'drop: 0.2, seed: 3', more: PATIENT },
  {
    name: 'frames twice, late and lost',
    faults: 'drop: 0.05, duplicate: 0.1, reorder: 0.2, seed: 5',
    lanes: 2,
    isHard: true,
    more: PATIENT,
  },
  { name: 'times to live', hot: { ttl_guard_ms: 0 }, workload: { ttls: 0.6 }, more: PATIENT },
  { name: 'a node killed and started again', isHard: true, more: EAGER, during: killed },
  { name: 'a node that hangs', hot: { datagram_life_ms: 2000 }, isHard: true, more: EAGER, during: hangs },
  {
    name: 'weights change; copies alone',
    lanes: 2,
    hot: COPIES,
    workload: UNEVEN,
    isHard: true,
    more: PATIENT,
    during: reweighted,
  },
  {
    name: 'weights change; frames late and lost',
    lanes: 2,
    faults: 'drop: 0.1, reorder: 0.2, seed: 7',
    isHard: true,
    more: PATIENT,
    during: reweighted,
  },
];

async function killed({ bed, balancer }: World): Promise<void> {
  await sleep(600);
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

  /** A run of its own Keysteer and fresh nodes, judged. */
  async function runOf(variant: Variant): Promise<JudgedRun & { readonly hotWrites: number }> {
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
    const orderOf = (part: number) => ({
      to: variant.bypasses === true && part === 1 ? bed.network.nodes[0]! : THE_VIP,
      workload,
      seed: SEED,
      part,
      clients: CLIENTS,
      seconds: SECONDS,
      pauseMs: PAUSE_MS,
      timeoutMs: TIMEOUT_MS,
      file: files[part]!,
    });
    const load = Promise.all(programs.map((program, part) => program.ask(orderOf(part))));
    let isLoaded = true;
    const churn = churned(balancer, coming, () => isLoaded);
    try {
      await variant.during?.({ bed, balancer, configure });
      await load;
    } finally {
      isLoaded = false;
      await churn;
    }
    const told = await load;
    await balancer.figures(); // what was made up at the end is in these, or those before
    await balancer.figures();
    doubts.end();
    const { figures } = await balancer.stop();
    const histories = readHistories(files, doubts);
    const startedMs = performance.now();
    const check = { slack_ms: SLACK_MS, steps_max: STEPS_MAX };
    // A write whose fate is unknown is ended by an append of nothing, and that gives what is there another CAS id.
    const hasTokens = variant.isHard !== true && figures.counters.hot_unsure === 0;
    const judged = judgeRun(variant.name, histories, hasTokens, check);
    console.log(
      `${variant.name}: ${summary(told, figures)}, ${judged.undecided.length} of ${histories.size} keys undecided, ` +
        `checked in ${(performance.now() - startedMs).toFixed(0)} ms`,
    );
    return { ...judged, hotWrites: figures.counters.hot_writes! };
  }

  const variants = VARIANTS.filter(variant => (variant.mode ?? 'nat') === mode);

  test.each(variants.map(variant => [variant.name, variant] as const))('%s', LONG, async (_name, variant) => {
    const { violations, hotWrites } = await runOf(variant);
    expect(violations.join('\n')).toBe('');
    expect(hotWrites).toBeGreaterThan(20);
  });

  // Once is enough.
  if (mode !== 'nat') return;
  test('it bites: half of the clients ask the node, past Keysteer', LONG, async () => {
    const { violations } = await runOf({
      name: 'past Keysteer',
      bypasses: true,
      hot: { refresh_ms: 60_000 },
      workload: { multiget: 0 },
      more: PATIENT,
    });
    expect(violations.length).toBeGreaterThan(3);
    for (const violation of violations) rmSync(violation.slice(violation.lastIndexOf(' ') + 1));
  });
});

/** What a run was like. */
function summary(told: readonly HistoryTold[], { counters }: Figures): string {
  const sum = (count: (one: HistoryTold) => number) => told.reduce((total, one) => total + count(one), 0);
  const asked = `${sum(one => one.operations)} operations, ${sum(one => one.answered)} answered`;
  return [asked, ...TOLD.map(name => `${counters[name]} ${name}`)].join(', ');
}

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
  const { mode = 'nat', lanes = 1, faults, hot, more = '', bypasses = false } = variant;
  const nodes = bed.network.nodes
    .slice(0, bypasses ? 1 : undefined)
    .map(({ name, address }, n) => `  - { name: ${name}, address: ${address}, weight: ${weights[n]} }`);
  return [
    `vip: ${THE_VIP.address}`,
    `mode: ${mode}`,
    `lanes: ${lanes}`,
    'ports:',
    '  client: { interface: cl0 }',
    `  server: { interface: sv0, address: 10.77.1.1/24${faults === undefined ? '' : `, faults: { ${faults} }`} }`,
    'nodes:',
    ...nodes,
    `hot: ${JSON.stringify({ ...HOT, ...hot, pin: pins })}`,
    'neighbours: { retry_ms: 50, retries: 25 }',
    more,
  ].join('\n');
}

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
