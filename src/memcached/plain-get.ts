/**
 * The request that nearly all traffic consists of, `get <key>\r\n`, located in one pass over its words.
 *
 * What it does not take is not refused: parseRequest decides. What it takes, parseRequest would locate alike.
 */
import * as located from './located.ts';
import { below } from './plain-words.ts';
import * as verbs from './verbs.ts';

// Copies of imported constants, see line.ts.
const { KEY_BYTES_MAX, OUT_CLASS, OUT_FLAGS, OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_OPAQUE_LENGTH } = located;
const { OUT_OPAQUE_OFFSET, OUT_OPCODE, OUT_PROTOCOL, OUT_STATUS, OUT_VALUE_LENGTH, OUT_VALUE_OFFSET } = located;
const { OUT_VERB, PROTOCOL_ASCII } = located;
const { CLASS_READ, VERB_GET } = verbs;

/** `get ` as a big-endian word. */
const GET = 0x67657420;
const GET_BYTES = 4;
const CRLF = 0x0d0a;
const CRLF_BYTES = 2;
const WORD_BYTES = 4;

/** Where the key of such a request begins, and what follows it: bytes. */
export const PLAIN_KEY_AT = GET_BYTES;
export const PLAIN_BEHIND_BYTES = CRLF_BYTES;

/** Writes all words of `out` and returns true when bytes `offset` … `end` − 1 are such a request. */
export function parsePlainGet(view: DataView, offset: number, end: number, out: Int32Array): boolean {
  if (!isPlainGet(view, offset, end)) return false;
  const key = offset + GET_BYTES;
  locateGet(key, end - CRLF_BYTES - key, out);
  return true;
}

/** Whether they are such a request, and every byte of its key, 4 to 250 bytes, lies above space. */
export function isPlainGet(view: DataView, offset: number, end: number): boolean {
  const key = offset + GET_BYTES;
  const length = end - CRLF_BYTES - key;
  if (length < WORD_BYTES || length > KEY_BYTES_MAX) return false;
  if (view.getInt32(offset) !== GET || view.getUint16(end - CRLF_BYTES) !== CRLF) return false;
  const last = end - CRLF_BYTES - WORD_BYTES;
  let misfit = below(view.getInt32(last));
  for (let at = key; at < last; at += WORD_BYTES) misfit |= below(view.getInt32(at));
  return misfit === 0;
}

function locateGet(keyOffset: number, keyLength: number, out: Int32Array): void {
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
}
