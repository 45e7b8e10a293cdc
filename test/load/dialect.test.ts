import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Dialect, Ledger } from '../../src/load/dialect.ts';
import { createDialect, DIALECT_NAMES, type DialectName } from '../../src/load/dialects.ts';
import { KeyNames } from '../../src/load/keys.ts';
import { TALLY_COUNTERS, WRONG_REASONS } from '../../src/load/tally.ts';
import { ValueRule } from '../../src/load/values.ts';
import { fromHex, placed } from '../support/frames.ts';

const KEY = 42;
const NAME = 'keysteer00000042';
const OTHER_NAME = 'keysteer00000043';
const WRITER = 3;
const VALUE_BYTES = 20;

const names = new KeyNames(16);
const values = new ValueRule(VALUE_BYTES, VALUE_BYTES);

function valueText(key = KEY, version = 1, writer = WRITER, bytes = VALUE_BYTES): string {
  const value = placed(new Uint8Array(bytes));
  values.write(value.view, value.offset, bytes, key, writer, version);
  return Buffer.from(value.frame()).toString('latin1');
}

/** A dialect whose writer has written version 1 of KEY. */
function dialectNamed(name: DialectName, prefilled = true): Dialect {
  const ledger = new Ledger(WRITER, 100, prefilled);
  ledger.issue(KEY);
  return createDialect(name, { names, values, ledger });
}

function outcome(dialect: Dialect, reply: string | Uint8Array, set: number): string {
  const frame = placed(typeof reply === 'string' ? Uint8Array.from(Buffer.from(reply, 'latin1')) : reply);
  const found = dialect.check(frame.view, frame.offset, frame.length, KEY, set);
  frame.assertCanaries();
  return found >= 0 ? (TALLY_COUNTERS[found] as string) : `wrong: ${WRONG_REASONS[~found]}`;
}

const V = valueText();
const changed = `${V.slice(0, 15)}${String.fromCharCode(V.charCodeAt(15) ^ 1)}${V.slice(16)}`;
const hit = (key: string, length: number | string, value: string, flags = '0') =>
  `VALUE ${key} ${flags} ${length}\r\n${value}\r\nEND\r\n`;
const metaHit = (key: string, length: number | string, value: string) => `VA ${length} k${key}\r\n${value}\r\n`;

const TEXT_GET: [dialect: DialectName, what: string, reply: string, outcome: string][] = [
  ['classic', 'a hit', hit(NAME, 20, V), 'hits'],
  ['classic', 'a miss', 'END\r\n', 'misses'],
  ['classic', 'an error', 'ERROR\r\n', 'errors'],
  ['classic', 'a client error', 'CLIENT_ERROR bad data chunk\r\n', 'errors'],
  ['classic', 'a server error', 'SERVER_ERROR out of memory storing object\r\n', 'errors'],
  ['classic', 'a value of another key under ours', hit(NAME, 20, valueText(43)), 'wrong: key'],
  ['classic', 'our value under another name', hit(OTHER_NAME, 20, V), 'wrong: key'],
  ['classic', 'another key and its value', hit(OTHER_NAME, 20, valueText(43)), 'wrong: key'],
  ['classic', 'a changed byte', hit(NAME, 20, changed), 'wrong: value'],
  ['classic', 'a version not yet written', hit(NAME, 20, valueText(KEY, 2)), 'wrong: version'],
  ['classic', 'version 0', hit(NAME, 20, valueText(KEY, 0)), 'wrong: version'],
  ['classic', "another writer's version 9", hit(NAME, 20, valueText(KEY, 9, 4)), 'hits'],
  ['classic', 'a value too short, length honest', hit(NAME, 19, V.slice(1)), 'wrong: key'],
  ['classic', 'a value cut at its end, length honest', hit(NAME, 19, V.slice(0, 19)), 'wrong: length'],
  ['classic', 'a value shorter than any', hit(NAME, 3, 'abc'), 'wrong: length'],
  ['classic', 'an empty value', hit(NAME, 0, ''), 'wrong: length'],
  ['classic', 'a value with one byte more', hit(NAME, 21, `${V}!`), 'wrong: length'],
  ['classic', 'a length that lies', hit(NAME, 21, V), 'wrong: malformed'],
  ['classic', 'a length with a leading zero', hit(NAME, '020', V), 'wrong: malformed'],
  ['classic', 'no length', hit(NAME, '', V), 'wrong: malformed'],
  ['classic', 'a length of five digits', hit(NAME, '20000', V), 'wrong: malformed'],
  ['classic', 'flags that nobody set', hit(NAME, 20, V, '1'), 'wrong: malformed'],
  ['classic', 'a CAS value that was not asked for', hit(NAME, '20 7', V), 'wrong: malformed'],
  ['classic', 'no END', `VALUE ${NAME} 0 20\r\n${V}\r\n`, 'wrong: malformed'],
  ['classic', 'half an END', `VALUE ${NAME} 0 20\r\n${V}\r\nEND`, 'wrong: malformed'],
  ['classic', 'something behind END', `${hit(NAME, 20, V)}END\r\n`, 'wrong: malformed'],
  ['classic', 'two hits', hit(NAME, 20, V).replace('END\r\n', hit(NAME, 20, V)), 'wrong: malformed'],
  ['classic', 'STORED to a GET', 'STORED\r\n', 'wrong: malformed'],
  ['classic', 'a meta hit', metaHit(NAME, 20, V), 'wrong: malformed'],
  ['classic', 'nothing', '', 'wrong: malformed'],
  ['classic', 'END without its end', 'END', 'wrong: malformed'],
  ['classic', 'END in bare LF', 'END\n', 'wrong: malformed'],
  ['classic', 'only the first word of a hit', 'VALUE ', 'wrong: malformed'],
  ['classic', 'an error with more to it', 'ERROR in your ways\r\n', 'wrong: malformed'],
  ['classic', 'two error lines', 'ERROR\r\nERROR\r\n', 'wrong: malformed'],
  ['classic', 'a client error cut short', 'CLIENT_ERROR bad', 'wrong: malformed'],
  ['meta', 'a hit', metaHit(NAME, 20, V), 'hits'],
  ['meta', 'a miss', 'EN\r\n', 'misses'],
  ['meta', 'an error', 'CLIENT_ERROR invalid flag\r\n', 'errors'],
  ['meta', 'our value under another name', metaHit(OTHER_NAME, 20, V), 'wrong: key'],
  ['meta', 'a value of another key', metaHit(NAME, 20, valueText(43)), 'wrong: key'],
  ['meta', 'a changed byte', metaHit(NAME, 20, changed), 'wrong: value'],
  ['meta', 'a length that lies', metaHit(NAME, 19, V), 'wrong: malformed'],
  ['meta', 'no length', metaHit(NAME, '', V), 'wrong: malformed'],
  ['meta', 'no key', `VA 20\r\n${V}\r\n`, 'wrong: malformed'],
  ['meta', 'a flag that was not asked for', `VA 20 k${NAME} t-1\r\n${V}\r\n`, 'wrong: malformed'],
  ['meta', 'a classic END', 'END\r\n', 'wrong: malformed'],
  ['meta', 'something behind the value', `${metaHit(NAME, 20, V)}EN\r\n`, 'wrong: malformed'],
];

const TEXT_SET: typeof TEXT_GET = [
  ['classic', 'stored', 'STORED\r\n', 'stored'],
  ['classic', 'too large', 'SERVER_ERROR object too large for cache\r\n', 'errors'],
  ['classic', 'not stored, which no plain SET is', 'NOT_STORED\r\n', 'wrong: malformed'],
  ['classic', 'a hit', hit(NAME, 20, V), 'wrong: malformed'],
  ['classic', 'a miss', 'END\r\n', 'wrong: malformed'],
  ['classic', 'stored twice', 'STORED\r\nSTORED\r\n', 'wrong: malformed'],
  ['meta', 'stored', 'HD\r\n', 'stored'],
  ['meta', 'not stored', 'NS\r\n', 'wrong: malformed'],
  ['meta', 'a classic STORED', 'STORED\r\n', 'wrong: malformed'],
];

const binary = (opcode: string, keyBytes: string, extras: string, status: string, body: string, bodyBytes?: string) =>
  fromHex(
    [
      `81 ${opcode} ${keyBytes} ${extras} 00 ${status}`,
      bodyBytes ?? (fromHex(body).length + 0x100000000).toString(16).slice(1),
      '6b 65 79 73  00 00 00 00 00 00 00 09',
      body,
    ].join('\n'),
  );
const hexOf = (text: string) => Buffer.from(text, 'latin1').toString('hex');
const flags = '00 00 00 00';

const BINARY: [what: string, set: number, reply: Uint8Array, outcome: string][] = [
  ['a hit', 0, binary('0c', '0010', '04', '0000', flags + hexOf(NAME + V)), 'hits'],
  ['a miss', 0, binary('0c', '0010', '00', '0001', hexOf(NAME)), 'misses'],
  ['stored', 1, binary('01', '0000', '00', '0000', ''), 'stored'],
  ['out of memory', 1, binary('01', '0000', '00', '0082', hexOf('Out of memory')), 'errors'],
  ['unknown command', 0, binary('0c', '0000', '00', '0081', hexOf('Unknown command')), 'errors'],
  ['a hit under another name', 0, binary('0c', '0010', '04', '0000', flags + hexOf(OTHER_NAME + V)), 'wrong: key'],
  ['a miss of another key', 0, binary('0c', '0010', '00', '0001', hexOf(OTHER_NAME)), 'wrong: key'],
  ['a value of another key', 0, binary('0c', '0010', '04', '0000', flags + hexOf(NAME + valueText(43))), 'wrong: key'],
  ['a changed byte', 0, binary('0c', '0010', '04', '0000', flags + hexOf(NAME + changed)), 'wrong: value'],
  ['a value cut short', 0, binary('0c', '0010', '04', '0000', flags + hexOf(NAME + V.slice(0, 19))), 'wrong: length'],
  ['no value', 0, binary('0c', '0010', '04', '0000', flags + hexOf(NAME)), 'wrong: length'],
  ['less than a key', 0, binary('0c', '0010', '04', '0000', flags + hexOf('keysteer')), 'wrong: malformed'],
  ['flags that nobody set', 0, binary('0c', '0010', '04', '0000', `00 00 00 01${hexOf(NAME + V)}`), 'wrong: malformed'],
  [
    'a hit that says it has no extras',
    0,
    binary('0c', '0010', '00', '0000', flags + hexOf(NAME + V)),
    'wrong: malformed',
  ],
  ['a GET for our GETK', 0, binary('00', '0010', '04', '0000', flags + hexOf(NAME + V)), 'wrong: malformed'],
  ['a miss that names no key', 0, binary('0c', '0000', '00', '0001', hexOf('Not found')), 'wrong: malformed'],
  [
    'a body length that lies',
    0,
    binary('0c', '0010', '04', '0000', flags + hexOf(NAME + V), '00000027'),
    'wrong: malformed',
  ],
  ['a SET that returns a body', 1, binary('01', '0000', '00', '0000', '00'), 'wrong: malformed'],
  ['key not found for a SET', 1, binary('01', '0000', '00', '0001', ''), 'errors'],
  [
    'a request',
    0,
    fromHex(`80 0c 0010 00 00 0000 00000010 6b657973 0000000000000000 ${hexOf(NAME)}`),
    'wrong: malformed',
  ],
  ['half a header', 0, fromHex('81 0c 00 10'), 'wrong: malformed'],
  ['text', 0, Uint8Array.from(Buffer.from(hit(NAME, 20, V), 'latin1')), 'wrong: malformed'],
];

describe('replies', () => {
  it.each(TEXT_GET)('%s GET: %s', (name, _, reply, expected) => {
    expect(outcome(dialectNamed(name), reply, 0)).toBe(expected);
  });

  it.each(TEXT_SET)('%s SET: %s', (name, _, reply, expected) => {
    expect(outcome(dialectNamed(name), reply, 1)).toBe(expected);
  });

  it.each(BINARY)('binary: %s', (_, set, reply, expected) => {
    expect(outcome(dialectNamed('binary'), reply, set)).toBe(expected);
  });

  it('without prefill a higher version of our own may be from an earlier run', () => {
    expect(outcome(dialectNamed('classic', false), hit(NAME, 20, valueText(KEY, 7)), 0)).toBe('hits');
    expect(outcome(dialectNamed('classic', false), hit(NAME, 20, valueText(KEY, 0)), 0)).toBe('wrong: version');
  });

  it.each([
    ['classic', 'CLIENT_ERROR bad data chunk\r\n', 'CLIENT_ERROR bad data chunk'],
    ['binary', binary('01', '0000', '00', '0082', hexOf('Out of memory')), 'status 130 Out of memory'],
  ] as const)('%s: the text of an error', (name, reply, text) => {
    const frame = placed(typeof reply === 'string' ? Uint8Array.from(Buffer.from(reply)) : reply);
    expect(dialectNamed(name).errorText(frame.view, frame.offset, frame.length)).toBe(text);
  });

  it('property: arbitrary bytes are judged without a throw, and never taken for a hit', () => {
    const start = fc.constantFrom(
      '',
      'VALUE ',
      `VALUE ${NAME} 0 `,
      'VA ',
      `VA 20 k${NAME}\r\n`,
      'END',
      '\x81\x0c\x00\x10',
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...DIALECT_NAMES),
        start,
        fc.uint8Array({ maxLength: 80 }),
        fc.nat(1),
        (name, head, tail, set) => {
          const reply = `${head}${Buffer.from(tail).toString('latin1')}`;
          expect(outcome(dialectNamed(name), reply, set)).not.toBe('hits');
        },
      ),
    );
  });
});

const REQUESTS: [dialect: DialectName, get: string, set: string][] = [
  ['classic', `get ${NAME}\r\n`, `set ${NAME} 0 0 20\r\n${V}\r\n`],
  ['meta', `mg ${NAME} k v\r\n`, `ms ${NAME} 20\r\n${V}\r\n`],
  [
    'binary',
    Buffer.from(fromHex(`80 0c 0010 00 00 0000 00000010 6b657973 0000000000000000 ${hexOf(NAME)}`)).toString('latin1'),
    Buffer.from(
      fromHex(`80 01 0010 08 00 0000 0000002c 6b657973 0000000000000000 0000000000000000 ${hexOf(NAME + V)}`),
    ).toString('latin1'),
  ],
];

describe('requests', () => {
  it.each(REQUESTS)('%s', (name, get, set) => {
    const dialect = dialectNamed(name);
    const gotten = placed(new Uint8Array(dialect.getBytes));
    dialect.writeGet(gotten.view, gotten.offset);
    names.writeDigits(gotten.view, gotten.offset + dialect.getKeyOffset, KEY);
    gotten.assertCanaries();
    expect(Buffer.from(gotten.frame()).toString('latin1')).toBe(get);

    const stored = placed(new Uint8Array(dialect.setBytes(VALUE_BYTES)));
    dialect.writeSet(stored.view, stored.offset);
    names.writeDigits(stored.view, stored.offset + dialect.setKeyOffset, KEY);
    const valueOffset = dialect.finishSet(stored.view, stored.offset, VALUE_BYTES);
    values.write(stored.view, valueOffset, VALUE_BYTES, KEY, WRITER, 1);
    stored.assertCanaries();
    expect(Buffer.from(stored.frame()).toString('latin1')).toBe(set);
  });

  it.each([
    ['classic', hit(NAME, 20, V).length, hit(NAME, 1000, '').length + 1000],
    ['meta', metaHit(NAME, 20, V).length, metaHit(NAME, 1000, '').length + 1000],
    ['binary', 24 + 4 + 16 + 20, 24 + 4 + 16 + 1000],
  ] as const)('%s: a hit is as long as foretold', (name, of20, of1000) => {
    const dialect = dialectNamed(name);
    expect([dialect.hitBytes(20), dialect.hitBytes(1000)]).toEqual([of20, of1000]);
  });
});
