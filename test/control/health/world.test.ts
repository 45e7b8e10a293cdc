/** Lane, prober, sweep and monitor together, against nodes that die, pause, return, and a network that loses frames. */
import { describe, expect, it } from 'vitest';
import { World } from './world.ts';

const KEYS = Array.from({ length: 60 }, (_, n) => `key-${n}`);
const MISS = 'END\r\n';
const found = (key: string, value: string) => `VALUE ${key} 0 ${value.length}\r\n${value}\r\nEND\r\n`;

/** Every millisecond some reads, each of a key of its own. */
function reader(world: World, perMs = 2): () => void {
  let n = 0;
  return () => {
    for (let i = 0; i < perMs; i++) world.ask(`get ${KEYS[n++ % KEYS.length]}\r\n`);
  };
}

async function write(world: World, value: string): Promise<void> {
  const ids = KEYS.map(key => world.ask(`set ${key} 0 0 ${value.length}\r\n${value}\r\n`));
  await world.pass(5);
  expect(ids.map(id => world.answers.get(id))).toEqual(KEYS.map(() => ['STORED\r\n']));
}

async function read(world: World): Promise<(string | undefined)[]> {
  const ids = KEYS.map(key => world.ask(`get ${key}\r\n`));
  await world.pass(5);
  return ids.map(id => world.answers.get(id)?.join(' and '));
}

describe('a node killed under load', () => {
  it('is out within 150 ms; its keys are misses, then those of its successors; nothing is asked twice', async () => {
    const world = new World();
    await world.pass(100, reader(world));
    await write(world, 'old');
    const homes = world.nodes.map(({ items }) => [...items.keys()]);
    expect(Math.min(...homes.map(keys => keys.length))).toBeGreaterThan(5);
    const killedMs = world.bed.nowMs;
    world.nodes[1]!.kill();
    const asked: number[] = [];
    const load = reader(world);
    await world.pass(200, () => {
      asked.push(world.ask(`get ${homes[1]![asked.length % homes[1]!.length]}\r\n`));
      load();
    });
    expect(world.transitions.at(-1)!.atMs - killedMs).toBeLessThanOrEqual(150);
    expect(world.takeMoves()).toEqual(['1 healthy → suspect', '1 suspect → out']);
    expect(world.monitor.figures(1).reason).toMatch(/^memcached down/);
    for (const id of asked) expect(world.answers.get(id)).toEqual([MISS]);
    expect(await read(world)).toEqual(KEYS.map(key => (homes[1]!.includes(key) ? MISS : found(key, 'old'))));
  });

  it.each([0, 3, 7, 11, 19])('killed %i ms after a tick: in time', async offsetMs => {
    const world = new World();
    await world.pass(100 + offsetMs, reader(world));
    const killedMs = world.bed.nowMs;
    world.nodes[2]!.kill();
    await world.pass(300, reader(world));
    const out = world.transitions.find(({ to }) => to === 3)!;
    expect(out.node).toBe(2);
    expect(out.atMs - killedMs).toBeLessThanOrEqual(150);
  });

  it.each([0, 5, 10, 15])('its host gone, no ICMP: in time too, %i ms after a tick', async offsetMs => {
    const world = new World();
    await world.pass(100 + offsetMs, reader(world));
    const killedMs = world.bed.nowMs;
    world.nodes[0]!.up = false;
    await world.pass(300, reader(world));
    const out = world.transitions.find(({ to }) => to === 3)!;
    expect(out.atMs - killedMs).toBeLessThanOrEqual(150);
    expect(world.monitor.figures(0).reason).toBe('host down: no ICMP echo, no probe answer');
  });
});

describe('a node back', () => {
  it('is flushed, and what it held from before is never read; what was written meanwhile is a miss', async () => {
    const world = new World();
    await write(world, 'old');
    world.nodes[1]!.up = false;
    await world.pass(400, reader(world));
    expect(world.states).toEqual(['healthy', 'out', 'healthy']);
    await write(world, 'new');
    expect(await read(world)).toEqual(KEYS.map(key => found(key, 'new')));
    world.nodes[1]!.up = true;
    await world.pass(1900, reader(world));
    expect([world.states[1], world.nodes[1]!.flushes, world.nodes[1]!.items.size > 0]).toEqual(['out', 0, true]);
    await world.pass(500, reader(world));
    expect([world.states[1], world.nodes[1]!.flushes]).toEqual(['healthy', 1]);
    const answers = await read(world);
    for (const [n, answer] of answers.entries()) expect([MISS, found(KEYS[n]!, 'new')]).toContain(answer);
    expect(answers.filter(answer => answer === MISS).length).toBeGreaterThan(5);
    await write(world, 'newest');
    expect(await read(world)).toEqual(KEYS.map(key => found(key, 'newest')));
    expect(world.takeMoves()).toEqual([
      '1 healthy → suspect',
      '1 suspect → out',
      '1 out → returning',
      '1 returning → healthy',
    ]);
  });

  it('flushes that are lost are sent again', async () => {
    const world = new World();
    world.nodes[1]!.up = false;
    await world.pass(400, reader(world));
    world.nodes[1]!.up = true;
    await world.pass(1500, reader(world));
    world.loss = 0.4;
    for (let i = 0; i < 100 && world.state(1) !== 'healthy'; i++) await world.pass(200, reader(world));
    expect(world.nodes[1]!.flushes).toBeGreaterThan(0);
    expect(world.states[1]).toBe('healthy');
  });
});

describe('what takes no node out', () => {
  it.each([30, 60, 90, 100])('a pause of %i ms, under load', async pauseMs => {
    for (let offset = 0; offset < 20; offset += 5) {
      const world = new World();
      await world.pass(100 + offset, reader(world));
      world.nodes[1]!.paused = true;
      await world.pass(pauseMs, reader(world));
      world.resume(1);
      await world.pass(200, reader(world));
      expect(world.states).toEqual(['healthy', 'healthy', 'healthy']);
      expect(world.transitions.filter(({ to }) => to >= 2)).toEqual([]);
    }
  });

  it.each([1, 2, 3, 4])(
    'a fifth of all frames lost each way, without load and with, a minute of each, seed %i',
    async seed => {
      const world = new World({ loss: 0.2, seed });
      await world.pass(60_000);
      expect(world.transitions.filter(({ to }) => to >= 2)).toEqual([]);
      let n = 0;
      await world.pass(10_000, () => n++ % 5 === 0 && world.ask(`get ${KEYS[n % KEYS.length]}\r\n`));
      expect(world.transitions.filter(({ to }) => to >= 2)).toEqual([]);
    },
  );

  it('stores without a reply, quiet reads: silence is their answer', async () => {
    const world = new World();
    let n = 0;
    await world.pass(2000, () => {
      const key = KEYS[n++ % KEYS.length];
      world.ask(`set ${key} 0 0 1 noreply\r\nx\r\n`);
    });
    expect(world.takeMoves()).toEqual([]);
  });

  it('our own link: nobody is heard, all stay, reads are misses; and nothing was flushed for it', async () => {
    const world = new World();
    await world.pass(100, reader(world));
    await write(world, 'old');
    world.loss = 1;
    await world.pass(500, reader(world));
    expect(world.states).toEqual(['kept', 'kept', 'kept']);
    const ids = KEYS.map(key => world.ask(`get ${key}\r\n`));
    await world.pass(110);
    expect(ids.map(id => world.answers.get(id))).toEqual(KEYS.map(() => [MISS]));
    world.loss = 0;
    await world.pass(100, reader(world));
    expect(world.states).toEqual(['healthy', 'healthy', 'healthy']);
    expect(await read(world)).toEqual(KEYS.map(key => found(key, 'old')));
    expect(world.nodes.map(({ flushes }) => flushes)).toEqual([0, 0, 0]);
  });

  it('the last node: kept, its reads are misses within 110 ms, its writes wait', async () => {
    const world = new World({ nodes: 1 });
    await world.pass(50, reader(world));
    world.nodes[0]!.kill();
    await world.pass(300, reader(world));
    expect(world.states).toEqual(['kept']);
    const get = world.ask('get key-1\r\n');
    const set = world.ask('set key-1 0 0 1\r\nx\r\n');
    await world.pass(110);
    expect([world.answers.get(get), world.answers.get(set)]).toEqual([[MISS], undefined]);
    world.nodes[0]!.running = true;
    await world.pass(60);
    expect(world.states).toEqual(['healthy']);
  });
});

describe('flapping', () => {
  it('a node that dies whenever it is back is out ever longer', async () => {
    const world = new World();
    const outs: number[] = [];
    for (let i = 0; i < 3; i++) {
      world.nodes[1]!.up = false;
      while (world.state(1) !== 'out') await world.pass(10, reader(world));
      const outMs = world.bed.nowMs;
      world.nodes[1]!.up = true;
      while (world.state(1) !== 'healthy') await world.pass(10, reader(world, 1));
      outs.push(Math.floor((world.bed.nowMs - outMs) / 1000));
    }
    expect(outs).toEqual([2, 4, 8]);
  });
});
