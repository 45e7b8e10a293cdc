/** A place in the configuration: keys and list positions from its top. */
export type Path = readonly PropertyKey[];

export type Mapping = Readonly<Record<string, unknown>>;

const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_-]*$/;
const SHOWN_CHARACTERS_MAX = 60;

/** `['nodes', 0, 'address']` → `nodes[0].address`; keys that are no plain words in quotes. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, part) => text + formatPart(part, text === ''), '');
}

function formatPart(part: PropertyKey, first: boolean): string {
  if (typeof part === 'number') return `[${part}]`;
  const key = String(part);
  if (!PLAIN_KEY.test(key)) return `[${quote(key)}]`;
  return first ? key : `.${key}`;
}

/** A value as a person would call it, on one short line. */
export function formatValue(value: unknown): string {
  if (value === null) return 'empty';
  if (value === undefined) return 'missing';
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  return typeof value === 'object' ? 'a mapping' : String(value);
}

function quote(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text);
}

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value at `path`, or undefined where the path leads nowhere. */
export function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const part of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[part];
  }
  return at;
}

export function startsWith(path: Path, prefix: Path): boolean {
  return prefix.length <= path.length && prefix.every((part, at) => part === path[at]);
}
