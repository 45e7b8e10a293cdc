/**
 * A run: clients, network, Keysteer and nodes on one virtual clock, all by lot from one seed.
 *
 *     const run = new Simulation(planOf(7, { mode: 'nat' }));
 *     const report = await run.run();          // report.violations, report.digest, run.history …
 */
import type { Clock } from '../../src/control/clock.ts';
import { LANE_COUNTERS } from '../../src/dataplane/counters.ts';
import type { Actor } from './actors.ts';
import { clientAddress, NF_CLIENT_MAC, NF_SERVER_MAC, nodeAddress, nodeName, OWN, textOf, VIP } from './addresses.ts';
import { Balancer } from './balancer.ts';
import type { CheckOptions } from './checker/check.ts';
import { ClientHost } from './client.ts';
import { Action, EventQueue } from './events.ts';
import { Faults, type FaultWorld } from './faults.ts';
import * as frames from './frames.ts';
import { changeIn } from './ghosts.ts';
import { GHOST, History } from './history.ts';
import { HomeLog } from './homes.ts';
import { type Judgement, judge, type Violation } from './judge.ts';
import { HOPS, type Hop, type Host, Network } from './network.ts';
import { NfSide } from './nf-side.ts';
import { NodeHost } from './node.ts';
import type { Plan } from './plan.ts';
import { Random } from './random.ts';
import { configOf, type SimConfig, type SimNode } from './sim-config.ts';
import { type Trace, traceOf } from './trace.ts';
import { Workload } from './workload.ts';

/** After the last operation all faults end; then so long until everything must be answered again, ms. */
const RECOVERY_MS = 4000;
/** How many events, less one, between two looks at whether the run is over. */
const EVENTS_MASK = 31;

export interface SimulationOptions {
  /** Actors of the product's that live beside the lanes: made anew with each process. */
  readonly actors?: (balancer: Balancer) => readonly Actor[];
  /** Gets lines for people. */
  readonly trace?: (line: string) => void;
  /** Only lines with this in them. */
  readonly traceKey?: string;
  /** False: doubled datagrams are not noted as operations of nobody. */
  readonly ghosts?: boolean;
  /** More things to go wrong: each is as likely as a fault of faults.ts. */
  readonly faults?: (simulation: Simulation) => readonly (() => void)[];
  /** Changes to the world before it begins to turn: how tests break it. */
  readonly prepare?: (simulation: Simulation) => void;
  /** True: a key's history is judged as a whole, wherever it lived: what hot keys must stand. */
  readonly isWhole?: boolean;
  /** For the checker. */
  readonly check?: CheckOptions;
}

export interface Report {
  readonly seed: number;
  readonly digest: string;
  readonly operations: number;
  /** Of them, how many were answered. */
  readonly answered: number;
  readonly events: number;
  readonly frames: number;
  readonly faults: number;
  readonly laneDeaths: number;
  readonly moves: number;
  readonly virtualMs: number;
  /** Sums of the lanes' counters over all processes, by name; without zeros. */
  readonly counters: Readonly<Record<string, number>>;
  readonly violations: readonly Violation[];
  /** Keys whose histories were too much to decide. */
  readonly undecided: readonly string[];
  /** What broke the run itself. */
  readonly error: Error | undefined;
}

export class Simulation implements FaultWorld, Clock {
  readonly plan: Plan;
  readonly events: EventQueue;
  readonly network: Network;
  readonly history = new History();
  readonly homes = new HomeLog();
  readonly workload: Workload;
  readonly nodes: readonly NodeHost[];
  readonly clients: readonly ClientHost[];
  readonly faults: Faults;
  balancer: Balancer | undefined;
  laneDeaths = 0;
  readonly #options: SimulationOptions;
  readonly #trace: Trace | undefined;
  readonly #hosts: Host[];
  readonly #laneRandom: Random;
  #sim: SimConfig;
  readonly #tally = { waiting: 0 };
  #mayAsk = true;
  #begun = 0;
  #unsettled = false;
  readonly #counters = new Float64Array(LANE_COUNTERS.length);
  #error: Error | undefined;

  constructor(plan: Plan, options: SimulationOptions = {}) {
    const { seed } = plan;
    this.plan = plan;
    this.#options = options;
    this.events = new EventQueue(Random.stream(seed, 'ties'), plan.startMs);
    this.network = new Network(this.events, Random.stream(seed, 'network'), plan.lifeMs);
    const { trace, traceKey } = options;
    this.#trace = trace && traceOf(() => this.events.nowMs, plan.startMs, traceKey, trace);
    this.network.trace = this.#trace;
    this.#laneRandom = Random.stream(seed, 'lanes');
    this.workload = new Workload(plan.workload, Random.stream(seed, 'workload'));
    const nodes = Array.from({ length: plan.nodes }, (_, index): SimNode => ({ index, weight: 1 }));
    this.#sim = {
      mode: plan.mode,
      arms: plan.arms,
      lanes: plan.lanes,
      nodes,
      algorithm: plan.algorithm,
      more: plan.config,
    };
    this.#hosts = Array.from({ length: plan.arms }, (_, side) => new NfSide(this.network, side, () => this.balancer));
    for (const [side, host] of this.#hosts.entries()) {
      this.network.join(host, [NF_CLIENT_MAC, NF_SERVER_MAC][side]!.low, [VIP, OWN][side]!);
    }
    this.nodes = nodes.map(({ index }) => this.#newNode(index));
    this.clients = plan.clients.map((_, index) => this.#newClient(index));
    if (options.ghosts !== false) this.network.onDuplicate = (slot, hop) => this.#noteDoubled(slot, hop);
    this.#startProcess();
    const more = options.faults?.(this) ?? [];
    this.faults = new Faults({ plan, random: Random.stream(seed, 'faults'), world: this, more });
    options.prepare?.(this);
  }

  /** ms since the start of the run. */
  get elapsedMs(): number {
    return this.events.nowMs - this.plan.startMs;
  }

  now(): number {
    return this.events.nowMs;
  }

  sleep(ms: number): Promise<void> {
    return new Promise(resolve => this.later(ms, resolve));
  }

  /** Runs to the end, and judges. */
  async run(): Promise<Report> {
    try {
      await this.#until(() => this.#isAsked() && this.#tally.waiting === 0);
      await this.#recover();
      this.#endProcess();
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error));
    }
    this.balancer?.end();
    return this.#report();
  }

  // What faults do.

  later(ms: number, action: () => void): void {
    const act = () => {
      action();
      this.#settle();
    };
    this.events.in(ms, new Action(act));
  }

  setCut(node: NodeHost, isCut: boolean): void {
    this.#note(node.name, isCut ? 'cable out' : 'cable in');
    this.network.setCut(node, isCut);
  }

  setWeather(weather: Parameters<FaultWorld['setWeather']>[0]): void {
    for (const hop of HOPS) this.network.weather[hop] = weather(hop);
    this.#note('network', `weather ${JSON.stringify(this.network.weather)}`);
  }

  killLane(isWithinCycle: boolean): void {
    if (this.balancer !== undefined) this.#laneRandom.of(this.balancer.lanes).kill(isWithinCycle);
  }

  stallLane(ms: number): void {
    if (this.balancer !== undefined) this.#laneRandom.of(this.balancer.lanes).stall(ms);
  }

  setDrained(node: number, isDrained: boolean): void {
    const { balancer } = this;
    const name = nodeName(node);
    if (balancer?.steering.directory.find(name) === undefined) return;
    this.#note('admin', `${isDrained ? 'drains' : 'takes back'} ${name}`);
    this.#attempt(() => balancer.setDrained(name, isDrained));
  }

  reload(nodes: readonly SimNode[], algorithm: 'ketama' | 'maglev'): void {
    const { balancer } = this;
    if (balancer === undefined) return;
    const text = nodes.map(({ index, weight }) => `${nodeName(index)}×${weight}`).join(' ');
    this.#note('admin', `reloads: ${text}, ${algorithm}`);
    this.#sim = { ...this.#sim, nodes, algorithm };
    const config = configOf(this.#sim);
    this.#attempt(() => balancer.reload(config));
  }

  restartProcess(downMs: number): void {
    if (this.balancer === undefined) return;
    this.#note('keysteer', `the process dies, for ${downMs.toFixed(0)} ms`);
    this.#endProcess();
    this.later(downMs, () => this.#startProcess());
  }

  #endProcess(): void {
    const { balancer } = this;
    if (balancer === undefined) return;
    this.balancer = undefined;
    for (let i = 0; i < LANE_COUNTERS.length; i++) this.#counters[i]! += balancer.count(i);
    const lost = balancer.unaccounted();
    balancer.end();
    if (lost !== 0) throw new Error(`${lost} frames are in no counter`);
  }

  #startProcess(): void {
    const { events, network } = this;
    this.#note('keysteer', 'starts');
    this.balancer = undefined;
    const balancer = new Balancer(
      {
        events,
        network,
        random: this.#laneRandom,
        clock: this,
        settle: () => this.#settle(),
        hosts: this.#hosts,
        actors: made => this.#options.actors?.(made) ?? [],
        onTable: made => this.#noteHomes(made),
        onTaken: () => this.homes.noteTaken(this.elapsedMs),
        onDeath: () => this.laneDeaths++,
      },
      configOf(this.#sim),
    );
    this.balancer = balancer;
    this.#noteHomes(balancer);
    this.homes.noteTaken(this.elapsedMs);
  }

  /** Control may be busy, or refuse: that is its good right. Anything else is a fault of its own. */
  #attempt(action: () => Promise<void>): void {
    const refuse = (error: unknown) => {
      const { name, message } = error as Error;
      const isRefusal = ['NodeChoiceError', 'TableBusyError', 'RowsInUseError', 'UnknownNodeError'].includes(name);
      this.#note('admin', `is refused: ${message}`);
      if (!isRefusal) this.#error ??= error as Error;
    };
    try {
      action().catch(refuse);
    } catch (error) {
      refuse(error);
    }
    this.#settle();
  }

  #settle(): void {
    this.#unsettled = true;
  }

  async #until(isDone: () => boolean): Promise<void> {
    for (let i = 0; ; ) {
      while (!this.#unsettled) {
        if ((++i & EVENTS_MASK) === 0 && isDone()) return;
        if (!this.events.step()) return;
      }
      this.#unsettled = false;
      await new Promise(setImmediate); // promises that were settled run on
      if (this.#error !== undefined) throw this.#error;
    }
  }

  /** Faults end; then every key must be answered. */
  async #recover(): Promise<void> {
    this.#note('network', 'all faults end');
    this.faults.heal();
    if (this.balancer === undefined) this.#startProcess();
    const untilMs = this.events.nowMs + RECOVERY_MS;
    await this.#until(() => this.events.nowMs >= untilMs);
    const first = this.history.operations.length;
    const { keys } = this.workload;
    for (const [i, key] of keys.entries()) this.later(i, () => this.clients[i % this.clients.length]!.askOnce(key));
    await this.#until(() => this.history.operations.length >= first + keys.length && this.#tally.waiting === 0);
    const silent = this.history.operations
      .slice(first)
      .find(({ output }) => output === undefined || output.kind === 'unknown');
    if (silent !== undefined) throw new Error(`after all faults ended, ${silent.key} is not answered`);
  }

  #isAsked(): boolean {
    return this.#begun >= this.plan.operations || this.elapsedMs >= this.plan.durationMs;
  }

  #report(): Report {
    const { operations } = this.history;
    return {
      seed: this.plan.seed,
      digest: this.events.digest.text,
      operations: operations.length,
      answered: operations.filter(({ returnedAt }) => returnedAt !== undefined).length,
      events: this.events.count,
      frames: this.network.sent,
      faults: this.faults.count,
      laneDeaths: this.laneDeaths,
      moves: this.homes.moves,
      virtualMs: this.elapsedMs,
      counters: Object.fromEntries(
        LANE_COUNTERS.map((name, i) => [name, this.#counters[i]!]).filter(([, count]) => count !== 0),
      ),
      ...this.#judge(),
      error: this.#error,
    };
  }

  #judge(): Judgement {
    const { homes, nodes, plan } = this;
    const whole = (key: string) => [{ ...homes.of(key)[0]!, untilMs: Number.POSITIVE_INFINITY }];
    const hasRestarted = (ip: number, fromMs: number, toMs: number) =>
      nodes.some(
        ({ address, startsMs }) =>
          address.ip === ip && startsMs.some(ms => ms - plan.startMs > Math.max(fromMs, 0) && ms - plan.startMs < toMs),
      );
    return judge(
      this.history.byKey(),
      this.#options.isWhole === true ? whole : key => homes.of(key),
      hasRestarted,
      this.#options.check,
    );
  }

  #newNode(index: number): NodeHost {
    const { plan, network } = this;
    const address = nodeAddress(index);
    const random = Random.stream(plan.seed, `node ${index}`);
    const nf = plan.arms === 2 ? NF_SERVER_MAC : NF_CLIENT_MAC;
    const node = new NodeHost(nodeName(index), address, network, random, {
      workers: plan.workers,
      preemptions: plan.preemptions,
      isOffloading: random.chance(0.5),
      routeTo: ip => {
        if (plan.mode !== 'dsr' || ip === OWN) return { mac: nf, hop: 'node→nf' };
        const client = this.clients.find(({ address: { ip: own } }) => own === ip);
        if (client === undefined) throw new Error(`${node.name} answers ${textOf(ip)}, which is nobody`);
        return { mac: client.address.mac, hop: 'node→client' };
      },
    });
    network.join(node, address.mac.low, address.ip);
    return node;
  }

  #newClient(index: number): ClientHost {
    const { plan, network, workload, history } = this;
    const address = clientAddress(index);
    const client = new ClientHost(index, address, plan.clients[index]!, {
      network,
      workload,
      history,
      tally: this.#tally,
      random: Random.stream(plan.seed, `client ${index}`),
      elapsedMs: () => this.elapsedMs,
      mayAsk: () => {
        if (this.#isAsked()) this.#mayAsk = false;
        if (this.#mayAsk) this.#begun++;
        return this.#mayAsk;
      },
    });
    network.join(client, address.mac.low, address.ip);
    return client;
  }

  #noteDoubled(slot: number, hop: Hop): void {
    if (hop !== 'client→nf' && hop !== 'nf→node') return;
    const { bytes, view } = this.network.pool;
    const offset = this.network.pool.offset(slot);
    if (!frames.isUdp(view, offset)) return;
    const start = offset + frames.PAYLOAD_AT + 8;
    const change = changeIn(bytes, start, frames.payloadEnd(view, offset));
    if (change !== undefined) this.history.begin(GHOST, change.key, change.op, change.input, this.elapsedMs);
  }

  #noteHomes(balancer: Balancer): void {
    for (const key of this.workload.keys) this.homes.note(key, balancer.homeOf(key), this.elapsedMs);
  }

  #note(who: string, text: string): void {
    this.#trace?.(who, `* ${text}`);
  }
}
