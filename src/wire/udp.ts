/**
 * UDP over IPv4 (RFC 768).
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------------------------------+-------------------------------+
 *   0 |          source port          |       destination port        |
 *     +-------------------------------+-------------------------------+
 *   4 |            length             |           checksum            |
 *     +-------------------------------+-------------------------------+
 *
 * The checksum covers a pseudo-header (IPv4 addresses, protocol, length), the UDP header and the payload. The field
 * reads in three ways:
 *
 *     0              none was computed (IPv4 only); it stays 0 through every rewrite
 *     1 … 0xffff     a checksum; a computed 0 is sent as 0xffff, its other representation
 *     partial        CHECKSUM_PARTIAL, a frame from a local stack: the folded pseudo-header sum, not complemented. Only
 *                    the port's flag tells it from a checksum.
 *
 * `setX` stores the field and nothing else; `rewriteX` and `adjustX` bring the checksum along.
 * Accessors are unchecked: call `validate` first.
 */

import { applyDelta, applyDeltaPartial, delta16, delta32, finish, sum16 } from './checksum.ts';
import { pseudoHeaderSum } from './ipv4.ts';

export { pseudoHeaderSum };

export const HEADER_BYTES = 8;

/** What a checksum of 0 is sent as. */
const COMPUTED_ZERO = 0xffff;

/** `validate`: fewer bytes than a header. */
export const INVALID_RUNT = -1;
/** `validate`: length below the header's, or beyond what is there. */
export const INVALID_LENGTH = -2;

/** Does the datagram fit in `available` bytes (IPv4 total length − header)? Returns 0 or an INVALID_* reason. */
export function validate(view: DataView, offset: number, available: number): number {
  if (available < HEADER_BYTES) return INVALID_RUNT;
  const bytes = length(view, offset);
  return bytes < HEADER_BYTES || bytes > available ? INVALID_LENGTH : 0;
}

export function sourcePort(view: DataView, offset: number): number {
  return view.getUint16(offset);
}

export function destinationPort(view: DataView, offset: number): number {
  return view.getUint16(offset + 2);
}

/** Header and payload, bytes. */
export function length(view: DataView, offset: number): number {
  return view.getUint16(offset + 4);
}

export function checksum(view: DataView, offset: number): number {
  return view.getUint16(offset + 6);
}

export function setSourcePort(view: DataView, offset: number, port: number): void {
  view.setUint16(offset, port);
}

export function setDestinationPort(view: DataView, offset: number, port: number): void {
  view.setUint16(offset + 2, port);
}

export function setLength(view: DataView, offset: number, bytes: number): void {
  view.setUint16(offset + 4, bytes);
}

export function setChecksum(view: DataView, offset: number, checksum: number): void {
  view.setUint16(offset + 6, checksum);
}

/**
 * The checksum of the whole datagram, 1 … 0xffff, whatever stands in the field now: so it also completes a partial one.
 * `udpLength` is the UDP length field, bytes (≥ 8).
 */
export function computeChecksum(view: DataView, ipOffset: number, udpOffset: number, udpLength: number): number {
  const pseudo = pseudoHeaderSum(view, ipOffset, udpLength);
  const beforeField = sum16(view, udpOffset, 6, pseudo);
  return finish(sum16(view, udpOffset + HEADER_BYTES, udpLength - HEADER_BYTES, beforeField)) || COMPUTED_ZERO;
}

/** True for a right checksum and for none (0). A partial one is not for this function. */
export function verifyChecksum(view: DataView, ipOffset: number, udpOffset: number, udpLength: number): boolean {
  if (checksum(view, udpOffset) === 0) return true;
  return sum16(view, udpOffset, udpLength, pseudoHeaderSum(view, ipOffset, udpLength)) === 0xffff;
}

/**
 * Brings the checksum along after changes of addresses, ports, length or payload words whose sum is `delta`
 * (`delta16`, `delta32` of checksum.ts). The UDP length is covered twice, once in the pseudo-header. None stays none.
 */
export function adjustChecksum(view: DataView, offset: number, delta: number): void {
  const before = checksum(view, offset);
  if (before !== 0) setChecksum(view, offset, applyDelta(before, delta) || COMPUTED_ZERO);
}

/** The same for a partial checksum: `delta` holds changes of the pseudo-header only, no ports, no payload. */
export function adjustPartialChecksum(view: DataView, offset: number, delta: number): void {
  setChecksum(view, offset, applyDeltaPartial(checksum(view, offset), delta));
}

/** Both ports, checksum included. On a partial checksum use the setters: it does not cover the ports. */
export function rewritePorts(view: DataView, offset: number, from: number, to: number): void {
  const ports = (from << 16) | to;
  adjustChecksum(view, offset, delta32(0, view.getInt32(offset), ports));
  view.setInt32(offset, ports);
}

export function rewriteSourcePort(view: DataView, offset: number, port: number): void {
  adjustChecksum(view, offset, delta16(0, sourcePort(view, offset), port));
  setSourcePort(view, offset, port);
}

export function rewriteDestinationPort(view: DataView, offset: number, port: number): void {
  adjustChecksum(view, offset, delta16(0, destinationPort(view, offset), port));
  setDestinationPort(view, offset, port);
}

/** Writes a header with checksum 0 (none) and returns the offset of the payload; `computeChecksum` comes after that. */
export function writeHeader(view: DataView, offset: number, from: number, to: number, bytes: number): number {
  setSourcePort(view, offset, from);
  setDestinationPort(view, offset, to);
  setLength(view, offset, bytes);
  setChecksum(view, offset, 0);
  return offset + HEADER_BYTES;
}
