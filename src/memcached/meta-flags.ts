/** A walk over the flags of a meta request that `parseRequest` took: each letter stands there once. */
import { endsLine, skipSpaces, tokenEnd } from './line.ts';
import * as located from './located.ts';
import { VERB_MS } from './verbs.ts';

// Copies of imported constants, see line.ts.
const { OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_VERB } = located;
const MS = VERB_MS;

/** Letters that memcached 1.6.18 takes; with any other it refuses the request. */
const KNOWN = new Uint8Array(256);
for (const letter of 'bcfhklqstuvCDFIJLMNORT') KNOWN[letter.charCodeAt(0)] = 1;

/** Offset of the first flag, or of the line's end when there is none. */
export function firstFlag(located: Int32Array, request: Uint8Array): number {
  const keyEnd = located[OUT_KEY_OFFSET] + located[OUT_KEY_LENGTH];
  const argumentEnd = located[OUT_VERB] === MS ? tokenEnd(request, skipSpaces(request, keyEnd)) : keyEnd;
  return skipSpaces(request, argumentEnd);
}

export function nextFlag(request: Uint8Array, flag: number): number {
  return skipSpaces(request, tokenEnd(request, flag));
}

/** Is there no flag at `flag`? */
export function isPastFlags(request: Uint8Array, flag: number): boolean {
  return endsLine(request, flag);
}

export function hasFlag(located: Int32Array, request: Uint8Array, letter: number): boolean {
  let flag = firstFlag(located, request);
  while (!endsLine(request, flag) && request[flag] !== letter) flag = nextFlag(request, flag);
  return request[flag] === letter;
}

/** Would memcached 1.6.18 refuse the request for this flag? */
export function isUnknownFlag(letter: number): boolean {
  return KNOWN[letter] === 0;
}
