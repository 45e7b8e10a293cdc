/** A real memcached on loopback, spoken to over UDP one request at a time. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { FRAME_HEADER_BYTES, requestId, writeFrameHeader } from '../../src/memcached/frame-header.ts';
import { bytesOf, textOf } from './placed-message.ts';

/** '1.6.18', or undefined when memcached is not installed. */
export function memcachedVersion(): string | undefined {
  return /memcached (\S+)/.exec(spawnSync('memcached', ['-V'], { encoding: 'utf8' }).stdout ?? '')?.[1];
}

export interface Answer {
  /**
   * Payloads of the datagrams that answered, frame header removed; without the empty ones that memcached sends for a
   * quiet binary request with nothing to say, and for a miss ahead of another key.
   */
  replies: string[];
  /** The requests after this one were taken for the rest of it. */
  poisoned: boolean;
}

/** How long to wait for the answer that tells a healthy server: long, as the machine may be busy. */
const PATIENCE_MS = 2000;
/** The same where there will be none. */
export const SHORT_PATIENCE_MS = 60;
/** Fillers of 4 bytes to heal a poisoned server with: more than any row of the tables declares. */
const FILLERS_MAX = 40;

export class LiveMemcached {
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #port: number;
  #id = 0;
  #arrived: { id: number; payload: string }[] = [];

  private constructor(child: ChildProcess, socket: Socket, port: number) {
    this.#child = child;
    this.#socket = socket;
    this.#port = port;
    socket.on('message', datagram => {
      this.#arrived.push({ id: requestId(datagram, 0), payload: textOf(datagram.subarray(FRAME_HEADER_BYTES)) });
    });
  }

  /** On 127.0.0.1. */
  get port(): number {
    return this.#port;
  }

  /** One thread: requests of one socket are answered in order. */
  static async start(): Promise<LiveMemcached> {
    const port = await freePort();
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
    const child = spawn('memcached', [...user, '-l', '127.0.0.1', '-U', `${port}`, '-p', '0', '-t', '1'], {
      stdio: 'ignore',
    });
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const server = new LiveMemcached(child, socket, port);
    for (let attempt = 0; attempt < 50; attempt++) {
      if (await server.#isAwake(50)) return server;
      await sleep(20);
    }
    await server.stop();
    throw new Error('memcached was started but does not answer over UDP');
  }

  async stop(): Promise<void> {
    this.#socket.close();
    const hasExited = this.#child.exitCode !== null || this.#child.signalCode !== null;
    this.#child.kill('SIGKILL');
    if (!hasExited) await once(this.#child, 'exit');
  }

  /**
   * Sends a request and then an `mn`, whose answer says that the request is done with. Without that answer the server
   * is poisoned: it is fed until it comes round.
   *
   * @param patienceMs SHORT_PATIENCE_MS when poison is expected
   */
  async ask(request: string, patienceMs = PATIENCE_MS): Promise<Answer> {
    const id = this.#send(request);
    const poisoned = !(await this.#isAwake(patienceMs));
    for (let filler = 0; poisoned && !(await this.#isAwake(5)); filler++) {
      if (filler === FILLERS_MAX) throw new Error(`memcached never came round after ${JSON.stringify(request)}`);
    }
    const replies = this.#arrived
      .filter(datagram => datagram.id === id && datagram.payload !== '')
      .map(({ payload }) => payload);
    this.#arrived = [];
    return { replies, poisoned };
  }

  async #isAwake(patienceMs: number): Promise<boolean> {
    const id = this.#send('mn\r\n');
    for (const deadline = Date.now() + patienceMs; Date.now() < deadline; ) {
      if (this.#arrived.some(datagram => datagram.id === id && datagram.payload === 'MN\r\n')) return true;
      await sleep(0);
    }
    return false;
  }

  #send(request: string): number {
    const payload = bytesOf(request);
    const datagram = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
    this.#id = (this.#id + 1) & 0xffff;
    writeFrameHeader(datagram, 0, this.#id, 0, 1);
    datagram.set(payload, FRAME_HEADER_BYTES);
    this.#socket.send(datagram, this.#port, '127.0.0.1');
    return this.#id;
  }
}

async function freePort(): Promise<number> {
  const probe = createSocket('udp4').bind(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  return port;
}
