/**
 * The thread of a lane: a Lane of the product on memory and ports that outlive it. It turns when frames have come, after
 * what a thread takes to notice, and else as often as a sleeping lane looks up; it stalls and dies when it is told to, also
 * in the middle of a cycle.
 */

import type { LaneArena } from '../../src/control/memory-plan.ts';
import { COUNT } from '../../src/dataplane/counters.ts';
import { BATCH_BYTES, Lane } from '../../src/dataplane/lane.ts';
import type { PathSetup } from '../../src/dataplane/setup.ts';
import type { Arena } from '../../src/mem/arena.ts';
import { endedFrames, waitingFrames } from '../support/lane-bed.ts';
import type { EventQueue, EventTarget } from './events.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import { LaneDeath, type SimPort } from './sim-port.ts';

const CYCLE = 0;
const RESTART = 1;
/** How long a thread takes to notice a frame: at least, and more on average, ms. */
const NOTICE_MS_MIN = 0.004;
const NOTICE_MS_MEAN = 0.015;
/** Until the next cycle while frames wait. */
const BUSY_MS = 0.01;
/** What the conductor waits before it starts a lane again. */
const RESTART_MS = 10;
/** Calls of a port until a death in the middle of a cycle. */
const TRAP_CALLS_MAX = 8;

/** Misses that Keysteer says by itself, for nodes that do not. */
const DOUBTS = [COUNT.misses_answered, COUNT.multiget_unanswered, COUNT.multiget_node_errors, COUNT.multiget_abandoned];

export interface LanePlace {
  readonly events: EventQueue;
  readonly network: Network;
  readonly random: Random;
  readonly shared: Arena;
  readonly setup: PathSetup;
  readonly memory: LaneArena;
  readonly ports: readonly SimPort[];
  /** How long a lane that has nothing to do sleeps, ms. */
  readonly waitMs: number;
  /** What the conductor does when the thread is gone. */
  readonly onDeath: (lane: LaneHost) => void;
  readonly onCycle: () => void;
}

export class LaneHost implements EventTarget {
  readonly name: string;
  readonly memory: LaneArena;
  readonly setup: PathSetup;
  /** Deaths so far. */
  deaths = 0;
  readonly #place: LanePlace;
  readonly #batch: Int32Array;
  readonly #held = new Int32Array(1);
  #lane: Lane | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  /** Event that counts: those scheduled before it are stale. */
  #turn = 0;
  #stalledUntilMs = 0;
  #isOver = false;
  readonly #doubts = new Float64Array(DOUBTS.length);
  /** Slots of the frames that this cycle has sent to clients. */
  readonly #said: number[] = [];

  constructor(place: LanePlace) {
    this.#place = place;
    this.memory = place.memory;
    this.setup = place.setup;
    this.name = `lane ${place.setup.lane}`;
    this.#batch = new Int32Array(place.memory.arena.buffer, place.memory.batchOffset, BATCH_BYTES / 4);
    this.#start();
  }

  get lane(): Lane | undefined {
    return this.#lane;
  }

  /** A frame has come to one of its ports. */
  wake(): void {
    if (this.#lane === undefined) return;
    const { events, random } = this.#place;
    this.#schedule(events.nowMs + NOTICE_MS_MIN + random.exponential(NOTICE_MS_MEAN));
  }

  /** A frame of this cycle is on its way to a client. */
  noteSaid(slot: number): void {
    this.#said.push(slot);
  }

  /** Turns no cycle for so long. */
  stall(ms: number): void {
    this.#place.network.trace?.(this.name, `* stalls for ${ms.toFixed(1)} ms`);
    this.#stalledUntilMs = this.#place.events.nowMs + ms;
  }

  /** Dies now, or within one of its next cycles. */
  kill(isWithinCycle: boolean): void {
    const { ports, random } = this.#place;
    if (this.#lane === undefined) return;
    if (isWithinCycle) random.of(ports).trap = random.whole(1, TRAP_CALLS_MAX);
    else this.#die();
  }

  /** Frames received that ended in no counter and wait for nothing; unknown, so 0, once it has died. */
  unaccounted(): number {
    if (this.#lane === undefined || this.deaths > 0) return 0;
    const { path } = this.#lane;
    const { counters } = path.memory;
    const received = this.#place.ports.reduce((sum, port) => sum + port.received, 0);
    return received + counters[COUNT.taken_over]! - endedFrames(counters) - waitingFrames(path);
  }

  /** With the whole process: it never turns again. */
  end(): void {
    this.#isOver = true;
    this.#lane = undefined;
  }

  happen(kind: number, turn: number): void {
    if (this.#isOver) return;
    if (kind === RESTART) return this.#start();
    if (turn !== this.#turn || this.#lane === undefined) return;
    this.#dueMs = Number.POSITIVE_INFINITY;
    if (this.#place.events.nowMs < this.#stalledUntilMs) return this.#schedule(this.#stalledUntilMs);
    this.#cycle(this.#lane);
  }

  #cycle(lane: Lane): void {
    const { events, ports, waitMs, onCycle } = this.#place;
    this.#said.length = 0;
    try {
      lane.cycle(events.nowMs);
    } catch (error) {
      if (!(error instanceof LaneDeath)) throw error;
      this.#markDoubts();
      return this.#die();
    }
    this.#markDoubts();
    onCycle();
    let isBusy = false;
    for (const port of ports) isBusy ||= port.waiting > 0;
    this.#schedule(events.nowMs + (isBusy ? BUSY_MS : waitMs));
  }

  /** Where the lane has made misses up in this cycle, no miss that left in it is sure. */
  #markDoubts(): void {
    const { arena, countersOffset } = this.memory;
    let moved = false;
    for (let i = 0; i < DOUBTS.length; i++) {
      const count = arena.floats[(countersOffset >> 3) + DOUBTS[i]!]!;
      moved ||= count !== this.#doubts[i];
      this.#doubts[i] = count;
    }
    if (!moved) return;
    for (const slot of this.#said) this.#place.network.pool.doubtful[slot] = 1;
  }

  #schedule(ms: number): void {
    if (ms >= this.#dueMs) return;
    this.#dueMs = ms;
    this.#place.events.at(ms, this, CYCLE, ++this.#turn);
  }

  #start(): void {
    const { events, setup, memory, shared, ports } = this.#place;
    const lane = new Lane(setup, memory.arena, shared, ports, this.#batch, this.#held, events.nowMs);
    const { counters } = lane.path.memory;
    for (const port of ports) counters[COUNT.drop_lane_crash]! += port.discardInterrupted();
    this.#lane = lane;
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#schedule(events.nowMs + BUSY_MS);
  }

  #die(): void {
    const { events, network, onDeath } = this.#place;
    network.trace?.(this.name, '* dies');
    this.deaths++;
    this.#lane = undefined;
    onDeath(this);
    events.in(RESTART_MS, this, RESTART);
  }
}
