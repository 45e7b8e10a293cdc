import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CaptureFormat,
  captureWriter,
  createCapture,
  formatOf,
  type WriterOptions,
} from '../../src/pcap/writer.ts';
import { MemoryOutput, readAll } from './memory-file.ts';
import { PCAP_NS_BIG, PCAP_US_LITTLE, PCAPNG_LITTLE } from './rows.ts';

describe('writing', () => {
  test.each([
    { ...PCAP_US_LITTLE, format: 'pcap', options: { resolution: 'us' } },
    { ...PCAP_NS_BIG, format: 'pcap', options: { endian: 'big' } },
    { ...PCAPNG_LITTLE, format: 'pcapng', options: { interfaces: [{ name: 'cl0' }] } },
  ] as const)('$name, to the byte', ({ file, frames, format, options }) => {
    const output = new MemoryOutput();
    const writer = captureWriter(output, format, options);
    for (const [n, frame] of frames.entries()) writer.write(n === 0 ? { ...frame, direction: 'in' } : frame);
    writer.flush();
    writer.close();
    expect(Buffer.from(output.bytes).toString('hex')).toBe(Buffer.from(file).toString('hex'));
    expect([output.flushed, output.closed]).toEqual([1, true]);
  });

  const bytes = fc.uint8Array({ maxLength: 200 });
  const timeNs = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  const comment = fc.string({ maxLength: 40, unit: 'grapheme' });
  const endian = fc.constantFrom('little', 'big');

  test('pcapng: what was written is what is read', () => {
    const frame = fc.record({ bytes, timeNs, comment, wireBytes: fc.nat(), interface: fc.nat(2) });
    fc.assert(
      fc.property(fc.array(frame), endian, (frames, endian) => {
        const interfaces = ['a', 'b', 'c'].map(name => ({ name, comment: name }));
        expect(readAll(written('pcapng', frames, { interfaces, endian }))).toEqual(frames);
      }),
    );
  });

  test('pcap: what was written is what is read, to the resolution of its times', () => {
    const seconds = fc.bigInt({ min: 0n, max: 0xffffffffn });
    const ns = fc.bigInt({ min: 0n, max: 999_999_999n });
    const frame = fc.record({ bytes, seconds, ns, wireBytes: fc.nat() });
    fc.assert(
      fc.property(fc.array(frame), endian, fc.constantFrom('us', 'ns'), (rows, endian, resolution) => {
        const frames = rows.map(({ seconds, ns, ...rest }) => {
          const timeNs = seconds * 1_000_000_000n + (resolution === 'ns' ? ns : ns - (ns % 1000n));
          return { ...rest, timeNs, interface: 0, comment: '' };
        });
        expect(readAll(written('pcap', frames, { endian, resolution }))).toEqual(frames);
      }),
    );
  });

  test.each<[what: string, format: CaptureFormat, frame: object, rule: RegExp]>([
    ['a frame without time', 'pcapng', { timeNs: -1n }, /its time must be known/],
    ['a frame too long', 'pcap', { bytes: new Uint8Array(262_145) }, /a frame of 262145 bytes; at most 262144 fit/],
    ['a time beyond 2106', 'pcap', { timeNs: 1n << 63n }, /later than 2106/],
    ['an interface that is not there', 'pcapng', { interface: 1 }, /interface 1; the capture has 1/],
    ['a comment too long', 'pcapng', { comment: 'x'.repeat(65_536) }, /a text of 65536 bytes; at most 65535 fit/],
  ])('%s is a programming error', (_what, format, fields, rule) => {
    const writer = captureWriter(new MemoryOutput(), format);
    const frame = { bytes: new Uint8Array(14), timeNs: 0n, ...fields };
    expect(() => writer.write(frame)).toThrow(rule);
    expect(() => writer.write(frame)).toThrow(RangeError);
  });
});

describe('files', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysteer-pcap-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each([
    ['x.pcap', 'pcap'],
    ['X.CAP', 'pcap'],
    ['x.pcapng', 'pcapng'],
    ['-', 'pcapng'],
    ['x.pcap.gz', 'pcapng'],
  ])('%s is written as %s', (name, format) => expect(formatOf(name)).toBe(format));

  test('many frames, short and longer than the buffer', () => {
    const path = join(folder, 'x.pcapng');
    const writer = createCapture(path);
    const sizes = [14, 200_000, 60, 65_536, 1514, 65_400, ...Array.from({ length: 500 }, (_, n) => 60 + n)];
    for (const [n, size] of sizes.entries()) writer.write({ bytes: new Uint8Array(size).fill(n), timeNs: BigInt(n) });
    writer.close();
    const frames = readAll(readFileSync(path), 65_536);
    expect(frames.map(({ bytes }) => bytes.length)).toEqual(sizes);
    expect(frames.every(({ bytes }, n) => bytes.every(byte => byte === (n & 0xff)))).toBe(true);
  });

  test('a folder that is not there', () => expect(() => createCapture(join(folder, 'no/x.pcap'))).toThrow('ENOENT'));
});

function written(
  format: CaptureFormat,
  frames: readonly Parameters<typeof write>[1][],
  options: WriterOptions,
): Uint8Array {
  const output = new MemoryOutput();
  const writer = captureWriter(output, format, options);
  for (const frame of frames) write(writer, frame);
  return output.bytes;
}

function write(writer: ReturnType<typeof captureWriter>, frame: Parameters<typeof writer.write>[0]): void {
  writer.write(frame);
}
