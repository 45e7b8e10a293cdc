/**
 * A real lane among ports in memory, with a clock that whoever drives it turns: no addon, no interface, no privileges.
 *
 *     const bed = new Bed(config, macs);
 *     bed.hear('client', frame, nowMs)      what the lane sent, and which of its counters moved
 */
import type { Config } from '../control/config/normalise.ts';
import { type LaneArena, planLaneMemory, planSharedMemory } from '../control/memory-plan.ts';
import { CLIENT_PORT, pathSetup, SERVER_PORT } from '../control/path-setup.ts';
import { publishTables } from '../control/publish-tables.ts';
import { versionText } from '../control/version.ts';
import { LANE_COUNTERS, NODE_COUNTER_COUNT, NODE_COUNTERS } from '../dataplane/counters.ts';
import { BATCH_BYTES, Lane } from '../dataplane/lane.ts';
import { Arena } from '../mem/arena.ts';
import { countersAt } from '../mem/counters.ts';
import { type LoopbackPort, loopbackByteLength, openLoopback } from '../port/loopback.ts';
import { completeChecksum, partialChecksumFlags } from '../port/partial-checksum.ts';
import {
  BATCH_ROWS_MAX,
  FLAG_TRUNCATED,
  PORT_COUNTERS,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_WORDS,
} from '../port/port.ts';
import type { Mac } from '../wire/mac-text.ts';

/** In one-arm everything passes by `client`. */
export type Side = 'client' | 'server';

export interface SentFrame {
  readonly side: Side;
  readonly bytes: Uint8Array;
}

export interface Outcome {
  readonly sent: readonly SentFrame[];
  /** Counters that moved, and by how much. */
  readonly counted: Readonly<Record<string, number>>;
}

export interface NodeFigures {
  readonly name: string;
  readonly counters: Readonly<Record<string, number>>;
}

/** What a lane can send in one cycle must fit. */
const RING_FRAMES = 1024;
const MTU = 1500;
const RING_DROPPED = PORT_COUNTERS.indexOf('ring_dropped');
/** Counters that do not tell what became of a frame. */
const NOT_OF_FRAMES = new Set(['cycles', 'idle_waits', 'idle_us']);

/** A replay is the same each time: nothing in it is drawn by lot, no clock is read. */
const REPLAYED = { sourceSeeds: [0, 0], version: versionText(), lanes: [], pid: 0, timeOrigin: 0 } as const;

interface Wire {
  readonly side: Side;
  /** The lane's end and the world's. */
  readonly near: LoopbackPort;
  readonly far: LoopbackPort;
  readonly farArena: Arena;
}

export class Bed {
  readonly config: Config;
  readonly #lane: Lane;
  readonly #memory: LaneArena;
  readonly #wires: Wire[];
  readonly #batch = new Int32Array(BATCH_ROWS_MAX * ROW_WORDS);

  /** @param config of its lanes, one is run. @param macs by which the ports answer */
  constructor(config: Config, macs: Readonly<Record<Side, Mac>>) {
    // Which keys are hot depends on what came before the capture, and Keysteer's own requests would find no node.
    this.config = { ...config, lanes: 1, hot: { ...config.hot, enabled: false } };
    const sides: Side[] = config.ports.server ? ['client', 'server'] : ['client'];
    const nodesMax = Math.max(config.nodes.length, 1);
    const shared = planSharedMemory(this.config, nodesMax);
    // What a lane's plan sets aside for rings of this size is enough for those of a loopback.
    this.#memory = planLaneMemory(
      this.config,
      nodesMax,
      sides.map(() => ({ transport: 'af_packet', ringFrames: RING_FRAMES, mtu: MTU })),
    );
    this.#wires = sides.map(side => openWire(side, this.#memory.arena, macs[side]));
    publishTables(this.config, shared);
    this.#lane = new Lane(
      // One circle of slots: who is known to the gatekeeper depends on what came before the capture.
      { ...pathSetup(this.config, 0, this.#memory, shared, REPLAYED), newcomerSlots: 0 },
      this.#memory.arena,
      shared.arena,
      this.#wires.map(({ near }) => near),
      new Int32Array(this.#memory.arena.buffer, this.#memory.batchOffset, BATCH_BYTES / 4),
    );
  }

  /**
   * A frame arrives; the lane turns one cycle at `nowMs` of its clock.
   * @param isCut the capture holds less of it than the wire did
   */
  hear(side: Side, frame: Uint8Array, nowMs: number, isCut = false): Outcome {
    const { near } = this.#wires.find(wire => wire.side === side) ?? this.#wires[0];
    const whole = frame.length <= near.frameBytesMax;
    const bytes = whole ? frame : frame.subarray(0, near.frameBytesMax);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const flags = partialChecksumFlags(view, 0, bytes.length) | (whole && !isCut ? 0 : FLAG_TRUNCATED);
    near.inject(bytes, flags);
    return this.turn(nowMs);
  }

  /** One cycle without a frame. */
  turn(nowMs: number): Outcome {
    const { counters } = this.#lane.path.memory;
    const before = counters.slice();
    this.#lane.cycle(nowMs);
    const counted: Record<string, number> = {};
    for (const [i, name] of LANE_COUNTERS.entries()) {
      if (counters[i] !== before[i] && !NOT_OF_FRAMES.has(name)) counted[name] = counters[i] - before[i];
    }
    return { sent: this.#wires.flatMap(wire => this.#takeAll(wire)), counted };
  }

  /** All counters of frames, without the zeros. */
  get counters(): Record<string, number> {
    const { counters } = this.#lane.path.memory;
    const rows = LANE_COUNTERS.map((name, i) => [name, counters[i]] as const);
    return Object.fromEntries(rows.filter(([name, count]) => count > 0 && !NOT_OF_FRAMES.has(name)));
  }

  get nodes(): NodeFigures[] {
    const { arena, nodeCountersOffset } = this.#memory;
    return this.config.nodes.map(({ name }, node) => {
      const counters = countersAt(arena.buffer, nodeCountersOffset + node * NODE_COUNTER_COUNT * 8, NODE_COUNTERS);
      return { name, counters: Object.fromEntries(NODE_COUNTERS.map((counter, i) => [counter, counters[i]])) };
    });
  }

  /** What lies at the world's end of a wire, as it would leave a network card. */
  #takeAll({ side, far, farArena }: Wire): SentFrame[] {
    if (far.counters[RING_DROPPED] > 0) throw new RangeError(`bed: more than ${RING_FRAMES} frames sent in one cycle`);
    const batch = this.#batch;
    const sent: SentFrame[] = [];
    for (let rows = far.receive(batch, BATCH_ROWS_MAX); rows > 0; rows = far.receive(batch, BATCH_ROWS_MAX)) {
      for (let row = 0; row < rows * ROW_WORDS; row += ROW_WORDS) {
        const offset = batch[row + ROW_OFFSET];
        completeChecksum(farArena.view, offset, batch[row + ROW_FLAGS]);
        sent.push({ side, bytes: farArena.bytes.slice(offset, offset + batch[row + ROW_LENGTH]) });
      }
      far.release(batch, rows);
    }
    return sent;
  }
}

function openWire(side: Side, arena: Arena, mac: Mac): Wire {
  const farArena = Arena.create(loopbackByteLength(RING_FRAMES, MTU));
  const id = side === 'client' ? CLIENT_PORT : SERVER_PORT;
  const { near, far } = openLoopback({
    near: { arena, id, name: side, macHigh: mac.high, macLow: mac.low },
    far: { arena: farArena },
    ringFrames: RING_FRAMES,
    mtu: MTU,
  });
  return { side, near, far, farArena };
}
