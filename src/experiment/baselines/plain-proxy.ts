/**
 * The balancer one would write with node:dgram, as fast as such a thing gets: the yardstick for working on frames.
 *
 *     client ──▶ listening socket ──▶ that client's own socket ──▶ node        and back the same way
 *
 * One upstream socket per client address and port, so that a reply needs no table: it goes to the client the socket
 * belongs to. The key is found by the same parser and steered by the same ring as in Keysteer's data path; nothing is
 * checked beyond that.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { FRAME_HEADER_BYTES } from '../../memcached/frame-header.ts';
import { OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_WORDS, parseRequest, REQUEST_OK } from '../../memcached/request.ts';
import { KEY_HASHES } from '../../steer/hash.ts';
import { lookup } from '../../steer/lookup.ts';
import type { SteerOptions } from '../../steer/nodes.ts';
import { SteerTable } from '../../steer/table.ts';
import { parseIpv4 } from '../../wire/ipv4-text.ts';

export interface PlainProxyNode {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Default 1. */
  readonly weight?: number;
}

export interface PlainProxyOptions {
  readonly listen: { readonly address: string; readonly port: number };
  readonly nodes: readonly PlainProxyNode[];
  /** Default: Keysteer's own default, weighted ketama asked with murmur3. */
  readonly ring?: SteerOptions;
  /** A client's socket is closed after this long without a request, ms. Default 60 000. */
  readonly idleMs?: number;
}

export interface PlainProxyCounters {
  requests: number;
  replies: number;
  /** Datagrams in which no key was found. */
  refused: number;
  clients: number;
  clientsExpired: number;
  socketErrors: number;
}

export interface PlainProxy {
  readonly counters: Readonly<PlainProxyCounters>;
  /** Closes every socket and returns the final figures. */
  close(): Promise<PlainProxyCounters>;
}

/** Socket buffers asked for, bytes; the kernel gives at most net.core.rmem_max and wmem_max. */
const SOCKET_BUFFER_BYTES = 8 << 20;

const IDLE_MS = 60_000;

/** How often idle clients are looked for, ms. Also the resolution of a client's last request: no clock per datagram. */
const SWEEP_MS = 1000;

interface Client {
  readonly upstream: Socket;
  lastSweep: number;
}

/** Starts the proxy; resolves once it listens. Rejects when the address is not ours or taken. */
export async function runPlainProxy(options: PlainProxyOptions): Promise<PlainProxy> {
  const proxy = new DatagramProxy(options);
  await proxy.listen();
  return proxy;
}

class DatagramProxy implements PlainProxy {
  readonly counters: PlainProxyCounters = {
    requests: 0,
    replies: 0,
    refused: 0,
    clients: 0,
    clientsExpired: 0,
    socketErrors: 0,
  };
  readonly #options: PlainProxyOptions;
  readonly #nodeFor: (request: Buffer) => PlainProxyNode | undefined;
  readonly #listening: Socket;
  readonly #clients = new Map<string, Client>();
  #timer: NodeJS.Timeout | undefined;
  #sweep = 0;

  constructor(options: PlainProxyOptions) {
    this.#options = options;
    this.#nodeFor = steering(options);
    this.#listening = this.#openSocket();
    this.#listening.on('message', (request, sender) => this.#forward(request, sender));
  }

  async listen(): Promise<void> {
    const { address, port } = this.#options.listen;
    const listening = once(this.#listening, 'listening');
    this.#listening.bind(port, address);
    await listening;
    this.#timer = setInterval(() => this.#expireIdle(), SWEEP_MS);
  }

  async close(): Promise<PlainProxyCounters> {
    clearInterval(this.#timer);
    const sockets = [this.#listening, ...[...this.#clients.values()].map(client => client.upstream)];
    this.#clients.clear();
    await Promise.all(sockets.map(socket => new Promise<void>(resolve => socket.close(resolve))));
    return this.counters;
  }

  #forward(request: Buffer, sender: RemoteInfo): void {
    const node = this.#nodeFor(request);
    if (node === undefined) {
      this.counters.refused += 1;
      return;
    }
    this.counters.requests += 1;
    const client = this.#clientOf(sender);
    client.lastSweep = this.#sweep;
    client.upstream.send(request, node.port, node.address);
  }

  #clientOf(sender: RemoteInfo): Client {
    const name = `${sender.address}:${sender.port}`;
    const known = this.#clients.get(name);
    if (known !== undefined) return known;
    const client = this.#admit(sender);
    this.#clients.set(name, client);
    return client;
  }

  #admit({ address, port }: RemoteInfo): Client {
    this.counters.clients += 1;
    const upstream = this.#openSocket();
    upstream.on('message', reply => {
      this.counters.replies += 1;
      this.#listening.send(reply, port, address);
    });
    return { upstream, lastSweep: this.#sweep };
  }

  #expireIdle(): void {
    this.#sweep += 1;
    const sweepsMax = Math.ceil((this.#options.idleMs ?? IDLE_MS) / SWEEP_MS);
    for (const [name, client] of this.#clients) {
      if (this.#sweep - client.lastSweep <= sweepsMax) continue;
      client.upstream.close();
      this.#clients.delete(name);
      this.counters.clientsExpired += 1;
    }
  }

  /** All addresses are literal: without a `lookup` of its own, every send would pass through the resolver. */
  #openSocket(): Socket {
    const socket = createSocket({
      type: 'udp4',
      recvBufferSize: SOCKET_BUFFER_BYTES,
      sendBufferSize: SOCKET_BUFFER_BYTES,
      lookup: (address, _options, callback) => callback(null, address, 4),
    });
    return socket.on('error', () => {
      this.counters.socketErrors += 1;
    });
  }
}

/** A function from a request to the node that has its key; undefined when no key is found. */
function steering({ nodes, ring }: PlainProxyOptions): (request: Buffer) => PlainProxyNode | undefined {
  const options: SteerOptions = ring ?? { algorithm: 'ketama', hash: 'murmur3' };
  const capacity = { nodesMax: nodes.length, lanesMax: 1 };
  const table = new SteerTable(new SharedArrayBuffer(SteerTable.byteLength(capacity)), 0, capacity);
  const rows = nodes.map(({ address, port, weight }, neighbour) => ({
    address: parseIpv4(address),
    port,
    weight: weight ?? 1,
    neighbour,
  }));
  table.publish(rows, options);
  const { words, current } = table;
  const hash = KEY_HASHES[options.hash];
  const located = new Int32Array(OUT_WORDS);
  return request => {
    const verdict = parseRequest(request, FRAME_HEADER_BYTES, request.length, located);
    if (verdict !== REQUEST_OK || located[OUT_KEY_LENGTH] === 0) return undefined;
    const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
    return nodes[lookup(words, current, hash(request, view, located[OUT_KEY_OFFSET]!, located[OUT_KEY_LENGTH]!))];
  };
}
