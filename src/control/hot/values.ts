/**
 * Whether the values of hot keys can be cached, as the items show: one that is read, known at its home and not here for
 * some epochs is too large, or lives too briefly. It is not asked for any more, its reads go to nodes; but it may be
 * another value one day.
 */
import * as directory from '../../coherence/directory.ts';

const BARE_EPOCHS = 3;
/** How soon a value that was not cached is tried again, ms. */
const RETRY_MS = 30_000;

export class ValueWatch {
  readonly #words: Int32Array;
  /** Epochs in a row in which an item was read and not here. */
  readonly #bareEpochs: Uint8Array;
  readonly #retryMs: Float64Array;

  constructor(words: Int32Array, items: number) {
    this.#words = words;
    this.#bareEpochs = new Uint8Array(items);
    this.#retryMs = new Float64Array(items);
  }

  /** The item has another key. */
  begin(item: number): void {
    this.#bareEpochs[item] = 0;
  }

  /** The end of an epoch, for a hot item. @param at its first word; @param reads in the epoch */
  turn(item: number, at: number, reads: number, nowMs: number): void {
    const words = this.#words;
    const state = words[at + directory.STATE]!;
    if (words[at + directory.CACHED] === 0) {
      if (nowMs < this.#retryMs[item]!) return;
      words[at + directory.CACHED] = 1;
      this.#bareEpochs[item] = BARE_EPOCHS - 1;
    } else if ((state & directory.VALUED) !== 0) {
      this.#bareEpochs[item] = 0;
    } else if ((state & directory.CAS_KNOWN) !== 0 && reads > 0) {
      this.#bareEpochs[item] = this.#bareEpochs[item]! + 1;
      if (this.#bareEpochs[item]! < BARE_EPOCHS) return;
      words[at + directory.CACHED] = 0;
      this.#retryMs[item] = nowMs + RETRY_MS;
    }
  }
}
