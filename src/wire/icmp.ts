/**
 * ICMP (RFC 792): the echo messages, and "fragmentation needed" (RFC 1191 4).
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------+---------------+-------------------------------+
 *   0 |     type      |     code      |           checksum            |
 *     +---------------+---------------+-------------------------------+
 *   4 |          identifier           |           sequence            |
 *     +-------------------------------+-------------------------------+
 *   8 |  data: echoed back unchanged
 *
 *     +-------------------------------+-------------------------------+
 *   4 |           unused, 0           |  MTU of the next hop, 0: old  |   type 3, code 4
 *     +-------------------------------+-------------------------------+
 *   8 |  the IPv4 header of the datagram that did not fit, and at least 8 bytes of what followed it
 *
 * The checksum covers the message alone, no pseudo-header. Accessors are unchecked: call `isEchoRequest` or
 * `isFragmentationNeeded` first.
 */

import { finish, fold, sum16 } from './checksum.ts';

export const HEADER_BYTES = 8;

export const TYPE_ECHO_REPLY = 0;
export const TYPE_DESTINATION_UNREACHABLE = 3;
export const TYPE_ECHO_REQUEST = 8;
/** Of "destination unreachable": nobody listens there. */
export const CODE_PORT_UNREACHABLE = 3;
/** Of "destination unreachable": the datagram is too large for the next hop, and must not be fragmented. */
export const CODE_FRAGMENTATION_NEEDED = 4;
/** Of the datagram that an error is about: the shortest header, and the 8 bytes behind it that RFC 792 promises. */
export const QUOTED_BYTES_MIN = 28;

/** The first word of a request, (type 8, code 0); that of a reply is 0. */
const ECHO_REQUEST_WORD = TYPE_ECHO_REQUEST << 8;
/** The first word of (type 3, code 4). */
const FRAGMENTATION_NEEDED_WORD = (TYPE_DESTINATION_UNREACHABLE << 8) | CODE_FRAGMENTATION_NEEDED;
const PORT_UNREACHABLE_WORD = (TYPE_DESTINATION_UNREACHABLE << 8) | CODE_PORT_UNREACHABLE;

/** True when `available` bytes hold an echo request. */
export function isEchoRequest(view: DataView, offset: number, available: number): boolean {
  return available >= HEADER_BYTES && view.getUint16(offset) === ECHO_REQUEST_WORD;
}

/** True when `available` bytes hold an echo reply. */
export function isEchoReply(view: DataView, offset: number, available: number): boolean {
  return available >= HEADER_BYTES && view.getUint16(offset) === TYPE_ECHO_REPLY << 8;
}

/** True when `available` bytes hold a "port unreachable" with as much of the datagram it is about as RFC 792 promises. */
export function isPortUnreachable(view: DataView, offset: number, available: number): boolean {
  return available >= HEADER_BYTES + QUOTED_BYTES_MIN && view.getUint16(offset) === PORT_UNREACHABLE_WORD;
}

/** True when `available` bytes hold "fragmentation needed" with as much of the datagram as any error has. */
export function isFragmentationNeeded(view: DataView, offset: number, available: number): boolean {
  return available >= HEADER_BYTES + QUOTED_BYTES_MIN && view.getUint16(offset) === FRAGMENTATION_NEEDED_WORD;
}

/** Largest datagram that the next hop takes, bytes; 0 from a router older than RFC 1191. */
export function nextHopMtu(view: DataView, offset: number): number {
  return view.getUint16(offset + 6);
}

export function type(view: DataView, offset: number): number {
  return view.getUint8(offset);
}

export function code(view: DataView, offset: number): number {
  return view.getUint8(offset + 1);
}

export function checksum(view: DataView, offset: number): number {
  return view.getUint16(offset + 2);
}

export function identifier(view: DataView, offset: number): number {
  return view.getUint16(offset + 4);
}

export function sequence(view: DataView, offset: number): number {
  return view.getUint16(offset + 6);
}

/** `length`: the whole message, bytes, as the IPv4 header tells. */
export function verifyChecksum(view: DataView, offset: number, length: number): boolean {
  return sum16(view, offset, length) === 0xffff;
}

/** The checksum that a message of `length` bytes (≥ 4) should have, whatever stands in the field now. */
export function computeChecksum(view: DataView, offset: number, length: number): number {
  return finish(sum16(view, offset + 4, length - 4, view.getUint16(offset)));
}

/** Writes an echo request without data, checksum included; returns its length, bytes. */
export function writeEchoRequest(view: DataView, offset: number, identifier: number, sequence: number): number {
  view.setUint16(offset, ECHO_REQUEST_WORD);
  view.setUint16(offset + 4, identifier);
  view.setUint16(offset + 6, sequence);
  view.setUint16(offset + 2, computeChecksum(view, offset, HEADER_BYTES));
  return HEADER_BYTES;
}

/**
 * An echo request becomes its reply: type 8 → 0, which takes 0x0800 from the sum, so adds it to the checksum.
 *
 * Not by RFC 1624: a reply of nothing but zeros (identifier, sequence and data) is the one message whose sum is +0. Its
 * checksum must be 0xffff, equation 3 would say 0, and Linux drops that. Added to the checksum itself, 0xf7ff + 0x0800
 * is right. Where the rest sums to −0 the same 0xffff comes out for 0; every receiver takes either.
 */
export function turnIntoEchoReply(view: DataView, offset: number): void {
  view.setUint16(offset, TYPE_ECHO_REPLY << 8);
  view.setUint16(offset + 2, fold(checksum(view, offset) + ECHO_REQUEST_WORD));
}

/** Makes a "fragmentation needed" of the `quotedBytes` bytes that already stand behind the header's place at `offset`. */
export function writeFragmentationNeeded(view: DataView, offset: number, mtu: number, quotedBytes: number): void {
  view.setUint16(offset, FRAGMENTATION_NEEDED_WORD);
  view.setUint16(offset + 4, 0);
  view.setUint16(offset + 6, mtu);
  view.setUint16(offset + 2, computeChecksum(view, offset, HEADER_BYTES + quotedBytes));
}
