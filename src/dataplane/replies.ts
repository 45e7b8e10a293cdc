/**
 * The third stage: replies to our own address. In nat mode those are all; else those to datagrams of our own.
 *
 *     node → own address:slot port    becomes    VIP → client, under the client's own request id
 *
 * A reply is accepted only for an outstanding slot, from its node, and a value only under the key asked for.
 */
import { hashKey } from '../mem/murmur3.ts';
import { decodeBase64Key } from '../memcached/base64-key.ts';
import { FRAME_HEADER_BYTES, requestId, sequence, total } from '../memcached/frame-header.ts';
import {
  KEY_BYTES_MAX,
  OUT_FLAGS,
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_PROTOCOL,
  OUT_STATUS,
  OUT_WORDS,
  PROTOCOL_ASCII,
  REQUEST_KEY_BASE64,
} from '../memcached/located.ts';
import { parsePlainValue } from '../memcached/plain-value.ts';
import { parseReply, STATUS_OK } from '../memcached/reply.ts';
import { DROP, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET, ROW_VERDICT } from '../port/port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { COUNT, NODE_COUNT, NODE_COUNTER_COUNT } from './counters.ts';
import { PATH_FORWARDED, PATH_GATHERED } from './latency.ts';
import { LIST_END, LIST_IP, LIST_ROW, LIST_UDP, LIST_WORDS, type Path } from './path.ts';
import { rewriteDatagram } from './rewrite.ts';
import {
  SLOT_BROADCAST,
  SLOT_CLIENT,
  SLOT_CLIENT_MAC,
  SLOT_CLIENT_PORT,
  SLOT_GATHER,
  SLOT_HOT,
  SLOT_ID_SHIFT,
  SLOT_KEY_HASH,
  SLOT_NODE,
  SLOT_NODE_PORT,
  SLOT_QUIET,
  SLOT_SENT,
  SLOT_STATE,
  SLOT_VERB_SHIFT,
  STATE_MASK,
  STATE_OUTSTANDING,
  VERB_MASK,
} from './slot-table.ts';

/** Where sequence and total stand in the frame header, 16 bits each. */
const SEQUENCE_AT = 2;

export class ReplyStage {
  readonly #path: Path;
  readonly #located = new Int32Array(OUT_WORDS);
  readonly #decoded = new Uint8Array(KEY_BYTES_MAX);
  readonly #decodedView = new DataView(this.#decoded.buffer);
  readonly #vip: number;
  readonly #vipPort: number;

  constructor(path: Path) {
    this.#path = path;
    this.#vip = path.setup.vip;
    this.#vipPort = path.setup.vipPort;
  }

  /** Gives a verdict to each of the `count` rows of `batch` that `list` names. */
  run(batch: Int32Array, list: Int32Array, count: number): void {
    const end = count * LIST_WORDS;
    for (let at = 0; at < end; at += LIST_WORDS) {
      const row = list[at + LIST_ROW];
      batch[row + ROW_VERDICT] = this.#reply(batch, row, list[at + LIST_IP], list[at + LIST_UDP], list[at + LIST_END]);
    }
  }

  #reply(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const { memory, slots, clientOut, serverOut } = this.#path;
    const { bytes, view, words, nodeCounters } = memory;
    const header = udpOffset + udp.HEADER_BYTES;
    const slot = slots.find(udp.destinationPort(view, udpOffset), requestId(bytes, header));
    if (slot < 0 || !slots.isOutstanding(slot)) return this.#unasked(slot, ipOffset, udpOffset, end);
    const fault = this.#faultOfReply(slot, ipOffset, udpOffset, end);
    if (fault !== 0) return this.#drop(fault);
    if ((words[slot + SLOT_STATE] & SLOT_BROADCAST) !== 0) return this.#hearBroadcast(slot, header);
    const isGathered = (words[slot + SLOT_STATE] & SLOT_GATHER) !== 0;
    if (
      (words[slot + SLOT_STATE] & (SLOT_GATHER | SLOT_HOT)) === 0 &&
      this.#path.isTooBig(batch, row, ipOffset, clientOut, serverOut)
    ) {
      return this.#drop(COUNT.drop_too_big);
    }
    const figures = (words[slot + SLOT_NODE_PORT] >>> 16) * NODE_COUNTER_COUNT;
    const isFirst = (words[slot + SLOT_STATE] & STATE_MASK) === STATE_OUTSTANDING;
    if (isFirst) this.#noteFirst(slot, figures, isGathered);
    const { hotLane } = this.#path;
    const isHot = (words[slot + SLOT_STATE] & SLOT_HOT) !== 0;
    slots.noteReply(slot, sequence(bytes, header), total(bytes, header));
    if (isHot) hotLane?.hear(slot, header, end);
    else if (hotLane?.concerns(slot) && sequence(bytes, header) === 0 && !hotLane.pass(slot, this.#located)) {
      return this.#drop(COUNT.hot_copies_gone);
    }
    if (isGathered && !this.#path.gathers.collect(slot, header, end)) return DROP;
    nodeCounters[figures + NODE_COUNT.replies] += 1;
    nodeCounters[figures + NODE_COUNT.reply_bytes] += end - header;
    memory.count(isHot ? COUNT.hot_replies : COUNT.replies);
    return isGathered || isHot ? DROP : this.#toClient(batch, row, ipOffset, udpOffset, slot);
  }

  /** No outstanding slot: the answer to a probe, or to nothing. */
  #unasked(slot: number, ipOffset: number, udpOffset: number, end: number): number {
    const isProbes = slot < 0 && this.#path.prober !== undefined && this.#path.prober.hears(ipOffset, udpOffset, end);
    if (isProbes) return DROP;
    const isSpare = slot >= 0 && (this.#path.memory.words[slot + SLOT_STATE] & SLOT_HOT) !== 0;
    return this.#drop(isSpare ? COUNT.hot_replies_spare : COUNT.drop_reply_no_slot);
  }

  /** The first datagram of a reply: the request counts as answered. */
  #noteFirst(slot: number, figures: number, isGathered: boolean): void {
    const { memory, latency, nowUs } = this.#path;
    const state = memory.words[slot + SLOT_STATE];
    const path = isGathered ? PATH_GATHERED : PATH_FORWARDED;
    latency.record((state >>> SLOT_VERB_SHIFT) & VERB_MASK, path, (nowUs - memory.words[slot + SLOT_SENT]) | 0);
    if ((state & SLOT_QUIET) === 0) memory.nodeCounters[figures + NODE_COUNT.answered] += 1;
  }

  /** What is wrong with a reply to an outstanding slot: the counter of its drop, or 0. */
  #faultOfReply(slot: number, ipOffset: number, udpOffset: number, end: number): number {
    const { memory, slots, nowUs } = this.#path;
    const { bytes, view, words } = memory;
    const header = udpOffset + udp.HEADER_BYTES;
    if (ipv4.source(view, ipOffset) !== words[slot + SLOT_NODE]) return COUNT.drop_reply_wrong_node;
    const nodePortOfSlot = words[slot + SLOT_NODE_PORT] & 0xffff;
    if (udp.sourcePort(view, udpOffset) !== nodePortOfSlot) return COUNT.drop_reply_wrong_node;
    if (slots.isLate(slot, nowUs)) return COUNT.drop_reply_late;
    // Sequence 0, total 1, and the first to come: nearly every reply.
    const isPlain = view.getInt32(header + SEQUENCE_AT) === 1 && (words[slot] & STATE_MASK) === STATE_OUTSTANDING;
    const fault = isPlain ? 0 : this.#faultOfPart(slot, header);
    if (fault !== 0) return fault;
    if (sequence(bytes, header) !== 0) return 0;
    const located = this.#located;
    if (!parsePlainValue(view, header + FRAME_HEADER_BYTES, end, located))
      parseReply(bytes, header + FRAME_HEADER_BYTES, end, located);
    if (located[OUT_KEY_LENGTH] === 0) return 0;
    const keyHash =
      (located[OUT_FLAGS] & REQUEST_KEY_BASE64) !== 0
        ? hashKey(this.#decoded, this.#decodedView, 0, this.#decodeKey())
        : hashKey(bytes, view, located[OUT_KEY_OFFSET], located[OUT_KEY_LENGTH]);
    return keyHash === words[slot + SLOT_KEY_HASH] ? 0 : COUNT.drop_reply_wrong_key;
  }

  /** Whether the datagram can be a part of the reply that is expected. */
  #faultOfPart(slot: number, header: number): number {
    const { bytes } = this.#path.memory;
    if (sequence(bytes, header) >= total(bytes, header)) return this.#faultOfFraming(slot, header);
    const fits = this.#path.slots.fitsReply(slot, sequence(bytes, header), total(bytes, header));
    return fits ? 0 : COUNT.drop_reply_stray;
  }

  /** memcached's "0 of 0": it has nothing to say to a quiet request, and says so. Anything else is no framing. */
  #faultOfFraming(slot: number, header: number): number {
    const { memory, slots } = this.#path;
    const { bytes, words } = memory;
    const isQuiet = (words[slot + SLOT_STATE] & SLOT_QUIET) !== 0;
    if (total(bytes, header) !== 0 || sequence(bytes, header) !== 0 || !isQuiet) return COUNT.drop_reply_framing;
    slots.free(slot);
    this.#path.hotLane?.passQuietly(slot);
    return COUNT.quiet_misses;
  }

  /** One node's reply to a command for all of them: it should be `OK`, in one datagram. */
  #hearBroadcast(slot: number, header: number): number {
    const { memory, slots, broadcasts } = this.#path;
    const { bytes } = memory;
    const isOk = total(bytes, header) === 1 && this.#located[OUT_STATUS] === STATUS_OK;
    slots.free(slot);
    broadcasts.hear(slot, isOk && this.#located[OUT_PROTOCOL] === PROTOCOL_ASCII);
    return DROP;
  }

  /** memcached stores a base64 key under the bytes it stands for, so those are what counts. Returns their number. */
  #decodeKey(): number {
    const located = this.#located;
    const { bytes } = this.#path.memory;
    return decodeBase64Key(bytes, located[OUT_KEY_OFFSET], located[OUT_KEY_LENGTH], this.#decoded, 0);
  }

  #toClient(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, slot: number): number {
    const { memory, clientPort: port, clientOut, gate } = this.#path;
    const { view, words } = memory;
    const offset = batch[row + ROW_OFFSET];
    rewriteDatagram(
      view,
      ipOffset,
      udpOffset,
      batch[row + ROW_FLAGS],
      this.#vip,
      this.#vipPort,
      words[slot + SLOT_CLIENT],
      words[slot + SLOT_CLIENT_PORT] & 0xffff,
      words[slot + SLOT_STATE] >>> SLOT_ID_SHIFT,
    );
    ethernet.setDestination(view, offset, words[slot + SLOT_CLIENT_PORT] >>> 16, words[slot + SLOT_CLIENT_MAC]);
    ethernet.setSource(view, offset, port.macHigh, port.macLow);
    if (gate.hasBudgets && this.#isWithheld(batch, row, udpOffset, words[slot + SLOT_CLIENT])) return DROP;
    this.#path.senders |= 1 << port.id;
    return this.#path.wholeOrFragments(clientOut, batch, row, port.id, 0);
  }

  /**
   * A reply that leaves in pieces is gone when the settlement looks (admission.ts), so it is charged here, once its headers
   * are those it leaves with.
   */
  #isWithheld(batch: Int32Array, row: number, udpOffset: number, client: number): boolean {
    const { memory, clientPort, fragmenter, gate, nowMs } = this.#path;
    if (fragmenter.fits(clientPort, batch[row + ROW_OFFSET], batch[row + ROW_LENGTH])) return false;
    if (gate.charge(client, udp.length(memory.view, udpOffset) - udp.HEADER_BYTES, nowMs)) return false;
    memory.counters[COUNT.replies] -= 1;
    memory.counters[COUNT.drop_reply_over_budget] += 1;
    return true;
  }

  #drop(counter: number): number {
    this.#path.memory.counters[counter] += 1;
    return DROP;
  }
}
