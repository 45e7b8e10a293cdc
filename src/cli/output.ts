/** How commands speak: exit codes, error texts, numbers for people. */

export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

/** Errors that were meant for the user carry their whole message; anything else is a defect and shows its stack. */
const FOR_USERS = new Set([
  'ConfigError',
  'PortError',
  'AddressInUseError',
  'LaneError',
  'SteerConfigError',
  'AddressError',
  'UserError',
  'UsageError',
  'PcapError',
  'CapError',
  'LinkError',
]);

/** A failure whose message says what the user can do. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

/** An argument that cannot be: names it, its value and the rule. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (FOR_USERS.has(error.name)) return error.message.includes('\n') ? `\n${error.message}` : error.message;
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? (error.stack ?? error.message) : error.message;
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** 1234567 → "1.23 M". */
export function short(value: number): string {
  const units: readonly [number, string][] = [
    [1e9, ' G'],
    [1e6, ' M'],
    [1e3, ' k'],
  ];
  const [scale, unit] = units.find(([least]) => Math.abs(value) >= least) ?? [1, ''];
  return `${Number((value / scale).toPrecision(3))}${unit}`;
}

export function percent(part: number, whole: number): string {
  return whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`;
}

/** Columns padded to their widest cell; the first is left-aligned, the others right-aligned. */
export function table(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(...rows.map(row => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map(row => (row[column] ?? '').length)),
  );
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join('  ');
  return rows.map(row => line(row).trimEnd()).join('\n');
}
