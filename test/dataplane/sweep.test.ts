/** What clients of a node that is down are told, exact to the byte; and what they are not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DOWN } from '../../src/dataplane/health-block.ts';
import { KNOWN_AFTER_MS } from '../../src/dataplane/source-table.ts';
import { hex } from '../support/frames.ts';
import {
  ALICE,
  type BedOptions,
  BOB,
  binaryRequest,
  binaryResponse,
  LaneBed,
  MC1,
  MC2,
  type Outcome,
  reply,
  request,
  toClient,
} from '../support/lane-bed.ts';

const GET = 'get k\r\n';
const MISS = 'END\r\n';
/** Slots of sources that are not known yet are a circle of their own. */
const NEWCOMERS: BedOptions = { slots: 16, newcomerSlots: 4, gate: { watches: true } };

function padded(frame: Uint8Array): string {
  const bytes = new Uint8Array(Math.max(60, frame.length));
  bytes.set(frame);
  return hex(bytes);
}

const missTo = (body: string, fields: Parameters<typeof toClient>[1] = {}) =>
  padded(toClient(body, { ttl: 64, ...fields }));
const sent = ({ sent: frames }: Outcome) => frames.map(({ frame }) => hex(frame));

/** As control does it: down, out of steering, sweep. */
function fall(bed: LaneBed, node = 0): void {
  bed.health.set(node, DOWN, 1);
  bed.health.announceSweep();
}

describe('a sweep', () => {
  it('a read that waits for the node ends as a miss, under its own id', () => {
    const bed = new LaneBed();
    bed.hear('client', request(GET, { id: 0x1234 }));
    fall(bed);
    const outcome = bed.wait(50);
    expect(sent(outcome)).toEqual([missTo(MISS, { id: 0x1234 })]);
    expect(outcome.sent[0]!.side).toBe('client');
    expect(outcome.counted).toEqual({ misses_answered: 1 });
    expect(sent(bed.wait(50))).toEqual([]);
  });

  it('once: the answer that comes after all is dropped', () => {
    const bed = new LaneBed();
    bed.hear('client', request(GET));
    fall(bed);
    bed.turn();
    expect(bed.hear('server', reply('END\r\n')).counted).toEqual({ drop_reply_no_slot: 1 });
  });

  it('each client its own', () => {
    const bed = new LaneBed();
    bed.hear('client', [request(GET, { client: BOB }), request('gets j\r\n', { client: ALICE, id: 7 })]);
    fall(bed);
    expect(sent(bed.turn())).toEqual([missTo(MISS, { id: 7 }), missTo(MISS, { client: BOB })]);
  });

  const forms: readonly (readonly [name: string, ask: string, miss: string])[] = [
    ['gat', 'gat 9 k\r\n', MISS],
    ['mg', 'mg k v\r\n', 'EN\r\n'],
    ['mg with opaque and key', 'mg key v k Oab\r\n', 'EN kkey Oab\r\n'],
    ['mg with a base64 key', 'mg a2V5 b k v\r\n', 'EN ka2V5 b\r\n'],
    [
      'binary get',
      binaryRequest({ opcode: 0, key: 'k' }),
      binaryResponse({ opcode: 0, status: 1, value: 'Not found' }),
    ],
    ['binary getk', binaryRequest({ opcode: 0x0c, key: 'k' }), binaryResponse({ opcode: 0x0c, status: 1, key: 'k' })],
  ];
  it.each(forms)('speaks the protocol of the request: %s', (_, ask, miss) => {
    const bed = new LaneBed();
    bed.hear('client', request(ask));
    fall(bed);
    expect(sent(bed.turn())).toEqual([missTo(miss)]);
  });

  it('speaks it also where the slot was used by another protocol before', () => {
    const bed = new LaneBed({ slots: 1024, firstSlot: 1023 });
    bed.hear('client', request('mg key k Oabc\r\n'));
    bed.hear('server', reply('EN kkey Oabc\r\n', { slot: 1023 }));
    for (let i = 0; i < 1023; i++) {
      bed.hear('client', request(GET));
      bed.hear('server', reply('END\r\n', { slot: i }));
    }
    bed.hear('client', request(GET));
    fall(bed);
    expect(sent(bed.turn())).toEqual([missTo(MISS)]);
  });

  const silent: readonly (readonly [name: string, ask: string])[] = [
    ['a store', 'set k 0 0 1\r\nx\r\n'],
    ['a noreply store', 'set k 0 0 1 noreply\r\nx\r\n'],
    ['delete', 'delete k\r\n'],
    ['touch', 'touch k 9\r\n'],
    ['incr', 'incr k 1\r\n'],
    ['a meta store', 'ms k 1\r\nx\r\n'],
    ['a binary store', binaryRequest({ opcode: 1, key: 'k', extras: '\0'.repeat(8), value: 'x' })],
    ['mg whose parts are too long to be kept', `mg ${'k'.repeat(60)} v k\r\n`],
  ];
  it.each(silent)('%s is not answered, and stays as it was', (_, ask) => {
    const bed = new LaneBed();
    bed.hear('client', request(ask));
    const before = bed.lane().path.memory.words.slice(...slotWords(bed));
    fall(bed);
    expect(bed.turn()).toEqual({ sent: [], counted: {} });
    expect(bed.lane().path.memory.words.slice(...slotWords(bed))).toEqual(before);
  });

  it('what the node answers to a store in the end goes to its client', () => {
    const bed = new LaneBed();
    bed.hear('client', request('set k 0 0 1\r\nx\r\n'));
    fall(bed);
    bed.turn();
    expect(bed.hear('server', reply('STORED\r\n')).counted).toEqual({ replies: 1 });
  });

  it('a quiet read: silence is its miss, and its slot is done with', () => {
    const bed = new LaneBed();
    bed.hear('client', request('mg k v q\r\n'));
    fall(bed);
    expect(bed.turn()).toEqual({ sent: [], counted: {} });
    expect(bed.hear('server', reply('HD\r\n')).counted).toEqual({ drop_reply_no_slot: 1 });
  });

  it('a value of which a part has come already is left alone', () => {
    const bed = new LaneBed();
    bed.hear('client', request(GET));
    bed.hear('server', reply('VALUE k 0 2000\r\nxx', { sequence: 0, total: 2 }));
    fall(bed);
    expect(sent(bed.turn())).toEqual([]);
    expect(bed.hear('server', reply('x\r\nEND\r\n', { sequence: 1, total: 2 })).counted).toEqual({ replies: 1 });
  });

  it('requests to other nodes wait on', () => {
    const bed = new LaneBed({ nodes: [MC1, MC2] });
    const keys = Array.from({ length: 40 }, (_, n) => `key-${n}`);
    bed.hear(
      'client',
      keys.map((key, id) => request(`get ${key}\r\n`, { id })),
    );
    fall(bed, 1);
    const { words } = bed.lane().path.memory;
    const toSecond = keys
      .map((_, slot) => slot)
      .filter(slot => words[bed.lane().path.slots.circles[0]!.word(slot) + 5]! >>> 16 === 1);
    expect(toSecond.length).toBeGreaterThan(5);
    expect(sent(bed.turn())).toEqual(toSecond.reverse().map(id => missTo(MISS, { id })));
  });

  it('a request past the reply lifetime is not answered: its client has long given up', () => {
    const bed = new LaneBed({ replyLifetimeMs: 100 });
    bed.hear('client', request(GET));
    bed.nowMs += 101;
    fall(bed);
    expect(sent(bed.turn())).toEqual([]);
  });

  it('a node that is up again meanwhile: nothing is said', () => {
    const bed = new LaneBed();
    bed.hear('client', request(GET));
    fall(bed);
    bed.health.set(0, DOWN, 0);
    expect(sent(bed.turn())).toEqual([]);
  });

  it('the whole table, some in each cycle, round its end; then it rests', () => {
    const bed = new LaneBed({ slots: 1024, firstSlot: 700, startMs: 5000 });
    for (let i = 0; i < 1024; i += 64) {
      bed.hear(
        'client',
        Array.from({ length: 64 }, (_, n) => request(GET, { id: i + n })),
      );
    }
    fall(bed);
    const told: string[] = [];
    for (let cycle = 0; cycle < 2; cycle++) {
      const { sent: frames, counted } = bed.turn();
      expect(counted.misses_answered).toBe(512);
      for (const { frame } of frames) told.push(hex(frame));
    }
    // Rings of the bed hold fewer frames than a cycle says: what fits is enough to tell the order.
    expect(told[0]).toBe(missTo(MISS, { id: 1023 }));
    expect(new Set(told).size).toBe(told.length);
    expect(bed.turn()).toEqual({ sent: [], counted: {} });
    expect(bed.lane().cycle(bed.nowMs)).toBe(0);
  });

  it('each lane its own table, once', () => {
    const bed = new LaneBed({ lanes: 2 });
    bed.hear('client', request(GET, { id: 1 }), { lane: 0 });
    bed.hear('client', request(GET, { id: 2 }), { lane: 1 });
    fall(bed);
    expect(sent(bed.turn(0))).toEqual([missTo(MISS, { id: 1 })]);
    expect(sent(bed.turn(1))).toEqual([missTo(MISS, { id: 2 })]);
    expect([bed.turn(0), bed.turn(1)].flatMap(sent)).toEqual([]);
  });

  it('one arm', () => {
    const bed = new LaneBed({ arms: 1 });
    bed.hear('client', request(GET));
    fall(bed);
    expect(sent(bed.turn())).toEqual([missTo(MISS)]);
  });

  it('known sources and newcomers', () => {
    const bed = new LaneBed(NEWCOMERS);
    bed.hear('client', request(GET, { client: ALICE, id: 1 }));
    bed.nowMs += KNOWN_AFTER_MS;
    bed.hear('client', [request(GET, { client: ALICE, id: 2 }), request(GET, { client: BOB, id: 3 })]);
    fall(bed);
    const ofAlice = [2, 1].map(id => missTo(MISS, { client: ALICE, id }));
    expect(sent(bed.turn())).toEqual([ofAlice[0], missTo(MISS, { client: BOB, id: 3 }), ofAlice[1]]);
    expect(bed.turn()).toEqual({ sent: [], counted: {} });
  });
});

describe('miss_after_ms', () => {
  const after = (ms: number, options: BedOptions = {}) => new LaneBed({ missAfterMs: ms, ...options });

  it('a read of any node that has waited so long ends as a miss', () => {
    const bed = after(200);
    bed.turn();
    bed.hear('client', request(GET));
    expect(sent(bed.wait(199))).toEqual([]);
    expect(sent(bed.wait(1))).toEqual([missTo(MISS)]);
    expect(sent(bed.wait(1))).toEqual([]);
  });

  it('one that was answered does not, and neither does a store; those behind them do', () => {
    const bed = after(200);
    bed.turn();
    bed.hear('client', [request(GET), request('delete k\r\n', { id: 2 }), request(GET, { id: 3 })]);
    bed.hear('server', reply('END\r\n'));
    expect(sent(bed.wait(200))).toEqual([missTo(MISS, { id: 3 })]);
  });

  it('each at its own time', () => {
    const bed = after(200);
    bed.turn();
    bed.hear('client', request(GET, { id: 1 }));
    bed.nowMs += 50;
    bed.hear('client', request(GET, { id: 2 }));
    expect(sent(bed.wait(150))).toEqual([missTo(MISS, { id: 1 })]);
    expect(sent(bed.wait(49))).toEqual([]);
    expect(sent(bed.wait(1))).toEqual([missTo(MISS, { id: 2 })]);
  });

  it('a newcomer’s, too', () => {
    const bed = after(200, NEWCOMERS);
    bed.turn();
    bed.hear('client', request(GET, { id: 1 }));
    expect(sent(bed.wait(200))).toEqual([missTo(MISS, { id: 1 })]);
  });

  it('0: nobody is told anything of a node that is up', () => {
    const bed = new LaneBed();
    bed.hear('client', request(GET));
    expect(sent(bed.wait(900))).toEqual([]);
  });
});

describe('a node that is down and kept', () => {
  it('its reads end as misses after 100 ms, those of others do not', () => {
    const bed = new LaneBed({ nodes: [MC1, MC2] });
    bed.health.set(0, DOWN, 1);
    bed.health.keep(1);
    bed.turn();
    const keys = Array.from({ length: 20 }, (_, n) => `key-${n}`);
    bed.hear(
      'client',
      keys.map((key, id) => request(`get ${key}\r\n`, { id })),
    );
    const { words } = bed.lane().path.memory;
    const ids = keys
      .map((_, slot) => slot)
      .filter(slot => words[bed.lane().path.slots.circles[0]!.word(slot) + 5]! >>> 16 === 0);
    expect(ids.length).toBeGreaterThan(2);
    expect(sent(bed.wait(99))).toEqual([]);
    expect(sent(bed.wait(1))).toEqual(ids.map(id => missTo(MISS, { id })));
    bed.health.keep(0);
    bed.hear('client', request(GET));
    expect(sent(bed.wait(500))).toEqual([]);
  });
});

it('property: whatever is asked and answered, a request gets at most one answer, and a read of a dead node one', () => {
  const ask = fc.record({ read: fc.boolean(), answered: fc.boolean(), gapMs: fc.nat(40) });
  fc.assert(
    fc.property(
      fc.array(ask, { minLength: 1, maxLength: 30 }),
      fc.nat(60),
      fc.nat(1023),
      (asks, missAfterMs, firstSlot) => {
        const bed = new LaneBed({ missAfterMs, firstSlot, replyLifetimeMs: 1000 });
        const answers = new Map<number, number>();
        const note = ({ sent: frames }: Outcome) => {
          for (const { side, frame } of frames) {
            const id = frame[42]! * 256 + frame[43]!;
            if (side === 'client') answers.set(id, (answers.get(id) ?? 0) + 1);
          }
        };
        bed.turn();
        for (const [id, { read, answered, gapMs }] of asks.entries()) {
          note(bed.hear('client', request(read ? GET : 'delete k\r\n', { id })));
          const slot = (firstSlot + id) & 1023;
          if (answered) note(bed.hear('server', reply(read ? 'END\r\n' : 'DELETED\r\n', { slot })));
          note(bed.wait(Math.min(gapMs, 20)));
        }
        fall(bed);
        note(bed.turn());
        note(bed.wait(1));
        for (const [id, { read, answered }] of asks.entries())
          expect(answers.get(id) ?? 0).toBe(read || answered ? 1 : 0);
      },
    ),
    { numRuns: 60 },
  );
});

/** The first slot's words. */
function slotWords(bed: LaneBed): [number, number] {
  const word = bed.lane().path.slots.circles[0]!.word(0);
  return [word, word + 8];
}
