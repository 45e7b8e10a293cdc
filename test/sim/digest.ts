/** Two words that stand for a whole run: the same seed must give the same ones. */
export class Digest {
  #a = 0x243f6a88;
  #b = 0x85a308d3 | 0;
  readonly #float = new Float64Array(1);
  readonly #words = new Int32Array(this.#float.buffer);

  word(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x9e3779b1);
    this.#a ^= this.#a >>> 15;
    this.#b = (Math.imul(this.#b, 0x85ebca6b) + this.#a) | 0;
  }

  time(ms: number): void {
    this.#float[0] = ms;
    this.word(this.#words[0]!);
    this.word(this.#words[1]!);
  }

  /** Whole words, then the odd bytes. */
  bytes(view: DataView, offset: number, length: number): void {
    let i = 0;
    for (; i + 4 <= length; i += 4) this.word(view.getInt32(offset + i));
    for (; i < length; i++) this.word(view.getUint8(offset + i));
  }

  get text(): string {
    return `${hex(this.#a)}${hex(this.#b)}`;
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
