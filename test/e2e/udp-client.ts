/** Requests out of the kernel's sockets in a client's namespace, and their answers. */
import type { NamespaceSet } from '../../src/experiment/namespaces.ts';
import { MEMCACHED_PORT, VIP } from '../../src/experiment/topology.ts';
import { Program } from './program.ts';
import type { Exchange, Exchanged } from './programs/udp-client.ts';

export interface Address {
  readonly address: string;
  readonly port: number;
}

/** Where clients send to. */
export const THE_VIP: Address = { address: VIP, port: MEMCACHED_PORT };

export interface ExchangeOptions {
  /** Default THE_VIP. */
  readonly to?: Address;
  /** Requests under way at the same time; default 1. */
  readonly window?: number;
  /** Default 3000 ms: far more than any answer takes, also on a busy machine. */
  readonly timeoutMs?: number;
  readonly unawaited?: readonly number[];
  /** Source ports to spread over; default 1. */
  readonly sockets?: number;
}

export interface Outcome {
  /** Per request the datagrams that answered it, in order of arrival. */
  readonly replies: readonly (readonly Buffer[])[];
  readonly timedOut: readonly number[];
  readonly strays: readonly string[];
}

export class UdpClient {
  readonly #program: Program<Exchange, Exchanged>;
  #id = 0;

  private constructor(program: Program<Exchange, Exchanged>) {
    this.#program = program;
  }

  /** @param sourcePort of the first socket; default any */
  static async start(namespaces: NamespaceSet, host: string, sourcePort = 0): Promise<UdpClient> {
    return new UdpClient(await Program.start(namespaces, host, 'udp-client', [`${sourcePort}`]));
  }

  async exchange(requests: readonly Uint8Array[], options: ExchangeOptions = {}): Promise<Outcome> {
    const { to = THE_VIP, window = 1, timeoutMs = 3000, unawaited = [], sockets = 1 } = options;
    const encoded = requests.map(request => Buffer.from(request).toString('base64'));
    const answer = await this.#program.ask({ to, requests: encoded, window, timeoutMs, unawaited, sockets });
    const replies = answer.replies.map(datagrams => datagrams.map(datagram => Buffer.from(datagram, 'base64')));
    return { ...answer, replies };
  }

  /** The body of the answer to one request; undefined when none came in time. */
  async ask(body: string, options: ExchangeOptions = {}): Promise<string | undefined> {
    this.#id = (this.#id + 1) & 0xffff;
    const { replies, timedOut } = await this.exchange([datagram(this.#id, body)], options);
    return timedOut.length > 0 ? undefined : bodyOf(replies[0]!);
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }
}

/** A request in one datagram; a character is a byte (latin1). */
export function datagram(id: number, body: string): Buffer {
  return Buffer.concat([Buffer.from([id >> 8, id & 255, 0, 0, 0, 1, 0, 0]), Buffer.from(body, 'latin1')]);
}

/** What the datagrams say when put in order, without their headers. */
export function bodyOf(datagrams: readonly Buffer[]): string {
  const ordered = [...datagrams].sort((a, b) => a.readUInt16BE(2) - b.readUInt16BE(2));
  return ordered.map(message => message.toString('latin1', 8)).join('');
}
