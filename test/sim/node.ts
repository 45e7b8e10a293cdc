/**
 * A host with a memcached: the kernel's part (ARP, ICMP, the socket's queue) and the process with its worker threads, each
 * of which takes the next datagram when it is free and takes its time, so that requests overtake each other.
 *
 *     running   answers
 *     stopped   SIGSTOP: what comes waits in the socket, what was begun waits in its thread
 *     dead      the kernel says "port unreachable", not too often
 */
import type { Mac } from '../../src/wire/mac-text.ts';
import { type HostAddress, MEMCACHED_PORT } from './addresses.ts';
import type { EventTarget } from './events.ts';
import { describeFrame } from './frame-text.ts';
import * as frames from './frames.ts';
import { PIECE_BYTES, pieceCount, sentMessages } from './memcached/framing.ts';
import { MemcachedServer } from './memcached/server.ts';
import type { Hop, Host, Network } from './network.ts';
import type { Random } from './random.ts';

/** Datagrams that the socket holds. */
const SOCKET_DATAGRAMS = 256;
/** Linux: six at once, then one a second. */
const REFUSALS_BURST = 6;
const REFUSAL_MS = 1000;
const SERVICE_MS_MIN = 0.003;
const SERVICE_MS_MEAN = 0.012;
/** Longest that a thread is kept from its CPU. */
const PREEMPTED_MS_MAX = 20;
const UNIX_S = 1_700_000_000;

export interface NodeOptions {
  /** Worker threads. */
  readonly workers: number;
  /** Share of the requests during which a thread is kept waiting. */
  readonly preemptions: number;
  /** Whether its stack leaves checksums to the network card. */
  readonly isOffloading: boolean;
  /** Where a datagram to this address goes next, and by which hop. */
  readonly routeTo: (ip: number) => { readonly mac: Mac; readonly hop: Hop };
}

export class NodeHost implements Host, EventTarget {
  readonly name: string;
  readonly address: HostAddress;
  /** Requests carried out. */
  served = 0;
  /** Lives so far, and when each began, ms. */
  lives = 0;
  readonly startsMs: number[] = [];
  state: 'running' | 'stopped' | 'dead' = 'dead';
  readonly #network: Network;
  readonly #random: Random;
  readonly #options: NodeOptions;
  #server: MemcachedServer;
  /** Slots in the socket; those before `#head` are gone. */
  #queue: number[] = [];
  #head = 0;
  #idle = 0;
  /** Slots in the hands of stopped threads that were done waiting. */
  #frozen: number[] = [];
  #tokens = REFUSALS_BURST;
  #tokensMs = 0;

  constructor(name: string, address: HostAddress, network: Network, random: Random, options: NodeOptions) {
    this.name = name;
    this.address = address;
    this.#network = network;
    this.#random = random;
    this.#options = options;
    this.#server = this.#newServer();
    this.start();
  }

  get server(): MemcachedServer {
    return this.#server;
  }

  start(): void {
    if (this.state !== 'dead') return;
    this.#note('starts, empty');
    this.state = 'running';
    this.lives++;
    this.startsMs.push(this.#network.events.nowMs);
    this.#server = this.#newServer();
    this.#idle = this.#options.workers;
  }

  kill(): void {
    if (this.state === 'dead') return;
    this.#note('is killed');
    this.state = 'dead';
    this.lives++;
    for (const slot of this.#queue.slice(this.#head)) this.#network.pool.release(slot);
    for (const slot of this.#frozen) this.#network.pool.release(slot);
    this.#queue = [];
    this.#head = 0;
    this.#frozen = [];
  }

  stop(): void {
    if (this.state !== 'running') return;
    this.#note('is stopped');
    this.state = 'stopped';
  }

  continue(): void {
    if (this.state !== 'stopped') return;
    this.#note('goes on');
    this.state = 'running';
    for (const slot of this.#frozen.splice(0)) this.#finish(slot);
    this.#work();
  }

  /** Throws items out, as a full memory does; all of them for share 1. */
  evict(share: number): void {
    const { items } = this.#server.store;
    let evicted = 0;
    for (const key of [...items.keys()]) if (this.#random.chance(share) && items.delete(key)) evicted++;
    this.#note(`evicts ${evicted} items`);
  }

  hear(slot: number): void {
    const { pool } = this.#network;
    const { view } = pool;
    const offset = pool.offset(slot);
    if (frames.isArp(view, offset)) {
      const answer = pool.own(slot);
      frames.answerArp(pool, answer, this.address.mac);
      return this.#network.send(this, answer, 'node→nf');
    }
    if (frames.isUdp(view, offset) && frames.destinationPort(view, offset) === MEMCACHED_PORT)
      return this.#receive(slot);
    if (!frames.isEchoRequest(view, offset)) {
      throw new Error(`${this.name} gets ${describeFrame(pool.bytes, offset, pool.lengths[slot]!)}`);
    }
    const answer = pool.own(slot);
    frames.answerEcho(pool, answer, this.address.mac);
    this.#network.send(this, answer, 'node→nf');
  }

  /** @param life in which the thread took up the datagram in `slot` */
  happen(life: number, slot: number): void {
    if (life !== this.lives) return this.#network.pool.release(slot);
    if (this.state === 'stopped') this.#frozen.push(slot);
    else {
      this.#finish(slot);
      this.#work();
    }
  }

  #receive(slot: number): void {
    const { pool } = this.#network;
    frames.assertChecksums(pool, slot);
    if (this.state === 'dead') return this.#refuse(slot);
    if (this.#queue.length - this.#head >= SOCKET_DATAGRAMS) return pool.release(slot);
    this.#queue.push(slot);
    if (this.state === 'running') this.#work();
  }

  /** Idle threads take what waits. */
  #work(): void {
    const { preemptions } = this.#options;
    while (this.#idle > 0 && this.#head < this.#queue.length) {
      this.#idle--;
      const slot = this.#queue[this.#head++]!;
      let ms = SERVICE_MS_MIN + this.#random.exponential(SERVICE_MS_MEAN);
      if (this.#random.chance(preemptions)) ms += this.#random.between(0, PREEMPTED_MS_MAX);
      this.#network.events.in(ms, this, this.lives, slot);
    }
    if (this.#head === this.#queue.length && this.#head > 0) {
      this.#queue.length = 0;
      this.#head = 0;
    }
  }

  #finish(slot: number): void {
    const { pool, events } = this.#network;
    this.#idle++;
    if (!this.#network.isTooOld(slot)) {
      const offset = pool.offset(slot);
      const end = frames.payloadEnd(pool.view, offset);
      const at = offset + frames.PAYLOAD_AT;
      this.served++;
      this.#say(slot, this.#server.answer(pool.bytes, at + 8, end, events.nowMs));
    }
    pool.release(slot);
  }

  #say(request: number, messages: readonly string[]): void {
    for (const message of sentMessages(messages)) {
      const total = pieceCount(message);
      for (let piece = 0; piece < Math.max(total, 1); piece++) {
        this.#sayPiece(request, piece, total, message.slice(piece * PIECE_BYTES, (piece + 1) * PIECE_BYTES));
      }
    }
  }

  #sayPiece(request: number, piece: number, total: number, text: string): void {
    const { pool } = this.#network;
    const slot = pool.take();
    const asked = pool.offset(request);
    const { bytes, view } = pool;
    const at = pool.offset(slot) + frames.PAYLOAD_AT;
    view.setUint16(at, view.getUint16(asked + frames.PAYLOAD_AT));
    view.setUint16(at + 2, piece);
    view.setUint16(at + 4, total);
    view.setUint16(at + 6, 0);
    bytes.write(text, at + 8, 'latin1');
    const to = frames.source(view, asked);
    const { mac, hop } = this.#options.routeTo(to);
    const from = { mac: this.address.mac, ip: frames.destination(view, asked), port: MEMCACHED_PORT };
    const port = frames.sourcePort(view, asked);
    frames.wrapDatagram(pool, slot, from, mac, to, port, 8 + text.length, this.#options.isOffloading);
    this.#network.send(this, slot, hop);
  }

  #refuse(slot: number): void {
    const { pool, events } = this.#network;
    this.#tokens = Math.min(this.#tokens + (events.nowMs - this.#tokensMs) / REFUSAL_MS, REFUSALS_BURST);
    this.#tokensMs = events.nowMs;
    if (this.#tokens < 1) return pool.release(slot);
    this.#tokens--;
    const answer = pool.own(slot);
    const offset = pool.offset(answer);
    const { mac, hop } = this.#options.routeTo(frames.source(pool.view, offset));
    frames.refuseDatagram(pool, answer, this.address.mac, frames.destination(pool.view, offset));
    pool.view.setUint16(offset, mac.high);
    pool.view.setInt32(offset + 2, mac.low);
    this.#network.send(this, answer, hop);
  }

  #newServer(): MemcachedServer {
    const { nowMs } = this.#network.events;
    return new MemcachedServer(nowMs, this.#random.between(0, 1000), UNIX_S + Math.floor(nowMs / 1000));
  }

  #note(text: string): void {
    this.#network.trace?.(this.name, `* ${text}`);
  }
}
