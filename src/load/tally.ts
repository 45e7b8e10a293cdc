/** What is counted, by phase. One flat block of float64: counter c of phase p is word p · TALLY_COUNTERS.length + c. */

export const PHASE_PREFILL = 0;
export const PHASE_WARMUP = 1;
export const PHASE_MEASURE = 2;
export const PHASES = 3;

/** Why a reply is wrong. The first two are not taken as the answer to anything: a kernel would have dropped them. */
export const WRONG_REASONS = [
  /** IPv4 header or UDP checksum does not hold, or lengths that contradict each other. */
  'checksum',
  /** From another address or port than the request went to. */
  'source',
  /** To a port of ours that sends nothing. */
  'port',
  /** Not one whole datagram: an IP fragment, a super-frame, a frame cut short. */
  'fragment',
  /** The memcached frame header: shorter than 8 bytes, sequence ≠ 0, total ≠ 1, reserved ≠ 0. */
  'framing',
  /** A request id that was never sent from that port. */
  'unknown_id',
  /** Neither an answer to this verb nor an error line; or bytes before, between or after its parts. */
  'malformed',
  /** The value of another key, or under another key's name. */
  'key',
  /** The value's length is not what this version of the key has. */
  'length',
  /** A byte of the value differs. */
  'value',
  /** A version that was never written. */
  'version',
] as const;
export type WrongReason = (typeof WRONG_REASONS)[number];

export const WRONG_CHECKSUM = 0;
export const WRONG_SOURCE = 1;
export const WRONG_PORT = 2;
export const WRONG_FRAGMENT = 3;
export const WRONG_FRAMING = 4;
export const WRONG_UNKNOWN_ID = 5;
export const WRONG_MALFORMED = 6;
export const WRONG_KEY = 7;
export const WRONG_LENGTH = 8;
export const WRONG_VALUE = 9;
export const WRONG_VERSION = 10;

export const TALLY_COUNTERS = [
  'get_requests',
  'set_requests',
  'get_replies',
  'set_replies',
  'get_lost',
  'set_lost',
  'hits',
  'misses',
  'stored',
  /** Replies that are memcached error lines. */
  'errors',
  /** Replies matched to a request, but wrong. With hits, misses, stored and errors they make up all replies. */
  'wrong_replies',
  'late',
  'duplicates',
  /** ICMP destination unreachable: somebody says that nobody listens. */
  'unreachable',
  'wrong_checksum',
  'wrong_source',
  'wrong_port',
  'wrong_fragment',
  'wrong_framing',
  'wrong_unknown_id',
  'wrong_malformed',
  'wrong_key',
  'wrong_length',
  'wrong_value',
  'wrong_version',
] as const;
export type TallyCounter = (typeof TALLY_COUNTERS)[number];

/** Counters that come in pairs: add 1 for SET. */
export const REQUESTS = 0;
export const REPLIES = 2;
export const LOST = 4;
export const HITS = 6;
export const MISSES = 7;
export const STORED = 8;
export const ERRORS = 9;
export const WRONG_REPLIES = 10;
export const LATE = 11;
export const DUPLICATES = 12;
export const UNREACHABLE = 13;
const WRONG_FIRST = 14;

/** Wrong frames kept, and different error lines told apart. */
const SAMPLES_MAX = 8;
const ERROR_TEXTS_MAX = 32;
const OTHER_ERRORS = '(others)';

/** A wrong frame, for the reader of a report. */
export interface WrongSample {
  reason: WrongReason;
  /** The whole frame from its Ethernet header on. */
  hex: string;
  /** The key that was asked for, when the frame was matched to a request. */
  key?: string;
}

export class Tally {
  readonly #counts = new Float64Array(PHASES * TALLY_COUNTERS.length);
  readonly samples: WrongSample[] = [];
  readonly samplesMax = SAMPLES_MAX;
  /** Error line → how often, all phases together. */
  readonly errorTexts = new Map<string, number>();

  add(phase: number, counter: number): void {
    const word = phase * TALLY_COUNTERS.length + counter;
    this.#counts[word] = (this.#counts[word] as number) + 1;
  }

  addWrong(phase: number, reason: number): void {
    this.add(phase, WRONG_FIRST + reason);
  }

  /** Rare: makes strings. Keeps the first few. */
  keepSample(reason: number, frame: Uint8Array, key?: string): void {
    if (this.samples.length >= SAMPLES_MAX) return;
    const hex = Buffer.from(frame).toString('hex');
    this.samples.push({ reason: WRONG_REASONS[reason] as WrongReason, hex, ...(key !== undefined && { key }) });
  }

  /** Rare: makes strings. */
  countErrorText(text: string): void {
    const known = this.errorTexts.has(text) || this.errorTexts.size < ERROR_TEXTS_MAX;
    const name = known ? text : OTHER_ERRORS;
    this.errorTexts.set(name, (this.errorTexts.get(name) ?? 0) + 1);
  }

  get(phase: number, counter: number): number {
    return this.#counts[phase * TALLY_COUNTERS.length + counter] as number;
  }

  /** Requests that have their reply, of both verbs. */
  replies(phase: number): number {
    return this.get(phase, REPLIES) + this.get(phase, REPLIES + 1);
  }

  /** Over all phases. */
  totals(): { replies: number; lost: number; wrong: number } {
    const totals = { replies: 0, lost: 0, wrong: 0 };
    for (let phase = 0; phase < PHASES; phase++) {
      totals.replies += this.replies(phase);
      totals.lost += this.get(phase, LOST) + this.get(phase, LOST + 1);
      for (let i = 0; i < WRONG_REASONS.length; i++) totals.wrong += this.get(phase, WRONG_FIRST + i);
    }
    return totals;
  }

  phase(phase: number): Record<TallyCounter, number> {
    return Object.fromEntries(TALLY_COUNTERS.map((name, counter) => [name, this.get(phase, counter)])) as Record<
      TallyCounter,
      number
    >;
  }
}
