/**
 * Requests for several keys against a model, over a network that delays, reorders, repeats and loses: each reply says
 * exactly what a correct server would, but that a key with a part lost is a miss. Never a value under another key, never a
 * reply twice, and what waits is gone in the end.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALICE, BOB, type Host, request } from '../support/lane-bed.ts';
import { type Asked, type Heard, MemcachedBed } from '../support/lane-bed-memcached.ts';
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
  readonly of: Attempt;
  readonly sequence: number;
}

/** A node was asked for a key, the first time or again. */
interface Attempt {
  readonly key: AskedKey;
  readonly total: number;
  /** Datagrams of the answer that have not come. */
  readonly missing: Set<number>;
}

interface AskedKey {
  /** What it adds to the reply when it is answered. */
  readonly text: string;
  /** The last of them. */
  attempt: Attempt | undefined;
  isAnswered: boolean;
}

interface Gathered {
  readonly client: Host;
  readonly id: number;
  readonly keys: readonly AskedKey[];
  readonly askedMs: number;
  /** What the reply must be: known when it begins. */
  expected: string | undefined;
  readonly heard: Framed[];
}

class World {
  readonly memcached: MemcachedBed;
  readonly asked: Gathered[] = [];
  /** By what stands in the slot that was taken: gather, its generation, position of the key. */
  readonly #keys = new Map<string, AskedKey>();
  readonly #parts: Part[] = [];
  /** Whether there may be no room even to begin. */
  readonly #isShort: boolean;
  #noticed = 0;
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

  /** Nothing comes any more. */
  settle(): void {
    this.memcached.wait(3 * TIMEOUT_MS);
    this.#look();
  }

  #ask(client: Host, verb: string, names: readonly string[]): void {
    const id = this.asked.length;
    const asked = this.memcached.ask(`${verb} ${names.join(' ')}\r\n`, { client, id });
    const isRefused = asked.length === 0 && this.#isShort;
    if (!isRefused && asked.length !== names.length) throw new Error(`${names.length} keys, ${asked.length} requests`);
    const keys = asked.map(each => {
      const text = this.memcached.answerOf(each.body).slice(0, -5);
      const key: AskedKey = { text, attempt: undefined, isAnswered: false };
      this.#keys.set(this.#nameOf(each.slot), key);
      return key;
    });
    const expected = isRefused ? BUSY : undefined;
    this.asked.push({ client, id, keys, askedMs: this.memcached.bed.nowMs, expected, heard: [] });
  }

  #nameOf(slot: number): string {
    const { slots, memory } = this.memcached.bed.lane().path;
    const word = slots.circles[0]!.word(slot);
    return `${memory.words[word + 2]}/${memory.words[word + 3]}/${memory.words[word]! >>> 16}`;
  }

  #pick(at: number, keep: boolean): Part | undefined {
    const chosen = at % Math.max(1, this.#parts.length);
    return keep ? this.#parts[chosen] : this.#parts.splice(chosen, 1)[0];
  }

  #deliver(part: Part | undefined): void {
    if (!part) return;
    this.memcached.deliver([part.frame]);
    const { key, total, missing } = part.of;
    // Of an older answer only a whole one counts.
    if (total === 1 || key.attempt === part.of) missing.delete(part.sequence);
    if (missing.size === 0) key.isAnswered = true;
    this.#look();
  }

  /** What the nodes have been asked, whose reply has begun, and what has been heard. */
  #look(): void {
    this.memcached.settle();
    for (const each of this.memcached.asked.slice(this.#noticed)) this.#answer(each);
    this.#noticed = this.memcached.asked.length;
    for (const datagram of this.memcached.heard.slice(this.#heard)) this.#hear(datagram);
    this.#heard = this.memcached.heard.length;
  }

  #answer(each: Asked): void {
    const key = this.#keys.get(this.#nameOf(each.slot))!;
    const frames = this.memcached.answer(each);
    key.attempt = { key, total: frames.length, missing: new Set(frames.keys()) };
    for (const [sequence, frame] of frames.entries()) this.#parts.push({ frame, of: key.attempt, sequence });
  }

  #hear(datagram: Heard): void {
    const asked = this.asked[datagram.id]!;
    if (asked.client.ip !== datagram.client || asked.client.port !== datagram.port) throw new Error('not the asker');
    asked.heard.push(datagram);
    if (asked.expected !== undefined) return;
    asked.expected = `${asked.keys.map(({ isAnswered, text }) => (isAnswered ? text : '')).join('')}END\r\n`;
    const isOver = asked.keys.every(({ isAnswered }) => isAnswered);
    const waitedMs = this.memcached.bed.nowMs - asked.askedMs;
    if (!isOver && waitedMs < TIMEOUT_MS && datagram.body !== NO_ROOM) throw new Error(`given up after ${waitedMs} ms`);
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
    let retries = 0;
    fc.assert(
      fc.property(values, fc.array(step, { minLength: 1, maxLength: 40 }), (items, steps) => {
        const { asked, memcached } = play(items, steps, 8192);
        for (const { id, heard, expected } of asked) expect(joined(heard, id)).toBe(expected);
        retries += memcached.bed.count('multiget_retries');
      }),
      { numRuns: 120 },
    );
    expect(retries).toBeGreaterThan(100);
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
        expect(world.memcached.held).toEqual({ gathers: 1, chunks: 3 });
      }),
      { numRuns: 40 },
    );
  });
});
