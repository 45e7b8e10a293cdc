/**
 * What this process has made in the world (namespaces, processes, files) and how to unmake it: undone on normal exit, on
 * an uncaught error and on SIGINT, SIGTERM and SIGHUP, newest first. Steps are synchronous: an `exit` handler
 * cannot wait.
 *
 * A signal for which the program has a handler of its own is left to that handler; the steps run when it exits.
 */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

const steps: (() => void)[] = [];
let armed = false;

/** Registers a step; the returned function forgets it without running it (the thing was unmade in the normal way). */
export function onCleanup(step: () => void): () => void {
  arm();
  steps.push(step);
  return () => {
    const position = steps.indexOf(step);
    if (position >= 0) steps.splice(position, 1);
  };
}

/** Runs every step once, newest first; one that throws does not keep the others from running. */
export function cleanUp(): void {
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    try {
      step();
    } catch (error) {
      process.stderr.write(`clean-up: ${(error as Error).message}\n`);
    }
  }
}

function arm(): void {
  if (armed) return;
  armed = true;
  process.on('exit', cleanUp);
  for (const [signal, number] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) process.exit(128 + number);
    });
  }
}
