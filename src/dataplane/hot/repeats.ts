/**
 * Writes of hot keys of late, so that a datagram that comes twice is not carried out twice: a repeated `set` would bring an
 * old value back, a repeated `incr` count again. Told apart by client, port, request id and a hash of the request.
 *
 * A repeat within the life of a datagram gets the answer of the first; while the first is under way, nothing: its answer
 * will do for both. Set-associative, two ways; what is younger than a datagram lives and gives way is counted (`lost`).
 */
const WAYS = 2;
const ROW_WORDS = 8;
const CLIENT = 0;
const PORT_AND_ID = 1;
const HASH = 2;
const SINCE_MS = 3;
/** −1: under way; else bytes of the answer, 0: none is given. */
const ANSWER_BYTES = 4;
const IN_USE = 5;
const ANSWER_BYTES_MAX = 96;

export const UNDER_WAY = -1;

export class Repeats {
  /** Rows that gave way too young. */
  lost = 0;
  readonly answers: Uint8Array;
  readonly #words: Int32Array;
  readonly #mask: number;
  readonly #lifeMs: number;

  /** @param rows a power of two */
  constructor(rows: number, lifeMs: number) {
    this.#words = new Int32Array(rows * ROW_WORDS);
    this.answers = new Uint8Array(rows * ANSWER_BYTES_MAX);
    this.#mask = rows / WAYS - 1;
    this.#lifeMs = lifeMs;
  }

  /** The row of an earlier write like this one, or −1. */
  find(client: number, portAndId: number, hash: number, nowMs: number): number {
    const words = this.#words;
    const first = this.#set(client, portAndId, hash);
    for (let row = first; row < first + WAYS; row++) {
      const at = row * ROW_WORDS;
      if (words[at + HASH] !== hash || words[at + CLIENT] !== client || words[at + PORT_AND_ID] !== portAndId) continue;
      if (words[at + IN_USE] !== 0 && !this.#isOld(at, nowMs)) return row;
    }
    return -1;
  }

  /** A row for a write that begins. */
  begin(client: number, portAndId: number, hash: number, nowMs: number): number {
    const words = this.#words;
    const first = this.#set(client, portAndId, hash);
    const ageOf = (row: number) => (nowMs - words[row * ROW_WORDS + SINCE_MS]) | 0;
    const isFree = (row: number) => words[row * ROW_WORDS + IN_USE] === 0;
    const row = isFree(first) || (!isFree(first + 1) && ageOf(first) >= ageOf(first + 1)) ? first : first + 1;
    const at = row * ROW_WORDS;
    if (words[at + IN_USE] !== 0 && !this.#isOld(at, nowMs)) this.lost++;
    words[at + CLIENT] = client;
    words[at + PORT_AND_ID] = portAndId;
    words[at + HASH] = hash;
    words[at + SINCE_MS] = nowMs;
    words[at + ANSWER_BYTES] = UNDER_WAY;
    words[at + IN_USE] = 1;
    return row;
  }

  /** Bytes of the answer that the write of this row had, or UNDER_WAY. */
  answerBytes(row: number): number {
    return this.#words[row * ROW_WORDS + ANSWER_BYTES];
  }

  /** Where that answer lies in `answers`. */
  answerAt(row: number): number {
    return row * ANSWER_BYTES_MAX;
  }

  /** The write has been answered by `length` bytes at `offset` (longer ones are not kept, and not repeated). */
  end(row: number, bytes: Uint8Array, offset: number, length: number): void {
    const kept = length <= ANSWER_BYTES_MAX ? length : 0;
    const at = row * ANSWER_BYTES_MAX;
    for (let i = 0; i < kept; i++) this.answers[at + i] = bytes[offset + i];
    this.#words[row * ROW_WORDS + ANSWER_BYTES] = kept;
  }

  /** The write was refused before it began: the next like it is no repeat. */
  forget(row: number): void {
    this.#words[row * ROW_WORDS + IN_USE] = 0;
  }

  #set(client: number, portAndId: number, hash: number): number {
    return ((hash ^ Math.imul(client ^ portAndId, 0x9e3779b1)) & this.#mask) * WAYS;
  }

  #isOld(at: number, nowMs: number): boolean {
    return ((nowMs - this.#words[at + SINCE_MS]) | 0) > this.#lifeMs;
  }
}
