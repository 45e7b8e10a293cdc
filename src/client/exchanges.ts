/**
 * Requests and their replies over one connected UDP socket: ids, matching, timeouts, retries.
 *
 * Ids begin at random and count up, so that a late reply to a client that had this port before, or to a request given
 * up, finds no request: an id comes again after 65,536 requests at the soonest. The socket is connected: the kernel
 * passes on datagrams of the server's address and port only, and reports when nothing listens there.
 *
 * Neither socket nor timers keep an idle process alive; an outstanding request does.
 */
import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { FRAME_HEADER_BYTES, requestId, writeFrameHeader } from '../memcached/frame-header.ts';
import { ArgumentError, ClosedError, TimeoutError } from './errors.ts';
import type { Answer, Reading } from './readings.ts';
import { ADDED, Assembly, DUPLICATE, MALFORMED } from './reassembly.ts';
import { REQUEST_BYTES_MAX } from './requests.ts';
import type { Server } from './server.ts';

/** Half of the ids, so that a free one is found soon and none comes again at once. */
export const OUTSTANDING_MAX = 32_768;
/** A value of 1 MB is 750 datagrams in one burst. The kernel gives what net.core.rmem_max allows. */
const RECEIVE_BUFFER_BYTES = 4 << 20;

export interface ExchangesOptions {
  /** How long a reply may take, ms. */
  readonly timeoutMs: number;
  /** How long a hit that END has overtaken may take, ms (readings.ts). */
  readonly settleMs: number;
}

/** What is asked, for error messages and for what may be done again. */
export interface Subject {
  readonly verb: string;
  readonly key?: string;
  /** Sends after which a timeout is final, 1 or more. Only what changes nothing may be sent twice. */
  readonly attempts: number;
}

export interface Answered<T> {
  readonly value: T;
  /** From the send (the last one) to the datagram that completed the reply. */
  readonly microseconds: number;
}

export interface ExchangeCounts {
  /** Datagrams out and in. */
  sent: number;
  received: number;
  /** Requests sent again after a timeout. */
  retries: number;
  timeouts: number;
  /** Parts of a reply that came twice. */
  duplicates: number;
  /** For no outstanding request. */
  strays: number;
  malformed: number;
}

interface Exchange {
  readonly payload: Uint8Array;
  /** Makes what reads the reply of one attempt. */
  readonly newReading: () => Reading<unknown>;
  readonly subject: Subject;
  readonly resolve: (answered: Answered<unknown>) => void;
  readonly reject: (error: unknown) => void;
  attempt: number;
  id: number;
  assembly: Assembly;
  reading: Reading<unknown>;
  sentAtMs: number;
  refused: boolean;
  timer: NodeJS.Timeout | undefined;
  settleTimer: NodeJS.Timeout | undefined;
}

export class Exchanges {
  readonly server: string;
  readonly counts: ExchangeCounts = {
    sent: 0,
    received: 0,
    retries: 0,
    timeouts: 0,
    duplicates: 0,
    strays: 0,
    malformed: 0,
  };
  /** Told of each datagram that belongs to no outstanding request, and of the id of each request as it is sent. */
  onStray: (id: number) => void = () => {};
  onSend: (id: number, subject: Subject) => void = () => {};
  readonly #socket: Socket;
  readonly #options: ExchangesOptions;
  readonly #outstanding = new Map<number, Exchange>();
  #nextId = randomInt(0x10000);
  #isClosed = false;

  private constructor(socket: Socket, server: Server, options: ExchangesOptions) {
    this.server = `${server.host}:${server.port}`;
    this.#socket = socket;
    this.#options = options;
    socket.unref();
    socket.on('message', datagram => this.#hear(datagram));
    socket.on('error', error => this.#noteError(error));
  }

  /** Resolves the name and opens the socket; nothing is sent. @throws the resolver's error */
  static async open(server: Server, options: ExchangesOptions): Promise<Exchanges> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
    try {
      socket.connect(server.port, server.host);
      await once(socket, 'connect');
    } catch (error) {
      socket.close();
      throw error;
    }
    return new Exchanges(socket, server, options);
  }

  /** Sends a request (its payload) and reads the reply. */
  ask<T>(payload: Uint8Array, newReading: () => Reading<T>, subject: Subject): Promise<Answered<T>> {
    return new Promise<Answered<unknown>>((resolve, reject) => {
      this.#checkOpen(payload);
      if (this.#outstanding.size === OUTSTANDING_MAX) {
        throw new ArgumentError('requests outstanding', OUTSTANDING_MAX, 'is all that one client may have');
      }
      this.#attempt({
        ...{ payload, newReading, subject, resolve, reject },
        ...{ assembly: new Assembly(), reading: newReading() },
        ...{ attempt: 0, id: -1, sentAtMs: 0, refused: false, timer: undefined, settleTimer: undefined },
      });
    }) as Promise<Answered<T>>;
  }

  /** Sends a request that has no reply; resolves when the kernel has it. */
  post(payload: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#checkOpen(payload);
      this.#send(this.#freeId(), payload, error => (error === null ? resolve() : reject(error)));
    });
  }

  /** Outstanding requests fail with ClosedError. May be called twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const exchange of [...this.#outstanding.values()]) this.#fail(exchange, new ClosedError());
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }

  #checkOpen(payload: Uint8Array): void {
    if (this.#isClosed) throw new ClosedError();
    if (payload.length >= 1 && payload.length <= REQUEST_BYTES_MAX) return;
    throw new ArgumentError('the request', `${payload.length} bytes`, `must have 1 to ${REQUEST_BYTES_MAX} bytes`);
  }

  #attempt(exchange: Exchange): void {
    exchange.id = this.#freeId();
    exchange.attempt += 1;
    exchange.assembly = new Assembly();
    exchange.reading = exchange.newReading();
    if (this.#outstanding.size === 0) this.#socket.ref();
    this.#outstanding.set(exchange.id, exchange);
    exchange.timer = setTimeout(() => this.#timeOut(exchange), this.#options.timeoutMs).unref();
    this.onSend(exchange.id, exchange.subject);
    exchange.sentAtMs = performance.now();
    this.#send(exchange.id, exchange.payload, error => {
      if (error !== null) this.#fail(exchange, error);
    });
  }

  #freeId(): number {
    while (this.#outstanding.has(this.#nextId)) this.#nextId = (this.#nextId + 1) & 0xffff;
    const id = this.#nextId;
    this.#nextId = (id + 1) & 0xffff;
    return id;
  }

  #send(id: number, payload: Uint8Array, done: (error: Error | null) => void): void {
    const header = new Uint8Array(FRAME_HEADER_BYTES);
    writeFrameHeader(header, 0, id, 0, 1);
    this.counts.sent += 1;
    this.#socket.send([header, payload], error => {
      if (!isRefusal(error)) return done(error);
      // Linux reports the refusal of an earlier datagram here, instead of sending this one.
      this.#noteRefusal();
      if (!this.#isClosed) this.#socket.send([header, payload], again => done(isRefusal(again) ? null : again));
    });
  }

  #hear(datagram: Uint8Array): void {
    this.counts.received += 1;
    const exchange = datagram.length < FRAME_HEADER_BYTES ? undefined : this.#outstanding.get(requestId(datagram, 0));
    if (exchange === undefined) return this.#noteStray(datagram);
    const outcome = exchange.assembly.add(datagram);
    if (outcome === DUPLICATE) this.counts.duplicates += 1;
    else if (outcome === MALFORMED) this.counts.malformed += 1;
    else if (outcome === ADDED) this.#read(exchange);
  }

  #noteStray(datagram: Uint8Array): void {
    if (datagram.length < FRAME_HEADER_BYTES) {
      this.counts.malformed += 1;
    } else {
      this.counts.strays += 1;
      this.onStray(requestId(datagram, 0));
    }
  }

  #read(exchange: Exchange): void {
    clearTimeout(exchange.settleTimer);
    this.#orFail(exchange, () => {
      const answer = exchange.reading.read(exchange.assembly);
      if (answer !== undefined) return this.#answer(exchange, answer);
      if (exchange.reading.settle?.(exchange.assembly) === undefined) return;
      exchange.settleTimer = setTimeout(() => this.#settle(exchange), this.#options.settleMs).unref();
    });
  }

  #settle(exchange: Exchange): void {
    this.#orFail(exchange, () => {
      const answer = exchange.reading.settle?.(exchange.assembly);
      if (answer !== undefined) this.#answer(exchange, answer);
    });
  }

  #orFail(exchange: Exchange, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  #timeOut(exchange: Exchange): void {
    this.counts.timeouts += 1;
    if (exchange.attempt < exchange.subject.attempts) {
      this.#forget(exchange);
      this.counts.retries += 1;
      this.#attempt(exchange);
      return;
    }
    const { server } = this;
    const { timeoutMs } = this.#options;
    const { subject, attempt: attempts, refused, assembly } = exchange;
    const { verb, key } = subject;
    const { datagrams } = assembly;
    this.#fail(exchange, new TimeoutError({ server, verb, key, timeoutMs, attempts, refused, datagrams }));
  }

  #answer(exchange: Exchange, { value }: Answer<unknown>): void {
    const microseconds = (performance.now() - exchange.sentAtMs) * 1000;
    this.#forget(exchange);
    exchange.resolve({ value, microseconds });
  }

  #fail(exchange: Exchange, error: unknown): void {
    this.#forget(exchange);
    exchange.reject(error);
  }

  /** Clears what waits for the attempt; its id takes no more datagrams. */
  #forget(exchange: Exchange): void {
    clearTimeout(exchange.timer);
    clearTimeout(exchange.settleTimer);
    if (this.#outstanding.get(exchange.id) === exchange) this.#outstanding.delete(exchange.id);
    if (this.#outstanding.size === 0 && !this.#isClosed) this.#socket.unref();
  }

  #noteError(error: Error): void {
    if (isRefusal(error)) this.#noteRefusal();
    else for (const exchange of [...this.#outstanding.values()]) this.#fail(exchange, error);
  }

  /** Which request was refused is not said, and another server may come up meanwhile: only a timeout tells of it. */
  #noteRefusal(): void {
    for (const exchange of this.#outstanding.values()) exchange.refused = true;
  }
}

function isRefusal(error: Error | null): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ECONNREFUSED';
}
