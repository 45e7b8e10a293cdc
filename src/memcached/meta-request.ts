/**
 * Meta requests (protocol.txt, "Meta Commands"): `<verb> <key> [<datalen>] <flag>*`. A flag is one letter, some with a
 * token behind it, each letter once.
 *
 * Letters that this file does not know are passed on: versions of memcached differ in them (E is 1.6.27's), and a node
 * that refuses one still consumes the value of an `ms`, so nothing goes out of step.
 */
import { decodedKeyLength } from './base64-key.ts';
import { declaredLengthEnd, isInt32, isUint32, isUint64, lineTail, locateKey, skipSpaces, tokenEnd } from './line.ts';
import * as located from './located.ts';
import * as refusals from './refusals.ts';
import * as verbs from './verbs.ts';

// Copies of imported constants, see line.ts.
const { OUT_CLASS, OUT_FLAGS, OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_OPAQUE_LENGTH, OUT_OPAQUE_OFFSET } = located;
const { OUT_VERB, REQUEST_HAS_CAS, REQUEST_KEY_BASE64, REQUEST_QUIET } = located;
const { REFUSED_ARGUMENTS, REFUSED_FLAG, REFUSED_KEY } = refusals;
const { CLASS_WRITE, VERB_MG } = verbs;

/** memcached reads at most 19 words of a meta line and does not consume the value of an `ms` with more. */
const FLAGS_MAX = 17;
const SET_FLAGS_MAX = 16;
/** The O and its token, bytes. */
const OPAQUE_FLAG_BYTES_MAX = 32;

/** The bit of a letter: lower and upper case are kept in two words. */
const bitOf = (letter: string): number => 1 << (letter.charCodeAt(0) & 31);
const B = bitOf('b');
const Q = bitOf('q');
const C = bitOf('C');
/** Flags that let an mg change the item: vivify, recache, touch. */
const MODIFYING = bitOf('N') | bitOf('R') | bitOf('T');

const CODE_C = 0x43;
const CODE_D = 0x44;
const CODE_F = 0x46;
const CODE_J = 0x4a;
const CODE_M = 0x4d;
const CODE_N = 0x4e;
const CODE_O = 0x4f;
const CODE_R = 0x52;
const CODE_T = 0x54;

/** mg, md, ma, me: the arguments after the verb. Returns the offset behind the line or a refusal. */
export function parseMeta(bytes: Uint8Array, at: number, out: Int32Array): number {
  const stop = locateKey(bytes, at, out);
  return stop < 0 ? stop : parseFlags(bytes, stop, FLAGS_MAX, out);
}

/** ms: likewise; the declared length is in OUT_VALUE_LENGTH, the value still to be checked. */
export function parseMetaSet(bytes: Uint8Array, at: number, out: Int32Array): number {
  const keyStop = locateKey(bytes, at, out);
  if (keyStop < 0) return keyStop;
  const stop = declaredLengthEnd(bytes, keyStop, out);
  if (stop < 0) return stop;
  return parseFlags(bytes, stop, SET_FLAGS_MAX, out);
}

function parseFlags(bytes: Uint8Array, at: number, flagsMax: number, out: Int32Array): number {
  let lower = 0;
  let upper = 0;
  let stop = at;
  let tail = lineTail(bytes, stop);
  for (let left = flagsMax; tail === -REFUSED_ARGUMENTS; left--) {
    if (left === 0) return -REFUSED_ARGUMENTS;
    const start = skipSpaces(bytes, stop);
    const letter = bytes[start];
    const bit = 1 << (letter & 31);
    const isLower = (letter & 0x20) !== 0;
    if (!isLetter(letter) || ((isLower ? lower : upper) & bit) !== 0) return -REFUSED_FLAG;
    stop = tokenEnd(bytes, start);
    if (isLower) lower |= bit;
    else if (isToken(bytes, letter, start, stop, out)) upper |= bit;
    else return -REFUSED_FLAG;
    tail = lineTail(bytes, stop);
  }
  return tail < 0 ? tail : noteFlags(bytes, lower, upper, tail, out);
}

function isLetter(byte: number): boolean {
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x7a;
}

/** Has an upper case flag the token it needs? The opaque token is located on the way. */
function isToken(bytes: Uint8Array, letter: number, start: number, stop: number, out: Int32Array): boolean {
  if (letter === CODE_O) return locateOpaque(start, stop, out);
  if (letter === CODE_T || letter === CODE_N || letter === CODE_R) return isInt32(bytes, start + 1, stop);
  if (letter === CODE_F) return isUint32(bytes, start + 1, stop);
  if (letter === CODE_C || letter === CODE_D || letter === CODE_J) return isUint64(bytes, start + 1, stop);
  return letter !== CODE_M || stop - start === 2;
}

function locateOpaque(start: number, stop: number, out: Int32Array): boolean {
  if (stop - start > OPAQUE_FLAG_BYTES_MAX) return false;
  out[OUT_OPAQUE_OFFSET] = start + 1;
  out[OUT_OPAQUE_LENGTH] = stop - start - 1;
  return true;
}

function noteFlags(bytes: Uint8Array, lower: number, upper: number, tail: number, out: Int32Array): number {
  if (lower & Q) out[OUT_FLAGS] |= REQUEST_QUIET;
  if (upper & C) out[OUT_FLAGS] |= REQUEST_HAS_CAS;
  if (upper & MODIFYING && out[OUT_VERB] === VERB_MG) out[OUT_CLASS] = CLASS_WRITE;
  if (lower & B) {
    out[OUT_FLAGS] |= REQUEST_KEY_BASE64;
    if (decodedKeyLength(bytes, out[OUT_KEY_OFFSET], out[OUT_KEY_LENGTH]) < 0) return -REFUSED_KEY;
  }
  return tail;
}
