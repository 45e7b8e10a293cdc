/**
 * How hot the items are: lanes count reads and writes of each, the keeper sums them up once an epoch. As in the detectors,
 * what an epoch counted counts half in the next, so heat and the detectors' N are of one measure: heat ÷ N is a share.
 */
import { COUNTS_WORDS, type HotSetup, perLane } from '../../dataplane/hot/setup.ts';

type Area = Omit<HotSetup, 'laneOffset'>;

export class Heat {
  /** Requests, halved at each epoch. */
  readonly reads: Float64Array;
  readonly writes: Float64Array;
  /** Of the last epoch alone. */
  readonly lastReads: Float64Array;
  readonly lastWrites: Float64Array;
  /** Requests that waited for a write. */
  readonly lastWaits: Float64Array;
  /** Reads since the item has its key. */
  readonly total: Float64Array;
  readonly #words: Int32Array;
  readonly #columns: readonly number[];
  /** What the lanes had counted when it was read last. */
  readonly #seen: Int32Array;

  constructor(words: Int32Array, area: Area) {
    const { items, lanes } = area;
    this.reads = new Float64Array(items);
    this.writes = new Float64Array(items);
    this.lastReads = new Float64Array(items);
    this.lastWrites = new Float64Array(items);
    this.lastWaits = new Float64Array(items);
    this.total = new Float64Array(items);
    this.#words = words;
    this.#columns = Array.from({ length: lanes }, (_, lane) => perLane(area, lane).countsOffset >> 2);
    this.#seen = new Int32Array(lanes * items * COUNTS_WORDS);
  }

  /** The item has another key: it begins with `heat`. */
  begin(item: number, heat: number): void {
    this.#take(item);
    this.reads[item] = heat;
    this.writes[item] = 0;
    this.total[item] = 0;
  }

  /** The end of an epoch, for one item. */
  turn(item: number): void {
    this.#take(item);
    this.total[item]! += this.lastReads[item]!;
    this.reads[item] = this.reads[item]! / 2 + this.lastReads[item]!;
    this.writes[item] = this.writes[item]! / 2 + this.lastWrites[item]!;
  }

  of(item: number): number {
    return this.reads[item]! + this.writes[item]!;
  }

  /** Share of writes, 0 to 1. */
  writeShare(item: number): number {
    const all = this.of(item);
    return all === 0 ? 0 : this.writes[item]! / all;
  }

  #take(item: number): void {
    let reads = 0;
    let writes = 0;
    let waits = 0;
    for (let lane = 0; lane < this.#columns.length; lane++) {
      const at = this.#columns[lane]! + item * COUNTS_WORDS;
      const seen = (lane * this.reads.length + item) * COUNTS_WORDS;
      reads += (this.#words[at]! - this.#seen[seen]!) | 0;
      writes += (this.#words[at + 1]! - this.#seen[seen + 1]!) | 0;
      waits += (this.#words[at + 2]! - this.#seen[seen + 2]!) | 0;
      this.#seen[seen + 2] = this.#words[at + 2]!;
      this.#seen[seen] = this.#words[at]!;
      this.#seen[seen + 1] = this.#words[at + 1]!;
    }
    this.lastReads[item] = reads;
    this.lastWrites[item] = writes;
    this.lastWaits[item] = waits;
  }
}
