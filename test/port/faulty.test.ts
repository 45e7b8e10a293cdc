/** Nothing is invented, nothing is lost uncounted: every frame is delivered, dropped or held, as the counters say. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/mem/arena.ts';
import {
  DELAY_MAX,
  describeFaults,
  type FaultRates,
  FaultyPort,
  faultsByteLength,
  HELD_FRAMES_MAX,
} from '../../src/port/faulty.ts';
import { type LoopbackPort, loopbackByteLength, openLoopback } from '../../src/port/loopback.ts';
import { DROP, PORT_COUNTERS, ROW_LENGTH, ROW_OFFSET, ROW_VERDICT, ROW_WORDS } from '../../src/port/port.ts';

const RING_FRAMES = 64;
const MTU = 1500;
const NONE: FaultRates = { drop: 0, duplicate: 0, reorder: 0, direction: 'both', seed: 1 };

class Wire {
  readonly arena = Arena.create(2 * loopbackByteLength(RING_FRAMES, MTU) + faultsByteLength(MTU));
  readonly peer: LoopbackPort;
  readonly near: LoopbackPort;
  readonly faulty: FaultyPort;
  readonly batch = new Int32Array(RING_FRAMES * ROW_WORDS);
  readonly ownBatch = new Int32Array(RING_FRAMES * ROW_WORDS);
  #next = 0;

  constructor(rates: Partial<FaultRates>) {
    const { arena } = this;
    const pair = openLoopback({ near: { arena, id: 3 }, far: { arena, id: 4 }, ringFrames: RING_FRAMES, mtu: MTU });
    this.near = pair.near;
    this.peer = pair.far;
    this.faulty = new FaultyPort(pair.near, arena, describeFaults({ ...NONE, ...rates }, arena, MTU));
  }

  /** Frames with a number each, of different lengths, all bytes told by it. */
  #write(offset: number): number {
    const number = this.#next++;
    const length = 14 + (number % 1500);
    this.arena.bytes.fill(number & 0xff, offset, offset + length);
    this.arena.view.setUint32(offset, number);
    return length;
  }

  /** @throws Error when it is not a frame of `#write` */
  #read(batch: Int32Array, row: number): number {
    const offset = batch[row * ROW_WORDS + ROW_OFFSET]!;
    const length = batch[row * ROW_WORDS + ROW_LENGTH]!;
    const number = this.arena.view.getUint32(offset);
    const body = this.arena.bytes.subarray(offset + 4, offset + length);
    if (length !== 14 + (number % 1500) || body.some(byte => byte !== (number & 0xff))) throw new Error('invented');
    return number;
  }

  #send(port: { id: number; claim(): number; transmit(batch: Int32Array, rows: number): number }, frames: number) {
    for (let i = 0; i < frames; i++) {
      const offset = port.claim();
      this.batch.set([offset, this.#write(offset), 0, port.id], i * ROW_WORDS);
    }
    expect(port.transmit(this.batch, frames)).toBe(frames);
    for (let i = 0; i < frames; i++) expect(this.batch[i * ROW_WORDS + ROW_VERDICT]).toBe(port.id);
  }

  /** The peer sends so many, the faulty port receives; what it hands over, then scribbled over. */
  receive(frames: number): number[] {
    this.#send(this.peer, frames);
    const rows = this.faulty.receive(this.batch, RING_FRAMES);
    const numbers = Array.from({ length: rows }, (_, row) => this.#read(this.batch, row));
    for (let row = 0; row < rows; row++) {
      expect(this.batch[row * ROW_WORDS + ROW_VERDICT]).toBe(DROP);
      this.arena.bytes.fill(0xdd, this.batch[row * ROW_WORDS]!, this.batch[row * ROW_WORDS]! + this.faulty.roomBytes);
    }
    if (rows > 0) this.faulty.release(this.batch, rows);
    return numbers;
  }

  /** The faulty port sends so many; what its peer hears. */
  transmit(frames: number): number[] {
    this.faulty.receive(this.batch, RING_FRAMES); // its clock
    if (frames > 0) this.#send(this.faulty, frames);
    const rows = this.peer.receive(this.ownBatch, RING_FRAMES);
    const numbers = Array.from({ length: rows }, (_, row) => this.#read(this.ownBatch, row));
    this.peer.release(this.ownBatch, rows);
    return numbers;
  }

  count(name: (typeof PORT_COUNTERS)[number]): number {
    return this.faulty.counters[PORT_COUNTERS.indexOf(name)]!;
  }

  get faults() {
    return [this.count('fault_dropped'), this.count('fault_duplicated'), this.count('fault_delayed')];
  }
}

const timesOf = (numbers: readonly number[]) => {
  const times = new Map<number, number>();
  for (const number of numbers) times.set(number, (times.get(number) ?? 0) + 1);
  return times;
};

describe.each(['receive', 'transmit'] as const)('a faulty port, %s', way => {
  const rates = fc.tuple(fc.double({ min: 0, max: 0.4, noNaN: true }), fc.nat(), fc.nat()).map(([drop, b, c]) => ({
    drop,
    duplicate: (b % 30) / 100,
    reorder: (c % 30) / 100,
  }));

  it('property: every frame is delivered once or twice, dropped or held, as counted', () => {
    const bursts = fc.array(fc.integer({ min: 0, max: 24 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(rates, fc.integer(), bursts, (shares, seed, sizes) => {
        const wire = new Wire({ ...shares, seed });
        const heard = sizes.flatMap(size => wire[way](size));
        const sent = sizes.reduce((sum, size) => sum + size, 0);
        const [dropped, duplicated] = wire.faults;
        expect(heard.length + wire.faulty.held).toBe(sent - dropped! + duplicated!);
        // Idle receives bring out what is held.
        for (let turn = 0; turn <= DELAY_MAX; turn++) heard.push(...wire[way](0));
        expect(wire.faulty.held).toBe(0);
        const times = timesOf(heard);
        expect(times.size).toBe(sent - dropped!);
        expect([...times.values()].filter(count => count === 2)).toHaveLength(duplicated!);
        expect(Math.max(0, ...times.values())).toBeLessThanOrEqual(2);
        expect(wire.near.counters[PORT_COUNTERS.indexOf('transmit_refused')]).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('the same seed, the same faults; another, others', () => {
    const run = (seed: number) => {
      const wire = new Wire({ drop: 0.2, duplicate: 0.1, reorder: 0.2, seed });
      return Array.from({ length: 20 }, () => wire[way](10)).flat();
    };
    expect(run(5)).toEqual(run(5));
    expect(run(5)).not.toEqual(run(6));
  });

  it('keeps to its rates, of 20,000 frames within five standard deviations', () => {
    const wire = new Wire({ drop: 0.2, duplicate: 0.02, reorder: 0.05 });
    for (let i = 0; i < 1000; i++) wire[way](20);
    for (const [i, rate] of [0.2, 0.02, 0.05].entries()) {
      const deviation = Math.sqrt(20_000 * rate * (1 - rate));
      expect(Math.abs(wire.faults[i]! - 20_000 * rate)).toBeLessThan(5 * deviation);
    }
  });

  it('in one direction alone leaves the other as it is', () => {
    const wire = new Wire({ drop: 1, direction: way === 'receive' ? 'transmit' : 'receive' });
    expect(wire[way](20)).toHaveLength(20);
    expect(wire.faults).toEqual([0, 0, 0]);
  });

  it('loses everything where told to, and goes on receiving: the ring is given back', () => {
    const wire = new Wire({ drop: 1 });
    for (let i = 0; i < 20; i++) expect(wire[way](20)).toEqual([]);
    expect(wire.faults).toEqual([400, 0, 0]);
    expect(wire.count('ring_dropped')).toBe(0);
  });

  it('delays: others overtake, for so long at most; with all places taken it lets frames through', () => {
    const wire = new Wire({ reorder: 1 });
    const rounds = Array.from({ length: 30 }, () => wire[way](20));
    const arrival = new Map(rounds.flatMap((numbers, round) => numbers.map(number => [number, round] as const)));
    const delays = [...arrival].map(([number, round]) => round - Math.floor(number / 20));
    expect(Math.max(...delays)).toBe(DELAY_MAX);
    expect(rounds.flat()).not.toEqual([...rounds.flat()].sort((a, b) => a - b));
    expect(wire.faulty.held).toBeLessThanOrEqual(HELD_FRAMES_MAX);
    expect(wire.faults[2]).toBeLessThan(600);
  });
});

describe('a faulty port', () => {
  it('passes on flags, and rows of other ports', () => {
    const wire = new Wire({ duplicate: 1, direction: 'transmit' });
    const offset = wire.faulty.claim();
    wire.arena.bytes.fill(7, offset, offset + 60);
    wire.batch.set([offset, 60, 0x2201, 3 | (5 << 8), offset, 60, 0, 4, offset, 60, 0, DROP]);
    expect(wire.faulty.transmit(wire.batch, 3)).toBe(1);
    for (let turn = 0; turn <= DELAY_MAX; turn++) wire.faulty.receive(wire.ownBatch, 8);
    expect(wire.peer.receive(wire.ownBatch, 8)).toBe(2);
    expect([wire.ownBatch[2], wire.ownBatch[6]]).toEqual([0x2201, 0x2201]);
  });

  it('counts what it held for a lane that died', () => {
    const wire = new Wire({ reorder: 1, direction: 'receive' });
    wire.receive(10);
    const held = wire.faulty.held;
    expect(held).toBeGreaterThan(0);
    expect(wire.faulty.discardInterrupted()).toBe(held);
    expect(wire.faulty.held).toBe(0);
  });
});
