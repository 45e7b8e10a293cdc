/**
 * Reads that wait for those of the next batch or two. Where Keysteer answers half of a batch itself, or more, each node
 * gets a request or two of it, and waking a node costs more than serving them: held together they wake it once.
 *
 * Only under load, where the next batch is a tenth of a millisecond away: a batch of BATCH_REQUESTS_MIN requests, as many of
 * them answered here as forwarded. Held for BATCHES_MAX further batches at most, and gone as soon as one is smaller, or
 * none is there. Classic gets alone: a write that left later than it was noted (coherence/stores.ts) would outlive its time.
 *
 * Frames are copied into places of our own, as their slots of the ring go back with their batch, and keep their order; all
 * else overtakes them. They count as sent when they are held: the latency of a node has the wait in it.
 */
import type { Arena } from '../mem/arena.ts';
import { FRAME_HEADER_BYTES } from '../memcached/frame-header.ts';
import {
  DROP,
  HEADROOM_BYTES,
  type Port,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_GROUP_SHIFT,
  VERDICT_PORT_BITS,
} from '../port/port.ts';
import * as ipv4 from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { BATCH_ROWS } from './list.ts';
import { PLAIN_IP_AT, PLAIN_UDP_AT } from './plain-datagram.ts';

const BATCH_REQUESTS_MIN = 12;
const BATCHES_MAX = 2;
const PLACES = BATCH_ROWS;
/** Headroom, and any get of one key. */
const PLACE_BYTES = 384;
/** `get ` as a big-endian word, and where it stands in a frame without IP options. */
const GET = 0x67657420;
const COMMAND_AT = PLAIN_UDP_AT + udp.HEADER_BYTES + FRAME_HEADER_BYTES;
/** With so many in hand a node gets enough of them; and a batch, at most half of which is held, finds places for all. */
const PLENTY = BATCH_ROWS / 2;
/** Bytes of a lane's arena. */
export const HOLDING_BYTES = PLACES * (PLACE_BYTES + ROW_WORDS * 4);

export class Holding {
  /** Requests held. */
  count = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #rows: Int32Array;
  readonly #base: number;
  readonly #port: Port;
  #batches = 0;

  /**
   * @param offset of HOLDING_BYTES in the arena that holds the frames, a multiple of 16
   * @param port towards the nodes
   */
  constructor({ bytes, view, buffer }: Arena, offset: number, port: Port) {
    this.#bytes = bytes;
    this.#view = view;
    this.#rows = new Int32Array(buffer, offset, PLACES * ROW_WORDS);
    this.#base = offset + PLACES * ROW_WORDS * 4 + HEADROOM_BYTES;
    this.#port = port;
  }

  /**
   * The batch has its verdicts and is not sent yet. Takes its reads for nodes aside, whose rows are DROP then, or sends those
   * that lie there, ahead of the batch.
   * @param answered requests that were answered here
   * @param forwarded those that go to nodes
   */
  turn(batch: Int32Array, rows: number, answered: number, forwarded: number): void {
    if (answered < forwarded || answered + forwarded < BATCH_REQUESTS_MIN) return this.flush();
    if (forwarded !== 0) this.#takeAll(batch, rows);
    if (this.count === 0) return;
    this.#batches++;
    if (this.#batches > BATCHES_MAX || this.count >= PLENTY) this.flush();
  }

  /** Sends what is held. */
  flush(): void {
    const { count } = this;
    this.count = 0;
    this.#batches = 0;
    if (count !== 0) this.#port.transmit(this.#rows, count);
  }

  #takeAll(batch: Int32Array, rows: number): void {
    const end = rows * ROW_WORDS;
    for (let row = 0; row < end && this.count < PLACES; row += ROW_WORDS) {
      const verdict = batch[row + ROW_VERDICT];
      if ((verdict & VERDICT_PORT_BITS) !== this.#port.id || verdict >>> VERDICT_GROUP_SHIFT === 0) continue;
      if (this.#isGet(batch[row + ROW_OFFSET], batch[row + ROW_LENGTH])) this.#take(batch, row, verdict);
    }
  }

  #isGet(offset: number, length: number): boolean {
    if (length < COMMAND_AT + 4 || length > PLACE_BYTES - HEADROOM_BYTES) return false;
    return (
      ipv4.headerBytes(this.#view, offset + PLAIN_IP_AT) === ipv4.HEADER_BYTES_MIN &&
      this.#view.getInt32(offset + COMMAND_AT) === GET
    );
  }

  #take(batch: Int32Array, row: number, verdict: number): void {
    const offset = batch[row + ROW_OFFSET];
    const length = batch[row + ROW_LENGTH];
    const place = this.#base + this.count * PLACE_BYTES;
    const held = this.count++ * ROW_WORDS;
    this.#bytes.copyWithin(place, offset, offset + length);
    this.#rows[held + ROW_OFFSET] = place;
    this.#rows[held + ROW_LENGTH] = length;
    this.#rows[held + ROW_FLAGS] = batch[row + ROW_FLAGS];
    this.#rows[held + ROW_VERDICT] = verdict;
    batch[row + ROW_VERDICT] = DROP;
  }
}
