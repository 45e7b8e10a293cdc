/**
 * What an estimate says when only one request in k was shown to the detector, with weight k.
 *
 * Let each request be shown with probability 1/k on its own, S of the f requests of a key. The detector's promise is about
 * X = kS: f̂ ≤ X ≤ f̂ + Δ. X has mean f and variance f(k − 1), and by Bernstein's inequality
 *
 *     P(|X − f| > t) ≤ δ    for    t = a + √(a² + 2 X (k − 1) L),   a = kL/3 + (k − 1)L,   L = ln(2/δ)
 *
 * (solved for the f that are compatible with X). So with probability 1 − δ
 *
 *     f̂ − t ≤ f ≤ f̂ + Δ + t,    t worked out for X = f̂ + Δ                  `samplingError`
 *
 * For keys with share ≥ s of N requests t is about √(2 k L / (sN)) of f: sampling 1 in 16, s = 1e-3, N = 10^7, δ = 1e-6:
 * 22 %; a key with 1 %: 7 %. Errors of different lanes are independent, but adding them up is safe.
 *
 * The gaps between shown requests must be random: every k-th request, however it begins, may fall in step with the traffic
 * (a client that asks for four keys in turn). `sampleGap` draws the gap of independent choices.
 */

/** 2^−32 */
const UNIT = 1 / 4294967296;

/** What f may differ from k · (requests shown), with probability 1 − `delta`. @param upper f̂ + Δ; @param oneIn k */
export function samplingError(upper: number, oneIn: number, delta: number): number {
  if (oneIn <= 1) return 0;
  const l = Math.log(2 / delta);
  const a = (oneIn * l) / 3 + (oneIn - 1) * l;
  return a + Math.sqrt(a * a + 2 * upper * (oneIn - 1) * l);
}

/**
 * Requests until the next one that is shown, 1 or more, `oneIn` on average, geometric.
 * @param random any int32, all equally likely
 */
export function sampleGap(random: number, oneIn: number): number {
  if (oneIn <= 1) return 1;
  const unit = ((random >>> 0) + 1) * UNIT;
  return 1 + Math.floor(Math.log(unit) / Math.log1p(-1 / oneIn));
}
