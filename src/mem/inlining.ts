/**
 * How much V8 may inline into a duty cycle.
 *
 * A lane's cycle is many small functions called once per frame each. TurboFan stops inlining after 920 bytes of bytecode
 * per optimised function, which leaves a dozen real calls per frame, with their checks and reloads. With the budget
 * below the whole path becomes one straight piece of code. `bench -- pipeline` (bundled, Node 20), with hot keys off:
 * default budget 4.1 M frames/s, 4,500 bytes 7 or more, 10,000 bytes 3.7. Too much is as bad as too little: the body
 * outgrows the registers, and with hot keys on a larger budget drags the cold path in. What is inlined depends on
 * timing, too: a process in five settles for a slower shape.
 *
 * It only works on code in one module: V8 folds a module's own constants and call targets, but loads imported ones from
 * a cell at each use. So the build bundles each program that runs a duty cycle into one file (scripts/setup.mjs).
 */
import { setFlagsFromString } from 'node:v8';

const BUDGET_BYTES = 4500;
const FUNCTION_BYTES_MAX = 1500;

/** For the whole process; to be called before hot code has run. */
export function widenInlining(): void {
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${BUDGET_BYTES}`);
  setFlagsFromString(`--max-inlined-bytecode-size=${FUNCTION_BYTES_MAX}`);
}
