import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StatWriter } from '../../src/memcached/stat-writer.ts';
import { bytesOf, textOf } from './placed-message.ts';

type Figure = readonly [name: string, value: string | number];

function write(writer: StatWriter, isBinary: boolean, figures: readonly Figure[]): string {
  writer.begin(isBinary, 0x77787980);
  for (const [name, value] of figures) {
    writer.open(bytesOf(name));
    if (typeof value === 'number') writer.number(value);
    else writer.text(bytesOf(value));
    writer.close();
  }
  writer.end();
  return textOf(writer.bytes.slice(0, writer.length));
}

/** The packets of a binary reply: opcode 0x10, status 0, our opaque. */
function packets(reply: string): Figure[] {
  const bytes = Buffer.from(reply, 'latin1');
  const found: Figure[] = [];
  for (let at = 0; at < bytes.length; ) {
    expect([...bytes.subarray(at, at + 2), bytes[at + 4], bytes[at + 5]]).toEqual([0x81, 0x10, 0, 0]);
    expect(bytes.readUInt16BE(at + 6)).toBe(0);
    expect(bytes.readUInt32BE(at + 12)).toBe(0x77787980);
    expect(bytes.readBigUInt64BE(at + 16)).toBe(0n);
    const key = at + 24 + bytes.readUInt16BE(at + 2);
    const end = at + 24 + bytes.readUInt32BE(at + 8);
    found.push([bytes.toString('latin1', at + 24, key), bytes.toString('latin1', key, end)]);
    at = end;
  }
  return found;
}

test('lines, and END', () => {
  const writer = new StatWriter(1000);
  const reply = write(writer, false, [
    ['pid', 7],
    ['version', '1.6'],
  ]);
  expect(reply).toBe('STAT pid 7\r\nSTAT version 1.6\r\nEND\r\n');
  expect(write(writer, false, [])).toBe('END\r\n');
});

test('packets, and an empty one', () => {
  const reply = write(new StatWriter(1000), true, [
    ['pid', 7],
    ['version', '1.6'],
  ]);
  expect(packets(reply)).toEqual([
    ['pid', '7'],
    ['version', '1.6'],
    ['', ''],
  ]);
});

test('a figure of several pieces: text, numbers, an address', () => {
  const writer = new StatWriter(1000);
  for (const isBinary of [false, true]) {
    writer.begin(isBinary, 0x77787980);
    writer.openFrom(bytesOf('xxnodexx'), 2, 4);
    writer.address(0x0a4d010b);
    writer.text(bytesOf(':'));
    writer.number(11211);
    writer.close();
    writer.end();
    const reply = textOf(writer.bytes.slice(0, writer.length));
    if (isBinary) expect(packets(reply)[0]).toEqual(['node', '10.77.1.11:11211']);
    else expect(reply).toBe('STAT node 10.77.1.11:11211\r\nEND\r\n');
  }
});

test('whatever it is given, it writes all of it, or says that it is full and has not left its bytes', () => {
  const name = fc.stringMatching(/^[!-~]{1,40}$/);
  const value = fc.oneof(fc.maxSafeNat(), fc.stringMatching(/^[ -~]{0,60}$/));
  let full = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 30, size: 'max' }), fc.boolean(), (figures, isBinary) => {
      const writer = new StatWriter(900);
      const reply = write(writer, isBinary, figures);
      expect(writer.length).toBeLessThanOrEqual(900);
      const whole = isBinary
        ? [...figures, ['', '']].reduce((sum, figure) => sum + 24 + figure.join('').length, 0)
        : figures.reduce((sum, figure) => sum + 8 + figure.join('').length, 5);
      full += writer.isFull ? 1 : 0;
      if (whole > 900) expect(writer.isFull).toBe(true);
      if (whole <= 800) expect(writer.isFull).toBe(false);
      if (writer.isFull) return;
      const texts = figures.map(([key, text]) => [key, `${text}`]);
      if (isBinary) expect(packets(reply)).toEqual([...texts, ['', '']]);
      else expect(reply).toBe(`${texts.map(([key, text]) => `STAT ${key} ${text}\r\n`).join('')}END\r\n`);
    }),
  );
  expect(full).toBeGreaterThan(5);
});
