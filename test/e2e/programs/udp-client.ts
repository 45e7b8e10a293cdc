/**
 * A memcached client on the kernel's own UDP sockets: sends the datagrams it is given, so many at a time, and hands back
 * what came for each. It resends nothing: what is lost stays lost, and is seen.
 *
 *     node udp-client.js [FIRST_SOURCE_PORT]      0 or none: any port
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { answerLines } from './answer-lines.ts';

/** How often requests are looked through for those whose time is over, ms. */
const SWEEP_MS = 10;
const RECEIVE_BUFFER_BYTES = 4 << 20;

export interface Exchange {
  readonly to: { readonly address: string; readonly port: number };
  /** Whole datagrams, base64. */
  readonly requests: readonly string[];
  /** Requests under way at the same time. */
  readonly window: number;
  /** A request without its whole answer after this is given up, ms. */
  readonly timeoutMs: number;
  /** Positions of requests that nothing is awaited for; whatever comes for them until the end is noted. */
  readonly unawaited: readonly number[];
  /** Request n goes out of socket n modulo this. */
  readonly sockets: number;
}

export interface Exchanged {
  /** Per request the datagrams that answered it, base64, in order of arrival. */
  readonly replies: readonly (readonly string[])[];
  /** Positions of awaited requests whose answer did not come whole. */
  readonly timedOut: readonly number[];
  /** Datagrams that answer nothing asked for, or come from somebody else: `ADDRESS:PORT base64`. */
  readonly strays: readonly string[];
}

interface Flight {
  readonly key: string;
  readonly position: number;
  readonly awaited: boolean;
  readonly deadline: number;
}

const firstPort = Number(process.argv[2] ?? 0);
const sockets: Socket[] = [];
const strays: string[] = [];
let hear: (socket: number, message: Buffer, from: RemoteInfo) => void = note;

function note(_socket: number, message: Buffer, { address, port }: RemoteInfo): void {
  strays.push(`${address}:${port} ${message.toString('base64')}`);
}

async function open(count: number): Promise<void> {
  for (let index = sockets.length; index < count; index++) {
    const socket = createSocket({
      type: 'udp4',
      recvBufferSize: RECEIVE_BUFFER_BYTES,
      lookup: (address, _options, callback) => callback(null, address, 4),
    });
    socket.on('message', (message, from) => hear(index, message, from));
    const listening = once(socket, 'listening');
    socket.bind(firstPort === 0 ? 0 : firstPort + index);
    await listening;
    sockets.push(socket);
  }
}

async function exchange(asked: Exchange): Promise<Exchanged> {
  await open(asked.sockets);
  const requests = asked.requests.map(request => Buffer.from(request, 'base64'));
  const replies = requests.map((): string[] => []);
  const unawaited = new Set(asked.unawaited);
  const flights = new Map<string, Flight>();
  const timedOut: number[] = [];
  await new Promise<void>(resolve => {
    let next = 0;
    let underWay = 0;
    const settle = (flight: Flight) => {
      flights.delete(flight.key);
      underWay--;
      fill();
    };
    const fill = () => {
      while (underWay < asked.window && next < requests.length) send(next++);
      if (underWay === 0) finish();
    };
    const send = (position: number) => {
      const socket = position % asked.sockets;
      const key = `${socket}:${requests[position]!.readUInt16BE(0)}`;
      if (flights.has(key)) throw new Error(`request ${position}: its id is still in use`);
      const awaited = !unawaited.has(position);
      flights.set(key, { key, position, awaited, deadline: performance.now() + asked.timeoutMs });
      if (awaited) underWay++;
      sockets[socket]!.send(requests[position]!, asked.to.port, asked.to.address);
    };
    const finish = () => {
      clearInterval(sweep);
      hear = note;
      resolve();
    };
    const sweep = setInterval(() => {
      const now = performance.now();
      for (const flight of [...flights.values()]) {
        if (!flight.awaited || flight.deadline > now) continue;
        timedOut.push(flight.position);
        settle(flight);
      }
    }, SWEEP_MS);
    hear = (socket, message, from) => {
      const flight = message.length < 8 ? undefined : flights.get(`${socket}:${message.readUInt16BE(0)}`);
      const isTheirs = from.address === asked.to.address && from.port === asked.to.port;
      if (flight === undefined || !isTheirs) return note(socket, message, from);
      const got = replies[flight.position]!;
      got.push(message.toString('base64'));
      if (flight.awaited && got.length >= message.readUInt16BE(4)) settle(flight);
    };
    fill();
  });
  return { replies, timedOut, strays: strays.splice(0) };
}

await answerLines(exchange);
