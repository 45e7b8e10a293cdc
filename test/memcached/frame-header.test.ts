import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as frameHeader from '../../src/memcached/frame-header.ts';

test('every field is found where protocol.txt puts it, big endian', () => {
  const bytes = Uint8Array.of(0xee, 0x12, 0x34, 0x00, 0x05, 0x01, 0x02, 0xab, 0xcd, 0xee);
  expect(frameHeader.requestId(bytes, 1)).toBe(0x1234);
  expect(frameHeader.sequence(bytes, 1)).toBe(5);
  expect(frameHeader.total(bytes, 1)).toBe(0x0102);
  expect(frameHeader.reserved(bytes, 1)).toBe(0xabcd);
});

test('a setter changes its own two bytes', () => {
  const setters = [
    [frameHeader.setRequestId, 1],
    [frameHeader.setSequence, 3],
    [frameHeader.setTotal, 5],
  ] as const;
  for (const [set, at] of setters) {
    const bytes = new Uint8Array(10).fill(0xee);
    set(bytes, 1, 0x1234);
    const expected = new Uint8Array(10).fill(0xee);
    expected.set([0x12, 0x34], at);
    expect(bytes).toEqual(expected);
  }
});

test('what is written is read, into a dirty buffer and no further', () => {
  const word = fc.nat(0xffff);
  fc.assert(
    fc.property(word, word, word, fc.nat(255), (id, sequence, total, dirt) => {
      const bytes = new Uint8Array(12).fill(dirt);
      expect(frameHeader.writeFrameHeader(bytes, 2, id, sequence, total)).toBe(frameHeader.FRAME_HEADER_BYTES);
      expect(frameHeader.requestId(bytes, 2)).toBe(id);
      expect(frameHeader.sequence(bytes, 2)).toBe(sequence);
      expect(frameHeader.total(bytes, 2)).toBe(total);
      expect(frameHeader.reserved(bytes, 2)).toBe(0);
      expect([bytes[0], bytes[1], bytes[10], bytes[11]]).toEqual([dirt, dirt, dirt, dirt]);
    }),
  );
});

test.each([
  ['a request', [0, 7, 0, 0, 0, 1, 0, 0], true],
  ['sequence and reserved, which memcached does not look at', [0, 7, 0, 9, 0, 1, 1, 1], true],
  ['a total of 0', [0, 7, 0, 0, 0, 0, 0, 0], false],
  ['a total of 2', [0, 7, 0, 0, 0, 2, 0, 0], false],
  ['a total of 256 + 1', [0, 7, 0, 0, 1, 1, 0, 0], false],
])('single datagram: %s', (_name, bytes, isSingle) => {
  expect(frameHeader.isSingleDatagram(new DataView(Uint8Array.from(bytes).buffer), 0)).toBe(isSingle);
});
