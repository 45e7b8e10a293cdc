/**
 * The outstanding requests: a slot is one (client address, client port, request id) and what was asked under it.
 *
 *     flow      one source port of one client address
 *     row       a flow's slots, 0 … rows − 1, a power of two
 *     position  row · flows + flow: consecutive positions go to consecutive flows
 *     lap       how often all positions have been used
 *     id        the lower bits are the row, the upper bits those of the lap
 *
 * Positions are used strictly in turn, and all requests wait equally long, so the oldest outstanding request is always
 * the one behind the tail: no free list, no timer queue. Head and tail only grow; a position is their remainder.
 *
 *     … answered or lost │ tail … outstanding or answered … head │ free …
 *
 * A slot, 32 bytes; times are float64, ns:
 *
 *     word 0–1  INTENDED  when the request should have been sent
 *     word 2–3  SENT      when it was
 *     word 4    KEY
 *     word 5    VERSION   of the value written; 0 for a read
 *     word 6    STATE     bits 0–15 id · bit 16 outstanding · bit 17 SET · bits 18–19 phase
 *     word 7    LOST      bit n: the use n laps ago was counted as lost and nothing has come since
 */

/** `find`: no such request is outstanding. `expired`: none has waited too long. */
export const NO_SLOT = -1;

/** What a reply that fits no outstanding request is. */
export const STRAY_NEVER_ASKED = 0;
export const STRAY_LATE = 1;
export const STRAY_DUPLICATE = 2;

const SLOT_WORDS = 8;
const SLOT_DOUBLES = 4;
const WORD_KEY = 4;
const WORD_VERSION = 5;
const WORD_STATE = 6;
const WORD_LOST = 7;
const ID_MASK = 0xffff;
const OUTSTANDING = 0x10000;
const SET_SHIFT = 17;
const PHASE_SHIFT = 18;
const ID_BITS = 16;
/** Laps that a LOST word remembers. */
const LOST_BITS = 32;

export class SlotTable {
  readonly flows: number;
  /** Slots in all. */
  readonly capacity: number;
  readonly #rowBits: number;
  readonly #rowMask: number;
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  #head = 0;
  #tail = 0;
  /** head modulo capacity, its row and flow, and the lap. */
  #headPosition = 0;
  #headRow = 0;
  #headFlow = 0;
  #lap = 0;
  #tailPosition = 0;
  #outstanding = 0;

  /** @param rows slots of a flow, a power of two ≤ 65536 */
  constructor(flows: number, rows: number) {
    if (!(rows >= 1 && rows <= 1 << ID_BITS && Number.isInteger(Math.log2(rows)))) {
      throw new RangeError(`slots: rows is ${rows}; it must be a power of two, at most 65536`);
    }
    this.flows = flows;
    this.capacity = flows * rows;
    this.#rowBits = Math.log2(rows);
    this.#rowMask = rows - 1;
    const block = new ArrayBuffer(this.capacity * SLOT_WORDS * 4);
    this.#words = new Int32Array(block);
    this.#times = new Float64Array(block);
  }

  get outstanding(): number {
    return this.#outstanding;
  }

  /** The slot in turn still waits for its reply, or lies ahead of one that does. */
  get isFull(): boolean {
    return this.#head - this.#tail === this.capacity;
  }

  /**
   * Takes the next slot; not to be called when `isFull`.
   * @param set 1 for a SET, 0 for a GET
   * @returns its position
   */
  claim(key: number, version: number, set: number, phase: number): number {
    const position = this.#headPosition;
    const word = position * SLOT_WORDS;
    const id = ((this.#lap << this.#rowBits) | this.#headRow) & ID_MASK;
    this.#words[word + WORD_KEY] = key;
    this.#words[word + WORD_VERSION] = version;
    this.#words[word + WORD_STATE] = id | OUTSTANDING | (set << SET_SHIFT) | (phase << PHASE_SHIFT);
    this.#words[word + WORD_LOST] = (this.#words[word + WORD_LOST] as number) << 1;
    this.#outstanding++;
    this.#advanceHead();
    return position;
  }

  /** Times of the slot just claimed; `intended_ns` and `sent_ns` are whole. */
  stamp(position: number, intended_ns: number, sent_ns: number): void {
    this.#times[position * SLOT_DOUBLES] = intended_ns;
    this.#times[position * SLOT_DOUBLES + 1] = sent_ns;
  }

  /** Position of the outstanding request with this id on this flow, or NO_SLOT. */
  find(flow: number, id: number): number {
    const position = (id & this.#rowMask) * this.flows + flow;
    const state = this.#words[position * SLOT_WORDS + WORD_STATE] as number;
    return (state & (OUTSTANDING | ID_MASK)) === (OUTSTANDING | id) ? position : NO_SLOT;
  }

  /** The request at `position` has its reply. */
  settle(position: number): void {
    const word = position * SLOT_WORDS + WORD_STATE;
    this.#words[word] = (this.#words[word] as number) & ~OUTSTANDING;
    this.#outstanding--;
  }

  /**
   * The oldest request that was sent at `deadline_ns` or before and has no reply: counted as lost, its position
   * returned. NO_SLOT when there is none (any more). A loss long ago that nothing followed is forgotten after 32 laps.
   */
  expired(deadline_ns: number): number {
    while (this.#tail < this.#head) {
      const position = this.#tailPosition;
      const word = position * SLOT_WORDS;
      const waits = ((this.#words[word + WORD_STATE] as number) & OUTSTANDING) !== 0;
      if (waits && (this.#times[position * SLOT_DOUBLES + 1] as number) > deadline_ns) return NO_SLOT;
      this.#advanceTail();
      if (!waits) continue;
      this.settle(position);
      this.#words[word + WORD_LOST] = (this.#words[word + WORD_LOST] as number) | 1;
      return position;
    }
    return NO_SLOT;
  }

  /**
   * What a reply is whose id `find` does not know: the answer to a request given up (late: counted once), a second
   * answer, or an id that was never sent.
   */
  classifyStray(flow: number, id: number): number {
    const row = id & this.#rowMask;
    const position = row * this.flows + flow;
    const word = position * SLOT_WORDS;
    const uses = this.#lap + (position < this.#headPosition ? 1 : 0);
    const lastId = (this.#words[word + WORD_STATE] as number) & ID_MASK;
    const lapsAgo = ((lastId - id) & ID_MASK) >>> this.#rowBits;
    if (lapsAgo >= uses) return STRAY_NEVER_ASKED;
    // Older than memory reaches: whatever it is, it comes late.
    if (lapsAgo >= LOST_BITS) return STRAY_LATE;
    const lost = this.#words[word + WORD_LOST] as number;
    if (((lost >>> lapsAgo) & 1) === 0) return STRAY_DUPLICATE;
    this.#words[word + WORD_LOST] = lost & ~(1 << lapsAgo);
    return STRAY_LATE;
  }

  flowOf(position: number): number {
    return position % this.flows;
  }

  idOf(position: number): number {
    return (this.#words[position * SLOT_WORDS + WORD_STATE] as number) & ID_MASK;
  }

  keyOf(position: number): number {
    return this.#words[position * SLOT_WORDS + WORD_KEY] as number;
  }

  versionOf(position: number): number {
    return this.#words[position * SLOT_WORDS + WORD_VERSION] as number;
  }

  /** 1 for a SET, 0 for a GET. */
  setOf(position: number): number {
    return ((this.#words[position * SLOT_WORDS + WORD_STATE] as number) >>> SET_SHIFT) & 1;
  }

  phaseOf(position: number): number {
    return ((this.#words[position * SLOT_WORDS + WORD_STATE] as number) >>> PHASE_SHIFT) & 3;
  }

  intendedOf(position: number): number {
    return this.#times[position * SLOT_DOUBLES] as number;
  }

  #advanceHead(): void {
    this.#head++;
    this.#headPosition++;
    if (++this.#headFlow < this.flows) return;
    this.#headFlow = 0;
    if (++this.#headRow <= this.#rowMask) return;
    this.#headRow = 0;
    this.#headPosition = 0;
    this.#lap++;
  }

  #advanceTail(): void {
    this.#tail++;
    if (++this.#tailPosition === this.capacity) this.#tailPosition = 0;
  }
}
