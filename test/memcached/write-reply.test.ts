/** Answers to writes that the balancer gives itself: rows, and the same requests put to a real memcached. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TTL_UNKNOWN, UNSAYABLE } from '../../src/memcached/hit-reply.ts';
import { writeUint64, writeUint64Bytes } from '../../src/memcached/uint64.ts';
import {
  OUTCOME_DONE,
  OUTCOME_EXISTS,
  OUTCOME_NOT_A_NUMBER,
  OUTCOME_NOT_FOUND,
  OUTCOME_NOT_STORED,
  writeOutcome,
} from '../../src/memcached/write-reply.ts';
import { requireMemcached } from '../support/requirements.ts';
import { LiveMemcached, memcachedVersion } from './live-memcached.ts';
import { textOf } from './placed-message.ts';
import { type Item, writeOver } from './placed-reply.ts';
import { binary, INCR_EXTRAS, SET_EXTRAS, TOUCH_EXTRAS } from './rows.ts';

const OBSERVED = '1.6.18';

/** What is at memcached before the request. */
const NOTHING: string[] = [];
/** foo = 99 with client flags 5 */
const NUMBER = ['set foo 5 0 2\r\n99\r\n'];
const TEXT = ['set foo 5 0 1\r\nx\r\n'];

/** CAS of the rows. The live test puts the real one in its place. */
const CAS = 42n;
const CAS_BYTES = `${'\0'.repeat(7)}\x2a`;
const NO_CAS = '\0'.repeat(8);
const OTHER_CAS = `${'\0'.repeat(7)}\x01`;

const DONE = OUTCOME_DONE;
const NOT_STORED = OUTCOME_NOT_STORED;
const EXISTS = OUTCOME_EXISTS;
const NOT_FOUND = OUTCOME_NOT_FOUND;
const NOT_A_NUMBER = OUTCOME_NOT_A_NUMBER;
const NAN_LINE = 'CLIENT_ERROR cannot increment or decrement non-numeric value\r\n';

/** `number`: what the item is after incr, decr, ma. */
type Row = readonly [before: string[], request: string, outcome: number, reply: string, number?: string];

const CLASSIC: Row[] = [
  [NOTHING, 'set foo 0 0 1\r\nx\r\n', DONE, 'STORED\r\n'],
  [NOTHING, 'set foo 0 0 1 noreply\r\nx\r\n', DONE, ''],
  [NOTHING, 'add foo 0 0 1\r\nx\r\n', DONE, 'STORED\r\n'],
  [NUMBER, 'add foo 0 0 1\r\nx\r\n', NOT_STORED, 'NOT_STORED\r\n'],
  [NUMBER, 'add foo 0 0 1 noreply\r\nx\r\n', NOT_STORED, ''],
  [NOTHING, 'replace foo 0 0 1\r\nx\r\n', NOT_STORED, 'NOT_STORED\r\n'],
  [NOTHING, 'append foo 0 0 1\r\nx\r\n', NOT_STORED, 'NOT_STORED\r\n'],
  [NUMBER, 'prepend foo 0 0 1\r\nx\r\n', DONE, 'STORED\r\n'],
  [NUMBER, 'cas foo 0 0 1 1\r\nx\r\n', EXISTS, 'EXISTS\r\n'],
  [NUMBER, 'cas foo 0 0 1 1 noreply\r\nx\r\n', EXISTS, ''],
  [NOTHING, 'cas foo 0 0 1 1\r\nx\r\n', NOT_FOUND, 'NOT_FOUND\r\n'],
  [NUMBER, 'delete foo\r\n', DONE, 'DELETED\r\n'],
  [NOTHING, 'delete foo\r\n', NOT_FOUND, 'NOT_FOUND\r\n'],
  [NOTHING, 'delete foo noreply\r\n', NOT_FOUND, ''],
  [NUMBER, 'touch foo 0\r\n', DONE, 'TOUCHED\r\n'],
  [NOTHING, 'touch foo 0\r\n', NOT_FOUND, 'NOT_FOUND\r\n'],
  [NUMBER, 'incr foo 1\r\n', DONE, '100\r\n', '100'],
  [NUMBER, 'incr foo 1 noreply\r\n', DONE, '', '100'],
  [NUMBER, 'decr foo 1\r\n', DONE, '98\r\n', '98'],
  [NUMBER, 'decr foo 90\r\n', DONE, '9\r\n', '9'],
  [NUMBER, 'incr foo 18446744073709551515\r\n', DONE, '18446744073709551614\r\n', '18446744073709551614'],
  [NOTHING, 'incr foo 1\r\n', NOT_FOUND, 'NOT_FOUND\r\n'],
  [TEXT, 'decr foo 1\r\n', NOT_A_NUMBER, NAN_LINE],
  [TEXT, 'decr foo 1 noreply\r\n', NOT_A_NUMBER, ''],
];

const META: Row[] = [
  [NOTHING, 'ms foo 1\r\nx\r\n', DONE, 'HD\r\n'],
  [NOTHING, 'ms foo 1 q c\r\nx\r\n', DONE, ''],
  [NOTHING, 'ms foo 1 c k Oabc\r\nx\r\n', DONE, 'HD c42 kfoo Oabc\r\n'],
  [NOTHING, 'ms foo 1 T0 F5 Oabc c k\r\nx\r\n', DONE, 'HD Oabc c42 kfoo\r\n'],
  [NOTHING, 'ms foo 1 s f t v h l\r\nx\r\n', DONE, 'HD\r\n'],
  [NOTHING, 'ms Zm9v 1 b k c O9\r\nx\r\n', DONE, 'HD kZm9v b c42 O9\r\n'],
  [NOTHING, 'ms Zm9v 1 k c b\r\nx\r\n', DONE, 'HD kZm9v b c42\r\n'],
  [NUMBER, 'ms foo 1 ME k c O9\r\nx\r\n', NOT_STORED, 'NS kfoo c0 O9\r\n'],
  [NUMBER, 'ms foo 1 ME q k c O9\r\nx\r\n', NOT_STORED, 'NS kfoo c0 O9\r\n'],
  [NUMBER, 'ms Zm9v 1 b ME k\r\nx\r\n', NOT_STORED, 'NS kZm9v b\r\n'],
  [NUMBER, 'ms foo 1 C1 k c O9\r\nx\r\n', EXISTS, 'EX kfoo c0 O9\r\n'],
  [NUMBER, 'ms foo 1 C1 q\r\nx\r\n', EXISTS, 'EX\r\n'],
  [NOTHING, 'ms foo 1 C1 k c O9\r\nx\r\n', NOT_FOUND, 'NF kfoo c0 O9\r\n'],
  [NOTHING, 'ms foo 1 MA k c\r\nx\r\n', NOT_STORED, 'NS kfoo c0\r\n'],
  [NUMBER, 'ms foo 1 MA k c\r\nx\r\n', DONE, 'HD kfoo c42\r\n'],
  [NUMBER, 'md foo\r\n', DONE, 'HD\r\n'],
  [NUMBER, 'md foo Oab k c v t s f\r\n', DONE, 'HD Oab kfoo\r\n'],
  [NUMBER, 'md foo q k\r\n', DONE, ''],
  [NUMBER, 'md Zm9v b k O1\r\n', DONE, 'HD kZm9v b O1\r\n'],
  [NUMBER, 'md foo C1 q k Oab\r\n', EXISTS, 'EX kfoo Oab\r\n'],
  [NOTHING, 'md foo q k Oab c\r\n', NOT_FOUND, 'NF kfoo Oab\r\n'],
  [NOTHING, 'md Zn== b k\r\n', NOT_FOUND, 'NF kZg== b\r\n'],
  [NUMBER, 'ma foo\r\n', DONE, 'HD\r\n', '100'],
  [NUMBER, 'ma foo v\r\n', DONE, 'VA 3\r\n100\r\n', '100'],
  [NUMBER, 'ma foo MD v k c t Oab s f\r\n', DONE, 'VA 2 kfoo c42 t-1 Oab\r\n98\r\n', '98'],
  [NUMBER, 'ma foo MD D90 v\r\n', DONE, 'VA 1\r\n9\r\n', '9'],
  [NUMBER, 'ma foo c t\r\n', DONE, 'HD c42 t-1\r\n', '100'],
  [NUMBER, 'ma foo q v\r\n', DONE, '', '100'],
  [NUMBER, 'ma Zm9v b v k O1\r\n', DONE, 'VA 3 kZm9v b O1\r\n100\r\n', '100'],
  [NUMBER, 'ma foo C1 q v k c Oab t\r\n', EXISTS, 'EX kfoo Oab\r\n'],
  [NOTHING, 'ma foo q v k Oa c t\r\n', NOT_FOUND, 'NF kfoo Oa\r\n'],
  [TEXT, 'ma foo q v k\r\n', NOT_A_NUMBER, NAN_LINE],
];

const STATUS_TEXTS: Record<number, string> = {
  1: 'Not found',
  2: 'Data exists for key.',
  5: 'Not stored.',
  6: 'Non-numeric server-side value for incr or decr',
};
const char = (code: number) => String.fromCharCode(code);
const failure = (op: number, status: number) =>
  `\x81${char(op)}\0\0\0\0\0${char(status)}\0\0\0${char(STATUS_TEXTS[status]!.length)}OPAQ${NO_CAS}${STATUS_TEXTS[status]}`;
const success = (op: number, body = '', cas = CAS_BYTES, extras = 0) =>
  `\x81${char(op)}\0\0${char(extras)}\0\0\0\0\0\0${char(body.length)}OPAQ${cas}${body}`;
const store = (op: number, cas = NO_CAS) => binary({ op, key: 'foo', extras: SET_EXTRAS, value: 'x', cas });
const join = (op: number) => binary({ op, key: 'foo', value: 'x' });
const count = (op: number, cas = NO_CAS) => binary({ op, key: 'foo', extras: INCR_EXTRAS, cas });
const plain = (op: number, cas = NO_CAS) => binary({ op, key: 'foo', cas });

const BINARY: Row[] = [
  [NOTHING, store(0x01), DONE, success(0x01)],
  [NOTHING, store(0x11), DONE, ''],
  [NUMBER, store(0x01, OTHER_CAS), EXISTS, failure(0x01, 2)],
  [NUMBER, store(0x11, OTHER_CAS), EXISTS, failure(0x11, 2)],
  [NOTHING, store(0x01, OTHER_CAS), NOT_FOUND, failure(0x01, 1)],
  [NOTHING, store(0x02), DONE, success(0x02)],
  [NUMBER, store(0x02), NOT_STORED, failure(0x02, 2)],
  [NUMBER, store(0x12), NOT_STORED, failure(0x12, 2)],
  [NUMBER, store(0x03), DONE, success(0x03)],
  [NOTHING, store(0x03), NOT_STORED, failure(0x03, 1)],
  [NOTHING, store(0x13), NOT_STORED, failure(0x13, 1)],
  [NUMBER, join(0x0e), DONE, success(0x0e)],
  [NUMBER, join(0x19), DONE, ''],
  [NOTHING, join(0x0e), NOT_STORED, failure(0x0e, 5)],
  [NOTHING, join(0x0f), NOT_STORED, failure(0x0f, 5)],
  [NOTHING, join(0x1a), NOT_STORED, failure(0x1a, 5)],
  [NUMBER, plain(0x04), DONE, success(0x04, '', NO_CAS)],
  [NUMBER, plain(0x14), DONE, ''],
  [NUMBER, plain(0x04, OTHER_CAS), EXISTS, failure(0x04, 2)],
  [NOTHING, plain(0x04), NOT_FOUND, failure(0x04, 1)],
  [NOTHING, plain(0x14), NOT_FOUND, failure(0x14, 1)],
  [NUMBER, count(0x05), DONE, success(0x05, '\0\0\0\0\0\0\0\x64'), '100'],
  [NUMBER, count(0x06), DONE, success(0x06, '\0\0\0\0\0\0\0\x62'), '98'],
  [NUMBER, count(0x15), DONE, '', '100'],
  [NUMBER, count(0x05, OTHER_CAS), EXISTS, failure(0x05, 2)],
  [NOTHING, count(0x05), NOT_FOUND, failure(0x05, 1)],
  [TEXT, count(0x15), NOT_A_NUMBER, failure(0x15, 6)],
  [NUMBER, binary({ op: 0x1c, key: 'foo', extras: TOUCH_EXTRAS }), DONE, success(0x1c, '\0\0\0\x05', CAS_BYTES, 4)],
  [NOTHING, binary({ op: 0x1c, key: 'foo', extras: TOUCH_EXTRAS }), NOT_FOUND, failure(0x1c, 1)],
];

const NAMED = [...CLASSIC, ...META, ...BINARY].map(
  row => [`${JSON.stringify(row[1])} after ${JSON.stringify(row[0])}: ${JSON.stringify(row[3])}`, row] as const,
);

/** What a write left behind: only what the answers name. */
function left(number = '', cas = CAS): Item {
  return { key: 'unused', value: number, flags: 5, cas, ttl: -1 };
}

/** The answer, '' for silence, null for none. */
function answerTo(request: string, outcome: number, item = left()): string | null {
  const { result, text } = writeOver(
    (located, bytes, hit, from, to, offset, room) => {
      return writeOutcome(located, bytes, outcome, hit, from, to, offset, room);
    },
    request,
    item,
  );
  return result === UNSAYABLE ? null : text;
}

describe('the answer to a write', () => {
  test.each(NAMED)('%s', (_, [, request, outcome, reply, number]) => {
    expect(answerTo(request, outcome, left(number))).toBe(reply);
  });

  test.each([
    'get foo\r\n',
    'mg foo T5\r\n',
    'gat 5 foo\r\n',
    'me foo\r\n',
    'mn\r\n',
    'ms foo 1 x\r\nx\r\n',
    'md foo S5\r\n',
    plain(0x00),
  ])('%j: none from here', request => {
    for (let outcome = DONE; outcome <= NOT_A_NUMBER - 1; outcome++) expect(answerTo(request, outcome)).toBe(null);
  });

  test('without room nothing is said; a time to live that is not known is not said', () => {
    const write = (room: number) =>
      writeOver(
        (located, bytes, hit, from, to, offset) => writeOutcome(located, bytes, DONE, hit, from, to, offset, room),
        'ms foo 1 k\r\nx\r\n',
        left(),
      );
    expect(write(9)).toEqual({ result: 9, text: 'HD kfoo\r\n' });
    expect(write(8)).toEqual({ result: UNSAYABLE, text: '' });
    expect(answerTo('ma foo t\r\n', DONE, { ...left('1'), ttl: TTL_UNKNOWN })).toBe(null);
    expect(answerTo('ma foo t\r\n', NOT_FOUND, { ...left('1'), ttl: TTL_UNKNOWN })).toBe('NF\r\n');
  });
});

describe('64-bit numbers', () => {
  test('property: digits and bytes are what BigInt says', () => {
    const number = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.nat(63).map(shift => 1n << BigInt(shift)),
      fc.nat(19).map(power => 10n ** BigInt(power) - 1n),
    );
    fc.assert(
      fc.property(number, value => {
        const bytes = new Uint8Array(24).fill(0xc5);
        const high = Number(BigInt.asIntN(32, value >> 32n));
        const low = Number(BigInt.asIntN(32, value));
        const stop = writeUint64(bytes, 2, high, low);
        expect(textOf(bytes)).toBe(`\xc5\xc5${value}`.padEnd(24, '\xc5'));
        const back = new Uint8Array(8);
        writeUint64Bytes(new DataView(bytes.buffer), 2, stop - 2, back, 0);
        expect(new DataView(back.buffer).getBigUint64(0)).toBe(value);
      }),
    );
  });
});

const isObserved = memcachedVersion() === OBSERVED;
describe.skipIf(requireMemcached() ?? !isObserved)(`memcached ${OBSERVED} says the same`, () => {
  let server: LiveMemcached;
  beforeAll(async () => {
    server = await LiveMemcached.start();
    await server.ask('set other 0 0 1\r\nx\r\n'); // takes CAS 1, which stands for another's
  });
  afterAll(() => server?.stop());

  test.each(NAMED)('%s', async (_, [before, request, outcome, , number]) => {
    await server.ask('delete foo\r\n');
    for (const earlier of before) await server.ask(earlier);
    const said = (await server.ask(request)).replies.join('');
    const cas = /c(\d+)/.exec((await server.ask('mg foo c\r\n')).replies.join(''))?.[1];
    expect(said).toBe(answerTo(request, outcome, left(number, BigInt(cas ?? 0))));
  });
});
