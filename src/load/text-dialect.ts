/**
 * Classic and meta commands (memcached's protocol.txt). They differ in their words only:
 *
 *              classic                                     meta
 *     GET      get <key>\r\n                               mg <key> k v\r\n
 *     hit      VALUE <key> 0 <n>\r\n<value>\r\nEND\r\n     VA <n> k<key>\r\n<value>\r\n
 *     miss     END\r\n                                     EN\r\n
 *     SET      set <key> 0 0 <n>\r\n<value>\r\n            ms <key> <n>\r\n<value>\r\n
 *     stored   STORED\r\n                                  HD\r\n
 */
import { checkFound, type Dialect, type DialectParts, REPLY_BYTES_MAX, writeText } from './dialect.ts';
import { ERRORS, HITS, MISSES, STORED, WRONG_KEY, WRONG_MALFORMED } from './tally.ts';

const CRLF = 0x0d0a;
const CRLF_BYTES = 2;
const DIGIT_0 = 0x30;
const DECIMAL_DIGITS_MAX = 4;
const ERROR_LINES = ['ERROR', 'CLIENT_ERROR ', 'SERVER_ERROR '].map(bytesOf);

interface Words {
  get: [beforeKey: string, afterKey: string];
  set: [beforeKey: string, beforeLength: string];
  /** A hit: before the key, or before the length, whichever comes first; between the two; behind the value. */
  hit: [first: string, between: string, behind: string];
  keyFirst: boolean;
  miss: string;
  stored: string;
}

export const CLASSIC: Words = {
  get: ['get ', '\r\n'],
  set: ['set ', ' 0 0 '],
  hit: ['VALUE ', ' 0 ', '\r\nEND\r\n'],
  keyFirst: true,
  miss: 'END\r\n',
  stored: 'STORED\r\n',
};

export const META: Words = {
  get: ['mg ', ' k v\r\n'],
  set: ['ms ', ' '],
  hit: ['VA ', ' k', '\r\n'],
  keyFirst: false,
  miss: 'EN\r\n',
  stored: 'HD\r\n',
};

export class TextDialect implements Dialect {
  readonly getBytes: number;
  readonly getKeyOffset: number;
  readonly setKeyOffset: number;
  readonly #parts: DialectParts;
  readonly #words: Words;
  readonly #keyBytes: number;
  readonly #setLengthOffset: number;
  readonly #hitFirst: Uint8Array;
  readonly #hitBetween: Uint8Array;
  readonly #hitBehind: Uint8Array;
  readonly #keyFirst: boolean;
  readonly #miss: Uint8Array;
  readonly #stored: Uint8Array;
  /** Value of the decimal that `#decimalEnd` passed. */
  #decimal = 0;

  constructor(parts: DialectParts, words: Words) {
    this.#parts = parts;
    this.#words = words;
    this.#keyBytes = parts.names.bytes;
    this.getKeyOffset = words.get[0].length;
    this.getBytes = this.getKeyOffset + this.#keyBytes + words.get[1].length;
    this.setKeyOffset = words.set[0].length;
    this.#setLengthOffset = this.setKeyOffset + this.#keyBytes + words.set[1].length;
    [this.#hitFirst, this.#hitBetween, this.#hitBehind] = words.hit.map(bytesOf) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    this.#keyFirst = words.keyFirst;
    this.#miss = bytesOf(words.miss);
    this.#stored = bytesOf(words.stored);
  }

  setBytes(valueBytes: number): number {
    return this.#setLengthOffset + decimalDigits(valueBytes) + valueBytes + 2 * CRLF_BYTES;
  }

  hitBytes(valueBytes: number): number {
    const line =
      this.#hitFirst.length + this.#keyBytes + this.#hitBetween.length + decimalDigits(valueBytes) + CRLF_BYTES;
    return line + valueBytes + this.#hitBehind.length;
  }

  writeGet(view: DataView, offset: number): void {
    writeText(view, offset, this.#words.get[0]);
    this.#parts.names.write(view, offset + this.getKeyOffset, 0);
    writeText(view, offset + this.getKeyOffset + this.#keyBytes, this.#words.get[1]);
  }

  writeSet(view: DataView, offset: number): void {
    writeText(view, offset, this.#words.set[0]);
    this.#parts.names.write(view, offset + this.setKeyOffset, 0);
    writeText(view, offset + this.setKeyOffset + this.#keyBytes, this.#words.set[1]);
  }

  finishSet(view: DataView, offset: number, valueBytes: number): number {
    const valueOffset = writeDecimal(view, offset + this.#setLengthOffset, valueBytes) + CRLF_BYTES;
    view.setUint16(valueOffset - CRLF_BYTES, CRLF);
    view.setUint16(valueOffset + valueBytes, CRLF);
    return valueOffset;
  }

  check(view: DataView, offset: number, length: number, key: number, set: number): number {
    if (set === 0) {
      if (length > this.#miss.length && startsWith(view, offset, length, this.#hitFirst)) {
        return this.#checkHit(view, offset, length, key);
      }
      if (equals(view, offset, length, this.#miss)) return MISSES;
    } else if (equals(view, offset, length, this.#stored)) return STORED;
    return isErrorLine(view, offset, length) ? ERRORS : ~WRONG_MALFORMED;
  }

  errorText(view: DataView, offset: number, length: number): string {
    return Buffer.from(view.buffer, view.byteOffset + offset, length - CRLF_BYTES).toString('latin1');
  }

  /** `offset` begins with the words of a hit. */
  #checkHit(view: DataView, offset: number, length: number, key: number): number {
    const end = offset + length;
    if (end < offset + this.hitBytes(0)) return ~WRONG_MALFORMED;
    const first = offset + this.#hitFirst.length;
    const keyOffset = this.#keyFirst ? first : this.#decimalEnd(view, first, end) + this.#hitBetween.length;
    const keyEnd = keyOffset + this.#keyBytes;
    const between = this.#keyFirst ? keyEnd : keyOffset - this.#hitBetween.length;
    if (keyEnd + CRLF_BYTES > end) return ~WRONG_MALFORMED;
    if (!startsWith(view, between, end - between, this.#hitBetween)) return ~WRONG_MALFORMED;
    if (!this.#parts.names.matches(view, keyOffset, key)) return ~WRONG_KEY;
    const lineEnd = this.#keyFirst ? this.#decimalEnd(view, between + this.#hitBetween.length, end) : keyEnd;
    return this.#checkValue(view, lineEnd, end, key);
  }

  /** The rest of a hit: end of the line, a value of `#decimal` bytes, the words behind it and nothing more. */
  #checkValue(view: DataView, lineEnd: number, end: number, key: number): number {
    const valueOffset = lineEnd + CRLF_BYTES;
    const valueEnd = valueOffset + this.#decimal;
    if (valueEnd + this.#hitBehind.length !== end || view.getUint16(lineEnd) !== CRLF) return ~WRONG_MALFORMED;
    if (!equals(view, valueEnd, end - valueEnd, this.#hitBehind)) return ~WRONG_MALFORMED;
    const verdict = checkFound(this.#parts, view, valueOffset, this.#decimal, key);
    return verdict === 0 ? HITS : verdict;
  }

  /** Reads one to four digits without leading zeros into `#decimal`; returns the offset behind them. */
  #decimalEnd(view: DataView, offset: number, end: number): number {
    const last = Math.min(end, offset + DECIMAL_DIGITS_MAX);
    let value = 0;
    let at = offset;
    for (; at < last; at++) {
      const digit = view.getUint8(at) - DIGIT_0;
      if (digit < 0 || digit > 9 || (value === 0 && at > offset)) break;
      value = value * 10 + digit;
    }
    // No digit, no such value: a length that fits no datagram.
    this.#decimal = at === offset ? REPLY_BYTES_MAX + 1 : value;
    return at;
  }
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

function startsWith(view: DataView, offset: number, length: number, words: Uint8Array): boolean {
  if (length < words.length) return false;
  for (let i = 0; i < words.length; i++) if (view.getUint8(offset + i) !== words[i]) return false;
  return true;
}

function equals(view: DataView, offset: number, length: number, words: Uint8Array): boolean {
  return length === words.length && startsWith(view, offset, length, words);
}

/** One line, ended, that begins with one of memcached's three error words. */
function isErrorLine(view: DataView, offset: number, length: number): boolean {
  const lineEnd = offset + length - CRLF_BYTES;
  if (length < ERROR_LINES[0]!.length + CRLF_BYTES || view.getUint16(lineEnd) !== CRLF) return false;
  for (let at = offset; at < lineEnd; at++) if (view.getUint8(at) === 0x0a) return false;
  return ERROR_LINES.some(
    (words, kind) => startsWith(view, offset, length, words) && (kind > 0 || length === words.length + CRLF_BYTES),
  );
}

export function decimalDigits(n: number): number {
  return n < 10 ? 1 : n < 100 ? 2 : n < 1000 ? 3 : 4;
}

/** Writes 0 … 9999; returns the offset behind it. */
export function writeDecimal(view: DataView, offset: number, n: number): number {
  const end = offset + decimalDigits(n);
  let rest = n;
  for (let at = end - 1; at >= offset; at--) {
    const tens = (rest / 10) | 0;
    view.setUint8(at, DIGIT_0 + rest - tens * 10);
    rest = tens;
  }
  return end;
}
