/** The fuzz of fuzz.test.ts in mode gateway: what nodes say to clients passes through, too. */
import { MODE_GATEWAY } from '../../src/dataplane/setup.ts';
import { fuzzLane } from '../support/lane-fuzz.ts';

fuzzLane('in mode gateway', { mode: MODE_GATEWAY });
