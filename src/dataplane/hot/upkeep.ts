/** What must be done to an item before anything else: its home has changed, an unsure time is over, a tomb wants a look. */
import { ITEM_EXPIRES, ITEM_KEY_HASH } from '../../cache/items.ts';
import * as directory from '../../coherence/directory.ts';
import { nodeAddress } from '../../steer/lookup.ts';
import { COUNT } from '../counters.ts';
import type { Path } from '../path.ts';
import type { Fills } from './fills.ts';
import type { HotKeys } from './keys.ts';
import * as op from './operations.ts';
import { nodeOfTag, type Sender } from './sender.ts';
import type { Writes } from './writes.ts';

export class Upkeep {
  readonly #path: Path;
  readonly #keys: HotKeys;
  readonly #operations: op.Operations;
  readonly #sender: Sender;
  readonly #fills: Fills;
  readonly #writes: Writes;

  constructor(path: Path, keys: HotKeys, operations: op.Operations, sender: Sender, fills: Fills, writes: Writes) {
    this.#path = path;
    this.#keys = keys;
    this.#operations = operations;
    this.#sender = sender;
    this.#fills = fills;
    this.#writes = writes;
  }

  /** Whether what is known of the item is known of its present home. If not, all is forgotten, unless somebody has the lock. */
  isAtHome(item: number): boolean {
    const node = this.#sender.homeOf(item);
    if (this.#isHome(item, node)) return true;
    const { words, lane } = this.#keys;
    if (!directory.tryLock(words, item, lane)) return false;
    this.settleHome(item);
    directory.unlock(words, item);
    return true;
  }

  /** Whether another node had become home of a key that is treated, which is settled now. */
  hasMoved(item: number): boolean {
    if (!directory.isTreated(this.#keys.words, item)) return false;
    return !this.#isHome(item, this.#sender.homeOf(item)) && this.isAtHome(item);
  }

  #isHome(item: number, node: number): boolean {
    const { words } = this.#keys;
    const { steerWords, table } = this.#path;
    if (words[item + directory.HOME] !== node + 1) return false;
    return node < 0 || words[item + directory.HOME_ADDRESS] === nodeAddress(steerWords, table, node);
  }

  /**
   * Whom to ask past the protocol: the node that what is known of the item is known of. A lane that has taken up a newer
   * table, or still has an older one, would be told what another node has kept of before.
   */
  knownHome(item: number): number {
    const { words } = this.#keys;
    const { steerWords, table } = this.#path;
    const node = words[item + directory.HOME] - 1;
    const isKnown = directory.isTreated(words, item) && node >= 0;
    if (isKnown && nodeAddress(steerWords, table, node) === words[item + directory.HOME_ADDRESS]) return node;
    return this.#sender.homeOf(item);
  }

  /** `isAtHome` for the holder of the lock. Returns whether another node has become home of a key that is treated. */
  settleHome(item: number): boolean {
    const node = this.#sender.homeOf(item);
    if (this.#isHome(item, node)) return false;
    const { words } = this.#keys;
    const { steerWords, table } = this.#path;
    const wasKnown = words[item + directory.HOME] !== 0;
    words[item + directory.HOME] = node + 1;
    words[item + directory.HOME_ADDRESS] = node < 0 ? 0 : nodeAddress(steerWords, table, node);
    if (!wasKnown || !directory.isTreated(words, item)) return false;
    this.#path.memory.counters[COUNT.hot_moves] += 1;
    this.#moveHome(item, node);
    return true;
  }

  /**
   * Another node is home. If it has the present version as a copy, it is warm; anything else there is of old, and must go
   * before anything is believed (TOMB). What is unresolved at the old home is lost with it.
   */
  #moveHome(item: number, node: number): void {
    const { words, nowMs, setup } = this.#keys;
    const state = directory.stateOf(words, item);
    const phase = state === directory.UNSURE ? directory.CLEAN : state;
    const joined = words[item + directory.REPLICAS_JOINED];
    words[item + directory.REPLICAS_JOINED] = 0;
    const copy = this.#copyAt(item, node);
    const row = item + directory.REPLICA_ROWS + copy * directory.REPLICA_ROW_WORDS;
    if (copy >= 0) words[row + directory.REPLICA_NODE] = 0;
    const isWarm = copy >= 0 && (joined & (1 << copy)) !== 0 && state === directory.CLEAN;
    if (!isWarm) {
      // Past by every lane's clock: the burial is due.
      words[item + directory.LOOSE_UNTIL] = (nowMs - setup.lifeMs) | 0;
      words[item + directory.STATE] |= directory.LOOSE | directory.TOMB | directory.ABSENT;
      return directory.enter(words, item, phase, directory.LOOSE | directory.TOMB | directory.ABSENT);
    }
    words[item + directory.CAS_HIGH] = words[row + directory.REPLICA_CAS_HIGH];
    words[item + directory.CAS_LOW] = words[row + directory.REPLICA_CAS_LOW];
    // It lives for a lease: what is sent there looks first.
    words[item + ITEM_EXPIRES] = nowMs;
    words[item + directory.STATE] |= directory.CAS_KNOWN | directory.TTL_SET;
    directory.enter(words, item, phase, directory.CAS_KNOWN | directory.TTL_SET);
  }

  #copyAt(item: number, node: number): number {
    const { words } = this.#keys;
    const { steerWords, table } = this.#path;
    for (let copy = 0; copy < directory.REPLICAS_MAX; copy++) {
      const row = item + directory.REPLICA_ROWS + copy * directory.REPLICA_ROW_WORDS;
      if (node >= 0 && nodeOfTag(steerWords, table, words[row + directory.REPLICA_NODE]) === node) return copy;
    }
    return -1;
  }

  /**
   * UNSURE for as long as a datagram lives: nothing of it can still arrive. Returns whether that was so. What a late `ME`
   * brought back meanwhile cannot be told from what the write left: both are taken for gone, unless home has what it had.
   */
  endUnsure(item: number): boolean {
    const { words, nowMs, lane } = this.#keys;
    if (((nowMs - words[item + directory.UNSURE_UNTIL]) | 0) < 0) return false;
    if (!directory.tryLock(words, item, lane)) return false;
    const isOver = directory.stateOf(words, item) === directory.UNSURE;
    const known = (words[item + directory.STATE] & directory.LOOSE) === 0 ? 0 : directory.CAS_KNOWN;
    if (isOver) directory.enter(words, item, directory.CLEAN, directory.LOOSE | directory.TOMB | known);
    directory.unlock(words, item);
    return isOver;
  }

  /** Whether what home has came back from the dead, or is of before. */
  isTomb(item: number): boolean {
    return (this.#keys.words[item + directory.STATE] & directory.TOMB) !== 0;
  }

  isBurialDue(item: number): boolean {
    const { words, nowMs } = this.#keys;
    return this.isTomb(item) && ((nowMs - words[item + directory.LOOSE_UNTIL]) | 0) >= 0;
  }

  /** A tomb whose time is over is looked into, once: what is there came back from the dead. */
  buryIfDue(item: number): void {
    const { words, lane } = this.#keys;
    const state = words[item + directory.STATE];
    if (!this.isBurialDue(item)) return;
    if (!directory.tryLock(words, item, lane)) return;
    const isStill = words[item + directory.STATE] === state;
    const operation = isStill ? this.#operations.take(op.OPERATION_BURY, item) : -1;
    if (operation < 0) return directory.unlock(words, item);
    this.#writes.bury(operation);
  }

  /** Keeper's order: treat the key as soon as no store of before can arrive. False while that is not so. */
  promote(operation: number): boolean {
    const { words, nowMs, setup, seesAnswers, lane } = this.#keys;
    const item = this.#operations.words[operation + op.ITEM];
    if (directory.stateOf(words, item) !== directory.PROMOTING) return true;
    const waitedMs = (nowMs - this.#operations.words[operation + op.SENT_MS]) | 0;
    const isOldEnough = seesAnswers || waitedMs > setup.lifeMs;
    if (isOldEnough && this.#keys.isDrained(words[item + ITEM_KEY_HASH]) && directory.tryLock(words, item, lane)) {
      this.settleHome(item);
      words[item + directory.MARKED] = 0;
      // As of a cold key any lane may have sent reads home, until the cycle in which it saw that it is none any more.
      directory.noteRead(words, item, this.#keys.latestMs);
      directory.enter(words, item, directory.CLEAN, 0);
      directory.unlock(words, item);
      this.#path.memory.counters[COUNT.hot_promotions] += 1;
      if (words[item + directory.CACHED] !== 0) this.#fills.want(item);
      return true;
    }
    if (waitedMs <= (seesAnswers ? PROMOTE_MS_MAX : 2 * setup.lifeMs)) return false;
    return this.#free(item);
  }

  /** Keeper's order: stop treating the key. False while that cannot be. */
  demote(operation: number): boolean {
    const { words, nowMs, lane } = this.#keys;
    const item = this.#operations.words[operation + op.ITEM];
    const state = words[item + directory.STATE];
    const phase = state & directory.STATE_MASK;
    if (phase === directory.FREE) return true;
    if (phase === directory.PROMOTING) return this.#free(item);
    if (phase === directory.UNSURE) {
      this.endUnsure(item);
      return false;
    }
    if (phase === directory.LEAVING) return !this.#hasCopies(item) && this.#free(item);
    if (phase !== directory.CLEAN) return false;
    if ((state & directory.LOOSE) !== 0 && !this.#isVerified(item, state, nowMs)) return false;
    if (!directory.tryLock(words, item, lane)) return false;
    if (words[item + directory.STATE] === state) directory.enter(words, item, directory.LEAVING, 0);
    directory.unlock(words, item);
    return false;
  }

  #hasCopies(item: number): boolean {
    const { words } = this.#keys;
    if (words[item + directory.COPIER] !== 0) return true;
    for (let copy = 0; copy < directory.REPLICAS_MAX; copy++) {
      const row = item + directory.REPLICA_ROWS + copy * directory.REPLICA_ROW_WORDS;
      if (words[row + directory.REPLICA_NODE] !== 0) return true;
    }
    return false;
  }

  /** What came back from the dead would be read once nobody watches the key any more: one look at home after the time. */
  #isVerified(item: number, state: number, nowMs: number): boolean {
    const { words } = this.#keys;
    if (((nowMs - words[item + directory.LOOSE_UNTIL]) | 0) < 0) return false;
    if ((state & directory.TOMB) !== 0) {
      this.buryIfDue(item);
      return false;
    }
    if ((state & (directory.CAS_KNOWN | directory.ABSENT)) === 0) return true;
    this.#fills.want(item);
    return false;
  }

  #free(item: number): boolean {
    const { words, lane } = this.#keys;
    if (!directory.tryLock(words, item, lane)) return false;
    directory.enter(words, item, directory.FREE, 0);
    directory.unlock(words, item);
    return true;
  }

  /** A store's late answer, or a miss, has passed: what is cached may be out of date. */
  invalidate(item: number): void {
    const { words, lane, nowMs } = this.#keys;
    const phase = directory.stateOf(words, item);
    if (phase === directory.FREE || phase === directory.LEAVING) return;
    this.#path.memory.counters[COUNT.hot_invalidations] += 1;
    // In every state: what was fetched before must not be believed any more, nor what a write under way brings.
    directory.leak(words, item, nowMs);
    if (phase !== directory.CLEAN || !directory.tryLock(words, item, lane)) {
      Atomics.add(words, item + directory.VERSION, 2);
      return;
    }
    if (directory.stateOf(words, item) === directory.CLEAN) {
      words[item + directory.REPLICAS_JOINED] = 0;
      directory.enter(words, item, directory.CLEAN, directory.LOOSE | directory.TOMB);
    }
    directory.unlock(words, item);
  }
}

/** Stores that do not drain for so long: the key is written too much to be treated, ms. */
const PROMOTE_MS_MAX = 150;
