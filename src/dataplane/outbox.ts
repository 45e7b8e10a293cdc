/**
 * What a lane says itself through a port: frames it has written into places of the port's own (`claim`) or that lie
 * elsewhere in its arena, sent together.
 *
 * A port's claimed frames are its own again after any transmit. So the lane flushes its outboxes before it transmits
 * the rows it received, and `claim` flushes by itself when the port has no frame left. Datagrams larger than their way
 * leave in fragments.
 */
import {
  type Port,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_GROUP_SHIFT,
} from '../port/port.ts';
import type { Fragmenter } from './fragmenter.ts';

const OUTBOX_ROWS = 64;
const OUTBOX_WORDS = OUTBOX_ROWS * ROW_WORDS;
/** Bytes of a lane's arena for one outbox. */
export const OUTBOX_BYTES = OUTBOX_WORDS * 4;

export class Outbox {
  readonly port: Port;
  /** Frames up to this length, bytes, leave whole; of longer ones the fragmenter must be asked. */
  wholeBytes: number;
  readonly #fragmenter: Fragmenter;
  readonly #rows: Int32Array;
  #count = 0;

  /** @param offset of `OUTBOX_BYTES` in the arena that holds the frames */
  constructor(port: Port, buffer: SharedArrayBuffer, offset: number, fragmenter: Fragmenter) {
    this.port = port;
    this.wholeBytes = port.frameBytesMax;
    this.#fragmenter = fragmenter;
    this.#rows = new Int32Array(buffer, offset, OUTBOX_WORDS);
  }

  /** A free frame with room for `port.frameBytesMax` bytes and the headroom before it: its offset, or −1. */
  claim(): number {
    const offset = this.port.claim();
    if (offset >= 0 || this.#count === 0) return offset;
    this.flush();
    return this.port.claim();
  }

  /**
   * Queues the frame at `offset`, a claimed one or any of the arena that stays as it is until the flush. An IPv4 datagram
   * that is larger than its way is queued as fragments (its header is spent by that).
   * @param flags FLAG_* of port.ts
   * @param group 0, or the node's row + 1: frames of one group may be sent one after another
   */
  send(offset: number, length: number, flags: number, group: number): void {
    const isWhole = length <= this.wholeBytes || this.#fragmenter.fits(this.port, offset, length);
    if (isWhole) this.queue(offset, length, flags, group);
    else this.#fragmenter.send(this, offset, flags, group);
  }

  /** Queues a frame as it is. */
  queue(offset: number, length: number, flags: number, group: number): void {
    const row = this.#count++ * ROW_WORDS;
    this.#rows[row + ROW_OFFSET] = offset;
    this.#rows[row + ROW_LENGTH] = length;
    this.#rows[row + ROW_FLAGS] = flags;
    this.#rows[row + ROW_VERDICT] = this.port.id | (group << VERDICT_GROUP_SHIFT);
    if (this.#count === OUTBOX_ROWS) this.flush();
  }

  /**
   * Once a cycle: as `flush`, and frames that were claimed in vain are the port's again. Without, they would in time be all
   * there are, where nothing can be sent.
   */
  settle(): void {
    if (this.#count === 0) this.port.transmit(this.#rows, 0);
    else this.flush();
  }

  /** Transmits what is queued; returns the number of frames the port took. */
  flush(): number {
    if (this.#count === 0) return 0;
    const count = this.#count;
    this.#count = 0;
    return this.port.transmit(this.#rows, count);
  }
}
