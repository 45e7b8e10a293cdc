import { closeSync, openSync } from 'node:fs';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Resolves at the first signal that asks us to end. */
export function signalled(signals: readonly NodeJS.Signals[] = SIGNALS): Promise<void> {
  return new Promise(resolve => {
    for (const signal of signals) process.once(signal, () => resolve());
  });
}

/**
 * Calls `reload` at each SIGHUP; resolves at the one that comes because the terminal we were started on is gone, which
 * asks us to end.
 */
export function hungUp(reload: () => void): Promise<void> {
  const hadTerminal = hasTerminal();
  return new Promise(resolve => {
    process.on('SIGHUP', () => {
      if (hadTerminal && !hasTerminal()) resolve();
      else reload();
    });
  });
}

/** Whether there is a controlling terminal, and it still answers. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}
