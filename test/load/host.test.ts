import { describe, expect, it } from 'vitest';
import { ARP_RETRY_NS, Host, type Neighbour } from '../../src/load/host.ts';
import { Arena } from '../../src/mem/arena.ts';
import { loopbackByteLength, openLoopback } from '../../src/port/loopback.ts';
import { ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, ROW_WORDS } from '../../src/port/port.ts';
import { arpReply, arpRequest, hex, icmpEcho } from '../support/frames.ts';

const HOST_MAC = '02:00:00:00:00:01';
const PEER_MAC = '02:00:00:00:00:02';
const PEER = { srcMac: PEER_MAC, dstMac: HOST_MAC };
const ADDRESSES = [0x0a000001, 0x0a000009];

function hostWith(neighbours: number[] = []) {
  const arena = Arena.create(2 * loopbackByteLength());
  const { near, far } = openLoopback({ near: { arena }, far: { arena } });
  const batch = new Int32Array(8 * ROW_WORDS);
  const resolved: Neighbour[] = [];
  const host = new Host(near, arena.view, batch, ADDRESSES, neighbours, neighbour => resolved.push({ ...neighbour }));
  /** What the peer hears. */
  const heard = () => {
    const rows = far.receive(batch, 8);
    const frames = Array.from({ length: rows }, (_, row) => {
      const offset = batch[row * ROW_WORDS + ROW_OFFSET] as number;
      return arena.bytes.slice(offset, offset + (batch[row * ROW_WORDS + ROW_LENGTH] as number));
    });
    far.release(batch, rows);
    return frames.map(hex);
  };
  /** The host takes a frame; returns what the peer hears then. */
  const take = (frame: Uint8Array, accept: (batch: Int32Array, row: number) => void) => {
    near.inject(frame);
    near.receive(batch, 1);
    accept(batch, 0);
    near.transmit(batch, 1);
    near.release(batch, 1);
    return heard();
  };
  const takeArp = (frame: Uint8Array) => take(frame, (rows, row) => host.acceptArp(rows, row));
  const takeIcmp = (frame: Uint8Array) => take(frame, (rows, row) => host.acceptIcmp(rows, row));
  return { host, batch, resolved, heard, takeArp, takeIcmp };
}

describe('Host', () => {
  it.each(['10.0.0.1', '10.0.0.9'])('answers ARP for %s', targetIp => {
    const { takeArp } = hostWith();
    const answer = arpReply({
      srcMac: HOST_MAC,
      dstMac: PEER_MAC,
      senderIp: targetIp,
      targetIp: '10.0.0.2',
      padding: 0,
    });
    expect(takeArp(arpRequest({ ...PEER, dstMac: undefined, senderIp: '10.0.0.2', targetIp }))).toEqual([hex(answer)]);
  });

  it.each([
    ['a request for another address', arpRequest({ ...PEER, senderIp: '10.0.0.2', targetIp: '10.0.0.3' })],
    ['a reply', arpReply({ ...PEER, senderIp: '10.0.0.2', targetIp: '10.0.0.1' })],
    ['someone who claims our address', arpRequest({ ...PEER, senderIp: '10.0.0.1', targetIp: '10.0.0.1' })],
    ['a request cut short', arpRequest({ ...PEER, senderIp: '10.0.0.2', targetIp: '10.0.0.1' }).slice(0, 41)],
  ])('says nothing to %s', (_, frame) => {
    expect(hostWith().takeArp(frame)).toEqual([]);
  });

  it('asks for its neighbours at once and then every 200 ms, until they answer', () => {
    const { host, heard, takeArp, resolved } = hostWith([0x0a000002, 0x0a000003]);
    const question = (targetIp: string) =>
      hex(arpRequest({ srcMac: HOST_MAC, senderIp: '10.0.0.1', targetIp, padding: 0 })) + ' 00'.repeat(18);
    expect([host.poll(5), host.poll(6), host.due_ns]).toEqual([2, 0, 5 + ARP_RETRY_NS]);
    expect(heard()).toEqual([question('10.0.0.2'), question('10.0.0.3')]);
    takeArp(arpReply({ ...PEER, senderIp: '10.0.0.2', targetIp: '10.0.0.1' }));
    expect([host.resolved, host.unresolved()]).toEqual([false, [0x0a000003]]);
    expect(host.poll(5 + ARP_RETRY_NS)).toBe(1);
    expect(heard()).toEqual([question('10.0.0.3')]);
    takeArp(arpReply({ ...PEER, senderMac: '06:00:00:00:00:03', senderIp: '10.0.0.3', targetIp: '10.0.0.1' }));
    expect([host.resolved, host.poll(1e12), host.due_ns]).toEqual([true, 0, Number.POSITIVE_INFINITY]);
    expect(resolved.map(({ address, macHigh, macLow }) => [address, macHigh, macLow])).toEqual([
      [0x0a000002, 0x0200, 2],
      [0x0a000003, 0x0600, 3],
    ]);
  });

  it('learns from a question, follows a neighbour that moves, ignores strangers', () => {
    const { takeArp, resolved, host } = hostWith([0x0a000002]);
    takeArp(arpRequest({ ...PEER, senderIp: '10.0.0.5', targetIp: '10.0.0.1' }));
    expect(resolved).toEqual([]);
    takeArp(arpRequest({ ...PEER, senderIp: '10.0.0.2', targetIp: '10.0.0.1' }));
    takeArp(arpRequest({ ...PEER, senderIp: '10.0.0.2', targetIp: '10.0.0.1' }));
    takeArp(arpReply({ ...PEER, senderMac: '02:00:00:00:00:07', senderIp: '10.0.0.2', targetIp: '10.0.0.1' }));
    expect(resolved.map(({ macLow }) => macLow)).toEqual([2, 7]);
    expect(host.resolved).toBe(true);
  });

  it('answers a ping, byte for byte', () => {
    const ping = { identifier: 7, sequence: 1 };
    const answer = icmpEcho({
      srcMac: HOST_MAC,
      dstMac: PEER_MAC,
      src: '10.0.0.1',
      dst: '10.0.0.2',
      type: 'reply',
      ...ping,
    });
    expect(hostWith().takeIcmp(icmpEcho({ ...PEER, src: '10.0.0.2', dst: '10.0.0.1', ...ping }))).toEqual([
      hex(answer),
    ]);
  });

  it.each([
    [
      'a ping with a bad checksum',
      icmpEcho({ ...PEER, src: '10.0.0.2', dst: '10.0.0.1', identifier: 1, sequence: 1, checksum: 'bad' }),
    ],
    ['a pong', icmpEcho({ ...PEER, src: '10.0.0.2', dst: '10.0.0.1', identifier: 1, sequence: 1, type: 'reply' })],
  ])('says nothing to %s', (_, frame) => {
    expect(hostWith().takeIcmp(frame)).toEqual([]);
  });

  it('leaves the verdict of what it does not answer alone', () => {
    const { batch, takeArp } = hostWith();
    takeArp(arpReply({ ...PEER, senderIp: '10.0.0.2', targetIp: '10.0.0.1' }));
    expect(batch[ROW_VERDICT]).toBe(-1);
  });
});
