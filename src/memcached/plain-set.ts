/**
 * The write that most writes are, `set <key> <flags> <exptime> <bytes>\r\n<value>\r\n`, located in one pass.
 *
 * What it does not take is not refused: parseRequest decides. What it takes, parseRequest would locate alike: single
 * spaces, numbers of one to nine digits without a sign, no `noreply`, and a value of exactly the declared length.
 */
import * as located from './located.ts';
import { DIGITS_MAX, digitsEnd, printedEnd } from './plain-words.ts';
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
const SPACE_ZERO_SPACE_ZERO = 0x20302030;
const WORD_BYTES = 4;
/** ` 0 0 ` */
const SHORT_TERMS_BYTES = 5;
/** What follows the key at least: three numbers of one digit, spaces, no value, line ends. */
const BEHIND_KEY_BYTES = 10;
const REQUEST_BYTES_MIN = SET_BYTES + 1 + BEHIND_KEY_BYTES;

export const PLAIN_SET_KEY_AT = SET_BYTES;

/** Writes all words of `out` and returns true when bytes `offset` … `end` − 1 are such a request. */
export function parsePlainSet(view: DataView, offset: number, end: number, out: Int32Array): boolean {
  const keyBytes = plainSetKeyBytes(view, offset, end);
  if (keyBytes === 0) return false;
  const key = offset + SET_BYTES;
  let lineEnd = key + keyBytes;
  while (view.getUint16(lineEnd) !== CRLF) lineEnd++;
  const value = lineEnd + CRLF_BYTES;
  locateSet(key, keyBytes, value, end - CRLF_BYTES - value, out);
  return true;
}

/** Length of the key of such a request, which begins PLAIN_SET_KEY_AT bytes in; 0 when they are none. */
export function plainSetKeyBytes(view: DataView, offset: number, end: number): number {
  if (end - offset < REQUEST_BYTES_MIN || view.getInt32(offset) !== SET) return 0;
  const key = offset + SET_BYTES;
  const keyStop = printedEnd(view, key, end - BEHIND_KEY_BYTES);
  const keyBytes = keyStop - key;
  if (keyBytes === 0 || keyBytes > KEY_BYTES_MAX) return 0;
  const length = areShort(view, keyStop) ? keyStop + SHORT_TERMS_BYTES : behindTerms(view, keyStop, end);
  return length !== 0 && hasLength(view, length, end) ? keyBytes : 0;
}

/** Flags and exptime of one digit each, as most are: ` 0 0 ` at `at`. */
function areShort(view: DataView, at: number): boolean {
  const digits = (view.getInt32(at) ^ SPACE_ZERO_SPACE_ZERO) >>> 0;
  // Each digit is 0 … 9 of the sixteen with its upper half; the spaces are exact.
  if ((digits & 0xfff0fff0) !== 0 || view.getUint8(at + WORD_BYTES) !== SPACE) return false;
  return digits >>> 16 < 10 && (digits & 0xf) < 10;
}

/** Where the length begins, behind flags and exptime of up to nine digits; 0 when they are none. */
function behindTerms(view: DataView, at: number, end: number): number {
  if (view.getUint8(at) !== SPACE) return 0;
  const flagsStop = digitsEnd(view, at + 1, end);
  if (flagsStop === at + 1 || flagsStop >= end || view.getUint8(flagsStop) !== SPACE) return 0;
  const exptimeStop = digitsEnd(view, flagsStop + 1, end);
  if (exptimeStop === flagsStop + 1 || exptimeStop >= end || view.getUint8(exptimeStop) !== SPACE) return 0;
  return exptimeStop + 1;
}

/** Whether the length at `start` is that of the value behind it, which ends with a line end just before `end`. */
function hasLength(view: DataView, start: number, end: number): boolean {
  const last = Math.min(end - CRLF_BYTES, start + DIGITS_MAX);
  let length = 0;
  let at = start;
  while (at < last) {
    const digit = view.getUint8(at) - ZERO;
    if (digit >>> 0 > 9) break;
    length = (Math.imul(length, 10) + digit) | 0;
    at++;
  }
  if (at === start || end - at - CRLF_BYTES - CRLF_BYTES !== length) return false;
  return view.getUint16(at) === CRLF && view.getUint16(end - CRLF_BYTES) === CRLF;
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
