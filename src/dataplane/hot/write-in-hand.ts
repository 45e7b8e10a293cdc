/**
 * The write that an operation is about: the client's request, kept in the operation's buffer; what is asked of home for it,
 * as meta requests of our own; what home has told; and the answer that follows. What is done, and when: writes.ts.
 */
import { ITEM_KEY_AT, ITEM_KEY_LENGTH } from '../../cache/items.ts';
import * as directory from '../../coherence/directory.ts';
import { HIT_CAS_HIGH, HIT_CAS_LOW, HIT_VALUE_AT, HIT_VALUE_LENGTH, HIT_WORDS } from '../../memcached/hit-reply.ts';
import * as located from '../../memcached/located.ts';
import { hasFlag } from '../../memcached/meta-flags.ts';
import { returnToken } from '../../memcached/own-meta.ts';
import { parseReply } from '../../memcached/reply.ts';
import { parseRequest } from '../../memcached/request.ts';
import { NUMBER, readUint64 } from '../../memcached/uint64.ts';
import * as outcome from '../../memcached/write-reply.ts';
import * as terms from '../../memcached/write-terms.ts';
import { COUNT } from '../counters.ts';
import type { Path } from '../path.ts';
import type { HotKeys } from './keys.ts';
import * as op from './operations.ts';
import type { Repeats } from './repeats.ts';
import type { Sender } from './sender.ts';

/** Of op.FLAGS: the write is `ME`. */
export const CREATES = 1;
/** Outcome: the node said why not, in a line of its own. */
export const REFUSED_BY_NODE = -1;
/** Longest answer to a write. */
const ANSWER_BYTES_MAX = 1024;

const LETTER_A = 0x41;
const LETTER_D = 0x44;
const LETTER_E = 0x45;
const LETTER_I = 0x49;
const LETTER_P = 0x50;
const LETTER_C_LOWER = 0x63;
const LETTER_F_LOWER = 0x66;
const SPACE = 0x20;

const MODES = Uint8Array.from({ length: 9 });
MODES[terms.WRITE_APPEND] = LETTER_A;
MODES[terms.WRITE_PREPEND] = LETTER_P;
MODES[terms.WRITE_INCR] = LETTER_I;
MODES[terms.WRITE_DECR] = LETTER_D;

/** One for all operations: `recall` says which is in hand. */
export class WriteInHand {
  /** Of the client's request. */
  readonly asked = new Int32Array(located.OUT_WORDS);
  readonly terms = new Int32Array(terms.TERM_WORDS);
  /** Of the reply. */
  readonly told = new Int32Array(located.OUT_WORDS);
  readonly #path: Path;
  readonly #keys: HotKeys;
  readonly #operations: op.Operations;
  readonly #ops: Int32Array;
  readonly #sender: Sender;
  readonly #repeats: Repeats;
  readonly #hit = new Int32Array(HIT_WORDS);
  #replyStart = 0;
  #replyEnd = 0;

  constructor(path: Path, keys: HotKeys, operations: op.Operations, sender: Sender, repeats: Repeats) {
    this.#path = path;
    this.#keys = keys;
    this.#operations = operations;
    this.#ops = operations.words;
    this.#sender = sender;
    this.#repeats = repeats;
  }

  /** Takes up a reply, bytes `start` … `end` − 1. Returns its kind, REPLY_*. */
  hear(start: number, end: number): number {
    this.#replyStart = start;
    this.#replyEnd = end;
    return parseReply(this.#path.memory.bytes, start, end, this.told);
  }

  /** The request of the operation, located anew. */
  recall(operation: number): void {
    if (this.#ops[operation + op.KIND] === op.OPERATION_BURY) return;
    const { bytes, view } = this.#path.memory;
    const start = this.#operations.buffer(operation);
    parseRequest(bytes, start, start + this.#ops[operation + op.REQUEST_BYTES], this.asked);
    terms.readTerms(bytes, view, start, this.asked, this.terms);
  }

  get kind(): number {
    return this.terms[terms.TERM_KIND];
  }

  get isStore(): boolean {
    return this.kind <= terms.WRITE_REPLACE;
  }

  /** It makes the value there another: append, prepend, incr, decr. */
  get changes(): boolean {
    return !this.isStore && this.kind !== terms.WRITE_DELETE;
  }

  get isConditional(): boolean {
    return this.terms[terms.TERM_HAS_CAS] !== 0;
  }

  /** Whether the answer to a store that is carried out names the CAS. */
  get tellsCas(): boolean {
    const protocol = this.asked[located.OUT_PROTOCOL];
    if (protocol === located.PROTOCOL_META) return hasFlag(this.asked, this.#path.memory.bytes, LETTER_C_LOWER);
    return protocol === located.PROTOCOL_BINARY;
  }

  /** What memcached says of it where nothing is. */
  outcomeOfAbsent(): number {
    const stores =
      this.kind === terms.WRITE_REPLACE || this.kind === terms.WRITE_APPEND || this.kind === terms.WRITE_PREPEND;
    return stores ? outcome.OUTCOME_NOT_STORED : outcome.OUTCOME_NOT_FOUND;
  }

  /** Whether the CAS that it demands is the item's, under either number. */
  demands(item: number): boolean {
    const { words } = this.#keys;
    const high = this.terms[terms.TERM_CAS_HIGH];
    const low = this.terms[terms.TERM_CAS_LOW];
    if (words[item + directory.CAS_HIGH] === high && words[item + directory.CAS_LOW] === low) return true;
    if ((words[item + directory.STATE] & directory.ALIASED) === 0) return false;
    return words[item + directory.ALIAS_HIGH] === high && words[item + directory.ALIAS_LOW] === low;
  }

  /** An append of nothing, which moves the CAS; or a deletion. */
  fence(operation: number, item: number, at: number, isMove: boolean): number {
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

  /** The write itself. */
  request(operation: number, item: number, at: number): number {
    const { bytes, words } = this.#keys;
    const { line } = this.#sender;
    const key = (item << 2) + ITEM_KEY_AT;
    const keyBytes = words[item + ITEM_KEY_LENGTH];
    const kind = this.kind;
    const valueBytes = this.asked[located.OUT_VALUE_LENGTH];
    const creates = (this.#ops[operation + op.FLAGS] & CREATES) !== 0;
    if (kind === terms.WRITE_DELETE) line.delete(at, bytes, key, keyBytes);
    else if (kind >= terms.WRITE_INCR) {
      const high = this.terms[terms.TERM_DELTA_HIGH];
      line.arithmetic(at, bytes, key, keyBytes, MODES[kind], high, this.terms[terms.TERM_DELTA_LOW]).returnCas();
    } else {
      line.set(at, bytes, key, keyBytes, valueBytes, creates ? LETTER_E : MODES[kind]).returnCas();
      if (this.isStore) line.terms(this.terms[terms.TERM_FLAGS], this.terms[terms.TERM_EXPTIME]);
    }
    if (!creates) line.fence(this.#ops[operation + op.FENCE_HIGH], this.#ops[operation + op.FENCE_LOW]);
    const end = line.end(this.#sender.nonceHigh, this.#sender.nonceLow);
    return kind >= terms.WRITE_INCR ? end : this.#appendValue(end, this.asked[located.OUT_VALUE_OFFSET], valueBytes);
  }

  #appendValue(at: number, value: number, valueBytes: number): number {
    const { bytes } = this.#path.memory;
    bytes.copyWithin(at, value, value + valueBytes);
    bytes[at + valueBytes] = 0x0d;
    bytes[at + valueBytes + 1] = 0x0a;
    return at + valueBytes + 2;
  }

  /** CAS of the reply → NUMBER; 0: none. */
  readCas(start: number, end: number): void {
    const { bytes } = this.#path.memory;
    const at = returnToken(bytes, start, end, LETTER_C_LOWER);
    NUMBER.fill(0);
    if (at >= 0) readUint64(bytes, at);
  }

  /** Whether what home has is what it stored. NUMBER stays. */
  isApplied(start: number, end: number): boolean {
    const kind = this.kind;
    if (kind === terms.WRITE_DELETE) return false;
    if (!this.isStore) return true;
    const { bytes } = this.#path.memory;
    const length = this.asked[located.OUT_VALUE_LENGTH];
    const told = this.told[located.OUT_VALUE_OFFSET];
    if (this.told[located.OUT_VALUE_LENGTH] !== length || told + length + 2 !== end) return false;
    const ours = this.asked[located.OUT_VALUE_OFFSET];
    for (let i = 0; i < length; i++) if (bytes[told + i] !== bytes[ours + i]) return false;
    const [high, low] = NUMBER;
    const at = returnToken(bytes, start, end, LETTER_F_LOWER);
    readUint64(bytes, at);
    const isSame = NUMBER[1] === this.terms[terms.TERM_FLAGS];
    NUMBER[0] = high;
    NUMBER[1] = low;
    return isSame;
  }

  /** Answers the client. @param result OUTCOME_*, or REFUSED_BY_NODE */
  answer(operation: number, result: number): void {
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
    hit[HIT_VALUE_AT] = this.told[located.OUT_VALUE_OFFSET];
    hit[HIT_VALUE_LENGTH] = this.kind >= terms.WRITE_INCR ? this.#digitsTold() : 0;
    hit[HIT_CAS_HIGH] = this.#ops[operation + op.FENCE_HIGH];
    hit[HIT_CAS_LOW] = this.#ops[operation + op.FENCE_LOW];
    return outcome.writeOutcome(this.asked, bytes, result, hit, view, view, at, ANSWER_BYTES_MAX);
  }

  /** Of the number told: a counter that got shorter is padded with spaces where it lies, and CHECK reads it there. */
  #digitsTold(): number {
    const { bytes } = this.#path.memory;
    const start = this.told[located.OUT_VALUE_OFFSET];
    let end = start + this.told[located.OUT_VALUE_LENGTH];
    while (end > start && bytes[end - 1] === SPACE) end--;
    return end - start;
  }

  /** The node's own error line; to a binary client nothing. */
  #repeatError(at: number): number {
    const { bytes } = this.#path.memory;
    const isSilent = (this.asked[located.OUT_FLAGS] & located.REQUEST_NOREPLY) !== 0;
    if (isSilent || this.asked[located.OUT_PROTOCOL] === located.PROTOCOL_BINARY) return 0;
    const length = Math.min(ANSWER_BYTES_MAX, this.#replyEnd - this.#replyStart);
    bytes.copyWithin(at, this.#replyStart, this.#replyStart + length);
    return length;
  }
}
