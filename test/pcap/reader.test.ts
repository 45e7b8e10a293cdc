import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PcapError } from '../../src/pcap/error.ts';
import { CaptureReader } from '../../src/pcap/reader.ts';
import { memoryFile, readAll } from './memory-file.ts';
import { bytesOf, CAPTURES, PCAP_NS_BIG, PCAP_US_LITTLE, PCAPNG_BIG, PCAPNG_LITTLE } from './rows.ts';

describe('reading', () => {
  test.each(CAPTURES)('$name, in whatever pieces it comes', ({ file, frames }) => {
    for (const pieceBytes of [1, 7, 1 << 20]) expect(readAll(file, pieceBytes)).toEqual(frames);
  });

  test('a file on disk', () => {
    const folder = mkdtempSync(join(tmpdir(), 'keysteer-pcap-'));
    try {
      const path = join(folder, 'in.pcap');
      writeFileSync(path, PCAP_NS_BIG.file);
      const reader = CaptureReader.open(path);
      expect(reader.next()).toEqual(PCAP_NS_BIG.frames[0]);
      expect(reader.position).toBe(PCAP_NS_BIG.file.length);
      expect(reader.next()).toBeUndefined();
      reader.close();
      expect(() => CaptureReader.open(join(folder, 'nothing'))).toThrow('ENOENT');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('frames longer than any buffer, one behind another', () => {
    const frame = Buffer.alloc(200_000, 0x5a);
    const record = Buffer.concat([bytesOf('67f0d180 00000001 00030d40 00030d40'), frame]);
    const file = Buffer.concat([PCAP_NS_BIG.file, record, record]);
    const frames = readAll(file, 65_536);
    expect(frames.map(({ bytes }) => bytes.length)).toEqual([16, 200_000, 200_000]);
    expect(Buffer.from(frames[2]!.bytes).equals(frame)).toBe(true);
  });
});

/** The row's file with bytes in hex put in at an offset. */
function patched(file: Uint8Array, offset: number, hex: string): Uint8Array {
  const bytes = file.slice();
  bytes.set(bytesOf(hex), offset);
  return bytes;
}

/** Offsets of blocks in the fixtures. */
const NG_INTERFACE = 44;
const NG_PACKET = 84;
const BIG_COOKED_PACKET = 208;

describe('a broken capture: file, byte and rule', () => {
  const us = PCAP_US_LITTLE.file;
  const ng = PCAPNG_LITTLE.file;
  test.each<[what: string, file: Uint8Array, offset: number, rule: RegExp]>([
    ['empty', bytesOf(''), 0, /^the file ends within its first four bytes: 0 of 4 bytes are there$/],
    ['no capture', bytesOf('7f454c46 02010100'), 0, /begins with 0x7f454c46, which is neither pcap nor pcapng/],
    ['pcap: cut header', us.slice(0, 23), 0, /^the file ends within the file header: 23 of 24/],
    ['pcap: version', patched(us, 4, '0300'), 4, /^version is 3.4; it must be 2.4$/],
    ['pcap: link type', patched(us, 20, '71'), 20, /^link type is 113 \(Linux cooked, as of `-i any`\); it must be 1/],
    ['pcap: unknown link type', patched(us, 20, '39'), 20, /^link type is 57; it must be 1 \(Ethernet\)$/],
    [
      'pcap: captured length',
      patched(us, 32, '01000400'),
      32,
      /^captured length is 262145; it must be at most 262144$/,
    ],
    ['pcap: cut record', us.slice(0, 24 + 9), 24, /^the file ends within the header of a record: 9 of 16/],
    ['pcap: cut frame', us.slice(0, 24 + 16 + 5), 40, /^the file ends within a frame: 5 of 16/],
    ['pcapng: byte order', patched(ng, 8, '00'), 8, /^byte-order magic is 0x1a2b3c00; it must be 0x1a2b3c4d$/],
    ['pcapng: section length', patched(ng, 4, '18'), 4, /^block length is 24; it must be a multiple of 4, from 28 to/],
    ['pcapng: version', patched(ng, 12, '02'), 12, /^major version is 2; it must be 1$/],
    [
      'pcapng: section trailer',
      patched(ng, 40, '30'),
      40,
      /the end of the block is 48; it must be 44, as at its start/,
    ],
    ['pcapng: odd length', patched(ng, NG_INTERFACE + 4, '29'), NG_INTERFACE + 4, /^block length is 41;/],
    ['pcapng: huge length', patched(ng, NG_PACKET + 4, '04000001'), NG_PACKET + 4, /^block length is 16777220;/],
    ['pcapng: trailer', patched(ng, NG_PACKET - 4, '2c'), NG_PACKET - 4, /the end of the block is 44; it must be 40/],
    ['pcapng: interface', patched(ng, NG_PACKET + 8, '01'), NG_PACKET + 8, /^interface is 1; it must be one of the 1/],
    ['pcapng: link type', patched(ng, NG_INTERFACE + 8, '65'), NG_INTERFACE + 8, /^link type is 101 \(raw IP\)/],
    ['pcapng: captured length', patched(ng, NG_PACKET + 20, '2d'), NG_PACKET + 20, /^captured length is 45; its block/],
    [
      'pcapng: option length',
      patched(ng, NG_PACKET + 46, '1d'),
      NG_PACKET + 46,
      /^option length is 29; it must end within/,
    ],
    ['pcapng: time', patched(ng, NG_INTERFACE + 28, '00'), NG_PACKET + 12, /^time is \d+ ns; it must be from 0 to/],
    ['pcapng: cut block', ng.slice(0, NG_PACKET + 30), NG_PACKET + 8, /^the file ends within a block: 22 of 64/],
    ['pcapng: no section', ng.slice(NG_INTERFACE), 0, /begins with 0x01000000/],
    [
      'pcapng: the interface that is not Ethernet, once it is used',
      patched(PCAPNG_BIG.file, BIG_COOKED_PACKET + 8, '00000002'),
      128,
      /^link type is 113/,
    ],
  ])('%s', (_what, file, offset, rule) => {
    const error = errorOf(() => readAll(file));
    expect(error).toBeInstanceOf(PcapError);
    expect(error).toMatchObject({ name: 'PcapError', file: 'in.pcap', offset, rule: expect.stringMatching(rule) });
    expect((error as Error).message).toBe(`in.pcap: byte ${offset}: ${(error as PcapError).rule}`);
  });

  test('what stands before the fault is handed out', () => {
    const reader = new CaptureReader(memoryFile(us.slice(0, -1)));
    expect(reader.next()).toEqual(PCAP_US_LITTLE.frames[0]);
    expect(() => reader.next()).toThrow(PcapError);
  });

  test.each(CAPTURES)(
    '$name, cut anywhere: the frames before the cut, then the end or an error',
    ({ file, frames }) => {
      for (let bytes = 0; bytes < file.length; bytes++) {
        const reader = new CaptureReaderOrError(file.slice(0, bytes));
        expect(reader.frames).toEqual(frames.slice(0, reader.frames.length));
        if (reader.error !== undefined) expect(reader.error).toBeInstanceOf(PcapError);
      }
    },
  );

  test('arbitrary changes: frames or a PcapError, never anything else', () => {
    const changes = fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.constantFrom(...CAPTURES), changes, ({ file }, changed) => {
        const bytes = file.slice();
        for (const [at, value] of changed) bytes[at % bytes.length] = value;
        const { error } = new CaptureReaderOrError(bytes);
        if (error !== undefined && !(error instanceof PcapError)) throw error;
      }),
      { numRuns: 3000 },
    );
  });
});

class CaptureReaderOrError {
  readonly frames: ReturnType<typeof readAll> = [];
  readonly error: unknown;

  constructor(file: Uint8Array) {
    this.error = errorOf(() => {
      const reader = new CaptureReader(memoryFile(file, 64));
      for (let frame = reader.next(); frame; frame = reader.next()) {
        this.frames.push({ ...frame, bytes: frame.bytes.slice() });
      }
    });
  }
}

function errorOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
