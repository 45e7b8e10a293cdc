/** A fixture row: one frame in, one verdict, at most one frame out, exact to the byte. */
import { expect, it } from 'vitest';
import { hex } from '../support/frames.ts';
import { type BedOptions, LaneBed, type Side } from '../support/lane-bed.ts';

export interface Row {
  readonly name: string;
  /** Where it arrives; default client. */
  readonly at?: Side;
  readonly frame: Uint8Array;
  readonly flags?: number;
  /** Requests that came before it: the first holds slot 0, the next slot 1 … */
  readonly after?: readonly Uint8Array[];
  readonly bed?: BedOptions;
  /** Every counter that moves, by one: the forwarding ones, an answer's, or the reason of the drop. */
  readonly counted: string;
  /** Those of them that move by more. */
  readonly times?: Readonly<Record<string, number>>;
  /** Where it leaves and what it is then. Absent: it does not leave. */
  readonly out?: readonly [side: Side, frame: Uint8Array];
  /** Of the frame that leaves; default 0. */
  readonly outFlags?: number;
}

/** One test a row. */
export function checkRows(rows: readonly Row[]): void {
  for (const row of rows) it(row.name, () => checkRow(row));
}

export function checkRow(row: Row): void {
  const { at = 'client', frame, flags = 0, after = [], counted, times, out, outFlags = 0 } = row;
  const bed = new LaneBed(row.bed);
  for (const earlier of after) expect(bed.hear('client', earlier).counted.requests).toBe(1);
  const outcome = bed.hear(at, frame, { flags });
  const expected = out ? [{ side: out[0], flags: outFlags, bytes: hex(out[1]) }] : [];
  expect(outcome.counted).toEqual({ ...Object.fromEntries(counted.split(' ').map(name => [name, 1])), ...times });
  expect(outcome.sent.map(sent => ({ side: sent.side, flags: sent.flags, bytes: hex(sent.frame) }))).toEqual(expected);
  expect(bed.unaccounted()).toBe(0);
}
