/** The meta commands of 1.6.18: mg, ms, md, ma, mn. Flags are answered in the order in which they were given. */

import type { ReadData } from './classic.ts';
import { casOf, int32Of, isKeyTooLong, uint32Of } from './lines.ts';
import {
  EXISTS,
  type Item,
  NON_NUMERIC,
  NOT_FOUND,
  NOT_STORED,
  parseU64,
  STORED,
  type Store,
  type StoreMode,
} from './store.ts';

const BAD_LINE = 'CLIENT_ERROR bad command line format\r\n';
const OPTIONS_MAX = 19;
const OPAQUE_BYTES_MAX = 32;
const KNOWN = new Set('bNTRlOPLkstcfvhuqFCMJDI');

interface Flags {
  readonly words: readonly string[];
  /** Its bytes, decoded. */
  readonly key: string;
  readonly isKeyBinary: boolean;
  has(flag: string): boolean;
  /** What stands behind the letter. */
  text(flag: string): string;
  /** Of `T`, `N`, `R`: on the server's clock. */
  time(flag: string): number;
}

/** @param words the first is the command, of two letters */
export function meta(store: Store, words: readonly string[], readData: ReadData): string[] {
  switch (words[0]) {
    case 'mn':
      return ['MN\r\n'];
    case 'mg':
      return metaGet(store, words);
    case 'ms':
      return metaSet(store, words, readData);
    case 'md':
      return metaDelete(store, words);
    case 'ma':
      return metaArithmetic(store, words);
    default:
      return ['ERROR\r\n'];
  }
}

/** The flags, or the line that says what is wrong with them. */
function parse(store: Store, key: string, words: readonly string[]): Flags | string {
  const seen = new Map<string, string>();
  let error = '';
  for (const word of words) {
    const flag = word[0]!;
    if (flag.charCodeAt(0) >= 127 || seen.has(flag)) return 'CLIENT_ERROR duplicate flag\r\n';
    if (!KNOWN.has(flag)) return 'CLIENT_ERROR invalid flag\r\n';
    seen.set(flag, word.slice(1));
    error = faultOf(flag, word.slice(1)) || error;
  }
  const isKeyBinary = seen.has('b');
  const decoded = isKeyBinary ? Buffer.from(key, 'base64').toString('latin1') : key;
  if (isKeyBinary && decoded === '') error = 'CLIENT_ERROR error decoding key';
  if (error !== '') return `${error}\r\n`;
  return {
    words,
    key: decoded,
    isKeyBinary,
    has: flag => seen.has(flag),
    text: flag => seen.get(flag) ?? '',
    time: flag => store.realTime(int32Of(seen.get(flag) ?? '0')!),
  };
}

function faultOf(flag: string, text: string): string {
  const bad = 'CLIENT_ERROR bad token in command line format';
  if ((flag === 'N' || flag === 'T' || flag === 'R') && int32Of(text) === undefined) return bad;
  if (flag === 'F' && uint32Of(text) === undefined) return 'CLIENT_ERROR bad command line format';
  if (flag === 'C' && casOf(text) === undefined) return bad;
  if (flag === 'M' && text.length !== 1) return 'CLIENT_ERROR incorrect length for M token';
  if (flag === 'J' && parseU64(text) === undefined) return 'CLIENT_ERROR invalid numeric initial value';
  if (flag === 'D' && parseU64(text) === undefined) return 'CLIENT_ERROR invalid numeric delta value';
  if (flag === 'O' && text.length >= OPAQUE_BYTES_MAX) return 'CLIENT_ERROR opaque token too long';
  return '';
}

/** The flags that any reply repeats. */
function repeated(flags: Flags, word: string, isKeyBinary = flags.isKeyBinary): string {
  if (word[0] === 'O') return ` ${word}`;
  if (word[0] !== 'k') return '';
  if (!isKeyBinary) return ` k${flags.key}`;
  return ` k${Buffer.from(flags.key, 'latin1').toString('base64')} b`;
}

function ttl(store: Store, item: Item): string {
  return item.exptime === 0 ? ' t-1' : ` t${(item.exptime - store.now) >>> 0}`;
}

function metaGet(store: Store, words: readonly string[]): string[] {
  if (words.length < 2) return ['ERROR\r\n'];
  if (isKeyTooLong(words[1]!)) return [BAD_LINE];
  if (words.length >= OPTIONS_MAX + 1) return ['CLIENT_ERROR options flags are too long\r\n'];
  const flags = parse(store, words[1]!, words.slice(2));
  if (typeof flags === 'string') return [flags];
  let item = store.find(flags.key);
  const isLate = ['N', 'T', 'R', 'l', 'h'].some(flags.has);
  if (item !== undefined && !isLate && !flags.has('u')) store.bump(item);
  const isCreated = item === undefined && flags.has('N');
  if (isCreated) item = store.create(flags.key, '', 0);
  if (item === undefined) {
    const line = `EN${flags.words.map(word => repeated(flags, word)).join('')}\r\n`;
    return flags.has('q') ? [] : [line];
  }
  return [hit(store, item, flags, isCreated, isLate && !flags.has('u'))];
}

function hit(store: Store, item: Item, flags: Flags, isCreated: boolean, bumps: boolean): string {
  let wins = false;
  let line = flags.has('v') ? `VA ${item.value.length}` : 'HD';
  for (const word of flags.words) {
    if (word[0] === 'T') item.exptime = flags.time('T');
    if (word[0] === 'N' && isCreated) item.exptime = flags.time('N');
    if (word[0] === 'N' && isCreated) wins = true;
    if (word[0] === 'R') wins ||= isDue(item, flags.time('R'), isCreated);
    line += shown(store, item, word) + repeated(flags, word, item.binaryKey);
  }
  if (item.tokenSent) line += ' Z';
  if (item.stale) line += ' X';
  wins ||= item.stale && !item.tokenSent;
  if (wins) line += ' W';
  if (wins) item.tokenSent = true;
  if (bumps) store.bump(item);
  return `${line}\r\n${flags.has('v') ? `${item.value}\r\n` : ''}`;
}

function isDue(item: Item, recacheTime: number, isCreated: boolean): boolean {
  return !item.tokenSent && !isCreated && item.exptime !== 0 && item.exptime < recacheTime;
}

function shown(store: Store, item: Item, word: string): string {
  switch (word[0]) {
    case 's':
      return ` s${item.value.length}`;
    case 't':
      return ttl(store, item);
    case 'c':
      return ` c${item.cas}`;
    case 'f':
      return ` f${item.flags}`;
    case 'l':
      return ` l${store.now - item.time}`;
    case 'h':
      return ` h${item.fetched ? 1 : 0}`;
    default:
      return '';
  }
}

const SET_MODES: Readonly<Record<string, StoreMode>> = { E: 'add', A: 'append', P: 'prepend', R: 'replace', S: 'set' };
const STATUS: Readonly<Record<number, string>> = {
  [STORED]: 'HD',
  [EXISTS]: 'EX',
  [NOT_FOUND]: 'NF',
  [NOT_STORED]: 'NS',
};

function metaSet(store: Store, words: readonly string[], readData: ReadData): string[] {
  if (words.length < 2) return ['ERROR\r\n'];
  if (isKeyTooLong(words[1]!) || words.length === 2) return [BAD_LINE];
  if (words.length >= OPTIONS_MAX + 1) return ['CLIENT_ERROR options flags too long\r\n'];
  const bytes = int32Of(words[2]!);
  if (bytes === undefined || bytes < 0) return [BAD_LINE];
  const data = readData(bytes);
  const flags = parse(store, words[1]!, words.slice(3));
  if (typeof flags === 'string') return [flags];
  let mode: StoreMode | undefined = flags.has('M') ? SET_MODES[flags.text('M')] : 'set';
  if (mode === undefined) return ['CLIENT_ERROR invalid mode for ms M token\r\n'];
  const hasCas = flags.has('C');
  if (hasCas && (mode === 'set' || mode === 'replace')) mode = 'cas';
  const cas = hasCas ? casOf(flags.text('C'))! : 0;
  const clientFlags = uint32Of(flags.text('F') || '0')!;
  store.cas = 0;
  const result = store.store(mode, flags.key, data, clientFlags, flags.time('T'), cas, flags.has('I'));
  const isNew = mode !== 'append' && mode !== 'prepend';
  if (result === STORED && isNew) store.items.get(flags.key)!.binaryKey = flags.isKeyBinary;
  if (result === STORED && flags.has('q')) return [];
  const shownCas = result === STORED ? store.cas : 0;
  const rest = flags.words.map(word => (word[0] === 'c' ? ` c${shownCas}` : repeated(flags, word)));
  return [`${STATUS[result]}${rest.join('')}\r\n`];
}

function metaDelete(store: Store, words: readonly string[]): string[] {
  if (words.length < 2) return ['ERROR\r\n'];
  if (isKeyTooLong(words[1]!)) return [BAD_LINE];
  if (words.length >= OPTIONS_MAX + 1) return ['CLIENT_ERROR options flags too long\r\n'];
  const flags = parse(store, words[1]!, words.slice(2));
  if (typeof flags === 'string') {
    return [flags.includes('opaque') ? flags : 'CLIENT_ERROR invalid or duplicate flag\r\n'];
  }
  const status = deleted(store, flags);
  if (status === 'HD' && flags.has('q')) return [];
  return [`${status}${flags.words.map(word => repeated(flags, word)).join('')}\r\n`];
}

function deleted(store: Store, flags: Flags): string {
  const item = store.find(flags.key);
  if (item === undefined) return 'NF';
  if (flags.has('C') && casOf(flags.text('C')) !== item.cas) return 'EX';
  if (!flags.has('I')) {
    store.delete(flags.key);
    return 'HD';
  }
  if (flags.has('T')) item.exptime = flags.time('T');
  store.makeStale(item);
  return 'HD';
}

function metaArithmetic(store: Store, words: readonly string[]): string[] {
  if (words.length < 2) return ['ERROR\r\n'];
  if (isKeyTooLong(words[1]!)) return [BAD_LINE];
  if (words.length >= OPTIONS_MAX + 1) return ['CLIENT_ERROR options flags too long\r\n'];
  const flags = parse(store, words[1]!, words.slice(2));
  if (typeof flags === 'string') {
    return [flags.includes('opaque') ? flags : 'CLIENT_ERROR invalid or duplicate flag\r\n'];
  }
  const mode = flags.has('M') ? flags.text('M') : 'I';
  if (!'ID+-'.includes(mode)) return ['CLIENT_ERROR invalid mode for ma M token\r\n'];
  const by = flags.has('D') ? parseU64(flags.text('D'))! : 1n;
  const cas = flags.has('C') ? casOf(flags.text('C'))! : 0;
  const result = store.delta(flags.key, mode === 'I' || mode === '+', by, cas);
  if (result === NON_NUMERIC) return ['CLIENT_ERROR cannot increment or decrement non-numeric value\r\n'];
  if (result === STORED) {
    const item = store.items.get(flags.key)!;
    // 1.6.18 sets the new time on the item that was replaced: a number that has become longer keeps its old one.
    const line = number(store, store.hasGrown ? { ...item } : item, flags, false);
    return flags.has('q') ? [] : [line];
  }
  if (result === NOT_FOUND && flags.has('N')) return [number(store, firstNumber(store, flags), flags, true)];
  return [`${STATUS[result]}${flags.words.map(word => repeated(flags, word)).join('')}\r\n`];
}

function firstNumber(store: Store, flags: Flags): Item {
  return store.create(flags.key, (flags.has('J') ? parseU64(flags.text('J'))! : 0n).toString(), 0);
}

function number(store: Store, item: Item, flags: Flags, isCreated: boolean): string {
  const text = item.value.trimEnd();
  let line = flags.has('v') ? `VA ${text.length}` : 'HD';
  for (const word of flags.words) {
    if (word[0] === 'T') item.exptime = flags.time('T');
    if (word[0] === 'N' && isCreated) item.exptime = flags.time('N');
    if (word[0] === 'c') line += ` c${item.cas}`;
    if (word[0] === 't') line += ttl(store, item);
    line += repeated(flags, word);
  }
  return `${line}\r\n${flags.has('v') ? `${text}\r\n` : ''}`;
}
