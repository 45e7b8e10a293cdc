/** What is wrong with a configuration, and how it is shown. */

export interface ConfigProblem {
  /** The field, as `nodes[0].address`; empty for the file as a whole. */
  readonly path: string;
  /** What stands there; undefined when nothing does. */
  readonly value: unknown;
  /** The field, its value and the rule it breaks. */
  readonly message: string;
  /** Where it stands in the file, both from 1. Absent when the value came from a flag. */
  readonly line?: number;
  readonly column?: number;
  /** The flag that gave (or would give) the value, as `--vip`. */
  readonly flag?: string;
}

/** Characters of the offending line that are shown, and how many of them stand before the offending column. */
const SHOWN_COLUMNS = 120;
const SHOWN_COLUMNS_BEFORE = 80;

/** Problems that the message spells out; `problems` has all. */
const SHOWN_PROBLEMS = 20;

/** A configuration that breaks a rule. `message` shows the problems with their place in the text. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[], fileName = '', text = '') {
    const sorted = [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
    const lines = text.split(/\r?\n/);
    const shown = sorted.slice(0, SHOWN_PROBLEMS).map(problem => formatProblem(problem, fileName, lines));
    if (sorted.length > SHOWN_PROBLEMS) shown.push(`… and ${sorted.length - SHOWN_PROBLEMS} more problems`);
    super(shown.join('\n'));
    this.problems = sorted;
  }
}

function formatProblem(problem: ConfigProblem, fileName: string, lines: readonly string[]): string {
  const { line, column, flag, message } = problem;
  if (line === undefined || column === undefined) return `${flag ?? 'flags'}: ${message}`;
  return `${fileName}:${line}:${column}: ${message}\n${formatExcerpt(lines[line - 1] ?? '', line, column)}`;
}

/**
 *     3 |   address: 10.77.1.300
 *       |            ^
 */
function formatExcerpt(text: string, line: number, column: number): string {
  const number = String(line).padStart(5);
  const from = Math.max(0, column - 1 - SHOWN_COLUMNS_BEFORE);
  const shown = text.slice(from, from + SHOWN_COLUMNS).trimEnd();
  const before = text.slice(from, column - 1).replaceAll(/[^\t]/g, ' ');
  return `${number} | ${shown}\n${' '.repeat(number.length)} | ${before}^`;
}
