import { expect, it } from 'vitest';
import { LANE_HELP, NODE_HELP, PORT_HELP } from '../../src/control/metrics/help.ts';
import { LANE_COUNTERS, NODE_COUNTERS } from '../../src/dataplane/counters.ts';
import { PORT_COUNTERS } from '../../src/port/port.ts';

it('every counter has a sentence that says what it counts', () => {
  const plain = LANE_COUNTERS.filter(name => !/^(drop|refused)_/.test(name));
  expect(plain.filter(name => LANE_HELP[name] === undefined)).toEqual([]);
  expect([...NODE_COUNTERS, 'unanswered'].filter(name => NODE_HELP[name] === undefined)).toEqual([]);
  expect(PORT_COUNTERS.filter(name => PORT_HELP[name] === undefined)).toEqual([]);
});
