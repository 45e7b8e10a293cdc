/**
 * What the balancer knows of a hot key: the first words of its item (cache/items.ts), and the moves that are allowed.
 *
 *     word  0  LOCK          0, or the lane that works on the key, + 1; taken by compare-and-exchange
 *           1  VERSION       moves on with every change; odd while the value's bytes change
 *           2  STATE         bits 0–2 state; then VALUED, CAS_KNOWN …
 *           3  HOME          row of its home node, + 1; 0: not known
 *           4  HOME_ADDRESS  of that node, for a row may become another's
 *           5  CAS_HIGH      } of the item at its home, when CAS_KNOWN
 *           6  CAS_LOW       }
 *           7  UNSURE_UNTIL  ms: UNSURE ends by itself then
 *           8  LOOSE_UNTIL   ms: until then an unfenced datagram of ours may still be under way
 *           9  FETCHER       lane whose fetch is under way, + 1
 *          10  FETCHED_MS    when it was sent
 *          11  COPIES        nodes that shall have a copy, home among them; 0 or 1: none      writer: keeper
 *          12  RELAY         slot, in the lane that holds the lock, of the client's own request that is under way
 *          13  RETRY_MS      no fetch before
 *          14  CACHED        1: its value may be cached; 0: it is replicated alone            writer: keeper
 *          15  COPIER        lane that brings its copies up to date, + 1
 *
 *     state       meaning                                                reads                         writes
 *     FREE        no key                                                 –                             –
 *     PROMOTING   stores sent before it was hot may be under way         as of a cold key              as of a cold key
 *     CLEAN       home has what was acknowledged last                    cache, a copy, or home        begin
 *     WRITING     one write is under way to home                         cache (but see LEAKED), wait  wait
 *     UNSURE      a write was not acknowledged: it may yet apply         home                          begin (read first)
 *     LEAVING     its copies are being deleted                           home                          home, as of a cold key
 *
 *     FREE ─keeper→ PROMOTING ─stores drained→ CLEAN ─write→ WRITING ─acknowledged→ CLEAN
 *                                              WRITING ─silence→ UNSURE ─L passed, or a fenced write acknowledged→ CLEAN
 *     PROMOTING, CLEAN ─keeper's order→ LEAVING ─copies deleted, or their lease over→ FREE (keeper)
 *     any ─its lane crashed→ UNSURE
 *     forbidden: WRITING → LEAVING (the order waits for the lock); UNSURE → CLEAN by a read (it kills no datagram);
 *     WRITING → WRITING of another write (one at a time, by the lock)
 *
 * An ABSENT key is known not to be at its home. After a delete a late datagram of an `add` of ours could bring the old
 * value back, so until LOOSE_UNTIL the balancer says "not there" itself (TOMB), and afterwards deletes what came back.
 */
import { ITEM_REPLICAS } from '../cache/items.ts';

export const LOCK = 0;
export const VERSION = 1;
export const STATE = 2;
export const HOME = 3;
export const HOME_ADDRESS = 4;
export const CAS_HIGH = 5;
export const CAS_LOW = 6;
export const UNSURE_UNTIL = 7;
export const LOOSE_UNTIL = 8;
export const FETCHER = 9;
export const FETCHED_MS = 10;
export const COPIES = 11;
export const RELAY = 12;
export const RETRY_MS = 13;
export const CACHED = 14;
/** Lane that copies it, + 1. */
export const COPIER = 15;
/** Behind the value header (cache/items.ts). */
export const ALIAS_HIGH = 28;
export const ALIAS_LOW = 29;
/**
 * 1: a read that went home may see what the write under way does, before it is acknowledged; or a miss has passed. From then
 * on the old value is not served any more, and what was seen may be gone again: see `writes.ts`. Any lane.
 */
export const LEAKED = 30;
/**
 * 1: the item at home may bear marks of the meta protocol (stale, won, token sent: flags I, N and R), which only its node can
 * tell of and changes as it does. Neither cached nor copied until it is stored or deleted anew. Holder of the lock.
 */
export const MARKED = 31;

export const STATE_MASK = 7;
export const FREE = 0;
export const PROMOTING = 1;
export const CLEAN = 2;
export const WRITING = 3;
export const UNSURE = 4;
export const LEAVING = 5;
export const STATE_NAMES = ['free', 'promoting', 'clean', 'writing', 'unsure', 'leaving'] as const;

/** The body is whole and of this version. */
export const VALUED = 8;
/** CAS_* are those of the item at home. */
export const CAS_KNOWN = 16;
/** Home has no such item. Never together with CAS_KNOWN. */
export const ABSENT = 32;
/** The balancer answers "not there" until LOOSE_UNTIL, and looks for what came back then. */
export const TOMB = 64;
/** It has a time to live: EXPIRES counts. */
export const TTL_SET = 128;
/** LOOSE_UNTIL counts. */
export const LOOSE = 256;
/** A client may hold the CAS in ALIAS_*: it was moved without a change of the value, and stands for the one in CAS_*. */
export const ALIASED = 512;

/**
 * The copies, home not among them: JOINED, bit i: row i has the present version and may be read. Then rows of four words:
 * the node's tag (0: none; dataplane/hot/sender.ts), CAS_HIGH and CAS_LOW of its copy (0, 0: not known), and until when an `ME` of ours may yet
 * arrive there, ms (0: never). Written by the holder of the lock; JOINED also by whoever forgets all of them at once.
 */
export const REPLICAS_JOINED = ITEM_REPLICAS;
export const REPLICA_ROWS = ITEM_REPLICAS + 1;
export const REPLICA_ROW_WORDS = 4;
export const REPLICA_NODE = 0;
export const REPLICA_CAS_HIGH = 1;
export const REPLICA_CAS_LOW = 2;
export const REPLICA_LOOSE_UNTIL = 3;
export const REPLICAS_MAX = 15;
/** Behind them, ms: when a read was let home last. Any lane. */
export const READ_MS = REPLICA_ROWS + REPLICAS_MAX * REPLICA_ROW_WORDS;

/** A lane that stalls in a cycle has a time that long ago at most; what looks later by more was weeks ago, ms. */
export const AHEAD_MS_MAX = 60_000;

/** Copies of the item that may be read, home not among them. */
export function joinedCount(words: Int32Array, item: number): number {
  let count = 0;
  for (let bits = words[item + REPLICAS_JOINED]; bits !== 0; bits &= bits - 1) count++;
  return count;
}

/** Takes the item for `lane`; false when another has it. A lane that has it already must not ask. */
export function tryLock(words: Int32Array, item: number, lane: number): boolean {
  return Atomics.compareExchange(words, item + LOCK, 0, lane + 1) === 0;
}

export function unlock(words: Int32Array, item: number): void {
  Atomics.store(words, item + LOCK, 0);
}

export function stateOf(words: Int32Array, item: number): number {
  return words[item + STATE] & STATE_MASK;
}

/** Whether the balancer answers for the key: it is neither on its way in nor out. */
export function isTreated(words: Int32Array, item: number): boolean {
  const state = words[item + STATE] & STATE_MASK;
  return state === CLEAN || state === WRITING || state === UNSURE;
}

/**
 * Whether the cached value may be served, if it is in time. While a write is under way that is the old one: nobody can have
 * seen another as long as no read has gone home (LEAKED).
 * @param version read before: odd while the value's bytes change
 */
export function isOpen(words: Int32Array, item: number, version: number): boolean {
  if ((version & 1) !== 0) return false;
  const state = words[item + STATE] & (STATE_MASK | VALUED);
  if (state === (CLEAN | VALUED)) return true;
  return state === (WRITING | VALUED) && Atomics.load(words, item + LEAKED) === 0;
}

/** Holder of the lock: another state; `keep` says which of the other bits stay. Readers that copy meanwhile notice. */
export function enter(words: Int32Array, item: number, state: number, keep: number): void {
  words[item + STATE] = (words[item + STATE] & keep & ~STATE_MASK) | state;
  Atomics.add(words, item + VERSION, 2);
}

/**
 * As `enter`, for a write that is about to be sent. Reads that went home less than `readMs` ago may see what it does, unless
 * they went before `answeredMs`: those are known to have been answered.
 */
export function enterWriting(
  words: Int32Array,
  item: number,
  keep: number,
  nowMs: number,
  readMs: number,
  answeredMs: number,
): void {
  Atomics.store(words, item + LEAKED, 0);
  enter(words, item, WRITING, keep);
  const lastMs = Atomics.load(words, item + READ_MS);
  const mayBeUnderWay = ((nowMs - lastMs) | 0) < readMs && ((lastMs - answeredMs) | 0) >= 0;
  if (mayBeUnderWay) Atomics.store(words, item + LEAKED, 1);
}

/**
 * Any lane, before a read goes home. A write may begin at the same moment: whoever begins one sets LEAKED back first and
 * looks at READ_MS then, so one of the two sees the other.
 */
export function leak(words: Int32Array, item: number, nowMs: number): void {
  noteRead(words, item, nowMs);
  Atomics.store(words, item + LEAKED, 1);
}

/** Reads have gone home at this time, or will within the cycle of a lane that began then. A later one that is noted stays. */
export function noteRead(words: Int32Array, item: number, ms: number): void {
  for (;;) {
    const notedMs = Atomics.load(words, item + READ_MS);
    const aheadMs = (notedMs - ms) | 0;
    if (aheadMs >= 0 && aheadMs < AHEAD_MS_MAX) return;
    if (Atomics.compareExchange(words, item + READ_MS, notedMs, ms) === notedMs) return;
  }
}

/** Holder: the value's bytes are about to change. VERSION is odd until `endChange`. Returns what it is now. */
export function beginChange(words: Int32Array, item: number): number {
  return (Atomics.add(words, item + VERSION, 1) + 1) | 0;
}

/**
 * Holder: they have changed; the state that comes with them. Without the value, when VERSION has moved meanwhile: somebody
 * was told that there is none.
 * @param begun as `beginChange` said
 */
export function endChange(words: Int32Array, item: number, state: number, flags: number, begun: number): void {
  const isVoid = Atomics.load(words, item + VERSION) !== begun;
  words[item + STATE] = state | (isVoid ? flags & ~VALUED : flags);
  Atomics.add(words, item + VERSION, 1);
}

/** A lane died: what it held is UNSURE until `untilMs`, its fetches are nobody's. For its successor, before it works. */
export function releaseAll(
  words: Int32Array,
  base: number,
  items: number,
  itemWords: number,
  lane: number,
  untilMs: number,
): number {
  let released = 0;
  for (let i = 0; i < items; i++) {
    const item = base + i * itemWords;
    if (words[item + FETCHER] === lane + 1) words[item + FETCHER] = 0;
    if (words[item + COPIER] === lane + 1) words[item + COPIER] = 0;
    if (words[item + LOCK] !== lane + 1) continue;
    words[item + UNSURE_UNTIL] = untilMs;
    words[item + REPLICAS_JOINED] = 0;
    words[item + STATE] = (words[item + STATE] & (LOOSE | TOMB)) | UNSURE;
    Atomics.add(words, item + VERSION, (words[item + VERSION] & 1) === 0 ? 2 : 1);
    unlock(words, item);
    released++;
  }
  return released;
}
