/**
 * Requests for several keys against a model, over a network that delays, reorders, repeats and loses: each reply says
 * exactly what a correct server would, but that a key with a part lost is a miss. Never a value under another key, never a
 * reply twice, and what waits is gone in the end.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALICE, BOB, type Host, request } from '../support/lane-bed.ts';
import { MemcachedBed } from '../support/lane-bed-memcached.ts';
import { type Framed, joined } from '../support/memcached-model.ts';

const CLIENTS = [ALICE, BOB];
const TIMEOUT_MS = 200;
const BUSY = 'SERVER_ERROR too many outstanding multi-key requests\r\n';
const NO_ROOM = 'SERVER_ERROR out of memory writing get response\r\n';

type Step =
  | { readonly do: 'ask'; readonly client: number; readonly keys: readonly string[]; readonly verb: string }
  | { readonly do: 'deliver'; readonly which: number; readonly keep: boolean }
  | { readonly do: 'deliver all'; readonly from: number }
  | { readonly do: 'lose'; readonly which: number }
  | { readonly do: 'wait'; readonly ms: number };

const which = fc.nat(10_000);
const KEYS = ['a', 'b', 'c', 'long-key', 'd', 'gone', 'e'];

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      client: fc.nat(1),
      keys: fc.array(fc.constantFrom(...KEYS), { minLength: 2, maxLength: 12 }),
      verb: fc.constantFrom('get', 'gets'),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('deliver' as const), which, keep: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('deliver all' as const), from: which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(TIMEOUT_MS) }) },
);

const values = fc.record(
  Object.fromEntries(
    KEYS.filter(key => key !== 'gone').map(key => [
      key,
      fc.tuple(fc.oneof(fc.nat(20), fc.integer({ min: 1360, max: 1400 }), fc.nat(6000)), fc.string({ minLength: 1 })),
    ]),
  ),
);

interface Part {
  readonly frame: Uint8Array;
  readonly of: AskedKey;
  readonly sequence: number;
}

interface AskedKey {
  /** What it adds to the reply when all of it comes. */
  readonly text: string;
  readonly missing: Set<number>;
}

interface Asked {
  readonly client: Host;
  readonly id: number;
  readonly keys: readonly AskedKey[];
  readonly deadlineMs: number;
  /** What the reply must be, once that is settled. */
  expected: string | undefined;
  readonly heard: Framed[];
}

class World {
  readonly memcached: MemcachedBed;
  readonly asked: Asked[] = [];
  readonly #parts: Part[] = [];
  /** Whether there may be no room even to begin. */
  readonly #isShort: boolean;
  #heard = 0;

  constructor(items: Record<string, readonly [number, string]>, chunks: number) {
    this.#isShort = chunks < 1024;
    this.memcached = new MemcachedBed({ multiget: { gathers: 64, chunks, timeoutMs: TIMEOUT_MS }, slots: 4096 });
    for (const [key, [length, filling]] of Object.entries(items)) {
      this.memcached.set(key, Buffer.from(filling.repeat(length)).toString('latin1').slice(0, length), length % 5);
    }
  }

  play(doing: Step): void {
    if (doing.do === 'ask') this.#ask(CLIENTS[doing.client]!, doing.verb, doing.keys);
    if (doing.do === 'deliver') this.#deliver(this.#pick(doing.which, doing.keep));
    if (doing.do === 'deliver all') this.deliverAll(doing.from);
    if (doing.do === 'lose') this.#pick(doing.which, false);
    if (doing.do === 'wait') this.memcached.wait(doing.ms);
    this.#look();
  }

  /** All that is under way comes, in some order. */
  deliverAll(from = 0): void {
    while (this.#parts.length > 0) this.#deliver(this.#pick(from, false));
  }

  settle(): void {
    this.memcached.wait(TIMEOUT_MS);
    this.memcached.settle();
    this.#look();
  }

  #ask(client: Host, verb: string, keys: readonly string[]): void {
    const id = this.asked.length;
    const asked = this.memcached.ask(`${verb} ${keys.join(' ')}\r\n`, { client, id });
    const isRefused = asked.length === 0 && this.#isShort;
    if (!isRefused && asked.length !== keys.length) throw new Error(`${keys.length} keys, ${asked.length} requests`);
    const all = asked.map(each => {
      const frames = this.memcached.answer(each);
      const of = { text: this.memcached.answerOf(each.body).slice(0, -5), missing: new Set(frames.keys()) };
      this.#parts.push(...frames.map((frame, sequence) => ({ frame, of, sequence })));
      return of;
    });
    const deadlineMs = this.memcached.bed.nowMs + TIMEOUT_MS;
    const expected = isRefused ? BUSY : undefined;
    this.asked.push({ client, id, keys: all, deadlineMs, expected, heard: [] });
  }

  #pick(at: number, keep: boolean): Part | undefined {
    const chosen = at % Math.max(1, this.#parts.length);
    return keep ? this.#parts[chosen] : this.#parts.splice(chosen, 1)[0];
  }

  #deliver(part: Part | undefined): void {
    if (!part) return;
    this.memcached.deliver([part.frame]);
    part.of.missing.delete(part.sequence);
    this.#look();
  }

  /** Whose reply is settled by now, and what has been heard. */
  #look(): void {
    for (const asked of this.asked) {
      const isOver = asked.keys.every(({ missing }) => missing.size === 0);
      if (asked.expected !== undefined || !(isOver || this.memcached.bed.nowMs >= asked.deadlineMs)) continue;
      asked.expected = `${asked.keys.map(key => (key.missing.size === 0 ? key.text : '')).join('')}END\r\n`;
    }
    for (const datagram of this.memcached.heard.slice(this.#heard)) {
      const asked = this.asked[datagram.id]!;
      if (asked.client.ip !== datagram.client || asked.client.port !== datagram.port) throw new Error('not the asker');
      asked.heard.push(datagram);
    }
    this.#heard = this.memcached.heard.length;
  }
}

function play(items: Record<string, readonly [number, string]>, steps: readonly Step[], chunks: number): World {
  const world = new World(items, chunks);
  for (const doing of steps) world.play(doing);
  world.settle();
  expect(world.memcached.held).toEqual({ gathers: 0, chunks: 0 });
  expect(world.memcached.bed.unaccounted()).toBe(0);
  return world;
}

describe('against a model', () => {
  it('every reply is what a correct server would say of what has come', () => {
    fc.assert(
      fc.property(values, fc.array(step, { minLength: 1, maxLength: 40 }), (items, steps) => {
        const { asked } = play(items, steps, 8192);
        for (const { id, heard, expected } of asked) expect(joined(heard, id)).toBe(expected);
      }),
      { numRuns: 120 },
    );
  });

  it('with too little room, it is that or an error', () => {
    const refused = new Set<boolean>();
    fc.assert(
      fc.property(values, fc.array(step, { minLength: 10, maxLength: 40 }), (items, steps) => {
        const { asked } = play(items, steps, 60);
        for (const { id, heard, expected } of asked) {
          const said = joined(heard, id);
          if (said !== NO_ROOM) expect(said).toBe(expected);
          refused.add(said === NO_ROOM);
        }
      }),
      { numRuns: 120 },
    );
    expect(refused).toEqual(new Set([true, false]));
  });

  it('what comes when all is over changes nothing', () => {
    fc.assert(
      fc.property(values, fc.array(step, { minLength: 1, maxLength: 20 }), (items, steps) => {
        const world = play(items, steps, 8192);
        const heard = world.memcached.heard.length;
        world.deliverAll();
        world.memcached.notice(world.memcached.bed.hear('client', request('get x y\r\n', { id: 60_000 })));
        expect(world.memcached.heard.length).toBe(heard);
        expect(world.memcached.held).toEqual({ gathers: 1, chunks: 1 });
      }),
      { numRuns: 40 },
    );
  });
});
