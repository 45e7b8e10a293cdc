/**
 * xoshiro128++ (Blackman and Vigna 2019): a seeded generator of 32-bit numbers, period 2^128 − 1, so that a run can be
 * repeated. A call costs 2–3 ns and allocates nothing.
 */

/** 2^−32 */
const UNIT = 1 / 4294967296;

export class Random {
  readonly #state = new Int32Array(4);

  /** @param seed any integer; equal seeds give equal sequences */
  constructor(seed: number) {
    let x = seed | 0;
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e3779b9) | 0;
      this.#state[i] = mix32(x);
    }
  }

  /** From a state of one's own, not all zero. */
  static fromState(...state: [number, number, number, number]): Random {
    const random = new Random(0);
    random.#state.set(state);
    return random;
  }

  /** Any int32, all equally likely. */
  int32(): number {
    const s = this.#state;
    const s0 = s[0] as number;
    const s1 = s[1] as number;
    const s3 = s[3] as number;
    const sum = (s0 + s3) | 0;
    const result = (((sum << 7) | (sum >>> 25)) + s0) | 0;
    const s2 = (s[2] as number) ^ s0;
    const t3 = s3 ^ s1;
    s[1] = s1 ^ s2;
    s[0] = s0 ^ t3;
    s[2] = s2 ^ (s1 << 9);
    s[3] = (t3 << 11) | (t3 >>> 21);
    return result;
  }

  /** In (0, 1], steps of 2^−32: never 0, so that its logarithm is finite. */
  unit(): number {
    return ((this.int32() >>> 0) + 1) * UNIT;
  }

  /** An integer 0 … n−1; n ≤ 2^31. The bias, below n·2^−32, is far under what any run could show. */
  below(n: number): number {
    return ((this.int32() >>> 0) * UNIT * n) | 0;
  }
}

/** Every bit of the result depends on every bit of `x` (the finaliser of MurmurHash3). */
export function mix32(x: number): number {
  let h = x;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
