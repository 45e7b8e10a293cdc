/** What `bench -- pipeline` compares. */
import { FLAG_CHECKSUM_VERIFIED } from '../src/port/port.ts';
import type { KeyHashName } from '../src/steer/hash.ts';
import type { SteerAlgorithm } from '../src/steer/nodes.ts';

export type Workload =
  /** GETs of keys drawn uniformly from 1,000,000. */
  | 'uniformGet'
  /** GETs of one key, which is hot and cached, with a value of 64 bytes: answered in the request's own frame. */
  | 'hotGet'
  /** SETs of 64 bytes to one key that is not treated: the steering path alone. */
  | 'set'
  /** The same to a hot key, one after another: fenced, acknowledged by a node in memory, the cached value switched. */
  | 'hotSet';

export interface Variant {
  readonly name: string;
  readonly algorithm: SteerAlgorithm;
  readonly hash: KeyHashName;
  /** What the transport says of the checksums. */
  readonly flags: number;
  /** Detector and cache lookups; with them, all items of the default configuration are in use, by other keys. */
  readonly hot: boolean;
  readonly workload: Workload;
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
const DEFAULT: Variant = {
  name: 'default',
  algorithm: 'ketama',
  hash: 'murmur3',
  flags: FLAG_CHECKSUM_VERIFIED,
  hot: true,
  workload: 'uniformGet',
};

export const VARIANTS: readonly Variant[] = [
  DEFAULT,
  { ...DEFAULT, name: 'hotOff', hot: false },
  { ...DEFAULT, name: 'hotGet', workload: 'hotGet' },
  { ...DEFAULT, name: 'set', workload: 'set' },
  { ...DEFAULT, name: 'hotSet', workload: 'hotSet' },
  { ...DEFAULT, name: 'udpVerified', flags: 0 },
  { ...DEFAULT, name: 'maglev', algorithm: 'maglev' },
  { ...DEFAULT, name: 'ketamaMd5', hash: 'md5' },
  { ...DEFAULT, name: 'ketamaOneAtATime', hash: 'one_at_a_time' },
];
