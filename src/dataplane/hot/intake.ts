/**
 * Takes in writes to hot keys, the item's lock in hand: repeats are told apart, what can be fenced is carried out by us
 * (writes.ts), anything else is relayed: the client's own request travels to home, once, while nothing is known of the key.
 *
 *     relayed ─answered→ CLEAN, nothing known          ─silence→ UNSURE until it cannot arrive any more
 *
 * Where a client wants no answer (noreply), we do: the word is blanked, and the answer ends here.
 */
import { BODY_BYTES_MAX, ITEM_KEY_HASH, ITEM_KEY_LENGTH } from '../../cache/items.ts';
import * as directory from '../../coherence/directory.ts';
import { hashKey } from '../../mem/murmur3.ts';
import { FRAME_HEADER_BYTES, requestId } from '../../memcached/frame-header.ts';
import {
  OUT_FLAGS,
  OUT_PROTOCOL,
  OUT_VALUE_LENGTH,
  OUT_VALUE_OFFSET,
  PROTOCOL_META,
  REQUEST_NOREPLY,
  REQUEST_QUIET,
} from '../../memcached/located.ts';
import { hasFlag } from '../../memcached/meta-flags.ts';
import { STATUS_EN, STATUS_HD } from '../../memcached/reply.ts';
import { readTerms, TERM_WORDS, WRITE_OTHER } from '../../memcached/write-terms.ts';
import { DROP, FLAG_PARTIAL_CHECKSUM, ROW_FLAGS, ROW_OFFSET } from '../../port/port.ts';
import * as ethernet from '../../wire/ethernet.ts';
import * as ipv4 from '../../wire/ipv4.ts';
import * as udp from '../../wire/udp.ts';
import type { Asked } from '../asked.ts';
import { COUNT } from '../counters.ts';
import type { Forwarder } from '../forward.ts';
import type { Path } from '../path.ts';
import { SLOT_CLIENT, SLOT_HOT, SLOT_STATE } from '../slot-table.ts';
import { type Hits, NO_HIT } from './hits.ts';
import type { HotKeys } from './keys.ts';
import * as op from './operations.ts';
import { type Repeats, UNDER_WAY } from './repeats.ts';
import type { Sender } from './sender.ts';
import type { Upkeep } from './upkeep.ts';
import type { Writes } from './writes.ts';

/** What stands around key and value in a body, at most. */
const BODY_WORDS_BYTES = 32;
/** Of op.FLAGS: the client wants no answer; it wants none that says nothing new. */
const SILENT = 1;
const QUIET = 2;
/** What `relayed` says. */
export const RELAYED = 1;
export const RELAYED_QUIETLY = 2;
/** Flags I, N and R. */
const MARKING = [0x49, 0x4e, 0x52] as const;
const LETTER_Q = 0x71;
const NOREPLY_BYTES = 7;
const LETTER_Y = 0x79;
const SPACE = 0x20;
/** How long a relayed request may take, ms. */
const RELAY_MS = 150;

export class Intake {
  readonly #path: Path;
  readonly #keys: HotKeys;
  readonly #operations: op.Operations;
  readonly #sender: Sender;
  readonly #writes: Writes;
  readonly #upkeep: Upkeep;
  readonly #repeats: Repeats;
  readonly #hits: Hits;
  readonly #terms = new Int32Array(TERM_WORDS);
  #client = 0;
  #portAndId = 0;
  #hash = 0;

  constructor(
    path: Path,
    keys: HotKeys,
    operations: op.Operations,
    sender: Sender,
    writes: Writes,
    upkeep: Upkeep,
    repeats: Repeats,
    hits: Hits,
  ) {
    this.#path = path;
    this.#keys = keys;
    this.#operations = operations;
    this.#sender = sender;
    this.#writes = writes;
    this.#upkeep = upkeep;
    this.#repeats = repeats;
    this.#hits = hits;
  }

  /** Takes the request in; the lock is ours, and given back unless something is under way. Returns a verdict, or NO_HIT: wait. */
  write(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    end: number,
    item: number,
    asked: Asked,
    forwarder: Forwarder,
  ): number {
    const { words } = this.#keys;
    const phase = directory.stateOf(words, item);
    if (phase !== directory.CLEAN && phase !== directory.UNSURE) return this.#leave(item);
    const repeated = this.repeated(batch, row, ipOffset, udpOffset, end);
    if (repeated !== NO_HIT) {
      directory.unlock(words, item);
      return repeated;
    }
    this.#upkeep.settleHome(item);
    const isFenceable = this.#isFenceable(udpOffset, end, item, asked);
    if (directory.stateOf(words, item) === directory.UNSURE && !this.#isResolvable(item, isFenceable))
      return this.#leave(item);
    if (!isFenceable && this.#upkeep.isTomb(item)) {
      const verdict = this.#hits.absent(batch, row, ipOffset, udpOffset, asked);
      // What home has is of before: it goes before anything is relayed there.
      if (verdict !== NO_HIT || this.#upkeep.isBurialDue(item)) {
        directory.unlock(words, item);
        this.#upkeep.buryIfDue(item);
        return verdict;
      }
    }
    if (!isFenceable) return this.#relay(batch, row, ipOffset, udpOffset, end, item, asked, forwarder);
    return this.#carryOut(batch, row, udpOffset, end, item);
  }

  /** The verdict for a request that was carried out before, or is under way; NO_HIT for a new one. */
  repeated(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { bytes, view } = this.#path.memory;
    const payload = udpOffset + udp.HEADER_BYTES;
    const start = payload + FRAME_HEADER_BYTES;
    this.#client = ipv4.source(view, ipOffset);
    this.#portAndId = (udp.sourcePort(view, udpOffset) << 16) | requestId(bytes, payload);
    this.#hash = hashKey(bytes, view, start, end - start);
    const known = this.#repeats.find(this.#client, this.#portAndId, this.#hash, this.#keys.nowMs);
    if (known < 0) return NO_HIT;
    this.#path.memory.counters[COUNT.hot_repeats] += 1;
    const length = this.#repeats.answerBytes(known);
    if (length === UNDER_WAY || length === 0) return DROP;
    const { answers } = this.#repeats;
    return this.#hits.repeat(batch, row, ipOffset, udpOffset, answers, this.#repeats.answerAt(known), length);
  }

  #leave(item: number): number {
    directory.unlock(this.#keys.words, item);
    return NO_HIT;
  }

  /** An unresolved write that bears a fence, or is an `ME`, can be resolved by the next one; no other. */
  #isResolvable(item: number, isFenceable: boolean): boolean {
    return isFenceable && (this.#keys.words[item + directory.STATE] & (directory.CAS_KNOWN | directory.LOOSE)) !== 0;
  }

  #isFenceable(udpOffset: number, end: number, item: number, asked: Asked): boolean {
    const { bytes, view } = this.#path.memory;
    const start = udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
    if (end - start > op.REQUEST_BYTES_MAX) return false;
    const partBytes = this.#keys.words[item + ITEM_KEY_LENGTH] + Math.max(0, asked.located[OUT_VALUE_LENGTH]);
    if (partBytes + BODY_WORDS_BYTES > BODY_BYTES_MAX || partBytes > this.#path.serverPort.frameBytesMax - LINE_BYTES)
      return false;
    return readTerms(bytes, view, start, asked.located, this.#terms) !== WRITE_OTHER;
  }

  #carryOut(batch: Int32Array, row: number, udpOffset: number, end: number, item: number): number {
    const operation = this.#operations.take(op.OPERATION_WRITE, item);
    if (operation < 0) return this.#leave(item);
    const { bytes } = this.#path.memory;
    const start = udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
    const ops = this.#operations.words;
    this.#noteClient(operation, batch, row, udpOffset);
    ops[operation + op.REQUEST_BYTES] = end - start;
    bytes.copyWithin(this.#operations.buffer(operation), start, end);
    ops[operation + op.REPEAT] = this.#repeats.begin(this.#client, this.#portAndId, this.#hash, this.#keys.nowMs);
    this.#writes.begin(operation);
    return DROP;
  }

  #noteClient(operation: number, batch: Int32Array, row: number, udpOffset: number): void {
    const { bytes, view } = this.#path.memory;
    const ops = this.#operations.words;
    const offset = batch[row + ROW_OFFSET];
    ops[operation + op.CLIENT] = this.#client;
    ops[operation + op.CLIENT_PORT] = udp.sourcePort(view, udpOffset) | (ethernet.sourceHigh(view, offset) << 16);
    ops[operation + op.CLIENT_MAC] = ethernet.sourceLow(view, offset);
    ops[operation + op.CLIENT_ID] = requestId(bytes, udpOffset + udp.HEADER_BYTES);
    ops[operation + op.CLIENT_FLAGS] = batch[row + ROW_FLAGS];
  }

  /** Whether the request may leave marks on the item (directory.MARKED). */
  #marks({ located }: Asked): boolean {
    if (located[OUT_PROTOCOL] !== PROTOCOL_META) return false;
    const { bytes } = this.#path.memory;
    return MARKING.some(letter => hasFlag(located, bytes, letter));
  }

  #relay(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    end: number,
    item: number,
    asked: Asked,
    forwarder: Forwarder,
  ): number {
    const { words, nowMs, readMs, answeredMs } = this.#keys;
    const node = this.#sender.homeOf(item);
    const operation = node < 0 ? -1 : this.#operations.take(op.OPERATION_RELAY, item);
    if (operation < 0) return this.#leave(item);
    this.#repeats.begin(this.#client, this.#portAndId, this.#hash, nowMs);
    words[item + directory.REPLICAS_JOINED] = 0;
    if (this.#marks(asked)) words[item + directory.MARKED] = 1;
    directory.enterWriting(words, item, directory.LOOSE, nowMs, readMs, answeredMs);
    const silence = this.#unsilence(batch, row, ipOffset, udpOffset, end, asked);
    forwarder.slot = -1;
    const verdict = forwarder.throughSlot(batch, row, ipOffset, udpOffset, end, node);
    if (forwarder.slot < 0) {
      directory.enter(words, item, directory.CLEAN, directory.LOOSE);
      this.#operations.giveBack(operation);
      directory.unlock(words, item);
      return verdict;
    }
    words[item + directory.RELAY] = forwarder.slot;
    this.#operations.words[operation + op.DUE_MS] = (nowMs + RELAY_MS) | 0;
    this.#path.memory.counters[COUNT.hot_relays] += 1;
    if (silence === SILENT) this.#keepAnswer(operation, forwarder.slot);
    this.#operations.words[operation + op.FLAGS] = silence;
    return verdict;
  }

  /**
   * Makes a request that wants no answer, or not every one, ask for it: `noreply`, or flag q, is blanked. (A quiet binary
   * opcode says at least that it has nothing to say.) Returns SILENT, QUIET or 0.
   */
  #unsilence(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    end: number,
    { located }: Asked,
  ): number {
    const isSilent = (located[OUT_FLAGS] & REQUEST_NOREPLY) !== 0;
    const isMetaQuiet = (located[OUT_FLAGS] & REQUEST_QUIET) !== 0 && located[OUT_PROTOCOL] === PROTOCOL_META;
    if (!isSilent && !isMetaQuiet) return 0;
    const { bytes } = this.#path.memory;
    const value = located[OUT_VALUE_OFFSET];
    let at = (value < 0 ? end : value) - 1;
    if (isSilent) {
      while (bytes[at] !== LETTER_Y) at--;
      bytes.fill(SPACE, at - NOREPLY_BYTES + 1, at + 1);
    } else {
      while (bytes[at] !== LETTER_Q || bytes[at - 1] !== SPACE || bytes[at + 1] > SPACE) at--;
      bytes[at] = SPACE;
    }
    located[OUT_FLAGS] &= ~(REQUEST_NOREPLY | REQUEST_QUIET);
    this.#sumAnew(batch, row, ipOffset, udpOffset);
    return isSilent ? SILENT : QUIET;
  }

  #sumAnew(batch: Int32Array, row: number, ipOffset: number, udpOffset: number): void {
    const { view } = this.#path.memory;
    const isPartial = (batch[row + ROW_FLAGS] & FLAG_PARTIAL_CHECKSUM) !== 0;
    if (isPartial || udp.checksum(view, udpOffset) === 0) return;
    const length = udp.length(view, udpOffset);
    udp.setChecksum(view, udpOffset, udp.computeChecksum(view, ipOffset, udpOffset, length));
  }

  /** The answer in this slot is for us. */
  #keepAnswer(operation: number, slot: number): void {
    const { words } = this.#path.memory;
    words[slot + SLOT_STATE] |= SLOT_HOT;
    words[slot + SLOT_CLIENT] = this.#operations.tag(operation);
    this.#operations.words[operation + op.SLOT] = slot;
    this.#path.memory.counters[COUNT.hot_silent] += 1;
  }

  /** The answer that nobody but us wants has come. */
  hear(operation: number): void {
    const { words } = this.#keys;
    const item = this.#operations.words[operation + op.ITEM];
    this.#keys.noteStored(words[item + ITEM_KEY_HASH]);
    directory.enter(words, item, directory.CLEAN, directory.LOOSE);
    this.#endRelay(item);
  }

  /**
   * The answer to a write has come in `slot`. If it was the one relayed for the item, that is over: RELAYED, or RELAYED_QUIETLY
   * when the client does not want to hear of it; else 0.
   * @param status STATUS_* of the answer, STATUS_NONE: there is nothing to say
   */
  relayed(item: number, slot: number, status: number): number {
    const { words, lane } = this.#keys;
    if (words[item + directory.LOCK] !== lane + 1 || words[item + directory.RELAY] !== slot) return 0;
    directory.enter(words, item, directory.CLEAN, directory.LOOSE);
    const isQuiet = this.#endRelay(item) === QUIET && (status === STATUS_HD || status === STATUS_EN);
    if (isQuiet) this.#path.memory.counters[COUNT.hot_silent] += 1;
    return isQuiet ? RELAYED_QUIETLY : RELAYED;
  }

  /** No answer: it may be carried out yet. */
  tick(operation: number): void {
    const { words, nowMs, setup } = this.#keys;
    const item = this.#operations.words[operation + op.ITEM];
    words[item + directory.UNSURE_UNTIL] = (nowMs + setup.lifeMs) | 0;
    directory.enter(words, item, directory.UNSURE, 0);
    this.#path.memory.counters[COUNT.hot_unsure] += 1;
    this.#endRelay(item);
  }

  /** Returns how silent the request was. */
  #endRelay(item: number): number {
    const { words } = this.#keys;
    const operations = this.#operations;
    let silence = 0;
    words[item + directory.RELAY] = 0;
    for (let i = 0; i < operations.count; i++) {
      const operation = operations.at(i);
      const isIts =
        operations.words[operation + op.KIND] === op.OPERATION_RELAY && operations.words[operation + op.ITEM] === item;
      if (!isIts) continue;
      silence = operations.words[operation + op.FLAGS];
      operations.giveBack(operation);
      break;
    }
    directory.unlock(words, item);
    return silence;
  }
}

/** What stands around key and value in a frame to a node: headers, the line's other words. */
const LINE_BYTES = 14 + 20 + 8 + 8 + 112;
