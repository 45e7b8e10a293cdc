/** Where a server is, as people write it. */
import { ArgumentError } from './errors.ts';

export const MEMCACHED_PORT = 11211;

export interface Server {
  /** IPv4 address, or a name that resolves to one. */
  readonly host: string;
  readonly port: number;
}

const SERVER = /^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::([0-9]{1,5}))?$/;

/**
 * `10.77.0.100`, `cache.example:11212`
 * @throws ArgumentError
 */
export function parseServer(text: string): Server {
  const [, host, digits] = SERVER.exec(text) ?? [];
  const port = digits === undefined ? MEMCACHED_PORT : Number(digits);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new ArgumentError('server', text, 'must be HOST or HOST:PORT, as 10.77.0.100:11211');
  }
  return { host, port };
}
