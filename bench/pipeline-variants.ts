/** What `bench -- pipeline` compares. */
import { FLAG_CHECKSUM_VERIFIED } from '../src/port/port.ts';
import type { KeyHashName } from '../src/steer/hash.ts';
import type { SteerAlgorithm } from '../src/steer/nodes.ts';

export interface Variant {
  readonly name: string;
  readonly algorithm: SteerAlgorithm;
  readonly hash: KeyHashName;
  /** What the transport says of the checksums. */
  readonly flags: number;
}

/** Rounds of one process, frames per second. */
export interface VariantResult {
  readonly requests: number[];
  readonly replies: number[];
  readonly bytesAllocatedPerFrame: number;
}

/** Default configuration; the transport vouches for nothing, so both checksums are verified as well as updated. */
export const DEFAULT: Variant = { name: 'default', algorithm: 'ketama', hash: 'murmur3', flags: 0 };
export const VARIANTS: readonly Variant[] = [
  DEFAULT,
  { ...DEFAULT, name: 'checksumVerifiedByPort', flags: FLAG_CHECKSUM_VERIFIED },
  { ...DEFAULT, name: 'maglev', algorithm: 'maglev' },
  { ...DEFAULT, name: 'ketamaMd5', hash: 'md5' },
  { ...DEFAULT, name: 'ketamaOneAtATime', hash: 'one_at_a_time' },
];
