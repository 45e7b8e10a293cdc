/**
 * Datagrams of one request id → messages.
 *
 * A reply should be one message, sequence 0 … total − 1, and Keysteer's always is. memcached frames each hit of a
 * multi-get as a message of its own under the same id, each numbered from 0, with nothing that tells one from the next;
 * a miss ahead of another key is a datagram with total 0 (1.6.0 and later). So this holds any number of messages:
 *
 *     a datagram of the same total, and its sequence is …           is taken as
 *     missing from a message                                        that part of the first such message
 *     there in every message, and in one with the same bytes        a duplicate
 *     there in every message, everywhere with other bytes           the first part that came of a new message
 *
 * For one message that is right in any order. For several of the same total it is right only as long as nothing is lost
 * or overtaken, so `isInOrder` tells whether the parts of a total came as 0 … n − 1, 0 … n − 1 (multi-get.ts).
 */
import * as frame from '../memcached/frame-header.ts';

/** `add`: a part of a message. */
export const ADDED = 0;
/** `add`: came before. */
export const DUPLICATE = 1;
/** `add`: total 0, memcached's way to say nothing. */
export const EMPTY = 2;
/** `add`: no frame header, or a sequence beyond its total. */
export const MALFORMED = 3;

export class Message {
  readonly total: number;
  readonly #parts: Uint8Array[] = [];
  #missing: number;

  constructor(total: number) {
    this.total = total;
    this.#missing = total;
  }

  get isWhole(): boolean {
    return this.#missing === 0;
  }

  lacks(sequence: number): boolean {
    return this.#parts[sequence] === undefined;
  }

  holds(sequence: number, body: Uint8Array): boolean {
    const part = this.#parts[sequence];
    return part !== undefined && Buffer.compare(part, body) === 0;
  }

  put(sequence: number, body: Uint8Array): void {
    this.#parts[sequence] = body;
    this.#missing -= 1;
  }

  /** Only of a whole message. */
  payload(): Buffer {
    const [first] = this.#parts;
    if (this.total === 1) return Buffer.from(first.buffer, first.byteOffset, first.byteLength);
    return Buffer.concat(this.#parts);
  }
}

export class Assembly {
  /** In the order in which their first datagrams came. At most 65,535 datagrams each. */
  readonly messages: Message[] = [];
  /** Datagrams that are part of a message. */
  datagrams = 0;
  /** Total → the sequence that comes next if nothing is lost or overtaken. */
  readonly #next = new Map<number, number>();
  readonly #disordered = new Set<number>();

  get isWhole(): boolean {
    return this.messages.every(message => message.isWhole);
  }

  isInOrder(total: number): boolean {
    return !this.#disordered.has(total);
  }

  /** Takes a datagram, frame header included, and keeps it. Returns ADDED, DUPLICATE, EMPTY or MALFORMED. */
  add(datagram: Uint8Array): number {
    if (datagram.length < frame.FRAME_HEADER_BYTES) return MALFORMED;
    const sequence = frame.sequence(datagram, 0);
    const total = frame.total(datagram, 0);
    if (total === 0) return EMPTY;
    if (sequence >= total) return MALFORMED;
    return this.#place(total, sequence, datagram.subarray(frame.FRAME_HEADER_BYTES));
  }

  #place(total: number, sequence: number, body: Uint8Array): number {
    const same = this.messages.filter(message => message.total === total);
    let place = same.find(message => message.lacks(sequence));
    if (place === undefined) {
      if (same.some(message => message.holds(sequence, body))) return DUPLICATE;
      place = new Message(total);
      this.messages.push(place);
    }
    place.put(sequence, body);
    this.#noteOrder(total, sequence);
    this.datagrams += 1;
    return ADDED;
  }

  #noteOrder(total: number, sequence: number): void {
    if (sequence !== (this.#next.get(total) ?? 0)) this.#disordered.add(total);
    this.#next.set(total, (sequence + 1) % total);
  }
}
