/** A real memcached on loopback, for comparison: every datagram that it sends, and what its clock says. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** Sequence, total and body of a datagram. */
export type Heard = readonly [number, number, string];

const PATIENCE_MS = 5000;
/** current_time begins here, and `uptime` 60 below it. */
const UPTIME_BEHIND_S = 60;

export class LiveServer {
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #port: number;
  #id = 0;
  #heard = new Map<number, Heard[]>();
  #wake: () => void = () => {};

  private constructor(child: ChildProcess, socket: Socket, port: number) {
    this.#child = child;
    this.#socket = socket;
    this.#port = port;
    socket.on('message', datagram => {
      const id = datagram.readUInt16BE(0);
      const heard = this.#heard.get(id) ?? [];
      heard.push([datagram.readUInt16BE(2), datagram.readUInt16BE(4), datagram.toString('latin1', 8)]);
      this.#heard.set(id, heard);
      this.#wake();
    });
  }

  static async start(): Promise<LiveServer> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const probe = createSocket('udp4').bind(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address();
    probe.close();
    const user = process.getuid?.() === 0 ? ['-u', 'root'] : [];
    // The maintainer's thread holds items by lot, and a number that it holds is stored anew instead of in its place.
    const options = ['-l', '127.0.0.1', '-U', `${port}`, '-p', '0', '-t', '1', '-o', 'no_lru_maintainer'];
    const child = spawn('memcached', [...user, ...options], { stdio: 'ignore' });
    const server = new LiveServer(child, socket, port);
    await sleep(100); // a datagram that comes before it listens everywhere can leave it deaf
    return server;
  }

  async stop(): Promise<void> {
    this.#socket.close();
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }

  /** Its current time, and the Unix time at which that was 0, seconds. */
  async clock(): Promise<{ now: number; unixS: number }> {
    const text = (await this.ask('stats\r\n')).map(([, , body]) => body).join('');
    const now = Number(/STAT uptime (\d+)/.exec(text)![1]) + UPTIME_BEHIND_S;
    return { now, unixS: Number(/STAT time (\d+)/.exec(text)![1]) - now };
  }

  /** All that it says to a request before it answers the one behind it. */
  async ask(request: string): Promise<Heard[]> {
    const id = this.#send(request);
    const marker = this.#send('mn\r\n');
    const end = performance.now() + PATIENCE_MS;
    while (!this.#heard.has(marker)) {
      if (performance.now() > end) throw new Error(`memcached does not answer after ${JSON.stringify(request)}`);
      await new Promise<void>(resolve => {
        this.#wake = resolve;
        setTimeout(resolve, 50).unref();
      });
    }
    const heard = this.#heard.get(id) ?? [];
    this.#heard.clear();
    return heard;
  }

  #send(request: string): number {
    this.#id = (this.#id + 1) & 0xffff;
    const datagram = Buffer.alloc(8 + request.length);
    datagram.writeUInt16BE(this.#id, 0);
    datagram.writeUInt16BE(1, 4);
    datagram.write(request, 8, 'latin1');
    this.#socket.send(datagram, this.#port, '127.0.0.1');
    return this.#id;
  }
}
