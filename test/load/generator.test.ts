import { describe, expect, it } from 'vitest';
import { PHASE_MEASURE, PHASE_PREFILL, PHASE_WARMUP, type WrongReason } from '../../src/load/tally.ts';
import { arpRequest, icmpEcho, udpFragments, udpFrame } from '../support/frames.ts';
import {
  CLIENT,
  type Fate,
  GENERATOR_MAC,
  generatorIn,
  type loadOptions,
  type Request,
  SERVER,
  SERVER_MAC,
  TIMEOUT_MS,
  World,
} from './model.ts';

/** Prefills and measures until `requests` are sent and settled; returns the generator and its measured counts. */
function measured(world: World, options: Parameters<typeof generatorIn>[1], requests: number) {
  const { generator, until, turn } = generatorIn(world, options);
  until(() => generator.resolved);
  generator.startPrefill();
  until(() => generator.prefill.done);
  generator.startLoad(PHASE_MEASURE, world.now_ns);
  until(() => sent(generator) >= requests);
  generator.stop();
  until(() => generator.outstanding === 0);
  // Late replies and second copies.
  for (let i = 0; i < 2000; i++) turn();
  return { generator, counts: generator.tally.phase(PHASE_MEASURE) };
}

function sent(generator: { tally: { phase(phase: number): { get_requests: number; set_requests: number } } }): number {
  const { get_requests, set_requests } = generator.tally.phase(PHASE_MEASURE);
  return get_requests + set_requests;
}

/** Gives a fate to every n-th measured request (they come after the 50 writes of prefill). */
function everyNth(n: number, fate: Fate): (request: Request) => Fate {
  return ({ number }) => (number >= 50 && number % n === 0 ? fate : [{}]);
}

/** How many of the measured requests that was. */
function struck(world: World, n: number): number {
  return world.requests.filter(({ number }) => number >= 50 && number % n === 0).length;
}

const wrongCounts = (counts: object) =>
  Object.fromEntries(Object.entries(counts).filter(([name, count]) => name.startsWith('wrong_') && count > 0));

describe('a run with nothing amiss', () => {
  it.each(['partial', 'full'] as const)('every reply is matched and right; checksum %s', checksum => {
    const world = new World();
    const { generator, counts } = measured(world, { getRatio: 0.7, checksum }, 2000);
    const requests = sent(generator);
    expect(world.requests.length).toBe(requests + 50);
    expect(counts.hits).toBe(counts.get_requests);
    expect(counts.stored).toBe(counts.set_requests);
    expect([counts.get_replies + counts.set_replies, counts.get_lost + counts.set_lost]).toEqual([requests, 0]);
    expect([wrongCounts(counts), counts.late, counts.duplicates, counts.misses]).toEqual([{}, 0, 0, 0]);
    // 600 of 2000, standard deviation 20.
    expect(Math.abs(counts.set_requests / requests - 0.3)).toBeLessThan(0.05);
    expect(generator.latency[0].count).toBe(counts.hits);
    expect(generator.latency[1].count).toBe(counts.stored);
  });

  it('the window is kept, and used', () => {
    const world = new World();
    const { generator, turn, until } = generatorIn(world, { window: 12, prefill: false });
    until(() => generator.resolved);
    generator.startLoad(PHASE_MEASURE, world.now_ns);
    let most = 0;
    for (let i = 0; i < 500; i++) {
      turn();
      most = Math.max(most, generator.outstanding);
    }
    expect(most).toBe(12);
  });

  it('spreads over the flows and the client addresses, ids unique within a flow', () => {
    const world = new World();
    measured(world, { clients: ['10.0.0.1', '10.0.0.5'], flowsPerClient: 4, slots: 64, window: 4 }, 500);
    const flows = new Map<string, number[]>();
    for (const { src, sport, id } of world.requests) {
      const flow = `${src}:${sport}`;
      flows.set(flow, [...(flows.get(flow) ?? []), id]);
    }
    expect([...flows.keys()].sort()).toEqual(
      ['10.0.0.1', '10.0.0.5'].flatMap(address => [0, 1, 2, 3].map(port => `${address}:${20_000 + port}`)),
    );
    for (const ids of flows.values()) expect(new Set(ids).size).toBe(ids.length);
    const sizes = [...flows.values()].map(ids => ids.length);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  });

  it('sends the popular keys in their proportion', () => {
    const world = new World();
    measured(world, { zipf: 1, keyCount: 10, getRatio: 1, window: 64 }, 4000);
    const gets = world.requests.filter(({ text }) => text.startsWith('get '));
    const hottest = gets.filter(({ text }) => text.includes('keysteer00000000')).length;
    // Share 1 / H(10) = 0.341; standard error 0.0075.
    expect(Math.abs(hottest / gets.length - 0.341)).toBeLessThan(0.04);
  });

  it('misses are counted as such', () => {
    const world = new World();
    const { generator, until } = generatorIn(world, { getRatio: 1 });
    until(() => generator.resolved);
    generator.startLoad(PHASE_MEASURE, world.now_ns);
    until(() => generator.tally.phase(PHASE_MEASURE).misses >= 100);
    expect(generator.tally.phase(PHASE_MEASURE).hits).toBe(0);
  });

  it('several targets: each key keeps to one, by the ring', () => {
    const addresses = ['10.0.0.2', '10.0.0.3', '10.0.0.4'];
    const world = new World({ addresses });
    const { counts } = measured(world, { targets: addresses.map(address => `${address}:11211`) }, 1000);
    expect(counts.hits + counts.stored).toBe(counts.get_requests + counts.set_requests);
    const homes = new Map<string, Set<string>>();
    for (const { dst, text } of world.requests) {
      const key = text.split(/[ \r]/)[1] as string;
      homes.set(key, (homes.get(key) ?? new Set()).add(dst));
    }
    expect([...homes.values()].every(home => home.size === 1)).toBe(true);
    expect(new Set([...homes.values()].flatMap(home => [...home])).size).toBe(3);
  });

  it('a gateway is asked for instead of the target', () => {
    const world = new World({ addresses: ['10.0.0.254'] });
    const { generator, counts } = measured(world, { targets: ['10.9.9.9:11211'], gateway: '10.0.0.254' }, 100);
    expect(counts.hits + counts.stored).toBe(sent(generator));
    expect(new Set(world.requests.map(({ dst }) => dst))).toEqual(new Set(['10.9.9.9']));
  });

  it('the same seed sends the same requests, another seed others', () => {
    const texts = (seed: number) => {
      const world = new World();
      measured(world, { seed, getRatio: 0.5 }, 200);
      return world.requests.slice(0, 250).map(({ text }) => text);
    };
    expect(texts(1)).toEqual(texts(1));
    expect(texts(1)).not.toEqual(texts(2));
  });
});

describe('what goes wrong is counted exactly', () => {
  it('lost replies', () => {
    const world = new World({ fate: everyNth(10, []) });
    const { generator, counts } = measured(world, {}, 1000);
    expect(counts.get_lost + counts.set_lost).toBe(struck(world, 10));
    expect(counts.get_replies + counts.set_replies).toBe(sent(generator) - struck(world, 10));
    expect([counts.late, counts.duplicates, wrongCounts(counts)]).toEqual([0, 0, {}]);
  });

  it('late replies: lost first, then late', () => {
    const world = new World({ fate: everyNth(10, [{ afterMs: TIMEOUT_MS + 1 }]) });
    const { counts } = measured(world, {}, 500);
    expect(counts.get_lost + counts.set_lost).toBe(struck(world, 10));
    expect([counts.late, counts.duplicates, wrongCounts(counts)]).toEqual([struck(world, 10), 0, {}]);
  });

  it('a reply just in time is none of these', () => {
    const world = new World({ fate: everyNth(10, [{ afterMs: TIMEOUT_MS - 1 }]) });
    const { counts } = measured(world, {}, 500);
    expect([counts.get_lost + counts.set_lost, counts.late]).toEqual([0, 0]);
  });

  it('duplicates: of replies in time, and of late ones', () => {
    const twice = new World({ fate: everyNth(10, [{}, { afterMs: 0.2 }, { afterMs: 3 }]) });
    expect(measured(twice, {}, 500).counts.duplicates).toBe(2 * struck(twice, 10));
    const lateTwice = new World({ fate: everyNth(10, [{ afterMs: TIMEOUT_MS + 1 }, { afterMs: TIMEOUT_MS + 3 }]) });
    const { counts } = measured(lateTwice, {}, 500);
    expect([counts.late, counts.duplicates]).toEqual([struck(lateTwice, 10), struck(lateTwice, 10)]);
  });

  const rewritten = (change: (payload: Buffer) => Buffer): Fate => [
    {
      change: reply => {
        reply.payload = change(reply.payload);
      },
    },
  ];
  const flipLast = (payload: Buffer): Buffer => {
    // The last byte of a hit's value lies before \r\nEND\r\n.
    payload.writeUInt8(payload.readUInt8(payload.length - 8) ^ 1, payload.length - 8);
    return payload;
  };
  const body = (text: string) => (payload: Buffer) => Buffer.concat([payload.subarray(0, 8), Buffer.from(text)]);
  const header = (at: number, byte: number) => (payload: Buffer) => {
    payload.writeUInt8(byte, at);
    return payload;
  };

  it.each<[reason: WrongReason, what: string, fate: Fate]>([
    ['value', 'a changed byte', rewritten(flipLast)],
    ['malformed', 'the answer to another verb', rewritten(body('STORED\r\n'))],
    ['malformed', 'no answer at all', rewritten(body(''))],
    ['malformed', 'a byte too much', rewritten(payload => Buffer.concat([payload, Buffer.from('\n')]))],
    ['malformed', 'a byte too little', rewritten(payload => payload.subarray(0, -1))],
    ['framing', 'sequence 1', rewritten(header(3, 1))],
    ['framing', 'total 2', rewritten(header(5, 2))],
    ['framing', 'total 0', rewritten(header(5, 0))],
    ['framing', 'reserved not 0', rewritten(header(7, 1))],
  ])('%s: %s is a reply, and a wrong one', (reason, _, fate) => {
    const world = new World({ fate: everyNth(10, fate) });
    const { generator, counts } = measured(world, { getRatio: 1 }, 300);
    const expected = struck(world, 10);
    expect(wrongCounts(counts)).toEqual({ [`wrong_${reason}`]: expected, wrong_replies: expected });
    expect([counts.get_replies, counts.get_lost]).toEqual([sent(generator), 0]);
    expect(counts.hits).toBe(sent(generator) - expected);
    expect(generator.tally.samples[0]).toMatchObject({
      reason,
      hex: expect.stringMatching(/^0200/),
      key: expect.any(String),
    });
  });

  it('key: the value of another key, rightly framed', () => {
    const world = new World({
      fate: everyNth(
        10,
        rewritten(payload => {
          const other = world.values.get('keysteer00000001') as Buffer;
          const [line] = payload.subarray(8).toString('latin1').split('\r\n');
          const replaced = line?.includes('keysteer00000001') ? Buffer.from('x'.repeat(64)) : other;
          return Buffer.concat([
            payload.subarray(0, 8),
            Buffer.from(`${line}\r\n`),
            replaced,
            Buffer.from('\r\nEND\r\n'),
          ]);
        }),
      ),
    });
    const { counts } = measured(world, { getRatio: 1 }, 300);
    expect(wrongCounts(counts)).toEqual({ wrong_key: struck(world, 10), wrong_replies: struck(world, 10) });
  });

  it.each<[reason: WrongReason, what: string, fate: Fate]>([
    ['checksum', 'a bad UDP checksum', [{ change: reply => Object.assign(reply, { checksum: 'bad' }) }]],
    ['checksum', 'a bad IPv4 checksum', [{ change: reply => Object.assign(reply, { headerChecksum: 'bad' }) }]],
    ['checksum', 'a UDP length beyond the packet', [{ change: reply => Object.assign(reply, { udpLength: 999 }) }]],
    ['source', 'another address', [{ change: reply => Object.assign(reply, { src: '10.0.0.3' }) }]],
    ['source', 'another port', [{ change: reply => Object.assign(reply, { sport: 11212 }) }]],
    ['port', 'a port of ours that sends nothing', [{ change: reply => Object.assign(reply, { dport: 19_999 }) }]],
    ['port', 'the port after the last', [{ change: reply => Object.assign(reply, { dport: 20_016 }) }]],
    ['fragment', 'more fragments to come', [{ change: reply => Object.assign(reply, { moreFragments: true }) }]],
    ['framing', 'less than a frame header', rewritten(payload => payload.subarray(0, 7))],
    ['unknown_id', 'an id never sent', rewritten(header(0, 0xff))],
  ])('%s: %s is no answer, so the request is lost too', (reason, _, fate) => {
    const world = new World({ fate: everyNth(10, fate) });
    const { counts } = measured(world, { getRatio: 1 }, 200);
    expect(wrongCounts(counts)).toEqual({ [`wrong_${reason}`]: struck(world, 10) });
    expect(counts.get_lost).toBe(struck(world, 10));
  });

  it('a reply without a UDP checksum, or with padding behind it, is right', () => {
    const world = new World({
      fate: everyNth(2, [{ change: reply => Object.assign(reply, { checksum: 'zero', padding: 9 }) }]),
    });
    const { generator, counts } = measured(world, {}, 300);
    expect(counts.hits + counts.stored).toBe(sent(generator));
  });

  it('error lines are replies, counted by text', () => {
    const world = new World({ fate: everyNth(10, rewritten(body('SERVER_ERROR out of memory\r\n'))) });
    const { generator, counts } = measured(world, {}, 300);
    expect([counts.errors, wrongCounts(counts)]).toEqual([struck(world, 10), {}]);
    expect([...generator.tally.errorTexts]).toEqual([['SERVER_ERROR out of memory', struck(world, 10)]]);
  });

  it('a version that was never written', () => {
    const world = new World();
    const { generator, until } = generatorIn(world, { getRatio: 1, keyCount: 1 });
    until(() => generator.resolved);
    generator.startPrefill();
    until(() => generator.prefill.done);
    const other = generatorIn(world, { keyCount: 1, prefillFirst: 0 });
    other.until(() => other.generator.resolved);
    for (let round = 0; round < 2; round++) {
      other.generator.startLoad(PHASE_WARMUP, world.now_ns);
      other.until(() => other.generator.tally.phase(PHASE_WARMUP).stored > round);
      other.generator.stop();
      other.until(() => other.generator.outstanding === 0);
    }
    generator.startLoad(PHASE_MEASURE, world.now_ns);
    until(() => generator.tally.phase(PHASE_MEASURE).get_replies >= 20);
    const counts = generator.tally.phase(PHASE_MEASURE);
    expect(wrongCounts(counts)).toEqual({ wrong_version: counts.get_replies, wrong_replies: counts.get_replies });
  });

  it('frames for others, and other protocols, are left alone', () => {
    const world = new World();
    const { generator, turn, until } = generatorIn(world, {});
    until(() => generator.resolved);
    const link = { srcMac: SERVER_MAC, dstMac: GENERATOR_MAC };
    const strangers = [
      udpFrame({ ...link, src: SERVER, dst: '10.0.0.77', sport: 11211, dport: 20_000, payload: 'not for us' }),
      udpFrame({ ...link, src: SERVER, dst: CLIENT, sport: 11211, dport: 20_000, payload: 'tagged', vlan: 5 }),
      new Uint8Array(14),
      new Uint8Array(60).fill(0xff),
      udpFrame({ ...link, src: SERVER, dst: CLIENT, sport: 1, dport: 2, payload: '' }).slice(0, 30),
    ];
    for (const frame of strangers) world.near.inject(frame);
    turn();
    expect(Object.values(generator.tally.phase(PHASE_PREFILL)).every(count => count === 0)).toBe(true);
  });

  it('a reply in fragments is not one we can check', () => {
    const world = new World();
    const { generator, turn, until } = generatorIn(world, {});
    until(() => generator.resolved);
    const link = { srcMac: SERVER_MAC, dstMac: GENERATOR_MAC, src: SERVER, dst: CLIENT };
    for (const frame of udpFragments({ ...link, sport: 11211, dport: 20_000, payload: 'x'.repeat(100) }, 64))
      world.near.inject(frame);
    turn();
    expect(generator.tally.phase(PHASE_PREFILL).wrong_fragment).toBe(2);
  });

  it('answers ARP and ping while it works', () => {
    const world = new World();
    const { generator, until, turn } = generatorIn(world, {});
    until(() => generator.resolved);
    const before = world.near.counters.slice();
    const link = { srcMac: SERVER_MAC, dstMac: GENERATOR_MAC };
    world.near.inject(arpRequest({ ...link, senderIp: SERVER, targetIp: CLIENT }));
    world.near.inject(icmpEcho({ ...link, src: SERVER, dst: CLIENT, identifier: 1, sequence: 1 }));
    turn();
    expect(world.near.counters[2]! - before[2]!).toBe(2);
  });
});

describe('phases', () => {
  it('prefill writes every key once; lost writes are repeated until they are answered', () => {
    const world = new World({ fate: ({ number }) => (number % 3 === 0 ? [] : [{}]) });
    const { generator, until } = generatorIn(world, { keyCount: 200, prefillWindow: 16 });
    until(() => generator.resolved);
    generator.startPrefill();
    until(() => generator.prefill.done);
    const lost = world.requests.filter(({ number }) => number % 3 === 0).length;
    expect(world.values.size).toBe(200);
    expect([generator.prefill.retries, world.requests.length]).toEqual([lost, 200 + lost]);
    expect(generator.tally.phase(PHASE_PREFILL)).toMatchObject({
      set_requests: 200 + lost,
      stored: 200,
      set_lost: lost,
    });
  });

  it('prefill keeps to its window and its share of the keys', () => {
    const world = new World();
    const { generator, until } = generatorIn(world, {
      keyCount: 100,
      prefillFirst: 30,
      prefillCount: 20,
      prefillWindow: 4,
    });
    until(() => generator.resolved);
    generator.startPrefill();
    let most = 0;
    until(() => {
      most = Math.max(most, generator.outstanding);
      return generator.prefill.done;
    });
    expect(most).toBe(4);
    expect([...world.values.keys()].sort()).toEqual(Array.from({ length: 20 }, (_, i) => `keysteer000000${30 + i}`));
  });

  it('ARP is asked again until it is answered, and nothing is sent before', () => {
    const world = new World({ deafTo: 3 });
    const { generator, until } = generatorIn(world, {});
    generator.startPrefill();
    until(() => {
      if (!generator.resolved) expect(world.requests.length).toBe(0);
      return generator.resolved;
    });
    expect(world.arpRequests).toBe(4);
    until(() => generator.prefill.done);
  });

  it('a request belongs to the phase it was sent in, whenever its reply comes', () => {
    const world = new World();
    const { generator, until } = generatorIn(world, { getRatio: 1 });
    until(() => generator.resolved);
    generator.startLoad(PHASE_WARMUP, world.now_ns);
    until(() => generator.tally.phase(PHASE_WARMUP).get_requests >= 100);
    const outstanding = generator.outstanding;
    const before = generator.tally.phase(PHASE_WARMUP).get_replies;
    generator.switchPhase(PHASE_MEASURE);
    until(() => generator.tally.phase(PHASE_MEASURE).get_requests >= 100);
    generator.stop();
    until(() => generator.outstanding === 0);
    for (const phase of [PHASE_WARMUP, PHASE_MEASURE]) {
      const { get_requests, get_replies } = generator.tally.phase(phase);
      expect(get_replies).toBe(get_requests);
    }
    expect(generator.tally.phase(PHASE_WARMUP).get_replies).toBe(before + outstanding);
    expect(generator.latency[0].count).toBe(generator.tally.phase(PHASE_MEASURE).get_replies);
  });
});

describe('open loop', () => {
  /** Runs for `seconds` of simulated time; the server does nothing while `isStalled`. */
  function open(options: Parameters<typeof loadOptions>[0], seconds: number, isStalled = (_ms: number) => false) {
    const world = new World();
    const { generator, until } = generatorIn(world, { getRatio: 1, ...options });
    until(() => generator.resolved);
    const start_ns = world.now_ns;
    generator.startLoad(PHASE_MEASURE, start_ns);
    while (world.now_ns < start_ns + seconds * 1e9) {
      const ms = (world.now_ns - start_ns) / 1e6;
      // A stall of the generator itself: the world goes on without it.
      if (!isStalled(ms)) generator.cycle(world.now_ns);
      world.turn();
    }
    generator.stop();
    until(() => generator.outstanding === 0);
    return generator;
  }

  it('evenly spaced: exactly the rate', () => {
    expect(Math.abs(sent(open({ rate: 2000, spacing: 'uniform' }, 1)) - 2000)).toBeLessThanOrEqual(1);
  });

  it('Poisson: the rate on average, and gaps that vary', () => {
    // 2000 ± 45.
    expect(Math.abs(sent(open({ rate: 2000, spacing: 'poisson' }, 1)) - 2000)).toBeLessThan(200);
  });

  it('sends on while replies are missing', () => {
    const world = new World({ fate: () => [] });
    const { generator, turn, until } = generatorIn(world, {
      rate: 1000,
      spacing: 'uniform',
      window: 1,
      timeoutMs: 500,
    });
    until(() => generator.resolved);
    generator.startLoad(PHASE_MEASURE, world.now_ns);
    for (let i = 0; i < 30_000; i++) turn();
    expect(generator.outstanding).toBeGreaterThan(250);
  });

  it('latency counts from when a request should have been sent: a stall is felt by all of it', () => {
    const steady = open({ rate: 1000, spacing: 'uniform' }, 1);
    const stalled = open({ rate: 1000, spacing: 'uniform' }, 1, ms => ms >= 300 && ms < 400);
    expect(steady.latency[0].max).toBeLessThan(0.3e6);
    expect(steady.lag.max).toBeLessThanOrEqual(20_000);
    // 100 of 1000 requests fell into the stall; they wait 0 … 100 ms, evenly: 5 % wait more than half of it.
    expect(stalled.latency[0].max / 1e6).toBeGreaterThan(99);
    expect(stalled.latency[0].quantile(0.95) / 1e6).toBeGreaterThan(45);
    expect(stalled.latency[0].quantile(0.95) / 1e6).toBeLessThan(55);
    expect(stalled.latency[0].quantile(0.89) / 1e6).toBeLessThan(1);
    expect(stalled.lag.max / 1e6).toBeGreaterThan(99);
    expect(sent(stalled)).toBe(sent(steady));
  });

  it('with every slot taken it waits, and loses no intended time', () => {
    const world = new World({ fate: () => [{ afterMs: 100 }] });
    const { generator, turn, until } = generatorIn(world, {
      rate: 10_000,
      spacing: 'uniform',
      flowsPerClient: 4,
      slots: 64,
      timeoutMs: 500,
    });
    until(() => generator.resolved);
    generator.startLoad(PHASE_MEASURE, world.now_ns);
    for (let i = 0; i < 50_000; i++) turn();
    expect(generator.outstanding).toBe(64);
    expect(generator.tally.phase(PHASE_MEASURE).get_lost).toBe(0);
    expect(generator.lag.max / 1e6).toBeGreaterThan(300);
  });
});
