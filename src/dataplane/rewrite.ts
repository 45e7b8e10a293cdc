/** The in-place rewrite of a forwarded datagram: addresses, ports, TTL, memcached's request id, both checksums. */
import { FLAG_PARTIAL_CHECKSUM } from '../port/port.ts';
import { delta16, delta32 } from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';

/** One hop in the word that holds TTL (upper byte) and protocol (lower). */
const ONE_HOP = 0x100;

/**
 * Gives the datagram a new source, destination and request id and takes one hop from its TTL (the caller has dropped
 * TTL ≤ 1). All sums are updated incrementally (RFC 1624): wrong ones stay wrong. A partial UDP checksum covers the
 * pseudo-header alone, so only the addresses count there; whoever completes it sums ports and id as they now are.
 *
 * @param flags FLAG_* of the frame
 */
export function rewriteDatagram(
  view: DataView,
  ipOffset: number,
  udpOffset: number,
  flags: number,
  fromAddress: number,
  fromPort: number,
  toAddress: number,
  toPort: number,
  requestId: number,
): void {
  const addresses = delta32(
    delta32(0, ipv4.source(view, ipOffset), fromAddress),
    ipv4.destination(view, ipOffset),
    toAddress,
  );
  const hops = view.getUint16(ipOffset + 8);
  ipv4.setSource(view, ipOffset, fromAddress);
  ipv4.setDestination(view, ipOffset, toAddress);
  view.setUint16(ipOffset + 8, hops - ONE_HOP);
  ipv4.adjustChecksum(view, ipOffset, delta16(addresses, hops, hops - ONE_HOP));

  const ports = (fromPort << 16) | toPort;
  const idOffset = udpOffset + udp.HEADER_BYTES;
  const portsBefore = view.getInt32(udpOffset);
  const idBefore = view.getUint16(idOffset);
  view.setInt32(udpOffset, ports);
  view.setUint16(idOffset, requestId);
  if ((flags & FLAG_PARTIAL_CHECKSUM) !== 0) udp.adjustPartialChecksum(view, udpOffset, addresses);
  else udp.adjustChecksum(view, udpOffset, delta16(delta32(addresses, portsBefore, ports), idBefore, requestId));
}
