import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readArrived, writeRequest } from '../../src/client/source-datagram.ts';
import { coveringPrefix } from '../../src/client/sources.ts';
import { parseIpv4 } from '../../src/wire/ipv4-text.ts';
import { slowChecksum, slowUdpChecksum } from '../wire/slow-checksum.ts';

const flow = {
  source: parseIpv4('10.99.0.1'),
  sourcePort: 40_000,
  destination: parseIpv4('10.77.0.100'),
  destinationPort: 11_211,
};
const port = fc.integer({ min: 1, max: 0xffff });
const address = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const flows = fc.record({ source: address, sourcePort: port, destination: address, destinationPort: port });

describe('a request from an address of its own', () => {
  test('to the byte', () => {
    const bytes = writeRequest(flow, 0xabcd, Buffer.from('get a\r\n'));
    expect(
      bytes
        .toString('hex')
        .replace(/(.{8})/g, '$1 ')
        .trim(),
    ).toBe(
      [
        '4500002b 00000000 401165ae 0a630001 0a4d0064', // IPv4: 43 bytes, TTL 64, UDP
        '9c402bcb 0017303e', // 40000 → 11211, 23 bytes
        'abcd0000 00010000 67657420 610d0a', // id, 0 of 1; get a
      ].join(' '),
    );
  });

  test('both checksums are right by the slow way, and it reads as it was written', () => {
    fc.assert(
      fc.property(
        flows,
        fc.integer({ min: 0, max: 0xffff }),
        fc.uint8Array({ maxLength: 300 }),
        (given, id, payload) => {
          const bytes = writeRequest(given, id, payload);
          expect(slowChecksum(bytes.subarray(0, 20))).toBe(0);
          expect(bytes.readUInt16BE(26)).toBe(slowUdpChecksum(bytes, 0));
          const { body, ...read } = readArrived(bytes)!;
          expect(read).toEqual(given);
          expect([body.readUInt16BE(0), body.readUInt16BE(4)]).toEqual([id, 1]);
          expect(body.subarray(8)).toEqual(Buffer.from(payload));
        },
      ),
    );
  });
});

describe('what arrived', () => {
  const whole = writeRequest(flow, 1, Buffer.from('x'.repeat(20)));
  const changed = (at: number, byte: number) => Buffer.from(whole).fill(byte, at, at + 1);
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a cut datagram', whole.subarray(0, 40)],
    ['version 6', changed(0, 0x65)],
    ['a header of 16 bytes', changed(0, 0x44)],
    ['TCP', changed(9, 6)],
    ['a fragment', changed(6, 0x20)],
    ['a UDP length beyond the datagram', changed(25, 255)],
    ['a UDP length of 7', changed(25, 7)],
  ])('%s is no datagram', (_what, bytes) => {
    expect(readArrived(bytes)).toBeUndefined();
  });

  test('padding behind the datagram and IP options are passed over', () => {
    const options = Buffer.concat([
      whole.subarray(0, 20),
      Buffer.from([1, 1, 1, 1]),
      whole.subarray(20),
      Buffer.alloc(9),
    ]);
    options[0] = 0x46;
    options.writeUInt16BE(whole.length + 4, 2);
    expect(readArrived(options)!.body).toEqual(whole.subarray(28));
  });

  test('arbitrary bytes: no throw, nothing beyond them', () => {
    const likely = fc
      .array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 })
      .map(changes => changes.reduce((bytes, [at, byte]) => bytes.fill(byte, at, at + 1), Buffer.from(whole)));
    fc.assert(
      fc.property(fc.oneof(likely, fc.uint8Array().map(Buffer.from)), bytes => {
        expect(readArrived(bytes)?.body.length ?? 0).toBeLessThanOrEqual(Math.max(0, bytes.length - 28));
      }),
    );
  });
});

test.each([
  ['10.99.0.1', 1, '10.99.0.1/32'],
  ['10.99.0.0', 2, '10.99.0.0/31'],
  ['10.99.0.1', 2, '10.99.0.0/30'],
  ['10.99.0.1', 200, '10.99.0.0/24'],
  ['10.99.0.200', 100, '10.99.0.0/23'],
  ['10.99.255.255', 2, '10.96.0.0/13'],
  ['127.255.255.255', 2, '0.0.0.0/0'],
])('from %s on %i addresses lie in %s', (first, count, prefix) => {
  expect(coveringPrefix(parseIpv4(first), count)).toBe(prefix);
});
