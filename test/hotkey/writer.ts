/** A lane for the tests: counts four hot keys among many cold ones, ends epochs, until it is told to stop. */
import { workerData } from 'node:worker_threads';
import { openDetector } from '../../src/hotkey/detectors.ts';
import { Random } from '../../src/load/random.ts';
import { mix32 } from '../../src/mem/mix.ts';

const PER_LOOK = 1000;
const LOOKS_PER_EPOCH = 20;
const { words, control, options } = workerData as {
  words: Int32Array;
  control: Int32Array;
  options: { bytes: number };
};

const detector = openDetector('self-adaptive', words, 0, options);
const random = new Random(42);
for (let look = 1; Atomics.load(control, 0) === 0; look++) {
  for (let i = 0; i < PER_LOOK; i++) {
    const key = random.below(10) < 4 ? random.below(4) : random.below(100_000);
    detector.update(mix32(key + 0x1234567), 1);
  }
  if (look % LOOKS_PER_EPOCH === 0) detector.decay();
  Atomics.store(control, 1, look);
}
