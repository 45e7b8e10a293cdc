/**
 * The reply that most reads have, `VALUE <key> <flags> <bytes>\r\n…`, its key looked at word by word.
 *
 * What it does not take is not refused: parseReply decides. What it takes, parseReply would locate alike.
 */
import * as located from './located.ts';
import { digitsEnd, printedEnd } from './plain-words.ts';
import * as reply from './reply.ts';

// Copies of imported constants, see line.ts.
const { KEY_BYTES_MAX, OUT_CLASS, OUT_FLAGS, OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_OPAQUE_LENGTH } = located;
const { OUT_OPAQUE_OFFSET, OUT_OPCODE, OUT_PROTOCOL, OUT_STATUS, OUT_VALUE_LENGTH, OUT_VALUE_OFFSET } = located;
const { OUT_VERB, PROTOCOL_ASCII } = located;
const { STATUS_VALUE } = reply;

/** `VALU` and `E ` as big-endian words. */
const VALU = 0x56414c55;
const E_SPACE = 0x4520;
const VALUE_BYTES = 6;
const SPACE = 0x20;
const CRLF = 0x0d0a;
const ZERO = 0x30;
const WORD_BYTES = 4;
/** What follows the key at least: ` 0 0\r\n`. */
const BEHIND_KEY_BYTES = 6;

/** Writes all words of `out` and returns true when bytes `offset` … `end` − 1 begin with such a line, its numbers of nine digits at most. */
export function parsePlainValue(view: DataView, offset: number, end: number, out: Int32Array): boolean {
  const key = offset + VALUE_BYTES;
  if (end - key < WORD_BYTES + BEHIND_KEY_BYTES) return false;
  if (view.getInt32(offset) !== VALU || view.getUint16(offset + WORD_BYTES) !== E_SPACE) return false;
  const keyStop = printedEnd(view, key, end - BEHIND_KEY_BYTES);
  const keyBytes = keyStop - key;
  if (keyBytes === 0 || keyBytes > KEY_BYTES_MAX || view.getUint8(keyStop) !== SPACE) return false;
  const flagsStop = digitsEnd(view, keyStop + 1, end);
  if (flagsStop === keyStop + 1 || flagsStop >= end || view.getUint8(flagsStop) !== SPACE) return false;
  const stop = digitsEnd(view, flagsStop + 1, end);
  if (stop === flagsStop + 1 || end - stop < 2 || view.getUint16(stop) !== CRLF) return false;
  locateValue(key, keyBytes, stop + 2, numberAt(view, flagsStop + 1, stop), out);
  return true;
}

function numberAt(view: DataView, at: number, stop: number): number {
  let number = 0;
  for (let index = at; index < stop; index++) number = (number * 10 + view.getUint8(index) - ZERO) | 0;
  return number;
}

function locateValue(key: number, keyBytes: number, value: number, valueBytes: number, out: Int32Array): void {
  out[OUT_PROTOCOL] = PROTOCOL_ASCII;
  out[OUT_VERB] = 0;
  out[OUT_CLASS] = 0;
  out[OUT_FLAGS] = 0;
  out[OUT_KEY_OFFSET] = key;
  out[OUT_KEY_LENGTH] = keyBytes;
  out[OUT_VALUE_OFFSET] = value;
  out[OUT_VALUE_LENGTH] = valueBytes;
  out[OUT_OPAQUE_OFFSET] = -1;
  out[OUT_OPAQUE_LENGTH] = 0;
  out[OUT_OPCODE] = -1;
  out[OUT_STATUS] = STATUS_VALUE;
}
