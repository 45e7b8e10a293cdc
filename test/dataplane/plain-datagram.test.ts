/** The short way for plain frames takes only what the checks field by field take, and all of that. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { faultOfDatagram, faultOfFrame, faultOfHeader, maySend } from '../../src/dataplane/checks.ts';
import { PlainDatagrams } from '../../src/dataplane/plain-datagram.ts';
import {
  FLAG_CHECKSUM_VERIFIED,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_SUPERFRAME,
  FLAG_TRUNCATED,
  FLAG_VLAN,
  type Port,
  vlanOf,
} from '../../src/port/port.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as udp from '../../src/wire/udp.ts';
import { CLIENT_MAC, placed, udpFrame } from '../support/frames.ts';
import { address } from '../support/lane-bed.ts';
import { slowChecksum } from '../wire/slow-checksum.ts';

const own = { vip: address('10.77.0.100'), vipPort: 11211, ownAddress: address('10.77.1.1') };
const PORT_MAC = '02:00:de:ad:be:ef';
const PORT = { macHigh: 0x0200, macLow: 0xdeadbeef | 0, vlan: 0 } as Port;

interface Sides {
  readonly client: boolean;
  readonly server: boolean;
}

const BOTH: Sides = { client: true, server: true };

function plainEnd(view: DataView, offset: number, length: number, flags: number, sides: Sides): number {
  const plain = new PlainDatagrams(view, own);
  plain.aim(PORT, sides.client, sides.server);
  return plain.end(offset, length, flags);
}

/** As the classifier looks at a frame, field by field. */
function slowEnd(view: DataView, offset: number, length: number, flags: number, sides: Sides): number {
  const ip = offset + ethernet.HEADER_BYTES;
  const available = length - ethernet.HEADER_BYTES;
  if (available < ipv4.HEADER_BYTES_MIN || vlanOf(flags) !== PORT.vlan) return 0;
  if (ethernet.etherType(view, offset) !== ethernet.ETHERTYPE_IPV4) return 0;
  if (!ethernet.isTo(view, offset, PORT.macHigh, PORT.macLow)) return 0;
  const toVip = ipv4.destination(view, ip) === own.vip && sides.client;
  if (!toVip && !(ipv4.destination(view, ip) === own.ownAddress && sides.server)) return 0;
  if (faultOfFrame(flags) !== 0 || faultOfHeader(view, ip, available) !== 0) return 0;
  if (ethernet.isFrom(view, offset, PORT.macHigh, PORT.macLow) || ethernet.isGroupSource(view, offset)) return 0;
  const source = ipv4.source(view, ip);
  if (source === own.vip || source === own.ownAddress || !maySend(source)) return 0;
  if (ipv4.protocol(view, ip) !== ipv4.PROTOCOL_UDP || ipv4.isFragment(view, ip)) return 0;
  const at = ip + ipv4.headerBytes(view, ip);
  if (faultOfDatagram(view, ip, at, flags) !== 0) return 0;
  if (toVip && udp.destinationPort(view, at) !== own.vipPort) return 0;
  const end = at + udp.length(view, at);
  return toVip ? end : -end;
}

const FIELDS = {
  dstMac: PORT_MAC,
  src: '10.77.0.1',
  sport: 4000,
  dport: 11211,
  payload: '\0\x01\0\0\0\x01\0\0get abc\r\n',
};
const toVip = udpFrame({ ...FIELDS, dst: '10.77.0.100' });
const toOwn = udpFrame({ ...FIELDS, dst: '10.77.1.1', dport: 49152 });

/** The frame with these bytes, and its header's checksum right. */
function changed(frame: Uint8Array, changes: readonly { at: number; byte: number }[]): Uint8Array {
  const copy = frame.slice();
  for (const { at, byte } of changes) copy[at % copy.length] = byte;
  return copy;
}

function repaired(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  copy.fill(0, 24, 26);
  const checksum = slowChecksum(copy.slice(14, 14 + Math.max(20, (copy[14]! & 15) * 4)));
  copy.set([checksum >> 8, checksum & 0xff], 24);
  return copy;
}

describe('plain frames', () => {
  it.each([
    ['a request', toVip, BOTH, 1],
    ['a reply', toOwn, BOTH, -1],
    ['a request, one side each', toVip, { client: true, server: false }, 1],
    ['a reply, one side each', toOwn, { client: false, server: true }, -1],
    ['a request on the nodes’ side', toVip, { client: false, server: true }, 0],
    ['a reply on the clients’ side', toOwn, { client: true, server: false }, 0],
    ['padding behind the packet', udpFrame({ ...FIELDS, dst: '10.77.0.100', padding: 9 }), BOTH, 1],
    ['a source that is the VIP', udpFrame({ ...FIELDS, src: '10.77.0.100', dst: '10.77.0.100' }), BOTH, 0],
    ['a source that is ours', udpFrame({ ...FIELDS, src: '10.77.1.1', dst: '10.77.0.100' }), BOTH, 0],
    ['our own Ethernet address', udpFrame({ ...FIELDS, dst: '10.77.0.100', srcMac: PORT_MAC }), BOTH, 0],
    ['another’s', udpFrame({ ...FIELDS, dst: '10.77.0.100', dstMac: CLIENT_MAC }), BOTH, 0],
    ['a group that sends', udpFrame({ ...FIELDS, dst: '10.77.0.100', srcMac: '03:00:00:00:00:01' }), BOTH, 0],
    ['a wrong checksum', udpFrame({ ...FIELDS, dst: '10.77.0.100', checksum: 'bad' }), BOTH, 0],
    ['no checksum', udpFrame({ ...FIELDS, dst: '10.77.0.100', checksum: 'zero' }), BOTH, 1],
    [
      'options, which are for the long way',
      udpFrame({ ...FIELDS, dst: '10.77.0.100', options: [1, 1, 1, 1] }),
      BOTH,
      0,
    ],
  ])('%s', (_, frame, sides, sign) => {
    const { view, offset } = placed(frame);
    const end = plainEnd(view, offset, frame.length, 0, sides);
    expect(Math.sign(end)).toBe(sign);
    if (sign !== 0) expect(Math.abs(end)).toBe(offset + 34 + udp.length(view, offset + 34));
  });

  it('property: what the short way takes the long way takes alike, and without options and tags the other way about', () => {
    const byte = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x20, 0x40, 0x44, 0x45, 0x46, 0x65, 17, 127, 224, 255));
    const change = fc.record({
      at: fc.oneof(fc.nat(49), fc.constantFrom(12, 13, 14, 17, 20, 21, 22, 23, 38, 39)),
      byte,
    });
    const bits = [FLAG_PARTIAL_CHECKSUM, FLAG_CHECKSUM_VERIFIED, FLAG_TRUNCATED, FLAG_SUPERFRAME, FLAG_VLAN];
    const anyFlags = fc.subarray(bits).map(set => set.reduce((all, bit) => all | bit, 0));
    const flags = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(0, FLAG_CHECKSUM_VERIFIED) }, anyFlags);
    const sides = fc.record({ client: fc.boolean(), server: fc.boolean() });
    let taken = 0;
    let left = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(toVip, toOwn),
        fc.array(change, { maxLength: 2 }),
        fc.boolean(),
        flags,
        fc.oneof(fc.constant(BOTH), sides),
        fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, fc.nat(60)),
        (base, changes, isRepaired, given, at, cut) => {
          const frame = isRepaired ? repaired(changed(base, changes)) : changed(base, changes);
          const { view, offset } = placed(frame);
          const length = Math.max(frame.length - cut, 0);
          const short = plainEnd(view, offset, length, given, at);
          const long = slowEnd(view, offset, length, given, at);
          if (short !== 0) expect(short).toBe(long);
          const isPlain = frame[14] === 0x45 && (given & FLAG_VLAN) === 0;
          if (isPlain) expect(short).toBe(long);
          if (short === 0) left++;
          else taken++;
        },
      ),
      { numRuns: 20_000, seed: 20261128 },
    );
    expect(taken).toBeGreaterThan(2000);
    expect(left).toBeGreaterThan(2000);
  });
});
