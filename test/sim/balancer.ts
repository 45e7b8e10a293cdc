/**
 * One life of Keysteer's process: memory planned from a configuration as the conductor does, lanes on it, and the control
 * side on the virtual clock. What else lives on that clock (actors.ts) is told of at the start; the hot keys' keeper will be.
 */
import type { Clock } from '../../src/control/clock.ts';
import type { Config } from '../../src/control/config/normalise.ts';
import { rowCounts } from '../../src/control/figures.ts';
import { HealthWatch } from '../../src/control/health/watch.ts';
import { Keeper, TICK_MS } from '../../src/control/hot/keeper.ts';
import { placementOf } from '../../src/control/hot/placement.ts';
import { type LaneArena, planLaneMemory, planSharedMemory, type SharedMemory } from '../../src/control/memory-plan.ts';
import { CLIENT_PORT, gateRules, neighbourTimes, pathSetup } from '../../src/control/path-setup.ts';
import { Steering } from '../../src/control/steering.ts';
import { COUNT } from '../../src/dataplane/counters.ts';
import { GateTable } from '../../src/dataplane/gate-table.ts';
import { HealthBlock } from '../../src/dataplane/health-block.ts';
import { Neighbours } from '../../src/dataplane/neighbours.ts';
import { writeNodeName } from '../../src/dataplane/node-names.ts';
import type { FiguresPlace, LaneSetup } from '../../src/dataplane/setup.ts';
import { leaveTable } from '../../src/mem/generation.ts';
import { hashKey } from '../../src/mem/murmur3.ts';
import { steerHash } from '../../src/steer/hash.ts';
import { lookup, nodeAddress } from '../../src/steer/lookup.ts';
import { SteerTable } from '../../src/steer/table.ts';
import { type Actor, ActorRunner } from './actors.ts';
import { NF_CLIENT_MAC, NF_SERVER_MAC } from './addresses.ts';
import type { EventQueue } from './events.ts';
import { laneOf } from './fanout.ts';
import { LaneHost } from './lane-host.ts';
import type { Host, Network } from './network.ts';
import type { Random } from './random.ts';
import { SimPort } from './sim-port.ts';

const NODES_MAX = 16;
const RING_FRAMES = 256;
const MTU = 1500;
const SWEEP_MS = 250;

export interface BalancerPlace {
  readonly events: EventQueue;
  readonly network: Network;
  readonly random: Random;
  readonly clock: Clock;
  /** Promises may have been settled: what waits for them must run before the clock goes on. */
  readonly settle: () => void;
  /** Keysteer on the network, by the ids of its ports. */
  readonly hosts: readonly Host[];
  /** More actors of the product's. */
  readonly actors: (balancer: Balancer) => readonly Actor[];
  /** A steering table was published; every lane has taken up the last one. */
  readonly onTable: (balancer: Balancer) => void;
  readonly onTaken: () => void;
  readonly onDeath: () => void;
}

/** Tells when a table is published. */
class WatchedTable extends SteerTable {
  onPublish: () => void = () => {};

  override publish(...table: Parameters<SteerTable['publish']>): boolean {
    const isPublished = super.publish(...table);
    if (isPublished) this.onPublish();
    return isPublished;
  }
}

export class Balancer {
  readonly lanes: LaneHost[] = [];
  readonly steering: Steering;
  readonly health: HealthWatch;
  /** Undefined when no keys are treated as hot. */
  readonly keeper: Keeper | undefined;
  readonly shared: SharedMemory;
  readonly gate: GateTable;
  config: Config;
  readonly #place: BalancerPlace;
  readonly #actors: ActorRunner;
  readonly #figures: FiguresPlace[] = [];
  readonly #ports: SimPort[][] = [];
  readonly #memories: LaneArena[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  /** Of a table that not all lanes have taken up. */
  #isPending = false;

  constructor(place: BalancerPlace, config: Config) {
    this.#place = place;
    this.config = config;
    this.shared = planSharedMemory(config, NODES_MAX);
    const { arena, steerOffset, neighboursOffset, gateOffset, healthOffset, capacity } = this.shared;
    const table = new WatchedTable(arena.buffer, steerOffset, capacity);
    const neighbours = new Neighbours(arena.words, neighboursOffset >> 2, neighbourTimes(config));
    const views = this.lanes as unknown as { memory: LaneArena; setup: LaneSetup }[];
    const countsOf = (row: number) => rowCounts(views, row);
    this.steering = new Steering(config, table, neighbours, capacity, countsOf, place.clock);
    this.#nameNodes();
    this.steering.follow(() => this.#nameNodes());
    this.gate = new GateTable(arena.buffer, gateOffset, config.lanes);
    this.gate.publish(gateRules(config));
    const block = new HealthBlock(arena.words, healthOffset >> 2, capacity.nodesMax);
    this.health = new HealthWatch(config.health, block, this.steering, neighbours, views);
    this.keeper = this.#makeKeeper(config, countsOf);
    for (let lane = 0; lane < config.lanes; lane++) this.#open(lane);
    for (const lane of this.#memories.keys()) this.lanes.push(this.#startLane(lane));
    table.onPublish = () => {
      this.#isPending = true;
      place.onTable(this);
    };
    this.#actors = new ActorRunner(place.events, place.settle, [
      { name: 'health', turn: nowMs => this.health.turn(nowMs) },
      { name: 'sweeper', turn: nowMs => this.#sweep(nowMs) },
      ...this.#keeperActors(),
      ...place.actors(this),
    ]);
  }

  /** A frame has arrived at one of its ports; the slot stays the caller's. */
  hear(side: number, slot: number): void {
    const { pool } = this.#place.network;
    const { slots, lanes } = this.config;
    const plan = { lanes, portBase: slots.sourcePortBase, portsPerLane: slots.sourcePortsPerLane };
    const lane = laneOf(pool.view, pool.offset(slot), plan);
    this.#ports[lane]![side]!.accept(slot);
    this.lanes[lane]!.wake();
  }

  /** IPv4 address of the node that the key belongs to now. */
  homeOf(key: string): number {
    const { words, current } = this.steering.table;
    const { bytes, view, hash } = placed(key);
    const node = lookup(words, current, steerHash(words, current, hash, bytes, view, 0, bytes.length));
    return node < 0 ? 0 : nodeAddress(words, current, node);
  }

  /** As Reloader.reload: one at a time. */
  reload(config: Config): Promise<void> {
    const mine = this.#turn.then(() => this.#adopt(config));
    this.#turn = mine.catch(() => {});
    return mine;
  }

  /** As Conductor.adopt. */
  async #adopt(config: Config): Promise<void> {
    await this.steering.adopt(config);
    while (!this.gate.publish(gateRules(config))) await this.#place.clock.sleep(1);
    this.keeper?.adopt(config.hot);
    this.config = config;
  }

  /** As Conductor.setDrained. */
  setDrained(name: string, drained: boolean): Promise<void> {
    const node = this.steering.directory.find(name);
    if (node?.drained && !drained) this.health.readmit(node);
    return this.steering.setDrained(name, drained);
  }

  /** The process is gone, with all its memory. */
  end(): void {
    this.steering.stop();
    this.#actors.stop();
    for (const lane of this.lanes) lane.end();
  }

  /** Sum of one of the lanes' counters. */
  count(counter: number): number {
    return this.#memories.reduce(
      (sum, { arena, countersOffset }) => sum + arena.floats[(countersOffset >> 3) + counter]!,
      0,
    );
  }

  /** Frames received that ended in no counter and wait for nothing; of lanes that have never died. */
  unaccounted(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.unaccounted(), 0);
  }

  /** As HotWatch does in the conductor. */
  #makeKeeper(config: Config, countsOf: (row: number) => Float64Array): Keeper | undefined {
    const { arena, hot } = this.shared;
    if (hot === undefined) return undefined;
    const { random } = this.#place;
    return new Keeper({
      shared: arena,
      area: hot,
      settings: config.hot,
      lanes: {
        beat: lane =>
          this.lanes[lane]!.memory.arena.floats[(this.lanes[lane]!.memory.countersOffset >> 3) + COUNT.cycles]!,
        isRunning: lane => this.lanes[lane]!.lane !== undefined,
        restarts: lane => this.lanes[lane]!.deaths,
      },
      placement: placementOf(this.steering, countsOf),
      random: () => random.whole(-0x80000000, 0x7fffffff),
    });
  }

  #keeperActors(): Actor[] {
    const { keeper } = this;
    if (keeper === undefined) return [];
    const turn = (nowMs: number) => {
      keeper.tick(nowMs);
      return TICK_MS;
    };
    return [{ name: 'keeper', turn }];
  }

  #sweep(nowMs: number): number {
    this.steering.sweep(nowMs);
    return SWEEP_MS;
  }

  #nameNodes(): void {
    const { arena, nodeNamesOffset } = this.shared;
    for (const { row, config } of this.steering.directory.nodes) {
      writeNodeName(arena.bytes, nodeNamesOffset, row, config.name);
    }
  }

  /** Memory and ports of a lane. */
  #open(lane: number): void {
    const { network, hosts } = this.#place;
    const macs = [NF_CLIENT_MAC, NF_SERVER_MAC];
    const port = { transport: 'af_packet', ringFrames: RING_FRAMES, mtu: MTU } as const;
    const memory = planLaneMemory(
      this.config,
      NODES_MAX,
      hosts.map(() => port),
    );
    const { arena, ...offsets } = memory;
    this.#figures.push({ ...offsets, arena: arena.buffer });
    this.#memories.push(memory);
    this.#ports.push(
      hosts.map(
        (_, side) =>
          new SimPort(side, `port ${side}`, macs[side]!, arena, RING_FRAMES, network.pool, slot =>
            this.#send(lane, side, slot),
          ),
      ),
    );
  }

  #startLane(lane: number): LaneHost {
    const { events, network, random } = this.#place;
    const memory = this.#memories[lane]!;
    const setup = pathSetup(this.config, lane, memory, this.shared, {
      sourceSeeds: [0x1234567, -99],
      version: '1.6.0-keysteer-simulated',
      lanes: this.#figures,
      pid: 1,
      timeOrigin: 0,
    });
    return new LaneHost({
      events,
      network,
      random,
      setup,
      memory,
      shared: this.shared.arena,
      ports: this.#ports[lane]!,
      waitMs: this.config.idle.waitMs,
      onDeath: () => this.#died(lane),
      onCycle: () => this.#noteTaken(),
    });
  }

  #died(lane: number): void {
    this.#place.onDeath();
    leaveTable(this.shared.arena.words, this.steering.table.base, lane);
    leaveTable(this.shared.arena.words, this.gate.base, lane);
    this.#noteTaken();
  }

  #noteTaken(): void {
    if (!this.#isPending || !this.steering.table.canPublish) return;
    this.#isPending = false;
    this.#place.onTaken();
  }

  #send(lane: number, side: number, slot: number): void {
    const { network, hosts } = this.#place;
    const host = hosts[side]!;
    const toClient = network.isClient(slot);
    if (hosts.length === 2 && toClient !== (side === CLIENT_PORT))
      throw new Error(`a frame leaves by the wrong port ${side}`);
    if (toClient) this.lanes[lane]!.noteSaid(slot);
    network.send(host, slot, toClient ? 'nf→client' : 'nf→node');
  }
}

interface PlacedKey {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly hash: number;
}

const placedKeys = new Map<string, PlacedKey>();

/** Bytes and hash of a key: asked for at every table, for every key. */
function placed(key: string): PlacedKey {
  const known = placedKeys.get(key);
  if (known !== undefined) return known;
  const bytes = Uint8Array.from(Buffer.from(key, 'latin1'));
  const view = new DataView(bytes.buffer);
  const fresh = { bytes, view, hash: hashKey(bytes, view, 0, bytes.length) };
  placedKeys.set(key, fresh);
  return fresh;
}
