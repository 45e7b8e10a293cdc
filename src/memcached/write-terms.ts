/**
 * The terms of a write: what stands in a request beside verb, key and value, in one form for all three protocols. For
 * whoever carries the write out by a request of its own (dataplane/hot).
 *
 *     word  0  KIND       WRITE_*
 *           1  FLAGS      client flags, 32 bits
 *           2  EXPTIME    seconds or Unix time, int32
 *           3  CAS_HIGH   } the version that the client demands, when HAS_CAS
 *           4  CAS_LOW    }
 *           5  DELTA_HIGH } of incr and decr
 *           6  DELTA_LOW  }
 *           7  HAS_CAS    1 when the write is conditional on a version
 */
import { BINARY_HEADER_BYTES, CAS_AT } from './binary.ts';
import { isDelimiter, skipSpaces, tokenEnd } from './line.ts';
import {
  OUT_FLAGS,
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_PROTOCOL,
  OUT_VALUE_OFFSET,
  OUT_VERB,
  PROTOCOL_BINARY,
  PROTOCOL_META,
  REQUEST_HAS_CAS,
} from './located.ts';
import { NUMBER, readUint64 } from './uint64.ts';
import * as verbs from './verbs.ts';

export const TERM_KIND = 0;
export const TERM_FLAGS = 1;
export const TERM_EXPTIME = 2;
export const TERM_CAS_HIGH = 3;
export const TERM_CAS_LOW = 4;
export const TERM_DELTA_HIGH = 5;
export const TERM_DELTA_LOW = 6;
export const TERM_HAS_CAS = 7;
export const TERM_WORDS = 8;

/** Anything else than the plain forms below: only the node itself knows what it means. */
export const WRITE_OTHER = 0;
export const WRITE_SET = 1;
export const WRITE_ADD = 2;
export const WRITE_REPLACE = 3;
export const WRITE_APPEND = 4;
export const WRITE_PREPEND = 5;
export const WRITE_INCR = 6;
export const WRITE_DECR = 7;
export const WRITE_DELETE = 8;

const KIND_OF_VERB = new Uint8Array(verbs.VERB_COUNT);
KIND_OF_VERB[verbs.VERB_SET] = WRITE_SET;
KIND_OF_VERB[verbs.VERB_CAS] = WRITE_SET;
KIND_OF_VERB[verbs.VERB_MS] = WRITE_SET;
KIND_OF_VERB[verbs.VERB_ADD] = WRITE_ADD;
KIND_OF_VERB[verbs.VERB_REPLACE] = WRITE_REPLACE;
KIND_OF_VERB[verbs.VERB_APPEND] = WRITE_APPEND;
KIND_OF_VERB[verbs.VERB_PREPEND] = WRITE_PREPEND;
KIND_OF_VERB[verbs.VERB_INCR] = WRITE_INCR;
KIND_OF_VERB[verbs.VERB_MA] = WRITE_INCR;
KIND_OF_VERB[verbs.VERB_DECR] = WRITE_DECR;
KIND_OF_VERB[verbs.VERB_DELETE] = WRITE_DELETE;
KIND_OF_VERB[verbs.VERB_MD] = WRITE_DELETE;

/** Extras of binary requests: flags and expiration; delta, initial value and expiration. */
const EXPIRATION_AT = BINARY_HEADER_BYTES + 4;
const ARITHMETIC_EXPIRATION_AT = BINARY_HEADER_BYTES + 16;
/** The expiration that says: do not create the item. */
const CREATE_NOT = -1;

const MINUS = 0x2d;
const ZERO = 0x30;
const LETTER = (letter: string): number => letter.charCodeAt(0);
const UPPER_C = LETTER('C');
const UPPER_D = LETTER('D');
const UPPER_F = LETTER('F');
const UPPER_M = LETTER('M');
const UPPER_T = LETTER('T');
/** Flags that ask for something in the answer, or for none: they change nothing. Not `b`: the item remembers that its key came in base64. */
const HARMLESS = new Set(['c', 'k', 'q', 'v', 'O'].map(LETTER));
const HARMLESS_LETTERS = Uint8Array.from({ length: 128 }, (_, letter) => (HARMLESS.has(letter) ? 1 : 0));

/** Reads the terms of the accepted write at `start`, which `located` tells of. Returns the kind. */
export function readTerms(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  located: Int32Array,
  terms: Int32Array,
): number {
  terms.fill(0);
  terms[TERM_KIND] = KIND_OF_VERB[located[OUT_VERB]];
  if (terms[TERM_KIND] === WRITE_OTHER) return WRITE_OTHER;
  const protocol = located[OUT_PROTOCOL];
  if (protocol === PROTOCOL_BINARY) return readPacket(view, start, located, terms);
  const rest = located[OUT_KEY_OFFSET] + located[OUT_KEY_LENGTH];
  return protocol === PROTOCOL_META ? readFlags(bytes, rest, located, terms) : readLine(bytes, rest, located, terms);
}

function readPacket(view: DataView, start: number, located: Int32Array, terms: Int32Array): number {
  const kind = terms[TERM_KIND];
  terms[TERM_CAS_HIGH] = view.getInt32(start + CAS_AT);
  terms[TERM_CAS_LOW] = view.getInt32(start + CAS_AT + 4);
  terms[TERM_HAS_CAS] = (located[OUT_FLAGS] & REQUEST_HAS_CAS) !== 0 ? 1 : 0;
  if (kind === WRITE_SET || kind === WRITE_ADD || kind === WRITE_REPLACE) {
    terms[TERM_FLAGS] = view.getInt32(start + BINARY_HEADER_BYTES);
    terms[TERM_EXPTIME] = view.getInt32(start + EXPIRATION_AT);
    // Unsigned here, signed in the protocol that a fenced write speaks.
    if (terms[TERM_EXPTIME] < 0) return other(terms);
  } else if (kind === WRITE_INCR || kind === WRITE_DECR) {
    terms[TERM_DELTA_HIGH] = view.getInt32(start + BINARY_HEADER_BYTES);
    terms[TERM_DELTA_LOW] = view.getInt32(start + BINARY_HEADER_BYTES + 4);
    if (view.getInt32(start + ARITHMETIC_EXPIRATION_AT) !== CREATE_NOT) return other(terms);
  }
  return conditional(terms);
}

/** Only set and delete go with a demanded version here. */
function conditional(terms: Int32Array): number {
  const kind = terms[TERM_KIND];
  return terms[TERM_HAS_CAS] !== 0 && kind !== WRITE_SET && kind !== WRITE_DELETE ? other(terms) : kind;
}

function other(terms: Int32Array): number {
  terms[TERM_KIND] = WRITE_OTHER;
  return WRITE_OTHER;
}

/** Classic: flags, exptime, bytes and perhaps a version; or a delta; or nothing that matters. */
function readLine(bytes: Uint8Array, at: number, located: Int32Array, terms: Int32Array): number {
  const kind = terms[TERM_KIND];
  if (kind === WRITE_DELETE) return kind;
  const first = skipSpaces(bytes, at);
  const firstEnd = readUint64(bytes, first);
  if (kind === WRITE_INCR || kind === WRITE_DECR) {
    terms[TERM_DELTA_HIGH] = NUMBER[0];
    terms[TERM_DELTA_LOW] = NUMBER[1];
    return kind;
  }
  terms[TERM_FLAGS] = NUMBER[1];
  const exptime = skipSpaces(bytes, firstEnd);
  terms[TERM_EXPTIME] = readInt32(bytes, exptime);
  if (located[OUT_VERB] !== verbs.VERB_CAS) return kind;
  const length = skipSpaces(bytes, tokenEnd(bytes, exptime));
  readUint64(bytes, skipSpaces(bytes, tokenEnd(bytes, length)));
  terms[TERM_CAS_HIGH] = NUMBER[0];
  terms[TERM_CAS_LOW] = NUMBER[1];
  terms[TERM_HAS_CAS] = 1;
  return kind;
}

/** ms, md, ma. An `ms` has the length of its value before its flags. */
function readFlags(bytes: Uint8Array, at: number, located: Int32Array, terms: Int32Array): number {
  const isStore = located[OUT_VERB] === verbs.VERB_MS;
  if (!isStore) terms[TERM_DELTA_LOW] = 1;
  let stop = isStore ? tokenEnd(bytes, skipSpaces(bytes, at)) : at;
  const end = isStore ? located[OUT_VALUE_OFFSET] : Number.MAX_SAFE_INTEGER;
  for (;;) {
    const start = skipSpaces(bytes, stop);
    if (start >= end || isDelimiter(bytes, start)) return conditional(terms);
    stop = tokenEnd(bytes, start);
    if (!readFlag(bytes, start, stop, located[OUT_VERB], terms)) return other(terms);
  }
}

function readFlag(bytes: Uint8Array, start: number, stop: number, verb: number, terms: Int32Array): boolean {
  const letter = bytes[start];
  if (letter < 128 && HARMLESS_LETTERS[letter] === 1) return true;
  const isStore = verb === verbs.VERB_MS;
  if (letter === UPPER_F && isStore) {
    readUint64(bytes, start + 1);
    terms[TERM_FLAGS] = NUMBER[1];
  } else if (letter === UPPER_T && isStore) {
    terms[TERM_EXPTIME] = readInt32(bytes, start + 1);
  } else if (letter === UPPER_C) {
    readUint64(bytes, start + 1);
    terms[TERM_CAS_HIGH] = NUMBER[0];
    terms[TERM_CAS_LOW] = NUMBER[1];
    terms[TERM_HAS_CAS] = 1;
  } else if (letter === UPPER_D && verb === verbs.VERB_MA) {
    readUint64(bytes, start + 1);
    terms[TERM_DELTA_HIGH] = NUMBER[0];
    terms[TERM_DELTA_LOW] = NUMBER[1];
  } else if (letter === UPPER_M && stop === start + 2) {
    terms[TERM_KIND] = kindOfMode(verb, bytes[start + 1]);
    return terms[TERM_KIND] !== WRITE_OTHER;
  } else {
    return false;
  }
  return true;
}

const STORE_MODES: Readonly<Record<string, number>> = {
  S: WRITE_SET,
  E: WRITE_ADD,
  R: WRITE_REPLACE,
  A: WRITE_APPEND,
  P: WRITE_PREPEND,
};
const ARITHMETIC_MODES: Readonly<Record<string, number>> = {
  I: WRITE_INCR,
  '+': WRITE_INCR,
  D: WRITE_DECR,
  '-': WRITE_DECR,
};
const MODES_OF_MS = modeTable(STORE_MODES);
const MODES_OF_MA = modeTable(ARITHMETIC_MODES);

function modeTable(modes: Readonly<Record<string, number>>): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => modes[String.fromCharCode(code)] ?? WRITE_OTHER);
}

function kindOfMode(verb: number, mode: number): number {
  if (verb === verbs.VERB_MS) return MODES_OF_MS[mode];
  return verb === verbs.VERB_MA ? MODES_OF_MA[mode] : WRITE_OTHER;
}

/** A number the parser has accepted as an int32, with or without a sign. */
function readInt32(bytes: Uint8Array, at: number): number {
  const isNegative = bytes[at] === MINUS;
  let number = 0;
  for (let digit = isNegative ? at + 1 : at; bytes[digit] >= ZERO && bytes[digit] <= ZERO + 9; digit++) {
    number = (Math.imul(number, 10) + bytes[digit] - ZERO) | 0;
  }
  return isNegative ? -number | 0 : number;
}
