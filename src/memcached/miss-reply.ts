/**
 * The reply that says "not there", written when the request itself is long gone: for a node that will not answer any
 * more. Classic ASCII needs nothing but the verb. Meta and binary replies repeat parts of their request, and those are
 * kept in a note of NOTE_BYTES:
 *
 *     byte 0       NOTE_SILENT, NOTE_META, NOTE_BINARY
 *          1       bytes of text
 *          2       binary: opcode
 *       4…7        binary: opaque
 *       8…63       text. meta: key and flags as in the request line; binary: the key, if the reply to a miss names it
 *
 * What memcached 1.6.18 says (tried): `EN` and, in the order of the request's flags, ` O<token>` and ` k<key>` (with ` b`
 * behind the key when it is base64); binary status 1 with the text "Not found", or for getk and gatk with the key instead.
 */
import { BINARY_HEADER_BYTES, MAGIC_RESPONSE, OPAQUE_AT, OPAQUE_BYTES } from './binary.ts';
import {
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_OPAQUE_OFFSET,
  OUT_OPCODE,
  OUT_PROTOCOL,
  OUT_VERB,
  PROTOCOL_ASCII,
  PROTOCOL_BINARY,
} from './located.ts';
import { VERB_GAT, VERB_GATS, VERB_GET, VERB_GETS, VERB_MG } from './verbs.ts';

export const NOTE_BYTES = 64;
/** No reply of `writeMiss` is longer: EN, a key or token as long as a note, and what stands around it. */
export const MISS_BYTES_MAX = 128;

/** The request's parts do not fit the note: nobody can answer in the node's place. */
const NOTE_SILENT = 0;
const NOTE_META = 1;
const NOTE_BINARY = 2;

const KIND = 0;
const LENGTH = 1;
const OPCODE = 2;
const OPAQUE = 4;
const TEXT = 8;
const TEXT_BYTES_MAX = NOTE_BYTES - TEXT;

const STATUS_KEY_NOT_FOUND = 1;
const OPCODE_GETK = 0x0c;
const OPCODE_GATK = 0x23;

const SPACE = 0x20;
const LETTER_B = 0x62;
const LETTER_K = 0x6b;
const LETTER_O = 0x4f;

const END_LINE = Uint8Array.from(Buffer.from('END\r\n'));
const NOT_FOUND = Uint8Array.from(Buffer.from('Not found'));

/** Whether a verb asks for a value, so that "not there" is an answer to it. */
export function canMiss(verb: number): boolean {
  return verb === VERB_MG || (verb >= VERB_GET && verb <= VERB_GATS);
}

/**
 * Keeps at `note` what a later `writeMiss` needs of a request that can miss. Returns false when it needs nothing, and
 * nothing was written then.
 *
 * @param out what `parseRequest` said about the request in `bytes`
 */
export function noteRequest(bytes: Uint8Array, out: Int32Array, notes: Uint8Array, note: number): boolean {
  if (out[OUT_PROTOCOL] === PROTOCOL_ASCII) return false;
  if (out[OUT_PROTOCOL] === PROTOCOL_BINARY) return noteBinary(bytes, out, notes, note);
  return out[OUT_VERB] === VERB_MG && noteMeta(bytes, out, notes, note);
}

function noteBinary(bytes: Uint8Array, out: Int32Array, notes: Uint8Array, note: number): true {
  const opcode = out[OUT_OPCODE];
  const keyBytes = opcode === OPCODE_GETK || opcode === OPCODE_GATK ? out[OUT_KEY_LENGTH] : 0;
  notes[note + OPCODE] = opcode;
  copy(bytes, out[OUT_OPAQUE_OFFSET], OPAQUE_BYTES, notes, note + OPAQUE);
  noteText(NOTE_BINARY, bytes, out[OUT_KEY_OFFSET], keyBytes, notes, note);
  return true;
}

function noteMeta(bytes: Uint8Array, out: Int32Array, notes: Uint8Array, note: number): boolean {
  const key = out[OUT_KEY_OFFSET];
  let at = key + out[OUT_KEY_LENGTH];
  let repeats = out[OUT_OPAQUE_OFFSET] >= 0;
  for (; bytes[at] >= SPACE; at++) {
    if (bytes[at] === LETTER_K && bytes[at - 1] === SPACE) repeats = true;
  }
  if (repeats) noteText(NOTE_META, bytes, key, at - key, notes, note);
  return repeats;
}

function noteText(
  kind: number,
  bytes: Uint8Array,
  from: number,
  length: number,
  notes: Uint8Array,
  note: number,
): void {
  const fits = length <= TEXT_BYTES_MAX;
  notes[note + KIND] = fits ? kind : NOTE_SILENT;
  notes[note + LENGTH] = length;
  if (fits) copy(bytes, from, length, notes, note + TEXT);
}

/** Whether `writeMiss` has what it needs. @param note as there */
export function isSayable(notes: Uint8Array, note: number): boolean {
  return note < 0 || notes[note + KIND] !== NOTE_SILENT;
}

/**
 * Writes at `offset` (behind the 8-byte frame header, MISS_BYTES_MAX of room) the reply to a request with `verb` that
 * finds nothing; returns its length, or 0 when it cannot be said.
 *
 * @param note where `noteRequest` kept the request's parts, −1 when it needed none
 */
export function writeMiss(bytes: Uint8Array, offset: number, verb: number, notes: Uint8Array, note: number): number {
  if (note >= 0) {
    if (notes[note + KIND] === NOTE_META) return writeMetaMiss(bytes, offset, notes, note);
    return notes[note + KIND] === NOTE_BINARY ? writeBinaryMiss(bytes, offset, notes, note) : 0;
  }
  if (verb === VERB_MG) return writeLineEnd(bytes, writeEn(bytes, offset)) - offset;
  const isClassic = verb === VERB_GET || verb === VERB_GETS || verb === VERB_GAT || verb === VERB_GATS;
  return isClassic ? copy(END_LINE, 0, END_LINE.length, bytes, offset) : 0;
}

function writeMetaMiss(bytes: Uint8Array, offset: number, notes: Uint8Array, note: number): number {
  const start = note + TEXT;
  const end = start + notes[note + LENGTH];
  const keyEnd = wordEnd(notes, start, end);
  const isBase64 = hasFlag(notes, keyEnd, end, LETTER_B);
  let named = false;
  let to = writeEn(bytes, offset);
  for (let at = nextWord(notes, keyEnd, end); at < end; at = nextWord(notes, wordEnd(notes, at, end), end)) {
    if (notes[at] === LETTER_O) to = writeWord(bytes, to, LETTER_O, notes, at + 1, wordEnd(notes, at, end));
    if (notes[at] !== LETTER_K || named) continue;
    named = true;
    to = writeWord(bytes, to, LETTER_K, notes, start, keyEnd);
    if (isBase64) to = writeWord(bytes, to, LETTER_B, notes, start, start);
  }
  return writeLineEnd(bytes, to) - offset;
}

function writeBinaryMiss(bytes: Uint8Array, offset: number, notes: Uint8Array, note: number): number {
  const keyBytes = notes[note + LENGTH];
  const body = offset + BINARY_HEADER_BYTES;
  for (let at = offset; at < body; at++) bytes[at] = 0;
  bytes[offset] = MAGIC_RESPONSE;
  bytes[offset + 1] = notes[note + OPCODE];
  bytes[offset + 3] = keyBytes;
  bytes[offset + 7] = STATUS_KEY_NOT_FOUND;
  copy(notes, note + OPAQUE, OPAQUE_BYTES, bytes, offset + OPAQUE_AT);
  const bodyBytes =
    keyBytes > 0 ? copy(notes, note + TEXT, keyBytes, bytes, body) : copy(NOT_FOUND, 0, NOT_FOUND.length, bytes, body);
  bytes[offset + 11] = bodyBytes;
  return BINARY_HEADER_BYTES + bodyBytes;
}

function writeEn(bytes: Uint8Array, offset: number): number {
  bytes[offset] = 0x45;
  bytes[offset + 1] = 0x4e;
  return offset + 2;
}

/** A space, a letter, and the bytes `from` … `end` − 1. Returns the offset behind them. */
function writeWord(
  bytes: Uint8Array,
  offset: number,
  letter: number,
  notes: Uint8Array,
  from: number,
  end: number,
): number {
  bytes[offset] = SPACE;
  bytes[offset + 1] = letter;
  return offset + 2 + copy(notes, from, end - from, bytes, offset + 2);
}

function writeLineEnd(bytes: Uint8Array, offset: number): number {
  bytes[offset] = 0x0d;
  bytes[offset + 1] = 0x0a;
  return offset + 2;
}

function hasFlag(notes: Uint8Array, from: number, end: number, letter: number): boolean {
  for (let at = nextWord(notes, from, end); at < end; at = nextWord(notes, wordEnd(notes, at, end), end)) {
    if (notes[at] === letter) return true;
  }
  return false;
}

function wordEnd(notes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && notes[at] !== SPACE) at++;
  return at;
}

function nextWord(notes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && notes[at] === SPACE) at++;
  return at;
}

function copy(from: Uint8Array, at: number, length: number, to: Uint8Array, offset: number): number {
  for (let i = 0; i < length; i++) to[offset + i] = from[at + i];
  return length;
}
