/**
 * The contexts in which datagrams are gathered: which is whose, and who gives way when there are too many.
 *
 *     FREE      ─a fragment of a new datagram→ GATHERING
 *     GATHERING ─the last gap closes→ WHOLE ─end of the batch→ FREE
 *     GATHERING ─bytes told twice, two ends→ SPOILT
 *     GATHERING or SPOILT ─time over, given up for newer ones→ FREE
 *     forbidden: SPOILT ─…→ WHOLE. Of a datagram with overlapping fragments nothing is believed, what is yet to come included
 *     (RFC 5722), so its context stays to catch that. WHOLE ─given up→ FREE: a row of the batch points at it.
 *
 * Who gives way
 *
 * Source addresses can be forged, so a flood can begin datagrams at will and never end them. Refusing new ones while all
 * contexts are taken would hand them to the flood: contexts ÷ timeout forged fragments a second (128, by default) would
 * shut out everybody else. So the context that has not progressed for longest gives way. A sender's fragments follow each
 * other on the wire; to push out an honest datagram, a flood must begin as many others as there are contexts between two of
 * its fragments. Forged ones stand still after their first, so they are pushed out themselves. A source has at most
 * `perSource` contexts, and pushes out its own when it wants more. Timeouts only bound how long the siblings of a lost
 * fragment take up memory in quiet times.
 *
 * A context is known by the offset of its first word. It stands in the chain of its source's bucket, and in the list by
 * progress; a WHOLE or FREE one only in the chain of those.
 */

const WORDS_SHIFT = 4;
export const CONTEXT_WORDS = 1 << WORDS_SHIFT;
export const NONE = -1;

export const STATE = 0;
const SOURCE = 1;
const DESTINATION = 2;
/** Bits 0–15 identification, from 16 on the port it came by. */
const ID_AND_PORT = 3;
/** ms of the lane's clock. */
const BORN = 4;
/** Rises along the list by progress, wrapping: the number of the last fragment that brought it on, or less when spoilt. */
const PROGRESS = 5;
const NEXT = 6;
const OLDER = 7;
const NEWER = 8;
/** Fragments held. */
export const HELD = 9;
/** Units of 8 bytes that are there. */
export const UNITS = 10;
/** Payload bytes of the datagram; NONE until its last fragment is there. */
export const END = 11;
/** Where the furthest fragment so far ends, bytes. */
export const REACH = 12;
/** IPv4 header bytes of the first fragment; 0 until it is there. */
export const HEADER = 13;

export const FREE = 0;
export const GATHERING = 1;
export const WHOLE = 2;
export const SPOILT = 3;

export interface FragmentLimits {
  /** Contexts: datagrams that can be gathered at the same time. */
  datagrams: number;
  /** Of those, contexts of one source address. */
  perSource: number;
  /** From the first fragment to arrive to the last, ms. */
  timeoutMs: number;
}

export class FragmentContexts {
  readonly words: Int32Array;
  readonly #perSource: number;
  readonly #timeoutMs: number;
  readonly #buckets: Int32Array;
  readonly #seed: number;
  #free = NONE;
  #whole = NONE;
  /** Ends of the list by progress. */
  #oldest = NONE;
  #newest = NONE;
  #progress = 0;
  /** Of the source looked for last: its contexts, and the one that has stood still for longest. */
  #ofSource = 0;
  #oldestOfSource = NONE;

  /** @param seed secret: whoever knew it could make all his sources fall into one bucket */
  constructor({ datagrams, perSource, timeoutMs }: FragmentLimits, seed: number) {
    this.#perSource = perSource;
    this.#timeoutMs = timeoutMs;
    this.#seed = seed;
    this.words = new Int32Array(datagrams * CONTEXT_WORDS);
    this.#buckets = new Int32Array(2 ** Math.ceil(Math.log2(datagrams * 2))).fill(NONE);
    for (let i = datagrams - 1; i >= 0; i--) this.#setFree(i * CONTEXT_WORDS);
  }

  /** The datagram's context or NONE, overdue or not. Remembers the source's others for `toGiveWay`. */
  find(source: number, destination: number, identification: number, portId: number): number {
    const words = this.words;
    const idAndPort = identification | (portId << 16);
    let found = NONE;
    this.#ofSource = 0;
    this.#oldestOfSource = NONE;
    for (let at = this.#buckets[this.#bucketOf(source)]; at !== NONE; at = words[at + NEXT]) {
      if (words[at + SOURCE] !== source) continue;
      if (words[at + DESTINATION] === destination && words[at + ID_AND_PORT] === idAndPort) found = at;
      this.#ofSource++;
      this.#oldestOfSource = this.#olderOf(this.#oldestOfSource, at);
    }
    return found;
  }

  /** Whether the source looked for last has as many contexts as a source may have. */
  get isSourceFull(): boolean {
    return this.#ofSource >= this.#perSource;
  }

  get isFull(): boolean {
    return this.#free === NONE;
  }

  /** Of the source looked for last, the context to give up first. */
  get oldestOfSource(): number {
    return this.#oldestOfSource;
  }

  /** Of all, the context to give up first; NONE when none is gathering or spoilt. */
  get oldest(): number {
    return this.#oldest;
  }

  /** A context for a new datagram; the caller has seen to it that one is free. */
  begin(source: number, destination: number, identification: number, portId: number, nowMs: number): number {
    const words = this.words;
    const context = this.#free;
    const bucket = this.#bucketOf(source);
    this.#free = words[context + NEXT];
    words.fill(0, context, context + CONTEXT_WORDS);
    words[context + STATE] = GATHERING;
    words[context + SOURCE] = source;
    words[context + DESTINATION] = destination;
    words[context + ID_AND_PORT] = identification | (portId << 16);
    words[context + BORN] = nowMs;
    words[context + END] = NONE;
    words[context + NEXT] = this.#buckets[bucket];
    this.#buckets[bucket] = context;
    this.#makeNewest(context);
    return context;
  }

  /** Its number, 0 …: which buffer and which bits are its. */
  numberOf(context: number): number {
    return context >> WORDS_SHIFT;
  }

  isOver(context: number, nowMs: number): boolean {
    return ((nowMs - this.words[context + BORN]) | 0) >= this.#timeoutMs;
  }

  /** A fragment brought it on. */
  noteProgress(context: number): void {
    this.#leaveList(context);
    this.#makeNewest(context);
  }

  /** It is the first to give way now: all it does is catch the rest of a datagram that is lost anyway. */
  spoil(context: number): void {
    this.words[context + STATE] = SPOILT;
    this.#leaveList(context);
    this.#makeOldest(context);
  }

  /** Out of the way of new fragments, but not free before `release`. */
  setWhole(context: number): void {
    this.#leave(context);
    this.words[context + STATE] = WHOLE;
    this.words[context + NEXT] = this.#whole;
    this.#whole = context;
  }

  giveUp(context: number): void {
    this.#leave(context);
    this.#setFree(context);
  }

  /** Frees those that are whole. */
  release(): void {
    while (this.#whole !== NONE) {
      const context = this.#whole;
      this.#whole = this.words[context + NEXT];
      this.#setFree(context);
    }
  }

  #olderOf(a: number, b: number): number {
    if (a === NONE) return b;
    return ((this.words[b + PROGRESS] - this.words[a + PROGRESS]) | 0) < 0 ? b : a;
  }

  #bucketOf(source: number): number {
    const mixed = Math.imul(source ^ this.#seed, 0x9e3779b1);
    const twice = Math.imul(mixed ^ (mixed >>> 15) ^ this.#seed, 0x85ebca77);
    return (twice ^ (twice >>> 16)) & (this.#buckets.length - 1);
  }

  #setFree(context: number): void {
    this.words[context + STATE] = FREE;
    this.words[context + NEXT] = this.#free;
    this.#free = context;
  }

  /** Takes it out of its bucket and out of the list. */
  #leave(context: number): void {
    const words = this.words;
    const bucket = this.#bucketOf(words[context + SOURCE]);
    this.#leaveList(context);
    if (this.#buckets[bucket] === context) {
      this.#buckets[bucket] = words[context + NEXT];
      return;
    }
    let before = this.#buckets[bucket];
    while (words[before + NEXT] !== context) before = words[before + NEXT];
    words[before + NEXT] = words[context + NEXT];
  }

  #makeNewest(context: number): void {
    const words = this.words;
    this.#progress = (this.#progress + 1) | 0;
    words[context + PROGRESS] = this.#progress;
    words[context + OLDER] = this.#newest;
    words[context + NEWER] = NONE;
    if (this.#newest === NONE) this.#oldest = context;
    else words[this.#newest + NEWER] = context;
    this.#newest = context;
  }

  #makeOldest(context: number): void {
    const words = this.words;
    words[context + PROGRESS] = this.#oldest === NONE ? this.#progress : (words[this.#oldest + PROGRESS] - 1) | 0;
    words[context + OLDER] = NONE;
    words[context + NEWER] = this.#oldest;
    if (this.#oldest === NONE) this.#newest = context;
    else words[this.#oldest + OLDER] = context;
    this.#oldest = context;
  }

  #leaveList(context: number): void {
    const words = this.words;
    const older = words[context + OLDER];
    const newer = words[context + NEWER];
    if (older === NONE) this.#oldest = newer;
    else words[older + NEWER] = newer;
    if (newer === NONE) this.#newest = older;
    else words[newer + OLDER] = older;
  }
}
