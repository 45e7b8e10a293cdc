/** Parked frames against a plain list. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Parking } from '../../src/dataplane/parking.ts';
import { HEADROOM_BYTES } from '../../src/port/port.ts';

const FRAMES = 5;
const FRAME_BYTES_MAX = 200;
const BASE = 128;
const SOURCE = BASE + Parking.byteLength(FRAMES, FRAME_BYTES_MAX) + 128;

function parkingOf() {
  const bytes = new Uint8Array(new SharedArrayBuffer(SOURCE + FRAME_BYTES_MAX));
  return { bytes, parking: new Parking(bytes, BASE, FRAMES, FRAME_BYTES_MAX) };
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
      neighbour: fc.nat(1023),
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
            expect(parking.park(SOURCE, length, flags, neighbour)).toBe(list.length < FRAMES);
            if (list.length < FRAMES) list.push(doing.park);
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

  it('a full house of the longest frames stays within its bytes, headroom between them', () => {
    const { bytes, parking } = parkingOf();
    bytes.fill(7, SOURCE);
    for (let i = 0; i < FRAMES; i++) parking.park(SOURCE, FRAME_BYTES_MAX, 0, 0);
    expect(bytes.subarray(0, BASE + HEADROOM_BYTES).every(byte => byte === 0)).toBe(true);
    expect(bytes.subarray(SOURCE - 128, SOURCE).every(byte => byte === 0)).toBe(true);
    const offsets = Array.from({ length: FRAMES }, (_, i) => parking.offset(i));
    for (const [i, offset] of offsets.slice(1).entries()) {
      expect(offset - offsets[i]!).toBeGreaterThanOrEqual(FRAME_BYTES_MAX + HEADROOM_BYTES);
    }
  });
});
