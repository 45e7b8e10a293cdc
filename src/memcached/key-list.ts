/**
 * Walks over the keys of a request that has several, which `parseRequest` (or `isQuietRun`) has accepted: nothing is
 * checked here again.
 *
 *     get alpha  beta gamma\r\n          binary: getkq alpha, getq beta, noop
 *         ^      ^    ^                          ^            ^          ^
 */
import * as binary from './binary.ts';
import { endsLine, skipSpaces, tokenEnd } from './line.ts';

const { BINARY_HEADER_BYTES, MAGIC_REQUEST } = binary;

const OPCODE_GET = 0x00;
const OPCODE_GETQ = 0x09;
const OPCODE_NOOP = 0x0a;
export const OPCODE_GETK = 0x0c;
const OPCODE_GETKQ = 0x0d;
const KEY_BYTES_MAX = 250;

/** Offset of the next key at or behind `at`, or −1 when the line ends there. */
export function nextKey(bytes: Uint8Array, at: number): number {
  const start = skipSpaces(bytes, at);
  return endsLine(bytes, start) ? -1 : start;
}

/** Offset behind the key that begins at `start`. */
export function keyStop(bytes: Uint8Array, start: number): number {
  return tokenEnd(bytes, start);
}

/** Offset behind the binary packet that begins at `offset`. */
export function packetEnd(bytes: Uint8Array, offset: number): number {
  return offset + BINARY_HEADER_BYTES + binary.bodyLength(bytes, offset);
}

/** getq or getkq. */
export function isQuietGet(opcode: number): boolean {
  return opcode === OPCODE_GETQ || opcode === OPCODE_GETKQ;
}

export function isNoop(opcode: number): boolean {
  return opcode === OPCODE_NOOP;
}

/** Does the opcode's response name the key? */
export function isKeyed(opcode: number): boolean {
  return opcode === OPCODE_GETK || opcode === OPCODE_GETKQ;
}

/**
 * Is this the binary protocol's multi-get: quiet gets (getq, getkq), the last of them perhaps followed by the noop, get
 * or getk that makes the server answer? Any other run of binary requests is more than one command in a datagram.
 */
export function isQuietRun(bytes: Uint8Array, offset: number, end: number): boolean {
  let at = offset;
  let quiet = 0;
  while (at < end) {
    const stop = wellFormedEnd(bytes, at, end);
    if (stop < 0) return false;
    if (!isQuietGet(bytes[at + 1])) return quiet > 0 && stop === end;
    quiet++;
    at = stop;
  }
  return quiet > 0;
}

/** End of the get or noop packet at `at`, or −1 when it is something else or not whole. */
function wellFormedEnd(bytes: Uint8Array, at: number, end: number): number {
  if (end - at < BINARY_HEADER_BYTES || bytes[at] !== MAGIC_REQUEST || binary.extrasLength(bytes, at) !== 0) return -1;
  const keyBytes = binary.keyLength(bytes, at);
  const opcode = bytes[at + 1];
  if (binary.bodyLength(bytes, at) !== keyBytes || keyBytes > end - at - BINARY_HEADER_BYTES) return -1;
  if (opcode === OPCODE_NOOP) return keyBytes === 0 ? at + BINARY_HEADER_BYTES : -1;
  const isGet = isQuietGet(opcode) || opcode === OPCODE_GET || opcode === OPCODE_GETK;
  return isGet && keyBytes > 0 && keyBytes <= KEY_BYTES_MAX ? at + BINARY_HEADER_BYTES + keyBytes : -1;
}
