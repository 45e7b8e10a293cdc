/** Reads libmemcached.json: what libmemcached itself hashed and placed (see libmemcached-vectors.c). */
import { readFileSync } from 'node:fs';

interface VectorFile {
  readonly libmemcached: string;
  readonly keys: string;
  readonly hashes: Readonly<Record<HashName, string>>;
  readonly placements: readonly { behaviour: string; hash: HashName; servers: string; placement: string }[];
}

export type HashName = 'murmur3' | 'md5' | 'one_at_a_time';

export interface Placement {
  /** The behaviours set on the client, in libmemcached's words. */
  readonly behaviour: 'KETAMA_WEIGHTED' | 'KETAMA' | 'KETAMA, then weights';
  readonly hash: HashName;
  readonly servers: readonly { name: string; port: number; weight: number }[];
  /** Server index of each key. */
  readonly placement: readonly number[];
}

const file: VectorFile = JSON.parse(readFileSync(new URL('./libmemcached.json', import.meta.url), 'utf8'));

/** The keys' bytes: 2000 keys of 1 to 250 bytes, some with bytes above 0x7f. */
export const vectorKeys: readonly Buffer[] = file.keys.split(' ').map(key => Buffer.from(key, 'latin1'));

/** int32 hash of each key. */
export function vectorHashes(name: HashName): number[] {
  return file.hashes[name].split(' ').map(hex => Number.parseInt(hex, 16) | 0);
}

export const placements: readonly Placement[] = file.placements.map(({ behaviour, hash, servers, placement }) => ({
  behaviour: behaviour as Placement['behaviour'],
  hash,
  servers: servers.split(' ').map(serverOf),
  placement: [...placement].map(digit => Number.parseInt(digit, 36)),
}));

function serverOf(text: string): Placement['servers'][number] {
  const [name, port, weight] = text.split(':');
  return { name: name!, port: Number(port), weight: Number(weight) };
}
