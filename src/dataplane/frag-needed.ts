/**
 * ICMP "fragmentation needed" (RFC 792, RFC 1191), heard and said.
 *
 * Heard from a router on the way to a client or node: datagrams to that address are fragmented from now on (path-mtus.ts).
 * In nat mode the message is not passed on to the node: to the node all clients are one address, ours, so one client's
 * narrow path would narrow everybody's.
 *
 * Anybody can forge one, so it must quote a datagram that we may well have sent: our address and port, and the address and
 * port of a request of late (RFC 5927 4). What a forger who knows that can reach is that we fragment for one address.
 */
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { COUNT } from './counters.ts';
import { TTL_DEFAULT } from './host.ts';
import type { Outbox } from './outbox.ts';
import type { Path } from './path.ts';
import { PATH_MTU_MIN } from './path-mtus.ts';
import { SLOT_CLIENT, SLOT_NODE } from './slot-table.ts';
import { TokenBucket } from './token-bucket.ts';

/** Of either kind, a second and at once: each heard may cost a search of SLOTS_SEARCHED slots, 50 µs. */
const HEARD_RATE = 100;
const SAID_RATE = 100;
const BURST = 20;
/** Longest ICMP error, IPv4 header included (RFC 1812 4.3.2.3). */
const ERROR_BYTES_MAX = 576;
const ERROR_HEADER_BYTES = ipv4.HEADER_BYTES_MIN + icmp.HEADER_BYTES;

export class FragmentationNeeded {
  readonly #path: Path;
  readonly #heard = new TokenBucket(HEARD_RATE, BURST);
  readonly #said = new TokenBucket(SAID_RATE, BURST);

  constructor(path: Path) {
    this.#path = path;
  }

  /**
   * An ICMP message to one of our addresses in a checked IPv4 packet. Learns from it, and counts it, if it is this one.
   * @param toVip to the VIP, so about what clients were sent; else about what nodes were
   */
  hear(ipOffset: number, toVip: boolean): boolean {
    const { memory, nowMs } = this.#path;
    const { view } = memory;
    const message = ipOffset + ipv4.headerBytes(view, ipOffset);
    const bytes = ipOffset + ipv4.totalLength(view, ipOffset) - message;
    if (!icmp.isFragmentationNeeded(view, message, bytes)) return false;
    if (!this.#heard.take(nowMs) || !icmp.verifyChecksum(view, message, bytes)) return false;
    const quoted = message + icmp.HEADER_BYTES;
    if (!this.#isOurs(quoted, bytes - icmp.HEADER_BYTES, toVip)) return false;
    const mtu = icmp.nextHopMtu(view, message) || PATH_MTU_MIN;
    if (mtu >= ipv4.totalLength(view, quoted)) return false;
    this.#path.learnMtu(ipv4.destination(view, quoted), mtu);
    memory.count(COUNT.path_mtu_learned);
    return true;
  }

  /** Tells the sender of the frame at `offset` that it is larger than `mtu`, and must be fragmented by whoever sends it. */
  say(out: Outbox, offset: number, mtu: number): void {
    const { memory, nowMs } = this.#path;
    const frame = this.#said.take(nowMs) ? out.claim() : -1;
    if (frame < 0) return;
    const { bytes, view } = memory;
    const { port } = out;
    const about = offset + ethernet.HEADER_BYTES;
    const to = frame + ethernet.HEADER_BYTES;
    const quotedBytes = quotable(ipv4.totalLength(view, about), port.roomBytes - ethernet.HEADER_BYTES);
    bytes.copyWithin(frame, offset, about);
    ethernet.turnToSender(view, frame, port.macHigh, port.macLow);
    bytes.copyWithin(to + ERROR_HEADER_BYTES, about, about + quotedBytes);
    writeHeader(view, to, ERROR_HEADER_BYTES + quotedBytes, ipv4.destination(view, about), ipv4.source(view, about));
    icmp.writeFragmentationNeeded(view, to + ipv4.HEADER_BYTES_MIN, mtu, quotedBytes);
    out.send(frame, ethernet.HEADER_BYTES + ERROR_HEADER_BYTES + quotedBytes, 0, 0);
    memory.count(COUNT.icmp_frag_needed_sent);
  }

  /** Whether the datagram that begins at `quoted` may be one of ours: a whole one or a first fragment, sent lately. */
  #isOurs(quoted: number, available: number, toVip: boolean): boolean {
    const { memory, setup, slots, nowUs } = this.#path;
    const { view } = memory;
    const headerBytes = ipv4.headerBytes(view, quoted);
    if (ipv4.version(view, quoted) !== 4 || headerBytes < ipv4.HEADER_BYTES_MIN) return false;
    if (headerBytes + udp.HEADER_BYTES > available || ipv4.fragmentOffset(view, quoted) !== 0) return false;
    if (ipv4.protocol(view, quoted) !== ipv4.PROTOCOL_UDP) return false;
    if (ipv4.source(view, quoted) !== (toVip ? setup.vip : setup.ownAddress)) return false;
    const header = quoted + headerBytes;
    const fromPort = udp.sourcePort(view, header);
    if (toVip ? fromPort !== setup.vipPort : slots.find(fromPort, 0) < 0) return false;
    const whom = toVip ? SLOT_CLIENT : SLOT_NODE;
    return slots.isRecent(whom, ipv4.destination(view, quoted), udp.destinationPort(view, header), nowUs);
  }
}

function quotable(total: number, packetBytesMax: number): number {
  return Math.min(total, Math.min(ERROR_BYTES_MAX, packetBytesMax) - ERROR_HEADER_BYTES);
}

function writeHeader(view: DataView, offset: number, total: number, from: number, to: number): void {
  ipv4.writeHeader(view, offset, total, 0, ipv4.DONT_FRAGMENT, TTL_DEFAULT, ipv4.PROTOCOL_ICMP, from, to);
}
