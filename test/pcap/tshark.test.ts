/** Wireshark's own programs read what we write, and we what they write. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCapture } from '../../src/pcap/writer.ts';
import { toClient } from '../support/lane-bed-frames.ts';
import { requireTshark } from '../support/requirements.ts';
import { readAll } from './memory-file.ts';

const START_NS = 1_743_835_520_123_456_789n;
const frameOf = (n: number) => toClient('x'.repeat(20 + n));
/** Odd and even lengths; the comment has characters of more than one byte. */
const FRAMES = Array.from({ length: 5 }, (_, n) => ({
  bytes: frameOf(n),
  timeNs: START_NS + BigInt(n) * 1_000_000_001n,
  interface: n % 2,
  comment: n === 3 ? '' : `get key-${n} → mc${n}`,
  wireBytes: n === 4 ? 1514 : frameOf(n).length,
}));

describe.skipIf(requireTshark())('with tshark, capinfos and editcap', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysteer-tshark-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function write(name: string, options: Parameters<typeof createCapture>[1] = {}): string {
    const path = join(folder, name);
    const writer = createCapture(path, { interfaces: [{ name: 'cl0' }, { name: 'sv0' }], ...options });
    for (const frame of FRAMES) writer.write(frame);
    writer.close();
    return path;
  }

  function tshark(path: string, fields: readonly string[]): string[][] {
    const argv = ['-r', path, '-T', 'fields', ...fields.flatMap(field => ['-e', field])];
    const printed = execFileSync('tshark', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return printed
      .replace(/\n$/, '')
      .split('\n')
      .map(line => line.split('\t'));
  }

  const FIELDS = ['frame.time_epoch', 'frame.cap_len', 'frame.len', '_ws.malformed'];

  function expected(digits: number): string[][] {
    return FRAMES.map(({ bytes, timeNs, wireBytes }) => {
      const seconds = `${timeNs / 1_000_000_000n}.${String(timeNs % 1_000_000_000n)
        .padStart(9, '0')
        .slice(0, digits)}`;
      return [seconds.padEnd(20, '0'), String(bytes.length), String(wireBytes), ''];
    });
  }

  test.each(['little', 'big'] as const)('reads our pcapng, %s endian: frames, times, interfaces, comments', endian => {
    const path = write(`${endian}.pcapng`, { endian });
    expect(tshark(path, FIELDS)).toEqual(expected(9));
    expect(tshark(path, ['frame.interface_name', 'frame.comment'])).toEqual(
      FRAMES.map(({ interface: n, comment }) => [n === 0 ? 'cl0' : 'sv0', comment]),
    );
  });

  test.each([
    ['ns', 9],
    ['us', 6],
  ] as const)('reads our pcap with times in %s', (resolution, digits) => {
    for (const endian of ['little', 'big'] as const) {
      expect(tshark(write(`${endian}-${resolution}.pcap`, { endian, resolution }), FIELDS)).toEqual(expected(digits));
    }
  });

  test.each(['x.pcap', 'x.pcapng'])('capinfos counts the frames and bytes of our %s', name => {
    const printed = execFileSync('capinfos', ['-T', '-M', '-c', '-d', '-E', '-m', write(name)], { encoding: 'utf8' });
    const [head, row] = printed
      .trim()
      .split('\n')
      .map(line => line.split(','));
    const infos = Object.fromEntries(head!.map((field, n) => [field, row![n]]));
    expect(infos).toMatchObject({
      'File encapsulation': 'ether',
      'Number of packets': '5',
      'Data size (bytes)': String(FRAMES.reduce((sum, { wireBytes }) => sum + wireBytes, 0)),
    });
  });

  test.each([
    ['pcap', 6],
    ['nsecpcap', 9],
    ['pcapng', 9],
  ] as const)('we read what editcap writes as %s', (format, digits) => {
    const path = join(folder, `edited.${format}`);
    execFileSync('editcap', ['-F', format, write('x.pcapng'), path]);
    const unit = 10n ** BigInt(9 - digits);
    expect(readAll(readFileSync(path))).toEqual(
      FRAMES.map(frame => ({
        ...frame,
        timeNs: frame.timeNs - (frame.timeNs % unit),
        ...(format === 'pcapng' ? {} : { interface: 0, comment: '' }),
      })),
    );
  });
});
