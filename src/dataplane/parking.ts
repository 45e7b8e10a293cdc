/**
 * Frames that wait for their next hop's Ethernet address: copied aside (their ring slot goes back with its batch),
 * bounded in number, sent on or dropped within a few cycles of the answer.
 *
 * No next hop takes the places of all: one may wait with as many frames as there are free places left (a dynamic threshold;
 * Choudhury and Hahne, 1998). One alone gets half of them, n of them get 1/(n + 1) each, and one more finds as much free.
 *
 * A place holds headroom and frame; offset and length of the frame, its FLAGS and neighbour row lie in small arrays
 * beside it. Places are kept dense and in order of arrival.
 */
import { HEADROOM_BYTES } from '../port/port.ts';

export class Parking {
  /** Frames waiting. */
  count = 0;
  readonly #bytes: Uint8Array;
  readonly #base: number;
  readonly #placeBytes: number;
  /** Place of the i-th waiting frame. */
  readonly #places: Int32Array;
  readonly #lengths: Int32Array;
  readonly #flags: Int32Array;
  readonly #neighbours: Int32Array;
  /** Frames that wait for each neighbour row. */
  readonly #waiting: Int32Array;

  static byteLength(frames: number, frameBytesMax: number): number {
    return frames * placeBytes(frameBytesMax);
  }

  /** @param neighbours rows of the neighbour table */
  constructor(bytes: Uint8Array, base: number, frames: number, frameBytesMax: number, neighbours: number) {
    this.#bytes = bytes;
    this.#base = base;
    this.#placeBytes = placeBytes(frameBytesMax);
    this.#places = Int32Array.from({ length: frames }, (_, place) => place);
    this.#lengths = new Int32Array(frames);
    this.#flags = new Int32Array(frames);
    this.#neighbours = new Int32Array(frames);
    this.#waiting = new Int32Array(neighbours);
  }

  /** Copies a frame aside; returns false when its neighbour has its share, or when it is a datagram that no place holds. */
  park(offset: number, length: number, flags: number, neighbour: number): boolean {
    const free = this.#places.length - this.count;
    if (this.#waiting[neighbour] >= free || length > this.#placeBytes - HEADROOM_BYTES) return false;
    const place = this.#places[this.count];
    this.#bytes.copyWithin(this.#offset(place), offset, offset + length);
    this.#lengths[place] = length;
    this.#flags[place] = flags;
    this.#neighbours[place] = neighbour;
    this.#waiting[neighbour]++;
    this.count++;
    return true;
  }

  offset(i: number): number {
    return this.#offset(this.#places[i]);
  }

  length(i: number): number {
    return this.#lengths[this.#places[i]];
  }

  flags(i: number): number {
    return this.#flags[this.#places[i]];
  }

  neighbour(i: number): number {
    return this.#neighbours[this.#places[i]];
  }

  /** Frees the i-th; those behind it move up. Its bytes stay as they are until the next `park`. */
  leave(i: number): void {
    const place = this.#places[i];
    this.#waiting[this.#neighbours[place]]--;
    this.count--;
    this.#places.copyWithin(i, i + 1, this.count + 1);
    this.#places[this.count] = place;
  }

  #offset(place: number): number {
    return this.#base + place * this.#placeBytes + HEADROOM_BYTES;
  }
}

function placeBytes(frameBytesMax: number): number {
  return (frameBytesMax + HEADROOM_BYTES + 63) & -64;
}
