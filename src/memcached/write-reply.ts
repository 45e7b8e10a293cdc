/**
 * Answers to writes that the balancer gives itself, once it knows what came of them, as memcached 1.6.18 gives them
 * (tried: test/memcached/write-reply.test.ts).
 *
 *     outcome         classic                         meta          binary status, body
 *     DONE            STORED, DELETED, TOUCHED,       HD            0; incr, decr: the number, 8 bytes; touch: client flags
 *                     the number                      VA (ma v)
 *     NOT_STORED      NOT_STORED                      NS            add 2, replace 1, append and prepend 5; its text
 *     EXISTS          EXISTS                          EX            2  Data exists for key.
 *     NOT_FOUND       NOT_FOUND                       NF            1  Not found
 *     NOT_A_NUMBER    CLIENT_ERROR cannot increment or decrement    6  Non-numeric server-side value for incr or decr
 *
 * noreply silences all of it; meta q and the quiet opcodes silence DONE alone. Meta replies return, in the order of the
 * request's flags, O and k (with b) always; c in ms (c0 unless DONE), and in ma when DONE; t in ma when DONE. A binary
 * header has the new CAS when DONE, but for delete.
 */
import { BINARY_HEADER_BYTES } from './binary.ts';
import { writeDecimal } from './decimal.ts';
import * as draft from './draft.ts';
import * as hits from './hit-reply.ts';
import * as located from './located.ts';
import { firstFlag, hasFlag, isPastFlags, isUnknownFlag, nextFlag } from './meta-flags.ts';
import { UINT64_DIGITS_MAX, writeUint64Bytes, writeWord } from './uint64.ts';
import * as verbs from './verbs.ts';

// Copies of imported constants, see line.ts.
const { OUT_FLAGS, OUT_PROTOCOL, OUT_VERB } = located;
const { PROTOCOL_BINARY, PROTOCOL_META, REQUEST_NOREPLY, REQUEST_QUIET } = located;
const { HIT_CAS_HIGH, HIT_CAS_LOW, HIT_FLAGS, HIT_TTL, HIT_VALUE_AT, HIT_VALUE_LENGTH, UNSAYABLE } = hits;
const { VERB_ADD, VERB_DECR, VERB_DELETE, VERB_INCR, VERB_MA, VERB_MD, VERB_MS } = verbs;
const { VERB_REPLACE, VERB_SET, VERB_TOUCH } = verbs;
const { DRAFT } = draft;

export const OUTCOME_DONE = 0;
export const OUTCOME_NOT_STORED = 1;
export const OUTCOME_EXISTS = 2;
export const OUTCOME_NOT_FOUND = 3;
/** incr, decr and ma of a value that is not one. */
export const OUTCOME_NOT_A_NUMBER = 4;

const DONE = OUTCOME_DONE;
const NOT_A_NUMBER = OUTCOME_NOT_A_NUMBER;
const NOT_STORED = OUTCOME_NOT_STORED;

const latin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const NAN_LINE = 'CLIENT_ERROR cannot increment or decrement non-numeric value\r\n';
/** Outcome → line; DONE by verb. */
const LINES = ['', 'NOT_STORED\r\n', 'EXISTS\r\n', 'NOT_FOUND\r\n', NAN_LINE].map(latin1);
const STORED = latin1('STORED\r\n');
const DELETED = latin1('DELETED\r\n');
const TOUCHED = latin1('TOUCHED\r\n');
/** Outcome → first word. */
const WORDS = ['HD', 'NS', 'EX', 'NF'].map(latin1);
const VA = latin1('VA ');

const STATUS_NOT_FOUND = 1;
const STATUS_EXISTS = 2;
const STATUS_NOT_STORED = 5;
const STATUS_NOT_A_NUMBER = 6;
const TEXTS: readonly Uint8Array[] = [
  '',
  'Not found',
  'Data exists for key.',
  '',
  '',
  'Not stored.',
  'Non-numeric server-side value for incr or decr',
].map(latin1);
const NUMBER_BYTES = 8;
const FLAGS_BYTES = 4;

const LETTER_C = 0x63;
const LETTER_K = 0x6b;
const LETTER_O = 0x4f;
const LETTER_T = 0x74;
const LETTER_V = 0x76;
const ZERO = 0x30;

/**
 * The answer to set … touch, ms, md, ma or their binary twins. May be written over the request.
 *
 * @param outcome OUTCOME_*
 * @param hit of what the write left behind (HIT_*), as far as the answer names it: the CAS; for incr, decr and ma with v the
 *   number's digits as the value; for ma with t the time to live; for binary touch the client flags. Keys are the request's
 * @param from where the number's digits lie; not the frame
 * @returns bytes written, 0 when silence is the answer, or UNSAYABLE: another verb, a flag that memcached refuses, no room.
 *   The frame is untouched then
 */
export function writeOutcome(
  located: Int32Array,
  request: Uint8Array,
  outcome: number,
  hit: Int32Array,
  from: DataView,
  to: DataView,
  offset: number,
  room: number,
): number {
  const head = draftOutcome(located, request, outcome, hit, from);
  if (head < 0) return UNSAYABLE;
  if (isSilent(located[OUT_FLAGS], outcome)) return 0;
  return hits.finishHead(head, to, offset, room) || UNSAYABLE;
}

function isSilent(flags: number, outcome: number): boolean {
  return (flags & REQUEST_NOREPLY) !== 0 || ((flags & REQUEST_QUIET) !== 0 && outcome === DONE);
}

/** The whole answer into the draft: it is short. Returns its length, or −1. */
function draftOutcome(
  located: Int32Array,
  request: Uint8Array,
  outcome: number,
  hit: Int32Array,
  from: DataView,
): number {
  const verb = located[OUT_VERB];
  const isMeta = verb >= VERB_MS && verb <= VERB_MA;
  if (!isMeta && (verb < VERB_SET || verb > VERB_TOUCH)) return -1;
  if (outcome === DONE && hit[HIT_VALUE_LENGTH] > UINT64_DIGITS_MAX && counts(verb)) return -1;
  if (located[OUT_PROTOCOL] === PROTOCOL_BINARY) return draftBinary(located, request, verb, outcome, hit, from);
  if (located[OUT_PROTOCOL] === PROTOCOL_META) return draftMeta(located, request, verb, outcome, hit, from);
  return draftClassic(verb, outcome, hit, from);
}

function counts(verb: number): boolean {
  return verb === VERB_INCR || verb === VERB_DECR || verb === VERB_MA;
}

function draftClassic(verb: number, outcome: number, hit: Int32Array, from: DataView): number {
  if (outcome !== DONE) return draft.draftText(0, LINES[outcome]);
  if (counts(verb)) return draft.draftLineEnd(draftDigits(0, hit, from));
  if (verb === VERB_DELETE) return draft.draftText(0, DELETED);
  return draft.draftText(0, verb === VERB_TOUCH ? TOUCHED : STORED);
}

function draftDigits(offset: number, hit: Int32Array, from: DataView): number {
  return draft.draftBytes(offset, from, hit[HIT_VALUE_AT], hit[HIT_VALUE_LENGTH]);
}

function draftMeta(
  located: Int32Array,
  request: Uint8Array,
  verb: number,
  outcome: number,
  hit: Int32Array,
  from: DataView,
): number {
  if (outcome === NOT_A_NUMBER) return draft.draftText(0, LINES[outcome]);
  const hasValue = verb === VERB_MA && outcome === DONE && hasFlag(located, request, LETTER_V);
  let at = hasValue
    ? writeDecimal(DRAFT, draft.draftText(0, VA), hit[HIT_VALUE_LENGTH])
    : draft.draftText(0, WORDS[outcome]);
  for (let flag = firstFlag(located, request); !isPastFlags(request, flag); flag = nextFlag(request, flag)) {
    at = draftFlag(at, request[flag], located, request, outcome, hit);
    if (at < 0) return -1;
  }
  at = draft.draftLineEnd(at);
  return hasValue ? draft.draftLineEnd(draftDigits(at, hit, from)) : at;
}

/** What a flag of ms, md or ma returns. The offset behind it, or −1. */
function draftFlag(
  at: number,
  letter: number,
  located: Int32Array,
  request: Uint8Array,
  outcome: number,
  hit: Int32Array,
): number {
  const verb = located[OUT_VERB];
  if (letter === LETTER_O) return draft.draftOpaque(at, located, request);
  if (letter === LETTER_K) return draft.draftRequestKey(at, located, request);
  if (letter === LETTER_C && verb !== VERB_MD) {
    if (outcome === DONE) return hits.draftCas(at, hit);
    return verb === VERB_MS ? draftNoCas(at) : at;
  }
  if (letter === LETTER_T && verb === VERB_MA && outcome === DONE) return hits.draftTtl(at, hit[HIT_TTL]);
  return isUnknownFlag(letter) ? -1 : at;
}

function draftNoCas(offset: number): number {
  const at = draft.draftFlag(offset, LETTER_C);
  DRAFT[at] = ZERO;
  return at + 1;
}

function draftBinary(
  located: Int32Array,
  request: Uint8Array,
  verb: number,
  outcome: number,
  hit: Int32Array,
  from: DataView,
): number {
  if (outcome !== DONE) return draftBinaryError(located, request, binaryStatus(verb, outcome));
  const extrasBytes = verb === VERB_TOUCH ? FLAGS_BYTES : 0;
  const valueBytes = counts(verb) ? NUMBER_BYTES : 0;
  const body = draft.draftBinaryHeader(located, request, 0, extrasBytes, 0, valueBytes);
  if (verb !== VERB_DELETE) draft.draftBinaryCas(hit[HIT_CAS_HIGH], hit[HIT_CAS_LOW]);
  if (extrasBytes > 0) writeWord(DRAFT, body, hit[HIT_FLAGS]);
  if (valueBytes > 0) writeUint64Bytes(from, hit[HIT_VALUE_AT], hit[HIT_VALUE_LENGTH], DRAFT, body);
  return body + extrasBytes + valueBytes;
}

function draftBinaryError(located: Int32Array, request: Uint8Array, status: number): number {
  const text = TEXTS[status];
  draft.draftBinaryHeader(located, request, status, 0, 0, text.length);
  return draft.draftText(BINARY_HEADER_BYTES, text);
}

function binaryStatus(verb: number, outcome: number): number {
  if (outcome === NOT_A_NUMBER) return STATUS_NOT_A_NUMBER;
  if (outcome === OUTCOME_EXISTS) return STATUS_EXISTS;
  if (outcome === OUTCOME_NOT_FOUND || verb === VERB_REPLACE) return STATUS_NOT_FOUND;
  return outcome === NOT_STORED && verb === VERB_ADD ? STATUS_EXISTS : STATUS_NOT_STORED;
}
