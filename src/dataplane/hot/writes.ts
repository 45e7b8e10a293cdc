/**
 * Writes to hot keys: at home, one at a time, fenced by the CAS of the item there (coherence.md). The client's request is
 * kept, carried out by meta requests of our own, and answered when home has acknowledged and the cached value has been
 * switched: that is the linearization point.
 *
 *     LOOK   mg k …               what is there? when that is not known, or an earlier write is unresolved
 *     MOVE   ms k 0 MA C<c0> c    appends nothing: kills whatever else is under way for c0 (ends UNSURE)
 *     WRITE  ms|ma|md k … C<c>    or, where nothing is, ms … ME
 *     CHECK  mg k …               after EX or NS: was it ours that applied?
 *     BURY   md k C<c>            a value that a late ME brought back
 *
 *     LOOK ─there→ WRITE (over MOVE when it is still the CAS of an unresolved write)    LOOK ─absent→ WRITE with ME, or answered
 *     WRITE ─HD→ switched, answered          WRITE ─NF→ WRITE with ME, or answered as of an absent key
 *     WRITE ─EX, NS→ CHECK ─ours→ switched, answered    CHECK ─another's→ WRITE with its CAS (counted), or answered
 *     any ─silence→ again after 20, 40, 80 ms ─silence→ WRITE, MOVE: UNSURE, not answered; LOOK, CHECK: as nothing is known
 *
 * An answer is given only where the outcome is certain. `ME` is no fence: for the life of a datagram after it the key is
 * LOOSE (directory.ts), and what is found then under another CAS than ours came back from the dead: it is deleted before
 * anything is written, never written over (an unresolved write over it would be resolved by believing it).
 *
 * Meanwhile reads are answered with the old value that is cached: nobody can have seen the new one, and the write takes
 * effect when it is acknowledged. That ends, and reads wait, as soon as one goes home, or where one that went home before may
 * still be under way (LEAKED): it may see the new value first. And another may see that evicted again, so it must not come
 * back: NF means "applied, then evicted" then, and HD tells the CAS, not that the value is there.
 */
import { ITEM_EXPIRES } from '../../cache/items.ts';
import * as directory from '../../coherence/directory.ts';
import { FRAME_HEADER_BYTES } from '../../memcached/frame-header.ts';
import * as located from '../../memcached/located.ts';
import { hasNonce, returnToken } from '../../memcached/own-meta.ts';
import * as reply from '../../memcached/reply.ts';
import { NUMBER, readUint64 } from '../../memcached/uint64.ts';
import * as outcome from '../../memcached/write-reply.ts';
import * as terms from '../../memcached/write-terms.ts';
import { COUNT } from '../counters.ts';
import type { Path } from '../path.ts';
import { type Fills, NEVER, ttlOf } from './fills.ts';
import type { HotKeys } from './keys.ts';
import * as op from './operations.ts';
import type { Repeats } from './repeats.ts';
import { type Sender, TRIES_MAX } from './sender.ts';
import { CREATES, REFUSED_BY_NODE, WriteInHand } from './write-in-hand.ts';

const STEP_LOOK = 1;
const STEP_MOVE = 2;
const STEP_WRITE = 3;
const STEP_CHECK = 4;
const STEP_BURY = 5;

/** Of op.FLAGS, beside CREATES: the item was UNSURE when it began. */
const WAS_UNSURE = 2;
/** An earlier `ME` may have been under way when this one was sent. */
const WAS_LOOSE = 4;
/** Times a write begins anew, as others were faster. */
const RETURNS_MAX = 6;
/** How soon a request is tried again that could not be sent. */
const UNSENT_MS = 2;
/** When there is no way to the node for so long, the write is given up, ms. */
const UNSENT_MS_MAX = 100;

/** Of STATE, what a write leaves as it is when it begins. */
const KEPT =
  directory.CAS_KNOWN | directory.ABSENT | directory.LOOSE | directory.TOMB | directory.TTL_SET | directory.ALIASED;

const LETTER_T_LOWER = 0x74;
const MINUS = 0x2d;

export class Writes {
  readonly #path: Path;
  readonly #keys: HotKeys;
  readonly #operations: op.Operations;
  readonly #ops: Int32Array;
  readonly #sender: Sender;
  readonly #fills: Fills;
  readonly #write: WriteInHand;
  /** Upkeep.settleHome. */
  settleHome: (item: number) => boolean = () => false;

  constructor(path: Path, keys: HotKeys, operations: op.Operations, sender: Sender, fills: Fills, repeats: Repeats) {
    this.#path = path;
    this.#keys = keys;
    this.#operations = operations;
    this.#ops = operations.words;
    this.#sender = sender;
    this.#fills = fills;
    this.#write = new WriteInHand(path, keys, operations, sender, repeats);
  }

  /**
   * Carries out the request in the operation's buffer. The item's lock is ours, its state CLEAN or UNSURE.
   */
  begin(operation: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    this.#write.recall(operation);
    words[item + directory.REPLICAS_JOINED] = 0;
    if (directory.stateOf(words, item) === directory.UNSURE) {
      this.#ops[operation + op.FLAGS] |= WAS_UNSURE;
      this.#enterWriting(item, directory.CAS_KNOWN | directory.LOOSE | directory.TOMB);
      return this.#look(operation);
    }
    this.#decide(operation);
  }

  /** Looks for a value that a late `ME` may have brought back, and deletes it. The lock is ours. */
  bury(operation: number): void {
    const item = this.#ops[operation + op.ITEM];
    this.#enterWriting(item, directory.ABSENT | directory.LOOSE | directory.TOMB);
    this.#look(operation);
  }

  /** A datagram to the operation's slot. */
  hear(operation: number, header: number, end: number): void {
    const { bytes } = this.#path.memory;
    const start = header + FRAME_HEADER_BYTES;
    const kind = this.#write.hear(start, end);
    const isOurs = hasNonce(
      bytes,
      this.#write.told,
      this.#ops[operation + op.NONCE_HIGH],
      this.#ops[operation + op.NONCE_LOW],
    );
    if (!isOurs && kind !== reply.REPLY_ERROR) return;
    this.#write.recall(operation);
    const step = this.#ops[operation + op.STEP];
    if (kind === reply.REPLY_ERROR) this.#failed(operation);
    else if (step === STEP_LOOK) this.#looked(operation, start, end);
    else if (step === STEP_CHECK) this.#checked(operation, start, end);
    else if (step === STEP_MOVE) this.#moved(operation, start, end);
    else if (step === STEP_BURY) this.#buried(operation);
    else this.#written(operation, start, end);
  }

  /** Time is over: once more, or given up. */
  tick(operation: number): void {
    const ops = this.#ops;
    if (ops[operation + op.SLOT] < 0) return this.#unsent(operation);
    if (ops[operation + op.TRIES] >= TRIES_MAX) return this.#giveUp(operation);
    this.#write.recall(operation);
    this.#send(operation, true);
  }

  /** What is known of the item decides what is sent, or that nothing need be. */
  #decide(operation: number): void {
    const { words, nowMs } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    const state = words[item + directory.STATE];
    const mayBeOver = (state & directory.TTL_SET) !== 0 && ((nowMs - words[item + ITEM_EXPIRES]) | 0) >= 0;
    if ((state & directory.ABSENT) !== 0 && (state & directory.TOMB) === 0) return this.#decideAbsent(operation);
    if ((state & directory.CAS_KNOWN) === 0 || mayBeOver) {
      this.#enterWriting(item, KEPT);
      return this.#look(operation);
    }
    this.#decidePresent(operation);
  }

  #enterWriting(item: number, keep: number): void {
    const { words, nowMs, readMs } = this.#keys;
    if (directory.stateOf(words, item) === directory.WRITING) return;
    directory.enterWriting(words, item, keep, nowMs, readMs, this.#keys.answeredMs);
  }

  #decidePresent(operation: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    if (this.#write.isConditional && !this.#write.demands(item)) return this.#finish(operation, outcome.OUTCOME_EXISTS);
    if (this.#write.kind === terms.WRITE_ADD) return this.#finish(operation, outcome.OUTCOME_NOT_STORED);
    this.#ops[operation + op.FENCE_HIGH] = words[item + directory.CAS_HIGH];
    this.#ops[operation + op.FENCE_LOW] = words[item + directory.CAS_LOW];
    this.#ops[operation + op.FLAGS] &= ~CREATES;
    this.#enterWriting(item, KEPT | directory.VALUED);
    this.#step(operation, STEP_WRITE);
  }

  #decideAbsent(operation: number): void {
    const item = this.#ops[operation + op.ITEM];
    const creates =
      this.#write.kind === terms.WRITE_ADD || (this.#write.kind === terms.WRITE_SET && !this.#write.isConditional);
    if (!creates) return this.#finish(operation, this.#write.outcomeOfAbsent());
    this.#ops[operation + op.FLAGS] |= CREATES;
    this.#enterWriting(item, KEPT);
    this.#step(operation, STEP_WRITE);
  }

  #look(operation: number): void {
    this.#step(operation, STEP_LOOK);
  }

  /** Goes on to a step: its request is sent now, or as soon as it can be. */
  #step(operation: number, step: number): void {
    this.#ops[operation + op.STEP] = step;
    // Where it is not as it was believed to be, the old value is none to be served.
    if (step !== STEP_WRITE) this.#keys.words[this.#ops[operation + op.ITEM] + directory.STATE] &= ~directory.VALUED;
    this.#sender.dropSlot(operation);
    this.#ops[operation + op.TRIES] = 0;
    this.#ops[operation + op.SENT_MS] = this.#keys.nowMs;
    this.#send(operation, false);
  }

  #unsent(operation: number): void {
    const waited = (this.#keys.nowMs - this.#ops[operation + op.SENT_MS]) | 0;
    if (waited > UNSENT_MS_MAX) return this.#giveUp(operation);
    this.#write.recall(operation);
    this.#send(operation, false);
  }

  #send(operation: number, isRepetition: boolean): void {
    const ops = this.#ops;
    const item = ops[operation + op.ITEM];
    if (!isRepetition && this.settleHome(item)) return this.#beginElsewhere(operation);
    const node = isRepetition ? ops[operation + op.NODE] : this.#sender.homeOf(item);
    const isLook = ops[operation + op.STEP] === STEP_LOOK || ops[operation + op.STEP] === STEP_CHECK;
    let isSent = false;
    if (node >= 0) {
      isSent = isLook
        ? this.#sender.askFor(operation, item, node, isRepetition)
        : this.#sendWrite(operation, item, node, isRepetition);
    }
    if (isSent) return;
    ops[operation + op.DUE_MS] = (this.#keys.nowMs + UNSENT_MS) | 0;
    // A repetition that cannot be sent counts, too: the node may be gone for good.
    if (isRepetition) ops[operation + op.TRIES] += 1;
  }

  /** Home has moved. What is known is of the old one; there, the write was not sent, or nobody can say what became of it. */
  #beginElsewhere(operation: number): void {
    if (this.#ops[operation + op.STEP] === STEP_CHECK) return this.#giveUp(operation);
    this.#ops[operation + op.FLAGS] = 0;
    this.#look(operation);
  }

  #sendWrite(operation: number, item: number, node: number, isRepetition: boolean): boolean {
    const at = this.#sender.begin(operation, node, isRepetition);
    if (at < 0) return false;
    const step = this.#ops[operation + op.STEP];
    const { line } = this.#sender;
    const end =
      step === STEP_WRITE
        ? this.#write.request(operation, item, at)
        : this.#write.fence(operation, item, at, step === STEP_MOVE);
    this.#sender.finish(operation, end);
    if (step === STEP_WRITE && (this.#ops[operation + op.FLAGS] & CREATES) !== 0)
      this.#noteLoose(operation, item, isRepetition);
    line.at = 0;
    return true;
  }

  /** A fence held after every late `ME` must be gone: home has what we know it has, and nothing comes back any more. */
  #noteFirm(operation: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    const isAfter = ((this.#ops[operation + op.SENT_MS] - words[item + directory.LOOSE_UNTIL]) | 0) >= 0;
    if (isAfter) words[item + directory.STATE] &= ~directory.LOOSE;
  }

  /** An `ME` is under way: until it must be gone, home alone is not believed. */
  #noteLoose(operation: number, item: number, isRepetition: boolean): void {
    const { words, nowMs, setup } = this.#keys;
    if (!isRepetition && this.#isLoose(item)) this.#ops[operation + op.FLAGS] |= WAS_LOOSE;
    words[item + directory.LOOSE_UNTIL] = (nowMs + setup.lifeMs) | 0;
    words[item + directory.STATE] |= directory.LOOSE;
  }

  #looked(operation: number, start: number, end: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    const state = words[item + directory.STATE];
    if (this.#write.told[located.OUT_STATUS] === reply.STATUS_EN) return this.#lookedAbsent(operation);
    if (this.#write.told[located.OUT_STATUS] !== reply.STATUS_VA) return this.#giveUp(operation);
    this.#write.readCas(start, end);
    if ((state & directory.TOMB) !== 0) return this.#foundZombie(operation);
    const isKnown = (state & directory.CAS_KNOWN) !== 0;
    const isSame = words[item + directory.CAS_HIGH] === NUMBER[0] && words[item + directory.CAS_LOW] === NUMBER[1];
    if ((this.#ops[operation + op.FLAGS] & WAS_UNSURE) !== 0 && isKnown && isSame) return this.#move(operation);
    // An unsure write of ours, or an old value come back? It is taken for gone: what is not known may have been evicted.
    if (isKnown && !isSame && (state & directory.LOOSE) !== 0) return this.#foundZombie(operation);
    this.#learn(item, start, end, isKnown && isSame ? directory.ALIASED : 0);
    this.#ops[operation + op.FLAGS] &= ~WAS_UNSURE;
    this.#decidePresent(operation);
  }

  /** Holder: home has an item with the CAS in NUMBER. */
  #learn(item: number, start: number, end: number, keep: number): void {
    const { words, nowMs } = this.#keys;
    words[item + directory.CAS_HIGH] = NUMBER[0];
    words[item + directory.CAS_LOW] = NUMBER[1];
    const { bytes } = this.#path.memory;
    const at = returnToken(bytes, start, end, LETTER_T_LOWER);
    const hasTtl = at >= 0 && bytes[at] !== MINUS;
    if (hasTtl) {
      readUint64(bytes, at);
      // When it was asked is a few ms ago at most: the second that `t` may be short of is taken off with it.
      words[item + ITEM_EXPIRES] = (nowMs + (Math.min(NUMBER[1] >>> 0, 1_000_000) - 2) * 1000) | 0;
    }
    const kept = words[item + directory.STATE] & (directory.LOOSE | keep);
    words[item + directory.STATE] = directory.WRITING | directory.CAS_KNOWN | kept | (hasTtl ? directory.TTL_SET : 0);
  }

  #lookedAbsent(operation: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    this.#setAbsent(item);
    this.#ops[operation + op.FLAGS] &= ~WAS_UNSURE;
    if (this.#ops[operation + op.KIND] === op.OPERATION_BURY)
      return this.#close(operation, words[item + directory.STATE]);
    this.#decideAbsent(operation);
  }

  #isLoose(item: number): boolean {
    const { words, nowMs } = this.#keys;
    return (
      (words[item + directory.STATE] & directory.LOOSE) !== 0 && ((nowMs - words[item + directory.LOOSE_UNTIL]) | 0) < 0
    );
  }

  /** Holder, WRITING: nothing is at home. A tomb whose time is over is closed by that. */
  #setAbsent(item: number): void {
    const { words } = this.#keys;
    words[item + directory.STATE] =
      directory.WRITING | directory.ABSENT | (this.#isLoose(item) ? directory.LOOSE | directory.TOMB : 0);
  }

  /** A late `ME` has brought an old value back: it goes before anything else is done. */
  #foundZombie(operation: number): void {
    this.#path.memory.counters[COUNT.hot_zombies] += 1;
    this.#ops[operation + op.FENCE_HIGH] = NUMBER[0];
    this.#ops[operation + op.FENCE_LOW] = NUMBER[1];
    this.#step(operation, STEP_BURY);
  }

  #buried(operation: number): void {
    const status = this.#write.told[located.OUT_STATUS];
    if (status !== reply.STATUS_HD && status !== reply.STATUS_NF) return this.#again(operation);
    this.#lookedAbsent(operation);
  }

  #again(operation: number): void {
    if (++this.#ops[operation + op.RETURNS] > RETURNS_MAX) return this.#giveUp(operation);
    this.#look(operation);
  }

  #move(operation: number): void {
    this.#ops[operation + op.FENCE_HIGH] = NUMBER[0];
    this.#ops[operation + op.FENCE_LOW] = NUMBER[1];
    this.#step(operation, STEP_MOVE);
  }

  #moved(operation: number, start: number, end: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    if (this.#write.told[located.OUT_STATUS] !== reply.STATUS_HD) return this.#again(operation);
    words[item + directory.ALIAS_HIGH] = words[item + directory.CAS_HIGH];
    words[item + directory.ALIAS_LOW] = words[item + directory.CAS_LOW];
    this.#write.readCas(start, end);
    this.#learn(item, start, end, directory.TTL_SET);
    words[item + directory.STATE] |= directory.ALIASED;
    this.#ops[operation + op.FLAGS] &= ~WAS_UNSURE;
    this.#decidePresent(operation);
  }

  #written(operation: number, start: number, end: number): void {
    const status = this.#write.told[located.OUT_STATUS];
    const creates = (this.#ops[operation + op.FLAGS] & CREATES) !== 0;
    if (status === reply.STATUS_HD || status === reply.STATUS_VA) {
      if (!creates) this.#noteFirm(operation);
      this.#write.readCas(start, end);
      return this.#apply(operation);
    }
    if (status === reply.STATUS_NF || (status === reply.STATUS_NS && !creates)) return this.#gone(operation);
    if (++this.#ops[operation + op.RETURNS] > RETURNS_MAX) return this.#giveUp(operation);
    this.#step(operation, STEP_CHECK);
  }

  /** The item is not there any more: evicted, expired, or flushed. */
  #gone(operation: number): void {
    const isCertain = this.#ops[operation + op.TRIES] === 1;
    this.#setAbsent(this.#ops[operation + op.ITEM]);
    const recreates = this.#write.kind === terms.WRITE_SET && !this.#write.isConditional;
    const mayBeSeen = recreates && this.#hasLeaked(operation);
    // Nobody has told us the CAS that it had.
    if (mayBeSeen && !this.#write.tellsCas) return this.#finish(operation, outcome.OUTCOME_DONE);
    const isDelete = this.#write.kind === terms.WRITE_DELETE;
    if (!mayBeSeen && (recreates || isCertain || isDelete)) return this.#decideAbsent(operation);
    // It may have applied before the item went, and somebody may have seen that.
    this.#abandon(operation, this.#keys.words[this.#ops[operation + op.ITEM] + directory.STATE]);
  }

  #hasLeaked(operation: number): boolean {
    const { words } = this.#keys;
    return Atomics.load(words, this.#ops[operation + op.ITEM] + directory.LEAKED) !== 0;
  }

  /** After EX or NS: whose value is it? Ours, if it is the value we sent: no other writer of ours is unresolved. */
  #checked(operation: number, start: number, end: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    if (this.#write.told[located.OUT_STATUS] === reply.STATUS_EN) {
      this.#setAbsent(item);
      return this.#abandon(operation, words[item + directory.STATE]);
    }
    if (this.#write.told[located.OUT_STATUS] !== reply.STATUS_VA) return this.#giveUp(operation);
    const isLoose = (words[item + directory.STATE] & directory.LOOSE) !== 0;
    if (isLoose && this.#write.changes) return this.#abandonAsGone(operation);
    this.#write.readCas(start, end);
    if (this.#write.isApplied(start, end)) return this.#apply(operation);
    this.#write.readCas(start, end);
    const creates = (this.#ops[operation + op.FLAGS] & CREATES) !== 0;
    const isFromTheDead = creates ? (this.#ops[operation + op.FLAGS] & WAS_LOOSE) !== 0 : isLoose;
    if (isFromTheDead) return this.#foundZombie(operation);
    this.#path.memory.counters[COUNT.hot_foreign_writes] += 1;
    this.#learn(item, start, end, 0);
    if (this.#write.isConditional) return this.#finish(operation, outcome.OUTCOME_EXISTS);
    this.#decidePresent(operation);
  }

  /** What is there is ours applied, or an old value come back: nobody can tell. It is buried, and the client not answered. */
  #abandonAsGone(operation: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    this.#path.memory.counters[COUNT.hot_zombies] += 1;
    words[item + directory.STATE] = directory.WRITING | directory.ABSENT | directory.LOOSE | directory.TOMB;
    this.#abandon(operation, words[item + directory.STATE]);
  }

  /** Acknowledged: NUMBER is the new CAS. The cached value is switched, then the client is answered. */
  #apply(operation: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    this.#ops[operation + op.FENCE_HIGH] = NUMBER[0];
    this.#ops[operation + op.FENCE_LOW] = NUMBER[1];
    if (this.#write.kind === terms.WRITE_DELETE) {
      words[item + directory.MARKED] = 0;
      this.#setAbsent(item);
      return this.#finish(operation, outcome.OUTCOME_DONE);
    }
    words[item + directory.CAS_HIGH] = NUMBER[0];
    words[item + directory.CAS_LOW] = NUMBER[1];
    if (this.#write.isStore) {
      words[item + directory.MARKED] = 0;
      this.#switchValue(operation, item);
      return this.#finish(operation, outcome.OUTCOME_DONE);
    }
    const kept = words[item + directory.STATE] & (directory.LOOSE | directory.TTL_SET);
    words[item + directory.STATE] = directory.WRITING | directory.CAS_KNOWN | kept;
    this.#finish(operation, outcome.OUTCOME_DONE);
  }

  #switchValue(operation: number, item: number): void {
    const { words } = this.#keys;
    const sentMs = this.#ops[operation + op.SENT_MS];
    const unixMs = this.#path.setup.timeOrigin + this.#path.clockMs;
    const ttl = ttlOf(this.#write.terms[terms.TERM_EXPTIME], unixMs);
    const valueBytes = this.#write.asked[located.OUT_VALUE_LENGTH];
    const at = this.#write.asked[located.OUT_VALUE_OFFSET];
    const loose = words[item + directory.STATE] & directory.LOOSE;
    const mayCache = words[item + directory.CACHED] !== 0 && !this.#fills.isFlushing && !this.#hasLeaked(operation);
    const begun = directory.beginChange(words, item);
    words[item + directory.STATE] &= ~directory.ALIASED;
    const isKept =
      mayCache &&
      this.#fills.install(
        item,
        this.#path.memory.bytes,
        at,
        valueBytes,
        this.#write.terms[terms.TERM_FLAGS],
        sentMs,
        ttl,
      );
    if (!isKept) words[item + ITEM_EXPIRES] = (sentMs + (Math.min(ttl, 1_000_000) - 1) * 1000) | 0;
    const flags =
      directory.CAS_KNOWN | loose | (isKept ? directory.VALUED : 0) | (ttl === NEVER ? 0 : directory.TTL_SET);
    directory.endChange(words, item, directory.CLEAN, flags, begun);
  }

  /** memcached says why it does not. A failed store removes the old item there, so nothing is known. */
  #failed(operation: number): void {
    if (this.#ops[operation + op.STEP] !== STEP_WRITE) return this.#giveUp(operation);
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    const loose = words[item + directory.STATE] & directory.LOOSE;
    words[item + directory.STATE] = directory.WRITING | loose;
    this.#finish(operation, this.#write.kind >= terms.WRITE_INCR ? outcome.OUTCOME_NOT_A_NUMBER : REFUSED_BY_NODE);
  }

  /** The key is CLEAN with what STATE says is known, the lock free, the client answered. */
  #finish(operation: number, result: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    if (directory.stateOf(words, item) === directory.WRITING) directory.enter(words, item, directory.CLEAN, ~0);
    this.#path.memory.counters[COUNT.hot_writes] += 1;
    this.#write.answer(operation, result);
    this.#end(operation, item);
  }

  /** As `finish`, but nobody can say what became of the write. */
  #abandon(operation: number, state: number): void {
    const { counters } = this.#path.memory;
    if (this.#ops[operation + op.KIND] === op.OPERATION_WRITE) counters[COUNT.hot_unanswered] += 1;
    this.#close(operation, state);
  }

  #close(operation: number, state: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    directory.enter(words, item, directory.CLEAN, state);
    this.#end(operation, item);
  }

  #giveUp(operation: number): void {
    const { words, nowMs, setup } = this.#keys;
    const ops = this.#ops;
    const item = ops[operation + op.ITEM];
    const step = ops[operation + op.STEP];
    const kept = words[item + directory.STATE] & (directory.LOOSE | directory.TOMB | directory.ABSENT);
    const wasSent = ops[operation + op.TRIES] > 0;
    const isOpen = wasSent && (step === STEP_WRITE || step === STEP_MOVE);
    const wasUnsure = (ops[operation + op.FLAGS] & WAS_UNSURE) !== 0;
    if (!isOpen && !wasUnsure) return this.#abandon(operation, kept);
    const creates = (ops[operation + op.FLAGS] & CREATES) !== 0 && step === STEP_WRITE;
    if (isOpen) words[item + directory.UNSURE_UNTIL] = (nowMs + setup.lifeMs) | 0;
    // Under a tomb an earlier `ME` may yet arrive, and nobody could tell its value from that of this one.
    const keep = (creates ? 0 : directory.CAS_KNOWN) | directory.LOOSE | directory.TOMB;
    directory.enter(words, item, directory.UNSURE, keep);
    this.#path.memory.counters[COUNT.hot_unsure] += 1;
    if (ops[operation + op.KIND] === op.OPERATION_WRITE) this.#path.memory.counters[COUNT.hot_unanswered] += 1;
    this.#end(operation, item);
  }

  #end(operation: number, item: number): void {
    this.#sender.dropSlot(operation);
    this.#operations.giveBack(operation);
    directory.unlock(this.#keys.words, item);
  }
}
