/**
 * What is done with each verb. A table of two columns, one for the verb as a read or whatever else its class is, one
 * for it as a write: `mg` is both.
 */
import {
  CLASS_LOCAL,
  CLASS_POLICY,
  CLASS_READ,
  CLASS_WRITE,
  VERB_CLASS,
  VERB_COUNT,
  VERB_FLUSH_ALL,
  VERB_ME,
  VERB_NAMES,
  VERB_VERBOSITY,
} from '../memcached/verbs.ts';

/** Zeroed memory denies everything. */
export const ACTION_DENY = 0;
export const ACTION_FORWARD = 1;
/** Answered by the lane itself. */
export const ACTION_LOCAL = 2;
/** Sent to every node, answered when all have. */
export const ACTION_BROADCAST = 3;
export const ACTION_NAMES = ['deny', 'forward', 'local', 'broadcast'] as const;

/** A power of two above every verb. */
export const VERBS_MAX = 64;
/** Rows of the column for writes begin here. */
const WRITE_COLUMN = VERBS_MAX;
/** Words of the table. */
export const ACTION_WORDS = 2 * WRITE_COLUMN;

/** Stands for every verb when it writes. */
export const WRITES = 'writes';

export interface CommandPolicy {
  readonly flushAll: 'deny' | 'broadcast';
  readonly verbosity: 'deny' | 'broadcast';
  /** Meta debug: shows an item's internals. */
  readonly me: 'deny' | 'forward';
  /** Names of verbs, or WRITES; these are denied whatever else is said. */
  readonly deny: readonly string[];
}

export const DEFAULT_POLICY: CommandPolicy = { flushAll: 'deny', verbosity: 'deny', me: 'deny', deny: [] };

/** Names that `deny` may hold: WRITES and every verb that is not denied anyway. */
export const DENIABLE: readonly string[] = [
  WRITES,
  ...VERB_NAMES.filter((_, verb) => VERB_CLASS[verb] >= CLASS_READ && VERB_CLASS[verb] <= CLASS_POLICY),
];

/** Position in the table. */
export function actionAt(verb: number, verbClass: number): number {
  return verbClass === CLASS_WRITE ? WRITE_COLUMN + verb : verb;
}

export function writeActions(words: Int32Array, base: number, policy: CommandPolicy): void {
  for (let verb = 0; verb < VERB_COUNT; verb++) {
    const verbClass = VERB_CLASS[verb];
    words[base + verb] = actionOf(verb, verbClass, policy);
    words[base + WRITE_COLUMN + verb] = actionOf(verb, verbClass === CLASS_READ ? CLASS_WRITE : verbClass, policy);
  }
}

/** What becomes of a verb in one of its classes. */
export function actionOf(verb: number, verbClass: number, policy: CommandPolicy): number {
  if (policy.deny.includes(VERB_NAMES[verb])) return ACTION_DENY;
  if (verb === VERB_FLUSH_ALL) return policy.flushAll === 'broadcast' ? ACTION_BROADCAST : ACTION_DENY;
  if (verb === VERB_VERBOSITY) return policy.verbosity === 'broadcast' ? ACTION_BROADCAST : ACTION_DENY;
  if (verb === VERB_ME) return policy.me === 'forward' ? ACTION_FORWARD : ACTION_DENY;
  if (verbClass === CLASS_LOCAL) return ACTION_LOCAL;
  if (verbClass === CLASS_WRITE) return policy.deny.includes(WRITES) ? ACTION_DENY : ACTION_FORWARD;
  return verbClass === CLASS_READ ? ACTION_FORWARD : ACTION_DENY;
}
