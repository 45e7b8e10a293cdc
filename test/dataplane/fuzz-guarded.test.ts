/** The fuzz of fuzz.test.ts with all that can be turned on; a file of its own, so that it has a CPU of its own. */
import { sourceRanges } from '../../src/dataplane/source-ranges.ts';
import { address, type BedOptions } from '../support/lane-bed.ts';
import { fuzzLane, SLOTS } from '../support/lane-fuzz.ts';

/** Everything on that may be: sources are told apart and have budgets, commands go to every node. */
const GUARDED: BedOptions = {
  newcomerSlots: SLOTS / 4,
  gate: {
    watches: true,
    requestsPerSecond: 100_000,
    responseBytesPerSecond: 2_000_000,
    responseRatioMax: 100,
    ranges: sourceRanges([], [address('10.77.0.3')]),
    commands: { flushAll: 'broadcast', verbosity: 'broadcast', me: 'forward', deny: ['touch'] },
    broadcastMs: 5,
  },
};

fuzzLane('with a gatekeeper, and commands for every node', GUARDED);
