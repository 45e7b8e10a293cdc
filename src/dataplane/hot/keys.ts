/**
 * Which keys are hot, as a lane sees it: it counts what it is asked for, says who rises, and finds items. What happens to
 * a request for one of them is the business of stage.ts.
 */
import { ITEM_WORDS, isKeyOf, itemWord } from '../../cache/items.ts';
import { Lookup } from '../../cache/layers.ts';
import { AHEAD_MS_MAX, FETCHED_MS, VERSION } from '../../coherence/directory.ts';
import { noteStore, noteStored, storeBucket, storesDrained } from '../../coherence/stores.ts';
import type { Detector } from '../../hotkey/detector.ts';
import { openDetector } from '../../hotkey/detectors.ts';
import { InstantDetector } from '../../hotkey/instant.ts';
import { sampleGap } from '../../hotkey/sampling.ts';
import type { Arena } from '../../mem/arena.ts';
import { mix32 } from '../../mem/mix.ts';
import { Ring } from '../../mem/ring.ts';
import { isPlainKey } from '../../memcached/own-meta.ts';
import { DROP } from '../../port/port.ts';
import type { Asked } from '../asked.ts';
import { BATCH_ROWS, LIST_END, LIST_IP, LIST_ROW, LIST_UDP, LIST_WORDS } from '../list.ts';
import {
  answeredWord,
  CANDIDATE_ESTIMATE,
  CANDIDATE_HASH,
  CANDIDATE_INSTANT,
  CANDIDATE_KEY,
  CANDIDATE_KEY_LENGTH,
  CANDIDATE_ROWS,
  CANDIDATE_WORDS,
  COUNTS_WORDS,
  HOT_LIVES,
  HOT_THRESHOLDS,
  type HotSetup,
  ORDER_ROWS,
  ORDER_WORDS,
  perLane,
  timeWord,
} from './setup.ts';

/**
 * One request in so many is counted, for so many: all while they come singly, one in 4 under load, one in 64 of batches
 * that are nearly full, when a lane has no time to lose and there is plenty to count.
 */
const STRIDE_BUSY = 4;
const BUSY_ROWS = 12;
const STRIDE_FULL = 64;
const FULL_ROWS = 56;
/** Gaps between requests that are counted, drawn once for ever. */
const GAPS = 1024;
/** In `listed`: not a plain get. */
export const NOT_PLAIN = -1;
/** Candidates said lately, by hash: no second word about one for a while. */
const SAID_ROWS = 1024;
const SAID_MS = 200;
/** And for its lane's turn. */
const STALL_MS = 100;

export class HotKeys {
  readonly setup: HotSetup;
  readonly lane: number;
  /** The shared arena. */
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Requests for hot keys of the batch in hand. */
  readonly rows = new Int32Array(BATCH_ROWS * LIST_WORDS);
  rowCount = 0;
  /** Of each: the item's number, when the request is a plain `get`. */
  readonly listed = new Int32Array(BATCH_ROWS);
  readonly orders: Ring;
  readonly control: number;
  readonly items: number;
  /** Times by the lane's clock, ms, wrapping. */
  nowMs = 0;
  readonly #candidates: Ring;
  readonly #lookup: Lookup;
  readonly #detector: Detector;
  readonly #instant: InstantDetector;
  readonly #counts: number;
  readonly #stores: number;
  readonly #threshold: number;
  readonly #saidHash = new Int32Array(SAID_ROWS);
  readonly #saidMs = new Int32Array(SAID_ROWS);
  readonly #seesAnswers: boolean;
  readonly #isAlone: boolean;
  /** Words where each lane says what time it has, and up to when it has answers. */
  readonly #times: number;
  readonly #answered: number;
  /** Another for each lane, and after each crash. */
  readonly life: number;
  readonly #gaps: Uint16Array;
  readonly #longGaps: Uint16Array;
  #epochMs = 0;
  #stride = 1;
  #untilSample = 1;
  #random: number;

  /** How long a read that went home may be under way, ms: beside the life of a datagram, it may wait for its next hop. */
  readonly readMs: number;

  /**
   * @param seed of the sampling and the nonces
   * @param parkedMs how long a frame may wait for its next hop
   */
  constructor(setup: HotSetup, lane: number, shared: Arena, seesAnswers: boolean, seed: number, parkedMs: number) {
    const { ordersOffset, candidatesOffset, countsOffset, detectorOffset, instantOffset } = perLane(setup, lane);
    this.setup = setup;
    this.lane = lane;
    this.readMs = setup.lifeMs + parkedMs + STALL_MS;
    this.words = shared.words;
    this.bytes = shared.bytes;
    this.view = shared.view;
    this.control = setup.controlOffset >> 2;
    this.items = setup.itemsOffset >> 2;
    this.orders = new Ring(shared.words, ordersOffset >> 2, ORDER_ROWS, ORDER_WORDS);
    this.#candidates = new Ring(shared.words, candidatesOffset >> 2, CANDIDATE_ROWS, CANDIDATE_WORDS);
    this.#lookup = new Lookup(shared.words, setup.layersOffset >> 2);
    const { name, options, instant } = setup.detector;
    this.#detector = openDetector(name, shared.words, detectorOffset >> 2, options);
    this.#instant = new InstantDetector(shared.words, instantOffset >> 2, instant);
    this.#counts = countsOffset >> 2;
    this.#stores = setup.storesOffset >> 2;
    this.#threshold = this.control + HOT_THRESHOLDS + lane;
    this.#times = this.control + timeWord(setup.lanes, 0);
    this.#answered = this.control + answeredWord(setup.lanes, 0);
    this.#seesAnswers = seesAnswers;
    this.#isAlone = setup.lanes === 1;
    this.life = mix32(Atomics.add(shared.words, this.control + HOT_LIVES, 1) + 1);
    this.#random = (seed ^ this.life) | 1;
    this.#gaps = Uint16Array.from({ length: GAPS }, () => sampleGap(this.random(), STRIDE_BUSY));
    this.#longGaps = Uint16Array.from({ length: GAPS }, () => sampleGap(this.random(), STRIDE_FULL));
  }

  /** Begins the requests of a batch: so many there are. */
  begin(rows: number): void {
    this.rowCount = 0;
    if (rows < BUSY_ROWS) this.#stride = 1;
    else this.#stride = rows < FULL_ROWS ? STRIDE_BUSY : STRIDE_FULL;
  }

  /** Counts a request; the number of the item that may be its key's (another key may have its hash), or −1. */
  meets(hash: number, asked: Asked): number {
    if (--this.#untilSample <= 0) this.#sample(hash, asked);
    // The rare search is a call of its own: V8 does not inline what is called so seldom.
    return this.#lookup.mayHold(hash) ? this.#lookup.find(hash) : -1;
  }

  /** Puts the row on the list for the stage behind; returns its verdict until then. */
  list(row: number, ipOffset: number, udpOffset: number, end: number, item: number, isPlain: boolean): number {
    this.listed[this.rowCount] = isPlain ? item : NOT_PLAIN;
    const at = this.rowCount++ * LIST_WORDS;
    this.rows[at + LIST_ROW] = row;
    this.rows[at + LIST_IP] = ipOffset;
    this.rows[at + LIST_UDP] = udpOffset;
    this.rows[at + LIST_END] = end;
    return DROP;
  }

  /** First word of the item of the key asked for, or −1. */
  find(asked: Asked): number {
    const item = this.byHash(asked.keyHash);
    if (item < 0) return -1;
    return isKeyOf(this.view, this.words, item, asked.view, asked.key, asked.keyBytes) ? item : -1;
  }

  /** First word of the item with this hash, or −1; its key may be another. */
  byHash(hash: number): number {
    const item = this.#lookup.find(hash);
    return item < 0 ? -1 : itemWord(this.items, item);
  }

  /** Whether no key is hot. */
  get areNone(): boolean {
    return this.#lookup.isEmpty;
  }

  /** False: no item has this hash. */
  mayKnow(hash: number): boolean {
    return this.#lookup.mayHold(hash);
  }

  /** A request for the item was served here. */
  countRead(item: number): void {
    this.words[this.#countsOf(item)] += 1;
  }

  /** The same, of the item with this number. */
  countReadOf(number: number): void {
    this.words[this.#counts + number * COUNTS_WORDS] += 1;
  }

  /** VERSION of an item. With one lane, nobody else changes what this one reads. */
  version(item: number): number {
    return this.#isAlone ? this.words[item + VERSION] : Atomics.load(this.words, item + VERSION);
  }

  countWrite(item: number): void {
    this.words[this.#countsOf(item) + 1] += 1;
  }

  countWait(item: number): void {
    this.words[this.#countsOf(item) + 2] += 1;
  }

  #countsOf(item: number): number {
    return this.#counts + (((item - this.items) / ITEM_WORDS) | 0) * COUNTS_WORDS;
  }

  /** A store of a key that is not hot goes out. */
  noteStore(hash: number): void {
    noteStore(this.words, storeBucket(this.#stores, this.lane, hash), this.nowMs, this.setup.lifeMs);
  }

  noteStored(hash: number): void {
    noteStored(this.words, storeBucket(this.#stores, this.lane, hash));
  }

  /** Whether none of the stores counted so far, in any lane, can still reach a node. */
  isDrained(hash: number): boolean {
    const { words, setup, nowMs } = this;
    return storesDrained(words, this.#stores, setup.lanes, hash, nowMs, setup.lifeMs);
  }

  /** Whether nothing that was sent before the item was published can still arrive. */
  isPastLife(item: number): boolean {
    return ((this.nowMs - this.words[item + FETCHED_MS]) | 0) > this.setup.lifeMs;
  }

  /** Without slots, requests that were sent before a key became hot leave no trace but time. */
  get seesAnswers(): boolean {
    return this.#seesAnswers;
  }

  /** This lane has begun a cycle, and has all answers to what it sent before that time, ms. */
  sayAnswered(ms: number): void {
    Atomics.store(this.words, this.#times + this.lane, this.nowMs);
    Atomics.store(this.words, this.#answered + this.lane, ms);
  }

  /**
   * All that lanes have sent before this time, by the clock of their cycles, has been answered, ms. Hence a read noted before it
   * (directory.leak) has been: its lane notes it with the time of the cycle in which it is sent, or finds a later one noted.
   */
  get answeredMs(): number {
    const { nowMs, words } = this;
    let ageMs = this.#seesAnswers ? 0 : this.readMs;
    for (let lane = 0; lane < this.setup.lanes; lane++)
      ageMs = Math.max(ageMs, (nowMs - Atomics.load(words, this.#answered + lane)) | 0);
    return (nowMs - Math.min(ageMs, this.readMs)) | 0;
  }

  /** The latest time at which any lane has begun a cycle while keys were hot, ms. */
  get latestMs(): number {
    let aheadMs = 0;
    for (let lane = 0; lane < this.setup.lanes; lane++) {
      const ms = (Atomics.load(this.words, this.#times + lane) - this.nowMs) | 0;
      // More is no time ahead, but one so long ago that it looks like it.
      if (ms < AHEAD_MS_MAX) aheadMs = Math.max(aheadMs, ms);
    }
    return (this.nowMs + aheadMs) | 0;
  }

  /** Once a cycle: what was counted long ago fades. */
  endEpochIfDue(): void {
    if (((this.nowMs - this.#epochMs) | 0) < this.setup.epochMs) return;
    this.#epochMs = this.nowMs;
    this.#detector.decay();
  }

  /** A random int32. */
  random(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return mix32(x);
  }

  /** Counts for the requests that were passed over, too. Gaps are random, lest traffic with a beat hides. */
  #sample(hash: number, asked: Asked): void {
    const stride = this.#stride;
    this.#untilSample = this.#gap(stride);
    const estimate = this.#detector.update(hash, stride);
    const isInstant = this.#instant.note(hash);
    // One sample says nothing of a key: it stands for `stride` requests, and most keys in it were lucky.
    if (!isInstant && estimate < Math.max(this.words[this.#threshold], 2 * stride)) return;
    if (this.#lookup.find(hash) < 0) this.#say(hash, estimate, isInstant, asked);
  }

  #gap(stride: number): number {
    if (stride === 1) return 1;
    return (stride === STRIDE_BUSY ? this.#gaps : this.#longGaps)[this.random() & (GAPS - 1)];
  }

  #say(hash: number, estimate: number, isInstant: boolean, asked: Asked): void {
    const row = hash & (SAID_ROWS - 1);
    if (this.#saidHash[row] === hash && ((this.nowMs - this.#saidMs[row]) | 0) < SAID_MS) return;
    this.#saidHash[row] = hash;
    this.#saidMs[row] = this.nowMs;
    if (!isPlainKey(asked.bytes, asked.key, asked.keyBytes)) return;
    const at = this.#candidates.claim();
    if (at < 0) return;
    this.words[at + CANDIDATE_HASH] = hash;
    this.words[at + CANDIDATE_ESTIMATE] = estimate;
    this.words[at + CANDIDATE_INSTANT] = isInstant ? 1 : 0;
    this.words[at + CANDIDATE_KEY_LENGTH] = asked.keyBytes;
    const key = (at + CANDIDATE_KEY) << 2;
    for (let byte = 0; byte < asked.keyBytes; byte++) this.bytes[key + byte] = asked.bytes[asked.key + byte];
    this.#candidates.publish();
  }
}
