/**
 * Copies of hot keys on the successors of their home: brought up to date one node after another, from what home has now.
 *
 *     FETCH  mg k t f v c          at home; values of up to VALUE_BYTES_MAX, in any number of datagrams
 *     LOOK   mg k …                at a node of which we do not know the CAS
 *     PUT    ms k … T<lease> C<c>  or ME where nothing is
 *     DROP   md k                  on demotion
 *
 *     FETCH ─value→ next node: PUT ─HD→ joined, if the key's VERSION is still that of the fetch ─→ next node … end
 *           PUT ─NF→ PUT with ME ─HD→ not joined: for the life of a datagram a late ME could bring this version back, should
 *               the copy be evicted meanwhile; after that a PUT with its CAS joins it
 *           PUT ─EX, NS→ LOOK ─there→ PUT with that CAS            any ─silence→ three times more, then the next node
 *
 * A copy lives for one lease, and whoever orders it anew renews it; what a crash forgets dies by itself.
 */
import { ITEM_EXPIRES, ITEM_KEY_AT, ITEM_KEY_LENGTH } from '../../cache/items.ts';
import * as directory from '../../coherence/directory.ts';
import { FRAME_HEADER_BYTES, sequence, total } from '../../memcached/frame-header.ts';
import { OUT_STATUS, OUT_VALUE_LENGTH, OUT_VALUE_OFFSET, OUT_WORDS } from '../../memcached/located.ts';
import { bearsMarks, hasNonce, OwnLine, returnToken } from '../../memcached/own-meta.ts';
import { parseReply, STATUS_EN, STATUS_HD, STATUS_NF, STATUS_NS, STATUS_VA } from '../../memcached/reply.ts';
import { NUMBER, readUint64 } from '../../memcached/uint64.ts';
import { steerHash } from '../../steer/hash.ts';
import { lookupSlot, nextNodeSlot, nodeAtSlot } from '../../steer/lookup.ts';
import { COUNT } from '../counters.ts';
import { OWN_HEADERS_BYTES } from '../own-datagram.ts';
import type { Path } from '../path.ts';
import type { HotKeys } from './keys.ts';
import * as op from './operations.ts';
import { nodeOfTag, nodeTag, type Sender, TRIES_MAX } from './sender.ts';

const STEP_FETCH = 1;
const STEP_LOOK = 2;
const STEP_PUT = 3;
const STEP_DROP = 4;
/** Of op.FLAGS. */
const CREATES = 1;
/** op.FLAGS, upper bits: the buffer, + 1. */
const BUFFER_SHIFT = 8;

/** Copies that a lane makes at a time. */
const BUFFERS = 4;
/** Bytes of a datagram of memcached's behind the frame header. */
const PIECE_BYTES = 1392;
const PIECES_MAX = 32;
const REPLY_BYTES_MAX = PIECES_MAX * PIECE_BYTES;
/** Largest value that is copied, bytes: what fits a request in one UDP datagram, and memcached's reply in PIECES_MAX. */
export const VALUE_BYTES_MAX = REPLY_BYTES_MAX - 512;
/** Before a buffer: headers and line of the request that its value leaves in. */
const LEAD_BYTES = 640;
const BUFFER_BYTES = LEAD_BYTES + REPLY_BYTES_MAX;
const LINE_BYTES_MAX = 448;
const RETRY_MS = 5;
/** Slots looked at for nodes that differ. */
const STEPS_MAX = 4096;
const LETTER_C = 0x63;
const LETTER_E = 0x45;
const LETTER_F = 0x66;
const LETTER_T = 0x74;
const MINUS = 0x2d;
const MS_PER_S = 1000;

export class Copies {
  readonly #path: Path;
  readonly #keys: HotKeys;
  readonly #operations: op.Operations;
  readonly #ops: Int32Array;
  readonly #sender: Sender;
  readonly #base: number;
  readonly #located = new Int32Array(OUT_WORDS);
  readonly #line = new Uint8Array(LINE_BYTES_MAX);
  readonly #writer = new OwnLine(this.#line);
  /** Operation that has each buffer, or −1; pieces come, of how many; then offset and length of the value. */
  readonly #holders = new Int32Array(BUFFERS).fill(-1);
  readonly #come = new Int32Array(BUFFERS);
  readonly #pieces = new Int32Array(BUFFERS);
  readonly #replyBytes = new Int32Array(BUFFERS);
  readonly #valueAt = new Int32Array(BUFFERS);
  readonly #valueBytes = new Int32Array(BUFFERS);
  readonly #flags = new Int32Array(BUFFERS);
  /** When it is over at home, ms, as home has said: a gat may have changed that unnoticed. 0: never. */
  readonly #overMs = new Int32Array(BUFFERS);

  static readonly byteLength = BUFFERS * BUFFER_BYTES;

  /** @param base of `byteLength` in the lane's arena, bytes */
  constructor(path: Path, keys: HotKeys, operations: op.Operations, sender: Sender, base: number) {
    this.#path = path;
    this.#keys = keys;
    this.#operations = operations;
    this.#ops = operations.words;
    this.#sender = sender;
    this.#base = base;
  }

  /** The copies of an item want to be brought up to date; tried again by itself while that cannot be now. */
  want(item: number): void {
    const { words, lane } = this.#keys;
    if (words[item + directory.COPIES] < 2 || words[item + directory.COPIER] !== 0) return;
    const operation = this.#operations.take(op.OPERATION_COPY, item);
    if (operation < 0) return;
    words[item + directory.COPIER] = lane + 1;
    this.#ops[operation + op.DUE_MS] = this.#keys.nowMs;
  }

  /** Its time has come: begins, repeats, or goes on without the node that is silent. */
  tick(operation: number): void {
    const step = this.#ops[operation + op.STEP];
    if (step === 0) return this.#begin(operation);
    if (this.#ops[operation + op.SLOT] < 0 || this.#ops[operation + op.TRIES] < TRIES_MAX) {
      if (this.#send(operation, this.#ops[operation + op.SLOT] >= 0)) return;
      this.#ops[operation + op.DUE_MS] = (this.#keys.nowMs + RETRY_MS) | 0;
      this.#ops[operation + op.TRIES] += 1;
      if (this.#ops[operation + op.TRIES] < TRIES_MAX * 4) return;
    }
    if (step === STEP_FETCH) this.#end(operation);
    else this.#next(operation);
  }

  /** Demotion: deletes what there may be of copies, one node after another. The item is LEAVING. False: not now. */
  drop(operation: number): boolean {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    if (words[item + directory.COPIER] !== 0) return false;
    this.#ops[operation + op.STEP] = STEP_DROP;
    this.#ops[operation + op.RETURNS] = -1;
    this.#next(operation);
    return true;
  }

  #begin(operation: number): void {
    const { words, nowMs } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    const phase = directory.stateOf(words, item);
    if (phase === directory.FREE || phase === directory.LEAVING || words[item + directory.COPIES] < 2)
      return this.#end(operation);
    // Another node is home, and nobody has settled that: what it has may be of before.
    if (this.#sender.homeOf(item) !== words[item + directory.HOME] - 1) return this.#end(operation);
    const isReady = phase === directory.CLEAN && words[item + directory.MARKED] === 0;
    const buffer = isReady ? this.#holders.indexOf(-1) : -1;
    this.#ops[operation + op.DUE_MS] = (nowMs + RETRY_MS) | 0;
    if (buffer < 0) return;
    this.#holders[buffer] = operation;
    this.#come[buffer] = 0;
    this.#pieces[buffer] = 0;
    this.#replyBytes[buffer] = 0;
    this.#ops[operation + op.FLAGS] = (buffer + 1) << BUFFER_SHIFT;
    this.#ops[operation + op.SEEN] = Atomics.load(words, item + directory.VERSION);
    this.#ops[operation + op.STEP] = STEP_FETCH;
    this.#send(operation, false);
  }

  #bufferOf(operation: number): number {
    return (this.#ops[operation + op.FLAGS] >>> BUFFER_SHIFT) - 1;
  }

  #send(operation: number, isRepetition: boolean): boolean {
    const item = this.#ops[operation + op.ITEM];
    const step = this.#ops[operation + op.STEP];
    const node = step === STEP_FETCH ? this.#sender.homeOf(item) : this.#rowNode(operation);
    if (node < 0) return false;
    if (step === STEP_FETCH || step === STEP_LOOK) return this.#sender.askFor(operation, item, node, isRepetition);
    if (step === STEP_DROP) return this.#sendDrop(operation, item, node, isRepetition);
    return this.#put(operation, item, node, isRepetition);
  }

  #row(operation: number): number {
    const item = this.#ops[operation + op.ITEM];
    return item + directory.REPLICA_ROWS + this.#ops[operation + op.RETURNS] * directory.REPLICA_ROW_WORDS;
  }

  #rowNode(operation: number): number {
    const { steerWords, table } = this.#path;
    return nodeOfTag(steerWords, table, this.#keys.words[this.#row(operation) + directory.REPLICA_NODE]);
  }

  #sendDrop(operation: number, item: number, node: number, isRepetition: boolean): boolean {
    const at = this.#sender.begin(operation, node, isRepetition);
    if (at < 0) return false;
    const { bytes, words } = this.#keys;
    const { line, nonceHigh, nonceLow } = this.#sender;
    line.delete(at, bytes, (item << 2) + ITEM_KEY_AT, words[item + ITEM_KEY_LENGTH]);
    this.#sender.finish(operation, line.end(nonceHigh, nonceLow));
    return true;
  }

  /** The value goes out of its buffer; the line before it, and the headers before that. */
  #put(operation: number, item: number, node: number, isRepetition: boolean): boolean {
    const buffer = this.#bufferOf(operation);
    const { bytes } = this.#path.memory;
    const { words, bytes: keys, nowMs, setup } = this.#keys;
    const row = this.#row(operation);
    const creates = (this.#ops[operation + op.FLAGS] & CREATES) !== 0;
    const leaseS = this.#leaseOf(item, this.#overMs[buffer]);
    if (leaseS === 0 || !this.#sender.prepare(operation, node, isRepetition)) return false;
    const line = this.#writer;
    const keyBytes = words[item + ITEM_KEY_LENGTH];
    line.set(0, keys, (item << 2) + ITEM_KEY_AT, keyBytes, this.#valueBytes[buffer], creates ? LETTER_E : 0);
    line.terms(this.#flags[buffer], leaseS).returnCas();
    if (!creates) line.fence(words[row + directory.REPLICA_CAS_HIGH], words[row + directory.REPLICA_CAS_LOW]);
    const lineBytes = line.end(this.#sender.nonceHigh, this.#sender.nonceLow);
    const value = this.#valueAt[buffer];
    for (let i = 0; i < lineBytes; i++) bytes[value - lineBytes + i] = this.#line[i];
    const end = value + this.#valueBytes[buffer];
    bytes[end] = 0x0d;
    bytes[end + 1] = 0x0a;
    this.#sender.finishAt(operation, value - lineBytes - FRAME_HEADER_BYTES - OWN_HEADERS_BYTES, end + 2);
    if (creates) words[row + directory.REPLICA_LOOSE_UNTIL] = (nowMs + setup.lifeMs) | 0;
    return true;
  }

  /** Seconds: the lease, or what is left of the item's own time; 0: too little for a copy, which must not outlive the item. */
  #leaseOf(item: number, overMs: number): number {
    const { words, nowMs, setup } = this.#keys;
    const leftS = overMs === 0 ? Number.POSITIVE_INFINITY : Math.floor(((overMs - nowMs) | 0) / MS_PER_S);
    const leaseS = Math.max(0, Math.min(Math.max(1, Math.floor(setup.leaseMs / MS_PER_S)), leftS));
    if ((words[item + directory.STATE] & directory.TTL_SET) === 0) return leaseS;
    return Math.max(0, Math.min(leaseS, Math.floor(((words[item + ITEM_EXPIRES] - nowMs) | 0) / MS_PER_S)));
  }

  /** A datagram for the operation's slot. */
  hear(operation: number, header: number, end: number): void {
    const { bytes } = this.#path.memory;
    const step = this.#ops[operation + op.STEP];
    if (step === STEP_FETCH) return this.#hearPiece(operation, header, end);
    const start = header + FRAME_HEADER_BYTES;
    parseReply(bytes, start, end, this.#located);
    if (!this.#isOurs(operation, bytes)) return;
    const status = this.#located[OUT_STATUS];
    if (step === STEP_DROP) return this.#dropped(operation);
    if (step === STEP_LOOK) return this.#looked(operation, status, start, end);
    if (status === STATUS_HD) return this.#copied(operation, start, end);
    const isAbsent =
      status === STATUS_NF || (status === STATUS_NS && (this.#ops[operation + op.FLAGS] & CREATES) === 0);
    this.#try(operation, isAbsent ? STEP_PUT : STEP_LOOK, isAbsent);
  }

  #isOurs(operation: number, bytes: Uint8Array): boolean {
    return hasNonce(bytes, this.#located, this.#ops[operation + op.NONCE_HIGH], this.#ops[operation + op.NONCE_LOW]);
  }

  #try(operation: number, step: number, creates: boolean): void {
    const ops = this.#ops;
    ops[operation + op.FLAGS] = creates ? ops[operation + op.FLAGS] | CREATES : ops[operation + op.FLAGS] & ~CREATES;
    ops[operation + op.STEP] = step;
    this.#sender.dropSlot(operation);
    ops[operation + op.TRIES] = 0;
    if (!this.#send(operation, false)) ops[operation + op.DUE_MS] = (this.#keys.nowMs + RETRY_MS) | 0;
  }

  /** One of the datagrams of home's reply: each has its place, whatever order they come in. */
  #hearPiece(operation: number, header: number, end: number): void {
    const { bytes } = this.#path.memory;
    const buffer = this.#bufferOf(operation);
    const pieces = total(bytes, header);
    const piece = sequence(bytes, header);
    const length = end - header - FRAME_HEADER_BYTES;
    if (pieces > PIECES_MAX || piece >= pieces || length > PIECE_BYTES) return this.#tooLarge(operation);
    const at = this.#base + buffer * BUFFER_BYTES + LEAD_BYTES + piece * PIECE_BYTES;
    bytes.copyWithin(at, header + FRAME_HEADER_BYTES, end);
    const bit = 1 << piece;
    if ((this.#come[buffer] & bit) !== 0) return;
    this.#come[buffer] |= bit;
    this.#replyBytes[buffer] += length;
    this.#pieces[buffer] += 1;
    if (this.#pieces[buffer] === pieces) this.#fetched(operation, buffer);
  }

  #tooLarge(operation: number): void {
    this.#path.memory.counters[COUNT.hot_copies_too_large] += 1;
    this.#end(operation);
  }

  #fetched(operation: number, buffer: number): void {
    const { bytes } = this.#path.memory;
    const start = this.#base + buffer * BUFFER_BYTES + LEAD_BYTES;
    const end = start + this.#replyBytes[buffer];
    parseReply(bytes, start, end, this.#located);
    const isValue = this.#located[OUT_STATUS] === STATUS_VA && this.#isOurs(operation, bytes);
    const valueBytes = this.#located[OUT_VALUE_LENGTH];
    if (!isValue || this.#located[OUT_VALUE_OFFSET] + valueBytes + 2 !== end || valueBytes > VALUE_BYTES_MAX) {
      return this.#end(operation);
    }
    this.#valueAt[buffer] = this.#located[OUT_VALUE_OFFSET];
    this.#valueBytes[buffer] = valueBytes;
    readUint64(bytes, returnToken(bytes, start, end, LETTER_F));
    this.#flags[buffer] = NUMBER[1];
    if (!this.#isSoundAtHome(operation, start, end)) return this.#end(operation);
    this.#chooseNodes(operation);
    this.#ops[operation + op.RETURNS] = -1;
    this.#next(operation);
  }

  /** What home says is what we know of it, and lives long enough to be worth a copy. */
  #isSoundAtHome(operation: number, start: number, end: number): boolean {
    const { bytes } = this.#path.memory;
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    if (!this.#isSameVersion(operation) || bearsMarks(bytes, start, end)) return false;
    const ttl = returnToken(bytes, start, end, LETTER_T);
    readUint64(bytes, ttl);
    const lasts = bytes[ttl] === MINUS;
    if (!lasts && NUMBER[1] < 3) return false;
    const overMs = this.#keys.nowMs + (Math.min(NUMBER[1] >>> 0, 1_000_000) - 1) * MS_PER_S;
    this.#overMs[this.#bufferOf(operation)] = lasts ? 0 : overMs | 1;
    const state = words[item + directory.STATE];
    if ((state & (directory.LOOSE | directory.ABSENT)) !== 0) return false;
    if ((state & directory.CAS_KNOWN) === 0) return true;
    readUint64(bytes, returnToken(bytes, start, end, LETTER_C));
    return words[item + directory.CAS_HIGH] === NUMBER[0] && words[item + directory.CAS_LOW] === NUMBER[1];
  }

  #isSameVersion(operation: number): boolean {
    const { words } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    return Atomics.load(words, item + directory.VERSION) === this.#ops[operation + op.SEEN];
  }

  /** Rows of the item for the next nodes along the ring; a row whose node stays keeps what it knows. */
  #chooseNodes(operation: number): void {
    const { words, lane } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    if (!directory.tryLock(words, item, lane)) return;
    const wanted = Math.min(words[item + directory.COPIES] - 1, directory.REPLICAS_MAX);
    const chosen = this.#successors(item, wanted);
    for (let i = 0; i < wanted && i < chosen; i++) this.#giveRow(item, this.#nodes[i]);
    directory.unlock(words, item);
  }

  readonly #nodes = new Int32Array(directory.REPLICAS_MAX + 1);

  /** Nodes behind home along the ring, all different, into `#nodes`; returns their number. */
  #successors(item: number, wanted: number): number {
    const { steerWords, table } = this.#path;
    const { bytes, view, words } = this.#keys;
    const key = (item << 2) + ITEM_KEY_AT;
    const hash = this.#sender.hashOf(item);
    const ringHash = steerHash(steerWords, table, hash, bytes, view, key, words[item + ITEM_KEY_LENGTH]);
    let slot = lookupSlot(steerWords, table, ringHash);
    if (slot < 0) return 0;
    const home = nodeAtSlot(steerWords, table, slot);
    let count = 0;
    for (let step = 0; step < STEPS_MAX && count < wanted; step++) {
      slot = nextNodeSlot(steerWords, table, slot);
      if (slot < 0) return count;
      const node = nodeAtSlot(steerWords, table, slot);
      if (node !== home && !this.#isAmong(node, count)) this.#nodes[count++] = node;
    }
    return count;
  }

  #isAmong(node: number, count: number): boolean {
    for (let i = 0; i < count; i++) if (this.#nodes[i] === node) return true;
    return false;
  }

  #giveRow(item: number, node: number): void {
    const { words } = this.#keys;
    const { steerWords, table } = this.#path;
    let free = -1;
    for (let i = 0; i < directory.REPLICAS_MAX; i++) {
      const row = item + directory.REPLICA_ROWS + i * directory.REPLICA_ROW_WORDS;
      const tag = words[row + directory.REPLICA_NODE];
      if (tag === nodeTag(steerWords, table, node)) return;
      if (free < 0 && nodeOfTag(steerWords, table, tag) < 0) free = row;
    }
    if (free < 0) return;
    words[free + directory.REPLICA_CAS_HIGH] = 0;
    words[free + directory.REPLICA_CAS_LOW] = 0;
    words[free + directory.REPLICA_LOOSE_UNTIL] = 0;
    words[free + directory.REPLICA_NODE] = nodeTag(steerWords, table, node);
  }

  /** The next row with a node; at the end of them the operation is over. */
  #next(operation: number): void {
    const { words } = this.#keys;
    const ops = this.#ops;
    const isDrop = ops[operation + op.STEP] === STEP_DROP;
    if (!isDrop && !this.#isSameVersion(operation)) return this.#end(operation);
    while (++ops[operation + op.RETURNS] < directory.REPLICAS_MAX) {
      const row = this.#row(operation);
      if (this.#rowNode(operation) < 0) {
        if (isDrop) words[row + directory.REPLICA_NODE] = 0;
        continue;
      }
      if (isDrop) return this.#try(operation, STEP_DROP, false);
      const isKnown = (words[row + directory.REPLICA_CAS_HIGH] | words[row + directory.REPLICA_CAS_LOW]) !== 0;
      return this.#try(operation, isKnown ? STEP_PUT : STEP_LOOK, false);
    }
    this.#end(operation);
  }

  #looked(operation: number, status: number, start: number, end: number): void {
    const { bytes } = this.#path.memory;
    const { words } = this.#keys;
    if (status === STATUS_EN) return this.#try(operation, STEP_PUT, true);
    if (status !== STATUS_VA) return this.#next(operation);
    const row = this.#row(operation);
    readUint64(bytes, returnToken(bytes, start, end, LETTER_C));
    words[row + directory.REPLICA_CAS_HIGH] = NUMBER[0];
    words[row + directory.REPLICA_CAS_LOW] = NUMBER[1];
    this.#try(operation, STEP_PUT, false);
  }

  /** The node has this version now. It may be read if the key has not been written since, and no `ME` is about. */
  #copied(operation: number, start: number, end: number): void {
    const { bytes, counters } = this.#path.memory;
    const { words, lane, nowMs } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    const row = this.#row(operation);
    readUint64(bytes, returnToken(bytes, start, end, LETTER_C));
    words[row + directory.REPLICA_CAS_HIGH] = NUMBER[0];
    words[row + directory.REPLICA_CAS_LOW] = NUMBER[1];
    const creates = (this.#ops[operation + op.FLAGS] & CREATES) !== 0;
    const looseMs = words[row + directory.REPLICA_LOOSE_UNTIL];
    const isLoose = looseMs !== 0 && ((this.#ops[operation + op.SENT_MS] - looseMs) | 0) < 0;
    counters[COUNT.hot_copies] += 1;
    if (!creates && !isLoose && directory.tryLock(words, item, lane)) {
      words[row + directory.REPLICA_LOOSE_UNTIL] = 0;
      const isCurrent = this.#isSameVersion(operation) && directory.stateOf(words, item) === directory.CLEAN;
      if (isCurrent) words[item + directory.REPLICAS_JOINED] |= 1 << this.#ops[operation + op.RETURNS];
      directory.unlock(words, item);
    }
    if (creates || isLoose) this.#isIncomplete[this.#bufferOf(operation)] = nowMs | 1;
    this.#next(operation);
  }

  /** Copies that cannot be read yet make the operation come back. */
  readonly #isIncomplete = new Int32Array(BUFFERS);

  #dropped(operation: number): void {
    const { words } = this.#keys;
    words[this.#row(operation) + directory.REPLICA_NODE] = 0;
    this.#next(operation);
  }

  #end(operation: number): void {
    const { words, nowMs, setup } = this.#keys;
    const item = this.#ops[operation + op.ITEM];
    this.#sender.dropSlot(operation);
    if (this.#ops[operation + op.STEP] === STEP_DROP) {
      directory.enter(words, item, directory.FREE, 0);
      return this.#operations.giveBack(operation);
    }
    const buffer = this.#bufferOf(operation);
    const comesBack = buffer >= 0 && this.#isIncomplete[buffer] !== 0;
    if (buffer >= 0) {
      this.#holders[buffer] = -1;
      this.#isIncomplete[buffer] = 0;
    }
    const isOld = this.#ops[operation + op.STEP] !== 0 && !this.#isSameVersion(operation);
    const phase = directory.stateOf(words, item);
    const isHot = phase !== directory.FREE && phase !== directory.LEAVING;
    if (isHot && (comesBack || isOld)) {
      this.#ops[operation + op.STEP] = 0;
      this.#ops[operation + op.FLAGS] = 0;
      this.#ops[operation + op.DUE_MS] = (nowMs + (comesBack ? setup.lifeMs + RETRY_MS : RETRY_MS)) | 0;
      return;
    }
    words[item + directory.COPIER] = 0;
    this.#operations.giveBack(operation);
  }
}
