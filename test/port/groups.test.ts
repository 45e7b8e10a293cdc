/** The order in which frames of a batch leave an AF_PACKET port, and what becomes of those that do not. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BATCH_ROWS_MAX, DROP, REFUSED, ROW_VERDICT, ROW_WORDS, VERDICT_GROUP_SHIFT } from '../../src/port/port.ts';
import { ethernetFrame } from '../support/frames.ts';
import { NOBODY_MAC, type TestPort, VethBed } from '../support/lane-bed-veth.ts';
import { requireNamespaces, requireShim } from '../support/requirements.ts';

const FRAME_BYTES = 60;
const OURS = 3;
const OTHERS = 4;
const GROUP_MAX = 1025;

const of = (port: number, group: number) => port | (group << VERDICT_GROUP_SHIFT);
const ours = (...groups: number[]) => groups.map(group => of(OURS, group));

/** Row numbers in the order in which they leave: said once more, in the plainest way. */
function expectedOrder(verdicts: readonly number[]): number[] {
  const chains = new Map<string, number[]>();
  verdicts.forEach((verdict, row) => {
    if (verdict < 0 || verdict % 256 !== OURS) return;
    const group = Math.floor(verdict / 256);
    const chain = group === 0 ? `alone ${row}` : `group ${group}`;
    chains.set(chain, [...(chains.get(chain) ?? []), row]);
  });
  return [...chains.values()].flat();
}

describe.skipIf(requireNamespaces() ?? requireShim())('frames of a batch', () => {
  let bed: VethBed;
  let near: TestPort;
  let far: TestPort;
  let frames: number;

  beforeAll(() => {
    bed = new VethBed('ab');
    near = bed.open('a', { id: OURS, ringFrames: 512 });
    far = bed.open('b', { ringFrames: 512 });
    frames = near.description.ringOffset + 128; // nobody sends to `near`: its ring is the frames' memory
  });

  afterAll(() => bed.remove());

  function place(row: number): number {
    return frames + row * near.description.slotBytes;
  }

  /** Transmits rows with these verdicts, each of a frame that carries its row's number; returns the verdicts afterwards. */
  function transmit(verdicts: readonly number[], wrongBytes = 0, wrong: readonly number[] = []): number[] {
    verdicts.forEach((verdict, row) => {
      const payload = new Uint8Array(FRAME_BYTES - 14);
      payload.set([row >> 8, row & 0xff]);
      near.arena.bytes.set(ethernetFrame({ etherType: 0x88b5, dstMac: NOBODY_MAC, payload }), place(row));
      near.row(row, place(row), wrong.includes(row) ? wrongBytes : FRAME_BYTES, 0, verdict);
    });
    near.port.transmit(near.batch, verdicts.length);
    return verdicts.map((_, row) => near.batch[row * ROW_WORDS + ROW_VERDICT]!);
  }

  const heard = async (count: number) => (await far.listen(count)).map(({ frame }) => frame[14]! * 256 + frame[15]!);

  it.each([
    ['of no group keep their order', ours(0, 0, 0, 0), [0, 1, 2, 3]],
    ['of one group follow each other', ours(1, 2, 1, 2, 1), [0, 2, 4, 1, 3]],
    ['of no group stay behind what came before them', ours(0, 1, 0, 1, 0), [0, 1, 3, 2, 4]],
    ['of a group leave when its first does', ours(9, 7, 8, 7, 9), [0, 4, 1, 3, 2]],
    ['of the last node', ours(GROUP_MAX, 1, GROUP_MAX), [0, 2, 1]],
    ['of another port, or nobody, are passed over', [of(OURS, 1), DROP, of(OTHERS, 1), REFUSED, of(OURS, 1)], [0, 4]],
    ['alone', ours(5), [0]],
  ])('%s', async (_, verdicts, order) => {
    expect(transmit(verdicts)).toEqual(verdicts);
    expect(await heard(order.length)).toEqual(order);
    expect(far.take()).toEqual([]);
    expect(expectedOrder(verdicts)).toEqual(order);
  });

  it.each([
    ['that are longer than the port’s frames', 1515, [1, 2, 4]],
    ['that are too short to be any', 13, [1, 2, 4]],
    ['that the kernel refuses, its MTU being less by now,', 1450, [2, 1, 4]],
  ])('%s are marked and counted; the rest of their group leaves in order', async (_, bytes, order) => {
    const [taken, refused] = [near.count('transmitted_frames'), near.count('transmit_refused')];
    const counted = near.count('transmitted_bytes');
    bed.setMtu('a', 1400);
    const verdicts = ours(1, 2, 1, 2, 0, 1);
    expect(transmit(verdicts, bytes, [0, 3, 5])).toEqual([
      REFUSED,
      of(OURS, 2),
      of(OURS, 1),
      REFUSED,
      of(OURS, 0),
      REFUSED,
    ]);
    bed.setMtu('a', 1500);
    expect(await heard(3)).toEqual(order);
    expect([near.count('transmitted_frames') - taken, near.count('transmit_refused') - refused]).toEqual([3, 3]);
    expect(near.count('transmitted_bytes') - counted).toBe(3 * FRAME_BYTES);
  });

  it('property: leave as the plain model says, batch after batch, up to its greatest length', async () => {
    const group = fc.oneof(fc.nat(4), fc.nat(GROUP_MAX));
    const verdict = fc.oneof(
      { weight: 8, arbitrary: group.map(g => of(OURS, g)) },
      { weight: 1, arbitrary: group.map(g => of(OTHERS, g)) },
      { weight: 1, arbitrary: fc.constantFrom(DROP, REFUSED) },
    );
    const batch = fc.array(verdict, { minLength: 1, maxLength: BATCH_ROWS_MAX, size: 'max' });
    await fc.assert(
      fc.asyncProperty(batch, async verdicts => {
        transmit(verdicts);
        const order = expectedOrder(verdicts);
        expect(await heard(order.length)).toEqual(order);
      }),
      { numRuns: 60 },
    );
  });
});
