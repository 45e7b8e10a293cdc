/** Frames that the simulated hosts send, and what they read of those they get. */

import { CHECKSUM_START_SHIFT, FLAG_PARTIAL_CHECKSUM } from '../../src/port/port.ts';
import * as arp from '../../src/wire/arp.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as icmp from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import type { Mac } from '../../src/wire/mac-text.ts';
import * as udp from '../../src/wire/udp.ts';
import type { FramePool } from './frame-pool.ts';

const IP_AT = ethernet.HEADER_BYTES;
const UDP_AT = IP_AT + ipv4.HEADER_BYTES_MIN;
/** Where the payload of a datagram begins, bytes from the start of the frame. */
export const PAYLOAD_AT = UDP_AT + udp.HEADER_BYTES;
const TTL = 64;
/** Of the datagram that an ICMP error is about. */
const QUOTED_BYTES = 28;

export function toMacLow(view: DataView, offset: number): number {
  return ethernet.destinationLow(view, offset);
}

export function isArp(view: DataView, offset: number): boolean {
  return ethernet.etherType(view, offset) === ethernet.ETHERTYPE_ARP;
}

/** Whose address an ARP packet asks for. */
export function arpTarget(view: DataView, offset: number): number {
  return isArp(view, offset) ? arp.targetAddress(view, offset + IP_AT) : 0;
}

export function isUdp(view: DataView, offset: number): boolean {
  return (
    ethernet.etherType(view, offset) === ethernet.ETHERTYPE_IPV4 &&
    ipv4.protocol(view, offset + IP_AT) === ipv4.PROTOCOL_UDP
  );
}

export function isEchoRequest(view: DataView, offset: number): boolean {
  const ip = offset + IP_AT;
  if (isArp(view, offset) || ipv4.protocol(view, ip) !== ipv4.PROTOCOL_ICMP) return false;
  return icmp.isEchoRequest(view, offset + UDP_AT, ipv4.totalLength(view, ip) - ipv4.HEADER_BYTES_MIN);
}

export function source(view: DataView, offset: number): number {
  return ipv4.source(view, offset + IP_AT);
}

export function destination(view: DataView, offset: number): number {
  return ipv4.destination(view, offset + IP_AT);
}

export function sourcePort(view: DataView, offset: number): number {
  return udp.sourcePort(view, offset + UDP_AT);
}

export function destinationPort(view: DataView, offset: number): number {
  return udp.destinationPort(view, offset + UDP_AT);
}

/** End of the payload of a datagram. */
export function payloadEnd(view: DataView, offset: number): number {
  return offset + UDP_AT + udp.length(view, offset + UDP_AT);
}

/** @throws Error unless both checksums of the datagram in a slot are right, but for one that is left to the network card */
export function assertChecksums(pool: FramePool, slot: number): void {
  const { view } = pool;
  const offset = pool.offset(slot);
  const ip = offset + IP_AT;
  if (ipv4.headerBytes(view, ip) !== ipv4.HEADER_BYTES_MIN) throw new Error('an IPv4 header with options');
  if (!ipv4.verifyChecksum(view, ip)) throw new Error('a wrong IPv4 checksum');
  const bytes = udp.length(view, offset + UDP_AT);
  if (bytes !== ipv4.totalLength(view, ip) - ipv4.HEADER_BYTES_MIN) throw new Error('lengths that contradict');
  if ((pool.flags[slot]! & FLAG_PARTIAL_CHECKSUM) !== 0) return;
  if (!udp.verifyChecksum(view, ip, offset + UDP_AT, bytes)) throw new Error('a wrong UDP checksum');
}

export interface Endpoint {
  readonly mac: Mac;
  readonly ip: number;
  readonly port: number;
}

/**
 * Puts headers before the `payloadBytes` bytes at PAYLOAD_AT of a slot.
 * @param isPartial the checksum is left to the network card
 */
export function wrapDatagram(
  pool: FramePool,
  slot: number,
  from: Endpoint,
  toMac: Mac,
  to: number,
  toPort: number,
  payloadBytes: number,
  isPartial: boolean,
): void {
  const { view } = pool;
  const offset = pool.offset(slot);
  const bytes = udp.HEADER_BYTES + payloadBytes;
  const { mac } = from;
  ethernet.writeHeader(view, offset, toMac.high, toMac.low, mac.high, mac.low, ethernet.ETHERTYPE_IPV4);
  const total = ipv4.HEADER_BYTES_MIN + bytes;
  ipv4.writeHeader(view, offset + IP_AT, total, 0, ipv4.DONT_FRAGMENT, TTL, ipv4.PROTOCOL_UDP, from.ip, to);
  udp.writeHeader(view, offset + UDP_AT, from.port, toPort, bytes);
  const checksum = isPartial
    ? ipv4.pseudoHeaderSum(view, offset + IP_AT, bytes)
    : udp.computeChecksum(view, offset + IP_AT, offset + UDP_AT, bytes);
  udp.setChecksum(view, offset + UDP_AT, checksum);
  pool.lengths[slot] = PAYLOAD_AT + payloadBytes;
  pool.flags[slot] = isPartial ? FLAG_PARTIAL_CHECKSUM | (UDP_AT << CHECKSUM_START_SHIFT) : 0;
}

/** Turns an ARP request in a slot into the answer of the host with this address. */
export function answerArp(pool: FramePool, slot: number, mac: Mac): void {
  const { view } = pool;
  const offset = pool.offset(slot);
  arp.turnIntoReply(view, offset + IP_AT, mac.high, mac.low);
  ethernet.turnToSender(view, offset, mac.high, mac.low);
}

/** Turns an ICMP echo request in a slot into its reply. */
export function answerEcho(pool: FramePool, slot: number, mac: Mac): void {
  const { view } = pool;
  const offset = pool.offset(slot);
  icmp.turnIntoEchoReply(view, offset + UDP_AT);
  const to = ipv4.source(view, offset + IP_AT);
  ipv4.setSource(view, offset + IP_AT, ipv4.destination(view, offset + IP_AT));
  ipv4.setDestination(view, offset + IP_AT, to);
  ethernet.turnToSender(view, offset, mac.high, mac.low);
}

/** Turns a datagram in a slot into the ICMP error that nobody listens to it; `ip` is whose error it is. */
export function refuseDatagram(pool: FramePool, slot: number, mac: Mac, ip: number): void {
  const { view, bytes } = pool;
  const offset = pool.offset(slot);
  const to = ipv4.source(view, offset + IP_AT);
  const message = offset + UDP_AT;
  bytes.copyWithin(message + icmp.HEADER_BYTES, offset + IP_AT, offset + IP_AT + QUOTED_BYTES);
  view.setUint16(message, (icmp.TYPE_DESTINATION_UNREACHABLE << 8) | icmp.CODE_PORT_UNREACHABLE);
  view.setInt32(message + 4, 0);
  const bytesOf = icmp.HEADER_BYTES + QUOTED_BYTES;
  view.setUint16(message + 2, icmp.computeChecksum(view, message, bytesOf));
  const total = ipv4.HEADER_BYTES_MIN + bytesOf;
  ipv4.writeHeader(view, offset + IP_AT, total, 0, 0, TTL, ipv4.PROTOCOL_ICMP, ip, to);
  ethernet.turnToSender(view, offset, mac.high, mac.low);
  pool.lengths[slot] = IP_AT + total;
  pool.flags[slot] = 0;
}
