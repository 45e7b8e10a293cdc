/** What `bench -- detect` compares. */
import type { DetectorName, DetectorOptions } from '../src/hotkey/detectors.ts';

export interface Stream {
  readonly name: 'uniform' | 'zipf099';
  /** Zipf's exponent; 0 is uniform. */
  readonly exponent: number;
}

/** One process: one detector on one stream. */
export interface DetectResult {
  /** ns an update of each slice of the stream. */
  readonly nanosecondsPerUpdate: number[];
  /** Rows held at the end. */
  readonly entries: number;
  /** ε in force at the end. */
  readonly epsilon: number;
  readonly displaced: number;
  /** Memory of the detector. */
  readonly bytes: number;
  readonly bytesAllocatedPerUpdate: number;
}

/** The instant detector is no `Detector` (it gives no estimates), but it is paid for by every request, too. */
export type VariantName = Exclude<DetectorName, 'exact'> | 'instant';

export const KEYS = 1_000_000;

export const STREAMS: readonly Stream[] = [
  { name: 'uniform', exponent: 0 },
  { name: 'zipf099', exponent: 0.99 },
];

/** The default configuration: ε = 1e-5 where one is given, 1 MiB where memory is. */
export const DETECTORS: Readonly<Record<VariantName, Partial<DetectorOptions>>> = {
  'self-adaptive': {},
  lossy: {},
  probabilistic: {},
  mnemonic: {},
  weighted: { unit: 1 },
  'space-saving': {},
  instant: {},
};

export const VARIANT_NAMES = Object.keys(DETECTORS) as readonly VariantName[];
