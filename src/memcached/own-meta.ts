/**
 * Meta requests of the balancer's own, and what it reads of their replies. Each carries a nonce of 64 bits as its opaque
 * token, which the reply echoes: nobody who does not see the request can forge its reply.
 *
 *     mg <key> t f v c O<nonce>                        value, flags, CAS, seconds to live
 *     mg <key> c v f t O<nonce>                        (the same; one form for all)
 *     ms <key> <bytes> T<exptime> F<flags> M<mode> C<cas> c O<nonce>
 *     ma <key> D<delta> M<mode> C<cas> c v O<nonce>
 *     md <key> C<cas> O<nonce>
 */
import { writeDecimal } from './decimal.ts';
import { OUT_OPAQUE_LENGTH, OUT_OPAQUE_OFFSET } from './located.ts';
import { writeUint64 } from './uint64.ts';

const NONCE_DIGITS = 16;
const MARKS = [0x57, 0x58, 0x5a] as const;
const SPACE = 0x20;
const MINUS = 0x2d;
const CR = 0x0d;
const LF = 0x0a;
const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
const HEX = ascii('0123456789abcdef');
const GET = ascii('mg ');
const SET = ascii('ms ');
const ARITHMETIC = ascii('ma ');
const DELETE = ascii('md ');
const GET_FLAGS = ascii(' t f v c');
const TOKEN_O = ascii(' O');
const TOKEN_C = ascii(' C');
const TOKEN_T = ascii(' T');
const TOKEN_F = ascii(' F');
const TOKEN_D = ascii(' D');
const TOKEN_M = ascii(' M');
const RETURN_CAS = ascii(' c');
const RETURN_VALUE = ascii(' v');

/** Longest line of these without its key, bytes. */
export const OWN_LINE_BYTES_MAX = 110;

/** Whether the key can stand in a line as it is: printable, no space (the parser has bounded its length). */
export function isPlainKey(bytes: Uint8Array, offset: number, length: number): boolean {
  for (let at = offset; at < offset + length; at++) if (bytes[at] <= SPACE || bytes[at] === 0x7f) return false;
  return length > 0;
}

/** A line under construction: where the next byte goes. Re-aimed, one at a time. */
export class OwnLine {
  at = 0;
  #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get(offset: number, keys: Uint8Array, key: number, keyBytes: number): this {
    return this.#begin(offset, GET, keys, key, keyBytes).#text(GET_FLAGS);
  }

  delete(offset: number, keys: Uint8Array, key: number, keyBytes: number): this {
    return this.#begin(offset, DELETE, keys, key, keyBytes);
  }

  /** @param mode letter of M, 0: set */
  set(offset: number, keys: Uint8Array, key: number, keyBytes: number, valueBytes: number, mode: number): this {
    this.#begin(offset, SET, keys, key, keyBytes);
    this.#bytes[this.at++] = SPACE;
    this.at = writeDecimal(this.#bytes, this.at, valueBytes);
    return mode === 0 ? this : this.#mode(mode);
  }

  arithmetic(
    offset: number,
    keys: Uint8Array,
    key: number,
    keyBytes: number,
    mode: number,
    high: number,
    low: number,
  ): this {
    this.#begin(offset, ARITHMETIC, keys, key, keyBytes).#mode(mode).#text(TOKEN_D);
    this.at = writeUint64(this.#bytes, this.at, high, low);
    return this.#text(RETURN_VALUE);
  }

  terms(flags: number, exptime: number): this {
    if (flags !== 0) {
      this.#text(TOKEN_F);
      this.at = writeDecimal(this.#bytes, this.at, flags >>> 0);
    }
    if (exptime === 0) return this;
    this.#text(TOKEN_T);
    if (exptime < 0) this.#bytes[this.at++] = MINUS;
    this.at = writeDecimal(this.#bytes, this.at, Math.abs(exptime));
    return this;
  }

  fence(high: number, low: number): this {
    this.#text(TOKEN_C);
    this.at = writeUint64(this.#bytes, this.at, high, low);
    return this;
  }

  returnCas(): this {
    return this.#text(RETURN_CAS);
  }

  /** Ends the line; returns its end. */
  end(nonceHigh: number, nonceLow: number): number {
    this.#text(TOKEN_O);
    writeNonce(this.#bytes, this.at, nonceHigh, nonceLow);
    this.at += NONCE_DIGITS;
    this.#bytes[this.at++] = CR;
    this.#bytes[this.at++] = LF;
    return this.at;
  }

  #begin(offset: number, verb: Uint8Array, keys: Uint8Array, key: number, keyBytes: number): this {
    this.at = offset;
    this.#text(verb);
    for (let byte = 0; byte < keyBytes; byte++) this.#bytes[this.at++] = keys[key + byte];
    return this;
  }

  #mode(mode: number): this {
    this.#text(TOKEN_M);
    this.#bytes[this.at++] = mode;
    return this;
  }

  #text(text: Uint8Array): this {
    for (let byte = 0; byte < text.length; byte++) this.#bytes[this.at++] = text[byte];
    return this;
  }
}

function writeNonce(bytes: Uint8Array, offset: number, high: number, low: number): void {
  for (let digit = 0; digit < 8; digit++) {
    bytes[offset + digit] = HEX[(high >>> (28 - 4 * digit)) & 15];
    bytes[offset + 8 + digit] = HEX[(low >>> (28 - 4 * digit)) & 15];
  }
}

/** Whether the opaque of the located reply is this nonce. */
export function hasNonce(bytes: Uint8Array, located: Int32Array, high: number, low: number): boolean {
  if (located[OUT_OPAQUE_LENGTH] !== NONCE_DIGITS) return false;
  const at = located[OUT_OPAQUE_OFFSET];
  let misfit = 0;
  for (let digit = 0; digit < 8; digit++) {
    misfit |= bytes[at + digit] ^ HEX[(high >>> (28 - 4 * digit)) & 15];
    misfit |= bytes[at + 8 + digit] ^ HEX[(low >>> (28 - 4 * digit)) & 15];
  }
  return misfit === 0;
}

/** Does the reply's first line say won (`W`), stale (`X`) or token sent (`Z`)? */
export function bearsMarks(bytes: Uint8Array, offset: number, end: number): boolean {
  return MARKS.some(letter => returnToken(bytes, offset, end, letter) >= 0);
}

/** Offset of the token of return flag `letter` in the meta reply line at `offset`, or −1. */
export function returnToken(bytes: Uint8Array, offset: number, end: number, letter: number): number {
  for (let at = offset; at < end && bytes[at] !== CR; at++) {
    if (bytes[at] === SPACE && bytes[at + 1] === letter) return at + 2;
  }
  return -1;
}
