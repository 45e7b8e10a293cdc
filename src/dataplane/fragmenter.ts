/**
 * Sends a datagram that is larger than the way it goes: as IPv4 fragments (RFC 791 3.2), each a copy in a frame of its own,
 * with an identification of ours. They may be fragmented again on their way: "don't fragment" is clear in them. How wide
 * the way is says the port for the first hop, and what routers said for the rest.
 */
import { FLAG_PARTIAL_CHECKSUM, FLAG_VLAN, type Port } from '../port/port.ts';
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import { copyLaterHeader } from '../wire/ipv4-options.ts';
import * as udp from '../wire/udp.ts';
import { COUNT } from './counters.ts';
import { Identifications } from './identifications.ts';
import type { LaneMemory } from './memory.ts';
import type { PathMtus } from './path-mtus.ts';

/** Where frames are queued: an outbox. */
export interface FrameQueue {
  readonly port: Port;
  /** Offset of a free frame; −1 when the port has none, even with all that was queued sent. */
  claim(): number;
  queue(offset: number, length: number, flags: number, group: number): void;
}

/** Of a datagram's flags: what holds for its fragments too. */
const FLAGS_KEPT = FLAG_VLAN | (0xffff << 16);

export class Fragmenter {
  readonly #memory: LaneMemory;
  readonly #pathMtus: PathMtus;
  readonly #identifications: Identifications;
  /** Time of this cycle, ms. */
  nowMs = 0;
  /** Payload bytes of the fragment written last. */
  #taken = 0;

  /** @param seed secret: identifications that can be guessed can be spoilt */
  constructor(memory: LaneMemory, pathMtus: PathMtus, lane: number, lanes: number, seed: number) {
    this.#memory = memory;
    this.#pathMtus = pathMtus;
    this.#identifications = new Identifications(lane, lanes, seed);
  }

  /** Whether the frame at `offset` can leave through `port` as it is. */
  fits(port: Port, offset: number, length: number): boolean {
    return length <= port.frameBytesMax && !this.#exceedsPath(offset, length);
  }

  /** Largest datagram, bytes, for the way of the frame at `offset`, an IPv4 one, through `port`. */
  mtuFor(port: Port, offset: number): number {
    const first = Math.min(port.frameBytesMax, port.roomBytes) - ethernet.HEADER_BYTES;
    const destination = ipv4.destination(this.#memory.view, offset + ethernet.HEADER_BYTES);
    return Math.min(first, this.#pathMtus.of(destination, this.nowMs));
  }

  /**
   * Queues the UDP datagram of the frame at `offset`, whose headers are those to leave with, in fragments. They are copies:
   * the frame may be freed. When the port has no frame left the rest is not sent, which is counted.
   */
  send(queue: FrameQueue, offset: number, flags: number, group: number): void {
    const { view } = this.#memory;
    const ipOffset = offset + ethernet.HEADER_BYTES;
    const mtu = this.mtuFor(queue.port, offset);
    const end = ipv4.totalLength(view, ipOffset) - ipv4.headerBytes(view, ipOffset);
    if ((flags & FLAG_PARTIAL_CHECKSUM) !== 0) completeChecksum(view, ipOffset);
    ipv4.setIdentification(view, ipOffset, this.#identifications.next(ipv4.destination(view, ipOffset)));
    this.#memory.count(COUNT.datagrams_fragmented);
    for (let at = 0; at < end; at += this.#taken) {
      const frame = queue.claim();
      if (frame < 0) return this.#memory.count(COUNT.fragments_refused);
      queue.queue(frame, this.#write(offset, frame, at, end, mtu), flags & FLAGS_KEPT, group);
      this.#memory.count(COUNT.fragments_sent);
    }
  }

  #exceedsPath(offset: number, length: number): boolean {
    const { view } = this.#memory;
    if (ethernet.etherType(view, offset) !== ethernet.ETHERTYPE_IPV4) return false;
    const destination = ipv4.destination(view, offset + ethernet.HEADER_BYTES);
    return length - ethernet.HEADER_BYTES > this.#pathMtus.of(destination, this.nowMs);
  }

  /** Writes the fragment whose payload begins at byte `at` of the datagram's `end`; returns the length of its frame. */
  #write(offset: number, frame: number, at: number, end: number, mtu: number): number {
    const { bytes, view } = this.#memory;
    const ipOffset = offset + ethernet.HEADER_BYTES;
    const to = frame + ethernet.HEADER_BYTES;
    const headerBytes = ipv4.headerBytes(view, ipOffset);
    bytes.copyWithin(frame, offset, ipOffset + headerBytes);
    const ownHeaderBytes = at === 0 ? headerBytes : copyLaterHeader(view, ipOffset, to);
    const taken = payloadBytes(mtu - ownHeaderBytes, end - at);
    const payload = ipOffset + headerBytes + at;
    bytes.copyWithin(to + ownHeaderBytes, payload, payload + taken);
    const more = at + taken < end ? ipv4.MORE_FRAGMENTS : 0;
    ipv4.setTotalLength(view, to, ownHeaderBytes + taken);
    ipv4.setFlagsAndFragment(view, to, more | (at / ipv4.FRAGMENT_UNIT_BYTES));
    ipv4.setChecksum(view, to, ipv4.computeChecksum(view, to));
    this.#taken = taken;
    return ethernet.HEADER_BYTES + ownHeaderBytes + taken;
  }
}

/** How much of what is left goes into a fragment. All but the last hold whole units of 8 bytes. */
function payloadBytes(room: number, left: number): number {
  return left <= room ? left : room & -ipv4.FRAGMENT_UNIT_BYTES;
}

/** Of a partial UDP checksum, which covers the whole datagram: nobody behind us could complete it. */
function completeChecksum(view: DataView, ipOffset: number): void {
  const udpOffset = ipOffset + ipv4.headerBytes(view, ipOffset);
  udp.setChecksum(view, udpOffset, udp.computeChecksum(view, ipOffset, udpOffset, udp.length(view, udpOffset)));
}
