/**
 * A table that one thread replaces while lanes read it: two halves in shared memory and a generation number.
 *
 *     word  0        GENERATION   number of the table in use; its lowest bit names the half     writer: control
 *     word  1        LANES        how many ACK words there are                                  control, at start
 *     word  2        HALF_WORDS   size of a half                                                control, at start
 *     word 16…       ACK          one per lane: 0 parked, else generation in use + 1            its lane
 *     then           half 0, half 1, each on a cache line of its own
 *
 * The writer fills the spare half with plain stores and then stores GENERATION atomically. A lane asks once a cycle
 * which half to use, and says so in its ACK before it reads; it keeps that half until it asks again.
 *
 *     writer                                      lane
 *     all ACKs are 0 or GENERATION + 1?  no: wait     g = GENERATION
 *     fill half (GENERATION + 1) & 1                  ACK = g + 1; GENERATION still g?  no: again
 *     GENERATION = GENERATION + 1                     read half g & 1 until the next cycle
 *
 * Why no torn table is seen: the half that is refilled was in use two generations before the one it will carry. A lane
 * may still read it only with an ACK older than GENERATION, and then the writer waits. A parked lane that wakes looks
 * at GENERATION once more after its ACK is visible, so either it reads the current half or the writer sees the ACK.
 * Zeroed memory is generation 0 with an all-zero table, which every table must read as "empty".
 */

const GENERATION = 0;
const LANES = 1;
const HALF_WORDS = 2;
const ACKS = 16;
/** Words of a 64-byte cache line. */
const LINE_WORDS = 16;

const PARKED = 0;

/** Bytes of a table of two halves of `halfWords` words each, read by at most `lanesMax` lanes. */
export function generationByteLength(lanesMax: number, halfWords: number): number {
  return 4 * (halvesWord(lanesMax) + 2 * wholeLines(halfWords));
}

/** Writer, once, before any lane starts. `base` is the word index of the zeroed region. */
export function initGeneration(words: Int32Array, base: number, lanesMax: number, halfWords: number): void {
  words[base + LANES] = lanesMax;
  words[base + HALF_WORDS] = wholeLines(halfWords);
}

/**
 * Lane, once a cycle: word index of the table to use until the next call. The table used before is void from here on.
 * Costs one atomic load unless the table was replaced.
 */
export function enterTable(words: Int32Array, base: number, lane: number): number {
  const generation = Atomics.load(words, base + GENERATION);
  if (words[base + ACKS + lane] === ((generation + 1) | 0)) return halfWord(words, base, generation);
  return acknowledge(words, base, lane);
}

/** Lane: number of the table that its last `enterTable` took up. Each publication has another, though the halves take turns. */
export function generationInUse(words: Int32Array, base: number, lane: number): number {
  return (words[base + ACKS + lane]! - 1) | 0;
}

/** Lane, before it stops or sleeps long; or the conductor, once the lane's thread is gone. Lets the writer pass it. */
export function leaveTable(words: Int32Array, base: number, lane: number): void {
  Atomics.store(words, base + ACKS + lane, PARKED);
}

/** Writer: whether no lane can still be reading the spare half. */
export function canWrite(words: Int32Array, base: number): boolean {
  const current = (Atomics.load(words, base + GENERATION) + 1) | 0;
  for (let lane = 0; lane < words[base + LANES]!; lane++) {
    const ack = Atomics.load(words, base + ACKS + lane);
    if (ack !== PARKED && ack !== current) return false;
  }
  return true;
}

/** Writer: word index of the half to fill. Only valid after `canWrite` was true, until `publishTable`. */
export function spareTable(words: Int32Array, base: number): number {
  return halfWord(words, base, Atomics.load(words, base + GENERATION) + 1);
}

/** Writer: makes the spare half the one in use. Returns the new generation. */
export function publishTable(words: Int32Array, base: number): number {
  const generation = (Atomics.load(words, base + GENERATION) + 1) | 0;
  Atomics.store(words, base + GENERATION, generation);
  return generation;
}

/** Writer's own view of the table in use; other threads must `enterTable`. */
export function tableInUse(words: Int32Array, base: number): number {
  return halfWord(words, base, Atomics.load(words, base + GENERATION));
}

function acknowledge(words: Int32Array, base: number, lane: number): number {
  for (;;) {
    const generation = Atomics.load(words, base + GENERATION);
    Atomics.store(words, base + ACKS + lane, (generation + 1) | 0);
    if (Atomics.load(words, base + GENERATION) === generation) return halfWord(words, base, generation);
  }
}

function halfWord(words: Int32Array, base: number, generation: number): number {
  return base + halvesWord(words[base + LANES]!) + (generation & 1) * words[base + HALF_WORDS]!;
}

function halvesWord(lanesMax: number): number {
  return ACKS + wholeLines(lanesMax);
}

function wholeLines(words: number): number {
  return (words + LINE_WORDS - 1) & -LINE_WORDS;
}
