/**
 * The classic text commands. Each answers with the messages that leave, one character a byte: '' is a message without
 * anything in it ("0 of 0"), silence is no message.
 */
import { casOf, int32Of, isKeyTooLong, uint32Of } from './lines.ts';
import { EXISTS, NON_NUMERIC, NOT_FOUND, NOT_STORED, parseU64, STORED, type Store, type StoreMode } from './store.ts';

const BAD_LINE = 'CLIENT_ERROR bad command line format';
export const VERSION = '1.6.18';

/** What a command that stores needs beside its line: the bytes behind it. */
export type ReadData = (bytes: number) => string;

type Command = (store: Store, words: readonly string[], readData: ReadData) => string[];

const COMMANDS: Readonly<Record<string, Command>> = {
  get: (store, words) => get(store, words, false),
  gets: (store, words) => get(store, words, true),
  gat: (store, words) => gat(store, words, false),
  gats: (store, words) => gat(store, words, true),
  set: (store, words, data) => update(store, 'set', words, data),
  add: (store, words, data) => update(store, 'add', words, data),
  replace: (store, words, data) => update(store, 'replace', words, data),
  append: (store, words, data) => update(store, 'append', words, data),
  prepend: (store, words, data) => update(store, 'prepend', words, data),
  cas: (store, words, data) => update(store, 'cas', words, data),
  incr: (store, words) => arithmetic(store, words, true),
  decr: (store, words) => arithmetic(store, words, false),
  delete: remove,
  touch,
  flush_all: flushAll,
  verbosity: (_, words) => (words.length === 2 || words.length === 3 ? said('OK', words) : ['ERROR\r\n']),
  version: () => [`VERSION ${VERSION}\r\n`],
  quit: () => [''],
};

/** @param words the first is the command */
export function classic(store: Store, words: readonly string[], readData: ReadData): string[] {
  const command = COMMANDS[words[0]!];
  return command === undefined ? ['ERROR\r\n'] : command(store, words, readData);
}

/** The line, unless the last word is `noreply`. */
function said(line: string, words: readonly string[]): string[] {
  return words.at(-1) === 'noreply' ? [] : [`${line}\r\n`];
}

/** One message a hit, an empty one for a miss; the last carries END. */
function get(store: Store, words: readonly string[], withCas: boolean): string[] {
  return words.length < 2 ? ['ERROR\r\n'] : values(store, words.slice(1), withCas, undefined);
}

function gat(store: Store, words: readonly string[], withCas: boolean): string[] {
  if (words.length < 2) return ['ERROR\r\n'];
  const exptime = int32Of(words[1]!);
  if (exptime === undefined) return ['CLIENT_ERROR invalid exptime argument\r\n'];
  return values(store, words.slice(2), withCas, store.realTime(exptime));
}

function values(store: Store, keys: readonly string[], withCas: boolean, exptime: number | undefined): string[] {
  if (keys.some(isKeyTooLong)) return [`${BAD_LINE}\r\n`];
  const messages = keys.map(key => value(store, key, withCas, exptime));
  if (messages.length === 0) return ['END\r\n'];
  messages[messages.length - 1] += 'END\r\n';
  return messages;
}

function value(store: Store, key: string, withCas: boolean, exptime: number | undefined): string {
  const item = exptime === undefined ? store.get(key) : store.touch(key, exptime);
  if (item === undefined) return '';
  const cas = withCas ? ` ${item.cas}` : '';
  return `VALUE ${key} ${item.flags} ${item.value.length}${cas}\r\n${item.value}\r\n`;
}

function update(store: Store, mode: StoreMode, words: readonly string[], readData: ReadData): string[] {
  const bare = mode === 'cas' ? 6 : 5;
  if (words.length !== bare && words.length !== bare + 1) return ['ERROR\r\n'];
  const flags = uint32Of(words[2]!);
  const exptime = int32Of(words[3]!);
  const bytes = int32Of(words[4]!);
  const cas = mode === 'cas' ? casOf(words[5]!) : 0;
  if (isKeyTooLong(words[1]!) || flags === undefined || exptime === undefined || bytes === undefined) {
    return said(BAD_LINE, words);
  }
  if (cas === undefined || bytes < 0) return said(BAD_LINE, words);
  const data = readData(bytes);
  return said(STORE_WORDS[store.store(mode, words[1]!, data, flags, store.realTime(exptime), cas)]!, words);
}

const STORE_WORDS: Readonly<Record<number, string>> = {
  [STORED]: 'STORED',
  [EXISTS]: 'EXISTS',
  [NOT_FOUND]: 'NOT_FOUND',
  [NOT_STORED]: 'NOT_STORED',
};

function arithmetic(store: Store, words: readonly string[], isIncrement: boolean): string[] {
  if (words.length !== 3 && words.length !== 4) return ['ERROR\r\n'];
  const [, key, by] = words as [string, string, string];
  if (isKeyTooLong(key)) return said(BAD_LINE, words);
  const delta = parseU64(by);
  if (delta === undefined) return said('CLIENT_ERROR invalid numeric delta argument', words);
  const result = store.delta(key, isIncrement, delta, 0);
  if (result === NOT_FOUND) return said('NOT_FOUND', words);
  if (result === NON_NUMERIC) {
    return said('CLIENT_ERROR cannot increment or decrement non-numeric value', words);
  }
  return said(store.items.get(key)!.value.trimEnd(), words);
}

function remove(store: Store, words: readonly string[]): string[] {
  if (words.length < 2 || words.length > 4) return ['ERROR\r\n'];
  if (words.length > 2) {
    const isZero = words[2] === '0';
    const isQuiet = words.at(-1) === 'noreply';
    const isValid = words.length === 3 ? isZero || isQuiet : isZero && isQuiet;
    if (!isValid) return said('CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]', words);
  }
  if (isKeyTooLong(words[1]!)) return said(BAD_LINE, words);
  return said(store.delete(words[1]!) ? 'DELETED' : 'NOT_FOUND', words);
}

function touch(store: Store, words: readonly string[]): string[] {
  if (words.length !== 3 && words.length !== 4) return ['ERROR\r\n'];
  if (isKeyTooLong(words[1]!)) return said(BAD_LINE, words);
  const exptime = int32Of(words[2]!);
  if (exptime === undefined) return said('CLIENT_ERROR invalid exptime argument', words);
  return said(store.touch(words[1]!, store.realTime(exptime)) === undefined ? 'NOT_FOUND' : 'TOUCHED', words);
}

function flushAll(store: Store, words: readonly string[]): string[] {
  if (words.length > 3) return ['ERROR\r\n'];
  const isQuiet = words.at(-1) === 'noreply';
  let delay: number | undefined = 0;
  if (words.length !== (isQuiet ? 2 : 1)) delay = int32Of(words[1]!);
  if (delay === undefined) return said('CLIENT_ERROR invalid exptime argument', words);
  store.flush(delay);
  return said('OK', words);
}
