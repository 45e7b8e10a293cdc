/**
 * What a virtio_net_hdr (linux/virtio_net.h) in the 10 bytes before a received frame says of it. AF_PACKET
 * (PACKET_VNET_HDR) and TAP (IFF_VNET_HDR) both put one there, in the byte order of the host, little endian:
 *
 *     byte 0  flags   1 NEEDS_CSUM, 2 DATA_VALID      byte 6  u16 csum_start, from the Ethernet header
 *          1  gso_type                                     8  u16 csum_offset, from csum_start
 *          2  u16 hdr_len, u16 gso_size
 *
 * What the other way needs, native/batch.cc writes.
 */
import { CHECKSUM_START_SHIFT, FLAG_PARTIAL_CHECKSUM, FLAG_SUPERFRAME } from './port.ts';

export const VIRTIO_BYTES = 10;
export const NEEDS_CHECKSUM = 1;
export const DATA_VALID = 2;
const UDP_CHECKSUM_OFFSET = 6;

/**
 * FLAG_PARTIAL_CHECKSUM with its start when the header of the frame at `offset` says NEEDS_CSUM with UDP's offset; TCP's
 * frames are never ours to send. A start beyond 255 bytes is no UDP header's.
 */
export function partialChecksum(bytes: Uint8Array, offset: number): number {
  if ((bytes[offset - 10] & NEEDS_CHECKSUM) === 0 || bytes[offset - 3] !== 0) return 0;
  if (bytes[offset - 2] !== UDP_CHECKSUM_OFFSET || bytes[offset - 1] !== 0) return 0;
  return FLAG_PARTIAL_CHECKSUM | (bytes[offset - 4] << CHECKSUM_START_SHIFT);
}

/** FLAG_SUPERFRAME when there is a gso_type. */
export function superframe(bytes: Uint8Array, offset: number): number {
  return bytes[offset - 9] === 0 ? 0 : FLAG_SUPERFRAME;
}
