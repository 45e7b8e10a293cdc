/** The clock that control goes by: the process's, or a simulation's. */

export interface Clock {
  /** ms that only ever grow; the same that lanes are driven by. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

export const PROCESS_CLOCK: Clock = {
  now: () => performance.now(),
  sleep: ms => new Promise(resolve => setTimeout(resolve, ms)),
};
