/** Frames that a lane writes from scratch: UDP datagrams and ICMP echo requests in IPv4 without options. */
import * as ethernet from '../wire/ethernet.ts';
import * as icmp from '../wire/icmp.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { FRAME_BYTES_MIN, TTL_DEFAULT } from './host.ts';

const IP_AT = ethernet.HEADER_BYTES;
const TRANSPORT_AT = IP_AT + ipv4.HEADER_BYTES_MIN;
/** Where the payload of a datagram lies, bytes from the start of the frame. */
export const PAYLOAD_AT = TRANSPORT_AT + udp.HEADER_BYTES;

/**
 * Puts all headers before the `payloadBytes` bytes that stand at `offset` + PAYLOAD_AT; returns the frame's length.
 * Nobody needs to tell these datagrams' fragments apart, as they are never cut (DF): identification 0 (RFC 6864 4.1).
 */
export function wrapDatagram(
  view: DataView,
  offset: number,
  toMacHigh: number,
  toMacLow: number,
  fromMacHigh: number,
  fromMacLow: number,
  from: number,
  fromPort: number,
  to: number,
  toPort: number,
  payloadBytes: number,
): number {
  const bytes = udp.HEADER_BYTES + payloadBytes;
  ethernet.writeHeader(view, offset, toMacHigh, toMacLow, fromMacHigh, fromMacLow, ethernet.ETHERTYPE_IPV4);
  writeIpv4(view, offset + IP_AT, bytes, ipv4.PROTOCOL_UDP, from, to);
  udp.writeHeader(view, offset + TRANSPORT_AT, fromPort, toPort, bytes);
  udp.setChecksum(view, offset + TRANSPORT_AT, udp.computeChecksum(view, offset + IP_AT, offset + TRANSPORT_AT, bytes));
  return padded(view, offset, PAYLOAD_AT + payloadBytes);
}

/** Writes an ICMP echo request as a whole frame at `offset`; returns its length. */
export function writeEchoFrame(
  view: DataView,
  offset: number,
  toMacHigh: number,
  toMacLow: number,
  fromMacHigh: number,
  fromMacLow: number,
  from: number,
  to: number,
  identifier: number,
  sequence: number,
): number {
  ethernet.writeHeader(view, offset, toMacHigh, toMacLow, fromMacHigh, fromMacLow, ethernet.ETHERTYPE_IPV4);
  const bytes = icmp.writeEchoRequest(view, offset + TRANSPORT_AT, identifier, sequence);
  writeIpv4(view, offset + IP_AT, bytes, ipv4.PROTOCOL_ICMP, from, to);
  return padded(view, offset, TRANSPORT_AT + bytes);
}

function writeIpv4(
  view: DataView,
  offset: number,
  payloadBytes: number,
  protocol: number,
  from: number,
  to: number,
): void {
  const total = ipv4.HEADER_BYTES_MIN + payloadBytes;
  ipv4.writeHeader(view, offset, total, 0, ipv4.DONT_FRAGMENT, TTL_DEFAULT, protocol, from, to);
}

function padded(view: DataView, offset: number, length: number): number {
  for (let at = length; at < FRAME_BYTES_MIN; at++) view.setUint8(offset + at, 0);
  return Math.max(length, FRAME_BYTES_MIN);
}
