import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AddressError } from '../../src/wire/address-error.ts';
import { formatIpv4, parseIpv4 } from '../../src/wire/ipv4-text.ts';
import { formatMac, parseMac } from '../../src/wire/mac-text.ts';

const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff });

describe('IPv4', () => {
  test.each([
    ['10.0.0.1', 0x0a000001],
    ['0.0.0.0', 0],
    ['127.0.0.1', 0x7f000001],
    ['192.168.1.200', 0xc0a801c8 | 0],
    ['255.255.255.255', -1],
  ])('%s', (text, address) => {
    expect(parseIpv4(text)).toBe(address);
    expect(formatIpv4(address)).toBe(text);
  });

  test.each([
    '',
    '10',
    '10.0.0',
    '10.0.0.',
    '10.0.0.1.',
    '10.0.0.1.2',
    '10..0.1',
    '10.0.0.256',
    '10.0.0.1000',
    '10.0.0.-1',
    '10.0.0.01',
    '10.0.0.0x1',
    '10.0.0.1e1',
    '10.0.0.1 ',
    ' 10.0.0.1',
    '10.0.0.1/24',
    '10.0.0.a',
    '٣.0.0.1',
    '::1',
    'localhost',
  ])('refuses %j', text => {
    expect(() => parseIpv4(text)).toThrow(AddressError);
    expect(() => parseIpv4(text)).toThrow(`IPv4 address ${JSON.stringify(text)}: must be four decimal numbers`);
  });

  test('parse(format(a)) = a, signed or unsigned', () => {
    fc.assert(fc.property(int32, a => parseIpv4(formatIpv4(a)) === a && formatIpv4(a >>> 0) === formatIpv4(a)));
  });
});

describe('MAC', () => {
  test.each([
    ['02:00:00:00:00:01', 0x0200, 1],
    ['00:00:00:00:00:00', 0, 0],
    ['ff:ff:ff:ff:ff:ff', 0xffff, -1],
    ['0a:0b:80:00:00:00', 0x0a0b, -0x80000000],
  ])('%s', (text, high, low) => {
    expect(parseMac(text)).toEqual({ high, low });
    expect(formatMac(high, low)).toBe(text);
  });

  test.each(['0A-0B-0C-0D-0E-0F', '0A:0B:0C:0D:0E:0F', '0a-0b-0c-0d-0e-0f'])('also takes %s', text => {
    expect(parseMac(text)).toEqual({ high: 0x0a0b, low: 0x0c0d0e0f });
  });

  test.each([
    '',
    '02:00:00:00:00',
    '02:00:00:00:00:01:02',
    '02:00:00:00:00:1',
    '02:00:00:00:00:0g',
    '02:00:00-00:00:01',
    '020000000001',
    '0200.0000.0001',
    '02:00:00:00:00:01\n',
    ' 02:00:00:00:00:01',
  ])('refuses %j', text => {
    expect(() => parseMac(text)).toThrow(AddressError);
    expect(() => parseMac(text)).toThrow(`MAC address ${JSON.stringify(text)}: must be six pairs of hex digits`);
  });

  test('parse(format(m)) = m', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff }), int32, (high, low) => {
        expect(parseMac(formatMac(high, low))).toEqual({ high, low });
      }),
    );
  });
});

test('the error names value and rule', () => {
  const error = new AddressError('MAC address', 'x', 'must be y');
  expect({ ...error }).toMatchObject({ name: 'AddressError', kind: 'MAC address', value: 'x', rule: 'must be y' });
});
