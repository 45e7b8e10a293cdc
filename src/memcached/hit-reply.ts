/**
 * Replies to reads, written from an item's fields as memcached 1.6.18 writes them (tried: test/memcached/hit-reply.test.ts).
 *
 *     get, gets     VALUE <key> <flags> <bytes> [<cas>]\r\n<value>\r\nEND\r\n
 *     mg            VA <bytes> <flag>*\r\n<value>\r\n with flag v, else HD <flag>*\r\n; flags in the order of the request's
 *     binary get    header with CAS, 4 bytes of client flags, the key for getk and getkq, the value
 *     a miss        END\r\n;  EN [O<token>] [k<key> [b]]\r\n, nothing with q;  "Not found", or the key for getk, nothing for
 *                   the quiet opcodes
 *
 * Every function writes behind the 8-byte frame header, may write over the request, allocates nothing, and leaves the
 * frame alone when it returns 0 or less. `located` is what `parseRequest` said about the request in `request`.
 */
import { BINARY_HEADER_BYTES } from './binary.ts';
import { writeDecimal } from './decimal.ts';
import * as draft from './draft.ts';
import * as located from './located.ts';
import { firstFlag, hasFlag, isPastFlags, isUnknownFlag, nextFlag } from './meta-flags.ts';
import { writeUint64, writeWord } from './uint64.ts';
import * as verbs from './verbs.ts';

// Copies of imported constants, see line.ts.
const { KEY_BYTES_MAX, OUT_FLAGS, OUT_KEY_LENGTH, OUT_OPCODE, OUT_PROTOCOL, OUT_VERB } = located;
const { PROTOCOL_BINARY, REQUEST_MULTI_KEY, REQUEST_QUIET } = located;
const { VERB_GAT, VERB_GATS, VERB_GET, VERB_GETS, VERB_MG } = verbs;
const { DRAFT } = draft;

/**
 * An item's fields, int32 words filled by the caller; places are offsets in `from`.
 *
 *     HIT_KEY_AT, HIT_KEY_LENGTH       the key as stored (decoded), 1 to 250 bytes
 *     HIT_KEY_FORM                     KEY_TEXT; KEY_BASE64 when memcached says `b` behind this item's key: an attribute
 *                                      of the item, set by whatever stored it; KEY_UNKNOWN when nobody asked
 *     HIT_FLAGS                        client flags, unsigned 32 bits
 *     HIT_VALUE_AT, HIT_VALUE_LENGTH   the value; in answers to incr, decr and ma the digits of the number
 *     HIT_CAS_HIGH, HIT_CAS_LOW
 *     HIT_TTL                          seconds left, TTL_NEVER, or TTL_UNKNOWN
 */
export const HIT_KEY_AT = 0;
export const HIT_KEY_LENGTH = 1;
export const HIT_KEY_FORM = 2;
export const HIT_FLAGS = 3;
export const HIT_VALUE_AT = 4;
export const HIT_VALUE_LENGTH = 5;
export const HIT_CAS_HIGH = 6;
export const HIT_CAS_LOW = 7;
export const HIT_TTL = 8;
export const HIT_WORDS = 9;

export const KEY_TEXT = 0;
export const KEY_BASE64 = 1;
export const KEY_UNKNOWN = -1;

/** Never expires: memcached's own −1. */
export const TTL_NEVER = -1;
/** A request for it cannot be answered. */
export const TTL_UNKNOWN = -2;

/** Answer of `writeAbsent` and its like: memcached would say something, but what is not known here. */
export const UNSAYABLE = -1;

const latin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const VALUE = latin1('VALUE ');
const END = latin1('END\r\n');
const VA = latin1('VA ');
const HD = latin1('HD');
const EN = latin1('EN');
const MINUS_ONE = latin1('-1');
const NOT_FOUND = latin1('Not found');

const EXTRAS_BYTES = 4;
const STATUS_KEY_NOT_FOUND = 1;
const OPCODE_GETK = 0x0c;
const OPCODE_GETKQ = 0x0d;
const OPCODE_GATK = 0x23;
const OPCODE_GATKQ = 0x24;
const SPACE = 0x20;

const LETTER_B = 0x62;
const LETTER_C = 0x63;
const LETTER_F = 0x66;
const LETTER_K = 0x6b;
const LETTER_N = 0x4e;
const LETTER_O = 0x4f;
const LETTER_Q = 0x71;
const LETTER_S = 0x73;
const LETTER_T = 0x74;
const LETTER_V = 0x76;

/**
 * The answer to get, gets, mg (flags v f c s k O q b t) and the binary get family from a copy of the item.
 *
 * @param hit the item's fields (HIT_*)
 * @param from where key and value lie; not the frame
 * @param room bytes there are at `offset`
 * @returns bytes written, or 0 when this cannot be answered from a copy: another verb, several keys, a flag that asks for
 *   what is not known here (h, l) or changes the item (N R T), a reply without room
 */
export function writeHit(
  located: Int32Array,
  request: Uint8Array,
  hit: Int32Array,
  from: DataView,
  to: DataView,
  offset: number,
  room: number,
): number {
  const verb = located[OUT_VERB];
  if (located[OUT_FLAGS] & REQUEST_MULTI_KEY) return 0;
  if (verb === VERB_MG) return writeMetaHit(located, request, hit, from, to, offset, room);
  if (verb !== VERB_GET && verb !== VERB_GETS) return 0;
  if (located[OUT_PROTOCOL] === PROTOCOL_BINARY) return writeBinaryHit(located, request, hit, from, to, offset, room);
  return writeClassicHit(verb === VERB_GETS, hit, from, to, offset, room);
}

/** Likewise for gat, gats and the binary gat family, once the item has been touched at its node. */
export function writeTouched(
  located: Int32Array,
  request: Uint8Array,
  hit: Int32Array,
  from: DataView,
  to: DataView,
  offset: number,
  room: number,
): number {
  const verb = located[OUT_VERB];
  if (located[OUT_FLAGS] & REQUEST_MULTI_KEY || (verb !== VERB_GAT && verb !== VERB_GATS)) return 0;
  if (located[OUT_PROTOCOL] === PROTOCOL_BINARY) return writeBinaryHit(located, request, hit, from, to, offset, room);
  return writeClassicHit(verb === VERB_GATS, hit, from, to, offset, room);
}

/** What a classic `get` is answered with, all of it. Returns its length, or 0 when there is no room. */
export function writeBody(hit: Int32Array, from: DataView, to: DataView, offset: number, room: number): number {
  return writeClassicHit(false, hit, from, to, offset, room);
}

function writeClassicHit(
  hasCas: boolean,
  hit: Int32Array,
  from: DataView,
  to: DataView,
  offset: number,
  room: number,
): number {
  if (!isKeyLength(hit[HIT_KEY_LENGTH])) return 0;
  let at = draft.draftBytes(draft.draftText(0, VALUE), from, hit[HIT_KEY_AT], hit[HIT_KEY_LENGTH]);
  at = draftNumber(at, 0, hit[HIT_FLAGS]);
  at = draftNumber(at, 0, hit[HIT_VALUE_LENGTH]);
  if (hasCas) at = draftNumber(at, hit[HIT_CAS_HIGH], hit[HIT_CAS_LOW]);
  const head = draft.draftLineEnd(at);
  return finish(head, draft.draftText(draft.draftLineEnd(head), END), hit, from, to, offset, room);
}

function draftNumber(offset: number, high: number, low: number): number {
  DRAFT[offset] = SPACE;
  return writeUint64(DRAFT, offset + 1, high, low);
}

function writeMetaHit(
  located: Int32Array,
  request: Uint8Array,
  hit: Int32Array,
  from: DataView,
  to: DataView,
  offset: number,
  room: number,
): number {
  if (!isKeyLength(hit[HIT_KEY_LENGTH])) return 0;
  const hasValue = hasFlag(located, request, LETTER_V);
  let at = hasValue ? writeDecimal(DRAFT, draft.draftText(0, VA), hit[HIT_VALUE_LENGTH]) : draft.draftText(0, HD);
  for (let flag = firstFlag(located, request); !isPastFlags(request, flag); flag = nextFlag(request, flag)) {
    at = draftHitFlag(at, request[flag], located, request, hit, from);
    if (at < 0) return 0;
  }
  const head = draft.draftLineEnd(at);
  if (hasValue) return finish(head, draft.draftLineEnd(head), hit, from, to, offset, room);
  return finishHead(head, to, offset, room);
}

/** What a flag of an mg returns. The offset behind it, or −1 when it cannot be answered. */
function draftHitFlag(
  at: number,
  letter: number,
  located: Int32Array,
  request: Uint8Array,
  hit: Int32Array,
  from: DataView,
): number {
  if (letter === LETTER_V || letter === LETTER_Q || letter === LETTER_B) return at;
  if (letter === LETTER_F) return writeUint64(DRAFT, draft.draftFlag(at, letter), 0, hit[HIT_FLAGS]);
  if (letter === LETTER_S) return writeDecimal(DRAFT, draft.draftFlag(at, letter), hit[HIT_VALUE_LENGTH]);
  if (letter === LETTER_C) return draftCas(at, hit);
  if (letter === LETTER_T) return draftTtl(at, hit[HIT_TTL]);
  if (letter === LETTER_O) return draft.draftOpaque(at, located, request);
  if (letter !== LETTER_K || hit[HIT_KEY_FORM] === KEY_UNKNOWN) return -1;
  return draft.draftKey(at, from, hit[HIT_KEY_AT], hit[HIT_KEY_LENGTH], hit[HIT_KEY_FORM] === KEY_BASE64);
}

/** Flag c of a reply. */
export function draftCas(at: number, hit: Int32Array): number {
  return writeUint64(DRAFT, draft.draftFlag(at, LETTER_C), hit[HIT_CAS_HIGH], hit[HIT_CAS_LOW]);
}

/** Flag t of a reply, or −1. */
export function draftTtl(at: number, ttl: number): number {
  if (ttl < TTL_NEVER) return -1;
  const to = draft.draftFlag(at, LETTER_T);
  return ttl === TTL_NEVER ? draft.draftText(to, MINUS_ONE) : writeDecimal(DRAFT, to, ttl);
}

function writeBinaryHit(
  located: Int32Array,
  request: Uint8Array,
  hit: Int32Array,
  from: DataView,
  to: DataView,
  offset: number,
  room: number,
): number {
  const keyBytes = namesKey(located[OUT_OPCODE]) ? hit[HIT_KEY_LENGTH] : 0;
  if (keyBytes > KEY_BYTES_MAX) return 0;
  draft.draftBinaryHeader(located, request, 0, EXTRAS_BYTES, keyBytes, hit[HIT_VALUE_LENGTH]);
  draft.draftBinaryCas(hit[HIT_CAS_HIGH], hit[HIT_CAS_LOW]);
  writeWord(DRAFT, BINARY_HEADER_BYTES, hit[HIT_FLAGS]);
  const head = draft.draftBytes(BINARY_HEADER_BYTES + EXTRAS_BYTES, from, hit[HIT_KEY_AT], keyBytes);
  return finish(head, head, hit, from, to, offset, room);
}

function namesKey(opcode: number): boolean {
  return opcode === OPCODE_GETK || opcode === OPCODE_GETKQ || opcode === OPCODE_GATK || opcode === OPCODE_GATKQ;
}

function isKeyLength(length: number): boolean {
  return length > 0 && length <= KEY_BYTES_MAX;
}

/** Head, value and tail (the draft's bytes `head` … `tail` − 1) into the frame; 0 when they do not fit. */
export function finish(
  head: number,
  tail: number,
  hit: Int32Array,
  from: DataView,
  to: DataView,
  offset: number,
  room: number,
): number {
  const valueBytes = hit[HIT_VALUE_LENGTH];
  if (valueBytes < 0 || tail + valueBytes > room) return 0;
  draft.copyDraft(0, head, to, offset);
  draft.copyAcross(from, hit[HIT_VALUE_AT], to, offset + head, valueBytes);
  draft.copyDraft(head, tail, to, offset + head + valueBytes);
  return tail + valueBytes;
}

/** A reply without a value. */
export function finishHead(head: number, to: DataView, offset: number, room: number): number {
  if (head > room) return 0;
  draft.copyDraft(0, head, to, offset);
  return head;
}

/**
 * The answer to a read (gat and mg T too) of a key that is not there.
 * Returns bytes written, 0 when silence is the answer (mg with q, quiet binary), or UNSAYABLE: another verb, several keys,
 * an mg that would create the item (N) or be refused, no room.
 */
export function writeAbsent(
  located: Int32Array,
  request: Uint8Array,
  to: DataView,
  offset: number,
  room: number,
): number {
  const verb = located[OUT_VERB];
  if (located[OUT_FLAGS] & REQUEST_MULTI_KEY) return UNSAYABLE;
  if (verb !== VERB_MG && (verb < VERB_GET || verb > VERB_GATS)) return UNSAYABLE;
  const head = draftAbsent(located, request);
  if (head < 0) return UNSAYABLE;
  if (located[OUT_FLAGS] & REQUEST_QUIET) return 0;
  return finishHead(head, to, offset, room) || UNSAYABLE;
}

function draftAbsent(located: Int32Array, request: Uint8Array): number {
  if (located[OUT_VERB] === VERB_MG) return draftMetaAbsent(located, request);
  if (located[OUT_PROTOCOL] !== PROTOCOL_BINARY) return draft.draftText(0, END);
  if (!namesKey(located[OUT_OPCODE])) {
    draft.draftBinaryHeader(located, request, STATUS_KEY_NOT_FOUND, 0, 0, NOT_FOUND.length);
    return draft.draftText(BINARY_HEADER_BYTES, NOT_FOUND);
  }
  draft.draftBinaryHeader(located, request, STATUS_KEY_NOT_FOUND, 0, located[OUT_KEY_LENGTH], 0);
  return draft.draftRawRequestKey(BINARY_HEADER_BYTES, located, request);
}

function draftMetaAbsent(located: Int32Array, request: Uint8Array): number {
  let at = draft.draftText(0, EN);
  for (let flag = firstFlag(located, request); !isPastFlags(request, flag); flag = nextFlag(request, flag)) {
    const letter = request[flag];
    if (letter === LETTER_N || isUnknownFlag(letter)) return -1;
    if (letter === LETTER_O) at = draft.draftOpaque(at, located, request);
    if (letter === LETTER_K) at = draft.draftRequestKey(at, located, request);
  }
  return draft.draftLineEnd(at);
}
