/** What happens, a line each, for people. */

/** @param who a host, or what of Keysteer it is */
export type Trace = (who: string, text: string) => void;

/**
 * @param key only lines that have this text in them, and all of `always`
 * @param print gets whole lines
 */
export function traceOf(
  nowMs: () => number,
  startMs: number,
  key: string | undefined,
  print: (line: string) => void,
): Trace {
  return (who, text) => {
    if (key !== undefined && !text.includes(key) && !text.startsWith('*')) return;
    print(`${(nowMs() - startMs).toFixed(3).padStart(12)}  ${who.padEnd(10)}  ${text}`);
  };
}
