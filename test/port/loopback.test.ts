import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/mem/arena.ts';
import { type LoopbackPort, loopbackByteLength, openLoopback } from '../../src/port/loopback.ts';
import {
  CHECKSUM_START_SHIFT,
  DROP,
  FLAG_CHECKSUM_VERIFIED,
  FLAG_PARTIAL_CHECKSUM,
  FLAG_VLAN,
  PORT_COUNTERS,
  REFUSED,
  ROW_FLAGS,
  ROW_LENGTH,
  ROW_OFFSET,
  ROW_VERDICT,
  ROW_WORDS,
  VERDICT_GROUP_SHIFT,
  VLAN_SHIFT,
} from '../../src/port/port.ts';

const RING_FRAMES = 8;

function pair(ids: [number, number] = [0, 0]) {
  const arena = Arena.create(2 * loopbackByteLength(RING_FRAMES));
  const [nearId, farId] = ids;
  const { near, far } = openLoopback({
    near: { arena, id: nearId },
    far: { arena, id: farId },
    ringFrames: RING_FRAMES,
  });
  return { arena, near, far, batch: new Int32Array(16 * ROW_WORDS) };
}

/** Claims a frame, writes `bytes` into it and describes it in row `row`. */
function say(arena: Arena, port: LoopbackPort, batch: Int32Array, row: number, bytes: Uint8Array, flags = 0): void {
  const offset = port.claim();
  arena.bytes.set(bytes, offset);
  batch.set([offset, bytes.length, flags, port.id], row * ROW_WORDS);
}

function heard(arena: Arena, batch: Int32Array, row: number): Uint8Array {
  const offset = batch[row * ROW_WORDS + ROW_OFFSET] as number;
  return arena.bytes.slice(offset, offset + (batch[row * ROW_WORDS + ROW_LENGTH] as number));
}

function counter(port: LoopbackPort, name: (typeof PORT_COUNTERS)[number]): number {
  return port.counters[PORT_COUNTERS.indexOf(name)] as number;
}

describe('loopback', () => {
  it('property: what one end says, the other hears, in order, byte for byte', () => {
    const frames = fc.array(fc.uint8Array({ minLength: 14, maxLength: 1514 }), {
      minLength: 1,
      maxLength: RING_FRAMES,
    });
    fc.assert(
      fc.property(fc.array(frames, { minLength: 1, maxLength: 5 }), rounds => {
        const { arena, near, far, batch } = pair();
        for (const round of rounds) {
          round.forEach((frame, row) => {
            say(arena, near, batch, row, frame);
          });
          expect(near.transmit(batch, round.length)).toBe(round.length);
          expect(far.receive(batch, 16)).toBe(round.length);
          expect(round.map((_, row) => heard(arena, batch, row))).toEqual(round);
          far.release(batch, round.length);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('crosses from one arena into another', () => {
    const [here, there] = [Arena.create(loopbackByteLength()), Arena.create(loopbackByteLength())];
    const { near, far } = openLoopback({ near: { arena: here }, far: { arena: there } });
    const batch = new Int32Array(ROW_WORDS);
    say(
      here,
      near,
      batch,
      0,
      Uint8Array.from({ length: 60 }, (_, i) => i),
    );
    near.transmit(batch, 1);
    expect(far.receive(batch, 1)).toBe(1);
    expect(heard(there, batch, 0)).toEqual(Uint8Array.from({ length: 60 }, (_, i) => i));
  });

  it('sends only the rows whose verdict names it, and hands them over undecided', () => {
    const { arena, near, far, batch } = pair([3, 4]);
    for (const [row, verdict] of [3, DROP, 4, 3 | (7 << VERDICT_GROUP_SHIFT), REFUSED].entries()) {
      say(arena, near, batch, row, new Uint8Array(14).fill(row));
      batch[row * ROW_WORDS + ROW_VERDICT] = verdict;
    }
    expect(near.transmit(batch, 5)).toBe(2);
    expect(far.receive(batch, 16)).toBe(2);
    expect([heard(arena, batch, 0)[0], heard(arena, batch, 1)[0]]).toEqual([0, 3]);
    expect(batch[ROW_VERDICT]).toBe(DROP);
  });

  it.each([
    ['nothing', 0, 0],
    ['a partial checksum and where it begins', FLAG_PARTIAL_CHECKSUM | (34 << CHECKSUM_START_SHIFT), 0x2201],
    ['no mark of how the sender had received it', FLAG_VLAN | (7 << 16) | FLAG_CHECKSUM_VERIFIED, 0],
    ['no checksum start without a partial checksum', 34 << CHECKSUM_START_SHIFT, 0],
  ])('carries in the flags: %s', (_, sent, received) => {
    const { arena, near, far, batch } = pair();
    say(arena, near, batch, 0, new Uint8Array(60), sent);
    near.transmit(batch, 1);
    far.receive(batch, 1);
    expect(batch[ROW_FLAGS]).toBe(received);
  });

  it.each([
    ['its VLAN', 0, FLAG_VLAN | (7 << VLAN_SHIFT)],
    [
      'its VLAN and the priority that the frame came with',
      FLAG_VLAN | (0xe005 << VLAN_SHIFT),
      FLAG_VLAN | (0xe007 << VLAN_SHIFT),
    ],
    ['no priority without a tag', 0xe000 << VLAN_SHIFT, FLAG_VLAN | (7 << VLAN_SHIFT)],
  ])('an end of a VLAN tags what it sends: %s', (_, sent, received) => {
    const arena = Arena.create(2 * loopbackByteLength(RING_FRAMES));
    const { near, far } = openLoopback({ near: { arena, vlan: 7 }, far: { arena }, ringFrames: RING_FRAMES });
    const batch = new Int32Array(ROW_WORDS);
    say(arena, near, batch, 0, new Uint8Array(60), sent);
    near.transmit(batch, 1);
    far.receive(batch, 1);
    expect([near.vlan, far.vlan, batch[ROW_FLAGS]]).toEqual([7, 0, received]);
  });

  it('a full ring drops the newest and counts it at the receiver, until frames are released', () => {
    const { arena, near, far, batch } = pair();
    for (let row = 0; row < RING_FRAMES + 3; row++) say(arena, near, batch, row, new Uint8Array(14).fill(row));
    expect(near.transmit(batch, RING_FRAMES + 3)).toBe(RING_FRAMES + 3);
    expect(counter(far, 'ring_dropped')).toBe(3);
    expect(far.receive(batch, 5)).toBe(5);
    say(arena, near, batch, 0, new Uint8Array(14));
    near.transmit(batch, 1);
    expect(counter(far, 'ring_dropped')).toBe(4);
    far.release(batch, 5);
    expect(far.receive(batch, 16)).toBe(RING_FRAMES - 5);
    far.release(batch, RING_FRAMES - 5);
    say(arena, near, batch, 0, new Uint8Array(14));
    near.transmit(batch, 1);
    expect(far.receive(batch, 16)).toBe(1);
  });

  it.each([
    ['a runt', 13, 0],
    ['the shortest', 14, 1],
    ['the longest', 1514, 1],
    ['one byte too long', 1515, 0],
  ])('%s, %i bytes: %i taken', (_, bytes, taken) => {
    const { arena, near, batch } = pair();
    say(arena, near, batch, 0, new Uint8Array(bytes));
    expect(near.transmit(batch, 1)).toBe(taken);
    expect(counter(near, 'transmit_refused')).toBe(1 - taken);
    expect(batch[ROW_VERDICT]).toBe(taken === 1 ? near.id : REFUSED);
  });

  it('lends 64 frames, none twice, and has them again after a transmit', () => {
    const { near, batch } = pair();
    const lent = Array.from({ length: 64 }, () => near.claim());
    expect(new Set(lent).size).toBe(64);
    expect(near.claim()).toBe(-1);
    near.transmit(batch, 0);
    expect(near.claim()).toBe(lent[0]);
  });

  it('a received frame goes back from where it lies, after it has grown', () => {
    const { arena, near, far, batch } = pair();
    say(arena, near, batch, 0, new Uint8Array(60).fill(1));
    near.transmit(batch, 1);
    far.receive(batch, 1);
    const offset = batch[ROW_OFFSET] as number;
    arena.bytes.fill(2, offset, offset + far.roomBytes);
    batch[ROW_LENGTH] = far.roomBytes;
    batch[ROW_VERDICT] = far.id;
    expect(far.transmit(batch, 1)).toBe(1);
    far.release(batch, 1);
    near.receive(batch, 1);
    expect(heard(arena, batch, 0)).toEqual(new Uint8Array(1514).fill(2));
  });

  it('scribbles over the headroom of what it sends, and not over the frame before it', () => {
    const { arena, near, batch } = pair();
    say(arena, near, batch, 0, new Uint8Array(1514).fill(1));
    say(arena, near, batch, 1, new Uint8Array(1514).fill(2));
    const first = batch[ROW_OFFSET] as number;
    near.transmit(batch, 2);
    expect(arena.bytes.slice(first, first + 1514)).toEqual(new Uint8Array(1514).fill(1));
    expect(arena.bytes.slice(first - 16, first)).toEqual(new Uint8Array(16).fill(0xa5));
  });

  it('inject delivers any flags, and refuses what no slot holds', () => {
    const { arena, far, batch } = pair();
    expect(far.inject(new Uint8Array(60).fill(7), FLAG_VLAN | (5 << 16))).toBe(true);
    far.receive(batch, 1);
    expect(heard(arena, batch, 0)).toEqual(new Uint8Array(60).fill(7));
    expect(batch[ROW_FLAGS]).toBe(FLAG_VLAN | (5 << 16));
    expect(() => far.inject(new Uint8Array(1515))).toThrow(RangeError);
  });

  it('counts frames, bytes, batches and calls on both sides', () => {
    const { arena, near, far, batch } = pair();
    say(arena, near, batch, 0, new Uint8Array(60));
    say(arena, near, batch, 1, new Uint8Array(100));
    near.transmit(batch, 2);
    far.receive(batch, 16);
    expect([counter(near, 'transmitted_frames'), counter(near, 'transmitted_bytes')]).toEqual([2, 160]);
    expect([counter(far, 'received_frames'), counter(far, 'received_bytes')]).toEqual([2, 160]);
    expect([counter(near, 'transmit_calls'), counter(far, 'receive_batches')]).toEqual([1, 1]);
  });

  it('refuses everything once closed', () => {
    const { arena, near, batch } = pair();
    near.close();
    say(arena, near, batch, 0, new Uint8Array(60));
    expect(near.transmit(batch, 1)).toBe(0);
    expect(counter(near, 'transmit_refused')).toBe(1);
  });

  it.each([0, -4, 3, 1.5])('ringFrames %d: refused', ringFrames => {
    const arena = Arena.create(1 << 20);
    expect(() => openLoopback({ near: { arena }, far: { arena }, ringFrames })).toThrow(/power of two/);
  });
});
