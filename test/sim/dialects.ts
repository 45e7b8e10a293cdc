/** Operations as requests of the three protocols, and what was answered to them. A character is a byte. */

import type { Input, Operation, Output, Protocol, Verb } from './history.ts';

/** An answer that no memcached gives to such a request. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
}

type Asked = Pick<Operation, 'op' | 'key' | 'input'>;

/** The request, behind the frame header. */
export function encode(asked: Asked): string {
  return ENCODERS[asked.input.protocol](asked);
}

/**
 * @param body of all datagrams of the reply
 * @throws ReplyError
 */
export function decode(asked: Asked, body: string): Output {
  if (body.startsWith('SERVER_ERROR') || body.startsWith('CLIENT_ERROR')) return refusal(body);
  const output = DECODERS[asked.input.protocol](asked, body);
  if (output === undefined) throw new ReplyError(`${asked.op} ${asked.key} is answered ${JSON.stringify(body)}`);
  return output;
}

function refusal(body: string): Output {
  if (body.startsWith('CLIENT_ERROR cannot increment or decrement')) return { kind: 'non_numeric' };
  return { kind: 'refused', text: body };
}

/** A get of several keys in one request. */
export function encodeGets(keys: readonly string[], withCas: boolean): string {
  return `${withCas ? 'gets' : 'get'} ${keys.join(' ')}\r\n`;
}

/** What was said of each key of such a request. */
export function decodeGets(keys: readonly string[], body: string): Output[] {
  if (body.startsWith('SERVER_ERROR') || body.startsWith('CLIENT_ERROR')) return keys.map(() => refusal(body));
  let at = 0;
  const outputs = keys.map((key): Output => {
    const prefix = `VALUE ${key} `;
    if (!body.startsWith(prefix, at)) return { kind: 'miss' };
    const end = body.indexOf('\r\n', at);
    const [flags, bytes, cas] = body
      .slice(at + prefix.length, end)
      .split(' ')
      .map(Number) as [number, number, number?];
    at = end + 2 + bytes + 2;
    return { kind: 'value', value: body.slice(end + 2, end + 2 + bytes), flags, ...(cas === undefined ? {} : { cas }) };
  });
  if (body.slice(at) !== 'END\r\n') throw new ReplyError(`get ${keys.join(' ')} is answered ${JSON.stringify(body)}`);
  return outputs;
}

const ENCODERS: Readonly<Record<Protocol, (asked: Asked) => string>> = {
  classic: encodeClassic,
  meta: encodeMeta,
  binary: encodeBinary,
};

const DECODERS: Readonly<Record<Protocol, (asked: Asked, body: string) => Output | undefined>> = {
  classic: decodeClassic,
  meta: decodeMeta,
  binary: decodeBinary,
};

const SIMPLE: Readonly<Record<string, Output>> = {
  'STORED\r\n': { kind: 'stored' },
  'NOT_STORED\r\n': { kind: 'not_stored' },
  'EXISTS\r\n': { kind: 'exists' },
  'NOT_FOUND\r\n': { kind: 'not_found' },
  'DELETED\r\n': { kind: 'deleted' },
  'TOUCHED\r\n': { kind: 'touched' },
};

function encodeClassic({ op, key, input }: Asked): string {
  const { value = '', flags = 0, ttl = 0, cas = 0, delta = 1, noreply = false, wantsCas = false } = input;
  const quiet = noreply ? ' noreply' : '';
  switch (op) {
    case 'get':
      return `${wantsCas ? 'gets' : 'get'} ${key}\r\n`;
    case 'gat':
      return `${wantsCas ? 'gats' : 'gat'} ${ttl} ${key}\r\n`;
    case 'delete':
      return `delete ${key}${quiet}\r\n`;
    case 'touch':
      return `touch ${key} ${ttl}${quiet}\r\n`;
    case 'incr':
    case 'decr':
      return `${op} ${key} ${delta}${quiet}\r\n`;
    case 'cas':
      return `cas ${key} ${flags} ${ttl} ${value.length} ${cas}${quiet}\r\n${value}\r\n`;
    default:
      return `${op} ${key} ${flags} ${ttl} ${value.length}${quiet}\r\n${value}\r\n`;
  }
}

function decodeClassic({ op, key }: Asked, body: string): Output | undefined {
  if (op === 'get' || op === 'gat') return decodeGets([key], body)[0];
  const simple = SIMPLE[body];
  if (simple !== undefined) return simple;
  // A number that lost digits may be followed by spaces (protocol.txt).
  if ((op === 'incr' || op === 'decr') && /^\d+ *\r\n$/.test(body))
    return { kind: 'number', number: Number.parseInt(body, 10) };
  return undefined;
}

/** Opaques of clients; Keysteer's own begin otherwise. */
export const CLIENT_OPAQUE = 'Oc';

const META_MODES: Readonly<Partial<Record<Verb, string>>> = {
  add: ' ME',
  append: ' MA',
  prepend: ' MP',
  replace: ' MR',
};

function encodeMeta({ op, key, input }: Asked): string {
  const { value = '', flags = 0, ttl = 0, cas, delta = 1, initial, noreply = false } = input;
  const time = ttl === 0 ? '' : ` T${ttl}`;
  const fence = cas === undefined ? '' : ` C${cas}`;
  const quiet = noreply ? ' q' : '';
  const vivify = initial === undefined ? '' : ` N0 J${initial}`;
  switch (op) {
    case 'get':
      return `mg ${key} t f v c ${CLIENT_OPAQUE}1\r\n`;
    case 'gat':
      return `mg ${key} T${ttl} f v c ${CLIENT_OPAQUE}2\r\n`;
    case 'touch':
      return `mg ${key} T${ttl} ${CLIENT_OPAQUE}3${quiet}\r\n`;
    case 'delete':
      return `md ${key}${fence} ${CLIENT_OPAQUE}4${quiet}\r\n`;
    case 'incr':
    case 'decr':
      return `ma ${key} v c D${delta}${op === 'decr' ? ' MD' : ''}${vivify} ${CLIENT_OPAQUE}5${quiet}\r\n`;
    default:
      return `ms ${key} ${value.length} F${flags}${time}${fence}${META_MODES[op] ?? ''} c ${CLIENT_OPAQUE}6${quiet}\r\n${value}\r\n`;
  }
}

function decodeMeta({ op }: Asked, body: string): Output | undefined {
  const end = body.indexOf('\r\n');
  const words = body.slice(0, end).split(' ');
  const isRead = op === 'get' || op === 'gat';
  const cas = words.find(word => word[0] === 'c');
  const token = cas === undefined ? {} : { cas: Number(cas.slice(1)) };
  switch (words[0]) {
    case 'VA':
      if (op === 'incr' || op === 'decr')
        return { kind: 'number', number: Number.parseInt(body.slice(end + 2), 10), ...token };
      if (!isRead || body.length !== end + 4 + Number(words[1])) return undefined;
      return {
        kind: 'value',
        value: body.slice(end + 2, -2),
        flags: Number(words.find(word => word[0] === 'f')!.slice(1)),
        ...token,
      };
    case 'HD':
      if (op === 'touch') return { kind: 'touched' };
      return op === 'delete' ? { kind: 'deleted' } : { kind: 'stored', ...token };
    case 'EN':
      return op === 'touch' ? { kind: 'not_found' } : { kind: 'miss' };
    case 'NF':
      return { kind: 'not_found' };
    case 'EX':
      return { kind: 'exists' };
    case 'NS':
      return { kind: 'not_stored' };
    default:
      return undefined;
  }
}

const OPCODES: Readonly<Record<Verb, number>> = {
  get: 0x00,
  set: 0x01,
  add: 0x02,
  replace: 0x03,
  delete: 0x04,
  incr: 0x05,
  decr: 0x06,
  append: 0x0e,
  prepend: 0x0f,
  touch: 0x1c,
  gat: 0x1d,
  cas: 0x01,
};
/** The quiet twin of an opcode that stores. */
const QUIET: Readonly<Record<number, number>> = {
  1: 0x11,
  2: 0x12,
  3: 0x13,
  4: 0x14,
  5: 0x15,
  6: 0x16,
  14: 0x19,
  15: 0x1a,
};
const TWO_32 = 4_294_967_296;

function encodeBinary({ op, key, input }: Asked): string {
  const { value = '', cas = 0, noreply = false } = input;
  const opcode = OPCODES[op];
  const extras = extrasOf(op, input);
  const body = extras.length + key.length + value.length;
  return (
    String.fromCharCode(
      0x80,
      noreply ? (QUIET[opcode] ?? opcode) : opcode,
      key.length >> 8,
      key.length & 255,
      extras.length,
      0,
      0,
      0,
    ) +
    word(body) +
    word(0x5eed) +
    word(Math.floor(cas / TWO_32)) +
    word(cas % TWO_32) +
    extras +
    key +
    value
  );
}

function extrasOf(op: Verb, { flags = 0, ttl = 0, delta = 1, initial }: Input): string {
  if (op === 'touch' || op === 'gat') return word(ttl);
  if (op === 'incr' || op === 'decr') {
    return word(0) + word(delta) + word(0) + word(initial ?? 0) + word(initial === undefined ? 0xffffffff : 0);
  }
  return op === 'set' || op === 'add' || op === 'replace' || op === 'cas' ? word(flags) + word(ttl) : '';
}

function word(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

function wordAt(text: string, at: number): number {
  return (
    ((text.charCodeAt(at) << 24) |
      (text.charCodeAt(at + 1) << 16) |
      (text.charCodeAt(at + 2) << 8) |
      text.charCodeAt(at + 3)) >>>
    0
  );
}

function decodeBinary({ op }: Asked, body: string): Output | undefined {
  if (body.charCodeAt(0) !== 0x81 || body.length !== 24 + wordAt(body, 8)) return undefined;
  const status = wordAt(body, 4) & 0xffff;
  const value = body.slice(24 + body.charCodeAt(4) + (wordAt(body, 0) & 0xffff));
  if (status !== 0) return binaryFailure(op, status, value);
  const cas = wordAt(body, 16) * TWO_32 + wordAt(body, 20);
  if (op === 'get' || op === 'gat') return { kind: 'value', value, flags: wordAt(body, 24), cas };
  if (op === 'incr' || op === 'decr')
    return { kind: 'number', number: wordAt(value, 0) * TWO_32 + wordAt(value, 4), cas };
  if (op === 'touch') return { kind: 'touched' };
  return op === 'delete' ? { kind: 'deleted' } : { kind: 'stored', cas };
}

function binaryFailure(op: Verb, status: number, text: string): Output | undefined {
  if (status === 1)
    return op === 'get' || op === 'gat'
      ? { kind: 'miss' }
      : op === 'replace'
        ? { kind: 'not_stored' }
        : { kind: 'not_found' };
  if (status === 2) return op === 'add' ? { kind: 'not_stored' } : { kind: 'exists' };
  if (status === 5) return { kind: 'not_stored' };
  if (status === 6) return { kind: 'non_numeric' };
  return status >= 0x80 || status === 4 ? { kind: 'refused', text } : undefined;
}
