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

/**
 * The default configuration on a port that vouches for the UDP checksum, as a NIC with receive offload does; the IPv4
 * header is verified, and both checksums are brought along, in software. `udpVerified`: a port that vouches for nothing.
 */
const DEFAULT: Variant = { name: 'default', algorithm: 'ketama', hash: 'murmur3', flags: FLAG_CHECKSUM_VERIFIED };

export const VARIANTS: readonly Variant[] = [
  DEFAULT,
  { ...DEFAULT, name: 'udpVerified', flags: 0 },
  { ...DEFAULT, name: 'maglev', algorithm: 'maglev' },
  { ...DEFAULT, name: 'ketamaMd5', hash: 'md5' },
  { ...DEFAULT, name: 'ketamaOneAtATime', hash: 'one_at_a_time' },
];
