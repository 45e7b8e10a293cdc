/**
 * The 24-byte header of the binary protocol (BinaryProtocolRevamped), big endian, and its opcodes.
 *
 *      0       1       2       3       4       5       6       7
 *     +-------+-------+---------------+-------+-------+---------------+
 *   0 | magic |opcode |  key length   |extras | type  |vbucket/status |
 *     +-------+-------+---------------+-------+-------+---------------+
 *   8 |          body length          |            opaque             |
 *     +-------------------------------+-------------------------------+
 *  16 |                              CAS                              |
 *     +---------------------------------------------------------------+
 *
 * The body is extras, key, value, in this order. Accessors are unchecked: see that BINARY_HEADER_BYTES are there.
 */
import * as verbs from './verbs.ts';

export const BINARY_HEADER_BYTES = 24;
export const MAGIC_REQUEST = 0x80;
export const MAGIC_RESPONSE = 0x81;

export const OPAQUE_BYTES = 4;
export const OPAQUE_AT = 12;
export const CAS_AT = 16;

export function keyLength(bytes: Uint8Array, offset: number): number {
  return (bytes[offset + 2] << 8) | bytes[offset + 3];
}

export function extrasLength(bytes: Uint8Array, offset: number): number {
  return bytes[offset + 4];
}

/** Status of a response; the same bytes are the vbucket of a request, which memcached ignores. */
export function status(bytes: Uint8Array, offset: number): number {
  return (bytes[offset + 6] << 8) | bytes[offset + 7];
}

/** Bytes of extras, key and value together, as int32: 2 GiB and more read negative. */
export function bodyLength(bytes: Uint8Array, offset: number): number {
  return (bytes[offset + 8] << 24) | (bytes[offset + 9] << 16) | (bytes[offset + 10] << 8) | bytes[offset + 11];
}

export function setKeyLength(bytes: Uint8Array, offset: number, length: number): void {
  bytes[offset + 2] = length >>> 8;
  bytes[offset + 3] = length;
}

export function setStatus(bytes: Uint8Array, offset: number, status: number): void {
  bytes[offset + 6] = status >>> 8;
  bytes[offset + 7] = status;
}

export function setBodyLength(bytes: Uint8Array, offset: number, length: number): void {
  bytes[offset + 8] = length >>> 24;
  bytes[offset + 9] = length >>> 16;
  bytes[offset + 10] = length >>> 8;
  bytes[offset + 11] = length;
}

export function hasCas(bytes: Uint8Array, offset: number): boolean {
  for (let at = offset + CAS_AT; at < offset + BINARY_HEADER_BYTES; at++) {
    if (bytes[at] !== 0) return true;
  }
  return false;
}

/** What a request with some opcode carries. */
export const HAS_KEY = 1;
export const HAS_VALUE = 2;
/** The quiet twin of another opcode: only some outcomes are answered. */
export const IS_QUIET = 4;
/** The extras may be left out. */
export const EXTRAS_OPTIONAL = 8;
export const KEY_OPTIONAL = 16;

const KEYED = HAS_KEY;
const STORE = HAS_KEY | HAS_VALUE;
const QUIET = IS_QUIET;

/** opcode, verb, what it carries, bytes of extras */
const OPCODES: readonly (readonly [opcode: number, verb: number, carries: number, extras: number])[] = [
  [0x00, verbs.VERB_GET, KEYED, 0],
  [0x01, verbs.VERB_SET, STORE, 8],
  [0x02, verbs.VERB_ADD, STORE, 8],
  [0x03, verbs.VERB_REPLACE, STORE, 8],
  [0x04, verbs.VERB_DELETE, KEYED, 0],
  [0x05, verbs.VERB_INCR, KEYED, 20],
  [0x06, verbs.VERB_DECR, KEYED, 20],
  [0x07, verbs.VERB_QUIT, 0, 0],
  [0x08, verbs.VERB_FLUSH_ALL, EXTRAS_OPTIONAL, 4],
  [0x09, verbs.VERB_GET, KEYED | QUIET, 0],
  [0x0a, verbs.VERB_NOOP, 0, 0],
  [0x0b, verbs.VERB_VERSION, 0, 0],
  [0x0c, verbs.VERB_GET, KEYED, 0], // getk
  [0x0d, verbs.VERB_GET, KEYED | QUIET, 0], // getkq
  [0x0e, verbs.VERB_APPEND, STORE, 0],
  [0x0f, verbs.VERB_PREPEND, STORE, 0],
  [0x10, verbs.VERB_STATS, KEY_OPTIONAL, 0],
  [0x11, verbs.VERB_SET, STORE | QUIET, 8],
  [0x12, verbs.VERB_ADD, STORE | QUIET, 8],
  [0x13, verbs.VERB_REPLACE, STORE | QUIET, 8],
  [0x14, verbs.VERB_DELETE, KEYED | QUIET, 0],
  [0x15, verbs.VERB_INCR, KEYED | QUIET, 20],
  [0x16, verbs.VERB_DECR, KEYED | QUIET, 20],
  [0x17, verbs.VERB_QUIT, QUIET, 0],
  [0x18, verbs.VERB_FLUSH_ALL, EXTRAS_OPTIONAL | QUIET, 4],
  [0x19, verbs.VERB_APPEND, STORE | QUIET, 0],
  [0x1a, verbs.VERB_PREPEND, STORE | QUIET, 0],
  [0x1c, verbs.VERB_TOUCH, KEYED, 4],
  [0x1d, verbs.VERB_GAT, KEYED, 4],
  [0x1e, verbs.VERB_GAT, KEYED | QUIET, 4],
  [0x20, verbs.VERB_SASL, 0, 0], // list mechanisms
  [0x21, verbs.VERB_SASL, STORE, 0], // auth
  [0x22, verbs.VERB_SASL, STORE, 0], // step
  [0x23, verbs.VERB_GAT, KEYED, 4], // gatk
  [0x24, verbs.VERB_GAT, KEYED | QUIET, 4], // gatkq
];

/** Opcode → VERB_*, VERB_UNKNOWN for those that memcached does not have. */
export const OPCODE_VERB = opcodeColumn(1);
/** Opcode → HAS_KEY, HAS_VALUE … */
export const OPCODE_CARRIES = opcodeColumn(2);
/** Opcode → bytes of extras. */
export const OPCODE_EXTRAS = opcodeColumn(3);

function opcodeColumn(column: 1 | 2 | 3): Uint8Array {
  const table = new Uint8Array(256);
  for (const row of OPCODES) table[row[0]] = row[column];
  return table;
}
