/** The simulated kernel spreads frames as the program does that the real one is given. */
import { expect, test } from 'vitest';
import { fanoutProgram } from '../../src/port/fanout.ts';
import { interpret } from '../port/fanout-rows.ts';
import { udpFrame } from '../support/frames.ts';
import { laneOf } from './fanout.ts';
import { Random } from './random.ts';

test('thousands of datagrams go to the lane that the program names', () => {
  const random = new Random(1);
  for (let i = 0; i < 3000; i++) {
    const plan = { lanes: random.whole(1, 8), portBase: 40_000, portsPerLane: random.whole(1, 3) };
    const frame = udpFrame({
      src: `10.77.${random.below(2)}.${random.whole(1, 254)}`,
      dst: '10.77.0.100',
      sport: random.whole(1024, 65_535),
      dport: random.chance(0.5) ? 11_211 : random.whole(39_998, 40_030),
      payload: 'x',
    });
    const program = fanoutProgram(plan.lanes, plan.portBase, plan.portsPerLane);
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    expect(laneOf(view, 0, plan)).toBe(interpret(program, frame.slice(14), 0x0800) % plan.lanes);
  }
});
