/** The gatekeeper at work in a lane: who is refused, what is withheld, and a flood of forged sources. */
import { describe, expect, it } from 'vitest';
import { sourceRanges } from '../../src/dataplane/source-ranges.ts';
import { KNOWN_AFTER_MS } from '../../src/dataplane/source-table.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import {
  ALICE,
  address,
  type BedOptions,
  BOB,
  binaryRequest,
  CLIENT_ID,
  errorAnswer,
  type Host,
  LaneBed,
  reply,
  request,
  toClient,
} from '../support/lane-bed.ts';
import { decodeStrict } from '../support/strict-decoder.ts';
import { checkRows, type Row } from './rows.ts';

const GET = 'get k\r\n';
const MISS = 'END\r\n';
const OFFICE = sourceRanges([{ address: address('10.77.0.0'), prefixLength: 24 }], [address(BOB.ip)]);

const watching = (gate: BedOptions['gate'] = {}, options: BedOptions = {}): BedOptions => ({
  ...options,
  gate: { watches: true, ...gate },
});

describe('a request that the gatekeeper refuses is dropped in silence', () => {
  const refused = (name: string, client: Host, reason: string): Row => {
    return { name, frame: request(GET, { client }), counted: `refused_${reason}`, bed: watching({ ranges: OFFICE }) };
  };
  checkRows([
    refused('not in the allow-list', { ...ALICE, ip: '10.99.0.1' }, 'source'),
    refused('cut out of it', BOB, 'source'),
  ]);

  it('and one in the list passes', () => {
    const bed = new LaneBed(watching({ ranges: OFFICE }));
    expect(bed.hear('client', request(GET)).counted).toEqual({ requests: 1, reads: 1 });
  });

  it('beyond the rate of its source', () => {
    const bed = new LaneBed(watching({ requestsPerSecond: 2 }));
    makeKnown(bed, ALICE);
    const { counted } = bed.hear('client', [request(GET), request(GET), request(GET), request('frob\r\n')]);
    expect(counted).toEqual({ requests: 1, reads: 1, refused_rate: 3 });
    expect(bed.hear('client', request(GET, { client: BOB })).counted).toEqual({ requests: 1, reads: 1 });
    expect(bed.unaccounted()).toBe(0);
  });

  it('beyond its response bytes, which replies, errors and answers of the NF’s own count for', () => {
    const bed = new LaneBed(watching({ responseBytesPerSecond: 1000 }));
    makeKnown(bed, ALICE);
    const left = () => bed.hear('client', request('frob\r\n')).counted;
    for (let spent = 0; spent + 15 <= 1000; spent += 15) expect(left()).toEqual({ refused_verb: 1, error_answers: 1 });
    expect(left()).toEqual({ refused_verb: 1, answers_withheld: 1 });
    bed.nowMs += 1000;
    bed.hear('client', request(GET));
    const big = reply(`VALUE k 0 900\r\n${'x'.repeat(900)}\r\nEND\r\n`, { slot: 2 });
    expect(bed.hear('server', big).counted).toEqual({ replies: 1 });
    expect(bed.hear('client', request('version\r\n')).counted).toEqual({ local_answers: 1 });
    expect(bed.hear('client', request('stats\r\n')).counted).toEqual({ local_answers: 1, answers_withheld: 1 });
    bed.hear('client', request(GET));
    const { sent, counted } = bed.hear('server', reply(`VALUE k 0 100\r\n${'x'.repeat(100)}\r\nEND\r\n`, { slot: 3 }));
    expect([sent, counted]).toEqual([[], { drop_reply_over_budget: 1 }]);
    expect(bed.hear('server', reply(MISS, { slot: 3 })).counted).toEqual({ drop_reply_no_slot: 1 });
    expect(bed.unaccounted()).toBe(0);
  });

  it('beyond its response bytes, which replies in pieces count for, too', () => {
    const bed = new LaneBed(watching({ responseBytesPerSecond: 2000 }, { clientMtu: 600 }));
    makeKnown(bed, ALICE);
    const big = (slot: number) =>
      reply(`VALUE k 0 900\r\n${'x'.repeat(900)}\r\nEND\r\n`, { slot, dontFragment: false });
    bed.nowMs += 1000;
    for (const slot of [2, 3]) {
      bed.hear('client', request(GET));
      expect(bed.hear('server', big(slot)).sent).toHaveLength(2);
    }
    bed.hear('client', request(GET));
    expect(bed.hear('server', big(4))).toEqual({ sent: [], counted: { drop_reply_over_budget: 1 } });
    expect(bed.unaccounted()).toBe(0);
  });

  it('beyond the ratio of what it is sent to what it sends', () => {
    const bed = new LaneBed(watching({ responseRatioMax: 10 }, { slots: 4096 }));
    makeKnown(bed, ALICE);
    const value = `VALUE k 0 1300\r\n${'x'.repeat(1300)}\r\nEND\r\n`;
    let slot = 2;
    let out = 0;
    let asked = 2 * (8 + GET.length);
    for (let n = 0; n < 200; n++) {
      asked += 8 + GET.length;
      const { counted } = bed.hear('client', request(GET));
      if (counted.requests !== 1) continue;
      for (const { frame } of bed.hear('server', reply(value, { slot })).sent) out += frame.length - 42;
      slot++;
    }
    expect(out).toBeGreaterThan(65_536);
    expect(out).toBeLessThanOrEqual(65_536 + 10 * asked);
    expect(bed.count('refused_ratio') + bed.count('drop_reply_over_budget')).toBeGreaterThan(100);
  });

  it('with more than its share of the slots, when seven in eight of them wait: the rest is for others', () => {
    const bed = new LaneBed(watching({}, { slots: 64, replyLifetimeMs: 1000 }));
    makeKnown(bed, ALICE);
    makeKnown(bed, BOB);
    const ask = (client: Host) => bed.hear('client', request(GET, { client })).counted;
    let taken = 0;
    while (ask(ALICE).requests === 1) taken++;
    expect(taken).toBeGreaterThanOrEqual(52);
    expect(taken).toBeLessThan(62);
    expect(ask(ALICE)).toEqual({ refused_share: 1 });
    for (let n = 0; n < 4; n++) expect(ask(BOB)).toMatchObject({ requests: 1 });
    bed.nowMs += 1001;
    expect(ask(ALICE)).toMatchObject({ requests: 1 });
  });

  it('noreply and quiet misses hold no slot', () => {
    const bed = new LaneBed(watching({}, { slots: 8 }));
    makeKnown(bed, ALICE);
    const silent = request('set k 0 0 1 noreply\r\nx\r\n');
    for (let n = 0; n < 100; n++) expect(bed.hear('client', silent).counted).toEqual({ requests: 1, writes: 1 });
    for (let n = 0; n < 100; n++) {
      const slot = (2 + 100 + n) % 8;
      expect(bed.hear('client', request(binaryRequest({ opcode: 9, key: 'k' }))).counted.requests).toBe(1);
      expect(bed.hear('server', reply('', { slot, total: 0 }))).toEqual({ sent: [], counted: { quiet_misses: 1 } });
    }
    expect(bed.unaccounted()).toBe(0);
  });
});

it('new rules are taken up at the next cycle', () => {
  const bed = new LaneBed(watching());
  makeKnown(bed, BOB);
  expect(bed.publishGate({ watches: true, ranges: OFFICE })).toBe(true);
  expect(bed.hear('client', request(GET, { client: BOB })).counted).toEqual({ refused_source: 1 });
  expect(bed.publishGate({ watches: false })).toBe(true);
  expect(bed.publishGate({ watches: false })).toBe(false);
  expect(bed.hear('client', request(GET, { client: BOB })).counted).toEqual({ requests: 1, reads: 1 });
});

describe('slots of newcomers', () => {
  it('are the last of the table, and known sources never get them', () => {
    const bed = new LaneBed(watching({}, { slots: 16, newcomerSlots: 4 }));
    const slotOf = (client: Host) => slotsOf(bed, [client])[0];
    expect([slotOf(ALICE), slotOf(BOB), slotOf(ALICE)]).toEqual([12, 13, 14]);
    bed.nowMs += KNOWN_AFTER_MS;
    expect([slotOf(ALICE), slotOf(ALICE)]).toEqual([0, 1]);
    const eve = { ...ALICE, ip: '10.77.0.9' };
    expect(slotOf(eve)).toBe(15);
    expect(bed.hear('client', request(GET, { client: eve })).counted).toEqual({
      refused_newcomers: 1,
      slots_skipped: 16,
    });
    expect(slotsOf(bed, Array(2).fill(BOB))).toEqual([2, 3]);
    const [sent] = bed.hear('server', reply(MISS, { slot: 13 })).sent;
    expect(sent?.frame).toEqual(toClient(MISS, { client: BOB, id: CLIENT_ID }));
    expect(slotOf(eve)).toBe(13);
  });
});

/** Asks twice, far enough apart, and has both answered with a miss: slots 0 and 1 of a fresh bed. */
function makeKnown(bed: LaneBed, client: Host): void {
  for (const slot of [0, 1]) {
    bed.hear('client', request(GET, { client }));
    bed.hear('server', reply(MISS, { slot }));
    bed.nowMs += KNOWN_AFTER_MS;
  }
}

/** Slots that these requests take. */
function slotsOf(bed: LaneBed, clients: readonly Host[]): number[] {
  const frames = clients.map(client => request(GET, { client }));
  return bed.hear('client', frames).sent.map(({ frame }) => {
    const udp = decodeStrict(frame);
    return udp.kind === 'udp' ? (udp.payload[0]! << 8) | udp.payload[1]! : -1;
  });
}

/**
 * The guarantee (gatekeeper.ts, 2 and 3): a client that is known loses nothing to a flood of forged sources, as long as
 * the lane keeps up. Here 10^6 sources ask once each, at 100,000 a second, and no node ever answers them; beside them an
 * honest client asks once a millisecond.
 */
describe('a flood of a million forged sources', () => {
  const FLOOD = 1_000_000;
  const PER_MS = 100;
  const SLOTS = 4096;

  function flood(options: BedOptions, sources = FLOOD): { bed: LaneBed; asked: number; answered: number } {
    const bed = new LaneBed({ slots: SLOTS, replyLifetimeMs: 1000, ...options });
    makeKnownAnySlot(bed);
    const forged = request(GET, { checksum: 'zero', client: { ...ALICE, mac: '02:00:00:00:00:99' } });
    const view = new DataView(forged.buffer, forged.byteOffset);
    let random = 1;
    let asked = 0;
    let answered = 0;
    for (let sent = 0; sent < sources; ) {
      for (let n = 0; n < PER_MS; n++, sent++) {
        random = (Math.imul(random, 1664525) + 1013904223) | 0;
        // 11.0.0.0/8 and up: none is Alice, and all may be clients.
        ipv4.setSource(view, 14, (11 << 24) + ((random >>> 1) % 0x60000000));
        ipv4.setChecksum(view, 14, ipv4.computeChecksum(view, 14));
        bed.inject('client', forged);
        if (n % 50 === 49) bed.turnQuietly();
      }
      bed.nowMs += 1;
      asked++;
      answered += askAndAnswer(bed) ? 1 : 0;
    }
    return { bed, asked, answered };
  }

  /** Alice asks; her node answers when it hears of it. */
  function askAndAnswer(bed: LaneBed): boolean {
    const { sent } = bed.hear('client', request(GET));
    const slots = sent.filter(({ side }) => side === 'server').map(({ frame }) => (frame[42]! << 8) | frame[43]!);
    if (slots.length !== 1) return false;
    const told = bed.hear('server', reply(MISS, { slot: slots[0]! })).sent;
    return told.length === 1 && Buffer.from(told[0]!.frame).equals(Buffer.from(toClient(MISS)));
  }

  function makeKnownAnySlot(bed: LaneBed): void {
    for (let n = 0; n < 2; n++) {
      expect(askAndAnswer(bed)).toBe(true);
      bed.nowMs += KNOWN_AFTER_MS;
    }
  }

  it('takes nothing from an honest client', () => {
    const { bed, asked, answered } = flood({ newcomerSlots: SLOTS / 4, gate: { watches: true } });
    expect([asked, answered]).toEqual([FLOOD / PER_MS, FLOOD / PER_MS]);
    expect(bed.count('refused_newcomers')).toBeGreaterThan(FLOOD * 0.9);
    expect(bed.count('error_answers')).toBe(0);
    expect(bed.count('requests')).toBeLessThanOrEqual(FLOOD / PER_MS + 2 + (SLOTS / 4) * 11);
    expect(bed.unaccounted()).toBe(0);
  });

  it('also when newcomers are limited in number: then their slots are hardly touched', () => {
    const gate = { watches: true, newcomersPerSecond: 50 };
    const { bed, asked, answered } = flood({ newcomerSlots: SLOTS / 4, gate }, FLOOD / 5);
    expect(answered).toBe(asked);
    expect(bed.count('requests')).toBeLessThanOrEqual(asked + 2 + 50 * 3 + 50);
  });

  it('would take nearly everything without a gatekeeper: the test above can fail', () => {
    const { bed, asked, answered } = flood({ gate: { watches: false } }, FLOOD / 5);
    expect(answered).toBeLessThan(asked / 2);
    expect(bed.count('refused_busy')).toBeGreaterThan(FLOOD / 10);
  });
});

it('an answer of the NF’s own to a source that is not allowed is none', () => {
  const bed = new LaneBed(watching({ ranges: OFFICE }));
  for (const body of ['version\r\n', 'stats\r\n', 'frob\r\n']) {
    expect(bed.hear('client', request(body, { client: BOB }))).toEqual({ sent: [], counted: { refused_source: 1 } });
    expect(bed.hear('client', request(body, { client: ALICE })).sent).toHaveLength(1);
  }
  expect(bed.hear('client', request('frob\r\n')).sent[0]?.frame).toEqual(errorAnswer('ERROR\r\n'));
});
