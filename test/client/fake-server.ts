/** A UDP server on loopback whose answers a test decides on, datagram by datagram. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { FRAME_HEADER_BYTES, requestId, writeFrameHeader } from '../../src/memcached/frame-header.ts';

export interface Request {
  readonly id: number;
  /** What follows the frame header, latin1. */
  readonly text: string;
  /** Of who asked. */
  readonly port: number;
  /** Sends whole datagrams to whom asked, in this order. */
  send(...datagrams: Uint8Array[]): void;
  /** Sends payloads, each as a message of one datagram: `VALUE …`, `END\r\n`. */
  answer(...payloads: string[]): void;
}

/** One datagram with its frame header. */
export function datagram(id: number, sequence: number, total: number, body: string | Uint8Array = ''): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  writeFrameHeader(header, 0, id, sequence, total);
  return Buffer.concat([header, typeof body === 'string' ? Buffer.from(body, 'latin1') : body]);
}

/** A message cut as servers cut it: `bodyBytes` a datagram. */
export function cut(id: number, payload: string | Uint8Array, bodyBytes = 1392): Buffer[] {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const total = Math.max(1, Math.ceil(bytes.length / bodyBytes));
  return Array.from({ length: total }, (_, sequence) =>
    datagram(id, sequence, total, bytes.subarray(sequence * bodyBytes, (sequence + 1) * bodyBytes)),
  );
}

export class FakeServer {
  readonly address: string;
  readonly port: number;
  /** All that came, in order. */
  readonly requests: Request[] = [];
  readonly #socket: Socket;

  private constructor(socket: Socket, onRequest: (request: Request) => void) {
    this.#socket = socket;
    this.port = socket.address().port;
    this.address = `127.0.0.1:${this.port}`;
    socket.on('message', (message, from) => {
      const request = this.#read(message, from);
      this.requests.push(request);
      onRequest(request);
    });
  }

  static async start(onRequest: (request: Request) => void, port = 0): Promise<FakeServer> {
    const socket = createSocket('udp4').bind(port, '127.0.0.1');
    await once(socket, 'listening');
    return new FakeServer(socket, onRequest);
  }

  /** Sends datagrams to a port that may never have asked. */
  send(port: number, ...datagrams: Uint8Array[]): void {
    for (const each of datagrams) this.#socket.send(each, port, '127.0.0.1');
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  #read(message: Buffer, from: RemoteInfo): Request {
    const id = requestId(message, 0);
    const send = (...datagrams: Uint8Array[]) => this.send(from.port, ...datagrams);
    const answer = (...payloads: string[]) => send(...payloads.flatMap(payload => cut(id, payload)));
    return { id, text: message.toString('latin1', FRAME_HEADER_BYTES), port: from.port, send, answer };
  }
}
