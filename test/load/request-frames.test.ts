import { describe, expect, it } from 'vitest';
import { Ledger } from '../../src/load/dialect.ts';
import { createDialect } from '../../src/load/dialects.ts';
import { KeyNames } from '../../src/load/keys.ts';
import { RequestFrames } from '../../src/load/request-frames.ts';
import { ValueRule } from '../../src/load/values.ts';
import { hex, placed, udpFrame } from '../support/frames.ts';

const FRAME_BYTES = 1514;
const names = new KeyNames(16);

/** Two clients, two targets; a frame to write into at an odd offset. */
function frames(checksum: 'partial' | 'full', valueBytes: [min: number, max: number] = [20, 20]) {
  const frame = placed(new Uint8Array(FRAME_BYTES), 61);
  const values = new ValueRule(...valueBytes);
  const dialect = createDialect('classic', { names, values, ledger: new Ledger(3, 100, true) });
  const writer = new RequestFrames({
    view: frame.view,
    macHigh: 0x0200,
    macLow: 1,
    clients: [0x0a000001, 0x0a000101],
    targets: [
      { address: 0x0a000002, port: 11211 },
      { address: 0x0a000003, port: 11212 },
    ],
    dialect,
    names,
    values,
    writer: 3,
    checksum,
  });
  writer.setNextHop(0, 0x0200, 2);
  writer.setNextHop(1, 0x0200, 3);
  return { frame, writer, values };
}

/** The same request, independently. */
function expected(checksum: 'partial' | 'full', id: string, text: string, toSecond = false): string {
  return hex(
    udpFrame({
      srcMac: '02:00:00:00:00:01',
      dstMac: toSecond ? '02:00:00:00:00:03' : '02:00:00:00:00:02',
      src: toSecond ? '10.0.1.1' : '10.0.0.1',
      dst: toSecond ? '10.0.0.3' : '10.0.0.2',
      sport: 20_007,
      dport: toSecond ? 11212 : 11211,
      checksum,
      payload: Buffer.concat([Buffer.from(`${id}000000010000`, 'hex'), Buffer.from(text, 'latin1')]),
    }),
  );
}

describe('RequestFrames', () => {
  it.each(['partial', 'full'] as const)('a GET, %s checksum', checksum => {
    const { frame, writer } = frames(checksum);
    const length = writer.writeGet(frame.offset, 0, 0, 20_007, 0xabcd, 42);
    expect(hex(frame.frame().slice(0, length))).toBe(expected(checksum, 'abcd', 'get keysteer00000042\r\n'));
    frame.assertCanaries();
  });

  it.each(['partial', 'full'] as const)('a GET of the second client to the second target, %s checksum', checksum => {
    const { frame, writer } = frames(checksum);
    const length = writer.writeGet(frame.offset, 1, 1, 20_007, 1, 99);
    expect(hex(frame.frame().slice(0, length))).toBe(expected(checksum, '0001', 'get keysteer00000099\r\n', true));
  });

  it.each([
    ['partial', [20, 20]],
    ['full', [20, 20]],
    ['partial', [12, 1300]],
    ['full', [12, 1300]],
  ] as const)('SETs, %s checksum, values of %j bytes', (checksum, range) => {
    const { frame, writer, values } = frames(checksum, [...range]);
    for (let key = 0; key < 30; key++) {
      const length = writer.writeSet(frame.offset, key % 2, key % 2, 20_007, key, key, 5);
      const value = placed(new Uint8Array(values.lengthOf(key, 3, 5)));
      values.write(value.view, value.offset, value.length, key, 3, 5);
      const id = key.toString(16).padStart(4, '0');
      const text = `set ${names.text(key)} 0 0 ${value.length}\r\n${Buffer.from(value.frame()).toString('latin1')}\r\n`;
      expect(hex(frame.frame().slice(0, length))).toBe(expected(checksum, id, text, key % 2 === 1));
      frame.assertCanaries();
    }
  });

  it('a short GET leaves nothing of the long SET before it', () => {
    const { frame, writer } = frames('full', [1300, 1300]);
    writer.writeSet(frame.offset, 0, 0, 20_001, 9, 9, 1);
    const length = writer.writeGet(frame.offset, 0, 0, 20_007, 0xabcd, 42);
    expect(hex(frame.frame().slice(0, length))).toBe(expected('full', 'abcd', 'get keysteer00000042\r\n'));
  });

  it('a next hop that moves is followed', () => {
    const { frame, writer } = frames('partial');
    writer.setNextHop(0, 0x0600, 7);
    writer.writeGet(frame.offset, 1, 0, 20_007, 1, 1);
    expect(hex(frame.frame().slice(0, 6))).toBe('06 00 00 00 00 07');
    writer.writeSet(frame.offset, 0, 0, 20_007, 1, 1, 1);
    expect(hex(frame.frame().slice(0, 6))).toBe('06 00 00 00 00 07');
    writer.writeGet(frame.offset, 0, 1, 20_007, 1, 1);
    expect(hex(frame.frame().slice(0, 6))).toBe('02 00 00 00 00 03');
  });
});
