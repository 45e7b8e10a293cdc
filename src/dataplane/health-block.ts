/**
 * What control and the lanes tell each other about the health of the nodes, in memory that all lanes share. Control
 * orders and decides, lane 0 probes and notes, all lanes answer for nodes that are down (sweep.ts).
 *
 *     header, 16 words
 *     word 0  ORDERS     grows when an order below has changed: lane 0 looks through the rows         writer: control
 *          1  SWEEP      grows when a DOWN below has become 1: lanes sweep their slot tables          writer: control
 *          2  KEPT       nodes that are down and are steered to nevertheless                          writer: control
 *
 *     a row of 16 words for each row of the node table
 *     word 0  PERIOD     ms from probe to probe, 0: none                                              writer: control
 *          1  ECHO       1: an ICMP echo request goes with each probe                                 writer: control
 *          2  FLUSH      number of the last flush ordered                                             writer: control
 *          3  DOWN       1: what is outstanding there will not be answered                            writer: control
 *          4  SENT       round: probes sent since the start                                           writer: lane 0
 *          5  SETTLED    last round that was answered or whose time is over                           writer: lane 0
 *          6  ANSWERED   last round that was answered                                                 writer: lane 0
 *          7  RTT_US     round trip of that one, µs                                                   writer: lane 0
 *          8  ECHOES     ICMP echo replies                                                            writer: lane 0
 *          9  REFUSALS   ICMP "port unreachable" about a datagram of ours                             writer: lane 0
 *         10  FLUSHED    number of the last flush that was answered with OK                           writer: lane 0
 *         11  UNFLUSHED  number of the last flush that was answered with anything else                writer: lane 0
 *
 * Rounds and numbers wrap as int32; only differences count. SETTLED − ANSWERED is the number of probes in a row that
 * went unanswered.
 */

const HEADER_WORDS = 16;
const ROW_SHIFT = 4;

const ORDERS = 0;
const SWEEP = 1;
const KEPT = 2;

export const PERIOD = 0;
export const ECHO = 1;
export const FLUSH = 2;
export const DOWN = 3;
export const SENT = 4;
export const SETTLED = 5;
export const ANSWERED = 6;
export const RTT_US = 7;
export const ECHOES = 8;
export const REFUSALS = 9;
export const FLUSHED = 10;
export const UNFLUSHED = 11;

export function healthBlockByteLength(nodesMax: number): number {
  return (HEADER_WORDS + (nodesMax << ROW_SHIFT)) * 4;
}

export class HealthBlock {
  readonly words: Int32Array;
  readonly nodesMax: number;
  readonly #base: number;

  /** @param base word index of a zeroed, 64-byte aligned region of `healthBlockByteLength(nodesMax)` bytes */
  constructor(words: Int32Array, base: number, nodesMax: number) {
    this.words = words;
    this.nodesMax = nodesMax;
    this.#base = base;
  }

  /** Index of the first word of a node's row. */
  row(node: number): number {
    return this.#base + HEADER_WORDS + (node << ROW_SHIFT);
  }

  get(node: number, word: number): number {
    return Atomics.load(this.words, this.row(node) + word);
  }

  set(node: number, word: number, value: number): void {
    Atomics.store(this.words, this.row(node) + word, value);
  }

  /** Probes in a row that went unanswered. */
  missed(node: number): number {
    return (this.get(node, SETTLED) - this.get(node, ANSWERED)) | 0;
  }

  /** Lanes: whether the node counts as down. Plain, as it is asked for every slot of a sweep. */
  isDown(node: number): boolean {
    return this.words[this.row(node) + DOWN] !== 0;
  }

  get orders(): number {
    return Atomics.load(this.words, this.#base + ORDERS);
  }

  get sweeps(): number {
    return Atomics.load(this.words, this.#base + SWEEP);
  }

  get kept(): number {
    return Atomics.load(this.words, this.#base + KEPT);
  }

  /** Control: after the words of an order were stored. */
  announceOrders(): void {
    Atomics.add(this.words, this.#base + ORDERS, 1);
  }

  /** Control: after DOWN was stored, and no lane steers there any more (or it is to be swept all the same). */
  announceSweep(): void {
    Atomics.add(this.words, this.#base + SWEEP, 1);
  }

  /** Control: number of nodes that are down and steered to. */
  keep(nodes: number): void {
    Atomics.store(this.words, this.#base + KEPT, nodes);
  }

  /** Control: a row that gets another node starts afresh. Lane 0 must not be probing it. */
  clear(node: number): void {
    for (const word of [PERIOD, ECHO, DOWN]) this.set(node, word, 0);
  }
}
