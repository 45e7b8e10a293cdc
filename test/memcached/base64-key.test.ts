import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64Key, decodedKeyLength } from '../../src/memcached/base64-key.ts';
import { bytesOf } from './placed-message.ts';

function decode(text: string): string | undefined {
  const bytes = bytesOf(`xx${text}==`);
  const target = new Uint8Array(400).fill(0xc5);
  const length = decodeBase64Key(bytes, 2, text.length, target, 3);
  expect(length).toBe(decodedKeyLength(bytes, 2, text.length));
  expect([...target.slice(0, 3)]).toEqual([0xc5, 0xc5, 0xc5]);
  return length < 0 ? undefined : Buffer.from(target.slice(3, 3 + length)).toString('latin1');
}

test.each([
  ['Zm9v', 'foo'],
  ['Zm9vYmE=', 'fooba'],
  ['Zm9vYg==', 'foob'],
  ['AAAA', '\0\0\0'],
  ['//79+/8=', '\xff\xfe\xfd\xfb\xff'],
])('%j is %j', (text, key) => {
  expect(decode(text)).toBe(key);
});

test.each([
  '',
  'Z',
  'Zm',
  'Zm9',
  'Zm9vY',
  'Zm9-',
  'Zm9_',
  'Zm 9',
  'Z===',
  '====',
  '=m9v',
  'Zm=v',
  'Zm9v====',
  'Zm\xe99',
])('%j is not base64', text => {
  expect(decode(text)).toBeUndefined();
});

test('what Node encodes is decoded, up to the longest key', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 187 }), key => {
      const text = Buffer.from(key).toString('base64');
      expect(text.length).toBeLessThanOrEqual(252);
      expect(decode(text)).toBe(Buffer.from(key).toString('latin1'));
    }),
  );
});
