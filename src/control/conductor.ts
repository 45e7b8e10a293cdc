/**
 * Starts lanes, watches them, sums what they count, stops them. All it does to a lane goes through shared memory.
 *
 * The sockets are opened here, before any lane: they belong to the process, so a lane that dies leaves its socket, its
 * ring and its number in the fanout group in place, and the one that is started for it goes on where it was.
 */
import { randomInt } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { GateTable } from '../dataplane/gate-table.ts';
import { HealthBlock } from '../dataplane/health-block.ts';
import { Neighbours } from '../dataplane/neighbours.ts';
import { writeNodeName } from '../dataplane/node-names.ts';
import {
  CONTROL_BEAT,
  CONTROL_BELL,
  CONTROL_STATE,
  CONTROL_STOP,
  type FiguresPlace,
  LANE_CRASHED,
  LANE_STARTING,
  LANE_STATE_NAMES,
  type LaneSetup,
} from '../dataplane/setup.ts';
import { leaveTable } from '../mem/generation.ts';
import { FANOUT_CBPF, fanoutProgram } from '../port/fanout.ts';
import { type Description, describePort, mtuOf } from '../port/open.ts';
import { PcapFeed } from '../port/pcap-feed.ts';
import { isPcap } from '../port/pcap-layout.ts';
import { loadShim } from '../port/shim.ts';
import { NODES_LIMIT } from '../steer/layout.ts';
import { SteerTable } from '../steer/table.ts';
import type { Config, PortConfig } from './config/normalise.ts';
import {
  type Figures,
  type LaneFigures,
  laneCounters,
  laneWork,
  latencyFigures,
  latencyHistograms,
  nodeFigures,
  portFigures,
  rowCounts,
} from './figures.ts';
import { type HealthEvent, HealthWatch } from './health/watch.ts';
import { placementOf } from './hot/placement.ts';
import { HotWatch } from './hot/watch.ts';
import { type LaneArena, planLaneMemory, planSharedMemory, type SharedMemory } from './memory-plan.ts';
import type { DirectoryNode } from './nodes.ts';
import { gateRules, neighbourTimes, pathSetup } from './path-setup.ts';
import { planRehearsal } from './rehearsal-plan.ts';
import { Steering, TableBusyError } from './steering.ts';
import { versionText } from './version.ts';

export { dropReasons, type Figures, type LaneFigures, type PortFigures } from './figures.ts';
export type { HealthEvent } from './health/watch.ts';

/** Pause before a crashed lane is started again: doubled with each crash in a row, up to the maximum. */
const RESTART_MS_MIN = 10;
const RESTART_MS_MAX = 5000;
/** A lane that ran this long starts the series of pauses afresh. */
const STEADY_MS = 10_000;
/** How long lanes have to move on from the rules before, ms. */
const SWAP_MS_MAX = 2000;
const PAUSE_STEP_MS = 20;
/** How long lanes have to end by themselves. */
const STOP_MS_MAX = 700;
/** A lane whose BEAT stands still this long is shown as stalled. */
const STALL_MS = 1000;
/** How often rows of nodes that left are looked after, ms. */
const SWEEP_MS = 250;

interface LaneRecord {
  readonly memory: LaneArena;
  readonly setup: LaneSetup;
  readonly control: Int32Array;
  restarts: number;
  lastError: string | undefined;
  pauseMs: number;
  startedMs: number;
  beat: number;
  beatMs: number;
  ended: Promise<void>;
}

/** The kernel would answer for an address that is ours: say so before traffic vanishes. */
export class AddressInUseError extends Error {
  override readonly name = 'AddressInUseError';
}

/** A lane that failed before it forwarded anything. */
export class LaneError extends Error {
  override readonly name = 'LaneError';
}

export class Conductor {
  /** Where keys go: availability, drains, and what a reload swaps. */
  readonly steering: Steering;
  /** Which keys are hot. */
  readonly hot: HotWatch;
  #config: Config;
  readonly #shared: SharedMemory;
  readonly #gate: GateTable;
  readonly #lanes: LaneRecord[] = [];
  readonly #pool: Piscina;
  readonly #startedMs = performance.now();
  /** Two processes in one network namespace must not share a group; process ids repeat across containers. */
  readonly #fanoutGroup = randomInt(0x8000) << 1;
  /** Of ports with transport pcap. */
  readonly #feeds: PcapFeed[] = [];
  /** One list for all lanes, whole once the last of them is prepared. */
  readonly #figuresPlaces: FiguresPlace[] = [];
  /** Nobody who asks may know which sources share a set of the table. */
  readonly #sourceSeeds: readonly [number, number] = [randomInt(2 ** 32) | 0, randomInt(2 ** 32) | 0];
  readonly #sweeper: NodeJS.Timeout;
  readonly #health: HealthWatch;
  #stopping = false;

  /**
   * Opens the ports, publishes the table and starts the lanes.
   * @throws PortError, AddressInUseError
   */
  static start(config: Config): Conductor {
    return new Conductor(config);
  }

  private constructor(config: Config) {
    refuseKernelAddresses(config);
    this.#config = config;
    this.#shared = planSharedMemory(config, NODES_LIMIT, randomInt(2 ** 32) | 0);
    const { arena, steerOffset, neighboursOffset, gateOffset, healthOffset, capacity } = this.#shared;
    const table = new SteerTable(arena.buffer, steerOffset, capacity);
    const neighbours = new Neighbours(arena.words, neighboursOffset >> 2, neighbourTimes(config));
    const countsOf = (row: number) => rowCounts(this.#lanes, row);
    this.steering = new Steering(config, table, neighbours, capacity, countsOf);
    this.#nameNodes(this.steering.directory.nodes);
    this.steering.follow(nodes => this.#nameNodes(nodes));
    this.#gate = new GateTable(arena.buffer, gateOffset, config.lanes);
    this.#gate.publish(gateRules(config));
    const block = new HealthBlock(arena.words, healthOffset >> 2, capacity.nodesMax);
    this.#health = new HealthWatch(config.health, block, this.steering, neighbours, this.#lanes);
    this.hot = new HotWatch(config, this.#shared, this.#lanes, placementOf(this.steering, countsOf));
    try {
      for (let lane = 0; lane < config.lanes; lane++) this.#lanes.push(this.#prepare(lane));
    } catch (error) {
      this.#closePorts();
      throw error;
    }
    this.#pool = new Piscina({
      filename: fileURLToPath(new URL('../dataplane/worker.bundle.js', import.meta.url)),
      minThreads: config.lanes,
      maxThreads: config.lanes,
      concurrentTasksPerWorker: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      atomics: 'disabled',
      recordTiming: false,
    });
    for (const lane of this.#lanes) lane.ended = this.#run(lane);
    this.#health.start();
    this.hot.start();
    this.#sweeper = setInterval(() => this.steering.sweep(performance.now()), SWEEP_MS).unref();
  }

  /**
   * Resolves once every lane turns.
   * @throws LaneError when one does not even start; everything is stopped then
   */
  async ready(): Promise<void> {
    while (this.#lanes.some(lane => Atomics.load(lane.control, CONTROL_STATE) === LANE_STARTING)) await sleep(2);
    await this.#feedsReady();
    for (const { setup } of this.#lanes) setup.rehearsal = undefined;
    const failed = this.#lanes.find(lane => lane.restarts > 0);
    if (failed === undefined) return;
    await this.stop();
    throw new LaneError(`lane ${failed.setup.lane} does not start: ${failed.lastError}`);
  }

  /** @throws CapError; everything is stopped then */
  async #feedsReady(): Promise<void> {
    try {
      await Promise.all(this.#feeds.map(feed => feed.ready));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  get config(): Config {
    return this.#config;
  }

  /** Hears of every change in what nodes can be asked; not of mere suspicions. */
  set onHealth(listener: (event: HealthEvent) => void) {
    this.#health.listener = listener;
  }

  /** The pool's threads, in no order; for fault injection in tests. */
  get threads(): readonly { terminate(): Promise<number> }[] {
    return this.#pool.threads;
  }

  /** The lanes' memory, for whoever shows more of it than `figures` does. */
  get laneMemory(): readonly { readonly memory: LaneArena; readonly setup: LaneSetup }[] {
    return this.#lanes;
  }

  /** Interfaces, in the order of the ports' ids. */
  /** Of the interfaces; where the configuration says a pattern, as the kernel completed it. */
  get portNames(): string[] {
    return this.#lanes[0].setup.ports.map(({ name }) => name);
  }

  figures(): Figures {
    return {
      seconds: (performance.now() - this.#startedMs) / 1000,
      counters: laneCounters(this.#lanes),
      ports: portFigures(this.#lanes, this.portNames),
      nodes: nodeFigures(this.#lanes, this.steering, this.#health),
      lanes: this.#lanes.map(lane => this.#laneFigures(lane)),
      latency: latencyFigures(latencyHistograms(this.#lanes)),
      hot: this.hot.figures ?? null,
    };
  }

  /**
   * Puts the nodes and the ring of another configuration in force; the rest of it must be that of the one in force.
   * Returns the names of new nodes whose next hop does not answer.
   * @throws RowsInUseError, TableBusyError with nothing changed
   */
  async adopt(config: Config): Promise<string[]> {
    const silentNodes = await this.steering.adopt(config);
    await this.#adoptGate(config);
    this.hot.adopt(config);
    this.#config = config;
    return silentNodes;
  }

  /** Lanes take it up at their next cycle, so this waits a millisecond or two at most. */
  async #adoptGate(config: Config): Promise<void> {
    const endMs = performance.now() + SWAP_MS_MAX;
    while (!this.#gate.publish(gateRules(config))) {
      if (this.#stopping || performance.now() > endMs)
        throw new TableBusyError('a lane does not take up the rules in use');
      await sleep(1);
    }
  }

  /**
   * The admin: takes a node out of the ring, or puts it back in, where it was flushed before: while it was out its keys
   * were written elsewhere. Resolves once the drain is in force, or the return has been ordered.
   * @throws NodeChoiceError
   */
  setDrained(name: string, drained: boolean): Promise<void> {
    const node = this.steering.directory.find(name);
    if (node?.drained && !drained) this.#health.readmit(node);
    return this.steering.setDrained(name, drained);
  }

  /** Ends the lanes (within their longest sleep), closes the ports, and returns the final figures. */
  async stop(): Promise<Figures> {
    this.#stopping = true;
    this.steering.stop();
    this.#health.stop();
    this.hot.stop();
    clearInterval(this.#sweeper);
    for (const { control } of this.#lanes) Atomics.store(control, CONTROL_STOP, 1);
    // A lane that hangs is ended with its thread; it must not hold up the others' end.
    await within(STOP_MS_MAX, Promise.all(this.#lanes.map(lane => lane.ended)));
    const figures = this.figures();
    await this.#pool.destroy();
    await Promise.all(this.#feeds.map(feed => feed.stop()));
    this.#closePorts();
    return figures;
  }

  #nameNodes(nodes: readonly DirectoryNode[]): void {
    const { arena, nodeNamesOffset } = this.#shared;
    for (const { row, config } of nodes) writeNodeName(arena.bytes, nodeNamesOffset, row, config.name);
  }

  #prepare(lane: number): LaneRecord {
    const { client, server } = this.#config.ports;
    const ports = (server ? [client, server] : [client]).map((port, id) => this.#nameInterface(port, id));
    const memory = planLaneMemory(this.#config, this.#shared.capacity.nodesMax, ports);
    const descriptions: Description[] = [];
    try {
      for (const [id, port] of ports.entries()) descriptions.push(this.#openPort(port, id, lane, memory));
    } catch (error) {
      closeHandles(descriptions);
      throw error;
    }
    const setup = this.#setup(lane, memory, descriptions);
    const control = new Int32Array(memory.arena.buffer, memory.controlOffset, 16);
    return {
      memory,
      setup,
      control,
      restarts: 0,
      lastError: undefined,
      pauseMs: RESTART_MS_MIN,
      startedMs: 0,
      beat: 0,
      beatMs: performance.now(),
      ended: Promise.resolve(),
    };
  }

  /** The kernel completes a pattern when the first lane opens the port; the others join it there. */
  #nameInterface(port: PortConfig, id: number): PortConfig & { mtu: number } {
    const name = this.#lanes[0]?.setup.ports[id].name ?? port.interface;
    return { ...port, interface: name, mtu: mtuOf(port.transport, name) };
  }

  #openPort(port: PortConfig & { mtu: number }, id: number, lane: number, memory: LaneArena): Description {
    const { lanes, slots, joinsDatagrams } = this.#config;
    const fanout = {
      group: this.#fanoutGroup | id,
      type: FANOUT_CBPF,
      program: fanoutProgram(lanes, slots.sourcePortBase, slots.sourcePortsPerLane),
    };
    const description = describePort({
      transport: port.transport,
      id,
      interfaceName: port.interface,
      arena: memory.arena,
      ringFrames: port.ringFrames,
      mtuMax: port.mtu,
      mac: port.mac,
      vlan: port.vlan,
      joins: joinsDatagrams,
      lane,
      ...(lanes > 1 ? { fanout } : {}),
      ...(port.tap === undefined ? {} : { tap: port.tap }),
      faults: port.faults,
    });
    // Its frames are brought and fetched by this thread.
    if (isPcap(description)) {
      this.#feeds.push(new PcapFeed(description, memory.arena, (memory.controlOffset >> 2) + CONTROL_BELL));
    }
    return description;
  }

  #setup(lane: number, memory: LaneArena, ports: Description[]): LaneSetup {
    const { idle, pin, warmUpMs } = this.#config;
    const { arena, ...offsets } = memory;
    this.#figuresPlaces.push({ ...offsets, arena: arena.buffer });
    return {
      ...offsets,
      ...pathSetup(this.#config, lane, memory, this.#shared, {
        sourceSeeds: this.#sourceSeeds,
        version: versionText(),
        lanes: this.#figuresPlaces,
        pid: process.pid,
        timeOrigin: performance.timeOrigin,
      }),
      arena: arena.buffer,
      shared: this.#shared.arena.buffer,
      ports,
      spinUs: idle.spinUs,
      waitMs: idle.waitMs,
      cpu: pin?.[lane] ?? -1,
      rehearsal: warmUpMs === 0 ? undefined : planRehearsal(this.#config, warmUpMs),
    };
  }

  /** Runs the lane's task, again and again while it crashes, until a stop. */
  async #run(lane: LaneRecord): Promise<void> {
    while (!this.#stopping) {
      lane.startedMs = performance.now();
      try {
        await this.#pool.run(lane.setup);
        return;
      } catch (error) {
        this.#crashed(lane, error);
        // Frames are waiting.
        lane.setup.rehearsal = undefined;
      }
      await this.#pause(lane.pauseMs);
    }
  }

  /** A pause that a stop cuts short. */
  async #pause(ms: number): Promise<void> {
    const end = performance.now() + ms;
    while (!this.#stopping && performance.now() < end) await sleep(Math.min(ms, PAUSE_STEP_MS));
  }

  #crashed(lane: LaneRecord, error: unknown): void {
    Atomics.store(lane.control, CONTROL_STATE, LANE_CRASHED);
    leaveTable(this.#shared.arena.words, this.steering.table.base, lane.setup.lane);
    leaveTable(this.#shared.arena.words, this.#gate.base, lane.setup.lane);
    const steady = performance.now() - lane.startedMs > STEADY_MS;
    lane.pauseMs = steady ? RESTART_MS_MIN : Math.min(lane.pauseMs * 2, RESTART_MS_MAX);
    lane.restarts++;
    lane.lastError = error instanceof Error ? error.message : String(error);
  }

  #laneFigures(lane: LaneRecord): LaneFigures {
    const now = performance.now();
    const beat = lane.control[CONTROL_BEAT];
    if (beat !== lane.beat) {
      lane.beat = beat;
      lane.beatMs = now;
    }
    const state = LANE_STATE_NAMES[Atomics.load(lane.control, CONTROL_STATE)];
    return {
      state: state === 'running' && now - lane.beatMs > STALL_MS ? 'stalled' : state,
      restarts: lane.restarts,
      ...(lane.lastError === undefined ? {} : { lastError: lane.lastError }),
      ...laneWork(lane),
    };
  }

  #closePorts(): void {
    for (const feed of this.#feeds) void feed.stop();
    for (const { setup } of this.#lanes) closeHandles(setup.ports);
  }
}

function closeHandles(ports: readonly Description[]): void {
  for (const port of ports) if (!isPcap(port)) loadShim().close(port.handle);
}

function refuseKernelAddresses({ vip, source }: Config): void {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const { address } of addresses ?? []) {
      if (address !== vip.text && address !== source.text) continue;
      throw new AddressInUseError(
        `${address} is an address of this kernel (${name}); Keysteer must own it alone: \`ip address del ${address} dev ${name}\``,
      );
    }
  }
}

/** Waits for `promise`, `ms` at most; leaves no timer behind that would keep the process alive. */
async function within(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise(resolve => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}

function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
