/** Parked frames against a plain list. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Parking } from '../../src/dataplane/parking.ts';
import { HEADROOM_BYTES } from '../../src/port/port.ts';

const FRAMES = 5;
const NEIGHBOURS = 4;
const FRAME_BYTES_MAX = 200;
const BASE = 128;
const SOURCE = BASE + Parking.byteLength(FRAMES, FRAME_BYTES_MAX) + 128;

function parkingOf() {
  const bytes = new Uint8Array(new SharedArrayBuffer(SOURCE + FRAME_BYTES_MAX));
  return { bytes, parking: new Parking(bytes, BASE, FRAMES, FRAME_BYTES_MAX, NEIGHBOURS) };
}

interface Parked {
  readonly fill: number;
  readonly length: number;
  readonly flags: number;
  readonly neighbour: number;
}

type Step = { readonly park: Parked } | { readonly leave: number };

describe('parking', () => {
  it('property: keeps frames whole and in order of arrival, whichever leave first, and takes no more than it has', () => {
    const parked = fc.record({
      fill: fc.integer({ min: 1, max: 255 }),
      length: fc.integer({ min: 14, max: FRAME_BYTES_MAX }),
      flags: fc.integer(),
      neighbour: fc.nat(NEIGHBOURS - 1),
    });
    const step: fc.Arbitrary<Step> = fc.oneof(fc.record({ park: parked }), fc.record({ leave: fc.nat() }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), steps => {
        const { bytes, parking } = parkingOf();
        const list: Parked[] = [];
        for (const doing of steps) {
          if ('park' in doing) {
            const { fill, length, flags, neighbour } = doing.park;
            bytes.fill(fill, SOURCE, SOURCE + length);
            const waiting = list.filter(other => other.neighbour === neighbour).length;
            const fits = waiting < FRAMES - list.length;
            expect(parking.park(SOURCE, length, flags, neighbour)).toBe(fits);
            if (fits) list.push(doing.park);
          } else if (list.length > 0) {
            parking.leave(doing.leave % list.length);
            list.splice(doing.leave % list.length, 1);
          }
          expect(parking.count).toBe(list.length);
          list.forEach((frame, i) => {
            const at = parking.offset(i);
            const whole = bytes.subarray(at, at + frame.length).every(byte => byte === frame.fill);
            expect([whole, parking.length(i), parking.flags(i), parking.neighbour(i)]).toEqual([
              true,
              frame.length,
              frame.flags,
              frame.neighbour,
            ]);
          });
        }
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    [1, 50],
    [2, 33],
    [3, 25],
    [9, 10],
  ])('%i silent neighbours get %i of 100 places each, and one more gets some', (silent, share) => {
    const bytes = new Uint8Array(new SharedArrayBuffer(1 << 16));
    const parking = new Parking(bytes, 0, 100, 64, silent + 1);
    const parked = new Array(silent).fill(0);
    for (let frame = 0; frame < 100; frame++) {
      for (let neighbour = 0; neighbour < silent; neighbour++) {
        if (parking.park(1 << 15, 64, 0, neighbour)) parked[neighbour]++;
      }
    }
    for (const count of parked) expect(Math.abs(count - share)).toBeLessThanOrEqual(1);
    expect(parking.park(1 << 15, 64, 0, silent)).toBe(true);
  });

  it('a full house of the longest frames stays within its bytes, headroom between them', () => {
    const { bytes, parking } = parkingOf();
    bytes.fill(7, SOURCE);
    for (let i = 0; i < FRAMES; i++) parking.park(SOURCE, FRAME_BYTES_MAX, 0, i % NEIGHBOURS);
    expect(bytes.subarray(0, BASE + HEADROOM_BYTES).every(byte => byte === 0)).toBe(true);
    expect(bytes.subarray(SOURCE - 128, SOURCE).every(byte => byte === 0)).toBe(true);
    const offsets = Array.from({ length: FRAMES }, (_, i) => parking.offset(i));
    for (const [i, offset] of offsets.slice(1).entries()) {
      expect(offset - offsets[i]!).toBeGreaterThanOrEqual(FRAME_BYTES_MAX + HEADROOM_BYTES);
    }
  });
});
