/**
 * What a packet to one of our addresses must be before anybody looks further. Each check returns the position of the
 * counter of its drop, or 0: position 0 counts requests, which is never a fault.
 */

import { FRAME_HEADER_BYTES } from '../memcached/frame-header.ts';
import { FLAG_CHECKSUM_VERIFIED, FLAG_PARTIAL_CHECKSUM, FLAG_SUPERFRAME, FLAG_TRUNCATED } from '../port/port.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { COUNT } from './counters.ts';

/** What the transport said of the whole frame. */
export function faultOfFrame(flags: number): number {
  if ((flags & FLAG_SUPERFRAME) !== 0) return COUNT.drop_superframe;
  return (flags & FLAG_TRUNCATED) !== 0 ? COUNT.drop_truncated : 0;
}

/**
 * The IPv4 header: lengths, checksum, TTL ≤ 1 (RFC 1812 5.3.1); a fragment's is no worse than another.
 * @param available bytes from `offset` to the end of the frame
 */
export function faultOfHeader(view: DataView, offset: number, available: number): number {
  if (available < ipv4.HEADER_BYTES_MIN) return COUNT.drop_runt;
  if (ipv4.validate(view, offset, available) !== 0) return COUNT.drop_ip_header;
  if (!ipv4.verifyChecksum(view, offset)) return COUNT.drop_ip_checksum;
  return ipv4.ttl(view, offset) <= 1 ? COUNT.drop_ttl_expired : 0;
}

/** Whether an address may send: not 0/8, not 127/8, not multicast or above (RFC 1122 3.2.1.3). */
export function maySend(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

/**
 * A UDP datagram for memcached: lengths, checksum unless the transport vouches for it, room for a frame header, and a port
 * that can be answered: 0 means that there is none (RFC 768).
 */
export function faultOfDatagram(view: DataView, ipOffset: number, udpOffset: number, flags: number): number {
  const available = ipOffset + ipv4.totalLength(view, ipOffset) - udpOffset;
  if (udp.validate(view, udpOffset, available) !== 0) return COUNT.drop_udp_length;
  const bytes = udp.length(view, udpOffset);
  const vouched = (flags & (FLAG_PARTIAL_CHECKSUM | FLAG_CHECKSUM_VERIFIED)) !== 0;
  if (!vouched && !udp.verifyChecksum(view, ipOffset, udpOffset, bytes)) return COUNT.drop_udp_checksum;
  if (udp.sourcePort(view, udpOffset) === 0) return COUNT.drop_udp_port;
  return bytes < udp.HEADER_BYTES + FRAME_HEADER_BYTES ? COUNT.drop_frame_header : 0;
}
