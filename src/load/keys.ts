/**
 * The names of the keys: fixed width, so that a frame's layout does not depend on its key.
 *
 *     keysteer00000042         key 42, 16 bytes
 *     keysteer::::00000042     20 bytes
 *     key00000042              11 bytes
 *
 * The eight digits are written and read as two words of four, out of a table of ten thousand.
 */

const NAME = 'keysteer';
const PADDING = ':';
const DIGITS = 8;
const HALF = 10000;

export const KEY_BYTES_MIN = DIGITS;
/** memcached's limit. */
export const KEY_BYTES_MAX = 250;
export const KEY_COUNT_MAX = HALF * HALF;

/** Four ASCII digits of 0 … 9999, as big-endian words. */
const DIGIT_WORDS = Int32Array.from({ length: HALF }, (_, n) => {
  const text = n.toString().padStart(4, '0');
  return [...text].reduce((word, digit) => (word << 8) | digit.charCodeAt(0), 0);
});

export class KeyNames {
  /** Of every key. */
  readonly bytes: number;
  readonly #prefix: Uint8Array;

  constructor(bytes: number) {
    this.bytes = bytes;
    const prefixBytes = bytes - DIGITS;
    this.#prefix = Buffer.from(NAME.padEnd(prefixBytes, PADDING).slice(0, prefixBytes), 'latin1');
  }

  text(key: number): string {
    return Buffer.from(this.#prefix).toString('latin1') + key.toString().padStart(DIGITS, '0');
  }

  write(view: DataView, offset: number, key: number): void {
    const prefix = this.#prefix;
    for (let i = 0; i < prefix.length; i++) view.setUint8(offset + i, prefix[i] as number);
    this.writeDigits(view, offset, key);
  }

  /** Makes the key at `offset`, one of ours, another one. */
  writeDigits(view: DataView, offset: number, key: number): void {
    const upper = (key / HALF) | 0;
    const at = offset + this.#prefix.length;
    view.setInt32(at, DIGIT_WORDS[upper] as number);
    view.setInt32(at + 4, DIGIT_WORDS[key - upper * HALF] as number);
  }

  /** Do the `bytes` bytes at `offset` name this very key? */
  matches(view: DataView, offset: number, key: number): boolean {
    const upper = (key / HALF) | 0;
    const at = offset + this.#prefix.length;
    return (
      view.getInt32(at + 4) === DIGIT_WORDS[key - upper * HALF] &&
      view.getInt32(at) === DIGIT_WORDS[upper] &&
      this.#hasPrefix(view, offset)
    );
  }

  /** Index of the key at `offset`, or −1 when it is none of ours. */
  keyAt(view: DataView, offset: number): number {
    if (!this.#hasPrefix(view, offset)) return -1;
    let key = 0;
    for (let at = offset + this.#prefix.length; at < offset + this.bytes; at++) {
      const digit = view.getUint8(at) - 0x30;
      if (digit < 0 || digit > 9) return -1;
      key = key * 10 + digit;
    }
    return key;
  }

  #hasPrefix(view: DataView, offset: number): boolean {
    const prefix = this.#prefix;
    for (let i = 0; i < prefix.length; i++) if (view.getUint8(offset + i) !== prefix[i]) return false;
    return true;
  }
}
