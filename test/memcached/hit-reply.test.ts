/** Replies to reads from a copy of the item: rows, and the same requests put to a real memcached. */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  HIT_VALUE_LENGTH,
  KEY_BASE64,
  KEY_UNKNOWN,
  TTL_UNKNOWN,
  UNSAYABLE,
  writeAbsent,
  writeBody,
  writeHit,
  writeTouched,
} from '../../src/memcached/hit-reply.ts';
import { OUT_WORDS } from '../../src/memcached/located.ts';
import { parseReply, REPLY_META, REPLY_META_VALUE } from '../../src/memcached/reply.ts';
import { parseRequest } from '../../src/memcached/request.ts';
import { bytesPerCall } from '../support/heap-growth.ts';
import { requireMemcached } from '../support/requirements.ts';
import { LiveMemcached, memcachedVersion } from './live-memcached.ts';
import { bytesOf, parseAmidst, textOf } from './placed-message.ts';
import { type Item, placeItem, type Writer, writeOver } from './placed-reply.ts';
import { binary, TOUCH_EXTRAS } from './rows.ts';

/** What memcached's answers in the tables were observed with. */
const OBSERVED = '1.6.18';

const FOO: Item = { key: 'foo', value: 'bar', flags: 7, cas: 42n, ttl: -1 };
const CANNOT = null;

const GET = '\x00';
const GETQ = '\x09';
const GETK = '\x0c';
const GETKQ = '\x0d';
const CAS_42 = `${'\0'.repeat(7)}\x2a`;
const FLAGS_7 = '\0\0\0\x07';
/** Header of a hit: magic, opcode, key length, extras, status, body length, opaque, CAS. */
const hitHeader = (opcode: string, keyBytes: string, bodyBytes: string) =>
  `\x81${opcode}\0${keyBytes}\x04\0\0\0\0\0\0${bodyBytes}OPAQ${CAS_42}`;
const missHeader = (opcode: string, keyBytes: string, bodyBytes: string) =>
  `\x81${opcode}\0${keyBytes}\0\0\0\x01\0\0\0${bodyBytes}OPAQ${'\0'.repeat(8)}`;
const ask = (opcode: string, key = 'foo') => binary({ op: opcode.charCodeAt(0), key });

/** request, reply from FOO (flags 7, value bar, CAS 42, never expires), reply when there is no foo */
type Row = readonly [request: string, hit: string | null, miss: string | null];

const ROWS: readonly Row[] = [
  ['get foo\r\n', 'VALUE foo 7 3\r\nbar\r\nEND\r\n', 'END\r\n'],
  ['  get   foo  \n', 'VALUE foo 7 3\r\nbar\r\nEND\r\n', 'END\r\n'],
  ['gets foo\r\n', 'VALUE foo 7 3 42\r\nbar\r\nEND\r\n', 'END\r\n'],
  ['mg foo\r\n', 'HD\r\n', 'EN\r\n'],
  ['mg foo v\r\n', 'VA 3\r\nbar\r\n', 'EN\r\n'],
  ['mg foo v f c s k Oabc q t\r\n', 'VA 3 f7 c42 s3 kfoo Oabc t-1\r\nbar\r\n', ''],
  ['mg foo t s\r\n', 'HD t-1 s3\r\n', 'EN\r\n'],
  ['mg foo   Oabc   k\n', 'HD Oabc kfoo\r\n', 'EN Oabc kfoo\r\n'],
  ['mg foo O v\r\n', 'VA 3 O\r\nbar\r\n', 'EN O\r\n'],
  ['mg foo kxx vvv\r\n', 'VA 3 kfoo\r\nbar\r\n', 'EN kfoo\r\n'],
  ['mg foo k Okv\r\n', 'HD kfoo Okv\r\n', 'EN kfoo Okv\r\n'],
  ['mg foo q k\r\n', 'HD kfoo\r\n', ''],
  // A key in base64 comes back as the item has it, which was not stored so; of a miss as it was asked for.
  ['mg Zm9v b k v\r\n', 'VA 3 kfoo\r\nbar\r\n', 'EN kZm9v b\r\n'],
  ['mg Zm9v k b v s\r\n', 'VA 3 kfoo s3\r\nbar\r\n', 'EN kZm9v b\r\n'],
  ['mg Zm9v b v\r\n', 'VA 3\r\nbar\r\n', 'EN\r\n'],
  [ask(GET), `${hitHeader(GET, '\0', '\x07')}${FLAGS_7}bar`, `${missHeader(GET, '\0', '\x09')}Not found`],
  [ask(GETQ), `${hitHeader(GETQ, '\0', '\x07')}${FLAGS_7}bar`, ''],
  [ask(GETK), `${hitHeader(GETK, '\x03', '\x0a')}${FLAGS_7}foobar`, `${missHeader(GETK, '\x03', '\x03')}foo`],
  [ask(GETKQ), `${hitHeader(GETKQ, '\x03', '\x0a')}${FLAGS_7}foobar`, ''],
];

/** What a copy cannot answer: the node is asked. */
const UNANSWERABLE: readonly Row[] = [
  ['get foo foo\r\n', CANNOT, CANNOT],
  ['mg foo h\r\n', CANNOT, 'EN\r\n'],
  ['mg foo l v\r\n', CANNOT, 'EN\r\n'],
  ['mg foo T60 v\r\n', CANNOT, 'EN\r\n'],
  ['mg foo R60 v\r\n', CANNOT, 'EN\r\n'],
  ['mg foo N60 v\r\n', CANNOT, CANNOT],
  ['mg foo E5 v\r\n', CANNOT, CANNOT],
  ['mg foo x v\r\n', CANNOT, CANNOT],
  ['mg foo I v\r\n', CANNOT, 'EN\r\n'],
  ['gat 60 foo\r\n', CANNOT, 'END\r\n'],
  ['gats 60 foo\r\n', CANNOT, 'END\r\n'],
  ['set foo 0 0 1\r\nx\r\n', CANNOT, CANNOT],
  ['md foo\r\n', CANNOT, CANNOT],
  ['mn\r\n', CANNOT, CANNOT],
  ['delete foo\r\n', CANNOT, CANNOT],
];

const TOUCHED: readonly Row[] = [
  ['gat 0 foo\r\n', 'VALUE foo 7 3\r\nbar\r\nEND\r\n', 'END\r\n'],
  ['gats 0 foo\r\n', 'VALUE foo 7 3 42\r\nbar\r\nEND\r\n', 'END\r\n'],
  ...[0x1d, 0x1e, 0x23, 0x24].map((op): Row => {
    const opcode = String.fromCharCode(op);
    const namesKey = op >= 0x23;
    const hit = namesKey ? `${hitHeader(opcode, '\x03', '\x0a')}` : hitHeader(opcode, '\0', '\x07');
    const miss = namesKey ? `${missHeader(opcode, '\x03', '\x03')}foo` : `${missHeader(opcode, '\0', '\x09')}Not found`;
    const request = binary({ op, key: 'foo', extras: TOUCH_EXTRAS });
    return [request, `${hit}${FLAGS_7}${namesKey ? 'foo' : ''}bar`, op === 0x1e || op === 0x24 ? '' : miss];
  }),
];

const absent: Writer = (located, request, _hit, _from, to, offset, room) =>
  writeAbsent(located, request, to, offset, room);

/** What is said, '' for silence, null when nothing can be said. */
function hitTo(request: string, item = FOO, writer: Writer = writeHit): string | null {
  const { result, text } = writeOver(writer, request, item);
  return result === 0 ? CANNOT : text;
}

function missTo(request: string): string | null {
  const { result, text } = writeOver(absent, request, FOO);
  return result === UNSAYABLE ? CANNOT : text;
}

describe('a hit', () => {
  test.each([...ROWS, ...UNANSWERABLE])('%j', (request, hit) => {
    expect(hitTo(request)).toBe(hit);
  });

  test.each(TOUCHED)('%j, once touched', (request, hit) => {
    expect(hitTo(request, FOO, writeTouched)).toBe(hit);
    expect(hitTo(request)).toBe(CANNOT);
  });

  test.each([
    [{ cas: 2n ** 64n - 1n, flags: 2 ** 32 - 1 }, 'HD f4294967295 c18446744073709551615\r\n'],
    [{ cas: 2n ** 53n, flags: 0 }, 'HD f0 c9007199254740992\r\n'],
    [{ cas: 10n ** 18n, flags: 1 }, 'HD f1 c1000000000000000000\r\n'],
  ])('numbers: %o', (fields, reply) => {
    expect(hitTo('mg foo f c\r\n', { ...FOO, ...fields })).toBe(reply);
  });

  test.each([
    [0, 'HD t0\r\n'],
    [4000, 'HD t4000\r\n'],
    [TTL_UNKNOWN, CANNOT],
  ])('time to live %d', (ttl, reply) => {
    expect(hitTo('mg foo t\r\n', { ...FOO, ttl })).toBe(reply);
    expect(hitTo('get foo\r\n', { ...FOO, ttl })).toBe('VALUE foo 7 3\r\nbar\r\nEND\r\n');
  });

  test('key of an item that was stored by a base64 name, or nobody knows how', () => {
    expect(hitTo('mg foo k v\r\n', { ...FOO, keyForm: KEY_BASE64 })).toBe('VA 3 kZm9v b\r\nbar\r\n');
    expect(hitTo('mg foo k v\r\n', { ...FOO, keyForm: KEY_UNKNOWN })).toBe(CANNOT);
    expect(hitTo('mg foo v\r\n', { ...FOO, keyForm: KEY_UNKNOWN })).toBe('VA 3\r\nbar\r\n');
  });

  test.each(['get foo\r\n', 'gets foo\r\n', 'mg foo v k\r\n', 'mg foo k\r\n', ask(GETK)])(
    '%j fits into just its room',
    request => {
      const { result, text } = writeOver(writeHit, request, FOO);
      expect(writeOver(writeHit, request, FOO, result)).toEqual({ result, text });
      expect(writeOver(writeHit, request, FOO, result - 1)).toEqual({ result: 0, text: '' });
    },
  );

  test('the prepared body is what get is answered with', () => {
    const { hit, from } = placeItem({ ...FOO, value: 'x'.repeat(1000) });
    const to = new DataView(new ArrayBuffer(1100));
    const length = writeBody(hit, from, to, 3, 1097);
    const text = textOf(new Uint8Array(to.buffer, 3, length));
    expect(text).toBe(`VALUE foo 7 1000\r\n${'x'.repeat(1000)}\r\nEND\r\n`);
    expect(writeBody(hit, from, to, 3, length - 1)).toBe(0);
    hit[HIT_VALUE_LENGTH] = -1;
    expect(writeBody(hit, from, to, 3, 1097)).toBe(0);
  });
});

describe('a miss', () => {
  test.each([...ROWS, ...UNANSWERABLE, ...TOUCHED])('%j', (request, _hit, miss) => {
    expect(missTo(request)).toBe(miss);
  });

  test('without room nothing is said', () => {
    expect(writeOver(absent, 'get foo\r\n', FOO, 4)).toEqual({ result: UNSAYABLE, text: '' });
    expect(writeOver(absent, 'get foo\r\n', FOO, 5)).toEqual({ result: 5, text: 'END\r\n' });
  });
});

test.each(['get foo\r\n', 'gets foo\r\n', 'mg foo v f c s k Oabc t\r\n', ask(GETK)])(
  '%j is answered without an allocation',
  request => {
    const bytes = bytesOf(request);
    const located = new Int32Array(OUT_WORDS);
    parseRequest(bytes, 0, bytes.length, located);
    const { hit, from } = placeItem({ ...FOO, flags: 2 ** 32 - 1, cas: 2n ** 63n + 5n });
    const to = new DataView(new SharedArrayBuffer(2000));
    const grown = bytesPerCall(() => {
      writeHit(located, bytes, hit, from, to, 0, 2000);
      writeAbsent(located, bytes, to, 0, 2000);
    });
    expect(grown).toBeLessThan(1);
  },
);

const key = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'kOvb=1'), minLength: 1, maxLength: 12 }),
  fc.constant('n'.repeat(250)),
);
const flag = fc.constantFrom('v', 'f', 'c', 's', 'k', 't', 'Oabc', 'O', 'Ok', 'q');
const flags = fc.uniqueArray(flag, { maxLength: 8, selector: text => text[0] });
const value = fc.oneof(fc.string({ unit: 'binary-ascii', maxLength: 60 }), fc.constant('v'.repeat(1300)));

test('property: whatever is hit, the reply is one, and every byte outside it is left alone', () => {
  const item = fc.record({
    key,
    value,
    flags: fc.nat({ max: 2 ** 32 - 1 }),
    cas: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    ttl: fc.constantFrom(-1, 0, 1, 86400),
  });
  fc.assert(
    fc.property(item, flags, fc.integer({ min: 1, max: 1500 }), (one, some, room) => {
      const { result, text } = writeOver(writeHit, `mg ${[one.key, ...some].join(' ')}\r\n`, one, room);
      if (result === 0) return;
      const found = parseAmidst(parseReply, bytesOf(text));
      expect(found.result).toBe(some.includes('v') ? REPLY_META_VALUE : REPLY_META);
      if (some.includes('k')) expect(found.key).toBe(one.key);
      if (some.includes('v')) expect(found.value).toBe(one.value);
      if (some.includes('c')) expect(text).toContain(` c${one.cas}`);
    }),
  );
});

const isObserved = memcachedVersion() === OBSERVED;
describe.skipIf(requireMemcached() ?? !isObserved)(`memcached ${OBSERVED} says the same`, () => {
  let server: LiveMemcached;
  let foo: Item;
  beforeAll(async () => {
    server = await LiveMemcached.start();
  });
  afterAll(() => server?.stop());

  const say = async (request: string) => (await server.ask(request)).replies.join('');
  const casOf = async (its: string) => BigInt(/ c(\d+)/.exec(await say(`mg ${its} c\r\n`))![1]!);

  describe('of an item', () => {
    beforeEach(async () => {
      await say('set foo 7 0 3\r\nbar\r\n');
      foo = { ...FOO, cas: await casOf('foo') };
    });

    test.each(ROWS)('%j', async request => {
      expect(await say(request)).toBe(hitTo(request, foo));
    });

    test.each(TOUCHED)('%j', async request => {
      expect(await say(request)).toBe(hitTo(request, foo, writeTouched));
    });

    test('stored by a base64 name, or with a key no line could carry', async () => {
      await say('ms Zm9v 3 F7 b\r\nbar\r\n');
      foo = { ...FOO, cas: await casOf('foo'), keyForm: KEY_BASE64 };
      for (const request of ['mg foo k v\r\n', 'mg Zm9v b v k s\r\n', 'get foo\r\n', ask(GETK)]) {
        expect(await say(request)).toBe(hitTo(request, foo));
      }
      for (const raw of ['\0', '\x01 ', 'a b c', '\xff\xfe\xfd\xfc']) {
        const name = Buffer.from(raw, 'latin1').toString('base64');
        await say(`ms ${name} 3 F7 b\r\nbar\r\n`);
        const cas = BigInt(/ c(\d+)/.exec(await say(`mg ${name} b c\r\n`))![1]!);
        for (const request of [`mg ${name} b k v\r\n`, ask(GETK, raw)]) {
          expect(await say(request)).toBe(hitTo(request, { ...FOO, key: raw, cas, keyForm: KEY_BASE64 }));
        }
      }
    });
  });

  test.each([...ROWS, ...TOUCHED])('of nothing: %j', async request => {
    await say('delete foo\r\n');
    expect(await say(request)).toBe(missTo(request));
  });

  test.each(UNANSWERABLE.filter(([, , miss]) => miss !== CANNOT))('of nothing: %j', async request => {
    await say('delete foo\r\n');
    expect(await say(request)).toBe(missTo(request));
  });

  test('to a base64 key that is encoded in an odd way: it encodes anew', async () => {
    expect(await say('mg Zn== b k\r\n')).toBe('EN kZg== b\r\n');
    expect(missTo('mg Zn== b k\r\n')).toBe('EN kZg== b\r\n');
  });

  test('to requests made at random, for what is there and what is not', async () => {
    const line = fc.tuple(fc.constantFrom('get', 'gets', 'mg', 'mg', 'mg'), key, flags, value, fc.nat(2 ** 31));
    for (const [verb, its, some, content, its32] of fc.sample(line, { seed: 9, numRuns: 200 })) {
      const request = `${[verb, its, ...(verb === 'mg' ? some : [])].join(' ')}\r\n`;
      await say(`delete ${its}\r\n`);
      expect(await say(request), request).toBe(missTo(request));
      await say(`set ${its} ${its32} 0 ${content.length}\r\n${content}\r\n`);
      const item = { key: its, value: content, flags: its32, cas: await casOf(its), ttl: -1 };
      expect(await say(request), request).toBe(hitTo(request, item));
    }
  });
});
