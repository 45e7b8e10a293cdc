/**
 * A client host and its sockets. Each socket counts its request ids from 0, so that they collide with everybody's; none is
 * used twice within the life of a datagram. What has no answer in time is given up, not repeated: it stays open.
 *
 *     closed loop   a request, its answer, a pause, the next
 *     open loop     requests at random times, however many are unanswered
 */
import { type HostAddress, MEMCACHED_PORT, NF_CLIENT_MAC, VIP } from './addresses.ts';
import { decode, decodeGets, encode, encodeGets } from './dialects.ts';
import type { EventTarget } from './events.ts';
import * as frames from './frames.ts';
import type { History, Operation, Output } from './history.ts';
import { PIECE_BYTES } from './memcached/framing.ts';
import type { Host, Network } from './network.ts';
import type { Random } from './random.ts';
import type { Workload } from './workload.ts';

const NEXT = 0;
const TIMEOUT = 1;
const FIRST_PORT = 4000;

export interface ClientOptions {
  readonly sockets: number;
  readonly isOpenLoop: boolean;
  /** From an answer to the next request, or from request to request; ms on average. */
  readonly pauseMs: number;
  readonly timeoutMs: number;
  readonly isOffloading: boolean;
}

export interface ClientPlace {
  readonly network: Network;
  readonly random: Random;
  readonly workload: Workload;
  readonly history: History;
  /** Time of the run at the clock's `nowMs`, ms. */
  readonly elapsedMs: () => number;
  /** Whether more operations are wanted. */
  readonly mayAsk: () => boolean;
  /** Requests of all clients that wait for an answer. */
  readonly tally: { waiting: number };
}

/** A request that is under way: one operation, or a get of several keys. */
interface Asked {
  readonly operations: readonly Operation[];
  readonly isMultiget: boolean;
  /** Pieces of the answer, as far as they have come. */
  pieces: string[] | undefined;
  missing: number;
  isDoubtful: boolean;
}

export class ClientHost implements Host {
  readonly name: string;
  readonly index: number;
  readonly address: HostAddress;
  readonly options: ClientOptions;
  readonly place: ClientPlace;
  readonly #sockets: ClientSocket[];

  constructor(index: number, address: HostAddress, options: ClientOptions, place: ClientPlace) {
    this.index = index;
    this.name = `client ${index}`;
    this.address = address;
    this.options = options;
    this.place = place;
    this.#sockets = Array.from({ length: options.sockets }, (_, i) => new ClientSocket(this, FIRST_PORT + i));
  }

  /** Reads a key, whatever it does else. */
  askOnce(key: string): void {
    this.#sockets[0]!.read(key);
  }

  hear(slot: number): void {
    const { pool } = this.place.network;
    const { bytes, view } = pool;
    const offset = pool.offset(slot);
    // "Port unreachable", where nodes see clients' addresses.
    if (!frames.isUdp(view, offset)) return pool.release(slot);
    frames.assertChecksums(pool, slot);
    if (frames.source(view, offset) !== VIP) throw new Error(`${this.name}: a reply that is not from the VIP`);
    const at = offset + frames.PAYLOAD_AT;
    const socket = this.#sockets[frames.destinationPort(view, offset) - FIRST_PORT];
    const text = bytes.toString('latin1', at + 8, frames.payloadEnd(view, offset));
    const isDoubtful = pool.doubtful[slot] === 1;
    pool.release(slot);
    socket!.hear(view.getUint16(at), view.getUint16(at + 2), view.getUint16(at + 4), text, isDoubtful);
  }
}

class ClientSocket implements EventTarget {
  readonly #client: ClientHost;
  readonly #port: number;
  readonly #asked = new Map<number, Asked>();
  #id = 0;

  constructor(client: ClientHost, port: number) {
    this.#client = client;
    this.#port = port;
    const { place, options } = client;
    place.network.events.in(place.random.between(0, Math.max(options.pauseMs, 1)), this, NEXT);
  }

  happen(kind: number, id: number): void {
    if (kind === NEXT) return this.#ask();
    if (!this.#asked.delete(id)) return;
    this.#client.place.tally.waiting--;
    this.#client.place.network.trace?.(this.#client.name, `* gives up on #${id}`);
    this.#pause();
  }

  hear(id: number, sequence: number, total: number, text: string, isDoubtful: boolean): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) return; // too late, or twice
    asked.isDoubtful ||= isDoubtful;
    if (total === 1) return this.#answered(id, asked, text);
    if (sequence >= total) throw new Error(`${this.#client.name}: datagram ${sequence} of ${total}`);
    asked.pieces ??= new Array(total);
    if (asked.pieces.length === 0) throw new Error(`${this.#client.name}: an empty reply to #${id}`);
    if (asked.missing === 0) asked.missing = total;
    if (asked.pieces[sequence] !== undefined) return;
    if (sequence < total - 1 && text.length !== PIECE_BYTES)
      throw new Error(`datagram ${sequence} of ${total} is not full`);
    asked.pieces[sequence] = text;
    if (--asked.missing === 0) this.#answered(id, asked, asked.pieces.join(''));
  }

  read(key: string): void {
    const { place, index } = this.#client;
    const choice = { op: 'get', key, input: { protocol: 'classic' } } as const;
    this.#send(encode(choice), [place.history.begin(index, key, 'get', choice.input, place.elapsedMs())], false, true);
  }

  #ask(): void {
    const { place, options, index } = this.#client;
    if (!place.mayAsk()) return;
    if (options.isOpenLoop) this.#pause(true);
    const choice = place.workload.next();
    const nowMs = place.elapsedMs();
    if (!('op' in choice)) {
      const withCas = place.random.chance(0.3);
      const operations = choice.map(key =>
        place.history.begin(index, key, 'get', { protocol: 'classic', wantsCas: withCas }, nowMs),
      );
      return this.#send(encodeGets(choice, withCas), operations, true, true);
    }
    const operation = place.history.begin(index, choice.key, choice.op, choice.input, nowMs);
    this.#send(encode(choice), [operation], false, choice.input.noreply !== true);
  }

  #send(text: string, operations: readonly Operation[], isMultiget: boolean, isAnswered: boolean): void {
    const { place, options, address } = this.#client;
    const { pool, events } = place.network;
    const id = this.#id;
    this.#id = (this.#id + 1) & 0xffff;
    const slot = pool.take();
    const at = pool.offset(slot) + frames.PAYLOAD_AT;
    pool.view.setUint16(at, id);
    pool.view.setInt32(at + 2, 1);
    pool.view.setUint16(at + 6, 0);
    pool.bytes.write(text, at + 8, 'latin1');
    const from = { mac: address.mac, ip: address.ip, port: this.#port };
    frames.wrapDatagram(pool, slot, from, NF_CLIENT_MAC, VIP, MEMCACHED_PORT, 8 + text.length, options.isOffloading);
    if (isAnswered) {
      place.tally.waiting++;
      this.#asked.set(id, { operations, isMultiget, pieces: undefined, missing: 0, isDoubtful: false });
      events.in(options.timeoutMs, this, TIMEOUT, id);
    } else {
      this.#pause();
    }
    place.network.send(this.#client, slot, 'client→nf');
  }

  #answered(id: number, { operations, isMultiget, isDoubtful }: Asked, body: string): void {
    this.#asked.delete(id);
    this.#client.place.tally.waiting--;
    const first = operations[0]!;
    const outputs = isMultiget
      ? decodeGets(
          operations.map(({ key }) => key),
          body,
        )
      : [decode(first, body)];
    for (const [i, operation] of operations.entries()) this.#complete(operation, outputs[i]!, isDoubtful);
    this.#pause();
  }

  #complete(operation: Operation, output: Output, isDoubtful: boolean): void {
    const { place } = this.#client;
    const isMadeUp = isDoubtful && (output.kind === 'miss' || output.kind === 'not_found');
    // What may yet be done by a node that was silent stays open.
    if (isMadeUp && operation.op !== 'get') return;
    operation.returnedAt = place.elapsedMs();
    operation.output = isMadeUp ? { kind: 'unknown' } : output;
    if ('cas' in output && output.cas !== undefined) place.workload.noteToken(operation.key, output.cas);
  }

  /** @param isNext of the open loop, where answers do not matter */
  #pause(isNext = false): void {
    const { place, options } = this.#client;
    if (options.isOpenLoop !== isNext) return;
    place.network.events.in(place.random.exponential(options.pauseMs), this, NEXT);
  }
}
