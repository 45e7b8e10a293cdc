/** Requests to nodes that wait for the next batches, where a batch is answered mostly here. */
import { describe, expect, it } from 'vitest';
import { HOLDING_BYTES, Holding } from '../../src/dataplane/holding.ts';
import { Arena } from '../../src/mem/arena.ts';
import {
  CHECKSUM_START_SHIFT,
  DROP,
  FLAG_PARTIAL_CHECKSUM,
  type Port,
  REFUSED,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_GROUP_SHIFT,
} from '../../src/port/port.ts';
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

  it.each([
    ['whole checksums', 'full', 0],
    ['partial ones', 'partial', FLAG_PARTIAL_CHECKSUM | (34 << CHECKSUM_START_SHIFT)],
  ] as const)('are what they would be at once, byte for byte, flags as well: %s', (_, checksum, flags) => {
    const [held, atOnce] = [bedWithHotKey(), bedWithHotKey()];
    const hitting = Array.from({ length: 12 }, () => request(HIT, { client: BOB, checksum }));
    const missing = ['a', 'b', 'a'].map(key => request(`get ${key}\r\n`, { client: ALICE, checksum }));
    held.hear('client', [...hitting, ...missing], { flags });
    const later = held.turn().sent;
    atOnce.hear('client', hitting, { flags });
    expect(later).toEqual(atOnce.hear('client', missing, { flags }).sent);
    expect(later.map(sent => sent.flags)).toEqual([flags, flags, flags]);
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

  it.each([
    ['a write', 'set a 0 0 1\r\nx\r\n'],
    ['a read of another protocol', 'mg a v\r\n'],
  ])('%s leaves at once, ahead of them', (_, body) => {
    const bed = bedWithHotKey();
    const other = request(body, { client: ALICE });
    const sent = asked(bed.hear('client', [...hits(12), ...misses('b'), other, ...misses('c')]));
    expect(sent).toEqual([body.trim()]);
    expect(asked(bed.turn()).sort()).toEqual(['b', 'c']);
  });

  it('a get behind IP options leaves at once', () => {
    const bed = bedWithHotKey();
    const other = request('get a\r\n', { client: ALICE, options: [1, 1, 1, 1] });
    const { sent } = bed.hear('client', [...hits(12), other]);
    expect(sent.filter(({ side }) => side === 'server')).toHaveLength(1);
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
    expect(asked({ sent: bed.sent(), counted: {} })).toEqual(['a']);
  });

  it('are counted when their lane dies', () => {
    const bed = bedWithHotKey();
    bed.hear('client', [...hits(12), ...misses('a', 'b')]);
    bed.restart();
    expect(bed.count('drop_lane_crash')).toBe(2);
    expect(asked(bed.turn())).toEqual([]);
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

describe('of the rows of a batch', () => {
  const NODES_PORT = 2;
  const row = (port: number, group: number) => port | (group << VERDICT_GROUP_SHIFT);

  it('those for nodes are held, by their port and group; answers, on the same port too, are not', () => {
    const arena = Arena.create(HOLDING_BYTES + 65_536);
    const sent: number[] = [];
    const port = {
      id: NODES_PORT,
      transmit: (rows: Int32Array, count: number) => {
        for (let i = 0; i < count; i++) sent.push(rows[i * ROW_WORDS + ROW_VERDICT]!);
        return count;
      },
    } as Port;
    const holding = new Holding(arena, arena.allocate(HOLDING_BYTES), port);
    const verdicts = [row(NODES_PORT, 1), row(NODES_PORT, 0), row(3, 1), DROP, REFUSED, row(NODES_PORT, 7)];
    const batch = new Int32Array(verdicts.length * ROW_WORDS);
    for (const [i, verdict] of verdicts.entries()) {
      const offset = arena.allocate(256) + 64;
      const [frame] = misses('a') as [Uint8Array];
      arena.bytes.set(frame, offset);
      batch.set([offset, frame.length, 0, verdict], i * ROW_WORDS);
    }
    holding.turn(batch, verdicts.length, 12, 2);
    expect(verdicts.map((_, i) => batch[i * ROW_WORDS + ROW_VERDICT])).toEqual([DROP, ...verdicts.slice(1, 5), DROP]);
    expect([holding.count, sent]).toEqual([2, []]);
    holding.flush();
    expect([holding.count, sent]).toEqual([0, [row(NODES_PORT, 1), row(NODES_PORT, 7)]]);
  });
});
