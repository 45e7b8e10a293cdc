/** Which datagrams are memcached's, and to whom they go. */

import type { Config, NodeConfig } from '../control/config/normalise.ts';
import { ringHashOf, steerTableOf } from '../control/explain.ts';
import { lookup } from '../steer/lookup.ts';

const MEMCACHED_PORT = 11211;

export interface Ends {
  /** IPv4 addresses, int32. */
  readonly from: number;
  readonly fromPort: number;
  readonly to: number;
  readonly toPort: number;
}

export type Direction = 'request' | 'reply';

export interface Places {
  /** Undefined: neither end is a memcached's. */
  directionOf(ends: Ends): Direction | undefined;
  /** Node that Keysteer steers the key to; undefined when that is not known. */
  homeOf(key: Uint8Array): NodeConfig | undefined;
}

/** Without a configuration: by the port alone. */
export function placesOfPort(port = MEMCACHED_PORT): Places {
  return {
    directionOf: ({ fromPort, toPort }) => (toPort === port ? 'request' : fromPort === port ? 'reply' : undefined),
    homeOf: () => undefined,
  };
}

/** The VIP and the nodes; keys go where a lane sends them. */
export function placesOfConfig(config: Config): Places {
  const servers = new Set([config.vip, ...config.nodes].map(({ address, port }) => placeOf(address, port)));
  const steer = steerTableOf(config);
  return {
    directionOf({ from, fromPort, to, toPort }) {
      if (servers.has(placeOf(to, toPort))) return 'request';
      return servers.has(placeOf(from, fromPort)) ? 'reply' : undefined;
    },
    homeOf: key => config.nodes[lookup(steer.words, steer.current, ringHashOf(steer, key))],
  };
}

function placeOf(address: number, port: number): string {
  return `${address >>> 0}:${port}`;
}
