import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  applyDelta,
  applyDeltaPartial,
  delta16,
  delta32,
  finish,
  fold,
  sum16,
  update16,
  update32,
} from '../../src/wire/checksum.ts';
import { fromHex } from '../support/frames.ts';
import { slowChecksum } from './slow-checksum.ts';

const word = fc.integer({ min: 0, max: 0xffff });
const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff });

test.each([
  [0, 0],
  [0xffff, 0xffff],
  [0x10000, 1],
  [0x1ffff, 1],
  [0x1fffe, 0xffff],
  [0x7fffffff, 0x7fff],
  [0xffffffff, 0xffff],
])('fold(%i) = %i', (sum, folded) => {
  expect(fold(sum)).toBe(folded);
});

describe('sum16', () => {
  test('RFC 1071 section 3', () => {
    const view = new DataView(fromHex('00 01 f2 03 f4 f5 f6 f7').buffer as ArrayBuffer);
    expect(sum16(view, 0, 8)).toBe(0xddf2);
    expect(finish(sum16(view, 0, 8))).toBe(0x220d);
  });

  const everyLength = Array.from({ length: 131 }, (_, length) => length);
  test.each(everyLength)('%i bytes of ones at an odd offset', length => {
    const bytes = new Uint8Array(length + 8).fill(0xff);
    expect(finish(sum16(new DataView(bytes.buffer), 3, length))).toBe(slowChecksum(bytes.slice(3, 3 + length)));
  });

  test.each([65504, 65532, 65533, 65534, 65535])('%i bytes of ones: no carry is lost', length => {
    const bytes = new Uint8Array(length + 1).fill(0xff);
    expect(finish(sum16(new DataView(bytes.buffer), 1, length))).toBe(slowChecksum(bytes.slice(1)));
  });

  test('any bytes anywhere, as the slow routine', () => {
    const anyBytes = fc.uint8Array({ maxLength: 2000, size: 'max' });
    fc.assert(
      fc.property(anyBytes, fc.nat(40), fc.nat(40), (bytes, head, tail) => {
        const offset = Math.min(head, bytes.length);
        const length = Math.max(0, bytes.length - offset - tail);
        const sum = sum16(new DataView(bytes.buffer, bytes.byteOffset), offset, length);
        expect(finish(sum)).toBe(slowChecksum(bytes.slice(offset, offset + length)));
      }),
    );
  });

  test('pieces: all but the last of even length', () => {
    const anyBytes = fc.uint8Array({ minLength: 2, maxLength: 300 });
    fc.assert(
      fc.property(anyBytes, fc.nat(), (bytes, cut) => {
        const first = (cut % bytes.length) & ~1;
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const sum = sum16(view, first, bytes.length - first, sum16(view, 0, first));
        expect(finish(sum)).toBe(slowChecksum(bytes));
      }),
    );
  });

  test('a large initial sum is kept', () => {
    const view = new DataView(new Uint8Array(4).fill(0xff).buffer);
    expect(sum16(view, 0, 4, 0x7fffffff)).toBe(fold(0x7fffffff));
  });
});

describe('RFC 1624', () => {
  test('section 4: 0xdd2f with 0x5555 → 0x3285 gives 0x0000, where equation 2 gave 0xffff', () => {
    expect(update16(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });

  test.each([
    ['no change', 0xb861, 0x4500, 0x4500, 0xb861],
    ['one up', 0xb861, 0x4500, 0x4501, 0xb860],
    ['one down', 0xb861, 0x4501, 0x4500, 0xb862],
    ['down across zero: skips 0xffff', 0xfffe, 0x0001, 0x0000, 0x0000],
    ['between the zeros: no change', 0x1234, 0x0000, 0xffff, 0x1234],
    ['and back', 0x1234, 0xffff, 0x0000, 0x1234],
  ])('update16, %s', (_name, before, oldWord, newWord, after) => {
    expect(update16(before, oldWord, newWord)).toBe(after);
  });

  /** Data whose first byte is never zero, as in every header we touch: see "the two zeros" in checksum.ts. */
  const data = fc
    .uint8Array({ minLength: 20, maxLength: 60 })
    .map(bytes => bytes.map((byte, at) => (at === 0 ? byte | 1 : byte)));

  test('one word: incremental = full', () => {
    fc.assert(
      fc.property(data, fc.nat(), word, (bytes, position, newWord) => {
        const at = 2 + ((position % (bytes.length - 3)) & ~1);
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const before = slowChecksum(bytes);
        const updated = update16(before, view.getUint16(at), newWord);
        view.setUint16(at, newWord);
        expect(updated).toBe(slowChecksum(bytes));
      }),
    );
  });

  test('32 bits: incremental = full, signed or unsigned', () => {
    fc.assert(
      fc.property(data, int32, (bytes, value) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const before = slowChecksum(bytes);
        const signed = update32(before, view.getInt32(12), value);
        const unsigned = update32(before, view.getUint32(12), value >>> 0);
        view.setInt32(12, value);
        expect([signed, unsigned]).toEqual([slowChecksum(bytes), slowChecksum(bytes)]);
      }),
    );
  });

  test('many changes as one delta: incremental = full', () => {
    const changes = fc.array(fc.tuple(fc.nat(7), int32), { maxLength: 40 });
    fc.assert(
      fc.property(data, changes, (bytes, list) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const before = slowChecksum(bytes);
        let delta = 0;
        for (const [position, value] of list) {
          const at = 2 + position * 2;
          if (value % 2 === 0) {
            delta = delta32(delta, view.getInt32(at), value);
            view.setInt32(at, value);
          } else {
            delta = delta16(delta, view.getUint16(at), value & 0xffff);
            view.setUint16(at, value);
          }
        }
        expect(applyDelta(before, delta)).toBe(slowChecksum(bytes));
      }),
    );
  });

  test('a partial sum follows the same delta, uncomplemented', () => {
    fc.assert(
      fc.property(data, int32, (bytes, value) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const before = ~slowChecksum(bytes) & 0xffff;
        const after = applyDeltaPartial(before, delta32(0, view.getInt32(12), value));
        view.setInt32(12, value);
        expect(after).toBe(~slowChecksum(bytes) & 0xffff);
      }),
    );
  });

  test('8,000 changes of the largest delta do not overflow', () => {
    let delta = 0;
    for (let change = 0; change < 8000; change++) delta = delta32(delta, 0, -1);
    expect(applyDelta(0x1234, delta)).toBe(0x1234);
  });
});
