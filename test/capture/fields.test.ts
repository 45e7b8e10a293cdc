import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changedFields, fieldsOf } from '../../src/capture/fields.ts';
import { arpRequest, icmpEcho } from '../support/frames.ts';
import { ALICE, request, VIP } from '../support/lane-bed.ts';

const REQUEST = request('get k\r\n', { id: 0x1234, padding: 3, options: [1, 1, 1, 0], identification: 7 });

describe('fields', () => {
  test('of a request, with options and padding', () => {
    expect(fieldsOf(REQUEST).map(({ name, text }) => `${name} ${text}`)).toEqual([
      'eth.dst 02:4b:00:00:00:0a',
      'eth.src 02:00:00:00:00:01',
      'eth.type 0x0800',
      'ip.version 0x46',
      'ip.tos 0x00',
      'ip.length 47',
      'ip.id 0x0007',
      'ip.fragment 0x4000',
      'ip.ttl 64',
      'ip.protocol 17',
      expect.stringMatching(/^ip.checksum 0x[0-9a-f]{4}$/),
      'ip.src 10.77.0.1',
      'ip.dst 10.77.0.100',
      'ip.options 0x01010100, 4 bytes',
      'udp.src_port 4000',
      'udp.dst_port 11211',
      'udp.length 23',
      expect.stringMatching(/^udp.checksum 0x[0-9a-f]{4}$/),
      'memcached.request_id 0x1234',
      'memcached.sequence 0',
      'memcached.total 1',
      'memcached.reserved 0x0000',
      'memcached.body "get k\\x0d\\x0a", 7 bytes',
      'padding 0xeeeeee, 3 bytes',
    ]);
  });

  test('of a tagged frame, ICMP, ARP', () => {
    const names = (frame: Uint8Array) => fieldsOf(frame).map(({ name }) => name);
    expect(names(request('x', { vlan: 5 })).slice(2, 5)).toEqual(['vlan.type', 'vlan.tag', 'eth.type']);
    const echo = icmpEcho({ src: ALICE.ip, dst: VIP, identifier: 1, sequence: 1 });
    expect(names(echo).slice(-4)).toEqual(['icmp.type', 'icmp.code', 'icmp.checksum', 'payload']);
    expect(names(arpRequest({ senderIp: ALICE.ip, targetIp: VIP })).slice(3)).toEqual([
      'arp.types',
      'arp.operation',
      'arp.sender_mac',
      'arp.sender_ip',
      'arp.target_mac',
      'arp.target_ip',
    ]);
  });

  const change = fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 255 }));
  const mutated = fc
    .tuple(fc.constantFrom(REQUEST, arpRequest({ senderIp: ALICE.ip, targetIp: VIP })), fc.array(change))
    .map(([frame, changes]) => {
      const bytes = frame.slice();
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      return bytes;
    });
  const frame = fc.oneof(fc.uint8Array({ maxLength: 90 }), mutated);

  test('of any frame leave no byte out, and count none twice', () => {
    fc.assert(
      fc.property(frame, bytes => {
        const fields = fieldsOf(bytes);
        let at = 0;
        for (const { offset, bytes: length } of fields) {
          expect(offset).toBe(at);
          at += length;
        }
        expect(at).toBe(bytes.length);
        expect(new Set(fields.map(({ name }) => name)).size).toBe(fields.length);
      }),
    );
  });

  test('differ where the frames do, and nowhere else', () => {
    fc.assert(
      fc.property(frame, frame, (before, after) => {
        expect(changedFields(before, before)).toEqual([]);
        const changes = changedFields(before, after);
        expect(changes.length === 0).toBe(Buffer.from(before).equals(after));
        const reported = new Set(changes.map(({ field }) => field));
        const here = new Map(fieldsOf(before).map(field => [field.name, field]));
        for (const { name, offset, bytes } of fieldsOf(after)) {
          const old = here.get(name);
          const isSame =
            old !== undefined &&
            Buffer.from(before.slice(old.offset, old.offset + old.bytes)).equals(after.slice(offset, offset + bytes));
          expect(reported.has(name)).toBe(!isSame);
        }
      }),
    );
  });
});
