/** Requests to nodes that wait for the next batches, where a batch is answered mostly here. */
import { describe, expect, it } from 'vitest';
import { type LaneBed, MC1, MC2, MC3, type Outcome } from '../support/lane-bed.ts';
import { ALICE, BOB, request } from '../support/lane-bed-frames.ts';
import { decodeRequestDatagram } from '../support/strict-decoder.ts';
import { HotBed } from './hot/hot-bed.ts';

const HIT = 'get k\r\n';

/** A lane with one hot key, `k`. */
function bedWithHotKey(): LaneBed {
  const hot = new HotBed();
  hot.say('set k 0 0 3\r\nabc\r\n');
  hot.promote('k');
  hot.say(HIT);
  return hot.bed;
}

const hits = (count: number) => Array.from({ length: count }, () => request(HIT, { client: BOB }));
const misses = (...keys: readonly string[]) => keys.map(key => request(`get ${key}\r\n`, { client: ALICE }));

/** What nodes are asked, in order. */
function asked({ sent }: Outcome): string[] {
  return sent
    .filter(({ side }) => side === 'server')
    .map(({ frame }) => Buffer.from(decodeRequestDatagram(frame.subarray(42)).body).toString('latin1'))
    .map(body => body.replace('get ', '').trim());
}

const isTo = (frame: Uint8Array, { ip }: { readonly ip: string }) => frame.subarray(30, 34).join('.') === ip;
const answered = ({ sent }: Outcome) => sent.filter(({ side }) => side === 'client').length;
const numbered = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i}`);

describe('requests of a batch that is answered mostly here', () => {
  it('wait while the answers leave, and go in a cycle in which nobody asks', () => {
    const bed = bedWithHotKey();
    const first = bed.hear('client', [...hits(6), ...misses('a', 'b'), ...hits(6)]);
    expect([answered(first), asked(first)]).toEqual([12, []]);
    expect(first.counted).toMatchObject({ requests: 2, hot_hits: 12 });
    const second = bed.turn();
    expect([answered(second), asked(second).sort()]).toEqual([0, ['a', 'b']]);
    expect(asked(bed.turn())).toEqual([]);
    expect(bed.unaccounted()).toBe(0);
  });

  it('are what they would be at once, byte for byte', () => {
    const [held, atOnce] = [bedWithHotKey(), bedWithHotKey()];
    held.hear('client', [...hits(12), ...misses('a', 'b', 'a')]);
    const later = held.turn().sent.map(({ frame }) => Buffer.from(frame).toString('hex'));
    atOnce.hear('client', hits(12));
    const outcome = atOnce.hear('client', misses('a', 'b', 'a'));
    expect(later).toEqual(outcome.sent.map(({ frame }) => Buffer.from(frame).toString('hex')));
    expect(later).toHaveLength(3);
  });

  it('wait for two batches more at most', () => {
    const bed = bedWithHotKey();
    const batch = (...keys: readonly string[]) => asked(bed.hear('client', [...hits(12), ...misses(...keys)]));
    expect([batch('a1'), batch('a2'), batch('a3').sort()]).toEqual([[], [], ['a1', 'a2', 'a3']]);
    expect([batch('b1'), batch(), batch().sort(), batch()]).toEqual([[], [], ['b1'], []]);
  });

  it('of one node keep their order, and leave ahead of the batch that sends them off', () => {
    const bed = bedWithHotKey();
    bed.hear('client', [...hits(12), ...misses('a', 'b', 'c')]);
    bed.hear('client', [...hits(12), ...misses('d')]);
    const sent = bed.hear('client', misses('a', 'b', 'c', 'd')).sent.filter(({ side }) => side === 'server');
    for (const node of [MC1, MC2, MC3]) {
      const keys = asked({ sent: sent.filter(({ frame }) => isTo(frame, node)), counted: {} });
      // Those that were held, then the same keys again.
      expect(keys.slice(keys.length / 2)).toEqual(keys.slice(0, keys.length / 2));
    }
    expect(sent).toHaveLength(8);
  });

  it.each([
    ['fewer than twelve', [...hits(6), ...misses('a', 'b', 'c', 'd', 'e')], 5],
    ['most of them for nodes', [...hits(6), ...misses(...numbered('a', 7))], 7],
  ])('do not wait: %s', (_, batch, count) => {
    const bed = bedWithHotKey();
    expect(asked(bed.hear('client', batch))).toHaveLength(count);
  });

  it('leave at once when there are plenty', () => {
    const bed = bedWithHotKey();
    const batch = (name: string) => asked(bed.hear('client', [...hits(32), ...misses(...numbered(name, 16))]));
    expect(batch('a')).toEqual([]);
    expect(batch('b').sort()).toEqual([...numbered('a', 16), ...numbered('b', 16)].sort());
    expect(asked(bed.turn())).toEqual([]);
  });

  it('one that no place holds takes the others along', () => {
    const bed = bedWithHotKey();
    const large = request(`set large 0 0 400\r\n${'v'.repeat(400)}\r\n`, { client: ALICE });
    const sent = asked(bed.hear('client', [...hits(12), ...misses('a'), large, ...misses('b')]));
    expect(sent.map(body => body.slice(0, 9)).sort()).toEqual(['a', 'b', 'set large']);
    expect(asked(bed.turn())).toEqual([]);
  });

  it('the longest get has a place', () => {
    const bed = bedWithHotKey();
    expect(asked(bed.hear('client', [...hits(12), ...misses('x'.repeat(250))]))).toEqual([]);
    expect(asked(bed.turn())).toEqual(['x'.repeat(250)]);
  });

  it('leave before the lane ends', () => {
    const bed = bedWithHotKey();
    bed.hear('client', [...hits(12), ...misses('a')]);
    bed.lane().leave();
    expect(bed.lane().path.serverPort.counters).toBeDefined();
    expect(asked(bed.turn())).toEqual(['a']);
  });

  it('are answered like any other', () => {
    const hot = new HotBed();
    for (const key of ['k', 'a', 'b']) hot.say(`set ${key} 0 0 1\r\n${key}\r\n`);
    hot.promote('k');
    const heard = hot.askTogether([...Array(12).fill(HIT), 'get a\r\n', 'get b\r\n']);
    expect(heard.map(({ body }) => body).filter(body => !body.startsWith('VALUE k'))).toEqual([
      'VALUE a 0 1\r\na\r\nEND\r\n',
      'VALUE b 0 1\r\nb\r\nEND\r\n',
    ]);
    expect(heard).toHaveLength(14);
  });
});
