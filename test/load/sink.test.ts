import { describe, expect, it } from 'vitest';
import { GENERATOR_BYTES, Generator } from '../../src/load/generator.ts';
import { KeyNames } from '../../src/load/keys.ts';
import { type LoadOptionsInput, parseLoadOptions } from '../../src/load/options.ts';
import { SINK_BYTES, Sink } from '../../src/load/sink.ts';
import { PHASE_MEASURE } from '../../src/load/tally.ts';
import { ValueRule } from '../../src/load/values.ts';
import { Arena } from '../../src/mem/arena.ts';
import { loopbackByteLength, openLoopback } from '../../src/port/loopback.ts';
import { ROW_LENGTH, ROW_OFFSET, ROW_WORDS } from '../../src/port/port.ts';
import { arpReply, arpRequest, hex, icmpEcho, udpFrame } from '../support/frames.ts';
import { CLIENT, GENERATOR_MAC, loadOptions, SERVER, SERVER_MAC } from './model.ts';

const ENDPOINT = { address: 0x0a000002, port: 11211 };
const TO_SINK = { srcMac: GENERATOR_MAC, dstMac: SERVER_MAC, src: CLIENT, dst: SERVER, sport: 20_001, dport: 11211 };
const FROM_SINK = { srcMac: SERVER_MAC, dstMac: GENERATOR_MAC, src: SERVER, dst: CLIENT, sport: 11211, dport: 20_001 };

function sinkWith(mode: 'answer' | 'drop', valueBytes: [min: number, max: number] = [64, 64]) {
  const arena = Arena.create(2 * loopbackByteLength() + GENERATOR_BYTES + SINK_BYTES);
  const { near, far } = openLoopback({ near: { arena }, far: { arena } });
  const sink = new Sink(far, arena, {
    endpoint: ENDPOINT,
    mode,
    names: new KeyNames(16),
    values: new ValueRule(...valueBytes),
  });
  /** What comes back for a frame; undefined for nothing. */
  const ask = (frame: Uint8Array) => {
    const batch = new Int32Array(4 * ROW_WORDS);
    far.inject(frame);
    sink.cycle();
    const rows = near.receive(batch, 4);
    near.release(batch, rows);
    const offset = batch[ROW_OFFSET] as number;
    return rows === 0 ? undefined : hex(arena.bytes.slice(offset, offset + (batch[ROW_LENGTH] as number)));
  };
  return { arena, near, far, sink, ask };
}

const message = (text: string) => Buffer.concat([Buffer.from('abcd000000010000', 'hex'), Buffer.from(text)]);

describe('Sink', () => {
  it.each<[options: Partial<LoadOptionsInput>]>([[{}], [{ valueBytes: [12, 1300] }], [{ checksum: 'full' }]])(
    'a generator with %j finds every answer right',
    options => {
      const parsed = parseLoadOptions(loadOptions({ getRatio: 0.8, window: 32, ...options }));
      const range = [parsed.valueBytes].flat() as [number, number?];
      const { arena, near, sink } = sinkWith('answer', [range[0], range[1] ?? range[0]]);
      const generator = new Generator(near, arena, parsed);
      let now = 0;
      const until = (isDone: () => boolean) => {
        for (; !isDone(); now += 10_000) {
          generator.cycle(now);
          sink.cycle();
          if (now > 1e10) throw new Error('not done');
        }
      };
      until(() => generator.resolved);
      generator.startPrefill();
      until(() => generator.prefill.done);
      generator.startLoad(PHASE_MEASURE, now);
      until(() => generator.tally.replies(PHASE_MEASURE) >= 2000);
      generator.stop();
      until(() => generator.outstanding === 0);
      const counts = generator.tally.phase(PHASE_MEASURE);
      expect(generator.tally.totals()).toMatchObject({ lost: 0, wrong: 0 });
      expect([counts.hits, counts.stored]).toEqual([counts.get_requests, counts.set_requests]);
      expect([sink.gets, sink.sets - parsed.keyCount]).toEqual([counts.get_requests, counts.set_requests]);
    },
  );

  it.each([
    ['a SET', 'set a 0 0 1\r\nx\r\n', 'STORED\r\n'],
    ["a GET of a key that is no generator's", 'get somebody\r\n', 'END\r\n'],
    ['a GET of several keys', 'get keysteer00000001 keysteer00000002\r\n', 'END\r\n'],
  ])('answers %s in its own frame, byte for byte', (_, request, reply) => {
    const { ask } = sinkWith('answer');
    expect(ask(udpFrame({ ...TO_SINK, payload: message(request) }))).toBe(
      hex(udpFrame({ ...FROM_SINK, payload: message(reply), checksum: 'partial' })),
    );
  });

  it.each([
    ['another verb', { payload: message('delete a\r\n') }],
    ['a frame header alone', { payload: message('') }],
    ['another port', { dport: 11212, payload: message('get a\r\n') }],
    ['another address', { dst: '10.0.0.3', payload: message('get a\r\n') }],
    ['IPv4 options', { options: [1, 1, 1, 0], payload: message('get a\r\n') }],
  ])('ignores %s', (_, change) => {
    const { sink, ask } = sinkWith('answer');
    expect(ask(udpFrame({ ...TO_SINK, ...change }))).toBeUndefined();
    expect([sink.gets, sink.sets, sink.ignored]).toEqual([0, 0, 1]);
  });

  it('drop: counts, and is silent but for ARP and ping', () => {
    const { sink, ask } = sinkWith('drop');
    expect(ask(udpFrame({ ...TO_SINK, payload: message('get a\r\n') }))).toBeUndefined();
    expect(ask(udpFrame({ ...TO_SINK, payload: message('set a 0 0 1\r\nx\r\n') }))).toBeUndefined();
    expect([sink.gets, sink.sets]).toEqual([1, 1]);
    const question = arpRequest({ srcMac: GENERATOR_MAC, senderIp: CLIENT, targetIp: SERVER });
    const answer = arpReply({ srcMac: SERVER_MAC, dstMac: GENERATOR_MAC, senderIp: SERVER, targetIp: CLIENT });
    expect(ask(question)).toBe(hex(answer));
    const ping = { identifier: 1, sequence: 2 };
    const { srcMac, dstMac, src, dst } = TO_SINK;
    expect(ask(icmpEcho({ srcMac, dstMac, src, dst, ...ping }))).toBe(
      hex(icmpEcho({ srcMac: dstMac, dstMac: srcMac, src: dst, dst: src, type: 'reply', ...ping })),
    );
  });
});
