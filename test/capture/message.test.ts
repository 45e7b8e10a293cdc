import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commentOn } from '../../src/capture/comment.ts';
import { readMessage } from '../../src/capture/message.ts';
import { type Places, placesOfConfig, placesOfPort } from '../../src/capture/places.ts';
import { explainKey } from '../../src/control/explain.ts';
import { fragments, icmpEcho, udpFrame } from '../support/frames.ts';
import {
  ALICE,
  binaryRequest,
  binaryResponse,
  MC1,
  reply,
  request,
  toClient,
  toNode,
  VIP,
} from '../support/lane-bed.ts';
import { CONFIG } from './config.ts';

const withConfig = placesOfConfig(CONFIG);

function comment(frame: Uint8Array, places: Places = placesOfPort()): string | undefined {
  const message = readMessage(frame, places);
  return message && commentOn(message);
}

/** Where the balancer's own explanation says that a key goes. */
function homeOf(key: string): string {
  const { node } = explainKey(CONFIG, key);
  return `${key} → ${node!.name} (${node!.address})`;
}

describe('a comment on a frame', () => {
  test.each<[comment: string | undefined, frame: Uint8Array]>([
    ['get user:7', request('get user:7\r\n')],
    ['get a, b, c', request('get a  b c\r\n')],
    ['gat a, b', request('gat 60 a b\r\n')],
    ['get k1, k2, k3, k4, k5, k6, k7, k8, 2 more keys', request('get k1 k2 k3 k4 k5 k6 k7 k8 k9 k10\r\n')],
    ['set k', request('set k 0 0 3\r\nabc\r\n')],
    ['set k, refused: length', request('set k 0 0 9\r\nabc\r\n')],
    ['mg bin ary', request('mg YmluIGFyeQ== v b\r\n')],
    ['unknown, refused: verb', request('frob k\r\n')],
    ['version', request('version\r\n')],
    ['get k', request(binaryRequest({ opcode: 0x0c, key: 'k' }))],
    ['get a\\x00\\x0a\\\\b', request(binaryRequest({ opcode: 0x0c, key: 'a\0\n\\b' }))],
    ['get ключ', request(`get ${Buffer.from('ключ').toString('latin1')}\r\n`)],
    ['get k, refused: total is 2', request('get k\r\n', { total: 2 })],
    ['get k', request('get k\r\n', { vlan: 7 })],
    ['get k', request('get k\r\n', { options: [1, 1, 1, 0], padding: 8 })],
    ['get k', toNode('get k\r\n')],
    ['VALUE k, 3 bytes', reply('VALUE k 0 3\r\nabc\r\nEND\r\n')],
    ['VALUE k, 3000 bytes, datagram 1 of 3', reply('VALUE k 0 3000\r\nabc', { total: 3 })],
    ['continued, datagram 2 of 3', reply('abc', { sequence: 1, total: 3 })],
    ['END', toClient('END\r\n')],
    ['STORED', reply('STORED\r\n')],
    ['CLIENT_ERROR', reply('CLIENT_ERROR bad data chunk\r\n')],
    ['VA k, 3 bytes', reply('VA 3 kk\r\nabc\r\n')],
    ['42', reply('42\r\n')],
    ['get ok k', reply(binaryResponse({ opcode: 0x0c, key: 'k', value: 'abc' }))],
    ['get status 1', reply(binaryResponse({ opcode: 0x0c, status: 1 }))],
    ['other', reply('???')],
    ['other, datagram 1 of 0', reply('', { total: 0 })],
    [undefined, request('get k\r\n', { dport: 53 })],
    [undefined, icmpEcho({ src: ALICE.ip, dst: VIP, identifier: 1, sequence: 1 })],
    [undefined, request('get k\r\n').slice(0, 49)],
  ])('%s', (expected, frame) => expect(comment(frame)).toBe(expected));

  test('with a configuration: the node that the lane would choose', () => {
    expect(comment(request('get user:7\r\n'), withConfig)).toBe(`get ${homeOf('user:7')}`);
    expect(comment(request('get a b\r\n'), withConfig)).toBe(`get ${homeOf('a')}, ${homeOf('b')}`);
    expect(comment(request('mg dXNlcjo3 v b\r\n'), withConfig)).toBe(`mg ${homeOf('user:7')}`);
  });

  test('with a configuration: memcached is where it says, whatever the port', () => {
    const elsewhere = placesOfConfig({ ...CONFIG, vip: { ...CONFIG.vip, port: 5000 } });
    expect(comment(request('get k\r\n'), elsewhere)).toBeUndefined();
    expect(comment(request('get k\r\n', { dport: 5000 }), elsewhere)).toContain('get k');
    expect(comment(reply('END\r\n'), elsewhere)).toBe('END');
    expect(comment(reply('END\r\n', { node: { ...MC1, port: 53 } }), elsewhere)).toBeUndefined();
  });

  test('the first fragment of a request has its key, the others have nothing', () => {
    const whole = request(`set big 0 0 3000\r\n${'v'.repeat(3000)}\r\n`);
    const fields = { src: ALICE.ip, dst: VIP, protocol: 17, payload: whole.slice(34) };
    const [first, ...others] = fragments(fields, 1480);
    expect(comment(first!)).toBe('set big, refused: length');
    expect(others.map(frame => comment(frame))).toEqual([undefined, undefined]);
  });

  test('arbitrary payloads and frames never throw', () => {
    const bytes = fc.uint8Array({ maxLength: 120 });
    fc.assert(fc.property(bytes, frame => void comment(frame, withConfig)));
    fc.assert(
      fc.property(bytes, fc.boolean(), (payload, isReply) => {
        const ends = isReply
          ? { src: VIP, dst: ALICE.ip, sport: 11211, dport: 4000 }
          : { src: ALICE.ip, dst: VIP, sport: 4000, dport: 11211 };
        const said = comment(udpFrame({ ...ends, payload }), withConfig);
        expect(said ?? '').not.toMatch(/[\u0000-\u001f]/);
      }),
    );
  });
});
