/**
 * Where verb, key and value of a request lie. The room's front door: it also hands on the words of `out`
 * (located.ts) and the reasons (refusals.ts).
 */
import { parseAsciiRequest } from './ascii-request.ts';
import { MAGIC_REQUEST } from './binary.ts';
import { parseBinaryRequest } from './binary-request.ts';
import * as located from './located.ts';
import * as refusals from './refusals.ts';
import * as verbs from './verbs.ts';

export * from './located.ts';
export * from './refusals.ts';

// Copies of imported constants, see line.ts.
const { KEY_BYTES_MAX, OUT_CLASS, OUT_FLAGS, OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_OPAQUE_LENGTH } = located;
const { OUT_OPAQUE_OFFSET, OUT_OPCODE, OUT_PROTOCOL, OUT_STATUS, OUT_VALUE_LENGTH, OUT_VALUE_OFFSET } = located;
const { OUT_VERB, PROTOCOL_ASCII } = located;
const { REFUSED_EMPTY, REQUEST_OK } = refusals;
const { CLASS_READ, VERB_GET } = verbs;
const BINARY = MAGIC_REQUEST;

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const LETTER_E = 0x65;
const LETTER_G = 0x67;
const LETTER_T = 0x74;
const FIRST_PRINTED = 0x21;
const DELETE = 0x7f;

/** `get k\r\n` */
const SHORTEST_GET_BYTES = 7;

/**
 * Locates one request in bytes `offset` … `end` − 1, which is what follows the 8-byte frame header.
 *
 * Returns REQUEST_OK, or the REFUSED_* reason why it must not reach a node. Every word of `out` is written; of a
 * refused request they hold what was understood before it was refused, and OUT_PROTOCOL, OUT_OPCODE, OUT_OPAQUE_* and
 * the quiet flags always suffice for `writeErrorReply`.
 */
export function parseRequest(bytes: Uint8Array, offset: number, end: number, out: Int32Array): number {
  const keyBytes = plainGetKeyLength(bytes, offset, end);
  if (keyBytes > 0) return notePlainGet(offset + 4, keyBytes, out);
  located.clearLocated(out);
  if (end <= offset) return REFUSED_EMPTY;
  if (bytes[offset] === BINARY) return parseBinaryRequest(bytes, offset, end, out);
  return parseAsciiRequest(bytes, offset, end, out);
}

/**
 * Key length when the request is exactly `get <key>\r\n`, else 0 and the general parser decides. Nearly all traffic is
 * of this form, so it gets one pass, four bytes at a time.
 */
function plainGetKeyLength(bytes: Uint8Array, offset: number, end: number): number {
  const keyStop = end - 2;
  if (end - offset < SHORTEST_GET_BYTES || bytes[keyStop + 1] !== LF || bytes[keyStop] !== CR) return 0;
  if (bytes[offset] !== LETTER_G || bytes[offset + 1] !== LETTER_E) return 0;
  if (bytes[offset + 2] !== LETTER_T || bytes[offset + 3] !== SPACE) return 0;
  let at = offset + 4;
  const length = keyStop - at;
  if (length > KEY_BYTES_MAX) return 0;
  // Negative for a byte that no key has, up to space or DEL. Written out: a call here is not always inlined.
  let misfit = 0;
  for (; at + 4 <= keyStop; at += 4) {
    const a = bytes[at];
    const b = bytes[at + 1];
    const c = bytes[at + 2];
    const d = bytes[at + 3];
    misfit |= (a - FIRST_PRINTED) | (b - FIRST_PRINTED) | (c - FIRST_PRINTED) | (d - FIRST_PRINTED);
    misfit |= ((a ^ DELETE) - 1) | ((b ^ DELETE) - 1) | ((c ^ DELETE) - 1) | ((d ^ DELETE) - 1);
  }
  for (; at < keyStop; at++) misfit |= (bytes[at] - FIRST_PRINTED) | ((bytes[at] ^ DELETE) - 1);
  return misfit < 0 ? 0 : length;
}

function notePlainGet(keyOffset: number, keyLength: number, out: Int32Array): number {
  out[OUT_PROTOCOL] = PROTOCOL_ASCII;
  out[OUT_VERB] = VERB_GET;
  out[OUT_CLASS] = CLASS_READ;
  out[OUT_FLAGS] = 0;
  out[OUT_KEY_OFFSET] = keyOffset;
  out[OUT_KEY_LENGTH] = keyLength;
  out[OUT_VALUE_OFFSET] = -1;
  out[OUT_VALUE_LENGTH] = -1;
  out[OUT_OPAQUE_OFFSET] = -1;
  out[OUT_OPAQUE_LENGTH] = 0;
  out[OUT_OPCODE] = -1;
  out[OUT_STATUS] = 0;
  return REQUEST_OK;
}
