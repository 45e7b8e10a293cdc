/**
 * IPv4 (RFC 791).
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------+-------+---------------+-------------------------------+
 *   0 |version|  IHL  |type of service|         total length          |
 *     +-------+-------+---------------+-----+-------------------------+
 *   4 |        identification         |0 D M|     fragment offset     |
 *     +---------------+---------------+-----+-------------------------+
 *   8 |      TTL      |   protocol    |        header checksum        |
 *     +---------------+---------------+-------------------------------+
 *  12 |                         source address                        |
 *     +---------------------------------------------------------------+
 *  16 |                      destination address                      |
 *     +---------------------------------------------------------------+
 *  20 |                 options (IHL − 5 words, often none)           |
 *     +---------------------------------------------------------------+
 *
 * Addresses are int32. `setX` stores the field and nothing else; `rewriteX` stores it and brings the header checksum
 * along (RFC 1624). A UDP checksum covers the addresses too: see udp.ts, `adjustChecksum`.
 * Accessors are unchecked: call `validate` first.
 */

import { applyDelta, delta16, delta32, finish, fold, sum16 } from './checksum.ts';

/** Header without options. */
export const HEADER_BYTES_MIN = 20;
/** Header with all the options there can be. */
export const HEADER_BYTES_MAX = 60;
/** Header and payload: what 16 bits of total length can say. */
export const TOTAL_BYTES_MAX = 65_535;
/** Payloads of fragments are multiples of this, but for the last one's. */
export const FRAGMENT_UNIT_BYTES = 8;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

/** Don't-fragment bit of the flags and fragment word. */
export const DONT_FRAGMENT = 0x4000;
/** More-fragments bit of the flags and fragment word. */
export const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET_MASK = 0x1fff;

/** `validate`: fewer bytes than the shortest header. */
export const INVALID_RUNT = -1;
/** `validate`: not version 4. */
export const INVALID_VERSION = -2;
/** `validate`: IHL below five words, or a header longer than what is there. */
export const INVALID_IHL = -3;
/** `validate`: total length below the header's, or beyond what is there. */
export const INVALID_LENGTH = -4;

/**
 * Are version and lengths such that every accessor stays within `available` bytes? Returns 0 or an INVALID_* reason.
 * What lies beyond `totalLength` is trailer padding. The checksum is checked apart (`verifyChecksum`).
 */
export function validate(view: DataView, offset: number, available: number): number {
  if (available < HEADER_BYTES_MIN) return INVALID_RUNT;
  const firstWord = view.getInt32(offset);
  if (firstWord >>> 28 !== 4) return INVALID_VERSION;
  const headerLength = (firstWord >>> 22) & 0x3c;
  if (headerLength < HEADER_BYTES_MIN || headerLength > available) return INVALID_IHL;
  const total = firstWord & 0xffff;
  return total < headerLength || total > available ? INVALID_LENGTH : 0;
}

export function version(view: DataView, offset: number): number {
  return view.getUint8(offset) >>> 4;
}

/** IHL in bytes: 20 … 60 in a valid header. */
export function headerBytes(view: DataView, offset: number): number {
  return (view.getUint8(offset) & 0x0f) << 2;
}

export function hasOptions(view: DataView, offset: number): boolean {
  return headerBytes(view, offset) > HEADER_BYTES_MIN;
}

export function typeOfService(view: DataView, offset: number): number {
  return view.getUint8(offset + 1);
}

/** Header and payload, bytes. */
export function totalLength(view: DataView, offset: number): number {
  return view.getUint16(offset + 2);
}

export function identification(view: DataView, offset: number): number {
  return view.getUint16(offset + 4);
}

/** The whole word: DONT_FRAGMENT, MORE_FRAGMENTS and the offset in units of 8 bytes. */
export function flagsAndFragment(view: DataView, offset: number): number {
  return view.getUint16(offset + 6);
}

/** Where this fragment's payload begins within the datagram's, bytes. */
export function fragmentOffset(view: DataView, offset: number): number {
  return (flagsAndFragment(view, offset) & FRAGMENT_OFFSET_MASK) << 3;
}

export function moreFragments(view: DataView, offset: number): boolean {
  return (flagsAndFragment(view, offset) & MORE_FRAGMENTS) !== 0;
}

export function dontFragment(view: DataView, offset: number): boolean {
  return (flagsAndFragment(view, offset) & DONT_FRAGMENT) !== 0;
}

/** A piece of a datagram: its first (more to come), its last (an offset), or one between. */
export function isFragment(view: DataView, offset: number): boolean {
  return (flagsAndFragment(view, offset) & (MORE_FRAGMENTS | FRAGMENT_OFFSET_MASK)) !== 0;
}

export function ttl(view: DataView, offset: number): number {
  return view.getUint8(offset + 8);
}

export function protocol(view: DataView, offset: number): number {
  return view.getUint8(offset + 9);
}

export function checksum(view: DataView, offset: number): number {
  return view.getUint16(offset + 10);
}

export function source(view: DataView, offset: number): number {
  return view.getInt32(offset + 12);
}

export function destination(view: DataView, offset: number): number {
  return view.getInt32(offset + 16);
}

export function verifyChecksum(view: DataView, offset: number): boolean {
  return fold(headerSum(view, offset)) === 0xffff;
}

/** The checksum that the header should have, whatever stands in the field now. */
export function computeChecksum(view: DataView, offset: number): number {
  return finish(headerSum(view, offset) - checksum(view, offset));
}

/** Unfolded sum of the header's words, so that a word can be taken out again. Below 2^22. */
function headerSum(view: DataView, offset: number): number {
  const a = view.getInt32(offset);
  const b = view.getInt32(offset + 4);
  const c = view.getInt32(offset + 8);
  const d = view.getInt32(offset + 12);
  const e = view.getInt32(offset + 16);
  const upper = (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16) + (e >>> 16);
  const lower = (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff) + (e & 0xffff);
  return upper + lower + optionsSum(view, offset);
}

function optionsSum(view: DataView, offset: number): number {
  const headerLength = headerBytes(view, offset);
  if (headerLength === HEADER_BYTES_MIN) return 0;
  return sum16(view, offset + HEADER_BYTES_MIN, headerLength - HEADER_BYTES_MIN);
}

export function setTotalLength(view: DataView, offset: number, bytes: number): void {
  view.setUint16(offset + 2, bytes);
}

export function setIdentification(view: DataView, offset: number, identification: number): void {
  view.setUint16(offset + 4, identification);
}

export function setFlagsAndFragment(view: DataView, offset: number, word: number): void {
  view.setUint16(offset + 6, word);
}

export function setTtl(view: DataView, offset: number, hops: number): void {
  view.setUint8(offset + 8, hops);
}

export function setChecksum(view: DataView, offset: number, checksum: number): void {
  view.setUint16(offset + 10, checksum);
}

export function setSource(view: DataView, offset: number, address: number): void {
  view.setInt32(offset + 12, address);
}

export function setDestination(view: DataView, offset: number, address: number): void {
  view.setInt32(offset + 16, address);
}

/** Brings the header checksum along after raw changes whose sum is `delta` (`delta16`, `delta32` of checksum.ts). */
export function adjustChecksum(view: DataView, offset: number, delta: number): void {
  setChecksum(view, offset, applyDelta(checksum(view, offset), delta));
}

export function rewriteTotalLength(view: DataView, offset: number, bytes: number): void {
  adjustChecksum(view, offset, delta16(0, totalLength(view, offset), bytes));
  setTotalLength(view, offset, bytes);
}

export function rewriteIdentification(view: DataView, offset: number, value: number): void {
  adjustChecksum(view, offset, delta16(0, identification(view, offset), value));
  setIdentification(view, offset, value);
}

export function rewriteSource(view: DataView, offset: number, address: number): void {
  adjustChecksum(view, offset, delta32(0, source(view, offset), address));
  setSource(view, offset, address);
}

export function rewriteDestination(view: DataView, offset: number, address: number): void {
  adjustChecksum(view, offset, delta32(0, destination(view, offset), address));
  setDestination(view, offset, address);
}

/**
 * Both addresses in one go. Returns the delta of the change, which the UDP checksum needs as well
 * (`udp.adjustChecksum`, `udp.adjustPartialChecksum`).
 */
export function rewriteAddresses(view: DataView, offset: number, from: number, to: number): number {
  const delta = delta32(delta32(0, source(view, offset), from), destination(view, offset), to);
  setSource(view, offset, from);
  setDestination(view, offset, to);
  adjustChecksum(view, offset, delta);
  return delta;
}

/** Changes source and destination places. A sum does not depend on order, so no checksum changes. */
export function swapAddresses(view: DataView, offset: number): void {
  const from = source(view, offset);
  setSource(view, offset, destination(view, offset));
  setDestination(view, offset, from);
}

/** Sets the TTL and brings the header checksum along; the word that changes holds TTL (upper) and protocol (lower). */
export function rewriteTtl(view: DataView, offset: number, hops: number): void {
  adjustChecksum(view, offset, delta16(0, ttl(view, offset) << 8, hops << 8));
  setTtl(view, offset, hops);
}

/** One hop less, checksum included; returns the new TTL. The caller has dropped TTL ≤ 1 (RFC 1812, 5.3.1). */
export function decrementTtl(view: DataView, offset: number): number {
  const hops = (ttl(view, offset) - 1) & 0xff;
  rewriteTtl(view, offset, hops);
  return hops;
}

/** Writes a header of 20 bytes, type of service 0, with its checksum; returns the offset of the payload. */
export function writeHeader(
  view: DataView,
  offset: number,
  total: number,
  identification: number,
  flags: number,
  hops: number,
  protocol: number,
  from: number,
  to: number,
): number {
  view.setUint16(offset, 0x4500);
  setTotalLength(view, offset, total);
  setIdentification(view, offset, identification);
  setFlagsAndFragment(view, offset, flags);
  view.setUint16(offset + 8, (hops << 8) | protocol);
  setSource(view, offset, from);
  setDestination(view, offset, to);
  setChecksum(view, offset, computeChecksum(view, offset));
  return offset + HEADER_BYTES_MIN;
}

/**
 * The folded sum of a UDP or TCP pseudo-header (RFC 768): addresses, protocol and transport length. Uncomplemented,
 * it is what Linux leaves in the checksum field of a CHECKSUM_PARTIAL datagram.
 */
export function pseudoHeaderSum(view: DataView, offset: number, transportBytes: number): number {
  const from = source(view, offset);
  const to = destination(view, offset);
  const addresses = (from >>> 16) + (from & 0xffff) + (to >>> 16) + (to & 0xffff);
  return fold(addresses + protocol(view, offset) + transportBytes);
}
