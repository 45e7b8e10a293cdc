/**
 * nat's slot table: which client asked what under which of our own (source port, 16-bit request id).
 *
 *     slot s  ↔  source port = the lane's first port + (s >> 16),  request id = s & 0xffff
 *
 * so both ways are arithmetic: no hashing, no search, and the lane can be told from the port alone (fanout.ts).
 *
 * A slot is 8 words, half a cache line:
 *
 *     word 0  STATE        bits 0–1 state, 2 quiet; bits 8–15 verb; bits 16–31 the client's request id
 *          1  CLIENT       IPv4 address
 *          2  CLIENT_PORT  bits 0–15 UDP port; bits 16–31 upper 16 bits of the client's Ethernet address
 *          3  CLIENT_MAC   lower 32 bits of it
 *          4  NODE         IPv4 address
 *          5  NODE_PORT    bits 0–15 UDP port; bits 16–31 the node's row in the table it was steered by
 *          6  KEY_HASH     of the key asked for
 *          7  SENT         µs of the lane's clock, wrapping
 *
 * Slots are handed out in a circle: the one used longest ago comes next, so a late or repeated reply meets a slot that
 * has moved on only after slots ÷ rate seconds. States:
 *
 *     FREE ─take→ OUTSTANDING ─single reply→ ANSWERED ─take→ OUTSTANDING
 *     FREE ─take for noreply→ ANSWERED
 *                 OUTSTANDING ─datagram of several→ PARTLY ─others follow→ PARTLY (ends by its age)
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
export const SLOT_VERB_SHIFT = 8;
export const SLOT_ID_SHIFT = 16;

const PROBES_MAX = 16;
/** Slots looked at in a search: 8 ms of requests at 1 M/s, far more where requests are few. */
const SLOTS_SEARCHED = 8192;
/** Words before the first slot; word 0 is the slot whose turn is next, so that a restarted lane goes on in the circle. */
const HEADER_WORDS = 16;
const IDS_PER_PORT_SHIFT = 16;

/** Bytes of a table of `slots` slots. */
export function slotTableByteLength(slots: number): number {
  return (HEADER_WORDS + slots * SLOT_WORDS) * 4;
}

export class SlotTable {
  /** Slots passed over by the last `take`. */
  skipped = 0;
  /** 1 when the last `take` reused a slot whose request was never answered. */
  expired = 0;
  readonly #words: Int32Array;
  readonly #header: number;
  readonly #base: number;
  readonly #mask: number;
  readonly #firstPort: number;
  readonly #lifetimeUs: number;

  /**
   * @param base first word of the table (zeroed, or left by a lane before this one)
   * @param slots a power of two
   * @param firstPort first of the lane's own source ports; it has one for each 65,536 slots
   * @param lifetimeUs age from which no reply is expected any more, µs (< 2^30)
   */
  constructor(words: Int32Array, base: number, slots: number, firstPort: number, lifetimeUs: number) {
    this.#words = words;
    this.#header = base;
    this.#base = base + HEADER_WORDS;
    this.#mask = slots - 1;
    this.#firstPort = firstPort;
    this.#lifetimeUs = lifetimeUs;
  }

  /** Takes the next slot; returns its first word, or −1 when the next PROBES_MAX are all in use. `nowUs` wraps. */
  take(nowUs: number): number {
    this.skipped = 0;
    this.expired = 0;
    while (this.skipped < PROBES_MAX) {
      const next = this.#words[this.#header];
      const word = this.#base + next * SLOT_WORDS;
      this.#words[this.#header] = (next + 1) & this.#mask;
      if (!this.isOutstanding(word)) return word;
      if (this.isLate(word, nowUs)) {
        this.expired = (this.#words[word] & (STATE_MASK | SLOT_QUIET)) === STATE_OUTSTANDING ? 1 : 0;
        return word;
      }
      this.skipped++;
    }
    return -1;
  }

  /** First word of the slot that a reply to (`port`, `id`) belongs to, or −1 when the port is not this lane's. */
  find(port: number, id: number): number {
    const slot = ((port - this.#firstPort) << IDS_PER_PORT_SHIFT) | id;
    return slot >= 0 && slot <= this.#mask ? this.#base + slot * SLOT_WORDS : -1;
  }

  /**
   * Whether one of the requests of late was from (SLOT_CLIENT) or to (SLOT_NODE) this address and port. Goes back in the
   * circle from the slot whose turn is next, so the latest come first. Up to 50 µs: not for every frame.
   */
  isRecent(whom: number, address: number, port: number, nowUs: number): boolean {
    const words = this.#words;
    const turns = Math.min(SLOTS_SEARCHED, this.#mask + 1);
    for (let back = 1; back <= turns; back++) {
      const word = this.#base + ((words[this.#header] - back) & this.#mask) * SLOT_WORDS;
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

  /** Notes a datagram of a reply of `total`. */
  noteReply(word: number, total: number): void {
    const state = total === 1 ? STATE_ANSWERED : STATE_PARTLY;
    this.#words[word] = (this.#words[word] & ~STATE_MASK) | state;
  }

  /** The age is known modulo 2^32 µs (71.6 minutes), so it is taken as unsigned: a slot forgotten for an hour is late. */
  isLate(word: number, nowUs: number): boolean {
    return (nowUs - this.#words[word + SLOT_SENT]) >>> 0 > this.#lifetimeUs;
  }

  sourcePort(word: number): number {
    return this.#firstPort + (this.#slot(word) >>> IDS_PER_PORT_SHIFT);
  }

  requestId(word: number): number {
    return this.#slot(word) & 0xffff;
  }

  #slot(word: number): number {
    return (word - this.#base) >> SLOT_SHIFT;
  }
}
