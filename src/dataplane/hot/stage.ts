/**
 * The stage behind the requests: those for hot keys. What is done is a matter of the item's state (coherence/directory.ts).
 *
 *     state       reads                                                        writes
 *     PROMOTING   home, as of a cold key                                       wait for the stores under way
 *     CLEAN       answered here; fetched first, and waited for; a copy; home   begin (writes.ts), or are relayed (intake.ts)
 *     WRITING     answered here with the value before it (writes.ts); wait         wait
 *     UNSURE      home                                                         begin
 *     LEAVING     home                                                         home
 *
 * Who has waited as long as it may: a read goes home, which is always right; a write is refused. While a late `ME` of ours
 * may be under way (LOOSE) a read goes home only when it has waited as long as it may: fetches do, whose CAS is compared.
 */
import { isKeyOf, itemWord } from '../../cache/items.ts';
import * as directory from '../../coherence/directory.ts';
import { FRAME_HEADER_BYTES } from '../../memcached/frame-header.ts';
import { OUT_CLASS } from '../../memcached/located.ts';
import { REFUSED_BUSY, REFUSED_WRITE_WAIT } from '../../memcached/refusals.ts';
import { CLASS_READ } from '../../memcached/verbs.ts';
import { DROP, ROW_VERDICT } from '../../port/port.ts';
import * as udp from '../../wire/udp.ts';
import { Asked } from '../asked.ts';
import { COUNT } from '../counters.ts';
import { Forwarder } from '../forward.ts';
import { LIST_END, LIST_IP, LIST_ROW, LIST_UDP, LIST_WORDS } from '../list.ts';
import type { Path } from '../path.ts';
import { NO_HIT } from './hits.ts';
import type { Hot } from './hot.ts';

/** Longest wait of a request, ms: the sum of a write's repetitions. */
const WAIT_MS = 160;

/** Of a plain get, bytes from the start of its UDP header. */
const GET_KEY_AT = udp.HEADER_BYTES + FRAME_HEADER_BYTES + 4;
const CRLF_BYTES = 2;

export class HotStage {
  readonly #path: Path;
  readonly #hot: Hot;
  readonly #asked: Asked;
  readonly #forwarder: Forwarder;
  readonly #lane: number;
  /** Of the request in hand: it has waited, and as long as it may; until when it may. */
  #hasWaited = false;
  #isLate = false;
  #untilMs = 0;

  constructor(path: Path, hot: Hot) {
    this.#path = path;
    this.#hot = hot;
    this.#asked = new Asked(path.memory);
    this.#forwarder = new Forwarder(path, this.#asked);
    this.#lane = path.setup.lane;
  }

  /** Requests of the batch in hand. */
  run(batch: Int32Array, list: Int32Array, count: number): void {
    this.#hasWaited = false;
    this.#isLate = false;
    this.#untilMs = (this.#hot.keys.nowMs + WAIT_MS) | 0;
    const { listed } = this.#hot.keys;
    for (let i = 0; i < count; i++) {
      if (listed[i] < 0 || !this.#isHit(batch, list, i * LIST_WORDS, listed[i]))
        this.#serve(batch, list, i * LIST_WORDS);
    }
  }

  /** The common case by itself: a plain `get` of a value that is cached. */
  #isHit(batch: Int32Array, list: Int32Array, at: number, number: number): boolean {
    const { keys, fills, hits } = this.#hot;
    const { words } = keys;
    const item = itemWord(keys.items, number);
    const key = list[at + LIST_UDP] + GET_KEY_AT;
    const keyBytes = list[at + LIST_END] - CRLF_BYTES - key;
    if (!isKeyOf(keys.view, words, item, this.#path.memory.view, key, keyBytes)) return false;
    const version = keys.version(item);
    if (!directory.isOpen(words, item, version) || !fills.isServable(item)) return false;
    const row = list[at + LIST_ROW];
    const verdict = hits.plain(batch, row, list[at + LIST_IP], list[at + LIST_UDP], item, version);
    if (verdict === NO_HIT) return false;
    keys.countReadOf(number);
    batch[row + ROW_VERDICT] = verdict;
    return true;
  }

  /** Requests that have waited, as the waiting room gave them. */
  rerun(batch: Int32Array, count: number): void {
    const { waiting } = this.#hot;
    this.#hasWaited = true;
    for (let i = 0; i < count; i++) {
      this.#isLate = waiting.isLate[i] !== 0;
      this.#untilMs = waiting.untilMs[i];
      this.#serve(batch, waiting.rows, i * LIST_WORDS);
    }
  }

  #serve(batch: Int32Array, list: Int32Array, at: number): void {
    const row = list[at + LIST_ROW];
    const ipOffset = list[at + LIST_IP];
    batch[row + ROW_VERDICT] = this.#request(batch, row, ipOffset, list[at + LIST_UDP], list[at + LIST_END]);
  }

  #request(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number): number {
    const asked = this.#asked;
    asked.parse(udpOffset + udp.HEADER_BYTES + FRAME_HEADER_BYTES, end);
    asked.hash();
    const item = this.#hot.keys.find(asked);
    if (item < 0) return this.#forwarder.home(batch, row, ipOffset, udpOffset, end);
    if (asked.located[OUT_CLASS] === CLASS_READ) return this.#read(batch, row, ipOffset, udpOffset, end, item);
    return this.#write(batch, row, ipOffset, udpOffset, end, item);
  }

  #read(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number, item: number): number {
    const { keys, hits } = this.#hot;
    const { words } = keys;
    const version = Atomics.load(words, item + directory.VERSION);
    const state = words[item + directory.STATE];
    if (!this.#hasWaited) keys.countRead(item);
    if (directory.isOpen(words, item, version) && this.#hot.fills.isServable(item)) {
      const verdict = hits.answer(batch, row, ipOffset, udpOffset, item, version, this.#asked);
      if (verdict !== NO_HIT) return verdict;
    }
    return this.#readSlowly(batch, row, ipOffset, udpOffset, end, item, version, state);
  }

  #readSlowly(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    end: number,
    item: number,
    version: number,
    state: number,
  ): number {
    const { fills, hits, upkeep, keys } = this.#hot;
    const phase = state & directory.STATE_MASK;
    if (phase === directory.UNSURE && (upkeep.endUnsure(item) || upkeep.hasMoved(item))) {
      return this.#read(batch, row, ipOffset, udpOffset, end, item);
    }
    if (phase === directory.WRITING || (version & 1) !== 0)
      return this.#waitOrHome(batch, row, ipOffset, udpOffset, end, item, version);
    if (phase !== directory.CLEAN) return this.#home(batch, row, ipOffset, udpOffset, end, item);
    if (!upkeep.isAtHome(item)) return this.#waitOrHome(batch, row, ipOffset, udpOffset, end, item, version);
    if ((state & directory.ABSENT) !== 0 && (this.#hasWaited || (state & directory.TOMB) !== 0)) {
      upkeep.buryIfDue(item);
      const verdict = hits.absent(batch, row, ipOffset, udpOffset, this.#asked);
      if (verdict !== NO_HIT) return verdict;
    }
    // Home would tell an aliased item's CAS, which no client knows: it is fetched, and answered here until it is written.
    const isCacheable =
      keys.words[item + directory.CACHED] !== 0 || (state & (directory.LOOSE | directory.ALIASED)) !== 0;
    const isLacking = (state & directory.VALUED) === 0 || fills.isStale(item);
    if (isCacheable && isLacking && !this.#isLate && fills.want(item)) {
      return this.#waitOrHome(batch, row, ipOffset, udpOffset, end, item, version);
    }
    return this.#copyOrHome(batch, row, ipOffset, udpOffset, end, item);
  }

  #copyOrHome(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number, item: number): number {
    const node = this.#hot.replicas.choose(item, this.#asked);
    if (node < 0) return this.#home(batch, row, ipOffset, udpOffset, end, item);
    this.#forwarder.slot = -1;
    const verdict = this.#forwarder.throughSlot(batch, row, ipOffset, udpOffset, end, node);
    if (this.#forwarder.slot >= 0) this.#hot.replicas.mark(this.#forwarder.slot);
    return verdict;
  }

  /** Whoever asks home for a hot key hears through us what it says: a miss empties the cache before it travels on. */
  #home(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number, item: number): number {
    const { words } = this.#hot.keys;
    if ((words[item + directory.STATE] & directory.TOMB) !== 0) {
      const verdict = this.#hot.hits.absent(batch, row, ipOffset, udpOffset, this.#asked);
      if (verdict !== NO_HIT) return verdict;
    }
    directory.leak(words, item, this.#hot.keys.nowMs);
    const node = this.#hot.upkeep.knownHome(item);
    if (node < 0) return this.#forwarder.home(batch, row, ipOffset, udpOffset, end);
    return this.#forwarder.throughSlot(batch, row, ipOffset, udpOffset, end, node);
  }

  #waitOrHome(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    end: number,
    item: number,
    version: number,
  ): number {
    if (this.#wait(batch, row, ipOffset, udpOffset, end, item, version)) return DROP;
    return this.#home(batch, row, ipOffset, udpOffset, end, item);
  }

  #wait(
    batch: Int32Array,
    row: number,
    ipOffset: number,
    udpOffset: number,
    end: number,
    item: number,
    version: number,
  ): boolean {
    if (this.#isLate) return false;
    const { waiting } = this.#hot;
    const waits = waiting.put(batch, row, ipOffset, udpOffset, end, item, version, this.#untilMs);
    this.#path.memory.counters[waits ? COUNT.hot_waits : COUNT.hot_waits_refused] += 1;
    if (!this.#hasWaited && directory.stateOf(this.#hot.keys.words, item) === directory.WRITING)
      this.#hot.keys.countWait(item);
    return waits;
  }

  #write(batch: Int32Array, row: number, ipOffset: number, udpOffset: number, end: number, item: number): number {
    const { keys, intake, upkeep } = this.#hot;
    const { words } = keys;
    const version = Atomics.load(words, item + directory.VERSION);
    const phase = directory.stateOf(words, item);
    if (!this.#hasWaited) keys.countWrite(item);
    if (phase === directory.PROMOTING && !keys.seesAnswers && !keys.isPastLife(item)) {
      return this.#home(batch, row, ipOffset, udpOffset, end, item);
    }
    if (phase === directory.FREE || phase === directory.LEAVING) {
      return this.#home(batch, row, ipOffset, udpOffset, end, item);
    }
    if (phase === directory.UNSURE) upkeep.endUnsure(item);
    const isReady = phase === directory.CLEAN || phase === directory.UNSURE;
    if (isReady && directory.tryLock(words, item, this.#lane)) {
      const verdict = intake.write(batch, row, ipOffset, udpOffset, end, item, this.#asked, this.#forwarder);
      if (verdict !== NO_HIT) return verdict;
    } else if (!this.#hasWaited) {
      const verdict = intake.repeated(batch, row, ipOffset, udpOffset, end);
      if (verdict !== NO_HIT) return verdict;
    }
    if (this.#wait(batch, row, ipOffset, udpOffset, end, item, version)) return DROP;
    const reason = this.#isLate ? REFUSED_WRITE_WAIT : REFUSED_BUSY;
    return this.#forwarder.refuser.refuse(batch, row, ipOffset, udpOffset, reason, this.#asked.located);
  }
}
