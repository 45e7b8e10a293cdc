/**
 * Reassembly of IPv4 fragments (RFC 791 3.2, RFC 815) of UDP datagrams for us, in order or out of it, bounded in memory,
 * in time and per source (fragment-contexts.ts).
 *
 * A context has a buffer in the lane's arena, where the payload grows, and a bit for each 8 bytes of it. Once whole, the
 * datagram is a frame like any other, and the row of the fragment that completed it becomes its row:
 *
 *     byte 0                                                    128
 *          | … | headroom | Ethernet | IPv4 header, 20 to 60 bytes | payload, at most 65,515 bytes |
 *
 * What is refused:
 *
 * - Overlaps (RFC 5722): which of two versions of a byte counts is what evasion lives on, so the whole datagram goes. A
 *   fragment said again, byte by byte the same, changes nothing and is passed over (RFC 8200 4.5): networks do duplicate.
 * - A first fragment that does not hold the UDP and memcached headers, or another that begins within them (RFC 3128):
 *   the node must not see other ports than we did.
 * - A length that is no multiple of 8 before the end, two different ends, bytes behind the end, a partial checksum.
 * - More than 65,535 bytes in all ("ping of death").
 *
 * Who spoils a datagram by guessing its identification can make it fail, never make it other than it was sent.
 */
import { FLAG_PARTIAL_CHECKSUM, FLAG_VLAN, ROW_FLAGS, ROW_LENGTH, ROW_OFFSET } from '../port/port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { COUNT } from './counters.ts';
import {
  CONTEXT_WORDS,
  END,
  FragmentContexts,
  type FragmentLimits,
  GATHERING,
  HEADER,
  HELD,
  NONE,
  REACH,
  SPOILT,
  STATE,
  UNITS,
} from './fragment-contexts.ts';
import type { LaneMemory } from './memory.ts';
import { UNITS_MISSING, UNITS_THERE, UnitMap, unitsOf } from './unit-map.ts';

/** Of the payload a first fragment must hold: UDP header and memcached's frame header. */
const FIRST_BYTES_MIN = 16;
const PAYLOAD_BYTES_MAX = ipv4.TOTAL_BYTES_MAX - ipv4.HEADER_BYTES_MIN;
/** Room for headroom and headers; network header and payload begin on 4 bytes, as in a ring. */
const PAYLOAD_AT = 128;
const BUFFER_BYTES = (PAYLOAD_AT + PAYLOAD_BYTES_MAX + 63) & -64;
/** Of a row's flags: what holds for the whole datagram too. */
const FLAGS_KEPT = FLAG_VLAN | (0xffff << 16);

export class Fragments {
  /** Fragments in hand, of datagrams that are not whole yet. */
  held = 0;
  readonly #memory: LaneMemory;
  readonly #base: number;
  readonly #contexts: FragmentContexts;
  readonly #words: Int32Array;
  readonly #units: UnitMap;

  /** Bytes of the lane's arena for so many contexts. */
  static byteLength(datagrams: number): number {
    return datagrams * BUFFER_BYTES;
  }

  /** @param base byte offset of `byteLength` bytes of the lane's arena; a multiple of 64 */
  constructor(memory: LaneMemory, base: number, limits: FragmentLimits, seed: number) {
    this.#memory = memory;
    this.#base = base;
    this.#contexts = new FragmentContexts(limits, seed);
    this.#words = this.#contexts.words;
    this.#units = new UnitMap(limits.datagrams);
  }

  /**
   * Takes the fragment at `row`: for us, UDP, its IPv4 header checked. True when it made its datagram whole: the row is the
   * datagram's now, in memory that stays as it is until `release`. False when it is held or dropped, which is counted; its
   * frame may be freed in either case.
   */
  accept(batch: Int32Array, row: number, ipOffset: number, portId: number, nowMs: number): boolean {
    const { view } = this.#memory;
    this.#memory.count(COUNT.fragments_received);
    const fault = faultOfFragment(view, ipOffset, batch[row + ROW_FLAGS]);
    if (fault !== 0) return this.#drop(fault);
    const context = this.#contextOf(ipOffset, portId, nowMs);
    if (context === NONE) return this.#drop(COUNT.drop_fragment_table_full);
    if (this.#words[context + STATE] === SPOILT) return this.#drop(COUNT.drop_fragment_overlap);
    return this.#add(context, ipOffset, batch[row + ROW_OFFSET]) && this.#complete(context, batch, row);
  }

  /** The batch is over: nobody looks at its whole datagrams any more. */
  release(): void {
    this.#contexts.release();
  }

  /** Gives up what has waited too long. For every few ms. */
  sweep(nowMs: number): void {
    if (this.#contexts.oldest === NONE) return;
    for (let context = 0; context < this.#words.length; context += CONTEXT_WORDS) {
      // GATHERING and SPOILT, the odd states.
      const isWaiting = (this.#words[context + STATE] & GATHERING) !== 0;
      if (isWaiting && this.#contexts.isOver(context, nowMs)) this.#giveUp(context, COUNT.drop_fragment_timeout);
    }
  }

  /** The context of the fragment's datagram, a new one if need be, or NONE when all hold whole ones of this batch. */
  #contextOf(ipOffset: number, portId: number, nowMs: number): number {
    const { view } = this.#memory;
    const contexts = this.#contexts;
    const source = ipv4.source(view, ipOffset);
    const destination = ipv4.destination(view, ipOffset);
    const identification = ipv4.identification(view, ipOffset);
    const found = contexts.find(source, destination, identification, portId);
    if (found !== NONE && !contexts.isOver(found, nowMs)) return found;
    if (found !== NONE) this.#giveUp(found, COUNT.drop_fragment_timeout);
    else this.#makeRoom();
    if (contexts.isFull) return NONE;
    const context = contexts.begin(source, destination, identification, portId, nowMs);
    this.#units.clear(contexts.numberOf(context));
    return context;
  }

  #makeRoom(): void {
    const contexts = this.#contexts;
    if (contexts.isSourceFull) this.#giveUp(contexts.oldestOfSource, COUNT.drop_fragment_source_full);
    else if (contexts.isFull && contexts.oldest !== NONE) this.#giveUp(contexts.oldest, COUNT.drop_fragment_table_full);
  }

  /** Puts the fragment in its place. True when no gap is left. */
  #add(context: number, ipOffset: number, frameOffset: number): boolean {
    const { bytes, view } = this.#memory;
    const payload = ipOffset + ipv4.headerBytes(view, ipOffset);
    const at = ipv4.fragmentOffset(view, ipOffset);
    const end = at + ipOffset + ipv4.totalLength(view, ipOffset) - payload;
    const isLast = !ipv4.moreFragments(view, ipOffset);
    if (this.#contradicts(context, end, isLast)) return this.#spoil(context, COUNT.drop_fragment_bad, 1);
    const place = this.#placeOf(context) + at;
    const there = this.#units.look(this.#contexts.numberOf(context), at, end);
    if (there === UNITS_THERE && isSame(view, payload, place, end - at))
      return this.#drop(COUNT.drop_fragment_duplicate);
    if (there !== UNITS_MISSING) return this.#spoil(context, COUNT.drop_fragment_overlap, 1);
    bytes.copyWithin(place, payload, payload + end - at);
    if (at === 0) this.#keepHeaders(context, frameOffset, payload);
    return this.#note(context, at, end, isLast);
  }

  /** Whether this end cannot be, by what the others said. */
  #contradicts(context: number, end: number, isLast: boolean): boolean {
    const knownEnd = this.#words[context + END];
    if (isLast) return knownEnd === NONE ? this.#words[context + REACH] > end : knownEnd !== end;
    return knownEnd !== NONE && end >= knownEnd;
  }

  /** The first fragment's headers become the datagram's, right in front of its payload. */
  #keepHeaders(context: number, frameOffset: number, payload: number): void {
    const headers = payload - frameOffset;
    this.#words[context + HEADER] = headers - ethernet.HEADER_BYTES;
    this.#memory.bytes.copyWithin(this.#placeOf(context) - headers, frameOffset, payload);
  }

  /** Returns whether the datagram is whole. Units beyond its end are never set, so their number tells. */
  #note(context: number, at: number, end: number, isLast: boolean): boolean {
    const words = this.#words;
    this.held += 1;
    words[context + HELD] += 1;
    words[context + UNITS] += unitsOf(end) - unitsOf(at);
    if (end > words[context + REACH]) words[context + REACH] = end;
    if (isLast) words[context + END] = end;
    this.#units.set(this.#contexts.numberOf(context), at, end);
    this.#contexts.noteProgress(context);
    return words[context + END] !== NONE && words[context + UNITS] === unitsOf(words[context + END]);
  }

  /** The row becomes the whole datagram's. */
  #complete(context: number, batch: Int32Array, row: number): boolean {
    const words = this.#words;
    const total = words[context + HEADER] + words[context + END];
    if (total > ipv4.TOTAL_BYTES_MAX) return this.#spoil(context, COUNT.drop_fragment_too_large, 0);
    const ipOffset = this.#placeOf(context) - words[context + HEADER];
    this.#mendHeader(ipOffset, total);
    batch[row + ROW_OFFSET] = ipOffset - ethernet.HEADER_BYTES;
    batch[row + ROW_LENGTH] = ethernet.HEADER_BYTES + total;
    batch[row + ROW_FLAGS] &= FLAGS_KEPT;
    this.held -= words[context + HELD];
    this.#memory.counters[COUNT.fragments_joined] += words[context + HELD] - 1;
    this.#memory.count(COUNT.datagrams_reassembled);
    this.#contexts.setWhole(context);
    return true;
  }

  #mendHeader(ipOffset: number, total: number): void {
    const { view } = this.#memory;
    ipv4.setTotalLength(view, ipOffset, total);
    ipv4.setFlagsAndFragment(view, ipOffset, 0);
    ipv4.setChecksum(view, ipOffset, ipv4.computeChecksum(view, ipOffset));
  }

  /** Nothing of this datagram is believed any more. `more`: fragments to count beside those held. */
  #spoil(context: number, counter: number, more: number): false {
    this.#memory.counters[counter] += more;
    this.#dropHeld(context, counter);
    this.#contexts.spoil(context);
    return false;
  }

  #giveUp(context: number, counter: number): void {
    this.#dropHeld(context, counter);
    this.#contexts.giveUp(context);
  }

  #dropHeld(context: number, counter: number): void {
    const held = this.#words[context + HELD];
    this.#memory.counters[counter] += held;
    this.#words[context + HELD] = 0;
    this.held -= held;
  }

  /** Byte offset of a context's payload. */
  #placeOf(context: number): number {
    return this.#base + this.#contexts.numberOf(context) * BUFFER_BYTES + PAYLOAD_AT;
  }

  #drop(counter: number): false {
    this.#memory.count(counter);
    return false;
  }
}

/** What is wrong with a fragment by itself: the counter of its drop, or 0. */
function faultOfFragment(view: DataView, ipOffset: number, flags: number): number {
  const bytes = ipv4.totalLength(view, ipOffset) - ipv4.headerBytes(view, ipOffset);
  const at = ipv4.fragmentOffset(view, ipOffset);
  if ((flags & FLAG_PARTIAL_CHECKSUM) !== 0 || bytes === 0) return COUNT.drop_fragment_bad;
  if (ipv4.moreFragments(view, ipOffset) && bytes % ipv4.FRAGMENT_UNIT_BYTES !== 0) return COUNT.drop_fragment_bad;
  if (at === 0 ? bytes < FIRST_BYTES_MIN : at < FIRST_BYTES_MIN) return COUNT.drop_fragment_bad;
  return at + bytes > PAYLOAD_BYTES_MAX ? COUNT.drop_fragment_too_large : 0;
}

/** Four bytes at a time: a repeated fragment is as long as a frame. */
function isSame(view: DataView, a: number, b: number, length: number): boolean {
  let i = 0;
  for (; i + 4 <= length; i += 4) if (view.getInt32(a + i) !== view.getInt32(b + i)) return false;
  for (; i < length; i++) if (view.getUint8(a + i) !== view.getUint8(b + i)) return false;
  return true;
}
