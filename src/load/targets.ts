/**
 * Who is asked for a key. With several targets each key belongs to one of them by the ring that Keysteer itself uses,
 * so that a run straight to the nodes puts the same keys on the same nodes.
 */
import { hashText, KEY_HASHES } from '../steer/hash.ts';
import { lookup } from '../steer/lookup.ts';
import type { SteerOptions } from '../steer/nodes.ts';
import { SteerTable } from '../steer/table.ts';
import type { KeyNames } from './keys.ts';
import type { Endpoint } from './request-frames.ts';

/** Keysteer's default: what most pools have. */
export const RING_DEFAULT: SteerOptions = { algorithm: 'ketama', hash: 'murmur3' };

export class Targets {
  readonly #addresses: Int32Array;
  readonly #ports: Int32Array;
  /** By key; empty when there is only one target. */
  readonly #targetOfKey: Uint16Array;

  constructor(endpoints: readonly Endpoint[], names: KeyNames, keyCount: number, ring = RING_DEFAULT) {
    this.#addresses = Int32Array.from(endpoints, endpoint => endpoint.address);
    this.#ports = Int32Array.from(endpoints, endpoint => endpoint.port);
    this.#targetOfKey = endpoints.length === 1 ? new Uint16Array(0) : placeKeys(endpoints, names, keyCount, ring);
  }

  /** Position of the key's target. */
  of(key: number): number {
    return this.#targetOfKey.length === 0 ? 0 : (this.#targetOfKey[key] as number);
  }

  is(target: number, address: number, port: number): boolean {
    return this.#addresses[target] === address && this.#ports[target] === port;
  }
}

function placeKeys(endpoints: readonly Endpoint[], names: KeyNames, count: number, ring: SteerOptions): Uint16Array {
  const capacity = { nodesMax: endpoints.length, lanesMax: 1 };
  const table = new SteerTable(new SharedArrayBuffer(SteerTable.byteLength(capacity)), 0, capacity);
  table.publish(
    endpoints.map(({ address, port }) => ({ address, port, weight: 1, neighbour: 0 })),
    ring,
  );
  const hash = KEY_HASHES[ring.hash];
  return Uint16Array.from({ length: count }, (_, key) =>
    lookup(table.words, table.current, hashText(names.text(key), hash)),
  );
}
