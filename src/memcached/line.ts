/**
 * One line of the ASCII protocol: tokens separated by spaces, ended by LF or CRLF.
 *
 * No function here takes the end of the datagram. The caller has made sure that an LF stands between `at` and that end,
 * and no scan runs past an LF: that one byte is the bound of them all.
 *
 * Any other byte may stand in a token, control bytes included: memcached cuts a line at spaces and at nothing else, and
 * takes away one CR before the LF. A NUL would end the line early for it, so a line with one is refused.
 *
 * Where a result is either an offset or a refusal, offsets are ≥ 0 and a refusal is its negated reason.
 */
import * as located from './located.ts';
import * as refusals from './refusals.ts';

// V8 folds a constant of the module itself, but loads an imported one at each use (0.5 ns): hence the copies.
const { KEY_BYTES_MAX, OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_VALUE_LENGTH } = located;
const { REFUSED_ARGUMENTS, REFUSED_KEY, REFUSED_LINE, REFUSED_NUMBER } = refusals;

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const PLUS = 0x2b;
const MINUS = 0x2d;
const ZERO = 0x30;
const NUL = 0;

export function hasNewline(bytes: Uint8Array, at: number, end: number): boolean {
  for (let index = at; index < end; index++) {
    if (bytes[index] === LF) return true;
  }
  return false;
}

export function skipSpaces(bytes: Uint8Array, at: number): number {
  let index = at;
  while (bytes[index] === SPACE) index++;
  return index;
}

/** Offset of the first byte at or after `at` that is no part of a token: a space, the line's end, or a NUL. */
export function tokenEnd(bytes: Uint8Array, at: number): number {
  let index = at;
  while (bytes[index] > SPACE) index++;
  return bytes[index] === SPACE ? index : controlledTokenEnd(bytes, index);
}

function controlledTokenEnd(bytes: Uint8Array, at: number): number {
  let index = at;
  while (bytes[index] > SPACE || isTokenControl(bytes, index)) index++;
  return index;
}

/** Is the byte at `at`, which is SPACE or below, part of a token nevertheless? */
function isTokenControl(bytes: Uint8Array, at: number): boolean {
  const byte = bytes[at];
  if (byte === SPACE || byte === LF || byte === NUL) return false;
  return byte !== CR || bytes[at + 1] !== LF;
}

/** Does the line end at `at`, for memcached? */
export function endsLine(bytes: Uint8Array, at: number): boolean {
  return bytes[at] <= SPACE && bytes[at] !== SPACE && !isTokenControl(bytes, at);
}

/** Does a token rightly end at `at`: at a space or at the end of the line? */
export function isDelimiter(bytes: Uint8Array, at: number): boolean {
  const byte = bytes[at];
  return byte === SPACE || byte === LF || (byte === CR && bytes[at + 1] === LF);
}

/** Offset behind the LF when nothing but spaces is left of the line, else a refusal. */
export function lineTail(bytes: Uint8Array, at: number): number {
  const stop = skipSpaces(bytes, at);
  const byte = bytes[stop];
  if (byte === LF) return stop + 1;
  if (byte === CR && bytes[stop + 1] === LF) return stop + 2;
  return byte === NUL ? -REFUSED_LINE : -REFUSED_ARGUMENTS;
}

/** Offset behind the LF whatever tokens the line still has, else a refusal. */
export function lineTailAfterAny(bytes: Uint8Array, at: number): number {
  let stop = at;
  let tail = lineTail(bytes, stop);
  while (tail === -REFUSED_ARGUMENTS) {
    stop = tokenEnd(bytes, skipSpaces(bytes, stop));
    tail = lineTail(bytes, stop);
  }
  return tail;
}

/** Checks the key that follows `at`; returns its end, or a refusal. */
export function keyEnd(bytes: Uint8Array, at: number): number {
  const start = skipSpaces(bytes, at);
  const stop = tokenEnd(bytes, start);
  if (!isDelimiter(bytes, stop)) return -REFUSED_KEY;
  if (stop === start) return -REFUSED_ARGUMENTS;
  return stop - start > KEY_BYTES_MAX ? -REFUSED_KEY : stop;
}

/** `keyEnd`, and the key becomes the request's. */
export function locateKey(bytes: Uint8Array, at: number, out: Int32Array): number {
  const stop = keyEnd(bytes, at);
  if (stop < 0) return stop;
  const start = skipSpaces(bytes, at);
  out[OUT_KEY_OFFSET] = start;
  out[OUT_KEY_LENGTH] = stop - start;
  return stop;
}

const UINT32_MAX = Uint8Array.from(Buffer.from('4294967295'));
const UINT64_MAX = Uint8Array.from(Buffer.from('18446744073709551615'));
const INT32_MAX = Uint8Array.from(Buffer.from('2147483647'));
const INT32_MIN = Uint8Array.from(Buffer.from('2147483648'));

/**
 * End of the number that follows `at`, or a refusal: flags. memcached 1.6.18 takes larger numbers and cuts them to
 * 32 bits; we do not.
 */
export function uint32End(bytes: Uint8Array, at: number): number {
  const start = skipSpaces(bytes, at);
  const stop = shortNumberEnd(bytes, start);
  return stop > 0 ? stop : numberEnd(bytes, start, isUint32(bytes, start, tokenEnd(bytes, start)));
}

/** Likewise: delta, CAS id. */
export function uint64End(bytes: Uint8Array, at: number): number {
  const start = skipSpaces(bytes, at);
  const stop = shortNumberEnd(bytes, start);
  return stop > 0 ? stop : numberEnd(bytes, start, isUint64(bytes, start, tokenEnd(bytes, start)));
}

/**
 * Likewise: exptime. memcached 1.6.18 takes 64-bit numbers and cuts them to 32 bits. A version that refused one would
 * go on to read the value of a `set` as commands, so what does not fit in 32 bits is not forwarded.
 */
export function int32End(bytes: Uint8Array, at: number): number {
  const start = skipSpaces(bytes, at);
  const stop = shortNumberEnd(bytes, start);
  return stop > 0 ? stop : numberEnd(bytes, start, isInt32(bytes, start, tokenEnd(bytes, start)));
}

/**
 * Likewise, and the number becomes the declared length of the value. Ten digits and more are longer than any datagram
 * and all read LENGTH_BEYOND.
 */
export function declaredLengthEnd(bytes: Uint8Array, at: number, out: Int32Array): number {
  const start = skipSpaces(bytes, at);
  const first = bytes[start] === PLUS ? start + 1 : start;
  const stop = digitsEnd(bytes, first);
  if (stop === first || !isDelimiter(bytes, stop)) return numberEnd(bytes, start, false);
  let length = 0;
  for (let index = first; index < stop; index++) {
    length = length > 99_999_998 ? LENGTH_BEYOND : (length * 10 + bytes[index] - ZERO) | 0;
  }
  out[OUT_VALUE_LENGTH] = length;
  return stop;
}
const LENGTH_BEYOND = 999_999_999;

/** End of a token of 1 to 9 digits, which is in everybody's range, else −1. */
function shortNumberEnd(bytes: Uint8Array, start: number): number {
  const stop = digitsEnd(bytes, start);
  return stop > start && stop - start < 10 && isDelimiter(bytes, stop) ? stop : -1;
}

function digitsEnd(bytes: Uint8Array, start: number): number {
  let index = start;
  while ((bytes[index] - ZERO) >>> 0 < 10) index++;
  return index;
}

function numberEnd(bytes: Uint8Array, start: number, isNumber: boolean): number {
  const stop = tokenEnd(bytes, start);
  if (isNumber) return stop;
  return stop === start ? -REFUSED_ARGUMENTS : -REFUSED_NUMBER;
}

/** A plus sign is taken, as strtoul does. */
export function isUint32(bytes: Uint8Array, start: number, stop: number): boolean {
  return isAtMost(bytes, bytes[start] === PLUS ? start + 1 : start, stop, UINT32_MAX);
}

export function isUint64(bytes: Uint8Array, start: number, stop: number): boolean {
  return isAtMost(bytes, bytes[start] === PLUS ? start + 1 : start, stop, UINT64_MAX);
}

export function isInt32(bytes: Uint8Array, start: number, stop: number): boolean {
  if (bytes[start] === MINUS) return isAtMost(bytes, start + 1, stop, INT32_MIN);
  return isAtMost(bytes, bytes[start] === PLUS ? start + 1 : start, stop, INT32_MAX);
}

/** Is the token one or more digits whose number is at most `limit`'s? Compared as text: 64 bits do not fit a number. */
function isAtMost(bytes: Uint8Array, start: number, stop: number, limit: Uint8Array): boolean {
  if (stop <= start) return false;
  let digits = start;
  while (digits < stop && bytes[digits] === ZERO) digits++;
  if (digitsEnd(bytes, digits) !== stop) return false;
  if (stop - digits !== limit.length) return stop - digits < limit.length;
  let index = 0;
  while (index < limit.length && bytes[digits + index] === limit[index]) index++;
  return index === limit.length || bytes[digits + index] < limit[index];
}
