/** The admin interface: HTTP on a Unix socket or a loopback port, on the control thread, where lanes do not feel it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AdminConfig } from '../config/normalise.ts';
import { guardFault } from './guard.ts';
import { listenAdmin } from './listen.ts';
import type { AdminPlace } from './places.ts';
import { type AdminAnswer, answerAdmin, errorAnswer } from './routes.ts';
import type { Instance } from './status.ts';

const CONNECTIONS_MAX = 64;
const BODY_BYTES_MAX = 65_536;
const HEADERS_MS_MAX = 5000;
const REQUEST_MS_MAX = 10_000;

export class AdminServer {
  readonly place: AdminPlace;
  readonly #server: Server;

  private constructor(server: Server, place: AdminPlace) {
    this.#server = server;
    this.place = place;
  }

  /** @throws AdminError */
  static async start(instance: Instance, admin: Exclude<AdminConfig, { kind: 'off' }>): Promise<AdminServer> {
    let place: AdminPlace | undefined;
    const server = createServer(
      { headersTimeout: HEADERS_MS_MAX, requestTimeout: REQUEST_MS_MAX },
      (request, response) => {
        if (place !== undefined) void serve(instance, place, request, response);
      },
    );
    server.maxConnections = CONNECTIONS_MAX;
    place = await listenAdmin(server, admin);
    // A connection that cannot be accepted (too many open files) must not end the lanes.
    server.on('error', () => {});
    return new AdminServer(server, place);
  }

  /** Ends it at once; Node removes the socket. */
  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

async function serve(instance: Instance, place: AdminPlace, request: IncomingMessage, response: ServerResponse) {
  const { method = '', url = '', headers } = request;
  try {
    const fault = guardFault(place, method, headers);
    if (fault !== undefined) return send(response, method, errorAnswer(403, fault));
    const body = await bodyOf(request);
    if (body === undefined)
      return send(response, method, errorAnswer(413, `a body has at most ${BODY_BYTES_MAX} bytes`));
    send(response, method, await answerAdmin(instance, method, url, body));
  } catch (error) {
    // The client went away, or a defect: the data path goes on either way.
    if (!response.headersSent) send(response, method, errorAnswer(500, String(error)));
  }
}

function send(response: ServerResponse, method: string, { status, type, body, headers = {} }: AdminAnswer): void {
  response.writeHead(status, {
    ...headers,
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 413 ? { connection: 'close' } : {}),
  });
  response.end(method === 'HEAD' ? undefined : body);
}

/** Undefined when it is too long. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += (part as Buffer).length;
    if (bytes > BODY_BYTES_MAX) return undefined;
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}
