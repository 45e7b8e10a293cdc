/**
 * A lane's part in the treatment of hot keys, put together: what is under way, who waits, what the keeper has ordered.
 * The stage (stage.ts) asks it on the way in, the replies stage on the way back, the lane once a cycle.
 */
import { ITEM_WORDS, isKeyOf, itemWord } from '../../cache/items.ts';
import * as directory from '../../coherence/directory.ts';
import { OUT_PROTOCOL, OUT_STATUS, PROTOCOL_BINARY } from '../../memcached/located.ts';
import { STATUS_EN, STATUS_END, STATUS_NONE } from '../../memcached/reply.ts';
import { CLASS_READ, VERB_CLASS } from '../../memcached/verbs.ts';
import { Answered } from '../answered.ts';
import type { Path } from '../path.ts';
import { SLOT_CLIENT, SLOT_KEY_HASH, SLOT_REPLICA, SLOT_STATE, SLOT_VERB_SHIFT, VERB_MASK } from '../slot-table.ts';
import { Copies } from './copies.ts';
import { Fills } from './fills.ts';
import { Hits } from './hits.ts';
import { Intake, RELAYED_QUIETLY } from './intake.ts';
import type { HotKeys } from './keys.ts';
import * as op from './operations.ts';
import { Repeats } from './repeats.ts';
import { Replicas } from './replicas.ts';
import { Sender } from './sender.ts';
import { HOT_FLUSH_DUE, HOT_FLUSHING, HOT_STAMP, ORDER_COPY, ORDER_ITEM, ORDER_KIND, ORDER_PROMOTE } from './setup.ts';
import { Upkeep } from './upkeep.ts';
import { WaitingRoom } from './waiting.ts';
import { Writes } from './writes.ts';

const REPEAT_ROWS = 4096;
const ORDERS_PER_CYCLE = 32;
/** How soon an order is looked at again that cannot be carried out yet, ms. */
const ORDER_RETRY_MS = 2;
const BINARY_NOT_FOUND = 1;
/** Longest time that a touch of several keys takes, ms. */
const TOUCH_MS = 300;

export class Hot {
  readonly keys: HotKeys;
  readonly operations: op.Operations;
  readonly waiting: WaitingRoom;
  readonly sender: Sender;
  readonly fills: Fills;
  readonly writes: Writes;
  readonly upkeep: Upkeep;
  readonly intake: Intake;
  readonly hits: Hits;
  readonly replicas: Replicas;
  readonly copies: Copies;
  readonly #path: Path;
  /** Where answers come by. */
  readonly #answered: Answered | undefined;
  #enteredMs = 0;

  /** Bytes of the lane's own arena. */
  static byteLength(operations: number, waiting: number, frameBytesMax: number): number {
    return op.operationsByteLength(operations) + Copies.byteLength + WaitingRoom.byteLength(waiting, frameBytesMax);
  }

  constructor(path: Path, keys: HotKeys) {
    const { setup } = keys;
    const { bytes } = path.memory;
    const frameBytesMax = path.clientPort.roomBytes;
    this.#path = path;
    this.keys = keys;
    this.operations = new op.Operations(setup.laneOffset, setup.operations);
    const copiesOffset = setup.laneOffset + op.operationsByteLength(setup.operations);
    const waitingOffset = copiesOffset + Copies.byteLength;
    this.waiting = new WaitingRoom(bytes, waitingOffset, setup.waiting, frameBytesMax);
    this.sender = new Sender(path, keys, this.operations);
    this.fills = new Fills(path, keys, this.operations, this.sender);
    const repeats = new Repeats(REPEAT_ROWS, setup.lifeMs);
    this.writes = new Writes(path, keys, this.operations, this.sender, this.fills, repeats);
    this.upkeep = new Upkeep(path, keys, this.operations, this.sender, this.fills, this.writes);
    this.writes.settleHome = item => this.upkeep.settleHome(item);
    this.hits = new Hits(path, keys, this.fills);
    this.intake = new Intake(path, keys, this.operations, this.sender, this.writes, this.upkeep, repeats, this.hits);
    this.replicas = new Replicas(path, keys);
    this.copies = new Copies(path, keys, this.operations, this.sender, copiesOffset);
    const { slots, memory, nowUs } = path;
    if (keys.seesAnswers) this.#answered = new Answered(slots, memory.words, keys.readMs, keys.nowMs, nowUs);
    this.#takeOver();
  }

  /** A cycle begins. */
  enter(): void {
    const { nowMs } = this.keys;
    if (this.#answered === undefined || nowMs === this.#enteredMs || this.keys.areNone) return;
    this.#enteredMs = nowMs;
    this.#answered.advance(nowMs, this.#path.nowUs);
    this.keys.sayAnswered(this.#answered.ms);
  }

  /** What a thread of this lane before this one has left: nobody knows what became of its writes. */
  #takeOver(): void {
    const { words, items, setup, lane, nowMs } = this.keys;
    const untilMs = (nowMs + setup.lifeMs) | 0;
    directory.releaseAll(words, items, setup.items, ITEM_WORDS, lane, untilMs);
  }

  /** Clients' requests that are neither answered nor on their way to a node: they wait, or are carried out by us. */
  get held(): number {
    return this.waiting.count + this.operations.writes;
  }

  /** Once a cycle, after what came in was handled: orders, what is due. Returns how much was done. */
  turn(): number {
    let work = 0;
    this.keys.endEpochIfDue();
    if (this.keys.orders.mayHaveRow) work += this.#takeOrders();
    if (this.operations.count !== 0) work += this.#tick();
    return work;
  }

  #takeOrders(): number {
    const { orders, words, items } = this.keys;
    let taken = 0;
    for (let row = orders.peek(); row >= 0 && taken < ORDERS_PER_CYCLE; row = orders.peek()) {
      const kind = words[row + ORDER_KIND];
      const item = itemWord(items, words[row + ORDER_ITEM]);
      if (kind === ORDER_COPY) {
        this.copies.want(item);
        orders.release();
        continue;
      }
      const operation = this.operations.areMany ? -1 : this.operations.take(operationOf(kind), item);
      if (operation < 0) break;
      this.operations.words[operation + op.SENT_MS] = this.keys.nowMs;
      this.operations.words[operation + op.DUE_MS] = this.keys.nowMs;
      orders.release();
      taken++;
    }
    return taken;
  }

  #tick(): number {
    const { words } = this.operations;
    const { nowMs } = this.keys;
    let work = 0;
    // Backwards: one that ends is replaced by the last.
    for (let i = this.operations.count - 1; i >= 0; i--) {
      const operation = this.operations.at(i);
      if (((nowMs - words[operation + op.DUE_MS]) | 0) < 0) continue;
      this.#tickOne(operation, words[operation + op.KIND]);
      work++;
    }
    return work;
  }

  #tickOne(operation: number, kind: number): void {
    if (kind === op.OPERATION_FETCH) return this.fills.tick(operation);
    if (kind === op.OPERATION_WRITE || kind === op.OPERATION_BURY) return this.writes.tick(operation);
    if (kind === op.OPERATION_RELAY) return this.intake.tick(operation);
    if (kind === op.OPERATION_COPY) return this.copies.tick(operation);
    if (kind === op.OPERATION_DEMOTE && this.operations.words[operation + op.STEP] !== 0)
      return this.copies.tick(operation);
    const isDone = kind === op.OPERATION_PROMOTE ? this.upkeep.promote(operation) : this.upkeep.demote(operation);
    if (isDone) return this.operations.giveBack(operation);
    const item = this.operations.words[operation + op.ITEM];
    const mayDrop = kind === op.OPERATION_DEMOTE && directory.stateOf(this.keys.words, item) === directory.LEAVING;
    if (mayDrop && this.replicas.areSettled(item) && this.copies.drop(operation)) return;
    this.operations.words[operation + op.DUE_MS] = (this.keys.nowMs + ORDER_RETRY_MS) | 0;
  }

  /** A datagram for a slot of our own operations. */
  hear(slot: number, header: number, end: number): void {
    const operation = this.operations.byTag(this.#path.memory.words[slot + SLOT_CLIENT]);
    if (operation < 0 || this.operations.words[operation + op.SLOT] !== slot) return;
    const kind = this.operations.words[operation + op.KIND];
    if (kind === op.OPERATION_RELAY) this.intake.hear(operation);
    else if (kind === op.OPERATION_FETCH) this.fills.hear(operation, header, end);
    else if (kind === op.OPERATION_COPY || kind === op.OPERATION_DEMOTE) this.copies.hear(operation, header, end);
    else this.#hearWrite(operation, header, end);
  }

  /** A key that has copies wants new ones once it is written. */
  #hearWrite(operation: number, header: number, end: number): void {
    const { words } = this.keys;
    const item = this.operations.words[operation + op.ITEM];
    this.writes.hear(operation, header, end);
    const isWritten =
      directory.stateOf(words, item) === directory.CLEAN && words[item + directory.REPLICAS_JOINED] === 0;
    if (isWritten) this.copies.want(item);
  }

  /** Whether `pass` has anything to say of the reply to this slot: mostly not, and told by two words. */
  concerns(slot: number): boolean {
    const { words } = this.#path.memory;
    const state = words[slot + SLOT_STATE];
    const isPlainRead =
      (state & SLOT_REPLICA) === 0 && VERB_CLASS[(state >>> SLOT_VERB_SHIFT) & VERB_MASK] === CLASS_READ;
    return !isPlainRead || this.keys.mayKnow(words[slot + SLOT_KEY_HASH]);
  }

  /**
   * The first datagram of a client's own reply is about to travel on: stores are ticked off, and what it says of a hot key
   * is taken to heart first.
   * @param told what parseReply found in it
   * @returns false: it must not travel on
   */
  pass(slot: number, told: Int32Array): boolean {
    const { words } = this.#path.memory;
    const verb = (words[slot + SLOT_STATE] >>> SLOT_VERB_SHIFT) & VERB_MASK;
    const hash = words[slot + SLOT_KEY_HASH];
    const isRead = VERB_CLASS[verb] === CLASS_READ;
    if (!isRead) this.keys.noteStored(hash);
    const item = this.keys.byHash(hash);
    const isOfCopy = (words[slot + SLOT_STATE] & SLOT_REPLICA) !== 0;
    if (isOfCopy && isMiss(told)) return this.replicas.missed(slot, item);
    if (item < 0) return true;
    // First, for an mg that changes something is relayed as a write.
    const relayed = this.intake.relayed(item, slot, told[OUT_STATUS]);
    if (relayed !== 0) return relayed !== RELAYED_QUIETLY;
    if (!isRead || isMiss(told)) this.upkeep.invalidate(item);
    return true;
  }

  /** Item of the key at `key` in the lane's arena, or −1. */
  find(hash: number, key: number, keyBytes: number): number {
    const { words, view } = this.keys;
    const item = this.keys.byHash(hash);
    return item >= 0 && isKeyOf(view, words, item, this.#path.memory.view, key, keyBytes) ? item : -1;
  }

  /** Its time to live is about to be changed at home by a request that is not followed: what is cached of it is void. */
  touched(item: number): void {
    const { words, nowMs, lane } = this.keys;
    words[item + directory.RETRY_MS] = (nowMs + TOUCH_MS) | 0;
    directory.leak(words, item, nowMs);
    if (!directory.tryLock(words, item, lane)) return;
    const keep = directory.CAS_KNOWN | directory.ALIASED | directory.LOOSE | directory.TOMB | directory.ABSENT;
    if (directory.stateOf(words, item) === directory.CLEAN) directory.enter(words, item, directory.CLEAN, keep);
    directory.unlock(words, item);
  }

  /** A node has nothing to say to the quiet request in this slot: it was carried out, or found nothing. */
  passQuietly(slot: number): void {
    const { words } = this.#path.memory;
    const verb = (words[slot + SLOT_STATE] >>> SLOT_VERB_SHIFT) & VERB_MASK;
    const hash = words[slot + SLOT_KEY_HASH];
    if (VERB_CLASS[verb] === CLASS_READ) return this.missed(hash);
    this.keys.noteStored(hash);
    const item = this.keys.byHash(hash);
    if (item >= 0 && this.intake.relayed(item, slot, STATUS_NONE) === 0) this.upkeep.invalidate(item);
  }

  /** A miss for a key with this hash is about to be said in its node's place. */
  missed(hash: number): void {
    const item = this.keys.byHash(hash);
    if (item >= 0) this.upkeep.invalidate(item);
  }

  /** flush_all goes to the nodes: all that is cached is void, and nothing is taken over until they have answered. */
  flushBegins(delayS: number): void {
    const { words, control, nowMs } = this.keys;
    Atomics.add(words, control + HOT_STAMP, 1);
    Atomics.add(words, control + HOT_FLUSHING, 1);
    if (delayS > 0) words[control + HOT_FLUSH_DUE] = (nowMs + Math.min(delayS, DELAY_S_MAX) * 1000 + 2000) | 0;
  }

  flushEnds(): void {
    const { words, control } = this.keys;
    Atomics.add(words, control + HOT_STAMP, 1);
    Atomics.sub(words, control + HOT_FLUSHING, 1);
  }
}

const DELAY_S_MAX = 1_000_000;

function operationOf(order: number): number {
  if (order === ORDER_PROMOTE) return op.OPERATION_PROMOTE;
  return op.OPERATION_DEMOTE;
}

function isMiss(told: Int32Array): boolean {
  if (told[OUT_PROTOCOL] === PROTOCOL_BINARY) return told[OUT_STATUS] === BINARY_NOT_FOUND;
  return told[OUT_STATUS] === STATUS_END || told[OUT_STATUS] === STATUS_EN;
}
