/**
 * Requests of the binary protocol. One request is the whole datagram: a body that claims more would make the node read
 * other clients' datagrams as the rest of it. Only a run of quiet gets may be several: it is one request for many keys.
 *
 * Keys may hold any byte here, as in memcached; those that a text line could not carry are marked REQUEST_KEY_RAW.
 */
import * as binary from './binary.ts';
import { isQuietRun } from './key-list.ts';
import * as located from './located.ts';
import * as refusals from './refusals.ts';
import { VERB_CLASS } from './verbs.ts';

// Copies of imported constants, see line.ts.
const { BINARY_HEADER_BYTES, EXTRAS_OPTIONAL, HAS_KEY, HAS_VALUE, IS_QUIET, KEY_OPTIONAL } = binary;
const { OPAQUE_AT, OPAQUE_BYTES, OPCODE_CARRIES, OPCODE_EXTRAS, OPCODE_VERB } = binary;
const { KEY_BYTES_MAX, OUT_CLASS, OUT_FLAGS, OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_OPAQUE_LENGTH } = located;
const { OUT_OPAQUE_OFFSET, OUT_OPCODE, OUT_PROTOCOL, OUT_VALUE_LENGTH, OUT_VALUE_OFFSET, OUT_VERB } = located;
const { PROTOCOL_BINARY, REQUEST_HAS_CAS, REQUEST_KEY_RAW, REQUEST_MULTI_KEY, REQUEST_QUIET } = located;
const { REFUSED_ARGUMENTS, REFUSED_KEY, REFUSED_LENGTH, REFUSED_TRAILING } = refusals;
const { REFUSED_TRUNCATED, REFUSED_VERB, REQUEST_OK } = refusals;

const NUL = 0;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

/** `out` comes cleared; the byte at `offset` is MAGIC_REQUEST. Returns REQUEST_OK or a REFUSED_* reason. */
export function parseBinaryRequest(bytes: Uint8Array, offset: number, end: number, out: Int32Array): number {
  out[OUT_PROTOCOL] = PROTOCOL_BINARY;
  if (end - offset >= 2) noteOpcode(bytes[offset + 1], out);
  if (end - offset < BINARY_HEADER_BYTES) return REFUSED_TRUNCATED;
  out[OUT_OPAQUE_OFFSET] = offset + OPAQUE_AT;
  out[OUT_OPAQUE_LENGTH] = OPAQUE_BYTES;
  if (binary.hasCas(bytes, offset)) out[OUT_FLAGS] |= REQUEST_HAS_CAS;
  const opcode = bytes[offset + 1];
  if (OPCODE_VERB[opcode] === 0) return REFUSED_VERB;
  return parseBody(OPCODE_CARRIES[opcode], OPCODE_EXTRAS[opcode], bytes, offset, end, out);
}

function noteOpcode(opcode: number, out: Int32Array): void {
  const verb = OPCODE_VERB[opcode];
  out[OUT_OPCODE] = opcode;
  out[OUT_VERB] = verb;
  out[OUT_CLASS] = VERB_CLASS[verb];
  if (OPCODE_CARRIES[opcode] & IS_QUIET) out[OUT_FLAGS] = REQUEST_QUIET;
}

function parseBody(
  carries: number,
  extrasWanted: number,
  bytes: Uint8Array,
  offset: number,
  end: number,
  out: Int32Array,
): number {
  const extras = binary.extrasLength(bytes, offset);
  const keyBytes = binary.keyLength(bytes, offset);
  const body = binary.bodyLength(bytes, offset);
  const room = end - offset - BINARY_HEADER_BYTES;
  if (body < 0 || body > room || extras + keyBytes > body) return REFUSED_LENGTH;
  if (body < room) {
    if (!isQuietRun(bytes, offset, end)) return REFUSED_TRAILING;
    out[OUT_FLAGS] |= REQUEST_MULTI_KEY;
  }
  if (extras !== extrasWanted && !(extras === 0 && carries & EXTRAS_OPTIONAL)) return REFUSED_ARGUMENTS;
  const valueBytes = body - extras - keyBytes;
  if (valueBytes > 0 && !(carries & HAS_VALUE)) return REFUSED_LENGTH;
  const keyAt = offset + BINARY_HEADER_BYTES + extras;
  if (carries & HAS_VALUE) {
    out[OUT_VALUE_OFFSET] = keyAt + keyBytes;
    out[OUT_VALUE_LENGTH] = valueBytes;
  }
  return noteKey(carries, bytes, keyAt, keyBytes, out);
}

function noteKey(carries: number, bytes: Uint8Array, keyAt: number, keyBytes: number, out: Int32Array): number {
  if (keyBytes === 0) return carries & HAS_KEY ? REFUSED_KEY : REQUEST_OK;
  if (!(carries & (HAS_KEY | KEY_OPTIONAL))) return REFUSED_ARGUMENTS;
  if (keyBytes > KEY_BYTES_MAX) return REFUSED_KEY;
  out[OUT_KEY_OFFSET] = keyAt;
  out[OUT_KEY_LENGTH] = keyBytes;
  if (isRaw(bytes, keyAt, keyAt + keyBytes)) out[OUT_FLAGS] |= REQUEST_KEY_RAW;
  return REQUEST_OK;
}

function isRaw(bytes: Uint8Array, start: number, stop: number): boolean {
  let at = start;
  while (at < stop && (bytes[at] > SPACE || !isBreak(bytes[at]))) at++;
  return at < stop;
}

/** A CR is text only where no LF follows: no place for it in a line that others write. */
function isBreak(byte: number): boolean {
  return byte === SPACE || byte === LF || byte === CR || byte === NUL;
}
