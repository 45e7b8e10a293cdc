/** Every detector by the name that configuration and benches use. */

import type { Detector } from './detector.ts';
import { Exact } from './exact.ts';
import { LossyCounting, type LossyCountingOptions } from './lossy-counting.ts';
import { MnemonicLossyCounting } from './mnemonic-lossy-counting.ts';
import { ProbabilisticLossyCounting, type ProbabilisticOptions } from './probabilistic-lossy-counting.ts';
import { SelfAdaptive } from './self-adaptive.ts';
import { SpaceSaving } from './space-saving.ts';
import { Weighted, type WeightedOptions } from './weighted.ts';

export type DetectorName =
  | 'self-adaptive'
  | 'lossy'
  | 'probabilistic'
  | 'mnemonic'
  | 'weighted'
  | 'space-saving'
  | 'exact';

/** What the detectors want to be told; each takes what it knows. */
export interface DetectorOptions extends ProbabilisticOptions, Omit<WeightedOptions, 'rows'> {
  /** `exact`: distinct keys there may be; the lossy ones: rows there is room for. */
  readonly rows?: number;
}

/** ε where none is given: with s = 1e-4, a key's share is known to a tenth. */
export const EPSILON = 1e-5;
/** s where none is given: the share from which a key is a candidate. */
export const SHARE = 1e-4;
const EXACT_ROWS = 1 << 20;

interface DetectorKind {
  readonly byteLength: (options: LossyCountingOptions & DetectorOptions) => number;
  readonly create: (words: Int32Array, base: number, options: DetectorOptions) => Detector;
}

const KINDS: Readonly<Record<DetectorName, DetectorKind>> = {
  'self-adaptive': {
    byteLength: options => SelfAdaptive.byteLength(options),
    create: (words, base, options) => new SelfAdaptive(words, base, options),
  },
  lossy: {
    byteLength: options => LossyCounting.byteLength(options),
    create: (words, base, options) => new LossyCounting(words, base, options),
  },
  probabilistic: {
    byteLength: options => ProbabilisticLossyCounting.byteLength(options),
    create: (words, base, options) => new ProbabilisticLossyCounting(words, base, options),
  },
  mnemonic: {
    byteLength: options => MnemonicLossyCounting.byteLength(options),
    create: (words, base, options) => new MnemonicLossyCounting(words, base, options),
  },
  weighted: {
    byteLength: options => Weighted.byteLength(options),
    create: (words, base, options) => new Weighted(words, base, options),
  },
  'space-saving': {
    byteLength: options => SpaceSaving.byteLength(options),
    create: (words, base, options) => new SpaceSaving(words, base, options),
  },
  exact: {
    byteLength: ({ rows = EXACT_ROWS }) => Exact.byteLength({ rows }),
    create: (words, base, { rows = EXACT_ROWS }) => new Exact(words, base, { rows }),
  },
};

export const DETECTOR_NAMES = Object.keys(KINDS) as readonly DetectorName[];

/** Bytes to allocate, aligned to 128 if that is to be had, else to 64. @throws DetectorConfigError */
export function detectorByteLength(name: DetectorName, options: Partial<DetectorOptions> = {}): number {
  return KINDS[name].byteLength({ epsilon: EPSILON, ...options });
}

/**
 * The detector in these words, for the lane that writes it or for a thread that reads it: all give the same options.
 * @param base word index of `detectorByteLength` zeroed bytes. @throws DetectorConfigError
 */
export function openDetector(
  name: DetectorName,
  words: Int32Array,
  base: number,
  options: Partial<DetectorOptions> = {},
): Detector {
  return KINDS[name].create(words, base, { epsilon: EPSILON, ...options });
}
