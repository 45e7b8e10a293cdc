import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArgumentError, KeyError } from '../../src/client/errors.ts';
import * as requests from '../../src/client/requests.ts';
import { FRAME_HEADER_BYTES, writeFrameHeader } from '../../src/memcached/frame-header.ts';
import { OUT_KEY_LENGTH, OUT_KEY_OFFSET, OUT_VALUE_LENGTH, OUT_WORDS } from '../../src/memcached/located.ts';
import { REQUEST_OK } from '../../src/memcached/refusals.ts';
import { parseRequest } from '../../src/memcached/request.ts';

const { arithmetic, checkKey, meta, removal, retrieval, retrievalWithTouch, store, touch } = requests;
const text = (payload: Uint8Array) => Buffer.from(payload).toString('utf8');
const key250 = 'k'.repeat(250);

describe('requests, to the byte', () => {
  test.each([
    [retrieval('get', ['a']), 'get a\r\n'],
    [retrieval('gets', ['a', 'bb', 'ccc']), 'gets a bb ccc\r\n'],
    [retrievalWithTouch('gat', 60, ['a']), 'gat 60 a\r\n'],
    [retrievalWithTouch('gats', -1, ['a']), 'gats -1 a\r\n'],
    [store('set', 'a', 'héllo'), 'set a 0 0 6\r\nhéllo\r\n'],
    [store('add', 'a', '', { ttl: 9, flags: 4294967295 }), 'add a 4294967295 9 0\r\n\r\n'],
    [store('cas', 'a', 'v', { cas: 18446744073709551615n }), 'cas a 0 0 1 18446744073709551615\r\nv\r\n'],
    [store('append', 'a', 'v', { noreply: true }), 'append a 0 0 1 noreply\r\nv\r\n'],
    [arithmetic('incr', 'a', 18446744073709551615n), 'incr a 18446744073709551615\r\n'],
    [arithmetic('decr', 'a', 5, true), 'decr a 5 noreply\r\n'],
    [removal('a'), 'delete a\r\n'],
    [removal('a', true), 'delete a noreply\r\n'],
    [touch(key250, 0), `touch ${key250} 0\r\n`],
    [requests.version(), 'version\r\n'],
    [requests.stats(), 'stats\r\n'],
    [requests.stats('locate user:42'), 'stats locate user:42\r\n'],
    [meta('mn'), 'mn\r\n'],
    [meta('mg a v t Oq'), 'mg a v t Oq\r\n'],
    [meta('ms a 3 T60', 'abc'), 'ms a 3 T60\r\nabc\r\n'],
    [meta('ms a 0'), 'ms a 0\r\n\r\n'],
    [meta('mg q v'), 'mg q v\r\n'],
  ])('%#: %s', (payload, expected) => {
    expect(text(payload)).toBe(expected);
  });

  test.each([
    ['', '1 to 250'],
    ['k'.repeat(251), '251 bytes'],
    ['é'.repeat(126), '252 bytes'],
    ['two words', 'no spaces'],
    ['line\r\nflush_all', 'no spaces and no control'],
    ['\u007f', 'no control'],
    ['\ud800', 'Unicode'],
  ])('key %j is refused: %s', (key, rule) => {
    expect(() => checkKey(key)).toThrow(KeyError);
    expect(() => checkKey(key)).toThrow(rule);
    expect(() => retrieval('get', ['fine', key])).toThrow(KeyError);
    expect(() => store('set', key, 'v')).toThrow(KeyError);
  });

  test.each<[string, () => unknown]>([
    ['flags', () => store('set', 'a', 'v', { flags: 2 ** 32 })],
    ['flags', () => store('set', 'a', 'v', { flags: 1.5 })],
    ['ttl', () => store('set', 'a', 'v', { ttl: 2 ** 31 })],
    ['ttl', () => touch('a', Number.NaN)],
    ['ttl', () => retrievalWithTouch('gat', -2, ['a'])],
    ['cas', () => store('cas', 'a', 'v')],
    ['cas', () => store('cas', 'a', 'v', { cas: -1n })],
    ['delta', () => arithmetic('incr', 'a', 1n << 64n)],
    ['delta', () => arithmetic('incr', 'a', 0.5)],
    ['keys', () => retrieval('get', [])],
    ['the request', () => store('set', 'a', Buffer.alloc(requests.REQUEST_BYTES_MAX))],
    ['the request', () => retrieval('get', Array(300).fill(key250))],
    ['stats argument', () => requests.stats('items\r\nflush_all')],
    ['meta line', () => meta('get a')],
    ['meta line', () => meta('mgx a')],
    ['meta line', () => meta('mg a\r\nflush_all')],
    ['meta line', () => meta('mg a v q')],
    ['meta line', () => meta('ms a 3 q T0', 'abc')],
    ['meta line', () => meta('mg a', 'value')],
    ['meta line', () => meta('ms a 2000000', 'abc')],
    ['meta line', () => meta('ms a 2', 'abc')],
    ['meta line', () => meta('ms a', 'abc')],
    ['meta line', () => meta('ms a S3', 'abc')],
    ['meta line', () => meta('ms a 3', 'é')],
  ])('a wrong %s is refused (%#)', (argument, build) => {
    expect(build).toThrow(ArgumentError);
    expect(build).toThrow(new RegExp(`^${argument} `));
  });

  test('the largest value that fits is taken', () => {
    const overhead = 'set a 0 0 65480\r\n\r\n'.length;
    const value = Buffer.alloc(requests.REQUEST_BYTES_MAX - overhead);
    expect(store('set', 'a', value)).toHaveLength(requests.REQUEST_BYTES_MAX);
    expect(() => store('set', 'a', Buffer.alloc(value.length + 1))).toThrow('must fit one datagram');
  });
});

describe('whatever is built is one command that the balancer takes as it stands', () => {
  const key = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter(candidate => {
    try {
      return checkKey(candidate) === candidate;
    } catch {
      return false;
    }
  });
  const verb = fc.constantFrom('set', 'add', 'replace', 'append', 'prepend', 'cas' as const);
  const value = fc.uint8Array({ maxLength: 100 });
  const fields = fc.record({
    ttl: fc.integer({ min: -1, max: 0x7fffffff }),
    flags: fc.integer({ min: 0, max: 0xffffffff }),
    cas: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    noreply: fc.boolean(),
  });

  function parsed(payload: Uint8Array): { reason: number; key: string; valueBytes: number } {
    const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
    writeFrameHeader(bytes, 0, 1, 0, 1);
    bytes.set(payload, FRAME_HEADER_BYTES);
    const out = new Int32Array(OUT_WORDS);
    const reason = parseRequest(bytes, FRAME_HEADER_BYTES, bytes.length, out);
    const at = out[OUT_KEY_OFFSET]!;
    return {
      reason,
      key: Buffer.from(bytes).toString('utf8', at, at + out[OUT_KEY_LENGTH]!),
      valueBytes: out[OUT_VALUE_LENGTH]!,
    };
  }

  test('stores', () => {
    fc.assert(
      fc.property(verb, key, value, fields, (storing, name, bytes, rest) => {
        const seen = parsed(store(storing, name, bytes, rest));
        expect(seen).toEqual({ reason: REQUEST_OK, key: name, valueBytes: bytes.length });
      }),
    );
  });

  test('retrievals', () => {
    fc.assert(
      fc.property(fc.constantFrom('get' as const, 'gets' as const), fc.array(key, { minLength: 1 }), (get, keys) => {
        expect(parsed(retrieval(get, keys))).toMatchObject({ reason: REQUEST_OK, key: keys[0] });
      }),
    );
  });

  test('meta: accepted, or refused here', () => {
    const lines = fc.tuple(fc.constantFrom('mg', 'ms', 'md', 'ma', 'mn'), fc.string({ maxLength: 12 }));
    fc.assert(
      fc.property(lines, fc.option(value, { nil: undefined }), ([code, rest], bytes) => {
        let payload: Uint8Array;
        try {
          payload = meta(`${code} ${rest}`, bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ArgumentError);
          return;
        }
        expect(Buffer.from(payload).indexOf('\r\n')).toBe(Buffer.byteLength(`${code} ${rest}`));
      }),
    );
  });
});
