/**
 * The write that most writes are, `set <key> <flags> <exptime> <bytes>\r\n<value>\r\n`, located in one pass.
 *
 * What it does not take is not refused: parseRequest decides. What it takes, parseRequest would locate alike: single
 * spaces, numbers of one to nine digits without a sign, no `noreply`, and a value of exactly the declared length.
 */
import * as located from './located.ts';
import { printedEnd } from './plain-words.ts';
import * as verbs from './verbs.ts';

// Copies of imported constants, see line.ts.
const { KEY_BYTES_MAX, OUT_CLASS, OUT_FLAGS, OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_OPAQUE_LENGTH } = located;
const { OUT_OPAQUE_OFFSET, OUT_OPCODE, OUT_PROTOCOL, OUT_STATUS, OUT_VALUE_LENGTH, OUT_VALUE_OFFSET } = located;
const { OUT_VERB, PROTOCOL_ASCII } = located;
const { CLASS_WRITE, VERB_SET } = verbs;

/** `set ` as a big-endian word. */
const SET = 0x73657420;
const SET_BYTES = 4;
const CRLF = 0x0d0a;
const CRLF_BYTES = 2;
const SPACE = 0x20;
const ZERO = 0x30;
const DIGITS_MAX = 9;
/** Key of one byte, three numbers of one digit, spaces and line ends: no request is shorter. */
const REQUEST_BYTES_MIN = 15;

/** Writes all words of `out` and returns true when bytes `offset` … `end` − 1 are such a request. */
export function parsePlainSet(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  end: number,
  out: Int32Array,
): boolean {
  if (end - offset < REQUEST_BYTES_MIN || view.getInt32(offset) !== SET) return false;
  const key = offset + SET_BYTES;
  const keyStop = printedEnd(view, key, end);
  if (keyStop === key || keyStop - key > KEY_BYTES_MAX || bytes[keyStop] !== SPACE) return false;
  const flagsStop = digitsEnd(bytes, keyStop + 1);
  if (flagsStop === keyStop + 1 || bytes[flagsStop] !== SPACE) return false;
  const exptimeStop = digitsEnd(bytes, flagsStop + 1);
  if (exptimeStop === flagsStop + 1 || bytes[exptimeStop] !== SPACE) return false;
  let length = 0;
  let at = exptimeStop + 1;
  for (let digit = bytes[at] - ZERO; digit >>> 0 < 10 && at - exptimeStop <= DIGITS_MAX; digit = bytes[++at] - ZERO) {
    length = (Math.imul(length, 10) + digit) | 0;
  }
  const value = at + CRLF_BYTES;
  if (at === exptimeStop + 1 || end - value - CRLF_BYTES !== length || length < 0) return false;
  if (view.getUint16(at) !== CRLF || view.getUint16(end - CRLF_BYTES) !== CRLF) return false;
  locateSet(key, keyStop - key, value, length, out);
  return true;
}

/** A tenth digit is left over, and is no space. */
function digitsEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while ((bytes[at] - ZERO) >>> 0 < 10 && at - start < DIGITS_MAX) at++;
  return at;
}

function locateSet(key: number, keyBytes: number, value: number, valueBytes: number, out: Int32Array): void {
  out[OUT_PROTOCOL] = PROTOCOL_ASCII;
  out[OUT_VERB] = VERB_SET;
  out[OUT_CLASS] = CLASS_WRITE;
  out[OUT_FLAGS] = 0;
  out[OUT_KEY_OFFSET] = key;
  out[OUT_KEY_LENGTH] = keyBytes;
  out[OUT_VALUE_OFFSET] = value;
  out[OUT_VALUE_LENGTH] = valueBytes;
  out[OUT_OPAQUE_OFFSET] = -1;
  out[OUT_OPAQUE_LENGTH] = 0;
  out[OUT_OPCODE] = -1;
  out[OUT_STATUS] = 0;
}
