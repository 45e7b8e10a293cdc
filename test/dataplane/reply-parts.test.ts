/** Replies of several datagrams: which belong together, and which are left over from another time. */
import { describe, expect, it } from 'vitest';
import { BOB, LaneBed, reply, request, toClient } from '../support/lane-bed.ts';

const GET = 'get k\r\n';
const HEAD = 'VALUE k 0 5000\r\nxxx';
const OTHER_HEAD = 'VALUE j 0 5000\r\nyyy';

const part = (body: string, sequence: number, total: number, slot = 0) => reply(body, { sequence, total, slot });

/** A bed with one request outstanding. */
function asked(options: ConstructorParameters<typeof LaneBed>[0] = {}): LaneBed {
  const bed = new LaneBed(options);
  bed.hear('client', request(GET));
  return bed;
}

describe('the datagrams of a reply', () => {
  it.each([
    ['another total in the second', [part(HEAD, 0, 4), part('x', 1, 5)], { replies: 1, drop_reply_stray: 1 }],
    ['a total of 1 in the second', [part(HEAD, 0, 4), part(HEAD, 0, 1)], { replies: 1, drop_reply_stray: 1 }],
    ['the first twice', [part(HEAD, 0, 4), part(HEAD, 0, 4)], { replies: 1, drop_reply_stray: 1 }],
    ['the second twice', [part(HEAD, 0, 4), part('x', 1, 4), part('x', 1, 4)], { replies: 2, drop_reply_stray: 1 }],
    ['the second first', [part('x', 1, 4), part(HEAD, 0, 4)], { replies: 2 }],
    ['the second first, then another total', [part('x', 1, 4), part(HEAD, 0, 3)], { replies: 1, drop_reply_stray: 1 }],
    ['a sequence beyond the total', [part(HEAD, 0, 2), part('x', 2, 2)], { replies: 1, drop_reply_framing: 1 }],
    ['the 40th of 41, which is not counted apart', [part(HEAD, 0, 41), part('x', 40, 41)], { replies: 2 }],
  ])('%s', (_, frames, counted) => {
    const bed = asked();
    expect(bed.hear('server', frames).counted).toEqual(counted);
    expect(bed.unaccounted()).toBe(0);
  });

  it.each([2, 31, 32])('%i of them free the slot once all have come', total => {
    const bed = asked({ slots: 1 });
    const frames = Array.from({ length: total }, (_, n) => part(n === 0 ? HEAD : 'x', n, total));
    for (const frame of frames.slice(0, -1)) expect(bed.hear('server', frame).counted).toEqual({ replies: 1 });
    expect(bed.hear('client', request('get j\r\n', { client: BOB })).counted).toMatchObject({ refused_busy: 1 });
    expect(bed.hear('server', frames.at(-1)!).counted).toEqual({ replies: 1 });
    expect(bed.hear('client', request('get j\r\n', { client: BOB })).counted).toMatchObject({ requests: 1 });
  });

  it('33 of them keep the slot until it is too old', () => {
    const bed = asked({ slots: 1, replyLifetimeMs: 100 });
    const frames = Array.from({ length: 33 }, (_, n) => part(n === 0 ? HEAD : 'x', n, 33));
    expect(bed.hear('server', frames).counted).toEqual({ replies: 33 });
    expect(bed.hear('client', request(GET)).counted).toMatchObject({ refused_busy: 1 });
    bed.nowMs += 101;
    expect(bed.hear('client', request(GET)).counted).toEqual({ requests: 1, reads: 1 });
  });
});

describe('a slot whose last reply never came whole', () => {
  /** Slot 0 was asked for k, and `came` of that came; now BOB asks for j in it. */
  function haunted(came: readonly Uint8Array[]): LaneBed {
    const bed = asked({ slots: 1, replyLifetimeMs: 100 });
    for (const frame of came) bed.hear('server', frame);
    bed.nowMs += 101;
    expect(bed.hear('client', request('get j\r\n', { client: BOB })).counted).toMatchObject({ requests: 1 });
    return bed;
  }

  it.each([
    ['nothing came', []],
    ['its first datagram came', [part(HEAD, 0, 4)]],
    ['its second datagram came', [part('x', 1, 4)]],
  ])('takes no later datagram before the first of its new reply: %s', (_, came) => {
    const bed = haunted(came);
    expect(bed.hear('server', part('x', 2, 4))).toEqual({ sent: [], counted: { drop_reply_stray: 1 } });
    expect(bed.hear('server', part(HEAD, 0, 4))).toEqual({ sent: [], counted: { drop_reply_wrong_key: 1 } });
    const { sent } = bed.hear('server', [part(OTHER_HEAD, 0, 3), part('x', 2, 4), part('y', 1, 3)]);
    expect(sent.map(({ frame }) => frame)).toEqual([
      toClient(OTHER_HEAD, { client: BOB, total: 3 }),
      toClient('y', { client: BOB, sequence: 1, total: 3 }),
    ]);
  });

  it('is as good as any once its reply has come', () => {
    const bed = haunted([]);
    expect(bed.hear('server', reply('END\r\n')).counted).toEqual({ replies: 1 });
    bed.hear('client', request(GET));
    expect(bed.hear('server', part('x', 1, 4)).counted).toEqual({ replies: 1 });
  });
});
