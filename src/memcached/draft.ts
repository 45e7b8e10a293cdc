/**
 * Where the head of a reply is put together, apart from the frame: a reply may be written over the very request whose
 * key, flags and opaque it repeats. When the head is done, nothing of the request is needed any more, its exact length is
 * known, and it goes into the frame by words. One draft per thread, as each has its own copy of this module.
 */
import { decodeBase64Key } from './base64-key.ts';
import { BINARY_HEADER_BYTES } from './binary.ts';
import { readOpaque, writeBinaryResponse } from './local-reply.ts';
import * as located from './located.ts';
import { writeWord } from './uint64.ts';

// Copies of imported constants, see line.ts.
const { KEY_BYTES_MAX, OUT_FLAGS, OUT_KEY_LENGTH, OUT_KEY_OFFSET } = located;
const { OUT_OPAQUE_LENGTH, OUT_OPAQUE_OFFSET, OUT_OPCODE, REQUEST_KEY_BASE64 } = located;

/** A head and a tail: at most 17 flags, of which a key of 250 bytes in base64 is the longest. */
const HEAD_BYTES = 768;
const KEY_AT = HEAD_BYTES;
export const DRAFT = new Uint8Array(HEAD_BYTES + 256);
const VIEW = new DataView(DRAFT.buffer);

const SPACE = 0x20;
const CR = 0x0d;
const LF = 0x0a;
const LETTER_B = 0x62;
const LETTER_K = 0x6b;
const LETTER_O = 0x4f;
const BINARY_CAS_AT = 16;

const ALPHABET = Uint8Array.from(Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'));
const PADDING = 0x3d;

/** All functions return the offset behind what they wrote. */
export function draftText(offset: number, text: Uint8Array): number {
  for (let at = 0; at < text.length; at++) DRAFT[offset + at] = text[at];
  return offset + text.length;
}

export function draftLineEnd(offset: number): number {
  DRAFT[offset] = CR;
  DRAFT[offset + 1] = LF;
  return offset + 2;
}

/** A space and a flag's letter. */
export function draftFlag(offset: number, letter: number): number {
  DRAFT[offset] = SPACE;
  DRAFT[offset + 1] = letter;
  return offset + 2;
}

export function draftBytes(offset: number, from: DataView, at: number, length: number): number {
  copyAcross(from, at, VIEW, offset, length);
  return offset + length;
}

/** Flag O with the request's token. */
export function draftOpaque(offset: number, located: Int32Array, request: Uint8Array): number {
  const token = located[OUT_OPAQUE_OFFSET];
  const length = located[OUT_OPAQUE_LENGTH];
  const to = draftFlag(offset, LETTER_O);
  for (let at = 0; at < length; at++) DRAFT[to + at] = request[token + at];
  return to + length;
}

/** Flag k with a key of 1 to 250 bytes. In base64 it is followed by flag b, as memcached says it. */
export function draftKey(offset: number, from: DataView, at: number, length: number, isBase64: boolean): number {
  const to = draftFlag(offset, LETTER_K);
  if (!isBase64) return draftBytes(to, from, at, length);
  return draftFlag(draftBase64(to, from, at, length), LETTER_B);
}

/** Flag k with the request's key. memcached encodes anew what it decoded, and so does this. */
export function draftRequestKey(offset: number, located: Int32Array, request: Uint8Array): number {
  const length = takeRequestKey(located, request);
  return draftKey(offset, VIEW, KEY_AT, length, (located[OUT_FLAGS] & REQUEST_KEY_BASE64) !== 0);
}

/** The request's key as it is, as in a binary reply. */
export function draftRawRequestKey(offset: number, located: Int32Array, request: Uint8Array): number {
  return draftBytes(offset, VIEW, KEY_AT, takeRequestKey(located, request));
}

/** Puts the request's key, decoded, at KEY_AT; returns its length. */
function takeRequestKey(located: Int32Array, request: Uint8Array): number {
  const key = located[OUT_KEY_OFFSET];
  const length = Math.min(located[OUT_KEY_LENGTH], KEY_BYTES_MAX);
  if (located[OUT_FLAGS] & REQUEST_KEY_BASE64) return decodeBase64Key(request, key, length, DRAFT, KEY_AT);
  for (let at = 0; at < length; at++) DRAFT[KEY_AT + at] = request[key + at];
  return length;
}

function draftBase64(offset: number, from: DataView, start: number, length: number): number {
  let to = offset;
  for (let at = 0; at < length; at += 3) {
    const left = length - at;
    const second = left > 1 ? from.getUint8(start + at + 1) : 0;
    const third = left > 2 ? from.getUint8(start + at + 2) : 0;
    const bits = (from.getUint8(start + at) << 16) | (second << 8) | third;
    DRAFT[to++] = ALPHABET[bits >>> 18];
    DRAFT[to++] = ALPHABET[(bits >>> 12) & 63];
    DRAFT[to++] = left > 1 ? ALPHABET[(bits >>> 6) & 63] : PADDING;
    DRAFT[to++] = left > 2 ? ALPHABET[bits & 63] : PADDING;
  }
  return to;
}

/** The header of a binary response at the start of the draft; extras, key and value follow. */
export function draftBinaryHeader(
  located: Int32Array,
  request: Uint8Array,
  status: number,
  extrasBytes: number,
  keyBytes: number,
  valueBytes: number,
): number {
  const opaque = readOpaque(request, located[OUT_OPAQUE_OFFSET]);
  writeBinaryResponse(DRAFT, 0, located[OUT_OPCODE], status, opaque, keyBytes, extrasBytes + valueBytes);
  DRAFT[4] = extrasBytes;
  return BINARY_HEADER_BYTES;
}

export function draftBinaryCas(high: number, low: number): void {
  writeWord(DRAFT, BINARY_CAS_AT, high);
  writeWord(DRAFT, BINARY_CAS_AT + 4, low);
}

/** The draft's bytes `start` … `end` − 1 into the frame. */
export function copyDraft(start: number, end: number, to: DataView, offset: number): void {
  copyAcross(VIEW, start, to, offset, end - start);
}

/** Copies `length` bytes between two places that do not overlap. */
export function copyAcross(from: DataView, at: number, to: DataView, offset: number, length: number): void {
  const blocksEnd = length & -16;
  let index = 0;
  for (; index < blocksEnd; index += 16) {
    to.setInt32(offset + index, from.getInt32(at + index));
    to.setInt32(offset + index + 4, from.getInt32(at + index + 4));
    to.setInt32(offset + index + 8, from.getInt32(at + index + 8));
    to.setInt32(offset + index + 12, from.getInt32(at + index + 12));
  }
  for (; index + 4 <= length; index += 4) to.setInt32(offset + index, from.getInt32(at + index));
  for (; index < length; index++) to.setUint8(offset + index, from.getUint8(at + index));
}
