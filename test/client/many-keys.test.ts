/**
 * A get of several keys, as Keysteer frames the reply and as memcached does. The memcached sequences are what 1.6.18
 * sent, datagram for datagram; memcached.test.ts asks it again.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReplyError, ServerError } from '../../src/client/errors.ts';
import { ManyKeysReading } from '../../src/client/readings.ts';
import { Assembly } from '../../src/client/reassembly.ts';
import { cut, datagram } from './fake-server.ts';

const value = (key: string, bytes = 3) => `VALUE ${key} 0 ${bytes}\r\n${key[0]!.repeat(bytes)}\r\n`;
/** memcached: each hit a message, END on the last hit. */
const messages = (...payloads: string[]) => payloads.flatMap(payload => cut(7, payload, 24));
const filler = datagram(7, 0, 0);
/** A hit of this size takes 3 datagrams of 24 bytes, with END or without. */
const WIDE = 40;

interface Seen {
  /** Found; undefined as long as the reading waits for more. */
  found: string[] | undefined;
  doubtful: readonly string[] | undefined;
  /** The answer came of itself (not because nothing more came). */
  atOnce: boolean;
}

function read(keys: string[], datagrams: readonly Uint8Array[]): Seen {
  const assembly = new Assembly();
  const reading = new ManyKeysReading(new Set(keys), 'get');
  for (const [nth, each] of datagrams.entries()) {
    assembly.add(each);
    const answer = reading.read(assembly);
    if (answer === undefined) continue;
    expect(nth).toBe(datagrams.length - 1);
    return { found: [...answer.value.items.keys()], doubtful: answer.value.doubtful, atOnce: true };
  }
  const settled = reading.settle(assembly)?.value;
  return { found: settled && [...settled.items.keys()], doubtful: settled?.doubtful, atOnce: false };
}

describe('one correctly framed message', () => {
  test.each([
    ['all found', ['a', 'b'], value('a') + value('b'), ['a', 'b'], true],
    ['two of three found', ['a', 'm', 'b'], value('a') + value('b'), ['a', 'b'], true],
    ['one of two found', ['a', 'm'], value('a'), ['a'], false],
    ['none found', ['m', 'n'], '', [], false],
    ['wide values', ['a', 'b', 'm'], value('a', 300) + value('b', 300), ['a', 'b'], true],
  ])('%s', (_what, keys, hits, found, atOnce) => {
    expect(read(keys, messages(`${hits}END\r\n`))).toEqual({ found, doubtful: [], atOnce });
  });

  test('in any order', () => {
    const all = messages(`${value('a', 90)}${value('b', 50)}END\r\n`);
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), datagrams => {
        expect(read(['a', 'm', 'b'], datagrams)).toEqual({ found: ['a', 'b'], doubtful: [], atOnce: true });
      }),
    );
  });

  test('a part missing: it waits', () => {
    const all = messages(`${value('a', 90)}${value('b', 50)}END\r\n`);
    for (const lost of all.keys()) {
      expect(read(['a', 'b'], all.toSpliced(lost, 1)).found).toBeUndefined();
    }
  });
});

describe("memcached's own framing", () => {
  test.each([
    ['get a b', ['a', 'b'], messages(value('a'), `${value('b')}END\r\n`), ['a', 'b'], true],
    ['get m1 a', ['m1', 'a'], [filler, ...messages(`${value('a')}END\r\n`)], ['a'], false],
    ['get a m1', ['a', 'm1'], messages(value('a'), 'END\r\n'), ['a'], false],
    ['get m1 m2', ['m1', 'm2'], [filler, ...messages('END\r\n')], [], false],
    [
      'get m1 m2 a m3 b m4',
      ['m1', 'm2', 'a', 'm3', 'b', 'm4'],
      [filler, ...messages(value('a'), value('b'), 'END\r\n')],
      ['a', 'b'],
      false,
    ],
    [
      'hits of several datagrams',
      ['a', 'b', 'c'],
      messages(value('a', WIDE), value('b', WIDE), `${value('c', WIDE)}END\r\n`),
      ['a', 'b', 'c'],
      true,
    ],
  ])('%s', (_what, keys, datagrams, found, atOnce) => {
    expect(read(keys, datagrams)).toEqual({ found, doubtful: [], atOnce });
  });

  test('END overtakes a hit: it waits, and the hit is found', () => {
    const [hit, end] = messages(value('a'), 'END\r\n');
    expect(read(['a', 'm'], [end!])).toEqual({ found: [], doubtful: [], atOnce: false });
    expect(read(['a', 'm'], [end!, hit!])).toEqual({ found: ['a'], doubtful: [], atOnce: false });
  });

  test('END is lost: all keys are enough, else it waits', () => {
    expect(read(['a', 'b'], messages(value('a'), value('b')))).toMatchObject({ found: ['a', 'b'], atOnce: true });
    expect(read(['a', 'b', 'm'], messages(value('a'), value('b'))).found).toBeUndefined();
  });

  test('a wide hit beside a miss is doubtful: a head may have been lost', () => {
    expect(read(['a', 'm'], messages(value('a', WIDE), 'END\r\n'))).toMatchObject({ found: ['a'], doubtful: ['a'] });
  });

  test('a narrow hit is never doubtful', () => {
    const datagrams = messages(value('c'), value('a', WIDE), `${value('d')}END\r\n`);
    expect(read(['c', 'a', 'm', 'd'], datagrams)).toMatchObject({ found: ['c', 'a', 'd'], doubtful: ['a'] });
  });

  test('wide hits that overtook one another are doubtful', () => {
    const [a0, a1, a2, b0, b1, b2] = messages(value('a', WIDE), `${value('b', WIDE)}END\r\n`);
    const seen = read(['a', 'b'], [a0!, b0!, a1!, a2!, b1!, b2!]);
    expect(seen.doubtful ?? ['a', 'b']).toEqual(['a', 'b']);
  });

  /** Values differ in every part, lengths do not: a splice is not visible in the bytes. */
  test('whatever is lost and overtaken: a value not doubted is the value', () => {
    const keys = ['a', 'b', 'c', 'm'];
    const payloads = [value('a', WIDE), value('b', WIDE), `${value('c', WIDE)}END\r\n`];
    const all = messages(...payloads);
    const nearby = fc
      .array(fc.record({ keep: fc.boolean(), late: fc.nat(2), twice: fc.boolean() }), { minLength: 9, maxLength: 9 })
      .map(fates =>
        all
          .flatMap((each, at) =>
            Array(fates[at]!.keep ? 1 + Number(fates[at]!.twice && at % 4 === 0) : 0).fill({ each, at }),
          )
          .map(({ each, at }) => ({ each, place: at + 1.5 * fates[at]!.late }))
          .sort((x, y) => x.place - y.place)
          .map(({ each }) => each as Uint8Array),
      );
    fc.assert(
      fc.property(nearby, fc.boolean(), (datagrams, withMiss) => {
        const assembly = new Assembly();
        const reading = new ManyKeysReading(new Set(withMiss ? keys : keys.slice(0, 3)), 'get');
        let answer: ReturnType<ManyKeysReading['read']>;
        try {
          for (const each of datagrams) {
            assembly.add(each);
            answer ??= reading.read(assembly);
          }
          answer ??= reading.settle(assembly);
        } catch (error) {
          expect(error).toBeInstanceOf(ReplyError); // a splice whose lengths do not fit
          return;
        }
        for (const [key, item] of answer?.value.items ?? []) {
          if (answer!.value.doubtful.includes(key)) continue;
          expect(String(item.value)).toBe(key.repeat(WIDE));
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe('what is no answer', () => {
  test('a key nobody asked for', () => {
    expect(() => read(['a', 'b'], messages(value('c')))).toThrow(ReplyError);
  });

  test('an error line, also behind a hit', () => {
    expect(() => read(['a', 'b'], messages('SERVER_ERROR multi-get\r\n'))).toThrow(ServerError);
    expect(() => read(['a', 'b'], messages(value('a'), 'SERVER_ERROR out of memory\r\n'))).toThrow(ServerError);
  });
});
