/**
 * The verbs of the three protocols under one numbering. A binary opcode has the verb of its ASCII twin (getq, getk and
 * getkq are VERB_GET; what sets them apart stands in OUT_OPCODE and OUT_FLAGS).
 */
import { type WordTable, wordTable } from './words.ts';

export const VERB_UNKNOWN = 0;
export const VERB_GET = 1;
export const VERB_GETS = 2;
export const VERB_GAT = 3;
export const VERB_GATS = 4;
export const VERB_SET = 5;
export const VERB_ADD = 6;
export const VERB_REPLACE = 7;
export const VERB_APPEND = 8;
export const VERB_PREPEND = 9;
export const VERB_CAS = 10;
export const VERB_INCR = 11;
export const VERB_DECR = 12;
export const VERB_DELETE = 13;
export const VERB_TOUCH = 14;
export const VERB_FLUSH_ALL = 15;
export const VERB_VERBOSITY = 16;
export const VERB_MG = 17;
export const VERB_MS = 18;
export const VERB_MD = 19;
export const VERB_MA = 20;
export const VERB_ME = 21;
export const VERB_MN = 22;
export const VERB_VERSION = 23;
export const VERB_STATS = 24;
/** Binary only. */
export const VERB_NOOP = 25;
export const VERB_QUIT = 26;
export const VERB_SHUTDOWN = 27;
export const VERB_WATCH = 28;
export const VERB_LRU = 29;
export const VERB_LRU_CRAWLER = 30;
export const VERB_SLABS = 31;
export const VERB_CACHE_MEMLIMIT = 32;
export const VERB_EXTSTORE = 33;
export const VERB_MISBEHAVE = 34;
export const VERB_DEBUGTIME = 35;
export const VERB_REFRESH_CERTS = 36;
/** Binary only: list mechanisms, auth, step. */
export const VERB_SASL = 37;

export const CLASS_UNKNOWN = 0;
/** Changes nothing: may be answered by a copy. */
export const CLASS_READ = 1;
/** Changes an item or its time to live: goes home. gat and gats are writes, and so is mg with N, R or T. */
export const CLASS_WRITE = 2;
/** Answered by the balancer itself. */
export const CLASS_LOCAL = 3;
/** Denied unless configured. */
export const CLASS_POLICY = 4;
export const CLASS_DENIED = 5;
export const CLASS_NAMES = ['unknown', 'read', 'write', 'local', 'policy', 'denied'] as const;

/** In the order of the ids above. */
const VERBS: readonly (readonly [name: string, verbClass: number])[] = [
  ['unknown', CLASS_UNKNOWN],
  ['get', CLASS_READ],
  ['gets', CLASS_READ],
  ['gat', CLASS_WRITE],
  ['gats', CLASS_WRITE],
  ['set', CLASS_WRITE],
  ['add', CLASS_WRITE],
  ['replace', CLASS_WRITE],
  ['append', CLASS_WRITE],
  ['prepend', CLASS_WRITE],
  ['cas', CLASS_WRITE],
  ['incr', CLASS_WRITE],
  ['decr', CLASS_WRITE],
  ['delete', CLASS_WRITE],
  ['touch', CLASS_WRITE],
  ['flush_all', CLASS_POLICY],
  ['verbosity', CLASS_POLICY],
  ['mg', CLASS_READ],
  ['ms', CLASS_WRITE],
  ['md', CLASS_WRITE],
  ['ma', CLASS_WRITE],
  ['me', CLASS_POLICY],
  ['mn', CLASS_LOCAL],
  ['version', CLASS_LOCAL],
  ['stats', CLASS_LOCAL],
  ['noop', CLASS_LOCAL],
  ['quit', CLASS_DENIED],
  ['shutdown', CLASS_DENIED],
  ['watch', CLASS_DENIED],
  ['lru', CLASS_DENIED],
  ['lru_crawler', CLASS_DENIED],
  ['slabs', CLASS_DENIED],
  ['cache_memlimit', CLASS_DENIED],
  ['extstore', CLASS_DENIED],
  ['misbehave', CLASS_DENIED],
  ['debugtime', CLASS_DENIED],
  ['refresh_certs', CLASS_DENIED],
  ['sasl', CLASS_DENIED],
];

export const VERB_COUNT = VERBS.length;
/** Verb id → name, for people. */
export const VERB_NAMES: readonly string[] = VERBS.map(([name]) => name);
/** Verb id → CLASS_*. */
export const VERB_CLASS = Uint8Array.from(VERBS, ([, verbClass]) => verbClass);

const BINARY_ONLY = new Set(['unknown', 'noop', 'sasl']);

/** The words that begin an ASCII or meta request. */
export const ASCII_VERBS: WordTable = wordTable(
  Object.fromEntries(VERB_NAMES.map((name, verb) => [name, verb] as const).filter(([name]) => !BINARY_ONLY.has(name))),
);
