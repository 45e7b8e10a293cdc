/**
 * Who may ask. A Unix socket lets its owner in and nobody else. On a loopback port anybody on this machine may ask, but a
 * web page that a browser here has open may not: it can name this port in a URL, also by a host name of its own that
 * resolves to 127.0.0.1 (DNS rebinding). Such a request carries that name in Host, or its page in Origin.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { AdminPlace } from './places.ts';

/** Why a request is turned away, or undefined. */
export function guardFault(
  place: AdminPlace,
  method: string,
  { host, origin, 'content-type': type = '' }: IncomingHttpHeaders,
): string | undefined {
  if (origin !== undefined) return 'requests from web pages (with an Origin header) are not answered';
  if (place.kind === 'tcp' && !hostsOf(place).includes((host ?? '').toLowerCase())) {
    return `Host is ${JSON.stringify(host ?? '')}; it must be ${hostsOf(place).join(' or ')}`;
  }
  // A form of a web page can send other types without asking first.
  if ((method === 'POST' || method === 'PUT') && type !== '' && !/^application\/json\b/i.test(type)) {
    return `Content-Type is ${JSON.stringify(type)}; it must be application/json`;
  }
  return undefined;
}

function hostsOf({ host, port }: { host: string; port: number }): string[] {
  const literal = host.includes(':') ? `[${host}]` : host;
  return [`${literal}:${port}`, `localhost:${port}`];
}
