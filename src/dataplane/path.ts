/**
 * What the stages of a lane share: its memory, tables, ports, and the time and steering table of the cycle.
 *
 *     classify → admit → requests → replies → settle      each loops over the frames of a batch that concern it
 *
 * Each stage is called through an array (lane.ts), so that V8 compiles it by itself: were they inlined into one
 * function, they would compete for one inlining budget, and which of them won would differ from process to process.
 */
import type { Arena } from '../mem/arena.ts';
import { enterTable, generationInUse, leaveTable } from '../mem/generation.ts';
import { DROP, type Port, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET } from '../port/port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { Broadcasts } from './broadcasts.ts';
import { ClientTable } from './client-table.ts';
import { COUNT } from './counters.ts';
import { FragmentationNeeded } from './frag-needed.ts';
import { Fragmenter } from './fragmenter.ts';
import { Fragments } from './fragments.ts';
import { Gatekeeper } from './gatekeeper.ts';
import { Gathers } from './gather.ts';
import { Handover } from './handover.ts';
import { Hot } from './hot/hot.ts';
import { HotKeys } from './hot/keys.ts';
import { Latency } from './latency.ts';
import { LaneMemory } from './memory.ts';
import { Neighbours } from './neighbours.ts';
import { NodeIndex } from './node-index.ts';
import { OUTBOX_BYTES, Outbox } from './outbox.ts';
import { Parking } from './parking.ts';
import { PATH_MTU_MIN, PathMtus } from './path-mtus.ts';
import type { Prober } from './prober.ts';
import { MODE_GATEWAY, MODE_NAT, type PathSetup } from './setup.ts';
import { SlotTable } from './slot-table.ts';

export { BATCH_ROWS, LIST_END, LIST_IP, LIST_ROW, LIST_UDP, LIST_WORDS } from './list.ts';

export class Path {
  readonly setup: PathSetup;
  readonly memory: LaneMemory;
  readonly neighbours: Neighbours;
  readonly parking: Parking;
  readonly slots: SlotTable;
  readonly fragments: Fragments;
  readonly pathMtus = new PathMtus();
  readonly fragmenter: Fragmenter;
  readonly fragmentationNeeded: FragmentationNeeded;
  readonly handover: Handover;
  readonly latency: Latency;
  readonly clientPort: Port;
  readonly serverPort: Port;
  /** What the lane says itself. The same one in one-arm. */
  readonly clientOut: Outbox;
  readonly serverOut: Outbox;
  readonly gate: Gatekeeper;
  /** Commands for every node. */
  readonly broadcasts: Broadcasts;
  /** Requests for several keys. */
  readonly gathers: Gathers;
  /** gateway mode: by which addresses clients are reached, and which are the nodes'. */
  readonly clients: ClientTable;
  readonly nodes: NodeIndex;
  /** Lane 0's alone. */
  prober: Prober | undefined;
  /** Which keys are hot; and what is done about them, where that is wanted. */
  readonly hot: HotKeys | undefined;
  readonly hotLane: Hot | undefined;
  readonly steerWords: Int32Array;
  /** Bytes of the arena that all lanes share. */
  readonly sharedBytes: Uint8Array;
  /** First word of the steering table in use in this cycle. */
  table = 0;
  /** Time of this cycle by the lane's clock, wrapping: ms and µs. */
  nowMs = 0;
  nowUs = 0;
  /** The same, ms, not wrapping. */
  clockMs = 0;
  /** Whether this cycle has emptied the server port's queue. */
  serverDrained = true;
  /** Bit i: some row's verdict in this batch is the port with id i. */
  senders = 0;
  readonly #steerBase: number;
  #identification = 0;

  /** @param nowMs of the lane's clock, as it is put together */
  constructor(setup: PathSetup, arena: Arena, shared: Arena, clientPort: Port, serverPort: Port, nowMs: number) {
    this.#enterTime(nowMs);
    this.setup = setup;
    this.memory = new LaneMemory(arena, setup.countersOffset, setup.nodeCountersOffset, setup.nodesMax);
    this.neighbours = new Neighbours(shared.words, setup.neighboursOffset >> 2, setup.neighbourTimes);
    const frameBytesMax = Math.max(clientPort.roomBytes, serverPort.roomBytes);
    const { parkingOffset, parkingFrames, nodesMax } = setup;
    this.parking = new Parking(arena.bytes, parkingOffset, parkingFrames, frameBytesMax, nodesMax);
    this.slots = new SlotTable(
      arena.words,
      setup.slotsOffset >> 2,
      setup.slots,
      setup.firstSourcePort,
      setup.replyLifetimeMs * 1000,
      setup.newcomerSlots,
    );
    this.fragments = new Fragments(this.memory, setup.fragmentsOffset, setup.fragments, setup.sourceSeeds[0]);
    this.fragmenter = new Fragmenter(this.memory, this.pathMtus, setup.lane, setup.laneCount, setup.sourceSeeds[1]);
    this.latency = new Latency(arena.buffer, setup.latencyOffset);
    this.clientPort = clientPort;
    this.serverPort = serverPort;
    this.clientOut = new Outbox(clientPort, arena.buffer, setup.outboxOffset, this.fragmenter);
    this.serverOut =
      serverPort === clientPort
        ? this.clientOut
        : new Outbox(serverPort, arena.buffer, setup.outboxOffset + OUTBOX_BYTES, this.fragmenter);
    this.handover = new Handover(arena, shared, setup.handoverOffset, setup.lane, setup.laneCount);
    this.fragmentationNeeded = new FragmentationNeeded(this);
    this.steerWords = shared.words;
    this.sharedBytes = shared.bytes;
    this.#steerBase = setup.steerOffset >> 2;
    this.gate = gatekeeperOf(setup, arena, shared, this.slots);
    this.broadcasts = new Broadcasts(this);
    this.gathers = new Gathers(this, setup.multiget, setup.gathersOffset);
    const { clientsOffset, lanes, lane, sourceSeeds } = setup;
    this.clients = new ClientTable(shared.words, clientsOffset >> 2, Math.max(lanes.length, 1), lane, sourceSeeds);
    this.nodes = new NodeIndex(setup.nodesMax);
    this.hot = hotKeysOf(setup, shared);
    if (this.hot !== undefined) this.hot.nowMs = this.nowMs;
    this.hotLane = this.hot && new Hot(this, this.hot);
  }

  /** Begins a cycle: takes up the steering table in use and the time, ms of the lane's clock. */
  enter(nowMs: number): void {
    this.table = enterTable(this.steerWords, this.#steerBase, this.setup.lane);
    if (this.setup.mode === MODE_GATEWAY) this.#followNodes();
    this.#enterTime(nowMs);
    this.fragmenter.nowMs = this.nowMs;
    if (this.hot !== undefined) this.hot.nowMs = this.nowMs;
    this.gate.enter(this.nowMs);
    this.slots.enter(this.nowUs);
    if (this.hotLane !== undefined) this.hotLane.enter();
  }

  #enterTime(nowMs: number): void {
    this.clockMs = nowMs;
    this.nowMs = nowMs | 0;
    this.nowUs = (nowMs * 1000) | 0;
  }

  /** Before the lane sleeps or ends: a new table need not wait for it. */
  leave(): void {
    leaveTable(this.steerWords, this.#steerBase, this.setup.lane);
    this.gate.leave();
  }

  #followNodes(): void {
    this.nodes.follow(this.steerWords, this.table, generationInUse(this.steerWords, this.#steerBase, this.setup.lane));
  }

  /** Keeps a frame aside until this neighbour is usable. */
  park(offset: number, length: number, flags: number, neighbour: number): number {
    this.neighbours.want(neighbour);
    const aside = this.parking.park(offset, length, flags, neighbour);
    this.memory.counters[aside ? COUNT.parked : COUNT.drop_neighbour_queue_full] += 1;
    return DROP;
  }

  /** A store of a key that is not hot, or whose answer nobody here fences, goes out. */
  noteStore(keyHash: number): void {
    if (this.hot !== undefined) this.hot.noteStore(keyHash);
  }

  /** For the next datagram of the NF's own (RFC 6864). */
  nextIdentification(): number {
    this.#identification = (this.#identification + 1) & 0xffff;
    return this.#identification;
  }

  /**
   * Whether the datagram of a row, as it was received, is larger than the first hop by `out` and must not be fragmented,
   * where that counts (setup.ts). Its sender is told by `back`.
   */
  isTooBig(batch: Int32Array, row: number, ipOffset: number, out: Outbox, back: Outbox): boolean {
    return batch[row + ROW_LENGTH] > out.port.frameBytesMax && this.#isHeldUp(batch, row, ipOffset, out, back);
  }

  #isHeldUp(batch: Int32Array, row: number, ipOffset: number, out: Outbox, back: Outbox): boolean {
    if (!this.setup.honoursDontFragment) return false;
    if (!ipv4.dontFragment(this.memory.view, ipOffset)) return false;
    this.fragmentationNeeded.say(back, batch[row + ROW_OFFSET], out.port.frameBytesMax - ethernet.HEADER_BYTES);
    return true;
  }

  /** A router said how wide the way to `address` is: from now on frames longer than the narrowest way are looked at. */
  learnMtu(address: number, mtu: number): void {
    this.pathMtus.learn(address, mtu, this.nowMs);
    this.clientOut.wholeBytes = Math.min(this.clientOut.wholeBytes, PATH_MTU_MIN + ethernet.HEADER_BYTES);
    this.serverOut.wholeBytes = Math.min(this.serverOut.wholeBytes, PATH_MTU_MIN + ethernet.HEADER_BYTES);
  }

  /**
   * The verdict of a row that is ready to leave by `out`: the one given, or DROP for a datagram larger than its way, whose
   * fragments have been queued instead.
   */
  wholeOrFragments(out: Outbox, batch: Int32Array, row: number, verdict: number, group: number): number {
    if (batch[row + ROW_LENGTH] <= out.wholeBytes) return verdict;
    return this.#cutToFit(out, batch, row, verdict, group);
  }

  #cutToFit(out: Outbox, batch: Int32Array, row: number, verdict: number, group: number): number {
    const offset = batch[row + ROW_OFFSET];
    if (this.fragmenter.fits(out.port, offset, batch[row + ROW_LENGTH])) return verdict;
    // Perhaps it is but padding behind the packet that makes it too long.
    const bytes = ethernet.HEADER_BYTES + ipv4.totalLength(this.memory.view, offset + ethernet.HEADER_BYTES);
    batch[row + ROW_LENGTH] = bytes;
    if (this.fragmenter.fits(out.port, offset, bytes)) return verdict;
    this.fragmenter.send(out, offset, batch[row + ROW_FLAGS], group);
    return DROP;
  }

  /** The last step of every request that is forwarded: Ethernet addresses towards a usable neighbour. Returns the port. */
  sendTo(offset: number, neighbour: number): number {
    const { memory, neighbours, serverPort } = this;
    ethernet.setDestination(memory.view, offset, neighbours.macHigh(neighbour), neighbours.macLow(neighbour));
    ethernet.setSource(memory.view, offset, serverPort.macHigh, serverPort.macLow);
    memory.counters[COUNT.requests] += 1;
    this.senders |= 1 << serverPort.id;
    return serverPort.id;
  }
}

function hotKeysOf(setup: PathSetup, shared: Arena): HotKeys | undefined {
  if (setup.hot === undefined) return undefined;
  return new HotKeys(
    setup.hot,
    setup.lane,
    shared,
    setup.mode === MODE_NAT,
    setup.sourceSeeds[0] ^ setup.sourceSeeds[1],
    setup.neighbourTimes.retryMs * setup.neighbourTimes.retries,
  );
}

function gatekeeperOf(setup: PathSetup, arena: Arena, shared: Arena, slots: SlotTable): Gatekeeper {
  const [seedA, seedB] = setup.sourceSeeds;
  const { sourcesOffset, sourceRows, gateOffset, lane } = setup;
  return new Gatekeeper(
    arena.words,
    sourcesOffset >> 2,
    sourceRows,
    seedA,
    seedB,
    shared.words,
    gateOffset >> 2,
    lane,
    slots,
  );
}
