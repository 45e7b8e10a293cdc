/** The in-place rewrite of a forwarded datagram: addresses, ports, TTL, memcached's request id, both checksums. */
import { FLAG_PARTIAL_CHECKSUM } from '../port/port.ts';
import { applyDelta, delta16, delta32 } from '../wire/checksum.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';

/** Offset of the word that holds TTL, protocol and header checksum. */
const LIFE = 8;
/** One hop in that word, and what a hop less adds to a checksum's delta, whatever the TTL: ~m + m − 0x100. */
const ONE_HOP = 0x01000000;
const ONE_HOP_DELTA = 0xfeff;

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
  ipv4.setSource(view, ipOffset, fromAddress);
  ipv4.setDestination(view, ipOffset, toAddress);
  const life = view.getInt32(ipOffset + LIFE);
  const headerSum = applyDelta(life & 0xffff, addresses + ONE_HOP_DELTA);
  view.setInt32(ipOffset + LIFE, ((life - ONE_HOP) & ~0xffff) | headerSum);

  const ports = (fromPort << 16) | toPort;
  const idOffset = udpOffset + udp.HEADER_BYTES;
  const portsBefore = view.getInt32(udpOffset);
  const idBefore = view.getUint16(idOffset);
  view.setInt32(udpOffset, ports);
  view.setUint16(idOffset, requestId);
  if ((flags & FLAG_PARTIAL_CHECKSUM) !== 0) udp.adjustPartialChecksum(view, udpOffset, addresses);
  else udp.adjustChecksum(view, udpOffset, delta16(delta32(addresses, portsBefore, ports), idBefore, requestId));
}
