/** The header of later fragments: which options go with it (RFC 791 3.1). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { copyLaterHeader } from '../../src/wire/ipv4-options.ts';
import { fromHex, hex, ipv4Frame } from '../support/frames.ts';

const IP = 14;
const FRAME = { src: '10.0.0.1', dst: '10.0.0.2', protocol: 17, payload: 'x'.repeat(16) };

/** The options that a later fragment has, of these. */
function laterOptions(options: ArrayLike<number>): Uint8Array {
  const frame = ipv4Frame({ ...FRAME, options });
  const bytes = new Uint8Array(200).fill(0xc5);
  bytes.set(frame);
  const view = new DataView(bytes.buffer);
  const headerBytes = copyLaterHeader(view, IP, 120);
  expect(ipv4.headerBytes(view, 120)).toBe(headerBytes);
  expect(bytes.slice(121, 140)).toEqual(bytes.slice(IP + 1, IP + 20));
  expect(bytes.slice(0, frame.length)).toEqual(frame);
  expect([...bytes.slice(frame.length, 120), ...bytes.slice(120 + headerBytes)].every(byte => byte === 0xc5)).toBe(
    true,
  );
  return bytes.slice(140, 120 + headerBytes);
}

describe('options of later fragments', () => {
  test.each([
    ['none', '', ''],
    ['router alert: copied', '94 04 00 00', '94 04 00 00'],
    ['record route: not copied', '07 07 04 00 00 00 00 00', ''],
    ['a copied one behind others', '01 01 07 07 04 00 00 00 00 94 04 12 34 00 00 00', '94 04 12 34'],
    ['two, padded to whole words', '83 07 04 0a 00 00 01 88 04 00 07 00', '83 07 04 0a 00 00 01 88 04 00 07 00'],
    ['nothing behind the end of the list', '00 94 04 00', ''],
    ['nothing from a length of 1 on', '94 04 00 00 83 01 94 04', '94 04 00 00'],
    ['nothing from one longer than the list on', '94 04 00 00 94 05 00 00', '94 04 00 00'],
    ['nothing from a type without a length on', '01 01 01 94', ''],
  ])('%s', (_, options, expected) => {
    expect(hex(laterOptions(fromHex(options)))).toBe(expected);
  });

  test('property: any bytes as options give a header of whole words, no longer than it was, and canaries live', () => {
    const words = fc.nat(10).chain(count => fc.uint8Array({ minLength: count * 4, maxLength: count * 4 }));
    fc.assert(
      fc.property(words, options => {
        const later = laterOptions(options);
        expect(later.length % 4).toBe(0);
        expect(later.length).toBeLessThanOrEqual(options.length);
      }),
    );
  });
});
