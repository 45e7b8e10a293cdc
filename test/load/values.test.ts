import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyNames } from '../../src/load/keys.ts';
import {
  VALUE_BYTES_WRONG,
  VALUE_LENGTH_WRONG,
  VALUE_OF_OTHER_KEY,
  VALUE_RIGHT,
  ValueRule,
  versionOf,
  writerOf,
} from '../../src/load/values.ts';
import { placed } from '../support/frames.ts';

const key = fc.integer({ min: 0, max: 99_999_999 });
const writer = fc.integer({ min: 0, max: 0xffff });
const version = fc.integer({ min: 1, max: 0x7fffffff });
const range = fc.tuple(fc.integer({ min: 12, max: 300 }), fc.nat(300)).map(([min, more]) => [min, min + more] as const);

/** A value as it would lie in a frame, at any alignment. */
function written(rule: ValueRule, key: number, writer: number, version: number, shift = 0) {
  const value = placed(new Uint8Array(rule.lengthOf(key, writer, version)), 64 + shift);
  rule.write(value.view, value.offset, value.length, key, writer, version);
  return value;
}

describe('values', () => {
  it('property: what was written is right, says who wrote it, and nothing beside it is touched', () => {
    fc.assert(
      fc.property(range, key, writer, version, fc.nat(3), ([min, max], key, writer, version, shift) => {
        const rule = new ValueRule(min, max);
        const value = written(rule, key, writer, version, shift);
        value.assertCanaries();
        expect(value.length).toBeGreaterThanOrEqual(min);
        expect(value.length).toBeLessThanOrEqual(max);
        expect(rule.check(value.view, value.offset, value.length, key)).toBe(VALUE_RIGHT);
        expect([writerOf(value.view, value.offset), versionOf(value.view, value.offset)]).toEqual([writer, version]);
      }),
    );
  });

  it('property: one flipped bit is found', () => {
    fc.assert(
      fc.property(range, key, writer, version, fc.nat(), ([min, max], key, writer, version, bit) => {
        const rule = new ValueRule(min, max);
        const value = written(rule, key, writer, version);
        const at = value.offset + ((bit >>> 3) % value.length);
        value.bytes[at] = (value.bytes[at] as number) ^ (1 << (bit & 7));
        expect(rule.check(value.view, value.offset, value.length, key)).not.toBe(VALUE_RIGHT);
      }),
    );
  });

  it.each([64, 65, 66, 67])('%i bytes: every single byte counts', length => {
    const rule = new ValueRule(length, length);
    const value = written(rule, 7, 1, 1);
    for (let at = value.offset; at < value.offset + length; at++) {
      value.bytes[at] = (value.bytes[at] as number) ^ 0x80;
      expect(rule.check(value.view, value.offset, length, 7)).not.toBe(VALUE_RIGHT);
      value.bytes[at] = (value.bytes[at] as number) ^ 0x80;
    }
    expect(rule.check(value.view, value.offset, length, 7)).toBe(VALUE_RIGHT);
  });

  it('property: the value of another key is found, and so is the head of one version on the body of another', () => {
    fc.assert(
      fc.property(key, writer, version, version, (key, writer, version, other) => {
        fc.pre(version !== other);
        const rule = new ValueRule(64, 64);
        const value = written(rule, key, writer, version);
        expect(rule.check(value.view, value.offset, 64, key ^ 1)).toBe(VALUE_OF_OTHER_KEY);
        const spliced = written(rule, key, writer, other);
        spliced.bytes.set(value.frame().subarray(0, 12), spliced.offset);
        expect(rule.check(spliced.view, spliced.offset, 64, key)).toBe(VALUE_BYTES_WRONG);
      }),
    );
  });

  it.each([
    ['cut by a byte', 63, VALUE_LENGTH_WRONG],
    ['whole', 64, VALUE_RIGHT],
    ['with a byte more', 65, VALUE_LENGTH_WRONG],
  ])('%s', (_, length, verdict) => {
    const value = written(new ValueRule(64, 64), 7, 1, 1);
    expect(new ValueRule(64, 64).check(value.view, value.offset, length, 7)).toBe(verdict);
  });

  it('lengths spread evenly over the range', () => {
    const rule = new ValueRule(100, 103);
    const counts = new Map<number, number>();
    for (let key = 0; key < 4000; key++) {
      const length = rule.lengthOf(key, 0, 1);
      counts.set(length, (counts.get(length) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual([100, 101, 102, 103]);
    // 1,000 each, standard deviation 27.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(140);
  });
});

describe('keys', () => {
  it.each([
    [8, 42, '00000042'],
    [11, 42, 'key00000042'],
    [16, 0, 'keysteer00000000'],
    [16, 99_999_999, 'keysteer99999999'],
    [20, 42, 'keysteer::::00000042'],
  ])('%i bytes, key %i: %s', (bytes, key, text) => {
    const names = new KeyNames(bytes);
    const name = placed(new Uint8Array(bytes));
    names.write(name.view, name.offset, key);
    name.assertCanaries();
    expect(Buffer.from(name.frame()).toString()).toBe(text);
    expect(names.text(key)).toBe(text);
    expect(names.keyAt(name.view, name.offset)).toBe(key);
    expect(names.matches(name.view, name.offset, key)).toBe(true);
  });

  it('property: a name with one byte changed is not that key, and never none of ours under its number', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: 40 }),
        key,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (bytes, key, at, by) => {
          const names = new KeyNames(bytes);
          const name = placed(Uint8Array.from(Buffer.from(names.text(key))));
          const touched = name.offset + (at % bytes);
          name.bytes[touched] = (name.bytes[touched] as number) ^ by;
          expect(names.matches(name.view, name.offset, key)).toBe(false);
          const found = names.keyAt(name.view, name.offset);
          expect(found === -1 || names.text(found) === Buffer.from(name.frame()).toString('latin1')).toBe(true);
        },
      ),
    );
  });
});
