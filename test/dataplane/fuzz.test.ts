/** A lane as it is by default, under two million frames; how: support/lane-fuzz.ts. */
import { fuzzLane } from '../support/lane-fuzz.ts';

fuzzLane('by default', {});
