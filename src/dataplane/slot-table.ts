/**
 * nat's slot table: which client asked what under which of our own (source port, 16-bit request id).
 *
 *     slot s  ↔  source port = the lane's first port + (s >> 16),  request id = s & 0xffff
 *
 * so both ways are arithmetic: no hashing, no search, and the lane can be told from the port alone (fanout.ts).
 *
 * A slot is 8 words, half a cache line:
 *
 *     word 0  STATE        bits 0–1 state, 2 quiet, 3 gather, 4 broadcast, 5 haunted, 6 noted, 7 hot; bits 8–13 verb; bit 15 replica;
 *                          bits 16–31 the client's request id
 *          1  CLIENT       IPv4 address
 *          2  CLIENT_PORT  bits 0–15 UDP port; bits 16–31 upper 16 bits of the client's Ethernet address
 *          3  CLIENT_MAC   lower 32 bits of it
 *          4  NODE         IPv4 address
 *          5  NODE_PORT    bits 0–15 UDP port; bits 16–31 the node's row in the table it was steered by
 *          6  KEY_HASH     of the key asked for
 *          7  SENT         µs of the lane's clock, wrapping
 *
 * A slot with the gather bit is one key of a multi-key request (gather-table.ts): bits 16–31 of its STATE say which, and
 *
 *          2  GATHER_RECORD      first word of the gather's record
 *          3  GATHER_GENERATION  the record's when the slot was taken
 *
 * Slots are handed out in a circle: the one used longest ago comes next, so a late or repeated reply meets a slot that
 * has moved on only after slots ÷ rate seconds. The last slots of the table can be a circle of their own, for requests of
 * sources that are not known (gatekeeper.ts): however many these are, they take no slot from the others.
 *
 * A reply of several datagrams keeps two more words, behind all slots:
 *
 *     word 0  TOTAL  that its first datagram stated
 *          1  SEEN   bit s: datagram s has come (s < 32)
 *
 * All its datagrams must state one total, and none may come twice. A slot whose last request was never answered whole is
 * *haunted*: datagrams of that reply may still be on their way. There, the datagram with sequence 0, whose key is checked,
 * must come first, and fixes the total.
 *
 * States:
 *
 *     FREE ─take→ OUTSTANDING ─single reply→ ANSWERED ─take→ OUTSTANDING
 *     FREE ─take for noreply→ ANSWERED
 *                 OUTSTANDING ─datagram of several→ PARTLY ─the last of at most 32→ ANSWERED
 *                                                   PARTLY ─others follow→ PARTLY (ends by its age)
 *                 OUTSTANDING ─a miss said in the node's place (sweep.ts)→ ANSWERED
 *                 OUTSTANDING or PARTLY, age > lifetime ─take→ OUTSTANDING (OUTSTANDING: slots_expired)
 *     forbidden: OUTSTANDING or PARTLY, age ≤ lifetime ─take→ …: an honest reply would go to the wrong client; such slots are
 *     passed over (slots_skipped), and after PROBES_MAX of them the request is refused.
 */

const SLOT_SHIFT = 3;
export const SLOT_WORDS = 1 << SLOT_SHIFT;
export const SLOT_STATE = 0;
export const SLOT_CLIENT = 1;
export const SLOT_CLIENT_PORT = 2;
export const SLOT_CLIENT_MAC = 3;
export const SLOT_NODE = 4;
export const SLOT_NODE_PORT = 5;
export const SLOT_KEY_HASH = 6;
export const SLOT_SENT = 7;

export const STATE_MASK = 3;
export const STATE_FREE = 0;
export const STATE_OUTSTANDING = 1;
export const STATE_ANSWERED = 2;
export const STATE_PARTLY = 3;
/** The client wants no reply, or not always one. */
export const SLOT_QUIET = 4;
/** The reply is one node's to a command for all of them (broadcasts.ts). */
export const SLOT_BROADCAST = 16;
/** The request before this one in the slot was never answered whole. */
export const SLOT_HAUNTED = 32;
/** The reply is one part of an answer that is gathered. */
export const SLOT_GATHER = 8;
export const SLOT_GATHER_RECORD = 2;
export const SLOT_GATHER_GENERATION = 3;
/** The request is the balancer's own, for a hot key: CLIENT names the operation (hot/operations.ts). */
export const SLOT_HOT = 128;
/** What a miss must repeat of the request lies in the slot's note (memcached/miss-reply.ts). */
export const SLOT_NOTED = 64;
export const SLOT_VERB_SHIFT = 8;
export const VERB_MASK = 0x3f;
/** The request went to a node that has a copy of a hot key: a miss there is none. */
export const SLOT_REPLICA = 1 << 15;
export const SLOT_ID_SHIFT = 16;

const PROBES_MAX = 16;
/** Slots that are looked at to tell a client's share of them. */
export const SHARE_SAMPLES = 64;
/** Slots looked at in a search, of either circle: 8 ms of requests at 1 M/s, far more where requests are few. */
const SLOTS_SEARCHED = 8192;
/** Words before the first slot: per circle the slot whose turn is next, so that a restarted lane goes on there. */
const HEADER_WORDS = 16;
const PART_WORDS = 2;
const PART_TOTAL = 0;
const PART_SEEN = 1;
/** Datagrams of a reply that are told apart. */
const PARTS_SEEN_MAX = 32;
const IDS_PER_PORT_SHIFT = 16;

/** Bytes of a table of `slots` slots. */
export function slotTableByteLength(slots: number): number {
  return (HEADER_WORDS + slots * (SLOT_WORDS + PART_WORDS)) * 4;
}

/** One circle, for who walks along it: its slots are 0 … length − 1. */
export class SlotCircle {
  readonly length: number;
  readonly #words: Int32Array;
  readonly #cursor: number;
  readonly #first: number;

  /**
   * @param cursor word that says whose turn is next
   * @param first first word of its slot 0
   */
  constructor(words: Int32Array, cursor: number, first: number, length: number) {
    this.#words = words;
    this.#cursor = cursor;
    this.#first = first;
    this.length = length;
  }

  /** The slot whose turn is next; the one before it is the newest. */
  get next(): number {
    return this.#words[this.#cursor];
  }

  /** First word of a slot. */
  word(slot: number): number {
    return this.#first + slot * SLOT_WORDS;
  }

  before(slot: number): number {
    return slot === 0 ? this.length - 1 : slot - 1;
  }

  after(slot: number): number {
    return slot + 1 === this.length ? 0 : slot + 1;
  }
}

export class SlotTable {
  /** That of known sources, and the newcomers' where they have one. */
  readonly circles: readonly SlotCircle[];
  /** Slots passed over by the last `take`. */
  skipped = 0;
  /** 1 when the last `take` reused a slot whose request was never answered. */
  expired = 0;
  /** Whether `take` has come to a slot that still waits, whatever it did there. Reset by answered.ts. */
  hasMetWaiting = false;
  /** Whether slots of the main circle are short: seven in eight were taken less than a lifetime ago, and wait. */
  isShort = false;
  readonly #words: Int32Array;
  readonly #header: number;
  readonly #base: number;
  readonly #parts: number;
  readonly #mask: number;
  /** Slots of the main circle, and of the newcomers'. */
  readonly #main: number;
  readonly #newcomers: number;
  /** The circle that `take` takes from: word of its cursor, first word of its first slot, its slots. */
  #cursor: number;
  #first: number;
  #length: number;
  readonly #firstPort: number;
  readonly #lifetimeUs: number;

  /**
   * @param base first word of the table (zeroed, or left by a lane before this one)
   * @param slots a power of two
   * @param firstPort first of the lane's own source ports; it has one for each 65,536 slots
   * @param lifetimeUs age from which no reply is expected any more, µs (< 2^30)
   * @param newcomers how many of the slots are a circle of their own, 0: none
   */
  constructor(words: Int32Array, base: number, slots: number, firstPort: number, lifetimeUs: number, newcomers = 0) {
    this.#words = words;
    this.#header = base;
    this.#base = base + HEADER_WORDS;
    this.#parts = this.#base + slots * SLOT_WORDS;
    this.#mask = slots - 1;
    this.#main = slots - newcomers;
    this.#newcomers = newcomers;
    this.#cursor = base;
    this.#first = this.#base;
    this.#length = this.#main;
    this.#firstPort = firstPort;
    this.#lifetimeUs = lifetimeUs;
    const ofNewcomers = new SlotCircle(words, base + 1, this.#base + this.#main * SLOT_WORDS, newcomers);
    this.circles = [new SlotCircle(words, base, this.#base, this.#main), ofNewcomers].filter(
      ({ length }) => length > 0,
    );
  }

  /**
   * Once a cycle. The slots from the cursor to `ahead` were taken before that one: if it is young, so are the seven
   * eighths behind it.
   */
  enter(nowUs: number): void {
    const ahead = this.#words[this.#header] + (this.#main >> 3);
    const word = this.#base + (ahead < this.#main ? ahead : ahead - this.#main) * SLOT_WORDS;
    this.isShort = this.isOutstanding(word) && !this.isLate(word, nowUs);
  }

  /** Says whose requests the slots taken from now on are for. */
  aim(isNewcomer: boolean): void {
    const circle = isNewcomer && this.#newcomers !== 0 ? 1 : 0;
    if (this.#cursor === this.#header + circle) return;
    this.#cursor = this.#header + circle;
    this.#first = circle === 0 ? this.#base : this.#base + this.#main * SLOT_WORDS;
    this.#length = circle === 0 ? this.#main : this.#newcomers;
  }

  /**
   * Takes the next slot; returns its first word, or −1 when the next PROBES_MAX are all in use. `nowUs` wraps. Of its old
   * STATE the bit SLOT_HAUNTED is for the new one.
   */
  take(nowUs: number): number {
    this.skipped = 0;
    this.expired = 0;
    while (this.skipped < PROBES_MAX) {
      const word = this.#next();
      if (!this.isOutstanding(word)) return word;
      this.hasMetWaiting = true;
      if (this.isLate(word, nowUs)) {
        this.expired = (this.#words[word] & (STATE_MASK | SLOT_QUIET)) === STATE_OUTSTANDING ? 1 : 0;
        this.#words[word] |= SLOT_HAUNTED;
        return word;
      }
      this.skipped++;
    }
    return -1;
  }

  /** First word of the slot whose turn it is in the circle. */
  #next(): number {
    const words = this.#words;
    const turn = words[this.#cursor];
    words[this.#cursor] = turn + 1 < this.#length ? turn + 1 : 0;
    return this.#first + turn * SLOT_WORDS;
  }

  /**
   * How many of SHARE_SAMPLES slots, at equal distances around the main circle, wait for replies to `client`. Some 100 ns:
   * not for every frame.
   */
  shareOf(client: number, nowUs: number): number {
    const step = Math.max(1, Math.floor(this.#main / SHARE_SAMPLES));
    let share = 0;
    for (let slot = 0; slot < Math.min(this.#main, SHARE_SAMPLES * step); slot += step) {
      const word = this.#base + slot * SLOT_WORDS;
      if (this.#words[word + SLOT_CLIENT] !== client || !this.isOutstanding(word)) continue;
      if (!this.isLate(word, nowUs)) share++;
    }
    return share;
  }

  /** First word of the slot that a reply to (`port`, `id`) belongs to, or −1 when the port is not this lane's. */
  find(port: number, id: number): number {
    const slot = ((port - this.#firstPort) << IDS_PER_PORT_SHIFT) | id;
    return slot >= 0 && slot <= this.#mask ? this.#base + slot * SLOT_WORDS : -1;
  }

  /**
   * Whether one of the requests of late was from (SLOT_CLIENT) or to (SLOT_NODE) this address and port. Up to 50 µs for each
   * circle: not for every frame.
   */
  isRecent(whom: number, address: number, port: number, nowUs: number): boolean {
    if (this.#isRecentIn(0, 0, this.#main, whom, address, port, nowUs)) return true;
    return this.#isRecentIn(1, this.#main, this.#newcomers, whom, address, port, nowUs);
  }

  /** Goes back in the circle from the slot whose turn is next, so the latest come first. */
  #isRecentIn(
    circle: number,
    first: number,
    length: number,
    whom: number,
    address: number,
    port: number,
    nowUs: number,
  ): boolean {
    const words = this.#words;
    let turn = words[this.#header + circle];
    for (let left = Math.min(SLOTS_SEARCHED, length); left > 0; left--) {
      turn = turn === 0 ? length - 1 : turn - 1;
      const word = this.#base + (first + turn) * SLOT_WORDS;
      if ((words[word + SLOT_STATE] & STATE_MASK) === STATE_FREE) return false;
      const isTheirs = words[word + whom] === address && (words[word + whom + 1] & 0xffff) === port;
      if (isTheirs && !this.isLate(word, nowUs)) return true;
    }
    return false;
  }

  /** Lane whose source port this is, if it is a lane's; `lane` is the one of this table. */
  laneOf(port: number, lane: number): number {
    const portsPerLane = (this.#mask >> IDS_PER_PORT_SHIFT) + 1;
    return lane + Math.floor((port - this.#firstPort) / portsPerLane);
  }

  /** Whether datagrams are expected for it: OUTSTANDING or PARTLY, the odd states. */
  isOutstanding(word: number): boolean {
    return (this.#words[word] & 1) !== 0;
  }

  /** Whether `take` takes slots for newcomers. */
  get isAimedAtNewcomers(): boolean {
    return this.#first !== this.#base;
  }

  /** Whether datagram `sequence` of `total` can belong to the reply that an outstanding slot waits for. */
  fitsReply(word: number, sequence: number, total: number): boolean {
    const state = this.#words[word];
    if ((state & STATE_MASK) === STATE_OUTSTANDING) return sequence === 0 || (state & SLOT_HAUNTED) === 0;
    const part = this.#part(word);
    if (this.#words[part + PART_TOTAL] !== total) return false;
    return sequence >= PARTS_SEEN_MAX || (this.#words[part + PART_SEEN] & (1 << sequence)) === 0;
  }

  /** Notes datagram `sequence` of a reply of `total`, which fits. Returns whether the reply is whole now. */
  noteReply(word: number, sequence: number, total: number): boolean {
    const isWhole = total === 1 || this.#notePart(word, sequence, total);
    if (isWhole) this.free(word);
    else this.#words[word] = (this.#words[word] & ~STATE_MASK) | STATE_PARTLY;
    return isWhole;
  }

  /** Nothing more is expected for the slot, and nothing haunts it. */
  free(word: number): void {
    this.#words[word] = (this.#words[word] & ~(STATE_MASK | SLOT_HAUNTED)) | STATE_ANSWERED;
  }

  #notePart(word: number, sequence: number, total: number): boolean {
    const words = this.#words;
    const part = this.#part(word);
    if ((words[word] & STATE_MASK) === STATE_OUTSTANDING) {
      words[part + PART_TOTAL] = total;
      words[part + PART_SEEN] = 0;
    }
    if (sequence < PARTS_SEEN_MAX) words[part + PART_SEEN] |= 1 << sequence;
    return total <= PARTS_SEEN_MAX && words[part + PART_SEEN] === ((-1 >>> (PARTS_SEEN_MAX - total)) | 0);
  }

  #part(word: number): number {
    return this.#parts + ((word - this.#base) >> SLOT_SHIFT) * PART_WORDS;
  }

  /** The age is known modulo 2^32 µs (71.6 minutes), so it is taken as unsigned: a slot forgotten for an hour is late. */
  isLate(word: number, nowUs: number): boolean {
    return (nowUs - this.#words[word + SLOT_SENT]) >>> 0 > this.#lifetimeUs;
  }

  sourcePort(word: number): number {
    return this.#firstPort + (this.indexOf(word) >>> IDS_PER_PORT_SHIFT);
  }

  requestId(word: number): number {
    return this.indexOf(word) & 0xffff;
  }

  /** Which slot has this first word. */
  indexOf(word: number): number {
    return (word - this.#base) >> SLOT_SHIFT;
  }
}

/** Slots looked at, at most, for one figure. */
const COUNTED_SLOTS_MAX = 1 << 20;
/** Slots in a row past the lifetime that end the look: a few may lie among younger ones that were passed over. */
const LATE_SLOTS = 64;
/** A lane's clock may be so far ahead of control's, µs: slots taken while we look are young. */
const AHEAD_US = 100_000;

/**
 * Control: adds, per row of the node table, the requests that an answer may still come for. In each circle it walks from the
 * newest slot back in time while a lane goes on; what changes meanwhile is counted as it was or as it is.
 * @param newcomers how many of the slots are a circle of their own, as for SlotTable
 */
export function countOutstanding(
  words: Int32Array,
  base: number,
  slots: number,
  newcomers: number,
  lifetimeUs: number,
  nowUs: number,
  rows: Float64Array,
): void {
  const main = slots - newcomers;
  const first = base + HEADER_WORDS;
  countCircle(words, first, main, words[base], lifetimeUs, nowUs, rows);
  countCircle(words, first + main * SLOT_WORDS, newcomers, words[base + 1], lifetimeUs, nowUs, rows);
}

function countCircle(
  words: Int32Array,
  first: number,
  length: number,
  next: number,
  lifetimeUs: number,
  nowUs: number,
  rows: Float64Array,
): void {
  let turn = next;
  let late = 0;
  for (let left = Math.min(length, COUNTED_SLOTS_MAX); left > 0 && late < LATE_SLOTS; left--) {
    turn = turn === 0 ? length - 1 : turn - 1;
    const slot = first + turn * SLOT_WORDS;
    const isLate = (nowUs - words[slot + SLOT_SENT] + AHEAD_US) >>> 0 > lifetimeUs + AHEAD_US;
    late = isLate ? late + 1 : 0;
    const isOpen = (words[slot] & (STATE_MASK | SLOT_QUIET)) === STATE_OUTSTANDING;
    if (isOpen && !isLate) rows[words[slot + SLOT_NODE_PORT] >>> 16] += 1;
  }
}
