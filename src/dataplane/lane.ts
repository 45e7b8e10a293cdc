/**
 * A lane: one thread, its own queue on each port, one duty cycle.
 *
 *     for each port: receive → classify → admit → requests → replies → returns → settle → hold → transmit on each port → release
 *     then what time demands: multi-key requests, commands for every node, parked frames, ARP, probes, answers for
 *     nodes that are down
 */
import type { Arena } from '../mem/arena.ts';
import { DROP, type Port, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, ROW_WORDS } from '../port/port.ts';
import { AdmissionStage, SettlementStage } from './admission.ts';
import { Classifier } from './classify.ts';
import { COUNT } from './counters.ts';
import { BOXES, mailPlace } from './handover.ts';
import { HealthBlock } from './health-block.ts';
import { Holding } from './holding.ts';
import { writeArpRequest } from './host.ts';
import { HotStage } from './hot/stage.ts';
import { BATCH_ROWS, Path } from './path.ts';
import { Prober } from './prober.ts';
import { ReplyStage } from './replies.ts';
import { RequestStage } from './requests.ts';
import { ReturnStage } from './returns.ts';
import { MODE_GATEWAY, type PathSetup } from './setup.ts';
import { Sweep } from './sweep.ts';

const ARP_TICK_MS = 10;
const REFRESH_MS = 1000;
const SWEEP_MS = 10;
const MAIL_ROWS = Math.min(BOXES, BATCH_ROWS);

/** Bytes that a lane needs for its batch. */
export const BATCH_BYTES = BATCH_ROWS * ROW_WORDS * 4;

/** Works on the frames of the batch that concern it. */
type Stage = (port: Port, rows: number) => void;
/** What time or control demands of a lane; returns how much was done. Frames that it says lie in the outboxes then. */
type Duty = (nowMs: number) => number;

export class Lane {
  readonly path: Path;
  readonly #ports: readonly Port[];
  readonly #batch: Int32Array;
  /** In an array, lest V8 inline them: path.ts tells why. */
  readonly #stages: readonly Stage[];
  readonly #duties: readonly Duty[];
  readonly #hotStage: HotStage | undefined;
  readonly #holding: Holding;
  readonly #isFirst: boolean;
  readonly #ownAddress: number;
  readonly #held: Int32Array;
  #arpDueMs = 0;
  #refreshDueMs = 0;
  #sweptMs = 0;

  /**
   * @param batch `BATCH_BYTES` of the arena that holds the frames
   * @param held one word that outlives the thread, CONTROL_HELD: what one before this one has left there is lost, and counted
   * @param nowMs of the lane's clock: until now one before this one may have sent anything
   */
  constructor(
    setup: PathSetup,
    arena: Arena,
    shared: Arena,
    ports: readonly Port[],
    batch: Int32Array,
    held: Int32Array = new Int32Array(1),
    nowMs = 0,
  ) {
    const portById = (id: number) => {
      const port = ports.find(candidate => candidate.id === id);
      if (!port) throw new RangeError(`lane: there is no port with id ${id}`);
      return port;
    };
    this.path = new Path(setup, arena, shared, portById(setup.clientPort), portById(setup.serverPort), nowMs);
    this.#ports = ports;
    this.#batch = batch;
    this.#hotStage = this.path.hotLane && new HotStage(this.path, this.path.hotLane);
    this.#stages = stagesOf(this.path, batch, this.#hotStage);
    this.#holding = new Holding(arena, setup.holdingOffset, this.path.serverPort);
    this.#isFirst = setup.lane === 0;
    this.#duties = dutiesOf(this.path, new HealthBlock(shared.words, setup.healthOffset >> 2, setup.nodesMax));
    this.#ownAddress = setup.ownAddress;
    this.#held = held;
    this.path.memory.counters[COUNT.drop_lane_crash] += held[0];
    held[0] = 0;
  }

  /** One cycle at `nowMs` of the lane's clock (fractions count). Returns the frames received and sent on from parking. */
  cycle(nowMs: number): number {
    this.path.enter(nowMs);
    let work = 0;
    // The nodes' side first: a node may answer before we have sent a batch off, and both would bear the time of one cycle.
    for (let i = this.#ports.length - 1; i >= 0; i--) work += this.#servePort(this.#ports[i]);
    if (this.path.handover.hasMail()) work += this.#serveMail();
    if (this.path.broadcasts.active !== 0) work += this.#serveBroadcasts();
    work += this.#serveGathers();
    if (this.path.hotLane !== undefined) work += this.#serveHot();
    if (this.path.parking.count !== 0) work += this.#serveParked();
    if (this.#isFirst && nowMs >= this.#arpDueMs) this.#serveNeighbours(nowMs);
    if ((this.path.nowMs - this.#sweptMs) >>> 0 >= SWEEP_MS) this.#sweep();
    if (nowMs >= this.#refreshDueMs) this.#refresh(nowMs);
    for (let duty = 0; duty < this.#duties.length; duty++) work += this.#duties[duty](nowMs);
    this.path.serverOut.settle();
    this.path.clientOut.settle();
    this.#noteHeld();
    this.path.memory.counters[COUNT.cycles] += 1;
    return work;
  }

  /** Before the lane ends. */
  leave(): void {
    this.#holding.flush();
    this.path.leave();
  }

  /** Brings the ports' kernel-side counters up to date. */
  refreshCounters(): void {
    for (const port of this.#ports) port.refreshCounters();
  }

  /** Requests of clients that wait in this thread's own memory. */
  #noteHeld(): void {
    const { gathers, broadcasts, parking, hotLane } = this.path;
    const held = gathers.table.waiting.count + broadcasts.active + parking.count + this.#holding.count;
    this.#held[0] = hotLane === undefined ? held : held + hotLane.held;
  }

  #servePort(port: Port): number {
    const batch = this.#batch;
    const rows = port.receive(batch, BATCH_ROWS);
    if (port === this.path.serverPort) this.path.serverDrained = rows < BATCH_ROWS;
    if (rows === 0) {
      if (port === this.path.clientPort) this.#holding.flush();
      return 0;
    }
    this.#handle(port, rows);
    this.#noteHeld(); // first: a frame given back before would be in nobody's hands
    port.release(batch, rows);
    this.path.fragments.release();
    return rows;
  }

  /** Takes the first `rows` rows of the batch through the stages, and transmits what is to be. */
  #handle(port: Port, rows: number): void {
    const { path } = this;
    const { counters } = path.memory;
    path.senders = 0;
    const answered = counters[COUNT.hot_hits];
    const forwarded = counters[COUNT.requests];
    for (let stage = 0; stage < this.#stages.length; stage++) this.#stages[stage](port, rows);
    path.serverOut.flush();
    path.clientOut.flush();
    if (port === path.clientPort) {
      const answeredNow = counters[COUNT.hot_hits] - answered;
      this.#holding.turn(this.#batch, rows, answeredNow, counters[COUNT.requests] - forwarded);
    }
    this.#transmit(this.#batch, rows, path.senders);
  }

  /** Replies that other lanes have put together, as if they had just been received. */
  #serveMail(): number {
    const { handover, memory, serverPort, setup } = this.path;
    const batch = this.#batch;
    let rows = 0;
    while (rows < MAIL_ROWS) {
      const offset = mailPlace(setup.mailOffset, rows);
      const length = handover.take(offset);
      if (length === 0) break;
      const row = rows++ * ROW_WORDS;
      batch[row + ROW_OFFSET] = offset;
      batch[row + ROW_LENGTH] = length;
      batch[row + ROW_FLAGS] = handover.flags;
      batch[row + ROW_VERDICT] = DROP;
    }
    memory.counters[COUNT.taken_over] += rows;
    if (rows !== 0) this.#handle(serverPort, rows);
    return rows;
  }

  /** @param senders bit i: some row's verdict is the port with id i */
  #transmit(batch: Int32Array, rows: number, senders: number): void {
    for (let i = 0; i < this.#ports.length; i++) {
      const port = this.#ports[i];
      if ((senders & (1 << port.id)) !== 0) port.transmit(batch, rows);
    }
  }

  #serveBroadcasts(): number {
    const { broadcasts, clientOut, serverOut } = this.path;
    const work = broadcasts.tend();
    serverOut.flush();
    clientOut.flush();
    return work;
  }

  /** Requests that have waited for a hot key go through their stage again. */
  #serveHot(): number {
    const { hotLane, clientOut, hot, serverOut } = this.path;
    const work = hotLane!.turn();
    const rows = hotLane!.waiting.count === 0 ? 0 : hotLane!.waiting.take(this.#batch, hot!.words, hot!.nowMs);
    this.path.senders = 0;
    if (rows !== 0) this.#hotStage!.rerun(this.#batch, rows);
    serverOut.flush();
    clientOut.flush();
    if (rows !== 0) this.#transmit(this.#batch, rows, this.path.senders);
    return work + rows;
  }

  #serveGathers(): number {
    const { gathers, clientOut, serverOut } = this.path;
    const work = gathers.tend();
    if (work === 0) return 0;
    // What is asked again, too: the next transmit, of an ARP request, would give its frames to whoever claims one.
    serverOut.flush();
    clientOut.flush();
    return work;
  }

  /** Sends on the parked frames whose next hop is known now, drops those whose next hop does not answer. */
  #serveParked(): number {
    const { parking, neighbours, memory } = this.path;
    const batch = this.#batch;
    let rows = 0;
    for (let i = 0; i < parking.count && rows < BATCH_ROWS; ) {
      const neighbour = parking.neighbour(i);
      if (neighbours.isUsable(neighbour)) {
        const row = rows++ * ROW_WORDS;
        batch[row + ROW_OFFSET] = parking.offset(i);
        batch[row + ROW_LENGTH] = parking.length(i);
        batch[row + ROW_FLAGS] = parking.flags(i);
        const verdict = this.path.sendTo(parking.offset(i), neighbour);
        batch[row + ROW_VERDICT] = this.path.wholeOrFragments(this.path.serverOut, batch, row, verdict, 0);
        parking.leave(i);
        memory.count(COUNT.parked_sent);
      } else if (neighbours.hasFailed(neighbour)) {
        memory.count(COUNT.drop_neighbour_unreachable);
        parking.leave(i);
      } else {
        i++;
      }
    }
    this.path.serverOut.flush();
    if (rows !== 0) this.#transmit(batch, rows, 1 << this.path.serverPort.id);
    return rows;
  }

  /** Lane 0 alone: asks for the next hops that are due. */
  #serveNeighbours(nowMs: number): void {
    this.#arpDueMs = nowMs + ARP_TICK_MS;
    const { neighbours, memory, serverPort } = this.path;
    const batch = this.#batch;
    for (let neighbour = 0; neighbour < neighbours.count; neighbour++) {
      if (!neighbours.advance(neighbour, nowMs | 0)) continue;
      const offset = serverPort.claim();
      if (offset < 0) return;
      const address = neighbours.address(neighbour);
      batch[ROW_OFFSET] = offset;
      batch[ROW_LENGTH] = writeArpRequest(memory.view, offset, serverPort, this.#ownAddress, address);
      batch[ROW_FLAGS] = 0;
      batch[ROW_VERDICT] = serverPort.id;
      memory.counters[COUNT.arp_requests] += serverPort.transmit(batch, 1);
    }
  }

  /** Gives up what waits too long. */
  #sweep(): void {
    this.#sweptMs = this.path.nowMs;
    this.path.fragments.sweep(this.path.nowMs);
  }

  #refresh(nowMs: number): void {
    this.#refreshDueMs = nowMs + REFRESH_MS;
    this.refreshCounters();
  }
}

/** Lane 0 probes the nodes; every lane answers for those that are down. */
function dutiesOf(path: Path, health: HealthBlock): Duty[] {
  const { lane, probePort, probeTimeoutMs, missNotesOffset, missAfterMs } = path.setup;
  const sweep = new Sweep(path, health, missNotesOffset, missAfterMs);
  if (lane !== 0) return [() => sweep.turn()];
  const prober = new Prober(path, health, probePort, probeTimeoutMs);
  path.prober = prober;
  return [nowMs => prober.turn(nowMs), () => sweep.turn()];
}

function stagesOf(path: Path, batch: Int32Array, hotStage: HotStage | undefined): Stage[] {
  const classifier = new Classifier(path);
  const admission = new AdmissionStage(path);
  const requests = new RequestStage(path);
  const replies = new ReplyStage(path);
  const settlement = new SettlementStage(path);
  const stages: Stage[] = [
    (port, rows) => classifier.run(port, batch, rows),
    () => classifier.keepRequests(admission.run(classifier.requests, classifier.requestCount)),
    ...(path.hot ? [() => path.hot!.begin(classifier.requestCount)] : []),
    () => requests.run(batch, classifier.requests, classifier.requestCount),
    () => requests.send(batch),
    () => runNewcomers(path, requests, batch, admission),
    ...(hotStage ? [() => hotStage.run(batch, path.hot!.rows, path.hot!.rowCount)] : []),
    () => replies.run(batch, classifier.replies, classifier.replyCount),
    () => settlement.run(batch, classifier.replies, classifier.replyCount),
  ];
  if (path.setup.mode === MODE_GATEWAY) stages.push(...returnStages(path, batch, classifier, settlement));
  return stages;
}

/** gateway mode alone: the others pay nothing for it. */
function returnStages(path: Path, batch: Int32Array, classifier: Classifier, settlement: SettlementStage): Stage[] {
  const returns = new ReturnStage(path);
  return [
    () => returns.run(batch, classifier.returns, classifier.returnCount),
    () => settlement.run(batch, classifier.returns, classifier.returnCount),
  ];
}

/** Requests of sources that are not known: as all others, but in slots of their own. */
function runNewcomers(path: Path, requests: RequestStage, batch: Int32Array, admission: AdmissionStage): void {
  if (admission.newcomerCount === 0) return;
  path.slots.aim(true);
  requests.run(batch, admission.newcomers, admission.newcomerCount);
  requests.send(batch);
  path.slots.aim(false);
}
