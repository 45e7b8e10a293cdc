/**
 * Classic and meta requests (protocol.txt). A datagram holds one line, and behind the line of a storing verb its value.
 *
 * What is accepted here is a subset of what memcached reads as the same command. That matters most for stores: a store
 * line that memcached refuses is not followed by its value, so the value would be executed as commands.
 */
import {
  declaredLengthEnd,
  endsLine,
  hasNewline,
  int32End,
  keyEnd,
  lineTail,
  lineTailAfterAny,
  locateKey,
  skipSpaces,
  tokenEnd,
  uint32End,
  uint64End,
} from './line.ts';
import * as located from './located.ts';
import { parseMeta, parseMetaSet } from './meta-request.ts';
import * as refusals from './refusals.ts';
import * as verbs from './verbs.ts';
import { wordAt } from './words.ts';

// Copies of imported constants, see line.ts.
const { OUT_CLASS, OUT_FLAGS, OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_PROTOCOL } = located;
const { OUT_VALUE_LENGTH, OUT_VALUE_OFFSET, OUT_VERB } = located;
const { PROTOCOL_ASCII, PROTOCOL_META } = located;
const { REQUEST_HAS_CAS, REQUEST_MULTI_KEY, REQUEST_NOREPLY, REQUEST_QUIET } = located;
const { REFUSED_ARGUMENTS, REFUSED_LENGTH, REFUSED_NO_NEWLINE } = refusals;
const { REFUSED_TRAILING, REFUSED_VERB, REQUEST_OK } = refusals;
const { VERB_CLASS, VERB_COUNT, VERB_MN } = verbs;
const { ids, spellings, multiplier } = verbs.ASCII_VERBS;

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const ZERO = 0x30;
const Q = 0x71;

/** What the arguments of a verb look like. */
const FORM_NONE = 0;
/** key, further keys */
const FORM_KEYS = 1;
/** exptime, key, further keys */
const FORM_TOUCH_KEYS = 2;
/** key, flags, exptime, bytes, [noreply], value */
const FORM_STORE = 3;
/** key, flags, exptime, bytes, cas, [noreply], value */
const FORM_STORE_CAS = 4;
/** key, delta, [noreply] */
const FORM_DELTA = 5;
/** key, exptime, [noreply] */
const FORM_TOUCH = 6;
/** key, [0], [noreply] */
const FORM_DELETE = 7;
/** number, [noreply]; the number may be left out of flush_all */
const FORM_FLUSH_ALL = 8;
const FORM_VERBOSITY = 9;
/** key, flags */
const FORM_META = 10;
/** key, datalen, flags, value */
const FORM_META_SET = 11;
/** anything */
const FORM_ANY = 12;
const FORM_STATS = 13;

const FORMS = verbForms();

function verbForms(): Uint8Array {
  const forms = new Uint8Array(VERB_COUNT).fill(FORM_ANY);
  const put = (form: number, ...ofVerbs: number[]) => {
    for (const verb of ofVerbs) forms[verb] = form;
  };
  put(FORM_NONE, verbs.VERB_UNKNOWN);
  put(FORM_KEYS, verbs.VERB_GET, verbs.VERB_GETS);
  put(FORM_TOUCH_KEYS, verbs.VERB_GAT, verbs.VERB_GATS);
  put(FORM_STORE, verbs.VERB_SET, verbs.VERB_ADD, verbs.VERB_REPLACE, verbs.VERB_APPEND, verbs.VERB_PREPEND);
  put(FORM_STORE_CAS, verbs.VERB_CAS);
  put(FORM_DELTA, verbs.VERB_INCR, verbs.VERB_DECR);
  put(FORM_TOUCH, verbs.VERB_TOUCH);
  put(FORM_DELETE, verbs.VERB_DELETE);
  put(FORM_FLUSH_ALL, verbs.VERB_FLUSH_ALL);
  put(FORM_VERBOSITY, verbs.VERB_VERBOSITY);
  put(FORM_META, verbs.VERB_MG, verbs.VERB_MD, verbs.VERB_MA, verbs.VERB_ME);
  put(FORM_META_SET, verbs.VERB_MS);
  put(FORM_STATS, verbs.VERB_STATS);
  return forms;
}

/** `out` comes cleared; `end` > `offset`. Returns REQUEST_OK or a REFUSED_* reason. */
export function parseAsciiRequest(bytes: Uint8Array, offset: number, end: number, out: Int32Array): number {
  if (bytes[end - 1] !== LF && !hasNewline(bytes, offset, end)) return refuseUnterminated(bytes, offset, end, out);
  const start = skipSpaces(bytes, offset);
  const stop = tokenEnd(bytes, start);
  const verb = wordAt(ids, spellings, multiplier, bytes, start, stop - start);
  noteVerb(verb, out);
  const reason = parseArguments(FORMS[verb], bytes, stop, end, out);
  if (reason !== REQUEST_OK) noteQuiet(bytes, stop, out);
  return reason;
}

function noteVerb(verb: number, out: Int32Array): void {
  const form = FORMS[verb];
  out[OUT_PROTOCOL] = form === FORM_META || form === FORM_META_SET || verb === VERB_MN ? PROTOCOL_META : PROTOCOL_ASCII;
  out[OUT_VERB] = verb;
  out[OUT_CLASS] = VERB_CLASS[verb];
}

/** The common forms first: this is a chain of comparisons. */
function parseArguments(form: number, bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  if (form === FORM_KEYS) return parseKeys(bytes, at, end, out);
  if (form === FORM_STORE || form === FORM_STORE_CAS) return parseStore(form, bytes, at, end, out);
  if (form === FORM_META) return finish(parseMeta(bytes, at, out), end);
  if (form === FORM_META_SET) return finishStore(bytes, parseMetaSet(bytes, at, out), end, out);
  if (form === FORM_DELTA || form === FORM_TOUCH) return parseNumbered(form, bytes, at, end, out);
  if (form === FORM_DELETE) return parseDelete(bytes, at, end, out);
  if (form === FORM_TOUCH_KEYS) return parseTouchKeys(bytes, at, end, out);
  return parseKeyless(form, bytes, at, end, out);
}

function parseKeyless(form: number, bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  if (form === FORM_NONE) return REFUSED_VERB;
  if (form === FORM_FLUSH_ALL || form === FORM_VERBOSITY) return parseOrder(form, bytes, at, end, out);
  if (form === FORM_STATS) noteArgument(bytes, at, out);
  return finish(lineTailAfterAny(bytes, at), end);
}

/** `tail` is the offset behind the line, or a refusal. The line is the whole request. */
function finish(tail: number, end: number): number {
  if (tail < 0) return -tail;
  return tail === end ? REQUEST_OK : REFUSED_TRAILING;
}

/** The value starts at `tail`, OUT_VALUE_LENGTH holds the declared length, CRLF follows (a bare LF does not do here). */
function finishStore(bytes: Uint8Array, tail: number, end: number, out: Int32Array): number {
  if (tail < 0) return -tail;
  out[OUT_VALUE_OFFSET] = tail;
  const declared = out[OUT_VALUE_LENGTH];
  if (declared > end - tail - 2) return REFUSED_LENGTH;
  const stop = tail + declared;
  if (bytes[stop] !== CR || bytes[stop + 1] !== LF) return REFUSED_LENGTH;
  return stop + 2 === end ? REQUEST_OK : REFUSED_TRAILING;
}

function parseKeys(bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  let stop = locateKey(bytes, at, out);
  if (stop < 0) return -stop;
  let tail = lineTail(bytes, stop);
  while (tail === -REFUSED_ARGUMENTS) {
    out[OUT_FLAGS] |= REQUEST_MULTI_KEY;
    stop = keyEnd(bytes, stop);
    if (stop < 0) return -stop;
    tail = lineTail(bytes, stop);
  }
  return finish(tail, end);
}

/** memcached answers END to a gat without a key; there is no node to send that to. */
function parseTouchKeys(bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  const stop = int32End(bytes, at);
  return stop < 0 ? -stop : parseKeys(bytes, stop, end, out);
}

function parseStore(form: number, bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  const keyStop = locateKey(bytes, at, out);
  if (keyStop < 0) return -keyStop;
  const flagsStop = uint32End(bytes, keyStop);
  if (flagsStop < 0) return -flagsStop;
  const exptimeStop = int32End(bytes, flagsStop);
  if (exptimeStop < 0) return -exptimeStop;
  const lengthStop = declaredLengthEnd(bytes, exptimeStop, out);
  if (lengthStop < 0) return -lengthStop;
  const numbersStop = form === FORM_STORE ? lengthStop : casEnd(bytes, lengthStop, out);
  if (numbersStop < 0) return -numbersStop;
  return finishStore(bytes, noreplyTail(bytes, numbersStop, out), end, out);
}

function casEnd(bytes: Uint8Array, at: number, out: Int32Array): number {
  out[OUT_FLAGS] |= REQUEST_HAS_CAS;
  return uint64End(bytes, at);
}

/**
 * End of the line after at most one more token. `noreply` makes the request silent; any other word there is ignored,
 * as memcached does.
 */
function noreplyTail(bytes: Uint8Array, at: number, out: Int32Array): number {
  const tail = lineTail(bytes, at);
  if (tail !== -REFUSED_ARGUMENTS) return tail;
  const start = skipSpaces(bytes, at);
  const stop = tokenEnd(bytes, start);
  const lastTail = lineTail(bytes, stop);
  if (lastTail >= 0 && isNoreply(bytes, start, stop)) out[OUT_FLAGS] |= REQUEST_QUIET | REQUEST_NOREPLY;
  return lastTail;
}

const NOREPLY = Uint8Array.from(Buffer.from('noreply'));

function isNoreply(bytes: Uint8Array, start: number, stop: number): boolean {
  if (stop - start !== NOREPLY.length) return false;
  for (let index = 0; index < NOREPLY.length; index++) {
    if (bytes[start + index] !== NOREPLY[index]) return false;
  }
  return true;
}

function parseNumbered(form: number, bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  const keyStop = locateKey(bytes, at, out);
  if (keyStop < 0) return -keyStop;
  const stop = form === FORM_DELTA ? uint64End(bytes, keyStop) : int32End(bytes, keyStop);
  return stop < 0 ? -stop : finish(noreplyTail(bytes, stop, out), end);
}

/** A hold time of 0 may stand between key and noreply; it is a relic, and no other word may stand there. */
function parseDelete(bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  const keyStop = locateKey(bytes, at, out);
  if (keyStop < 0) return -keyStop;
  const start = skipSpaces(bytes, keyStop);
  const isHeld = bytes[start] === ZERO && tokenEnd(bytes, start) === start + 1;
  const stop = isHeld ? start + 1 : keyStop;
  const tail = noreplyTail(bytes, stop, out);
  if (tail > 0 && !(out[OUT_FLAGS] & REQUEST_NOREPLY) && lineTail(bytes, stop) < 0) return REFUSED_ARGUMENTS;
  return finish(tail, end);
}

function parseOrder(form: number, bytes: Uint8Array, at: number, end: number, out: Int32Array): number {
  const start = skipSpaces(bytes, at);
  const stop = tokenEnd(bytes, start);
  const isBare = stop === start || isNoreply(bytes, start, stop);
  if (isBare && form === FORM_FLUSH_ALL) return finish(noreplyTail(bytes, at, out), end);
  const numberStop = form === FORM_VERBOSITY ? uint32End(bytes, at) : int32End(bytes, at);
  return numberStop < 0 ? -numberStop : finish(noreplyTail(bytes, numberStop, out), end);
}

/** `stats settings`: what is asked for stands where other verbs have their key. */
function noteArgument(bytes: Uint8Array, at: number, out: Int32Array): void {
  const start = skipSpaces(bytes, at);
  const stop = tokenEnd(bytes, start);
  if (stop === start) return;
  out[OUT_KEY_OFFSET] = start;
  out[OUT_KEY_LENGTH] = stop - start;
}

/** A refused line may have asked for silence in what was not read: its last token says so, or a meta flag q. */
function noteQuiet(bytes: Uint8Array, at: number, out: Int32Array): void {
  const isMeta = out[OUT_PROTOCOL] === PROTOCOL_META;
  let tokens = 0;
  let start = skipSpaces(bytes, at);
  let stop = tokenEnd(bytes, start);
  while (stop > start) {
    tokens++;
    if (isMeta && tokens > 1 && bytes[start] === Q) out[OUT_FLAGS] |= REQUEST_QUIET;
    const isLast = endsLine(bytes, skipSpaces(bytes, stop));
    if (isLast && takesNoreply(out[OUT_VERB]) && isNoreply(bytes, start, stop)) {
      out[OUT_FLAGS] |= REQUEST_QUIET | REQUEST_NOREPLY;
    }
    start = skipSpaces(bytes, stop);
    stop = tokenEnd(bytes, start);
  }
}

/** set … verbosity; a get for a key named noreply is not one of them. */
function takesNoreply(verb: number): boolean {
  return verb >= verbs.VERB_SET && verb <= verbs.VERB_VERBOSITY;
}

/** Nothing bounds a scan here but `end`: only a verb with a space behind it is told. */
function refuseUnterminated(bytes: Uint8Array, offset: number, end: number, out: Int32Array): number {
  let start = offset;
  while (start < end && bytes[start] === SPACE) start++;
  let stop = start;
  while (stop < end && bytes[stop] > SPACE) stop++;
  noteVerb(stop < end ? wordAt(ids, spellings, multiplier, bytes, start, stop - start) : 0, out);
  return REFUSED_NO_NEWLINE;
}
