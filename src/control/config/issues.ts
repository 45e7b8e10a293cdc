/** What zod found → problems in words: "<field> is <value>; it <rule>". */

import type { z } from 'zod';
import { closestWord } from './closest.ts';
import { formatPath, formatValue, isMapping, type Path, valueAt } from './path.ts';
import { fieldNamesAt } from './schema.ts';

const KEYS = 'unrecognized_keys';

export interface Finding {
  readonly path: Path;
  /** What of the field is at fault: its name or what it holds. */
  readonly part: 'key' | 'value';
  readonly value: unknown;
  readonly message: string;
}

/** One finding per field, in the order of the issues. */
export function findingsOf(found: readonly z.core.$ZodIssue[], raw: unknown): Finding[] {
  const issues = found.flatMap(issue => withinChoice(issue, raw));
  const meant = new Set<string>();
  const unknown = issues.flatMap(issue =>
    issue.code === KEYS ? issue.keys.map(key => unknownField([...issue.path, key], raw, meant)) : [],
  );
  const known = issues
    .filter(issue => issue.code !== KEYS)
    .map(issue => wrongValue(issue, raw))
    // A misspelt field that must be there would otherwise be reported as missing, too.
    .filter(({ path, value }) => value !== undefined || !meant.has(formatPath(path)));
  const first = new Map<string, Finding>();
  for (const finding of known) if (!first.has(formatPath(finding.path))) first.set(formatPath(finding.path), finding);
  return [...unknown, ...first.values()];
}

/** Of a choice between a word and a mapping, where a mapping was given: what is wrong in that. */
function withinChoice(issue: z.core.$ZodIssue, raw: unknown): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union' || !isMapping(valueAt(raw, issue.path))) return [issue];
  const inside = issue.errors.find(errors => errors.every(({ code, path }) => path.length > 0 || code === KEYS));
  return inside?.map(error => ({ ...error, path: [...issue.path, ...error.path] })) ?? [issue];
}

function wrongValue(issue: z.core.$ZodIssue, raw: unknown): Finding {
  const { path, message: rule } = issue;
  const value = valueAt(raw, path);
  const inForce = issue.code === 'custom' ? issue.params?.inForce : undefined;
  const isDefault = value === undefined && inForce !== undefined;
  const message = isDefault
    ? `${formatPath(path)} is ${formatValue(inForce)} (the default); it ${rule}`
    : sentence(path, value, rule);
  return { path, part: 'value', value, message };
}

/** `sentence(['lanes'], 0, 'must be …')` → `lanes is 0; it must be …` */
export function sentence(path: Path, value: unknown, rule: string): string {
  return `${path.length === 0 ? 'the configuration' : formatPath(path)} is ${formatValue(value)}; it ${rule}`;
}

function unknownField(path: Path, raw: unknown, meant: Set<string>): Finding {
  const parent = path.slice(0, -1);
  const names = fieldNamesAt(parent);
  const closest = closestWord(String(path.at(-1)), names);
  if (closest) meant.add(formatPath([...parent, closest]));
  const rule = closest ? `did you mean "${closest}"?` : `the fields here are ${names.join(', ')}`;
  return { path, part: 'key', value: valueAt(raw, path), message: `${formatPath(path)} is not a known field; ${rule}` };
}
