/**
 * The binary protocol (memcached's protocol-binary.xml): GETK, so that the reply names its key, and SET.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------+---------------+-------------------------------+
 *   0 | magic         | opcode        | key length                    |
 *     +---------------+---------------+-------------------------------+
 *   4 | extras length | data type (0) | vbucket; in a reply: status   |
 *     +---------------+---------------+-------------------------------+
 *   8 | body length: extras, key, value                               |
 *     +---------------------------------------------------------------+
 *  12 | opaque: returned as it was                                    |
 *     +---------------------------------------------------------------+
 *  16 | CAS, 64 bits                                                  |
 *     +---------------------------------------------------------------+
 *  24 | extras: SET flags, expiry; a hit flags · key · value
 */
import { checkFound, type Dialect, type DialectParts } from './dialect.ts';
import { ERRORS, HITS, MISSES, STORED, WRONG_KEY, WRONG_MALFORMED } from './tally.ts';

const HEADER_BYTES = 24;
const MAGIC_REQUEST = 0x80;
const MAGIC_REPLY = 0x81;
const OPCODE_SET = 0x01;
const OPCODE_GETK = 0x0c;
const STATUS_OK = 0;
const STATUS_KEY_NOT_FOUND = 1;
const SET_EXTRAS_BYTES = 8;
const HIT_EXTRAS_BYTES = 4;
/** Any fixed word: the request id is what replies are matched by. */
const OPAQUE = 0x6b657973;

export class BinaryDialect implements Dialect {
  readonly getBytes: number;
  readonly getKeyOffset = HEADER_BYTES;
  readonly setKeyOffset = HEADER_BYTES + SET_EXTRAS_BYTES;
  readonly #parts: DialectParts;
  readonly #keyBytes: number;

  constructor(parts: DialectParts) {
    this.#parts = parts;
    this.#keyBytes = parts.names.bytes;
    this.getBytes = HEADER_BYTES + this.#keyBytes;
  }

  setBytes(valueBytes: number): number {
    return this.setKeyOffset + this.#keyBytes + valueBytes;
  }

  hitBytes(valueBytes: number): number {
    return HEADER_BYTES + HIT_EXTRAS_BYTES + this.#keyBytes + valueBytes;
  }

  writeGet(view: DataView, offset: number): void {
    this.#writeHeader(view, offset, OPCODE_GETK, 0);
    this.#parts.names.write(view, offset + this.getKeyOffset, 0);
  }

  writeSet(view: DataView, offset: number): void {
    this.#writeHeader(view, offset, OPCODE_SET, SET_EXTRAS_BYTES);
    this.#parts.names.write(view, offset + this.setKeyOffset, 0);
  }

  finishSet(view: DataView, offset: number, valueBytes: number): number {
    view.setInt32(offset + 8, SET_EXTRAS_BYTES + this.#keyBytes + valueBytes);
    return offset + this.setKeyOffset + this.#keyBytes;
  }

  check(view: DataView, offset: number, length: number, key: number, set: number): number {
    if (!isReply(view, offset, length, set === 0 ? OPCODE_GETK : OPCODE_SET)) return ~WRONG_MALFORMED;
    const status = view.getUint16(offset + 6);
    if (status === STATUS_OK) {
      if (set === 0) return this.#checkHit(view, offset, length, key);
      return length === HEADER_BYTES ? STORED : ~WRONG_MALFORMED;
    }
    if (status === STATUS_KEY_NOT_FOUND && set === 0) return this.#checkMiss(view, offset, length, key);
    return ERRORS;
  }

  errorText(view: DataView, offset: number, length: number): string {
    const body = Buffer.from(view.buffer, view.byteOffset + offset + HEADER_BYTES, length - HEADER_BYTES);
    return `status ${view.getUint16(offset + 6)} ${body.toString('latin1')}`.trim();
  }

  #writeHeader(view: DataView, offset: number, opcode: number, extrasBytes: number): void {
    for (let i = 0; i < HEADER_BYTES + extrasBytes; i++) view.setUint8(offset + i, 0);
    view.setUint8(offset, MAGIC_REQUEST);
    view.setUint8(offset + 1, opcode);
    view.setUint16(offset + 2, this.#keyBytes);
    view.setUint8(offset + 4, extrasBytes);
    view.setInt32(offset + 8, extrasBytes + this.#keyBytes);
    view.setInt32(offset + 12, OPAQUE);
  }

  #checkHit(view: DataView, offset: number, length: number, key: number): number {
    const keyOffset = offset + HEADER_BYTES + HIT_EXTRAS_BYTES;
    const valueOffset = keyOffset + this.#keyBytes;
    const valueBytes = offset + length - valueOffset;
    if (view.getUint16(offset + 2) !== this.#keyBytes || view.getUint8(offset + 4) !== HIT_EXTRAS_BYTES) {
      return ~WRONG_MALFORMED;
    }
    if (valueBytes < 0 || view.getInt32(offset + HEADER_BYTES) !== 0) return ~WRONG_MALFORMED;
    if (!this.#parts.names.matches(view, keyOffset, key)) return ~WRONG_KEY;
    const verdict = checkFound(this.#parts, view, valueOffset, valueBytes, key);
    return verdict === 0 ? HITS : verdict;
  }

  /** A miss of GETK returns the key and nothing else. */
  #checkMiss(view: DataView, offset: number, length: number, key: number): number {
    const isKeyOnly = length === HEADER_BYTES + this.#keyBytes && view.getUint16(offset + 2) === this.#keyBytes;
    if (!isKeyOnly || view.getUint8(offset + 4) !== 0) return ~WRONG_MALFORMED;
    return this.#parts.names.matches(view, offset + HEADER_BYTES, key) ? MISSES : ~WRONG_KEY;
  }
}

/** A whole reply to `opcode`, with our opaque and a body as long as it says. */
function isReply(view: DataView, offset: number, length: number, opcode: number): boolean {
  return (
    length >= HEADER_BYTES &&
    view.getUint8(offset) === MAGIC_REPLY &&
    view.getUint8(offset + 1) === opcode &&
    view.getUint8(offset + 5) === 0 &&
    view.getInt32(offset + 8) === length - HEADER_BYTES &&
    view.getInt32(offset + 12) === OPAQUE
  );
}
