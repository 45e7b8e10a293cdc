/**
 * Partial UDP checksums where no kernel speaks of them. A local stack leaves the checksum to the network card and puts the
 * folded pseudo-header sum in its place; AF_PACKET flags such frames, libpcap and capture files do not.
 */
import * as ethernet from '../wire/ethernet.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { CHECKSUM_START_SHIFT, FLAG_PARTIAL_CHECKSUM } from './port.ts';

/**
 * FLAGS of the frame at `offset`: FLAG_PARTIAL_CHECKSUM and where the checksummed part begins when the field holds the
 * pseudo-header sum and no right checksum (one datagram in 65,536 has both in one), else 0.
 */
export function partialChecksumFlags(view: DataView, offset: number, length: number): number {
  const ip = offset + ethernet.HEADER_BYTES;
  const end = offset + length;
  if (end - ip < ipv4.HEADER_BYTES_MIN + udp.HEADER_BYTES) return 0;
  if (ethernet.etherType(view, offset) !== ethernet.ETHERTYPE_IPV4 || ipv4.version(view, ip) !== 4) return 0;
  if (ipv4.protocol(view, ip) !== ipv4.PROTOCOL_UDP || ipv4.isFragment(view, ip)) return 0;
  const datagram = ip + ipv4.headerBytes(view, ip);
  if (udp.validate(view, datagram, end - datagram) !== 0) return 0;
  const bytes = udp.length(view, datagram);
  if (udp.checksum(view, datagram) !== ipv4.pseudoHeaderSum(view, ip, bytes)) return 0;
  if (udp.verifyChecksum(view, ip, datagram, bytes)) return 0;
  return FLAG_PARTIAL_CHECKSUM | ((datagram - offset) << CHECKSUM_START_SHIFT);
}

/** Does what the network card would: the checksum of a frame whose FLAGS say that it is partial. */
export function completeChecksum(view: DataView, offset: number, flags: number): void {
  if ((flags & FLAG_PARTIAL_CHECKSUM) === 0) return;
  const datagram = offset + ((flags >>> CHECKSUM_START_SHIFT) & 0xff);
  const checksum = udp.computeChecksum(view, offset + ethernet.HEADER_BYTES, datagram, udp.length(view, datagram));
  udp.setChecksum(view, datagram, checksum);
}
