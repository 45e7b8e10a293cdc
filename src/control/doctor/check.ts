/** What the doctor has found out about one thing. */

/** skip: could not be looked at, which says nothing about it. */
export type Status = 'ok' | 'warn' | 'fail' | 'skip';

export interface Check {
  readonly status: Status;
  /** One line, or with what follows it indented. */
  readonly what: string;
  /** A command, or what else to do. Absent where nothing is to be done. */
  readonly fix?: string;
}

export function ok(what: string): Check {
  return { status: 'ok', what };
}

/** It works, but not as well as it could, or may stop to. */
export function warn(what: string, fix: string): Check {
  return { status: 'warn', what, fix };
}

/** Keysteer will not start, or requests will be lost. */
export function fail(what: string, fix: string): Check {
  return { status: 'fail', what, fix };
}

export function skip(what: string, fix?: string): Check {
  return fix === undefined ? { status: 'skip', what } : { status: 'skip', what, fix };
}

/** Whether nothing failed. */
export function isHealthy(checks: readonly Check[]): boolean {
  return checks.every(({ status }) => status !== 'fail');
}
