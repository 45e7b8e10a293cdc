/**
 * Payloads of requests (what follows the 8-byte frame header), checked: what a function here returns is one well-formed
 * command whose declared length is true. Nothing else may be sent, as memcached takes other clients' datagrams for the
 * rest of a value that is shorter than declared.
 */
import { encodePayload } from '../memcached/encode.ts';
import { FRAME_HEADER_BYTES } from '../memcached/frame-header.ts';
import { KEY_BYTES_MAX } from '../memcached/located.ts';
import { ArgumentError, KeyError } from './errors.ts';

/** UDP over IPv4: 65,535 bytes less 20 of IPv4's header and 8 of UDP's. */
export const DATAGRAM_BYTES_MAX = 65_507;
/** A request is one datagram. */
export const REQUEST_BYTES_MAX = DATAGRAM_BYTES_MAX - FRAME_HEADER_BYTES;

const INT32_MAX = 0x7fffffff;
const UINT32_MAX = 0xffffffff;
const UINT64_MAX = (1n << 64n) - 1n;

export type StoreVerb = 'set' | 'add' | 'replace' | 'append' | 'prepend' | 'cas';
export type Value = string | Uint8Array;

export interface StoreOptions {
  /** Seconds; beyond 30 days it is Unix time, 0 is never, −1 at once. Default 0. Not for append and prepend. */
  readonly ttl?: number;
  /** 32 bits that come back with the value. Default 0. Not for append and prepend. */
  readonly flags?: number;
}

export interface StoreFields extends StoreOptions {
  /** `cas` only: what gets returned. */
  readonly cas?: bigint;
  /** Not even an error is answered: for `UdpClient.send`. */
  readonly noreply?: boolean;
}

/** get, gets: one key or several. */
export function retrieval(verb: 'get' | 'gets', keys: readonly string[]): Uint8Array {
  return line(`${verb} ${joined(keys)}`);
}

export function retrievalWithTouch(verb: 'gat' | 'gats', ttl: number, keys: readonly string[]): Uint8Array {
  return line(`${verb} ${checkTtl(ttl)} ${joined(keys)}`);
}

/** A string value is taken as UTF-8. */
export function store(verb: StoreVerb, key: string, value: Value, fields: StoreFields = {}): Uint8Array {
  const { ttl = 0, flags = 0, cas, noreply } = fields;
  checkKey(key);
  checkTtl(ttl);
  if (!(Number.isInteger(flags) && flags >= 0 && flags <= UINT32_MAX)) {
    throw new ArgumentError('flags', flags, `must be a whole number from 0 to ${UINT32_MAX}`);
  }
  if (verb === 'cas') checkUint64('cas', cas);
  return limited(encodePayload({ verb, key, value, flags, exptime: ttl, cas, quiet: noreply }));
}

/** incr, decr: the delta is an unsigned 64-bit number. */
export function arithmetic(verb: 'incr' | 'decr', key: string, delta: bigint | number, noreply = false): Uint8Array {
  return encodePayload({ verb, key: checkKey(key), delta: checkUint64('delta', delta), quiet: noreply });
}

export function removal(key: string, noreply = false): Uint8Array {
  return encodePayload({ verb: 'delete', key: checkKey(key), quiet: noreply });
}

export function touch(key: string, ttl: number, noreply = false): Uint8Array {
  return encodePayload({ verb: 'touch', key: checkKey(key), exptime: checkTtl(ttl), quiet: noreply });
}

/** `stats`, `stats items`, `stats locate <key>`. */
export function stats(argument?: string): Uint8Array {
  return line(argument === undefined ? 'stats' : `stats ${checkLine('stats argument', argument)}`);
}

export function version(): Uint8Array {
  return line('version');
}

/** Meta commands that may be sent. `me` is a debugging aid of memcached's. */
const META = /^(mg|ms|md|ma|mn|me)( |$)/;
const META_STORE = /^ms \S+ ([0-9]{1,9})( |$)/;
/** A flag q somewhere behind the key; for ms behind the length, which begins with a digit. */
const META_QUIET = /^\S+ \S+.* q( |$)/;

/**
 * A meta command line, sent as it is; for `ms` also the value, whose length the line declares.
 * @throws ArgumentError when that length is not the value's, and for flag q: its reply may never come
 */
export function meta(commandLine: string, value?: Value): Uint8Array {
  if (!META.test(checkLine('meta line', commandLine))) {
    throw new ArgumentError('meta line', commandLine, 'must begin with mg, ms, md, ma, mn or me');
  }
  if (META_QUIET.test(commandLine)) {
    throw new ArgumentError('meta line', commandLine, 'has flag q, so there may be no reply to wait for');
  }
  return commandLine.startsWith('ms') ? metaStore(commandLine, value) : metaPlain(commandLine, value);
}

function metaPlain(commandLine: string, value: Value | undefined): Uint8Array {
  if (value !== undefined) throw new ArgumentError('meta line', commandLine, 'takes no value; only ms does');
  return line(commandLine);
}

function metaStore(commandLine: string, value: Value = ''): Uint8Array {
  const bytes = Buffer.from(value as string);
  const declared = META_STORE.exec(commandLine)?.[1];
  if (declared === undefined || Number(declared) !== bytes.length) {
    throw new ArgumentError('meta line', commandLine, `must declare the value's length: ms <key> ${bytes.length}`);
  }
  return limited(Buffer.concat([Buffer.from(`${commandLine}\r\n`), bytes, Buffer.from('\r\n')]));
}

/** @throws KeyError naming the rule that the key breaks; returns the key otherwise */
export function checkKey(key: string): string {
  const bytes = Buffer.byteLength(key);
  if (bytes < 1 || bytes > KEY_BYTES_MAX) {
    throw new KeyError(key, `it is ${bytes} bytes long; a key has 1 to ${KEY_BYTES_MAX} bytes`);
  }
  if (/[\u0000-\u0020\u007f]/.test(key)) throw new KeyError(key, 'a key has no spaces and no control characters');
  if (/\p{Surrogate}/u.test(key)) throw new KeyError(key, 'a key is well-formed Unicode, as it is sent as UTF-8');
  return key;
}

function joined(keys: readonly string[]): string {
  if (keys.length === 0) throw new ArgumentError('keys', '[]', 'must name at least one key');
  return keys.map(checkKey).join(' ');
}

function checkTtl(ttl: number): number {
  if (Number.isInteger(ttl) && ttl >= -1 && ttl <= INT32_MAX) return ttl;
  throw new ArgumentError('ttl', ttl, `must be whole seconds from -1 to ${INT32_MAX}`);
}

function checkUint64(argument: string, value: bigint | number | undefined): bigint {
  const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value);
  if (isWhole && value! >= 0 && value! <= UINT64_MAX) return BigInt(value!);
  throw new ArgumentError(argument, value, 'must be a whole number from 0 to 2^64 − 1');
}

function checkLine(argument: string, text: string): string {
  if (text !== '' && !/[\u0000-\u001f\u007f]/.test(text)) return text;
  throw new ArgumentError(argument, text, 'must be one line without control characters');
}

function line(text: string): Uint8Array {
  return limited(Buffer.from(`${text}\r\n`));
}

function limited(payload: Uint8Array): Uint8Array {
  if (payload.length <= REQUEST_BYTES_MAX) return payload;
  throw new ArgumentError(
    'the request',
    `${payload.length} bytes`,
    `must fit one datagram, ${REQUEST_BYTES_MAX} bytes`,
  );
}
