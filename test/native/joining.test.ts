/** Super-frames: which datagrams leave as one, and its bytes. Native against twin, native under sanitizers. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CHECKSUM_START_SHIFT,
  FLAG_CHECKSUM_VERIFIED,
  FLAG_PARTIAL_CHECKSUM,
  VERDICT_GROUP_SHIFT,
} from '../../src/port/port.ts';
import { type UdpFields, udpFrame } from '../support/frames.ts';
import { byTwin, type Case, caseOfFrames, NativeBatch } from './batch-cases.ts';
import type { Sender } from './batch-twin.ts';
import { requireSanitizers } from './sanitizer.ts';

const JOINS: Sender = { id: 2, frameBytesMax: 1514, vlan: 0, joins: true };
const PARTIAL = FLAG_PARTIAL_CHECKSUM | (34 << CHECKSUM_START_SHIFT);
const inGroup = (group: number) => JOINS.id | (group << VERDICT_GROUP_SHIFT);

const request = (key: string, fields: Partial<UdpFields> = {}) =>
  udpFrame({
    src: '10.77.1.1',
    dst: '10.77.1.11',
    sport: 40000,
    dport: 11211,
    payload: `\0\x07\0\0\0\x01\0\0get ${key}\r\n`,
    checksum: 'partial',
    ...fields,
  });

interface Frame {
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly verdict: number;
}

const frame = (bytes: Uint8Array, flags = PARTIAL, verdict = inGroup(1)): Frame => ({ bytes, flags, verdict });
const plain = (key: string) => frame(request(key));

/** The frame with one byte changed, its checksums left as they were. */
function with1(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const changed = bytes.slice();
  changed[at] = value;
  return changed;
}

const ONE = request('aaa');
const WHOLE = request('aaa', { checksum: 'full' });

/** Second of three frames, otherwise alike: why it does not join those beside it. */
const odd: readonly (readonly [what: string, second: Frame])[] = [
  ['another length', plain('bbbb')],
  ['another group', frame(ONE, PARTIAL, inGroup(2))],
  ['no group', frame(ONE, PARTIAL, inGroup(0))],
  ['another Ethernet address', frame(request('bbb', { dstMac: '02:00:00:00:00:77' }))],
  ['another type of service', frame(with1(ONE, 15, 8))],
  ['another TTL', frame(request('bbb', { ttl: 63 }))],
  ['another source', frame(request('bbb', { src: '10.77.1.2' }))],
  ['another destination', frame(request('bbb', { dst: '10.77.1.12' }))],
  ['another source port', frame(request('bbb', { sport: 40001 }))],
  ['another destination port', frame(request('bbb', { dport: 11212 }))],
  ['leave to fragment it', frame(request('bbb', { dontFragment: false }))],
  ['a fragment', frame(with1(ONE, 20, 0x60))],
  ['a fragment behind the first', frame(with1(ONE, 21, 1))],
  ['another protocol', frame(with1(ONE, 23, 6))],
  ['no IPv4', frame(with1(ONE, 12, 0x86))],
  ['IP options', frame(with1(ONE, 14, 0x46))],
  ['a total length that is not the frame’s', frame(with1(ONE, 17, ONE[17]! - 1))],
  ['a UDP length that is not the frame’s', frame(with1(ONE, 39, ONE[39]! - 1))],
  ['a whole checksum that nobody has verified', frame(WHOLE, 0)],
  ['no checksum', frame(with1(with1(WHOLE, 40, 0), 41, 0), FLAG_CHECKSUM_VERIFIED)],
  ['a checksum that begins elsewhere', frame(ONE, FLAG_PARTIAL_CHECKSUM | (38 << CHECKSUM_START_SHIFT))],
];

describe.skipIf(requireSanitizers())('datagrams that leave as one', () => {
  const native = new NativeBatch();

  beforeAll(() => native.compile(), 120_000);

  afterAll(() => native.remove());

  /** How many rows each message has, and its first. */
  function messagesOf(each: Case): [rows: number, first: number][] {
    const [done] = native.run([each]);
    expect(done).toEqual(byTwin(each));
    return done!.frames.map(([rows, first]) => [rows, first]);
  }

  it('three requests, byte for byte', () => {
    const [done] = native.run([caseOfFrames(JOINS, ['k1', 'k2', 'k3'].map(plain))]);
    const headers =
      '0105 2a00 1000 2200 0600 ' + // partial checksum, UDP_L4, 42 bytes of headers, 16 a segment, from byte 34, at 6
      '020000000002 020000000001 0800 ' +
      '4500 004c 0000 4000 40 11 23fc 0a4d0101 0a4d010b ' + // 76 bytes
      '9c40 2bcb 0038 16ef '; // 56 bytes, and the pseudo-header's sum
    const payloads = ['6b31', '6b32', '6b33'].map(key => `0007 0000 0001 0000 67657420 ${key} 0d0a`);
    expect(done!.frames).toEqual([[3, 0, (headers + payloads.join('')).replaceAll(' ', '')]]);
  });

  it('leave the frames’ own bytes alone', () => {
    const each = caseOfFrames(JOINS, ['k1', 'k2'].map(plain));
    expect(native.run([each])[0]!.memory).toBe(Buffer.from(each.memory).toString('hex'));
  });

  it.each(odd)('but not one with %s', (_, second) => {
    const frames = [plain('aaa'), second, plain('ccc'), plain('ddd')];
    const verdicts = messagesOf(caseOfFrames(JOINS, frames));
    // Those of another group, or none, leave behind the group.
    const isAside = second.verdict !== inGroup(1);
    expect(verdicts).toEqual(
      isAside
        ? [
            [3, 0],
            [1, 1],
          ]
        : [
            [1, 0],
            [1, 1],
            [2, 2],
          ],
    );
  });

  it.each([
    ['identifications differ', request('bbb', { identification: 77 }), PARTIAL],
    ['one checksum is whole and verified', request('bbb', { checksum: 'full' }), FLAG_CHECKSUM_VERIFIED],
  ])('also where %s', (_, bytes, flags) => {
    const frames = [plain('aaa'), frame(bytes, flags), plain('ccc')];
    expect(messagesOf(caseOfFrames(JOINS, frames))).toEqual([[3, 0]]);
    expect(messagesOf(caseOfFrames(JOINS, frames.slice(1)))).toEqual([[2, 0]]);
  });

  it('no more than the port’s frames hold', () => {
    const frames = Array.from({ length: 200 }, (_, i) => plain(`key${String(i).padStart(3, '0')}`));
    const most = Math.floor((1514 - 42) / (frames[0]!.bytes.length - 42));
    const messages = messagesOf(caseOfFrames(JOINS, frames));
    expect(messages.map(([rows]) => rows)).toEqual([...Array(Math.floor(200 / most)).fill(most), 200 % most]);
    const large = ['a', 'b'].map(key => plain(key.repeat(723)));
    expect(messagesOf(caseOfFrames(JOINS, large))).toEqual([
      [1, 0],
      [1, 1],
    ]);
  });

  it('of groups that came mixed up', () => {
    const frames = [1, 2, 1, 2, 1].map((group, i) => frame(request(`k${i}`), PARTIAL, inGroup(group)));
    expect(messagesOf(caseOfFrames(JOINS, frames))).toEqual([
      [3, 0],
      [2, 1],
    ]);
  });

  it.each([
    ['the port does not', { ...JOINS, joins: false }],
    ['the port is tagged', { ...JOINS, vlan: 7 }],
  ])('none where %s', (_, sender) => {
    expect(messagesOf(caseOfFrames(sender, ['k1', 'k2'].map(plain)))).toEqual([
      [1, 0],
      [1, 1],
    ]);
  });

  it('random batches of frames that are nearly alike', () => {
    const anyFrame = fc.record({
      key: fc.constantFrom('aaa', 'aaa', 'aaa', 'bbbb'),
      flags: fc.constantFrom(PARTIAL, PARTIAL, FLAG_CHECKSUM_VERIFIED),
      group: fc.constantFrom(1, 1, 1, 2, 0),
      change: fc.option(fc.tuple(fc.nat(45), fc.nat(255)), { freq: 8 }),
    });
    const cases = fc
      .sample(fc.array(anyFrame, { minLength: 1, maxLength: 60, size: 'max' }), { numRuns: 300, seed: 20261128 })
      .map(frames =>
        caseOfFrames(
          JOINS,
          frames.map(({ key, flags, group, change }) => {
            const bytes = request(key, { checksum: flags === PARTIAL ? 'partial' : 'full' });
            return frame(change ? with1(bytes, ...change) : bytes, flags, inGroup(group));
          }),
        ),
      );
    const done = native.run(cases);
    for (const [i, each] of cases.entries()) expect(done[i]).toEqual(byTwin(each));
    const joined = done.flatMap(({ frames }) => frames).filter(([rows]) => rows > 1).length;
    expect(joined).toBeGreaterThan(300);
  });
});
