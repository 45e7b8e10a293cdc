/** The fuzz of fuzz.test.ts in mode dsr. */
import { MODE_DSR } from '../../src/dataplane/setup.ts';
import { fuzzLane } from '../support/lane-fuzz.ts';

fuzzLane('in mode dsr', { mode: MODE_DSR });
