/**
 * Decides which keys are hot. It alone puts items into the layers and takes them out; lanes carry its orders out. It has no
 * clock of its own: whoever drives it says the time, each TICK_MS by the conductor or the simulation.
 *
 *     each tick    candidates that lanes have said → items; items under way move on (roster.ts); thresholds for lanes
 *     each epoch   spread over ticks: heat (heat.ts) → layers; who is cold, or written too much, leaves; copies (replication.ts)
 *
 * A tick costs what has changed, an epoch what there is. A candidate with the share that is asked for becomes an item in the
 * tick it is said in. With all items in use, newcomers wait until the end of the epoch, where the coolest make room.
 */
import { itemWord } from '../../cache/items.ts';
import { ADMITTED as LAYERS_ADMITTED, Layers, REFUSED_HASH } from '../../cache/layers.ts';
import * as directory from '../../coherence/directory.ts';
import { type HotSetup, ORDER_COPY, ORDER_DEMOTE, ORDER_PROMOTE } from '../../dataplane/hot/setup.ts';
import type { Arena } from '../../mem/arena.ts';
import { hashKey } from '../../mem/murmur3.ts';
import { type Leaving, noCounts } from './counts.ts';
import { Heat } from './heat.ts';
import { type Candidate, type DetectorFigures, Intake } from './intake.ts';
import { admitItem } from './items.ts';
import { LeftAlone } from './left-alone.ts';
import { HotLists } from './lists.ts';
import { Orders } from './orders.ts';
import type { Placement } from './placement.ts';
import type { KeptLanes } from './pulse.ts';
import { bareKeys, Replication } from './replication.ts';
import * as roster from './roster.ts';
import type { HotControlSettings, HotLimits } from './settings.ts';
import { ValueWatch } from './values.ts';

export const TICK_MS = 10;
/**
 * Requests, halved each epoch, from which a key may be hot, however little else there is; and where there is so much that
 * lanes are busy, and values are cached, which pays from the second read on.
 */
const HEAT_MIN = 32;
const HEAT_MIN_BUSY = 8;
/** Requests of all keys, halved each epoch: with the default epoch, some 10,000 a second. */
const BUSY_COUNT = 1 << 16;
/** And from which it may be when it rose in an instant. */
const HEAT_MIN_INSTANT = 8;
/** Below it, or below a fraction of the share that makes a key hot, an item is cold. */
const HEAT_COLD = 2;
const COLD_FRACTION = 0.25;
/** So many epochs in a row, and it leaves; while so large a share of the places is free, `hot.keep_s` says when. */
const COLD_EPOCHS = 2;
const ROOMY_SHARE = 0.25;
/** Requests from which a share of writes counts. */
const WRITES_JUDGED_MIN = 32;
/**
 * Keys that rose slowly are admitted at so many a second, and so many at once: where thousands do, as after a start, lanes
 * must not be kept from their work. They say the others again.
 */
const ADMITTED_PER_S = 1000;
const ADMITTED_AT_ONCE = 64;
/** Lanes that do not take a new item up for so long stall: it is given up, for writes to it wait, ms. */
const ADMIT_MS_MAX = 150;
/** How long keys are left alone at first, ms: written too much; not drained; no place for their hash. */
const WRITTEN_MS = 10_000;
/** A key of whose requests a larger share waits for writes is left to its node. */
const WAIT_SHARE_MAX = 0.7;
const UNDRAINED_MS = 1000;
/** One that is not cached and written too often for copies is so for long. */
const VOID_MS = 60_000;
const HASHED_MS = 30_000;
/** Why keys are left alone. */
const WHY_UNDRAINED = 'stores of it were under way for too long';
const WHY_STALLED = 'a lane stalled and did not take it up';
const WHY_TWIN = 'another hot key has its hash';
const WHY_CROWDED = 'too many hot keys lie near its hash';
const WHY_WRITTEN = 'too many of its requests are writes (hot.write_share_max)';
const WHY_WAITING = 'too many of its requests wait for a write';
const WHY_VOID = 'its value is not cached, and it is written too often for copies to be of use';
/** Items that are judged in a tick, at least. */
const JUDGED_MIN = 32;
/** Newcomers that wait for the end of the epoch. */
const NEWCOMERS_MAX = 1024;
/** An item that is under way for so long is reported, beyond what L explains, ms. */
const STUCK_MS = 5000;

type Area = Omit<HotSetup, 'laneOffset'>;

export interface KeeperPlace {
  readonly shared: Arena;
  readonly area: Area;
  readonly settings: HotControlSettings;
  /** Asked in ticks alone. */
  readonly lanes: KeptLanes;
  readonly placement: Placement;
  /** Any int32, all equally likely. */
  readonly random: () => number;
}

export class Keeper {
  readonly layers: Layers;
  readonly heat: Heat;
  readonly items: roster.Roster;
  readonly lists: HotLists;
  readonly intake: Intake;
  readonly replication: Replication;
  readonly area: Area;
  readonly shared: Arena;
  readonly counts = noCounts();
  limits: HotLimits;
  /** Length of the last epoch, ms. */
  epochMs: number;
  nowMs = 0;
  #configured: HotLimits;
  readonly #caches: boolean;
  #keepMs: number;
  readonly #orders: Orders;
  readonly #values: ValueWatch;
  readonly #alone = new LeftAlone();
  readonly #newcomers = new Map<number, Candidate>();
  readonly #scores = new Int32Array(NEWCOMERS_MAX);
  #allowance = ADMITTED_AT_ONCE;
  /** Share in force: that of the coolest item when no number is free. */
  #share: number;
  #epochSinceMs = Number.NaN;
  #detectors: DetectorFigures | undefined;
  /** Items whose turn in this epoch is still to come. */
  #unjudged: number[] = [];

  /** Before any lane attaches. */
  constructor(place: KeeperPlace) {
    const { shared, area, settings, lanes, placement, random } = place;
    this.shared = shared;
    this.area = area;
    this.limits = settings.limits;
    this.#configured = settings.limits;
    this.epochMs = area.epochMs;
    this.#caches = settings.cache;
    this.#keepMs = settings.keepMs;
    this.#share = settings.limits.share;
    this.layers = new Layers(shared.words, area.layersOffset >> 2, area, random);
    this.heat = new Heat(shared.words, area);
    this.items = new roster.Roster(area.items);
    this.lists = new HotLists(settings, area.items);
    this.intake = new Intake(shared, area);
    this.replication = new Replication(placement);
    this.#orders = new Orders(shared, area, lanes, this.items);
    this.#values = new ValueWatch(shared.words, area.items);
    this.intake.setThresholds(this.#share, this.#heatMin);
  }

  /** @param nowMs of the lanes' clock */
  tick(nowMs: number): void {
    this.#allowance = Math.min(ADMITTED_AT_ONCE, this.#allowance + ((nowMs - this.nowMs) * ADMITTED_PER_S) / 1000);
    this.nowMs = nowMs;
    if (Number.isNaN(this.#epochSinceMs)) this.#epochSinceMs = nowMs;
    this.#orders.look(nowMs);
    for (const candidate of this.intake.candidates()) this.#consider(candidate);
    for (const item of this.items.moving) this.#moveOn(item);
    this.#admitPinned();
    this.intake.setThresholds(this.#share, this.#heatMin);
    this.#judgeSome(this.#judgedPerTick);
    if (nowMs - this.#epochSinceMs >= this.area.epochMs) this.#endEpoch();
  }

  /** What can change at run time. */
  adopt(settings: HotControlSettings): void {
    // Limits that were said at run time stay until the file says others.
    if (JSON.stringify(settings.limits) !== JSON.stringify(this.#configured)) this.limits = settings.limits;
    this.#configured = settings.limits;
    this.#keepMs = settings.keepMs;
    this.lists.adopt(settings);
    for (const item of this.items.live) {
      this.#mark(item, this.lists.isPinned(this.items.key[item]!));
      if (this.lists.isBanned(this.items.key[item]!)) this.#leave(item, 'leftBanned');
    }
  }

  /** @throws HotListError */
  pin(key: Uint8Array): void {
    this.lists.pin(key);
    const item = this.find(key);
    this.#alone.delete(this.#hashOf(key));
    if (item >= 0 && this.items.live.has(item)) this.#mark(item, true);
    else this.#admitPinned();
  }

  unpin(key: Uint8Array): void {
    this.lists.unpin(key);
    const item = this.find(key);
    if (item >= 0) this.#mark(item, false);
  }

  ban(key: Uint8Array): void {
    const item = this.find(key);
    this.lists.ban(key);
    if (item < 0) return;
    this.#mark(item, false);
    this.#leave(item, 'leftBanned');
  }

  unban(key: Uint8Array): void {
    this.lists.unban(key);
  }

  /** The item of this key, leaving or not; −1 when it has none. */
  find(key: Uint8Array): number {
    const item = this.layers.find(this.#hashOf(key));
    return item >= 0 && this.items.key[item] === Buffer.from(key).toString('latin1') ? item : -1;
  }

  /** First word of an item. */
  wordOf(item: number): number {
    return itemWord(this.area.itemsOffset >> 2, item);
  }

  /** Items that are under way for longer than anything explains. */
  get stuck(): number {
    let stuck = 0;
    for (const item of this.items.moving) {
      const isLong = this.nowMs - this.items.sinceMs[item]! > 3 * this.area.lifeMs + STUCK_MS;
      if (isLong && this.items.phase[item] !== roster.RESTING) stuck++;
    }
    return stuck;
  }

  /** Share of the requests from which a key is hot now. */
  get share(): number {
    return this.#share;
  }

  /** As they were when they were asked for first in this epoch: every row is looked at. */
  get detectors(): DetectorFigures {
    this.#detectors ??= this.intake.figures();
    return this.#detectors;
  }

  /** Why the key with this hash is left alone for now, and for how long yet. */
  leftAloneFor(hash: number): { readonly why: string; readonly ms: number } | undefined {
    const spell = this.#alone.of(hash, this.nowMs);
    return spell && { why: spell.why, ms: spell.untilMs - this.nowMs };
  }

  get leftAlone(): number {
    return this.#alone.size;
  }

  get #judgedPerTick(): number {
    return JUDGED_MIN + Math.ceil((2 * this.items.live.size * TICK_MS) / this.area.epochMs);
  }

  #hashOf(key: Uint8Array): number {
    return hashKey(key, new DataView(key.buffer, key.byteOffset, key.byteLength), 0, key.byteLength);
  }

  #consider(candidate: Candidate): void {
    this.counts.candidates++;
    const { hash, key, isInstant } = candidate;
    if (this.layers.find(hash) >= 0 || this.#alone.has(hash, this.nowMs)) return;
    if (this.lists.isBanned(key.toString('latin1'))) return;
    const { estimate, error } = this.intake.heavy(hash);
    const isHeavy = estimate >= this.#heatMin && estimate + error >= this.#share * this.intake.count;
    if (!isHeavy && !(isInstant && estimate >= HEAT_MIN_INSTANT)) return;
    if (this.items.freeCount > this.#reserved) this.#admitInTurn(hash, key, estimate, isInstant);
    else if (this.#newcomers.size < NEWCOMERS_MAX) this.#newcomers.set(hash, candidate);
  }

  #admitInTurn(hash: number, key: Buffer, estimate: number, isInstant: boolean): void {
    if (!isInstant && this.#allowance < 1) return;
    this.#allowance -= 1;
    this.#admit(hash, key, estimate);
  }

  get #heatMin(): number {
    return this.#caches && this.intake.count >= BUSY_COUNT ? HEAT_MIN_BUSY : HEAT_MIN;
  }

  get #coldEpochsMax(): number {
    const isRoomy = this.#caches && this.items.freeCount >= ROOMY_SHARE * this.area.items;
    return isRoomy ? Math.max(COLD_EPOCHS, this.#keepMs / this.area.epochMs) : COLD_EPOCHS;
  }

  /** Numbers that are kept for pinned keys. */
  get #reserved(): number {
    return this.lists.waiting.size;
  }

  #admit(hash: number, key: Buffer, score: number): boolean {
    const item = this.items.nextFree;
    if (item < 0) return false;
    const treatment = { cached: this.#caches, copies: 1 };
    const { shared, area, layers } = this;
    const answer = admitItem(shared, area, layers, item, key, score, this.nowMs | 0, treatment);
    if (answer !== LAYERS_ADMITTED) {
      const isTwin = answer === REFUSED_HASH;
      this.counts[isTwin ? 'twins' : 'crowded']++;
      this.#alone.add(hash, this.nowMs, HASHED_MS, isTwin ? WHY_TWIN : WHY_CROWDED);
      return false;
    }
    this.counts.admitted++;
    const text = key.toString('latin1');
    this.items.take(hash, text, this.nowMs);
    this.heat.begin(item, score);
    this.replication.forget(item);
    this.#values.begin(item);
    this.#orders.pulse.mark(item);
    if (this.lists.isPinned(text)) this.layers.pin(item);
    return true;
  }

  #admitPinned(): void {
    for (const text of this.lists.waiting) {
      const key = Buffer.from(text, 'latin1');
      const hash = this.#hashOf(key);
      if (this.layers.find(hash) >= 0 || this.#alone.has(hash, this.nowMs)) continue;
      if (this.#admit(hash, key, this.#heatMin)) this.lists.waiting.delete(text);
    }
  }

  #mark(item: number, isPinned: boolean): void {
    if (!isPinned) return this.layers.unpin(item);
    this.layers.pin(item);
    this.lists.waiting.delete(this.items.key[item]!);
  }

  /** An item in a phase that ends by what lanes do. */
  #moveOn(item: number): void {
    const phase = this.items.phase[item]!;
    const state = this.shared.words[this.wordOf(item) + directory.STATE]! & directory.STATE_MASK;
    if (phase === roster.RESTING) return this.#rest(item);
    if (state === directory.FREE) return this.#freed(item, phase);
    if (phase === roster.ADMITTED) return this.#awaitLanes(item);
    if (phase === roster.PROMOTING && state !== directory.PROMOTING) {
      return this.items.enter(item, roster.HOT, this.nowMs);
    }
    this.#orders.see(item, phase === roster.PROMOTING ? ORDER_PROMOTE : ORDER_DEMOTE);
  }

  #awaitLanes(item: number): void {
    if (this.#orders.pulse.hasPassed(item)) {
      this.items.enter(item, roster.PROMOTING, this.nowMs);
      this.#orders.see(item, ORDER_PROMOTE);
    } else if (this.nowMs - this.items.sinceMs[item]! > ADMIT_MS_MAX) {
      this.#alone.add(this.items.hash[item]!, this.nowMs, UNDRAINED_MS, WHY_STALLED);
      this.#enterLeaving(item);
    }
  }

  /** Lanes have let go of the item, as ordered or because it did not drain. */
  #freed(item: number, phase: number): void {
    const { items } = this;
    if (phase !== roster.LEAVING) {
      this.counts.undrained++;
      this.#alone.add(items.hash[item]!, this.nowMs, UNDRAINED_MS, WHY_UNDRAINED);
    }
    const text = items.key[item]!;
    if (this.lists.isPinned(text)) this.lists.waiting.add(text);
    this.layers.unpin(item);
    this.layers.remove(item);
    items.enter(item, roster.RESTING, this.nowMs);
    this.#orders.pulse.mark(item);
  }

  #rest(item: number): void {
    const { sinceMs } = this.items;
    if (this.nowMs - sinceMs[item]! <= this.area.lifeMs || !this.#orders.pulse.hasPassed(item)) return;
    // An order for its last key must not be carried out on its next.
    if (!this.#orders.areTakenSince(sinceMs[item]!)) return;
    this.items.enter(item, roster.FREE, this.nowMs);
  }

  #leave(item: number, why: Leaving): void {
    if (!this.items.live.has(item)) return;
    this.counts[why]++;
    this.#enterLeaving(item);
  }

  #enterLeaving(item: number): void {
    this.layers.unpin(item);
    this.items.enter(item, roster.LEAVING, this.nowMs);
    this.#orders.see(item, ORDER_DEMOTE);
  }

  #endEpoch(): void {
    this.#judgeSome(this.#unjudged.length);
    this.epochMs = this.nowMs - this.#epochSinceMs;
    this.#epochSinceMs = this.nowMs;
    this.#detectors = undefined;
    this.#alone.sweep(this.nowMs);
    this.#unjudged = [...this.items.live];
    if (this.#unjudged.length === 0) this.#turnLayers();
  }

  /** Items are judged over half an epoch, a few a tick: a tick must not take long. Then layers and copies follow. */
  #judgeSome(count: number): void {
    if (this.#unjudged.length === 0) return;
    const cold = Math.max(HEAT_COLD, COLD_FRACTION * this.limits.share * this.intake.count);
    for (const item of this.#unjudged.splice(-count)) if (this.items.live.has(item)) this.#judge(item, cold);
    if (this.#unjudged.length === 0) this.#turnLayers();
  }

  #judge(item: number, cold: number): void {
    const { heat, items, counts } = this;
    heat.turn(item);
    counts[this.layers.layerOf(item) === 1 ? 'l1Reads' : 'l2Reads'] += heat.lastReads[item]!;
    counts.writes += heat.lastWrites[item]!;
    this.layers.rescore(item, heat.reads[item]!);
    if (items.phase[item] !== roster.HOT) return;
    if (this.#caches) this.#values.turn(item, this.wordOf(item), heat.lastReads[item]!, this.nowMs);
    if (this.lists.isPinned(items.key[item]!)) return;
    items.coldEpochs[item] = heat.of(item) < cold ? items.coldEpochs[item]! + 1 : 0;
    if (items.coldEpochs[item]! >= this.#coldEpochsMax) return this.#leave(item, 'leftCold');
    const why = heat.of(item) < WRITES_JUDGED_MIN ? undefined : this.#whyNotWorthIt(item);
    if (why === undefined) return;
    this.#alone.add(items.hash[item]!, this.nowMs, why === WHY_VOID ? VOID_MS : WRITTEN_MS, why);
    this.#leave(item, 'leftWritten');
  }

  /**
   * Treating a key must pay: not when most of its requests are writes, or wait for one; nor when its value is not cached and
   * it is written so often that its copies, each void with a write and read only a while after it was made, are of no use.
   */
  #whyNotWorthIt(item: number): string | undefined {
    const { heat, area } = this;
    if (heat.writeShare(item) > this.limits.writeShareMax) return WHY_WRITTEN;
    const asked = heat.lastReads[item]! + heat.lastWrites[item]!;
    if (heat.lastWaits[item]! > WAIT_SHARE_MAX * asked) return WHY_WAITING;
    const isCached = this.shared.words[this.wordOf(item) + directory.CACHED] !== 0;
    return !isCached && heat.lastWrites[item]! * area.lifeMs >= area.epochMs ? WHY_VOID : undefined;
  }

  /** Newcomers that found no number take the places of the coolest. */
  #turnLayers(): void {
    const { count } = this.intake;
    const waiting = [...this.#newcomers.values()].map(({ hash }) => this.intake.heavy(hash).estimate);
    const scores = waiting.sort((a, b) => b - a);
    this.#scores.set(scores);
    this.layers.epoch(this.#scores, scores.length);
    for (const item of this.layers.leaving.slice(0, this.layers.leavingCount)) this.#leave(item, 'leftCrowded');
    const coolest = this.layers.coldest();
    const isFull = scores.length > 0 && coolest >= 0 && count > 0;
    this.#share = Math.max(this.limits.share, isFull ? this.layers.scoreOf(coolest) / count : 0);
    this.#newcomers.clear();
    this.#replicate();
  }

  #replicate(): void {
    const bare = bareKeys(this);
    const changes = this.replication.plan(bare, this.limits, this.intake.count);
    for (const { item } of bare) this.#seeToCopies(item, changes.get(item));
  }

  /** Lanes are told when copies are to be made, are missing, or their lease is half over. */
  #seeToCopies(item: number, copies: number | undefined): void {
    const { words } = this.shared;
    const { copiedMs } = this.items;
    const at = this.wordOf(item);
    if (copies !== undefined) words[at + directory.COPIES] = copies;
    const wanted = words[at + directory.COPIES]! - 1;
    const isOld = this.nowMs - copiedMs[item]! >= this.area.leaseMs / 2;
    if (wanted < 1 || !(isOld || directory.joinedCount(words, at) < wanted)) return;
    if (this.#orders.give(item, ORDER_COPY) >= 0) copiedMs[item] = this.nowMs;
  }
}
