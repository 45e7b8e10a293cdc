/** A lane as it is by default, under 2.5 million frames (10^7 with the files beside this one); how: support/lane-fuzz.ts. */
import { fuzzLane } from '../support/lane-fuzz.ts';

fuzzLane('by default', {});
