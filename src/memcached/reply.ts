/**
 * What the first datagram of a reply (sequence 0) is, and where its key and value lie. memcached cuts a reply anywhere
 * after 1400 bytes, so the value may go on in the datagrams that follow; the line or header in front never does.
 *
 * A reply is judged by its first line or header only, and nothing is assumed of the bytes: whatever does not read as a
 * reply is REPLY_OTHER.
 */
import * as binary from './binary.ts';
import * as located from './located.ts';
import { wordAt, wordTable } from './words.ts';

// Copies of imported constants, see line.ts.
const { BINARY_HEADER_BYTES, MAGIC_RESPONSE, OPAQUE_AT, OPAQUE_BYTES, OPCODE_VERB } = binary;
const { KEY_BYTES_MAX, OUT_FLAGS, OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_OPAQUE_LENGTH, OUT_OPAQUE_OFFSET } = located;
const { OUT_OPCODE, OUT_PROTOCOL, OUT_STATUS, OUT_VALUE_LENGTH, OUT_VALUE_OFFSET, OUT_VERB } = located;
const { PROTOCOL_BINARY, PROTOCOL_META, REQUEST_KEY_BASE64 } = located;

/** Not a reply, or one of another kind (STAT, RESET, an empty datagram). */
export const REPLY_OTHER = 0;
/** VALUE: key, value. */
export const REPLY_VALUE = 1;
/** END: a miss. */
export const REPLY_END = 2;
/** VA: value; key when the request had flag k. */
export const REPLY_META_VALUE = 3;
/** HD EN NF NS EX MN ME; which one is in OUT_STATUS. Key when the request had flag k (never ME's). */
export const REPLY_META = 4;
/** STORED and the like, which one is in OUT_STATUS; or the number that answers incr and decr (STATUS_NUMBER). */
export const REPLY_STATUS = 5;
/** ERROR, CLIENT_ERROR, SERVER_ERROR. */
export const REPLY_ERROR = 6;
/** Binary response: OUT_OPCODE, OUT_STATUS; key when it has one. */
export const REPLY_BINARY = 7;
/** VERSION: its text is the value. */
export const REPLY_VERSION = 8;
export const REPLY_NAMES = [
  'other',
  'value',
  'end',
  'meta value',
  'meta',
  'status',
  'error',
  'binary',
  'version',
] as const;

/** OUT_STATUS of ASCII and meta replies. */
export const STATUS_NONE = 0;
export const STATUS_STORED = 1;
export const STATUS_NOT_STORED = 2;
export const STATUS_EXISTS = 3;
export const STATUS_NOT_FOUND = 4;
export const STATUS_DELETED = 5;
export const STATUS_TOUCHED = 6;
export const STATUS_OK = 7;
export const STATUS_HD = 8;
export const STATUS_EN = 9;
export const STATUS_NF = 10;
export const STATUS_NS = 11;
export const STATUS_EX = 12;
export const STATUS_MN = 13;
export const STATUS_ME = 14;
export const STATUS_VALUE = 15;
export const STATUS_VA = 16;
export const STATUS_END = 17;
export const STATUS_ERROR = 18;
export const STATUS_CLIENT_ERROR = 19;
export const STATUS_SERVER_ERROR = 20;
export const STATUS_VERSION = 21;
export const STATUS_NUMBER = 22;

/** In the order of the ids above, from STORED to VERSION. */
const WORDS: readonly (readonly [word: string, kind: number])[] = [
  ['STORED', REPLY_STATUS],
  ['NOT_STORED', REPLY_STATUS],
  ['EXISTS', REPLY_STATUS],
  ['NOT_FOUND', REPLY_STATUS],
  ['DELETED', REPLY_STATUS],
  ['TOUCHED', REPLY_STATUS],
  ['OK', REPLY_STATUS],
  ['HD', REPLY_META],
  ['EN', REPLY_META],
  ['NF', REPLY_META],
  ['NS', REPLY_META],
  ['EX', REPLY_META],
  ['MN', REPLY_META],
  ['ME', REPLY_META],
  ['VALUE', REPLY_VALUE],
  ['VA', REPLY_META_VALUE],
  ['END', REPLY_END],
  ['ERROR', REPLY_ERROR],
  ['CLIENT_ERROR', REPLY_ERROR],
  ['SERVER_ERROR', REPLY_ERROR],
  ['VERSION', REPLY_VERSION],
];

/** STATUS_* → REPLY_*. */
const KINDS = Uint8Array.from([REPLY_OTHER, ...WORDS.map(([, kind]) => kind)]);
const { ids, spellings, multiplier } = wordTable(Object.fromEntries(WORDS.map(([word], index) => [word, index + 1])));

// An exported constant is loaded as slowly as an imported one.
const OTHER = REPLY_OTHER;
const VALUE = REPLY_VALUE;
const META = REPLY_META;
const META_VALUE = REPLY_META_VALUE;
const VERSION = REPLY_VERSION;
const ME = STATUS_ME;

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const ZERO = 0x30;
const LETTER_O = 0x4f;
const LETTER_B = 0x62;
const LETTER_K = 0x6b;
const NUL = 0;

/**
 * Reads bytes `offset` … `end` − 1, which is what follows the 8-byte frame header of a datagram with sequence 0.
 * Returns REPLY_*; every word of `out` is written (located.ts); REPLY_OTHER has neither key nor value.
 */
export function parseReply(bytes: Uint8Array, offset: number, end: number, out: Int32Array): number {
  located.clearLocated(out);
  const kind = readReply(bytes, offset, end, out);
  if (kind === OTHER) located.clearLocated(out);
  return kind;
}

function readReply(bytes: Uint8Array, offset: number, end: number, out: Int32Array): number {
  if (offset >= end) return OTHER;
  if (bytes[offset] === MAGIC_RESPONSE) return parseBinaryReply(bytes, offset, end, out);
  const stop = tokenEnd(bytes, offset, end);
  const status = wordAt(ids, spellings, multiplier, bytes, offset, stop - offset);
  if (status === 0) return parseNumber(bytes, offset, end, out);
  out[OUT_STATUS] = status;
  return parseLine(KINDS[status], status, bytes, stop, end, out);
}

function parseLine(kind: number, status: number, bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  if (kind === VALUE) return parseValue(bytes, at, end, out);
  const isMeta = kind === META || kind === META_VALUE;
  if (isMeta) out[OUT_PROTOCOL] = PROTOCOL_META;
  const flags = kind === META_VALUE ? declaredEnd(bytes, at, end, out) : at;
  if (flags < 0) return OTHER;
  // ME names a base64 key without saying that it is base64.
  const tail = isMeta && status !== ME ? parseFlags(bytes, flags, end, out) : lineEnd(bytes, flags, end);
  if (tail < 0) return OTHER;
  if (kind === META_VALUE) out[OUT_VALUE_OFFSET] = tail;
  if (kind === VERSION) noteText(at + 1, tail - 2, out);
  return kind;
}

/** VALUE <key> <flags> <bytes> [<cas>]\r\n */
function parseValue(bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  const key = at + 1;
  const keyStop = tokenEnd(bytes, key, end);
  const flagsStop = tokenEnd(bytes, keyStop + 1, end);
  if (!isKey(bytes, key, keyStop, end) || flagsStop <= keyStop + 1) return OTHER;
  const stop = declaredEnd(bytes, flagsStop, end, out);
  const tail = stop < 0 ? -1 : lineEnd(bytes, stop, end);
  if (tail < 0) return OTHER;
  out[OUT_KEY_OFFSET] = key;
  out[OUT_KEY_LENGTH] = keyStop - key;
  out[OUT_VALUE_OFFSET] = tail;
  return VALUE;
}

/** The flags a meta reply returns: k, O and b are of interest. Returns the offset behind the line, or −1. */
function parseFlags(bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  let stop = at;
  while (stop + 1 < end && bytes[stop] === SPACE && bytes[stop + 1] > SPACE) {
    const flag = stop + 1;
    stop = tokenEnd(bytes, flag, end);
    noteFlag(bytes[flag], flag + 1, stop, out);
  }
  const tail = lineEnd(bytes, stop, end);
  return tail === stop + 2 && out[OUT_KEY_LENGTH] <= KEY_BYTES_MAX ? tail : -1;
}

function noteFlag(flag: number, start: number, stop: number, out: Int32Array): void {
  if (flag === LETTER_K && stop > start) {
    out[OUT_KEY_OFFSET] = start;
    out[OUT_KEY_LENGTH] = stop - start;
  } else if (flag === LETTER_O) {
    out[OUT_OPAQUE_OFFSET] = start;
    out[OUT_OPAQUE_LENGTH] = stop - start;
  } else if (flag === LETTER_B && stop === start) {
    out[OUT_FLAGS] |= REQUEST_KEY_BASE64;
  }
}

/** The number that answers incr, decr: digits, then perhaps spaces (decr does not shorten the value it stores). */
function parseNumber(bytes: Uint8Array, offset: number, end: number, out: Int32Array): number {
  const stop = digitsEnd(bytes, offset, end);
  const last = skipSpaces(bytes, stop, end);
  if (stop === offset || last + 2 !== end || bytes[last] !== CR || bytes[last + 1] !== LF) return OTHER;
  out[OUT_VALUE_OFFSET] = offset;
  out[OUT_VALUE_LENGTH] = stop - offset;
  out[OUT_STATUS] = STATUS_NUMBER;
  return REPLY_STATUS;
}

function noteText(start: number, stop: number, out: Int32Array): void {
  out[OUT_VALUE_OFFSET] = start;
  out[OUT_VALUE_LENGTH] = Math.max(0, stop - start);
}

function parseBinaryReply(bytes: Uint8Array, offset: number, end: number, out: Int32Array): number {
  if (end - offset < BINARY_HEADER_BYTES) return OTHER;
  const keyBytes = binary.keyLength(bytes, offset);
  const key = offset + BINARY_HEADER_BYTES + binary.extrasLength(bytes, offset);
  const value = key + keyBytes;
  const valueBytes = offset + BINARY_HEADER_BYTES + binary.bodyLength(bytes, offset) - value;
  if (valueBytes < 0 || value > end || keyBytes > KEY_BYTES_MAX) return OTHER;
  const opcode = bytes[offset + 1];
  out[OUT_PROTOCOL] = PROTOCOL_BINARY;
  out[OUT_OPCODE] = opcode;
  out[OUT_VERB] = OPCODE_VERB[opcode];
  out[OUT_STATUS] = binary.status(bytes, offset);
  out[OUT_OPAQUE_OFFSET] = offset + OPAQUE_AT;
  out[OUT_OPAQUE_LENGTH] = OPAQUE_BYTES;
  out[OUT_VALUE_OFFSET] = value;
  out[OUT_VALUE_LENGTH] = valueBytes;
  if (keyBytes > 0) {
    out[OUT_KEY_OFFSET] = key;
    out[OUT_KEY_LENGTH] = keyBytes;
  }
  return REPLY_BINARY;
}

/** As in requests (line.ts): a token ends at a space, at the line's end, or at a NUL. */
function tokenEnd(bytes: Uint8Array, at: number, end: number): number {
  let index = at;
  while (index < end && bytes[index] > SPACE) index++;
  return index >= end || bytes[index] === SPACE ? index : controlledTokenEnd(bytes, index, end);
}

function controlledTokenEnd(bytes: Uint8Array, at: number, end: number): number {
  let index = at;
  while (index < end && (bytes[index] > SPACE || isTokenControl(bytes, index, end))) index++;
  return index;
}

function isTokenControl(bytes: Uint8Array, at: number, end: number): boolean {
  const byte = bytes[at];
  if (byte === SPACE || byte === LF || byte === NUL) return false;
  return byte !== CR || (at + 1 < end && bytes[at + 1] !== LF);
}

function digitsEnd(bytes: Uint8Array, at: number, end: number): number {
  let index = at;
  while (index < end && (bytes[index] - ZERO) >>> 0 < 10) index++;
  return index;
}

function skipSpaces(bytes: Uint8Array, at: number, end: number): number {
  let index = at;
  while (index < end && bytes[index] === SPACE) index++;
  return index;
}

/** Is there a key between one space and another? */
function isKey(bytes: Uint8Array, start: number, stop: number, end: number): boolean {
  const length = stop - start;
  return length > 0 && length <= KEY_BYTES_MAX && stop < end && bytes[start - 1] === SPACE && bytes[stop] === SPACE;
}

/** Reads ` <bytes>` into OUT_VALUE_LENGTH; returns its end, or −1. An item has at most 1 GiB, so nine digits. */
function declaredEnd(bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  const start = at + 1;
  const stop = digitsEnd(bytes, start, end);
  if (stop <= start || stop - start > 9 || bytes[at] !== SPACE) return -1;
  let length = 0;
  for (let index = start; index < stop; index++) length = (length * 10 + bytes[index] - ZERO) | 0;
  out[OUT_VALUE_LENGTH] = length;
  return stop;
}

/** Offset behind the CRLF of the line that goes on at `at`, or −1: replies always have a CR. */
function lineEnd(bytes: Uint8Array, at: number, end: number): number {
  let index = at;
  while (index < end && bytes[index] !== LF) index++;
  return index < end && index > at && bytes[index - 1] === CR ? index + 1 : -1;
}
