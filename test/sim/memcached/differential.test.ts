/** The model against the real thing: the same requests to both over UDP, the same datagrams back, to the byte. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { memcachedVersion } from '../../memcached/live-memcached.ts';
import { requireMemcached, skip } from '../../support/requirements.ts';
import { Random } from '../random.ts';
import { PIECE_BYTES, pieceCount, sentMessages } from './framing.ts';
import { type Heard, LiveServer } from './live.ts';
import { randomRequest } from './random-requests.ts';
import { MemcachedServer } from './server.ts';

const FIRST_SECOND = 62;

class Pair {
  readonly #live: LiveServer;
  readonly #model: MemcachedServer;
  #second: number;

  private constructor(live: LiveServer, model: MemcachedServer, second: number) {
    this.#live = live;
    this.#model = model;
    this.#second = second;
  }

  static async start(): Promise<Pair> {
    const live = await LiveServer.start();
    const { now, unixS } = await live.clock();
    return new Pair(live, new MemcachedServer(0, 1000, unixS + FIRST_SECOND), now);
  }

  stop(): Promise<void> {
    return this.#live.stop();
  }

  /** Both answers; undefined when the clock ticked meanwhile, and nobody knows whether before or after. */
  async ask(request: string): Promise<{ real: Heard[]; model: Heard[] } | undefined> {
    const real = await this.#live.ask(request);
    const { now } = await this.#live.clock();
    const isSure = now === this.#second;
    this.#second = now;
    if (!isSure) return undefined;
    const bytes = Buffer.from(request, 'latin1');
    const messages = this.#model.answer(bytes, 0, bytes.length, (now - FIRST_SECOND) * 1000);
    return { real, model: sentMessages(messages).flatMap(pieces) };
  }

  /** Time passes. */
  async wait(ms: number): Promise<void> {
    await sleep(ms);
    this.#second = (await this.#live.clock()).now;
  }
}

function pieces(message: string): Heard[] {
  const total = pieceCount(message);
  if (total === 0) return [[0, 0, '']];
  return Array.from({ length: total }, (_, i) => [i, total, message.slice(i * PIECE_BYTES, (i + 1) * PIECE_BYTES)]);
}

/** @param pause how long to wait after the i-th request, ms */
async function compare(seed: number, requests: number, pause: (i: number) => number = () => 0): Promise<number> {
  const random = Random.stream(seed, 'requests');
  const pair = await Pair.start();
  const trail: string[] = [];
  let asked = 0;
  try {
    for (let i = 0; i < requests; i++) {
      const request = randomRequest(random);
      trail.push(request.slice(0, 100));
      const answers = await pair.ask(request);
      if (answers === undefined) break;
      asked++;
      expect(
        answers.model,
        `seed ${seed}, the last of\n${trail
          .slice(-12)
          .map(text => JSON.stringify(text))
          .join('\n')}`,
      ).toEqual(answers.real);
      if (pause(i) > 0) await pair.wait(pause(i));
    }
  } finally {
    await pair.stop();
  }
  return asked;
}

/** The model is of this one. */
function requireModelled(): string | undefined {
  const version = memcachedVersion();
  return version === '1.6.18' ? undefined : skip(`memcached is ${version}; the model node is like 1.6.18`);
}

describe.skipIf(requireMemcached() ?? requireModelled())('the model node against memcached 1.6.18', () => {
  test('thousands of random requests are answered with the same datagrams', async () => {
    let asked = 0;
    for (let seed = 1; asked < 3000; seed++) asked += await compare(seed, 1500);
  }, 60_000);

  test('also while time passes', async () => {
    let asked = 0;
    for (let seed = 101; asked < 100; seed++) asked += await compare(seed, 150, i => (i % 5 === 4 ? 150 : 0));
  }, 60_000);
});
