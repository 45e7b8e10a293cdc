/** Plain HTTP to an admin interface, with whatever headers a test wants. */
import { request } from 'node:http';
import type { AdminPlace } from '../../src/control/admin/places.ts';

export interface Fetched {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

export function fetchText(
  place: AdminPlace,
  method: string,
  path: string,
  { headers = {}, body = '' }: { headers?: Record<string, string>; body?: string } = {},
): Promise<Fetched> {
  const to = place.kind === 'unix' ? { socketPath: place.path } : { host: place.host, port: place.port };
  return new Promise((resolve, reject) => {
    const asked = request({ ...to, method, path, headers, timeout: 10_000 }, answer => {
      let text = '';
      answer.setEncoding('utf8').on('data', chunk => {
        text += chunk;
      });
      answer.once('end', () => {
        resolve({ status: answer.statusCode ?? 0, type: answer.headers['content-type'] ?? '', text });
      });
    });
    asked.once('error', reject);
    asked.end(body);
  });
}
