/**
 * Random numbers by seed: xoshiro128** (Blackman and Vigna 2018), its state filled by splitmix32. Each concern has a stream
 * of its own (`fork`), so that more of one thing does not change another.
 */

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param seed int32 */
  constructor(seed: number) {
    let state = seed | 0;
    const next = () => {
      state = (state + 0x9e3779b9) | 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return z ^ (z >>> 16);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1; // not all four may be 0
  }

  /** A stream that has nothing to do with this one; the same name twice gives the same. Draws nothing from this one. */
  static stream(seed: number, name: string): Random {
    let hash = Math.imul(seed, 0x01000193) ^ 0x811c9dc5;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    return new Random(hash);
  }

  /** int32 */
  word(): number {
    const scrambled = Math.imul(this.#b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  /** 0 ≤ x < 1 */
  unit(): number {
    return (this.word() >>> 0) / 4_294_967_296;
  }

  /** A whole number, 0 ≤ x < n. */
  below(n: number): number {
    return Math.floor(this.unit() * n);
  }

  /** A whole number, from ≤ x ≤ to. */
  whole(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  /** from ≤ x < to */
  between(from: number, to: number): number {
    return from + this.unit() * (to - from);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability;
  }

  /** With this mean. */
  exponential(mean: number): number {
    return -Math.log(1 - this.unit()) * mean;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  /** An index of `weights`, each as likely as its weight. */
  weighted(weights: readonly number[]): number {
    let left = this.unit() * weights.reduce((sum, weight) => sum + weight, 0);
    for (let i = 0; i < weights.length; i++) {
      left -= weights[i]!;
      if (left < 0) return i;
    }
    return weights.length - 1;
  }
}
