import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyFault, readKey, showKey } from '../../../src/control/hot/key-text.ts';

describe('keys for people', () => {
  it.each([
    [[0x6b, 0x31], 'k1'],
    [[0xc3, 0xa4], 'ä'],
    [[0xff, 0x6b], String.raw`\xffk`],
    [[0x01, 0x5c], String.raw`\x01\\`],
    [[0xe2, 0x80, 0xae], String.raw`\xe2\x80\xae`], // right-to-left override
  ])('%j is %s', (bytes, text) => {
    expect(showKey(Uint8Array.from(bytes))).toBe(text);
    expect([...readKey(text)]).toEqual(bytes);
  });

  it('what is shown is read as the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 250 }), bytes => {
        expect([...readKey(showKey(bytes))]).toEqual([...bytes]);
        expect(showKey(bytes)).toMatch(/^[^\p{C}\p{Z}]+$/u);
      }),
    );
  });

  it.each([
    ['', 'must have 1 to 250 bytes'],
    ['x'.repeat(251), 'must have 1 to 250 bytes'],
    ['a b', 'must have no spaces and control characters'],
    ['a', undefined],
  ])('%j: %s', (text, fault) => {
    expect(keyFault(Buffer.from(text))).toBe(fault);
  });
});
