/**
 * Answers from the cache, in the frame that asked. Readers take no lock: VERSION is compared before and after, and what
 * was copied of an item that changed meanwhile is not sent.
 */
import {
  ITEM_BODY_AT,
  ITEM_BODY_LENGTH,
  ITEM_BODY_SUM,
  ITEM_BYTES,
  ITEM_CAS_HIGH,
  ITEM_CAS_LOW,
  ITEM_FLAGS,
  ITEM_KEY_AT,
  ITEM_KEY_LENGTH,
  ITEM_VALUE_AT,
  ITEM_VALUE_LENGTH,
  ITEM_WORDS,
} from '../../cache/items.ts';
import * as directory from '../../coherence/directory.ts';
import { copyAcross } from '../../memcached/draft.ts';
import { FRAME_HEADER_BYTES } from '../../memcached/frame-header.ts';
import {
  HIT_CAS_HIGH,
  HIT_CAS_LOW,
  HIT_FLAGS,
  HIT_KEY_AT,
  HIT_KEY_FORM,
  HIT_KEY_LENGTH,
  HIT_TTL,
  HIT_VALUE_AT,
  HIT_VALUE_LENGTH,
  HIT_WORDS,
  KEY_TEXT,
  TTL_NEVER,
  TTL_UNKNOWN,
  UNSAYABLE,
  writeAbsent,
  writeHit,
} from '../../memcached/hit-reply.ts';
import { OUT_PROTOCOL, OUT_VERB, PROTOCOL_ASCII } from '../../memcached/located.ts';
import { VERB_GET } from '../../memcached/verbs.ts';
import { DROP, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, TAG_FLAGS } from '../../port/port.ts';
import { finish } from '../../wire/checksum.ts';
import * as ethernet from '../../wire/ethernet.ts';
import * as ipv4 from '../../wire/ipv4.ts';
import * as udp from '../../wire/udp.ts';
import { turnIntoAnswer } from '../answer.ts';
import type { Asked } from '../asked.ts';
import { COUNT } from '../counters.ts';
import { TTL_DEFAULT } from '../host.ts';
import type { Path } from '../path.ts';
import type { Fills } from './fills.ts';
import type { HotKeys } from './keys.ts';

/** The value cannot be used for this request, or was changed while it was copied. */
export const NO_HIT = -2;
const COMPUTED_ZERO = 0xffff;
const GET_BYTES = 4;
const PADDED_BYTES_MIN = ethernet.HEADER_BYTES;

export class Hits {
  readonly #path: Path;
  readonly #keys: HotKeys;
  readonly #fills: Fills;
  /** A copy of an item, where its reply is not the plain one. */
  readonly #copy = new Uint8Array(ITEM_BYTES);
  readonly #words = new Int32Array(this.#copy.buffer);
  readonly #copyView = new DataView(this.#copy.buffer);
  readonly #hit = new Int32Array(HIT_WORDS);

  constructor(path: Path, keys: HotKeys, fills: Fills) {
    this.#path = path;
    this.#keys = keys;
    this.#fills = fills;
  }

  /** The item was seen open (directory.ts) at `version`. Returns the verdict, or NO_HIT with the request as it was. */
  answer(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    item: number,
    version: number,
    asked: Asked,
  ): number {
    const { located } = asked;
    if (located[OUT_VERB] === VERB_GET && located[OUT_PROTOCOL] === PROTOCOL_ASCII) {
      return this.plain(batch, row, ipOffset, udpOffset, item, version);
    }
    return this.#other(batch, row, ipOffset, udpOffset, item, version, asked);
  }

  /** `get`: the prepared body, copied straight; its checksum is known but for the headers. */
  plain(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, item: number, version: number): number {
    const { memory, clientPort } = this.#path;
    const { words, view: items } = this.#keys;
    const { view } = memory;
    const bodyBytes = words[item + ITEM_BODY_LENGTH];
    const sum = words[item + ITEM_BODY_SUM];
    const payload = udpOffset + udp.HEADER_BYTES;
    const body = payload + FRAME_HEADER_BYTES;
    if (body + bodyBytes - batch[row + ROW_OFFSET] > clientPort.roomBytes) return NO_HIT;
    copyAcross(items, (item << 2) + ITEM_BODY_AT, view, body, bodyBytes);
    if (this.#keys.version(item) !== version) return this.#restore(item, body);
    const udpBytes = udp.HEADER_BYTES + FRAME_HEADER_BYTES + bodyBytes;
    // Sequence 0 of 1, reserved 0; the request id stays.
    view.setUint16(payload + 2, 0);
    view.setInt32(payload + 4, 1 << 16);
    const ports = view.getInt32(udpOffset);
    const turned = (ports << 16) | (ports >>> 16);
    view.setInt32(udpOffset, turned);
    view.setInt32(udpOffset + 4, udpBytes << 16);
    this.#turnIp(ipOffset, udpOffset - ipOffset + udpBytes);
    const headers = (turned >>> 16) + (turned & 0xffff) + udpBytes + view.getUint16(payload) + 1 + sum;
    const checksum = finish(headers + udp.pseudoHeaderSum(view, ipOffset, udpBytes)) || COMPUTED_ZERO;
    udp.setChecksum(view, udpOffset, checksum);
    batch[row + ROW_LENGTH] = Math.max(udpOffset + udpBytes - batch[row + ROW_OFFSET], PADDED_BYTES_MIN);
    batch[row + ROW_FLAGS] &= TAG_FLAGS;
    return this.#send(batch, row, ipOffset, udpBytes - udp.HEADER_BYTES, COUNT.hot_hits);
  }

  #turnIp(ipOffset: number, totalBytes: number): void {
    const { view } = this.#path.memory;
    ipv4.swapAddresses(view, ipOffset);
    ipv4.setTotalLength(view, ipOffset, totalBytes);
    ipv4.setTtl(view, ipOffset, TTL_DEFAULT);
    ipv4.setChecksum(view, ipOffset, ipv4.computeChecksum(view, ipOffset));
  }

  /** The item changed under the copy, which has overwritten the request: `get <key>` is written again. */
  #restore(item: number, body: number): number {
    const { words, bytes } = this.#keys;
    const to = this.#path.memory.bytes;
    to[body] = 0x67;
    to[body + 1] = 0x65;
    to[body + 2] = 0x74;
    to[body + 3] = 0x20;
    const key = (item << 2) + ITEM_KEY_AT;
    const keyBytes = words[item + ITEM_KEY_LENGTH];
    for (let at = 0; at < keyBytes; at++) to[body + GET_BYTES + at] = bytes[key + at];
    to[body + GET_BYTES + keyBytes] = 0x0d;
    to[body + GET_BYTES + keyBytes + 1] = 0x0a;
    return NO_HIT;
  }

  /** All other forms: from a copy of the item, so that the request is still there if it has changed. */
  #other(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    item: number,
    version: number,
    asked: Asked,
  ): number {
    const { memory, clientPort } = this.#path;
    if (!this.#copyItem(item, version)) return NO_HIT;
    const body = udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
    const room = clientPort.roomBytes - (body - batch[row + ROW_OFFSET]);
    const { view, bytes } = memory;
    const bodyBytes = writeHit(asked.located, bytes, this.#hit, this.#copyView, view, body, room);
    if (bodyBytes <= 0) return NO_HIT;
    turnIntoAnswer(memory, batch, row, ipOffset, udpOffset, bodyBytes);
    return this.#send(batch, row, ipOffset, FRAME_HEADER_BYTES + bodyBytes, COUNT.hot_hits);
  }

  /**
   * What a request for several keys has of this one: the answer to the request for it alone, at `offset` of the lane's
   * arena. Returns its bytes, or 0: a node must be asked.
   * @param located of the request for the one key, which lies in the arena, too
   */
  part(item: number, located: Int32Array, offset: number, room: number): number {
    const { view, bytes, counters } = this.#path.memory;
    const { words } = this.#keys;
    const version = Atomics.load(words, item + directory.VERSION);
    // What home has is from the dead, whether or not a write that will replace it is under way.
    if ((words[item + directory.STATE] & directory.TOMB) !== 0) {
      counters[COUNT.hot_parts] += 1;
      return Math.max(0, writeAbsent(located, bytes, view, offset, room));
    }
    if (!directory.isOpen(words, item, version) || !this.#fills.isServable(item)) return 0;
    if (!this.#copyItem(item, version)) return 0;
    this.#keys.countRead(item);
    counters[COUNT.hot_parts] += 1;
    return writeHit(located, bytes, this.#hit, this.#copyView, view, offset, room);
  }

  /** Copies what is needed of an item; false when it changed meanwhile. */
  #copyItem(item: number, version: number): boolean {
    const { words } = this.#keys;
    const copied = this.#words;
    const used = Math.min(ITEM_WORDS, ((ITEM_BODY_AT + words[item + ITEM_BODY_LENGTH] + 3) >> 2) | 0);
    for (let word = 0; word < used; word++) copied[word] = words[item + word];
    if (Atomics.load(words, item + directory.VERSION) !== version) return false;
    const hit = this.#hit;
    hit[HIT_KEY_AT] = ITEM_KEY_AT;
    hit[HIT_KEY_LENGTH] = copied[ITEM_KEY_LENGTH];
    hit[HIT_KEY_FORM] = KEY_TEXT;
    hit[HIT_FLAGS] = copied[ITEM_FLAGS];
    hit[HIT_VALUE_AT] = ITEM_BODY_AT + copied[ITEM_VALUE_AT];
    hit[HIT_VALUE_LENGTH] = copied[ITEM_VALUE_LENGTH];
    hit[HIT_CAS_HIGH] = copied[ITEM_CAS_HIGH];
    hit[HIT_CAS_LOW] = copied[ITEM_CAS_LOW];
    // The second in which it ends is known to its node alone.
    hit[HIT_TTL] = (copied[directory.STATE] & directory.TTL_SET) === 0 ? TTL_NEVER : TTL_UNKNOWN;
    return true;
  }

  /** "Not there": home has said so, or it was deleted through us. */
  absent(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, asked: Asked): number {
    const { memory, clientPort } = this.#path;
    const body = udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
    const room = clientPort.roomBytes - (body - batch[row + ROW_OFFSET]);
    const bodyBytes = writeAbsent(asked.located, memory.bytes, memory.view, body, room);
    if (bodyBytes === UNSAYABLE) return NO_HIT;
    memory.counters[COUNT.hot_misses] += 1;
    if (bodyBytes === 0) return DROP;
    turnIntoAnswer(memory, batch, row, ipOffset, udpOffset, bodyBytes);
    return this.#send(batch, row, ipOffset, FRAME_HEADER_BYTES + bodyBytes, -1);
  }

  /** The answer of a write that came twice, as it was given to the first. */
  repeat(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    answers: Uint8Array,
    at: number,
    length: number,
  ): number {
    const { memory } = this.#path;
    const body = udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
    for (let i = 0; i < length; i++) memory.bytes[body + i] = answers[at + i];
    turnIntoAnswer(memory, batch, row, ipOffset, udpOffset, length);
    return this.#send(batch, row, ipOffset, FRAME_HEADER_BYTES + length, -1);
  }

  /** @param counter of what was answered; −1: counted already */
  #send(batch: Int32Array, row: number, ipOffset: number, payloadBytes: number, counter: number): number {
    const { memory, clientPort: port, clientOut, gate, nowMs } = this.#path;
    const { view, counters } = memory;
    if (counter >= 0) counters[counter] += 1;
    if (gate.hasBudgets && !gate.charge(ipv4.destination(view, ipOffset), payloadBytes, nowMs)) {
      counters[COUNT.answers_withheld] += 1;
      return DROP;
    }
    ethernet.turnToSender(view, batch[row + ROW_OFFSET], port.macHigh, port.macLow);
    this.#path.senders |= 1 << port.id;
    return this.#path.wholeOrFragments(clientOut, batch, row, port.id, 0);
  }
}
