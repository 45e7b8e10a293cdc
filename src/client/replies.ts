/**
 * Whole payloads → what they say. Every function takes the payload of one message and throws ServerError for an error
 * line and ReplyError for whatever is no answer; none believes a length that it has not compared.
 */
import * as located from '../memcached/located.ts';
import * as reply from '../memcached/reply.ts';
import { ReplyError, ServerError } from './errors.ts';

/** A hit. */
export interface Item {
  readonly key: string;
  readonly value: Buffer;
  readonly flags: number;
  /** Of gets and gats. */
  readonly cas?: bigint;
}

/** What a message of a retrieval holds. */
export interface Retrieved {
  readonly items: readonly Item[];
  /** END closes it. */
  readonly isEnded: boolean;
}

/** The reply to a meta command. */
export interface MetaReply {
  /** VA, HD, EN, NF, NS, EX, MN or ME. */
  readonly code: string;
  /** What the line says behind the code (VA: behind the length), as `t-1`, `kfoo`. */
  readonly flags: readonly string[];
  /** Of VA. */
  readonly value?: Buffer;
}

const CRLF_BYTES = 2;

/** Scratch of `parseReply`. */
const found = new Int32Array(located.OUT_WORDS);

/** VALUE blocks, then perhaps END. */
export function readRetrieved(payload: Buffer, asked: string): Retrieved {
  const items: Item[] = [];
  for (let at = 0; at < payload.length; ) {
    const kind = reply.parseReply(payload, at, payload.length, found);
    if (kind === reply.REPLY_END && payload.toString('latin1', at) === 'END\r\n') return { items, isEnded: true };
    if (kind !== reply.REPLY_VALUE) throw notAnswer(payload.subarray(at), asked);
    items.push(readItem(payload, at, asked));
    at = found[located.OUT_VALUE_OFFSET] + found[located.OUT_VALUE_LENGTH] + CRLF_BYTES;
  }
  return { items, isEnded: false };
}

/** What `found` says of the VALUE block at `at`. */
function readItem(payload: Buffer, at: number, asked: string): Item {
  const keyAt = found[located.OUT_KEY_OFFSET];
  const keyEnd = keyAt + found[located.OUT_KEY_LENGTH];
  const numbers = /^ ([0-9]{1,10}) [0-9]+(?: ([0-9]{1,20}))?\r\n$/.exec(
    payload.toString('latin1', keyEnd, found[located.OUT_VALUE_OFFSET]),
  );
  const value = readValue(payload);
  if (numbers === null || value === undefined || keyAt !== at + 'VALUE '.length) throw notAnswer(payload, asked);
  const key = payload.toString('utf8', keyAt, keyEnd);
  return { key, value, flags: Number(numbers[1]), ...(numbers[2] === undefined ? {} : { cas: BigInt(numbers[2]) }) };
}

/** The value that `found` points to, when all of it and its line end are there. */
function readValue(payload: Buffer): Buffer | undefined {
  const start = found[located.OUT_VALUE_OFFSET];
  const end = start + found[located.OUT_VALUE_LENGTH];
  if (payload.toString('latin1', end, end + CRLF_BYTES) !== '\r\n') return undefined;
  return payload.subarray(start, end);
}

/** The reply to a retrieval of one key; undefined is a miss. */
export function readSingle(payload: Buffer, key: string, asked: string): Item | undefined {
  const { items, isEnded } = readRetrieved(payload, asked);
  const [item] = items;
  if (!isEnded || items.length > 1 || (item !== undefined && item.key !== key)) throw new ReplyError(asked, payload);
  return item;
}

/** A line that is one of `words`. */
export function readStatus<Word extends string>(payload: Buffer, words: readonly Word[], asked: string): Word {
  const word = words.find(known => payload.equals(Buffer.from(`${known}\r\n`)));
  if (word === undefined) throw notAnswer(payload, asked);
  return word;
}

/** The answer to incr and decr: a number (perhaps padded with spaces), or undefined for a missing key. */
export function readNumber(payload: Buffer, asked: string): bigint | undefined {
  const text = payload.toString('latin1');
  if (text === 'NOT_FOUND\r\n') return undefined;
  const [, digits] = /^([0-9]{1,20}) *\r\n$/.exec(text) ?? [];
  if (digits === undefined) throw notAnswer(payload, asked);
  return BigInt(digits);
}

export function readVersion(payload: Buffer, asked: string): string {
  const [, text] = /^VERSION ([^\r\n]*)\r\n$/.exec(payload.toString('latin1')) ?? [];
  if (text === undefined) throw notAnswer(payload, asked);
  return text;
}

/** STAT lines and END; RESET and OK, which answer `stats reset` and the like, are no lines. */
export function readStats(payload: Buffer, asked: string): Map<string, string> {
  const text = payload.toString('utf8');
  if (text === 'RESET\r\n' || text === 'OK\r\n') return new Map();
  const lines = text.split('\r\n');
  const pairs = lines.slice(0, -2).map(line => /^STAT (\S+)(?: (.*))?$/.exec(line));
  if (lines.at(-2) !== 'END' || lines.at(-1) !== '' || pairs.includes(null)) throw notAnswer(payload, asked);
  return new Map(pairs.map(pair => [pair![1], pair![2] ?? '']));
}

export function readMeta(payload: Buffer, asked: string): MetaReply {
  const kind = reply.parseReply(payload, 0, payload.length, found);
  if (kind !== reply.REPLY_META && kind !== reply.REPLY_META_VALUE) throw notAnswer(payload, asked);
  const lineEnd = payload.indexOf('\r\n');
  const [code, ...flags] = payload.toString('utf8', 0, lineEnd).split(' ');
  const rest = payload.length - lineEnd - CRLF_BYTES;
  if (kind === reply.REPLY_META && rest === 0) return { code, flags };
  const value = kind === reply.REPLY_META ? undefined : readValue(payload);
  if (value === undefined || rest !== value.length + CRLF_BYTES) throw notAnswer(payload, asked);
  return { code, flags: flags.slice(1), value };
}

function notAnswer(payload: Buffer, asked: string): Error {
  const [line] =
    /^(?:ERROR|CLIENT_ERROR|SERVER_ERROR)(?= |\r\n)[^\r\n]*(?=\r\n)/.exec(payload.toString('latin1')) ?? [];
  return line === undefined ? new ReplyError(asked, payload) : new ServerError(line);
}
