const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Resolves at the first signal that asks us to end. */
export function signalled(): Promise<void> {
  return new Promise(resolve => {
    for (const signal of SIGNALS) process.once(signal, () => resolve());
  });
}
