/**
 * A lane whose every frame lies between canaries, to find out whether it writes where it should not. No wire behind the
 * ports: what is offered is received, what is transmitted is kept as a copy.
 *
 *     | canaries, headroom among them | room of a frame | canaries, headroom … | room of a frame | canaries |
 *
 * Slot table, parking and counters lie between canaries too.
 */

import { Fragments } from '../../src/dataplane/fragments.ts';
import { gathersByteLength } from '../../src/dataplane/gather.ts';
import { HOLDING_BYTES } from '../../src/dataplane/holding.ts';
import { BATCH_BYTES, Lane } from '../../src/dataplane/lane.ts';
import { latencyByteLength } from '../../src/dataplane/latency.ts';
import { laneCountersByteLength, nodeCountersByteLength } from '../../src/dataplane/memory.ts';
import { OUTBOX_BYTES } from '../../src/dataplane/outbox.ts';
import { Parking } from '../../src/dataplane/parking.ts';
import type { PathSetup } from '../../src/dataplane/setup.ts';
import { slotTableByteLength } from '../../src/dataplane/slot-table.ts';
import { sourceTableByteLength } from '../../src/dataplane/source-table.ts';
import { Arena } from '../../src/mem/arena.ts';
import { NOTE_BYTES } from '../../src/memcached/miss-reply.ts';
import {
  PORT_COUNTERS,
  type Port,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_PORT_BITS,
} from '../../src/port/port.ts';
import {
  endedFrames,
  type LaneBed,
  macWords,
  NF_CLIENT_MAC,
  NF_SERVER_MAC,
  type Sent,
  type Side,
  waitingFrames,
} from './lane-bed.ts';

/** Frames in one cycle, and so in one port. */
export const CANARY_FRAMES = 64;
export const CANARY_ROOM_BYTES = 1514;
const CANARY = 0xc5c5c5c5 | 0;
const GUARD_BYTES = 128;
/** A multiple of 64, so that every run of canaries is whole words. */
const PLACE_BYTES = 1536;

export class CanaryPort implements Port {
  readonly id: number;
  readonly name: Side;
  readonly macHigh: number;
  readonly macLow: number;
  readonly vlan = 0;
  readonly frameBytesMax = CANARY_ROOM_BYTES;
  readonly roomBytes = CANARY_ROOM_BYTES;
  readonly handle = -1;
  readonly counters = new Float64Array(PORT_COUNTERS.length);
  readonly sent: Sent[] = [];
  /** Frames received so far. */
  received = 0;
  readonly #memory: GuardedMemory;
  readonly #places: readonly number[];
  readonly #claims: readonly number[];
  readonly #offered: number[] = [];
  #claimed = 0;

  constructor(memory: GuardedMemory, side: Side, id: number, mac: string) {
    const { high, low } = macWords(mac);
    this.id = id;
    this.name = side;
    this.macHigh = high;
    this.macLow = low;
    this.#memory = memory;
    this.#places = Array.from({ length: CANARY_FRAMES }, () => memory.take(PLACE_BYTES));
    this.#claims = Array.from({ length: 4 }, () => memory.take(PLACE_BYTES));
  }

  /** The next `receive` hands this out too. */
  offer(frame: Uint8Array, flags: number): void {
    const at = this.#places[this.#offered.length / 3]!;
    this.#memory.arena.bytes.set(frame, at);
    this.#offered.push(at, frame.length, flags);
  }

  receive(batch: Int32Array): number {
    const rows = this.#offered.length / 3;
    for (let i = 0; i < rows; i++) batch.set([...this.#offered.slice(i * 3, i * 3 + 3), -1], i * ROW_WORDS);
    this.received += rows;
    this.#offered.length = 0;
    return rows;
  }

  transmit(batch: Int32Array, rows: number): number {
    const before = this.sent.length;
    for (let row = 0; row < rows * ROW_WORDS; row += ROW_WORDS) {
      if ((batch[row + ROW_VERDICT]! & VERDICT_PORT_BITS) !== this.id) continue;
      const offset = batch[row + ROW_OFFSET]!;
      const length = batch[row + ROW_LENGTH]!;
      if (length > CANARY_ROOM_BYTES) throw new Error(`${this.name}: a frame of ${length} bytes leaves`);
      const frame = this.#memory.arena.bytes.slice(offset, offset + length);
      this.sent.push({ side: this.name, frame, flags: batch[row + ROW_FLAGS]! });
    }
    this.#claimed = 0;
    return this.sent.length - before;
  }

  release(): void {}

  claim(): number {
    return this.#claims[this.#claimed++] ?? -1;
  }

  refreshCounters(): void {}

  close(): void {}
}

/** An arena in which everything that is handed out lies between canaries. */
export class GuardedMemory {
  readonly arena: Arena;
  /** First word and number of words of each run of canaries. */
  readonly #runs: (readonly [number, number])[] = [];

  constructor(byteLength: number) {
    this.arena = Arena.create(byteLength);
    this.#guard(GUARD_BYTES);
  }

  /** Bytes of a place for one frame beyond CANARY_ROOM_BYTES belong to the guard behind it. */
  take(byteLength: number): number {
    const offset = this.arena.allocate(byteLength);
    this.#guard(GUARD_BYTES);
    return offset;
  }

  /** @throws Error that says where somebody wrote */
  assertCanaries(): void {
    const { words } = this.arena;
    for (const [first, count] of this.#runs) {
      for (let word = first; word < first + count; word++) {
        if (words[word] !== CANARY) throw new Error(`a canary died, ${(word - first) * 4} bytes into a guard`);
      }
    }
  }

  #guard(byteLength: number): void {
    const first = this.arena.allocate(byteLength) >> 2;
    this.arena.words.fill(CANARY, first, first + byteLength / 4);
    this.#runs.push([first, byteLength / 4]);
  }
}

export class CanaryBed {
  readonly world: LaneBed;
  readonly lane: Lane;
  readonly client: CanaryPort;
  readonly server: CanaryPort;
  readonly #memory: GuardedMemory;

  /** @param world whose nodes, table and neighbours the lane uses; its own lane stands still */
  constructor(world: LaneBed) {
    this.world = world;
    const like = world.setup();
    const slots = slotTableByteLength(like.slots);
    const parking = Parking.byteLength(like.parkingFrames, CANARY_ROOM_BYTES);
    const gathers = gathersByteLength(like.multiget);
    const frames = 2 * (CANARY_FRAMES + 4) * (PLACE_BYTES + GUARD_BYTES);
    const fragments = Fragments.byteLength(like.fragments.datagrams);
    const sources = sourceTableByteLength(like.sourceRows);
    const tables = slots + sources + parking + gathers + fragments;
    this.#memory = new GuardedMemory(tables + frames + 65_536);
    const setup: PathSetup = {
      ...like,
      slotsOffset: this.#memory.take(slots),
      parkingOffset: this.#memory.take(parking),
      holdingOffset: this.#memory.take(HOLDING_BYTES),
      countersOffset: this.#memory.take(laneCountersByteLength()),
      nodeCountersOffset: this.#memory.take(nodeCountersByteLength(like.nodesMax)),
      fragmentsOffset: this.#memory.take(fragments),
      outboxOffset: this.#memory.take(2 * OUTBOX_BYTES),
      sourcesOffset: this.#memory.take(sources),
      gathersOffset: this.#memory.take(gathers),
      missNotesOffset: this.#memory.take(like.slots * NOTE_BYTES),
      latencyOffset: this.#memory.take(latencyByteLength()),
    };
    this.client = new CanaryPort(this.#memory, 'client', 0, NF_CLIENT_MAC);
    this.server = new CanaryPort(this.#memory, 'server', 1, NF_SERVER_MAC);
    const batch = new Int32Array(BATCH_BYTES / 4);
    this.lane = new Lane(setup, this.#memory.arena, world.shared, [this.client, this.server], batch);
  }

  /**
   * One cycle over what was offered; hands over what left, not yet judged.
   * @throws Error when a canary died, or a frame was counted twice or not at all
   */
  cycle(ms: number): readonly Sent[] {
    this.world.nowMs += ms;
    this.lane.cycle(this.world.nowMs);
    this.#memory.assertCanaries();
    const { path } = this.lane;
    const ended = endedFrames(path.memory.counters) + waitingFrames(path);
    const lost = this.client.received + this.server.received - ended;
    if (lost !== 0) throw new Error(`${lost} frames are in no counter`);
    return [...this.client.sent.splice(0), ...this.server.sent.splice(0)];
  }
}
