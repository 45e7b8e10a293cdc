/**
 * Datagrams that the NF says itself: headers around a payload that is in its place already. TTL 64 (RFC 1700), no DF, so
 * that a router on the way may still cut them; hence an identification of their own (RFC 6864).
 */
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { TTL_DEFAULT } from './host.ts';

const IP_OFFSET = ethernet.HEADER_BYTES;
const UDP_OFFSET = IP_OFFSET + ipv4.HEADER_BYTES_MIN;
/** Bytes of a frame in front of its UDP payload. */
export const OWN_HEADERS_BYTES = UDP_OFFSET + udp.HEADER_BYTES;

/**
 * Writes EtherType, IPv4 and UDP header in front of `payloadBytes` that stand at `offset` + OWN_HEADERS_BYTES, with both
 * checksums. Ethernet addresses are the caller's. Returns the length of the frame.
 */
export function writeOwnHeaders(
  view: DataView,
  offset: number,
  identification: number,
  from: number,
  fromPort: number,
  to: number,
  toPort: number,
  payloadBytes: number,
): number {
  const ipOffset = offset + IP_OFFSET;
  const udpOffset = offset + UDP_OFFSET;
  const udpBytes = udp.HEADER_BYTES + payloadBytes;
  const ipBytes = ipv4.HEADER_BYTES_MIN + udpBytes;
  view.setUint16(ipOffset - 2, ethernet.ETHERTYPE_IPV4);
  ipv4.writeHeader(view, ipOffset, ipBytes, identification, 0, TTL_DEFAULT, ipv4.PROTOCOL_UDP, from, to);
  udp.writeHeader(view, udpOffset, fromPort, toPort, udpBytes);
  udp.setChecksum(view, udpOffset, udp.computeChecksum(view, ipOffset, udpOffset, udpBytes));
  return ethernet.HEADER_BYTES + ipBytes;
}
