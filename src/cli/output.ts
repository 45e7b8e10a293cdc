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
  'AdminError',
  'AdminClientError',
  'AdminRefusal',
  'ReloadError',
  'RowsInUseError',
  'TableBusyError',
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

/** 1234 → "1.23 ms". */
export function micros(us: number): string {
  if (!Number.isFinite(us)) return '> 16 s';
  const [value, unit] = us < 1000 ? [us, 'µs'] : us < 1e6 ? [us / 1000, 'ms'] : [us / 1e6, 's'];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

/** 93784 → "1 d 02:03:04". */
export function duration(seconds: number): string {
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const clock = `${two((seconds / 3600) % 24)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
  return seconds < 86_400 ? clock : `${Math.floor(seconds / 86_400)} d ${clock}`;
}

/** A share as `cells` cells, eighths shown. */
export function bar(share: number, cells: number): string {
  const eighths = Math.round(Math.min(Math.max(share, 0), 1) * cells * 8);
  const last = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8]!;
  return `${'█'.repeat(eighths >> 3)}${last}`.padEnd(cells);
}

/** Lines of at most `width` characters, broken at spaces; all but the first begin with `indent`. */
export function wrap(text: string, width: number, indent: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length > width && line !== '') {
      lines.push(line);
      line = `${indent}${word}`;
    } else {
      line = longer;
    }
  }
  return [...lines, line];
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

/** At most `width` characters, the last one … if some are missing. */
export function clip(line: string, width: number): string {
  const characters = [...line];
  return characters.length <= width ? line : `${characters.slice(0, width - 1).join('')}…`;
}
