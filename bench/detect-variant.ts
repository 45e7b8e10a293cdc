/**
 * One detector of `bench -- detect` on one stream, in a process of its own: V8 compiles for what it has seen, and a lane
 * has one detector.
 *
 *     node detect-variant.bundle.js <detector> <stream>      → DetectResult as JSON
 *
 * The warm-up fills the table, so that what is measured is the steady state: every new key takes another's place. Epochs end
 * as they would once a second at 4 M requests/s.
 */

import { detectorByteLength, openDetector } from '../src/hotkey/detectors.ts';
import { InstantDetector } from '../src/hotkey/instant.ts';
import { createPopularity } from '../src/load/popularity.ts';
import { Random } from '../src/load/random.ts';
import { widenInlining } from '../src/mem/inlining.ts';
import { mix32 } from '../src/mem/mix.ts';
import { DETECTORS, type DetectResult, KEYS, STREAMS, type VariantName } from './detect-variants.ts';

/** Long enough that the stream is not learnt by heart by the branch predictor; 8 MiB, read in order. */
const STREAM_LENGTH = 1 << 21;
/** Timed by itself: shorter than what a scheduler gives at a time. */
const SLICE = 1 << 15;
const WARM_UP_PASSES = 6;
const PASSES = 6;
const PASSES_PER_EPOCH = 2;
const SEED = 0x9e3779b9 | 0;

interface Subject {
  readonly bytes: number;
  /** Shows it a part of the stream. */
  show(stream: Int32Array, from: number, to: number): number;
  endEpoch(): void;
  figures(): { entries: number; epsilon: number; displaced: number };
}

function open(name: VariantName): Subject {
  return name === 'instant' ? openInstant() : openCounting(name);
}

function openCounting(name: Exclude<VariantName, 'instant'>): Subject {
  const options = DETECTORS[name];
  const bytes = detectorByteLength(name, options);
  const detector = openDetector(name, new Int32Array(new SharedArrayBuffer(bytes)), 0, options);
  return {
    bytes,
    show: (stream, from, to) => {
      let sum = 0;
      for (let at = from; at < to; at++) sum = (sum + detector.update(stream[at], 1)) | 0;
      return sum;
    },
    endEpoch: () => detector.decay(),
    figures: () => ({ entries: detector.entries, epsilon: detector.epsilon, displaced: detector.displaced }),
  };
}

function openInstant(): Subject {
  const bytes = InstantDetector.byteLength();
  const detector = new InstantDetector(new Int32Array(new SharedArrayBuffer(bytes)), 0);
  return {
    bytes,
    show: (stream, from, to) => {
      let sum = 0;
      for (let at = from; at < to; at++) sum = (sum + (detector.note(stream[at]) ? 1 : 0)) | 0;
      return sum;
    },
    endEpoch: () => {},
    figures: () => ({ entries: 0, epsilon: 0, displaced: 0 }),
  };
}

/** ns for each hash of a slice, reading it from the stream included (below 1 ns). */
function timed(subject: Subject, stream: Int32Array, from: number): number {
  const start = process.hrtime.bigint();
  sink = (sink + subject.show(stream, from, from + SLICE)) | 0;
  return Number(process.hrtime.bigint() - start) / SLICE;
}

/** ns an update of each slice of the stream, in order. */
function pass(subject: Subject, stream: Int32Array, into: number[]): void {
  for (let from = 0; from < stream.length; from += SLICE) {
    into.push(timed(subject, stream, from));
  }
}

function measure(name: VariantName, exponent: number): DetectResult {
  const popularity = createPopularity(KEYS, exponent, new Random(SEED));
  const stream = Int32Array.from({ length: STREAM_LENGTH }, () => mix32(popularity.next() + SEED));
  const subject = open(name);
  for (let warmUp = 0; warmUp < WARM_UP_PASSES; warmUp++) pass(subject, stream, []);
  const nanosecondsPerUpdate: number[] = [];
  const heapBefore = process.memoryUsage().heapUsed;
  for (let round = 0; round < PASSES; round++) {
    if (round % PASSES_PER_EPOCH === 0) subject.endEpoch();
    pass(subject, stream, nanosecondsPerUpdate);
  }
  const allocated = process.memoryUsage().heapUsed - heapBefore;
  const bytesAllocatedPerUpdate = Number((Math.max(0, allocated) / (PASSES * STREAM_LENGTH)).toFixed(2));
  return { nanosecondsPerUpdate, ...subject.figures(), bytes: subject.bytes, bytesAllocatedPerUpdate };
}

let sink = 0;
widenInlining();
const [, , name, streamName] = process.argv;
const stream = STREAMS.find(candidate => candidate.name === streamName);
if (stream === undefined || !(name in DETECTORS)) throw new Error(`usage: detect-variant <detector> <stream>`);
process.stdout.write(JSON.stringify(measure(name as VariantName, stream.exponent)));
// So that nothing measured can be optimised away.
process.exitCode = sink === 0x5eed ? 3 : 0;
