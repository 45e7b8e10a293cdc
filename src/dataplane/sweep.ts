/**
 * Answers for nodes that do not: a read that waits for a node which is down ends as a miss, once, and at once.
 *
 * Two walks over each circle of the slot table, all bounded by SLOTS_PER_CYCLE:
 *
 *     sweep    backwards from the newest slot, after control has announced it: reads of nodes that are DOWN. By then no
 *              lane steers there any more, so nothing is left behind. Ends at slots past the reply lifetime.
 *     follow   forwards, behind the newest slot by `missAfterMs`: reads of any node that have waited so long. Also runs
 *              while a node is kept though it is down (the last ones are), then for such nodes after KEPT_MS.
 *
 * Only a slot that is wholly unanswered and whose verb asks for a value gets a miss, in the protocol of its request
 * (miss-reply.ts); what comes for it later is dropped as any reply without a slot. A write is not answered: it may or may
 * not have been done, and an error would claim to know. Its client waits its time-out, as for any lost datagram.
 */
import { FRAME_HEADER_BYTES, writeFrameHeader } from '../memcached/frame-header.ts';
import { canMiss, isSayable, NOTE_BYTES, writeMiss } from '../memcached/miss-reply.ts';
import { COUNT } from './counters.ts';
import type { HealthBlock } from './health-block.ts';
import { PAYLOAD_AT, wrapDatagram } from './own-frames.ts';
import type { Path } from './path.ts';
import {
  SLOT_BROADCAST,
  SLOT_CLIENT,
  SLOT_CLIENT_MAC,
  SLOT_CLIENT_PORT,
  SLOT_GATHER,
  SLOT_HOT,
  SLOT_ID_SHIFT,
  SLOT_KEY_HASH,
  SLOT_NODE_PORT,
  SLOT_NOTED,
  SLOT_QUIET,
  SLOT_SENT,
  SLOT_STATE,
  SLOT_VERB_SHIFT,
  type SlotCircle,
  STATE_MASK,
  STATE_OUTSTANDING,
  VERB_MASK,
} from './slot-table.ts';

/** More than a cycle's batches can take, so that `follow` cannot fall behind. */
const SLOTS_PER_CYCLE = 512;
/** Slots in a row past the reply lifetime that end a sweep: a few may lie among younger ones that were passed over. */
const LATE_SLOTS = 64;
/** What a node that is down and kept has for an answer, ms: it may be slow, and not dead. */
const KEPT_MS = 100;

export class Sweep {
  readonly #block: HealthBlock;
  readonly #walks: readonly Walk[];
  readonly #missAfterUs: number;
  #sweeps: number;

  /** @param missAfterMs 0: only for nodes that are down */
  constructor(path: Path, block: HealthBlock, notesOffset: number, missAfterMs: number) {
    this.#block = block;
    this.#missAfterUs = missAfterMs * 1000;
    this.#sweeps = block.sweeps;
    this.#walks = path.slots.circles.map(circle => new Walk(path, block, notesOffset, circle));
  }

  /** Once a cycle, after what came in was handled. Returns the number of slots looked at. */
  turn(): number {
    const { sweeps } = this.#block;
    const begins = sweeps !== this.#sweeps;
    this.#sweeps = sweeps;
    const forAll = this.#missAfterUs !== 0;
    const follows = forAll || this.#block.kept !== 0;
    const waitUs = forAll ? this.#missAfterUs : KEPT_MS * 1000;
    let looked = 0;
    for (let i = 0; i < this.#walks.length; i++) {
      const walk = this.#walks[i];
      if (begins) walk.beginSweep();
      looked += walk.sweep();
      if (follows) looked += walk.follow(waitUs, forAll);
      else walk.endFollow();
    }
    return looked;
  }
}

/** Both walks over one circle. */
class Walk {
  readonly #path: Path;
  readonly #block: HealthBlock;
  readonly #notesOffset: number;
  readonly #circle: SlotCircle;
  /** Slots that the sweep still has to look at, and the next of them. */
  #left = 0;
  #next = 0;
  #late = 0;
  /** The slot that `follow` looks at next; −1: it does not run. */
  #cursor = -1;

  constructor(path: Path, block: HealthBlock, notesOffset: number, circle: SlotCircle) {
    this.#path = path;
    this.#block = block;
    this.#notesOffset = notesOffset;
    this.#circle = circle;
  }

  beginSweep(): void {
    this.#left = this.#circle.length;
    this.#next = this.#circle.before(this.#circle.next);
    this.#late = 0;
  }

  /** Returns the number of slots looked at. */
  sweep(): number {
    if (this.#left === 0) return 0;
    const { slots, nowUs } = this.#path;
    const count = Math.min(this.#left, SLOTS_PER_CYCLE);
    this.#left -= count;
    for (let i = 0; i < count; i++) {
      const slot = this.#circle.word(this.#next);
      this.#late = slots.isLate(slot, nowUs) ? this.#late + 1 : 0;
      if (this.#late === LATE_SLOTS) {
        this.#left = 0;
        return i + 1;
      }
      if (this.#late === 0 && this.#isOpen(slot) && this.#isOfDownNode(slot)) this.#answer(slot);
      this.#next = this.#circle.before(this.#next);
    }
    return count;
  }

  /** @param forAll whether nodes that are not down are meant, too */
  follow(waitUs: number, forAll: boolean): number {
    const { slots, nowUs, memory } = this.#path;
    if (this.#cursor < 0) this.#cursor = this.#circle.next;
    for (let i = 0; i < SLOTS_PER_CYCLE; i++) {
      if (this.#cursor === this.#circle.next) return i;
      const slot = this.#circle.word(this.#cursor);
      if ((nowUs - memory.words[slot + SLOT_SENT]) >>> 0 < waitUs) return i;
      const isMeant = forAll || this.#isOfDownNode(slot);
      if (isMeant && this.#isOpen(slot) && !slots.isLate(slot, nowUs)) this.#answer(slot);
      this.#cursor = this.#circle.after(this.#cursor);
    }
    return SLOTS_PER_CYCLE;
  }

  endFollow(): void {
    this.#cursor = -1;
  }

  /** Whether nothing came for it so far, and a miss would be an answer. Keys that are gathered have a deadline of their own. */
  #isOpen(slot: number): boolean {
    const state = this.#path.memory.words[slot + SLOT_STATE];
    if ((state & STATE_MASK) !== STATE_OUTSTANDING || (state & (SLOT_GATHER | SLOT_BROADCAST | SLOT_HOT)) !== 0)
      return false;
    return canMiss((state >>> SLOT_VERB_SHIFT) & VERB_MASK);
  }

  #isOfDownNode(slot: number): boolean {
    return this.#block.isDown(this.#path.memory.words[slot + SLOT_NODE_PORT] >>> 16);
  }

  /** To a quiet read, silence is the miss. What cannot be said stays outstanding: the node's own answer may yet come. */
  #answer(slot: number): void {
    const { memory, slots, clientOut } = this.#path;
    const state = memory.words[slot + SLOT_STATE];
    if ((state & SLOT_QUIET) !== 0) return slots.free(slot);
    const note = (state & SLOT_NOTED) === 0 ? -1 : this.#notesOffset + slots.indexOf(slot) * NOTE_BYTES;
    if (!isSayable(memory.bytes, note)) return;
    const offset = clientOut.claim();
    if (offset < 0) return;
    // Nobody may be told of a value again who has been told that there is none.
    this.#path.hotLane?.missed(memory.words[slot + SLOT_KEY_HASH]);
    clientOut.send(offset, this.#write(slot, state, note, offset), 0, 0);
    slots.free(slot);
    memory.counters[COUNT.misses_answered] += 1;
  }

  /** The miss as a whole frame at `offset`; returns its length. */
  #write(slot: number, state: number, note: number, offset: number): number {
    const { memory, clientPort, setup } = this.#path;
    const { bytes, view, words } = memory;
    const payload = offset + PAYLOAD_AT;
    const verb = (state >>> SLOT_VERB_SHIFT) & VERB_MASK;
    writeFrameHeader(bytes, payload, state >>> SLOT_ID_SHIFT, 0, 1);
    const body = writeMiss(bytes, payload + FRAME_HEADER_BYTES, verb, bytes, note);
    return wrapDatagram(
      view,
      offset,
      words[slot + SLOT_CLIENT_PORT] >>> 16,
      words[slot + SLOT_CLIENT_MAC],
      clientPort.macHigh,
      clientPort.macLow,
      setup.vip,
      setup.vipPort,
      words[slot + SLOT_CLIENT],
      words[slot + SLOT_CLIENT_PORT] & 0xffff,
      FRAME_HEADER_BYTES + body,
    );
  }
}
