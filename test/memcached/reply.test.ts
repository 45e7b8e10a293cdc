import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_OPCODE,
  OUT_STATUS,
  OUT_VALUE_LENGTH,
  OUT_VALUE_OFFSET,
} from '../../src/memcached/located.ts';
import * as reply from '../../src/memcached/reply.ts';
import { bytesOf, parseAmidst, textOf } from './placed-message.ts';
import { KEY_250, KEY_251 } from './rows.ts';

const parse = (text: string) => parseAmidst(reply.parseReply, bytesOf(text));

interface Row {
  reply: string;
  kind: (typeof reply.REPLY_NAMES)[number];
  status?: number;
  key?: string;
  /** Declared length, and what of the value is in this datagram. */
  bytes?: number;
  value?: string;
  opaque?: string;
  marks?: string[];
}

const ROWS: Row[] = [
  { reply: 'VALUE k1 5 3\r\nabc\r\nEND\r\n', kind: 'value', key: 'k1', bytes: 3, value: 'abc' },
  { reply: 'VALUE k1 5 3 77\r\nabc\r\nEND\r\n', kind: 'value', key: 'k1', bytes: 3, value: 'abc' },
  { reply: 'VALUE k1 5 0\r\n\r\nEND\r\n', kind: 'value', key: 'k1', bytes: 0, value: '' },
  { reply: 'VALUE k1 5 3\r\nabc\r\n', kind: 'value', key: 'k1', bytes: 3, value: 'abc' },
  { reply: 'VALUE k1 5 1048576\r\nabc', kind: 'value', key: 'k1', bytes: 1048576 },
  { reply: 'VALUE k1 5 3\r\n', kind: 'value', key: 'k1', bytes: 3 },
  { reply: `VALUE ${KEY_250} 0 3\r\nabc\r\n`, kind: 'value', key: KEY_250, bytes: 3, value: 'abc' },
  { reply: 'END\r\n', kind: 'end', status: reply.STATUS_END },
  { reply: 'VA 3\r\nabc\r\n', kind: 'meta value', bytes: 3, value: 'abc' },
  {
    reply: 'VA 3 kk1 s3 t-1 f0 O7\r\nabc\r\n',
    kind: 'meta value',
    key: 'k1',
    bytes: 3,
    value: 'abc',
    opaque: '7',
  },
  { reply: 'VA 3 kZm9v b W\r\nabc\r\n', kind: 'meta value', key: 'Zm9v', bytes: 3, value: 'abc', marks: ['base64'] },
  { reply: 'VA 3 O\r\nabc\r\n', kind: 'meta value', bytes: 3, value: 'abc', opaque: '' },
  { reply: 'VA 70000 kk1\r\nabc', kind: 'meta value', key: 'k1', bytes: 70000 },
  { reply: 'HD\r\n', kind: 'meta', status: reply.STATUS_HD },
  { reply: 'HD kk1 c18446744073709551615\r\n', kind: 'meta', status: reply.STATUS_HD, key: 'k1' },
  { reply: 'EN\r\n', kind: 'meta', status: reply.STATUS_EN },
  { reply: 'EN Oid kk1\r\n', kind: 'meta', status: reply.STATUS_EN, key: 'k1', opaque: 'id' },
  { reply: 'NF\r\n', kind: 'meta', status: reply.STATUS_NF },
  { reply: 'NS\r\n', kind: 'meta', status: reply.STATUS_NS },
  { reply: 'EX\r\n', kind: 'meta', status: reply.STATUS_EX },
  { reply: 'MN\r\n', kind: 'meta', status: reply.STATUS_MN },
  { reply: 'ME k1 exp=-1 la=0 cas=3 fetch=no cls=1 size=63\r\n', kind: 'meta', status: reply.STATUS_ME },
  { reply: 'STORED\r\n', kind: 'status', status: reply.STATUS_STORED },
  {
    reply: 'VALUE k\x10\r\x7f 5 3\r\nabc\r\n',
    kind: 'value',
    status: reply.STATUS_VALUE,
    key: 'k\x10\r\x7f',
    bytes: 3,
  },
  { reply: 'HD k\x01\x1f Ot\x02\r\n', kind: 'meta', status: reply.STATUS_HD, key: '\x01\x1f', opaque: 't\x02' },
  { reply: 'NOT_STORED\r\n', kind: 'status', status: reply.STATUS_NOT_STORED },
  { reply: 'EXISTS\r\n', kind: 'status', status: reply.STATUS_EXISTS },
  { reply: 'NOT_FOUND\r\n', kind: 'status', status: reply.STATUS_NOT_FOUND },
  { reply: 'DELETED\r\n', kind: 'status', status: reply.STATUS_DELETED },
  { reply: 'TOUCHED\r\n', kind: 'status', status: reply.STATUS_TOUCHED },
  { reply: 'OK\r\n', kind: 'status', status: reply.STATUS_OK },
  { reply: '0\r\n', kind: 'status', status: reply.STATUS_NUMBER, bytes: 1, value: '0' },
  {
    reply: '18446744073709551615\r\n',
    kind: 'status',
    status: reply.STATUS_NUMBER,
    bytes: 20,
    value: '18446744073709551615',
  },
  { reply: '99 \r\n', kind: 'status', status: reply.STATUS_NUMBER, bytes: 2, value: '99' },
  { reply: 'ERROR\r\n', kind: 'error', status: reply.STATUS_ERROR },
  { reply: 'CLIENT_ERROR bad data chunk\r\n', kind: 'error', status: reply.STATUS_CLIENT_ERROR },
  { reply: 'SERVER_ERROR out of memory\r\n', kind: 'error', status: reply.STATUS_SERVER_ERROR },
  { reply: 'VERSION 1.6.18\r\n', kind: 'version', status: reply.STATUS_VERSION, bytes: 6, value: '1.6.18' },
];

/** A binary response with opcode 0 (get), opaque OPAQ. */
function response(fields: { status?: number; key?: string; extras?: string; value?: string; body?: number }): string {
  const { status = 0, key = '', extras = '', value = '' } = fields;
  const header = Buffer.alloc(24);
  header[0] = 0x81;
  header.writeUInt16BE(key.length, 2);
  header[4] = extras.length;
  header.writeUInt16BE(status, 6);
  header.writeUInt32BE(fields.body ?? extras.length + key.length + value.length, 8);
  header.write('OPAQ', 12);
  return header.toString('latin1') + extras + key + value;
}

const EXTRAS = '\0\0\0\x05';

const BINARY_ROWS: (Row & { what: string })[] = [
  {
    what: 'a hit of getk',
    reply: response({ key: 'k1', extras: EXTRAS, value: 'abc' }),
    kind: 'binary',
    status: 0,
    key: 'k1',
    bytes: 3,
    value: 'abc',
  },
  {
    what: 'a hit of get',
    reply: response({ extras: EXTRAS, value: 'abc' }),
    kind: 'binary',
    status: 0,
    bytes: 3,
    value: 'abc',
  },
  {
    what: 'a value that goes on in the next datagrams',
    reply: response({ key: 'k1', extras: EXTRAS, value: 'abc', body: 70000 }),
    kind: 'binary',
    status: 0,
    key: 'k1',
    bytes: 70000 - 6,
  },
  {
    what: 'a miss',
    reply: response({ status: 1, value: 'Not found' }),
    kind: 'binary',
    status: 1,
    bytes: 9,
    value: 'Not found',
  },
  { what: 'nothing to say', reply: response({}), kind: 'binary', status: 0, bytes: 0, value: '' },
];

function expectRow(row: Row) {
  const found = parse(row.reply);
  expect(reply.REPLY_NAMES[found.result]).toBe(row.kind);
  if (row.status !== undefined) expect(found.out[OUT_STATUS]).toBe(row.status);
  expect(found.key).toBe(row.key);
  expect(found.out[OUT_VALUE_LENGTH]).toBe(row.bytes ?? -1);
  if (row.value !== undefined) expect(found.value).toBe(row.value);
  expect(found.opaque).toBe(row.opaque);
  expect(found.marks).toEqual(row.marks ?? []);
  return found;
}

describe('replies are read', () => {
  test.each(ROWS.map(row => [JSON.stringify(row.reply.slice(0, 60)), row] as const))('%s', (_name, row) => {
    expectRow(row);
  });

  test.each(BINARY_ROWS.map(row => [row.what, row] as const))('binary: %s', (_what, row) => {
    const found = expectRow({ ...row, opaque: 'OPAQ' });
    expect(found).toMatchObject({ protocol: 'binary', verb: 'get' });
    expect(found.out[OUT_OPCODE]).toBe(0);
  });
});

describe('what is not a reply is told so, and names no key', () => {
  test.each([
    ['', 'nothing: the datagram with total 0'],
    ['\r\n', 'an empty line'],
    ['STORED', 'no line end'],
    ['STORED\n', 'no CR'],
    ['stored\r\n', 'lower case'],
    ['STORE\r\n', 'a letter short'],
    ['STOREDX\r\n', 'a letter long'],
    ['STAT pid 1\r\nEND\r\n', 'statistics'],
    ['RESET\r\n', 'stats reset'],
    ['VALUE k1 5 3', 'cut in its line'],
    ['VALUE k1 5\r\n', 'no length'],
    ['VALUE k1  3\r\n', 'no flags'],
    ['VALUE  5 3\r\n', 'no key'],
    ['VALUE k1 5 x\r\nabc\r\n', 'length is no number'],
    ['VALUE k1 5 -1\r\nabc\r\n', 'negative length'],
    ['VALUE k1 5 1234567890\r\nabc\r\n', 'ten digits'],
    [`VALUE ${KEY_251} 5 3\r\nabc\r\n`, 'key of 251 bytes'],
    ['VALUE k\0 5 3\r\nabc\r\n', 'NUL in the key'],
    ['VALUE k\n1 5 3\r\nabc\r\n', 'LF in the key'],
    ['VALUE\tk1 5 3\r\nabc\r\n', 'tab'],
    ['VA\r\n', 'no length'],
    ['VA x\r\nabc\r\n', 'length is no number'],
    ['VA 3 kk1', 'cut in its line'],
    ['VA 3 kk1\0\r\nabc\r\n', 'NUL in a flag'],
    ['VA 3  kk1\r\nabc\r\n', 'two spaces'],
    [`HD k${KEY_251}\r\n`, 'key of 251 bytes'],
    ['HD kk1\n', 'no CR'],
    ['12x\r\n', 'not a number'],
    ['12', 'cut number'],
    ['12\r\n34\r\n', 'two numbers'],
    ['-5\r\n', 'negative number'],
    ['get k1\r\n', 'a request'],
    [response({}).slice(0, 23), 'binary header of 23 bytes'],
    [response({ key: 'k1', body: 1 }), 'body shorter than the key'],
    [response({ key: 'k1' }).slice(0, 25), 'key cut'],
    [response({ body: 0xffffffff }), 'body of 4 GiB'],
    [response({ key: KEY_251 }), 'key of 251 bytes'],
    [`\x80${response({}).slice(1)}`, 'a binary request'],
  ])('%j: %s', text => {
    const { result, out } = parse(text);
    expect(reply.REPLY_NAMES[result]).toBe('other');
    expect([out[OUT_KEY_OFFSET], out[OUT_KEY_LENGTH], out[OUT_VALUE_OFFSET]]).toEqual([-1, 0, -1]);
  });
});

describe('whatever the bytes', () => {
  const word = fc.constantFrom(
    ...['VALUE', 'VA', 'HD', 'EN', 'END', 'STORED', 'ERROR', 'VERSION', ' ', ' ', ' ', 'k1', 'kk1', 'O1', 'b'],
    ...['0', '3', '99', 'abc', '\r\n', '\r\n', '\r', '\n', '\0', '\x81', '\xff', 'x'.repeat(251)],
  );
  const phrase = fc.array(word, { maxLength: 12 }).map(words => words.join(''));
  const noise = fc.uint8Array({ maxLength: 60 }).map(textOf);
  const damaged = fc
    .tuple(fc.constantFrom(...ROWS, ...BINARY_ROWS), fc.nat(), fc.nat(255), fc.boolean())
    .map(([row, position, byte, isCut]) => {
      const at = position % row.reply.length;
      return row.reply.slice(0, at) + (isCut ? '' : String.fromCharCode(byte) + row.reply.slice(at + 1));
    });

  test('nothing throws, nothing outside is read, a key lies inside', () => {
    fc.assert(
      fc.property(fc.oneof(phrase, noise, damaged), text => {
        const { result, out } = parse(text);
        expect(reply.REPLY_NAMES[result]).toBeDefined();
        const end = 42 + bytesOf(text).length;
        if (out[OUT_KEY_OFFSET] >= 0) expect(out[OUT_KEY_OFFSET]).toBeGreaterThan(42);
        expect(out[OUT_KEY_OFFSET] + out[OUT_KEY_LENGTH]).toBeLessThanOrEqual(end);
        if (out[OUT_VALUE_OFFSET] >= 0) expect(out[OUT_VALUE_OFFSET]).toBeLessThanOrEqual(end);
        expect(out[OUT_VALUE_LENGTH]).toBeGreaterThanOrEqual(-1);
      }),
      { numRuns: 3000 },
    );
  });

  test('a value of any bytes under any key is located exactly, however the datagram is cut behind its line', () => {
    const key = fc
      .array(
        fc.nat(255).filter(byte => byte > 32 && byte !== 127),
        { minLength: 1, maxLength: 250 },
      )
      .map(codes => String.fromCharCode(...codes));
    const value = fc.uint8Array({ maxLength: 300 }).map(textOf);
    fc.assert(
      fc.property(key, value, fc.nat(0xffffffff), fc.nat(300), (key, value, flags, kept) => {
        const line = `VALUE ${key} ${flags} ${value.length}\r\n`;
        const found = parse(`${line}${`${value}\r\nEND\r\n`.slice(0, kept)}`);
        expect(found).toMatchObject({ result: reply.REPLY_VALUE, key });
        expect(found.out[OUT_VALUE_LENGTH]).toBe(value.length);
        expect(found.out[OUT_VALUE_OFFSET]).toBe(42 + line.length);
      }),
    );
  });
});
