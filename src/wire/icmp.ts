/**
 * ICMP (RFC 792): the echo messages.
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
 * The checksum covers the message alone, no pseudo-header. Accessors are unchecked: call `isEchoRequest` first.
 */

import { finish, fold, sum16 } from './checksum.ts';

export const HEADER_BYTES = 8;

export const TYPE_ECHO_REPLY = 0;
export const TYPE_DESTINATION_UNREACHABLE = 3;
export const TYPE_ECHO_REQUEST = 8;

/** Of "destination unreachable": nobody listens there. */
export const CODE_PORT_UNREACHABLE = 3;

/** The first word of a request, (type 8, code 0); that of a reply is 0. */
const ECHO_REQUEST_WORD = TYPE_ECHO_REQUEST << 8;
const PORT_UNREACHABLE_WORD = (TYPE_DESTINATION_UNREACHABLE << 8) | CODE_PORT_UNREACHABLE;
/** What an error quotes at least: an IPv4 header without options and 8 bytes of what follows it. */
const QUOTE_BYTES_MIN = 28;

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
  return available >= HEADER_BYTES + QUOTE_BYTES_MIN && view.getUint16(offset) === PORT_UNREACHABLE_WORD;
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
