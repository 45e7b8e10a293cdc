/**
 * A datagram of a cold key that the network doubles is carried out twice: memcached has no means against that, and
 * Keysteer has none for keys without state. For the history it is one operation more, of nobody, without an answer: it took
 * effect once, or not, at any later time. What Keysteer itself writes (its opaques are not a client's) is fenced, and gets
 * no such grace.
 */
import { CLIENT_OPAQUE } from './dialects.ts';
import type { Input, Verb } from './history.ts';
import { wordsOf } from './memcached/lines.ts';

export interface Doubled {
  readonly op: Verb;
  readonly key: string;
  readonly input: Input;
}

/** The change that a request makes, in the bytes behind its frame header; undefined for what changes nothing. */
export function changeIn(bytes: Buffer, start: number, end: number): Doubled | undefined {
  if (bytes[start] === 0x80) return binaryChange(bytes, start, end);
  const newline = bytes.indexOf(0x0a, start);
  if (newline < 0 || newline >= end) return undefined;
  const words = wordsOf(bytes.toString('latin1', start, newline - 1));
  const data = () => bytes.toString('latin1', newline + 1, end - 2);
  return words[0]?.length === 2 ? metaChange(words, data) : classicChange(words, data);
}

function classicChange(words: readonly string[], data: () => string): Doubled | undefined {
  const [op, key = '', a = '0', b = '0', , cas = '0'] = words;
  switch (op) {
    case 'set':
    case 'add':
    case 'replace':
    case 'append':
    case 'prepend':
      return { op, key, input: { protocol: 'classic', value: data(), flags: Number(a), ttl: Number(b) } };
    case 'cas':
      return {
        op,
        key,
        input: { protocol: 'classic', value: data(), flags: Number(a), ttl: Number(b), cas: Number(cas) },
      };
    case 'incr':
    case 'decr':
      return { op, key, input: { protocol: 'classic', delta: Number(a) } };
    case 'delete':
      return { op, key, input: { protocol: 'classic' } };
    case 'touch':
      return { op, key, input: { protocol: 'classic', ttl: Number(a) } };
    case 'gat':
    case 'gats':
      return { op: 'touch', key: a, input: { protocol: 'classic', ttl: Number(key) } };
    default:
      return undefined;
  }
}

const MODES: Readonly<Record<string, Verb>> = { E: 'add', A: 'append', P: 'prepend', R: 'replace' };

function metaChange(words: readonly string[], data: () => string): Doubled | undefined {
  const [command, key = ''] = words;
  if (!words.some(word => word.startsWith(CLIENT_OPAQUE))) return undefined;
  const flag = (letter: string) => words.find((word, i) => i > 1 && word[0] === letter)?.slice(1);
  const number = (letter: string) => (flag(letter) === undefined ? undefined : Number(flag(letter)));
  const cas = number('C');
  const ttl = number('T') ?? 0;
  const fence = cas === undefined ? {} : { cas };
  switch (command) {
    case 'ms': {
      const op = cas === undefined ? (MODES[flag('M') ?? ''] ?? 'set') : 'cas';
      return { op, key, input: { protocol: 'meta', value: data(), flags: number('F') ?? 0, ttl, ...fence } };
    }
    case 'md':
      return { op: 'delete', key, input: { protocol: 'meta', ...fence } };
    case 'ma': {
      const initial = number('J');
      const op = flag('M') === 'D' ? 'decr' : 'incr';
      return {
        op,
        key,
        input: { protocol: 'meta', delta: number('D') ?? 1, ...(initial === undefined ? {} : { initial }) },
      };
    }
    default:
      return flag('T') === undefined ? undefined : { op: 'touch', key, input: { protocol: 'meta', ttl } };
  }
}

const VERBS: Readonly<Record<number, Verb>> = {
  1: 'set',
  2: 'add',
  3: 'replace',
  4: 'delete',
  5: 'incr',
  6: 'decr',
  14: 'append',
  15: 'prepend',
  17: 'set',
  18: 'add',
  19: 'replace',
  20: 'delete',
  21: 'incr',
  22: 'decr',
  25: 'append',
  26: 'prepend',
  28: 'touch',
  29: 'touch',
};

function binaryChange(bytes: Buffer, start: number, end: number): Doubled | undefined {
  const verb = VERBS[bytes[start + 1]!];
  if (verb === undefined) return undefined;
  const extras = start + 24;
  const keyAt = extras + bytes[start + 4]!;
  const valueAt = keyAt + bytes.readUInt16BE(start + 2);
  const key = bytes.toString('latin1', keyAt, valueAt);
  const cas = bytes.readUInt32BE(start + 16) * 4_294_967_296 + bytes.readUInt32BE(start + 20);
  const fence = cas === 0 ? {} : { cas };
  if (verb === 'incr' || verb === 'decr') {
    const initial = bytes.readUInt32BE(extras + 16) === 0xffffffff ? {} : { initial: bytes.readUInt32BE(extras + 12) };
    return {
      op: verb,
      key,
      input: { protocol: 'binary', delta: bytes.readUInt32BE(extras + 4), ...initial, ...fence },
    };
  }
  if (verb === 'touch') return { op: verb, key, input: { protocol: 'binary', ttl: bytes.readUInt32BE(extras) } };
  if (verb === 'delete') return { op: verb, key, input: { protocol: 'binary', ...fence } };
  const value = bytes.toString('latin1', valueAt, end);
  if (keyAt === extras) return { op: verb, key, input: { protocol: 'binary', value, ...fence } };
  const rest = { flags: bytes.readUInt32BE(extras), ttl: bytes.readUInt32BE(extras + 4) };
  return { op: cas === 0 ? verb : 'cas', key, input: { protocol: 'binary', value, ...rest, ...fence } };
}
