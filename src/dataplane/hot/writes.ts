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
import { ITEM_EXPIRES, ITEM_KEY_AT, ITEM_KEY_LENGTH } from '../../cache/items.ts';
import * as directory from '../../coherence/directory.ts';
import { FRAME_HEADER_BYTES } from '../../memcached/frame-header.ts';
import { HIT_CAS_HIGH, HIT_CAS_LOW, HIT_VALUE_AT, HIT_VALUE_LENGTH, HIT_WORDS } from '../../memcached/hit-reply.ts';
import * as located from '../../memcached/located.ts';
import { hasFlag } from '../../memcached/meta-flags.ts';
import { hasNonce, returnToken } from '../../memcached/own-meta.ts';
import * as reply from '../../memcached/reply.ts';
import { parseRequest } from '../../memcached/request.ts';
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

const STEP_LOOK = 1;
const STEP_MOVE = 2;
const STEP_WRITE = 3;
const STEP_CHECK = 4;
const STEP_BURY = 5;

/** Of op.FLAGS: the write is `ME`. */
const CREATES = 1;
/** The item was UNSURE when it began. */
const WAS_UNSURE = 2;
/** An earlier `ME` may have been under way when this one was sent. */
const WAS_LOOSE = 4;
/** Outcome: the node said why not, in a line of its own. */
const REFUSED_BY_NODE = -1;
/** Longest answer to a write. */
const ANSWER_BYTES_MAX = 1024;
/** Times a write begins anew, as others were faster. */
const RETURNS_MAX = 6;
/** How soon a request is tried again that could not be sent. */
const UNSENT_MS = 2;
/** When there is no way to the node for so long, the write is given up, ms. */
const UNSENT_MS_MAX = 100;

/** Of STATE, what a write leaves as it is when it begins. */
const KEPT =
  directory.CAS_KNOWN | directory.ABSENT | directory.LOOSE | directory.TOMB | directory.TTL_SET | directory.ALIASED;

const LETTER_A = 0x41;
const LETTER_D = 0x44;
const LETTER_E = 0x45;
const LETTER_I = 0x49;
const LETTER_P = 0x50;
const LETTER_C_LOWER = 0x63;
const LETTER_F_LOWER = 0x66;
const LETTER_T_LOWER = 0x74;
const MINUS = 0x2d;
const SPACE = 0x20;

const MODES = Uint8Array.from({ length: 9 });
MODES[terms.WRITE_APPEND] = LETTER_A;
MODES[terms.WRITE_PREPEND] = LETTER_P;
MODES[terms.WRITE_INCR] = LETTER_I;
MODES[terms.WRITE_DECR] = LETTER_D;

export class Writes {
  readonly #path: Path;
  readonly #keys: HotKeys;
  readonly #operations: op.Operations;
  readonly #ops: Int32Array;
  readonly #sender: Sender;
  readonly #fills: Fills;
  readonly #repeats: Repeats;
  /** Of the client's request, kept in the operation's buffer. */
  readonly #asked = new Int32Array(located.OUT_WORDS);
  readonly #terms = new Int32Array(terms.TERM_WORDS);
  /** Of the reply in hand. */
  readonly #told = new Int32Array(located.OUT_WORDS);
  #replyStart = 0;
  #replyEnd = 0;
  readonly #hit = new Int32Array(HIT_WORDS);
  /** Upkeep.settleHome. */
  settleHome: (item: number) => boolean = () => false;

  constructor(path: Path, keys: HotKeys, operations: op.Operations, sender: Sender, fills: Fills, repeats: Repeats) {
    this.#path = path;
    this.#keys = keys;
    this.#operations = operations;
    this.#ops = operations.words;
    this.#sender = sender;
    this.#fills = fills;
    this.#repeats = repeats;
  }

  /**
   * Carries out the request in the operation's buffer. The item's lock is ours, its state CLEAN or UNSURE.
   */
  begin(operation: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    this.#recall(operation);
    words[item + directory.REPLICAS_JOINED] = 0;
    if (directory.stateOf(words, item) === directory.UNSURE) {
      this.#ops[operation + op.FLAGS] |= WAS_UNSURE;
      this.#enterWriting(item, directory.CAS_KNOWN | directory.LOOSE | directory.TOMB);
      return this.#look(operation, STEP_LOOK);
    }
    this.#decide(operation);
  }

  /** Looks for a value that a late `ME` may have brought back, and deletes it. The lock is ours. */
  bury(operation: number): void {
    const item = this.#ops[operation + op.ITEM];
    this.#enterWriting(item, directory.ABSENT | directory.LOOSE | directory.TOMB);
    this.#look(operation, STEP_LOOK);
  }

  /** A datagram to the operation's slot. */
  hear(operation: number, header: number, end: number): void {
    const { bytes } = this.#path.memory;
    const start = header + FRAME_HEADER_BYTES;
    const kind = reply.parseReply(bytes, start, end, this.#told);
    const isOurs = hasNonce(
      bytes,
      this.#told,
      this.#ops[operation + op.NONCE_HIGH],
      this.#ops[operation + op.NONCE_LOW],
    );
    if (!isOurs && kind !== reply.REPLY_ERROR) return;
    this.#recall(operation);
    this.#replyStart = start;
    this.#replyEnd = end;
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
    this.#recall(operation);
    this.#send(operation, true);
  }

  /** The request of the operation, located anew. */
  #recall(operation: number): void {
    if (this.#ops[operation + op.KIND] === op.OPERATION_BURY) return;
    const { bytes, view } = this.#path.memory;
    const start = this.#operations.buffer(operation);
    parseRequest(bytes, start, start + this.#ops[operation + op.REQUEST_BYTES], this.#asked);
    terms.readTerms(bytes, view, start, this.#asked, this.#terms);
  }

  get #kind(): number {
    return this.#terms[terms.TERM_KIND];
  }

  get #isStore(): boolean {
    return this.#kind <= terms.WRITE_REPLACE;
  }

  get #isConditional(): boolean {
    return this.#terms[terms.TERM_HAS_CAS] !== 0;
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
      return this.#look(operation, STEP_LOOK);
    }
    this.#decidePresent(operation);
  }

  #enterWriting(item: number, keep: number): void {
    const { words, nowMs, setup } = this.#keys;
    if (directory.stateOf(words, item) === directory.WRITING) return;
    directory.enterWriting(words, item, keep, nowMs, setup.lifeMs);
  }

  #decidePresent(operation: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    if (this.#isConditional && !this.#demandsThis(item)) return this.#finish(operation, outcome.OUTCOME_EXISTS);
    if (this.#kind === terms.WRITE_ADD) return this.#finish(operation, outcome.OUTCOME_NOT_STORED);
    this.#ops[operation + op.FENCE_HIGH] = words[item + directory.CAS_HIGH];
    this.#ops[operation + op.FENCE_LOW] = words[item + directory.CAS_LOW];
    this.#ops[operation + op.FLAGS] &= ~CREATES;
    this.#enterWriting(item, KEPT | directory.VALUED);
    this.#step(operation, STEP_WRITE);
  }

  #decideAbsent(operation: number): void {
    const item = this.#ops[operation + op.ITEM];
    const creates = this.#kind === terms.WRITE_ADD || (this.#kind === terms.WRITE_SET && !this.#isConditional);
    if (!creates) return this.#finish(operation, this.#outcomeOfAbsent());
    this.#ops[operation + op.FLAGS] |= CREATES;
    this.#enterWriting(item, KEPT);
    this.#step(operation, STEP_WRITE);
  }

  #outcomeOfAbsent(): number {
    const stores =
      this.#kind === terms.WRITE_REPLACE || this.#kind === terms.WRITE_APPEND || this.#kind === terms.WRITE_PREPEND;
    return stores ? outcome.OUTCOME_NOT_STORED : outcome.OUTCOME_NOT_FOUND;
  }

  #demandsThis(item: number): boolean {
    const { words } = this.#keys;
    const high = this.#terms[terms.TERM_CAS_HIGH];
    const low = this.#terms[terms.TERM_CAS_LOW];
    if (words[item + directory.CAS_HIGH] === high && words[item + directory.CAS_LOW] === low) return true;
    if ((words[item + directory.STATE] & directory.ALIASED) === 0) return false;
    return words[item + directory.ALIAS_HIGH] === high && words[item + directory.ALIAS_LOW] === low;
  }

  #look(operation: number, step: number): void {
    this.#step(operation, step);
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
    this.#recall(operation);
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
    this.#look(operation, STEP_LOOK);
  }

  #sendWrite(operation: number, item: number, node: number, isRepetition: boolean): boolean {
    const at = this.#sender.begin(operation, node, isRepetition);
    if (at < 0) return false;
    const step = this.#ops[operation + op.STEP];
    const { line } = this.#sender;
    const end =
      step === STEP_WRITE
        ? this.#writeRequest(operation, item, at)
        : this.#writeFence(operation, item, at, step === STEP_MOVE);
    this.#sender.finish(operation, end);
    if (step === STEP_WRITE && (this.#ops[operation + op.FLAGS] & CREATES) !== 0)
      this.#noteLoose(operation, item, isRepetition);
    line.at = 0;
    return true;
  }

  /** An `ME` is under way: until it must be gone, home alone is not believed. */
  #noteLoose(operation: number, item: number, isRepetition: boolean): void {
    const { words, nowMs, setup } = this.#keys;
    if (!isRepetition && this.#isLoose(item)) this.#ops[operation + op.FLAGS] |= WAS_LOOSE;
    words[item + directory.LOOSE_UNTIL] = (nowMs + setup.lifeMs) | 0;
    words[item + directory.STATE] |= directory.LOOSE;
  }

  /** An append of nothing, which moves the CAS; or a deletion. */
  #writeFence(operation: number, item: number, at: number, isMove: boolean): number {
    const { bytes, words } = this.#keys;
    const { line } = this.#sender;
    const key = (item << 2) + ITEM_KEY_AT;
    const keyBytes = words[item + ITEM_KEY_LENGTH];
    if (isMove) line.set(at, bytes, key, keyBytes, 0, LETTER_A).returnCas();
    else line.delete(at, bytes, key, keyBytes);
    line.fence(this.#ops[operation + op.FENCE_HIGH], this.#ops[operation + op.FENCE_LOW]);
    const end = line.end(this.#sender.nonceHigh, this.#sender.nonceLow);
    return isMove ? this.#appendValue(end, 0, 0) : end;
  }

  #writeRequest(operation: number, item: number, at: number): number {
    const { bytes, words } = this.#keys;
    const { line } = this.#sender;
    const key = (item << 2) + ITEM_KEY_AT;
    const keyBytes = words[item + ITEM_KEY_LENGTH];
    const kind = this.#kind;
    const valueBytes = this.#asked[located.OUT_VALUE_LENGTH];
    const creates = (this.#ops[operation + op.FLAGS] & CREATES) !== 0;
    if (kind === terms.WRITE_DELETE) line.delete(at, bytes, key, keyBytes);
    else if (kind >= terms.WRITE_INCR) {
      const high = this.#terms[terms.TERM_DELTA_HIGH];
      line.arithmetic(at, bytes, key, keyBytes, MODES[kind], high, this.#terms[terms.TERM_DELTA_LOW]).returnCas();
    } else {
      line.set(at, bytes, key, keyBytes, valueBytes, creates ? LETTER_E : MODES[kind]).returnCas();
      if (this.#isStore) line.terms(this.#terms[terms.TERM_FLAGS], this.#terms[terms.TERM_EXPTIME]);
    }
    if (!creates) line.fence(this.#ops[operation + op.FENCE_HIGH], this.#ops[operation + op.FENCE_LOW]);
    const end = line.end(this.#sender.nonceHigh, this.#sender.nonceLow);
    return kind >= terms.WRITE_INCR ? end : this.#appendValue(end, this.#asked[located.OUT_VALUE_OFFSET], valueBytes);
  }

  #appendValue(at: number, value: number, valueBytes: number): number {
    const { bytes } = this.#path.memory;
    bytes.copyWithin(at, value, value + valueBytes);
    bytes[at + valueBytes] = 0x0d;
    bytes[at + valueBytes + 1] = 0x0a;
    return at + valueBytes + 2;
  }

  #looked(operation: number, start: number, end: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    const state = words[item + directory.STATE];
    if (this.#told[located.OUT_STATUS] === reply.STATUS_EN) return this.#lookedAbsent(operation);
    if (this.#told[located.OUT_STATUS] !== reply.STATUS_VA) return this.#giveUp(operation);
    this.#readCas(start, end);
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
    const status = this.#told[located.OUT_STATUS];
    if (status !== reply.STATUS_HD && status !== reply.STATUS_NF) return this.#again(operation);
    this.#lookedAbsent(operation);
  }

  #again(operation: number): void {
    if (++this.#ops[operation + op.RETURNS] > RETURNS_MAX) return this.#giveUp(operation);
    this.#look(operation, STEP_LOOK);
  }

  #move(operation: number): void {
    this.#ops[operation + op.FENCE_HIGH] = NUMBER[0];
    this.#ops[operation + op.FENCE_LOW] = NUMBER[1];
    this.#step(operation, STEP_MOVE);
  }

  #moved(operation: number, start: number, end: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    if (this.#told[located.OUT_STATUS] !== reply.STATUS_HD) return this.#again(operation);
    words[item + directory.ALIAS_HIGH] = words[item + directory.CAS_HIGH];
    words[item + directory.ALIAS_LOW] = words[item + directory.CAS_LOW];
    this.#readCas(start, end);
    this.#learn(item, start, end, directory.TTL_SET);
    words[item + directory.STATE] |= directory.ALIASED;
    this.#ops[operation + op.FLAGS] &= ~WAS_UNSURE;
    this.#decidePresent(operation);
  }

  #readCas(start: number, end: number): void {
    const { bytes } = this.#path.memory;
    const at = returnToken(bytes, start, end, LETTER_C_LOWER);
    NUMBER.fill(0);
    if (at >= 0) readUint64(bytes, at);
  }

  #written(operation: number, start: number, end: number): void {
    const status = this.#told[located.OUT_STATUS];
    const creates = (this.#ops[operation + op.FLAGS] & CREATES) !== 0;
    if (status === reply.STATUS_HD || status === reply.STATUS_VA) {
      this.#readCas(start, end);
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
    const recreates = this.#kind === terms.WRITE_SET && !this.#isConditional;
    const mayBeSeen = recreates && this.#hasLeaked(operation);
    // Nobody has told us the CAS that it had.
    if (mayBeSeen && !this.#tellsCas) return this.#finish(operation, outcome.OUTCOME_DONE);
    const isDelete = this.#kind === terms.WRITE_DELETE;
    if (!mayBeSeen && (recreates || isCertain || isDelete)) return this.#decideAbsent(operation);
    // It may have applied before the item went, and somebody may have seen that.
    this.#abandon(operation, this.#keys.words[this.#ops[operation + op.ITEM] + directory.STATE]);
  }

  /** Whether the answer to a store that is carried out names the CAS. */
  get #tellsCas(): boolean {
    const protocol = this.#asked[located.OUT_PROTOCOL];
    if (protocol === located.PROTOCOL_META) return hasFlag(this.#asked, this.#path.memory.bytes, LETTER_C_LOWER);
    return protocol === located.PROTOCOL_BINARY;
  }

  #hasLeaked(operation: number): boolean {
    const { words } = this.#keys;
    return Atomics.load(words, this.#ops[operation + op.ITEM] + directory.LEAKED) !== 0;
  }

  /** After EX or NS: whose value is it? Ours, if it is the value we sent: no other writer of ours is unresolved. */
  #checked(operation: number, start: number, end: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    if (this.#told[located.OUT_STATUS] === reply.STATUS_EN) {
      this.#setAbsent(item);
      return this.#abandon(operation, words[item + directory.STATE]);
    }
    if (this.#told[located.OUT_STATUS] !== reply.STATUS_VA) return this.#giveUp(operation);
    this.#readCas(start, end);
    if (this.#isApplied(start, end)) return this.#apply(operation);
    this.#readCas(start, end);
    const creates = (this.#ops[operation + op.FLAGS] & CREATES) !== 0;
    const isFromTheDead = creates ? (this.#ops[operation + op.FLAGS] & WAS_LOOSE) !== 0 : this.#isLoose(item);
    if (isFromTheDead) return this.#foundZombie(operation);
    this.#path.memory.counters[COUNT.hot_foreign_writes] += 1;
    this.#learn(item, start, end, 0);
    if (this.#isConditional) return this.#finish(operation, outcome.OUTCOME_EXISTS);
    this.#decidePresent(operation);
  }

  #isApplied(start: number, end: number): boolean {
    const kind = this.#kind;
    if (kind === terms.WRITE_DELETE) return false;
    if (!this.#isStore) return true;
    const { bytes } = this.#path.memory;
    const length = this.#asked[located.OUT_VALUE_LENGTH];
    const told = this.#told[located.OUT_VALUE_OFFSET];
    if (this.#told[located.OUT_VALUE_LENGTH] !== length || told + length + 2 !== end) return false;
    const ours = this.#asked[located.OUT_VALUE_OFFSET];
    for (let i = 0; i < length; i++) if (bytes[told + i] !== bytes[ours + i]) return false;
    const [high, low] = NUMBER;
    const at = returnToken(bytes, start, end, LETTER_F_LOWER);
    readUint64(bytes, at);
    const isSame = NUMBER[1] === this.#terms[terms.TERM_FLAGS];
    NUMBER[0] = high;
    NUMBER[1] = low;
    return isSame;
  }

  /** Acknowledged: NUMBER is the new CAS. The cached value is switched, then the client is answered. */
  #apply(operation: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    this.#ops[operation + op.FENCE_HIGH] = NUMBER[0];
    this.#ops[operation + op.FENCE_LOW] = NUMBER[1];
    if (this.#kind === terms.WRITE_DELETE) {
      words[item + directory.MARKED] = 0;
      this.#setAbsent(item);
      return this.#finish(operation, outcome.OUTCOME_DONE);
    }
    words[item + directory.CAS_HIGH] = NUMBER[0];
    words[item + directory.CAS_LOW] = NUMBER[1];
    if (this.#isStore) {
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
    const ttl = ttlOf(this.#terms[terms.TERM_EXPTIME], unixMs);
    const valueBytes = this.#asked[located.OUT_VALUE_LENGTH];
    const at = this.#asked[located.OUT_VALUE_OFFSET];
    const loose = words[item + directory.STATE] & directory.LOOSE;
    const mayCache = words[item + directory.CACHED] !== 0 && !this.#fills.isFlushing && !this.#hasLeaked(operation);
    directory.beginChange(words, item);
    words[item + directory.STATE] &= ~directory.ALIASED;
    const isKept =
      mayCache &&
      this.#fills.install(item, this.#path.memory.bytes, at, valueBytes, this.#terms[terms.TERM_FLAGS], sentMs, ttl);
    if (!isKept) words[item + ITEM_EXPIRES] = (sentMs + (Math.min(ttl, 1_000_000) - 1) * 1000) | 0;
    const flags =
      directory.CAS_KNOWN | loose | (isKept ? directory.VALUED : 0) | (ttl === NEVER ? 0 : directory.TTL_SET);
    directory.endChange(words, item, directory.CLEAN, flags);
  }

  /** memcached says why it does not. A failed store removes the old item there, so nothing is known. */
  #failed(operation: number): void {
    if (this.#ops[operation + op.STEP] !== STEP_WRITE) return this.#giveUp(operation);
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    const loose = words[item + directory.STATE] & directory.LOOSE;
    words[item + directory.STATE] = directory.WRITING | loose;
    this.#finish(operation, this.#kind >= terms.WRITE_INCR ? outcome.OUTCOME_NOT_A_NUMBER : REFUSED_BY_NODE);
  }

  /** The key is CLEAN with what STATE says is known, the lock free, the client answered. */
  #finish(operation: number, result: number): void {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    if (directory.stateOf(words, item) === directory.WRITING) directory.enter(words, item, directory.CLEAN, ~0);
    this.#path.memory.counters[COUNT.hot_writes] += 1;
    this.#answer(operation, result);
    this.#end(operation, item);
  }

  #answer(operation: number, result: number): void {
    const { bytes } = this.#path.memory;
    const at = this.#sender.beginAnswer();
    if (at < 0) return this.#path.memory.count(COUNT.answers_withheld);
    const length = result === REFUSED_BY_NODE ? this.#repeatError(at) : this.#writeOutcome(operation, result, at);
    const row = this.#ops[operation + op.REPEAT];
    if (row >= 0) this.#repeats.end(row, bytes, at, Math.max(0, length));
    if (length > 0) this.#sender.answer(operation, length);
  }

  #writeOutcome(operation: number, result: number, at: number): number {
    const { bytes, view } = this.#path.memory;
    const hit = this.#hit;
    hit[HIT_VALUE_AT] = this.#told[located.OUT_VALUE_OFFSET];
    hit[HIT_VALUE_LENGTH] = this.#kind >= terms.WRITE_INCR ? this.#digitsTold() : 0;
    hit[HIT_CAS_HIGH] = this.#ops[operation + op.FENCE_HIGH];
    hit[HIT_CAS_LOW] = this.#ops[operation + op.FENCE_LOW];
    return outcome.writeOutcome(this.#asked, bytes, result, hit, view, view, at, ANSWER_BYTES_MAX);
  }

  /** Of the number told: a counter that got shorter is padded with spaces where it lies, and CHECK reads it there. */
  #digitsTold(): number {
    const { bytes } = this.#path.memory;
    const start = this.#told[located.OUT_VALUE_OFFSET];
    let end = start + this.#told[located.OUT_VALUE_LENGTH];
    while (end > start && bytes[end - 1] === SPACE) end--;
    return end - start;
  }

  /** The node's own error line; to a binary client nothing. */
  #repeatError(at: number): number {
    const { bytes } = this.#path.memory;
    const isSilent = (this.#asked[located.OUT_FLAGS] & located.REQUEST_NOREPLY) !== 0;
    if (isSilent || this.#asked[located.OUT_PROTOCOL] === located.PROTOCOL_BINARY) return 0;
    const length = Math.min(ANSWER_BYTES_MAX, this.#replyEnd - this.#replyStart);
    bytes.copyWithin(at, this.#replyStart, this.#replyStart + length);
    return length;
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
