import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReplyError, ServerError } from '../../src/client/errors.ts';
import * as replies from '../../src/client/replies.ts';

const payload = (text: string) => Buffer.from(text, 'latin1');
const single = (text: string) => replies.readSingle(payload(text), 'a', 'get "a"');
const stored = (text: string) => replies.readStatus(payload(text), ['STORED', 'NOT_STORED'], 'set "a"');

describe('what a reply says', () => {
  test.each([
    ['END\r\n', undefined],
    ['VALUE a 7 3\r\nabc\r\nEND\r\n', { key: 'a', value: payload('abc'), flags: 7 }],
    ['VALUE a 4294967295 0\r\n\r\nEND\r\n', { key: 'a', value: payload(''), flags: 4294967295 }],
    [
      'VALUE a 0 1 18446744073709551615\r\nx\r\nEND\r\n',
      { key: 'a', value: payload('x'), flags: 0, cas: 18446744073709551615n },
    ],
    ['VALUE a 0 14\r\nEND\r\nVALUE a \r\r\nEND\r\n', { key: 'a', value: payload('END\r\nVALUE a \r'), flags: 0 }],
  ])('of one key: %j', (text, item) => {
    expect(single(text)).toEqual(item);
  });

  test('of several keys', () => {
    const { items, isEnded } = replies.readRetrieved(payload('VALUE é 0 1\r\nx\r\nVALUE b 1 2 9\r\nyy\r\nEND\r\n'), '');
    expect(isEnded).toBe(true);
    expect(items.map(({ key, value, flags, cas }) => [key, String(value), flags, cas])).toEqual([
      [Buffer.from('é', 'latin1').toString('utf8'), 'x', 0, undefined],
      ['b', 'yy', 1, 9n],
    ]);
  });

  test('of others', () => {
    expect(stored('STORED\r\n')).toBe('STORED');
    expect(replies.readNumber(payload('18446744073709551615\r\n'), '')).toBe(18446744073709551615n);
    expect(replies.readNumber(payload('9  \r\n'), '')).toBe(9n);
    expect(replies.readNumber(payload('NOT_FOUND\r\n'), '')).toBeUndefined();
    expect(replies.readVersion(payload('VERSION 1.6.18\r\n'), '')).toBe('1.6.18');
    expect(replies.readStats(payload('END\r\n'), '')).toEqual(new Map());
    expect(replies.readStats(payload('RESET\r\n'), '')).toEqual(new Map());
    expect([...replies.readStats(payload('STAT node mc1\r\nSTAT a b c\r\nSTAT none \r\nEND\r\n'), '')]).toEqual([
      ['node', 'mc1'],
      ['a', 'b c'],
      ['none', ''],
    ]);
  });

  test.each([
    ['HD\r\n', { code: 'HD', flags: [] }],
    ['MN\r\n', { code: 'MN', flags: [] }],
    ['EN\r\n', { code: 'EN', flags: [] }],
    ['HD t-1 kfoo\r\n', { code: 'HD', flags: ['t-1', 'kfoo'] }],
    ['VA 3 f7 Oq\r\nabc\r\n', { code: 'VA', flags: ['f7', 'Oq'], value: payload('abc') }],
    ['VA 0\r\n\r\n', { code: 'VA', flags: [], value: payload('') }],
    ['ME a exp=-1 la=2\r\n', { code: 'ME', flags: ['a', 'exp=-1', 'la=2'] }],
  ])('of meta: %j', (text, reply) => {
    expect(replies.readMeta(payload(text), '')).toEqual(reply);
  });
});

const READERS: readonly [string, (text: string) => unknown][] = [
  ['one key', single],
  ['several keys', text => replies.readRetrieved(payload(text), 'get')],
  ['a status', stored],
  ['a number', text => replies.readNumber(payload(text), 'incr')],
  ['a version', text => replies.readVersion(payload(text), 'version')],
  ['stats', text => replies.readStats(payload(text), 'stats')],
  ['meta', text => replies.readMeta(payload(text), 'meta')],
];

describe('what is no answer', () => {
  const NONE = [
    '\r\n',
    'HELLO\r\n',
    'VALUE a 0 3\r\nabc\r\nEND',
    'VALUE a 0 3\r\nabcd\r\nEND\r\n',
    'VALUE a 0 4\r\nabc\r\nEND\r\n',
    'VALUE a 0 999999999\r\nabc\r\nEND\r\n',
    'VALUE a x 3\r\nabc\r\nEND\r\n',
    'VALUE a 0 3 x\r\nabc\r\nEND\r\n',
    'VALUE a 0 3 1 2\r\nabc\r\nEND\r\n',
    'VALUE a 0 3\r\nabc\r\nSTORED\r\n',
    'END\r\nEND\r\n',
    'STORED',
    'STORED\n',
    'VERSION 1\r\n2\r\n',
    '-1\r\n',
    'STAT a\r\nstat b\r\nEND\r\n',
    'STAT a b\r\n',
    'HD\r\nHD\r\n',
    'VA 3\r\nabcd\r\n',
    'VA 3\r\nabc',
    'VA 3\r\nabc\r\nEN\r\n',
    'VA\r\n',
    'ERRORS\r\n',
    'ERROR',
  ];
  test.each(NONE.flatMap(text => READERS.map(([name, read]) => [text, name, read] as const)))(
    '%j for %s',
    (text, _name, read) => {
      expect(() => read(text)).toThrow(ReplyError);
    },
  );

  test.each([
    ['another key', 'VALUE b 0 1\r\nx\r\nEND\r\n'],
    ['no END', 'VALUE a 0 1\r\nx\r\n'],
    ['two values', 'VALUE a 0 1\r\nx\r\nVALUE a 0 1\r\nx\r\nEND\r\n'],
    ['nothing', ''],
  ])('%s for one key', (_what, text) => {
    expect(() => single(text)).toThrow(ReplyError);
  });

  test.each(['ERROR', 'CLIENT_ERROR bad data chunk', 'SERVER_ERROR out of memory storing object', 'SERVER_ERROR '])(
    'the error line %j',
    line => {
      for (const [, read] of READERS) {
        expect(() => read(`${line}\r\n`)).toThrow(ServerError);
        expect(() => read(`${line}\r\n`)).toThrow(expect.objectContaining({ line }));
      }
    },
  );

  test('an error line behind a value', () => {
    expect(() => single('VALUE a 0 1\r\nx\r\nSERVER_ERROR out of memory\r\n')).toThrow(ServerError);
  });

  test('the message says what was asked and shows a piece of what came, escaped', () => {
    expect(() => stored(`\u001b[2J${'x'.repeat(500)}`)).toThrow(
      /^no answer to set "a": the server sent 504 bytes, "\\u001b\[2Jx{116}"$/,
    );
  });
});

describe('arbitrary bytes', () => {
  const words = fc.constantFrom(
    'VALUE ',
    'VA ',
    'END\r\n',
    'STAT ',
    'HD',
    'a',
    ' ',
    '0',
    '3',
    '999999999',
    '\r\n',
    '\n',
    'abc',
    '\0',
    '\xff',
  );
  const likely = fc.array(words, { maxLength: 14 }).map(parts => parts.join(''));
  const text = fc.oneof(
    likely,
    fc.uint8Array({ maxLength: 60 }).map(bytes => Buffer.from(bytes).toString('latin1')),
  );

  test.each(READERS)('for %s: an answer, ReplyError or ServerError, and nothing else', (_name, read) => {
    fc.assert(
      fc.property(text, given => {
        try {
          read(given);
        } catch (error) {
          if (!(error instanceof ReplyError || error instanceof ServerError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('a whole reply cut anywhere is no answer for one key', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(), (value, at) => {
        const whole = Buffer.concat([payload(`VALUE a 5 ${value.length}\r\n`), value, payload('\r\nEND\r\n')]);
        expect(replies.readSingle(whole, 'a', '')).toEqual({ key: 'a', flags: 5, value: Buffer.from(value) });
        const part = whole.subarray(0, at % whole.length);
        expect(() => replies.readSingle(part, 'a', '')).toThrow(ReplyError);
      }),
    );
  });
});
