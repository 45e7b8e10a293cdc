/**
 * A dialect of memcached: how requests are laid out and what a right reply looks like, behind the 8-byte frame header.
 * Keys have one width and a GET one length, so requests are templates with fields to fill in; replies are compared
 * with the one form they may have, to the last byte.
 */
import type { KeyNames } from './keys.ts';
import { WRONG_KEY, WRONG_LENGTH, WRONG_VALUE, WRONG_VERSION } from './tally.ts';
import {
  VALUE_BYTES_MIN,
  VALUE_BYTES_WRONG,
  VALUE_LENGTH_WRONG,
  VALUE_OF_OTHER_KEY,
  type ValueRule,
  versionOf,
  writerOf,
} from './values.ts';

/** A datagram's data, memcached's limit, without the frame header. */
export const REPLY_BYTES_MAX = 1392;

export interface Dialect {
  /** Bytes of a GET. */
  readonly getBytes: number;
  /** Where the key begins in a GET and in a SET. */
  readonly getKeyOffset: number;
  readonly setKeyOffset: number;

  /** Bytes of a SET with a value of `valueBytes`. */
  setBytes(valueBytes: number): number;

  /** Bytes of the reply to a GET that finds a value of `valueBytes`. */
  hitBytes(valueBytes: number): number;

  /** Writes a whole GET of key 0. */
  writeGet(view: DataView, offset: number): void;

  /** Writes what a SET of key 0 has before the fields that depend on the value's length. */
  writeSet(view: DataView, offset: number): void;

  /** Fills in what depends on the value's length, before and behind it; returns the offset of the value. */
  finishSet(view: DataView, offset: number, valueBytes: number): number;

  /**
   * What `length` bytes of reply mean.
   * @param set 1 for the reply to a SET, 0 to a GET
   * @returns a counter of the tally (HITS, MISSES, STORED, ERRORS), or ~WRONG_*
   */
  check(view: DataView, offset: number, length: number, key: number, set: number): number;

  /** The text of a reply that `check` calls ERRORS. Rare: makes a string. */
  errorText(view: DataView, offset: number, length: number): string;
}

/** What a dialect builds on. */
export interface DialectParts {
  names: KeyNames;
  values: ValueRule;
  ledger: Ledger;
}

/** The versions this generator has written. */
export class Ledger {
  readonly writer: number;
  readonly #isComplete: boolean;
  readonly #issued: Int32Array;

  /** @param isComplete false when the nodes may hold what the same writer wrote in an earlier run */
  constructor(writer: number, keyCount: number, isComplete: boolean) {
    this.writer = writer;
    this.#isComplete = isComplete;
    this.#issued = new Int32Array(keyCount);
  }

  /** The version to write next: 1, 2, 3 … for each key. */
  issue(key: number): number {
    const version = ((this.#issued[key] as number) + 1) | 0;
    this.#issued[key] = version;
    return version;
  }

  /** Could the key hold this? How far other writers are, and earlier runs were, is not known here. */
  isWritten(key: number, writer: number, version: number): boolean {
    if (version <= 0) return false;
    return writer !== this.writer || !this.#isComplete || version <= (this.#issued[key] as number);
  }
}

const WRONG_OF_VALUE = new Int32Array(4);
WRONG_OF_VALUE[VALUE_OF_OTHER_KEY] = ~WRONG_KEY;
WRONG_OF_VALUE[VALUE_LENGTH_WRONG] = ~WRONG_LENGTH;
WRONG_OF_VALUE[VALUE_BYTES_WRONG] = ~WRONG_VALUE;

/** Checks a value found under `key`: 0 when it is right, or ~WRONG_*. */
export function checkFound(parts: DialectParts, view: DataView, offset: number, length: number, key: number): number {
  if (length < VALUE_BYTES_MIN) return ~WRONG_LENGTH;
  const verdict = parts.values.check(view, offset, length, key);
  if (verdict !== 0) return WRONG_OF_VALUE[verdict] as number;
  const written = parts.ledger.isWritten(key, writerOf(view, offset), versionOf(view, offset));
  return written ? 0 : ~WRONG_VERSION;
}

/** Writes an ASCII text; returns the offset behind it. Not for the hot path. */
export function writeText(view: DataView, offset: number, text: string): number {
  for (let i = 0; i < text.length; i++) view.setUint8(offset + i, text.charCodeAt(i));
  return offset + text.length;
}
