import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ADDED, Assembly, DUPLICATE, EMPTY, MALFORMED } from '../../src/client/reassembly.ts';
import { cut, datagram } from './fake-server.ts';

const bytes = (length: number, seed = 0) => Buffer.from(Array.from({ length }, (_, at) => (at * 31 + seed) & 0xff));

describe('one message', () => {
  test.each([
    ['one datagram', cut(1, 'END\r\n'), [ADDED]],
    ['in order', cut(1, 'abcdef', 2), [ADDED, ADDED, ADDED]],
    ['an empty body', [datagram(1, 0, 1)], [ADDED]],
    ['a duplicate', [...cut(1, 'abcd', 2), datagram(1, 0, 2, 'ab')], [ADDED, ADDED, DUPLICATE]],
    ['a duplicate before the rest', [datagram(1, 0, 2, 'ab'), ...cut(1, 'abcd', 2)], [ADDED, DUPLICATE, ADDED]],
  ])('%s', (_what, datagrams, outcomes) => {
    const assembly = new Assembly();
    expect(datagrams.map(each => assembly.add(each))).toEqual(outcomes);
    expect(assembly.messages).toHaveLength(1);
    expect(assembly.isWhole).toBe(true);
    expect(assembly.datagrams).toBe(outcomes.filter(outcome => outcome === ADDED).length);
  });

  test.each([
    ['no header', Buffer.alloc(7), MALFORMED],
    ['nothing', Buffer.alloc(0), MALFORMED],
    ['its sequence is its total', datagram(1, 1, 1), MALFORMED],
    ['its sequence is beyond', datagram(1, 65535, 3), MALFORMED],
    ["total 0, memcached's nothing", datagram(1, 0, 0), EMPTY],
    ['total 0 with a body', datagram(1, 0, 0, 'END\r\n'), EMPTY],
  ])('%s: no part of anything', (_what, each, outcome) => {
    const assembly = new Assembly();
    expect(assembly.add(each)).toBe(outcome);
    expect(assembly.messages).toEqual([]);
  });

  test('in any order, with any duplicates: the payload as it was', () => {
    const payload = fc.uint8Array({ minLength: 1, maxLength: 400 });
    const shuffledTwice = payload.chain(body => {
      const datagrams = cut(7, body, 16);
      const all = fc.shuffledSubarray([...datagrams, ...datagrams], { minLength: datagrams.length * 2 });
      return fc.tuple(fc.constant(body), all);
    });
    fc.assert(
      fc.property(shuffledTwice, ([body, datagrams]) => {
        const assembly = new Assembly();
        const outcomes = datagrams.map(each => assembly.add(each));
        expect(assembly.messages).toHaveLength(1);
        expect(assembly.messages[0]!.isWhole).toBe(true);
        expect(assembly.messages[0]!.payload()).toEqual(Buffer.from(body));
        expect(outcomes.filter(outcome => outcome === DUPLICATE)).toHaveLength(datagrams.length / 2);
      }),
    );
  });

  test('with one part missing it is never whole', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 40 }), fc.nat(), fc.boolean(), (total, nth, reversed) => {
        const datagrams = cut(7, bytes(total * 10), 10).filter((_, sequence) => sequence !== nth % total);
        const assembly = new Assembly();
        for (const each of reversed ? datagrams.reverse() : datagrams) assembly.add(each);
        expect(assembly.messages.map(message => message.isWhole)).toEqual([false]);
        expect(assembly.isWhole).toBe(false);
      }),
    );
  });
});

describe('several messages under one id, as memcached answers a multi-get', () => {
  test('in order: apart, whatever their totals', () => {
    const payloads = [bytes(30, 1), bytes(25, 2), bytes(5, 3), bytes(9, 4), bytes(28, 5)];
    const assembly = new Assembly();
    for (const payload of payloads) for (const each of cut(7, payload, 10)) expect(assembly.add(each)).toBe(ADDED);
    expect(assembly.messages.map(message => message.payload())).toEqual(payloads);
    expect([3, 1, 2].map(total => assembly.isInOrder(total))).toEqual([true, true, true]);
  });

  test.each([
    ['a part lost', [0, 2, 3, 4, 5], false],
    ['a part overtaken by its successor', [0, 2, 1, 3, 4, 5], false],
    ['a part overtaken by the next message', [0, 1, 3, 2, 4, 5], false],
    ['nothing wrong', [0, 1, 2, 3, 4, 5], true],
    ['the tail of one and the head of the next lost', [0, 4, 5], true],
  ])('%s: in order %j → %s', (_what, arrivals, isInOrder) => {
    const both = [...cut(7, bytes(30, 1), 10), ...cut(7, bytes(30, 2), 10)];
    const assembly = new Assembly();
    for (const nth of arrivals) assembly.add(both[nth]!);
    expect(assembly.isInOrder(3)).toBe(isInOrder);
  });
});

test('arbitrary datagrams: no throw, nothing kept but what fits, their bytes untouched', () => {
  const header = fc.tuple(fc.nat(0xffff), fc.nat(5), fc.nat(5));
  const framed = fc.tuple(header, fc.uint8Array({ maxLength: 12 })).map(([[id, sequence, total], body]) => {
    return new Uint8Array(datagram(id, sequence, total, body));
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(framed, fc.uint8Array({ maxLength: 20 })), { maxLength: 40 }), datagrams => {
      const before = datagrams.map(each => [...each]);
      const assembly = new Assembly();
      const added = datagrams.filter(each => assembly.add(each) === ADDED);
      expect(assembly.datagrams).toBe(added.length);
      const whole = assembly.messages.filter(({ isWhole }) => isWhole).map(message => message.payload().length);
      const offered = added.reduce((sum, each) => sum + each.length - 8, 0);
      expect(whole.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(offered);
      expect(datagrams.map(each => [...each])).toEqual(before);
    }),
  );
});
