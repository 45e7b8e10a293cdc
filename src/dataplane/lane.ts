/**
 * A lane: one thread, its own queue on each port, one duty cycle.
 *
 *     for each port: receive → handle each frame → transmit on each port → release
 *     then what time demands: parked frames, ARP
 */
import type { Arena } from '../mem/arena.ts';
import { type Port, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, ROW_WORDS } from '../port/port.ts';
import { COUNT } from './counters.ts';
import { Grouping } from './grouping.ts';
import { writeArpRequest } from './host.ts';
import { NatPath } from './nat.ts';
import type { PathSetup } from './setup.ts';

/** Frames taken from a port at once: enough to spread the cost of a kernel call, few enough to stay in the L2 cache. */
export const BATCH_ROWS = 64;
const ARP_TICK_MS = 10;
const REFRESH_MS = 1000;

/** Bytes of a lane's batch. */
const BATCH_WORDS = BATCH_ROWS * ROW_WORDS;
/** Bytes that a lane needs for its batches: as received, and as grouped for transmit. */
export const BATCH_BYTES = 2 * BATCH_WORDS * 4;

export class Lane {
  readonly path: NatPath;
  readonly #ports: readonly Port[];
  readonly #batch: Int32Array;
  readonly #grouped: Int32Array;
  readonly #grouping: Grouping;
  readonly #isFirst: boolean;
  readonly #ownAddress: number;
  #arpDueMs = 0;
  #refreshDueMs = 0;

  /** @param batch `BATCH_BYTES` of the arena that holds the frames */
  constructor(setup: PathSetup, arena: Arena, shared: Arena, ports: readonly Port[], batch: Int32Array) {
    const portById = (id: number) => {
      const port = ports.find(candidate => candidate.id === id);
      if (!port) throw new RangeError(`lane: there is no port with id ${id}`);
      return port;
    };
    this.path = new NatPath(setup, arena, shared, portById(setup.clientPort), portById(setup.serverPort));
    this.#ports = ports;
    this.#batch = batch.subarray(0, BATCH_WORDS);
    this.#grouped = batch.subarray(BATCH_WORDS, 2 * BATCH_WORDS);
    this.#grouping = new Grouping(BATCH_ROWS, setup.nodesMax);
    this.#isFirst = setup.lane === 0;
    this.#ownAddress = setup.ownAddress;
  }

  /** One cycle at `nowMs` of the lane's clock (fractions count). Returns the frames received and sent on from parking. */
  cycle(nowMs: number): number {
    this.path.enter(nowMs);
    let work = 0;
    for (let i = 0; i < this.#ports.length; i++) work += this.#servePort(this.#ports[i]);
    if (this.path.parking.count !== 0) work += this.#serveParked();
    if (this.#isFirst && nowMs >= this.#arpDueMs) this.#serveNeighbours(nowMs);
    if (nowMs >= this.#refreshDueMs) this.#refresh(nowMs);
    this.path.memory.counters[COUNT.cycles] += 1;
    return work;
  }

  /** Brings the ports' kernel-side counters up to date. */
  refreshCounters(): void {
    for (const port of this.#ports) port.refreshCounters();
  }

  #servePort(port: Port): number {
    const batch = this.#batch;
    const rows = port.receive(batch, BATCH_ROWS);
    if (rows === 0) return 0;
    const { path } = this;
    const { nodes } = this.#grouping;
    let senders = 0;
    for (let i = 0; i < rows; i++) {
      const row = i * ROW_WORDS;
      const verdict = path.handle(port, batch, row);
      batch[row + ROW_VERDICT] = verdict;
      nodes[i] = path.node;
      senders |= 1 << verdict;
    }
    if (port === path.clientPort) {
      this.#grouping.arrange(batch, this.#grouped, rows);
      this.#transmit(this.#grouped, rows, senders);
    } else {
      this.#transmit(batch, rows, senders);
    }
    port.release(batch, rows);
    return rows;
  }

  /** @param senders bit i: some row's verdict is the port with id i (DROP, −1, sets a bit that is no port's) */
  #transmit(batch: Int32Array, rows: number, senders: number): void {
    for (let i = 0; i < this.#ports.length; i++) {
      const port = this.#ports[i];
      if ((senders & (1 << port.id)) !== 0) port.transmit(batch, rows);
    }
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
        batch[row + ROW_VERDICT] = this.path.sendTo(parking.offset(i), neighbour);
        parking.leave(i);
        memory.count(COUNT.parked_sent);
      } else if (neighbours.hasFailed(neighbour)) {
        memory.count(COUNT.drop_neighbour_unreachable);
        parking.leave(i);
      } else {
        i++;
      }
    }
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

  #refresh(nowMs: number): void {
    this.#refreshDueMs = nowMs + REFRESH_MS;
    this.refreshCounters();
  }
}
