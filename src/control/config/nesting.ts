/**
 * Bounds on a text, checked before it is parsed: the YAML parser recurses, and a stack that overflows in it can end
 * the process instead of throwing. Quotes are not understood here; the bounds are far from what a configuration has.
 */

const TEXT_CHARACTERS_MAX = 1 << 18;
const LEVELS_MAX = 64;
/** A line that is indented by more than 256 columns. */
const DEEP_INDENT = /^[ \t]{257}/m;
/** Words that open a level when nothing else stands on their line: "-", "?", an anchor or a tag. */
const LEVEL = /(?<=^|[\s,[\]{}])(?:[-?]|[&!]\S*)(?=\s)/g;
/** The same with ":". */
const COLONS = /(?::\s+){65}/;

/** How `text` breaks a bound, or undefined. */
export function brokenBound(text: string): string | undefined {
  if (text.length > TEXT_CHARACTERS_MAX) {
    return `the file has ${text.length} characters; it must have at most ${TEXT_CHARACTERS_MAX}`;
  }
  const tooDeep = bracketDepth(text) > LEVELS_MAX || DEEP_INDENT.test(text) || COLONS.test(text) || hasManyLevels(text);
  return tooDeep ? `the file is nested too deeply; it must be nested at most ${LEVELS_MAX} levels deep` : undefined;
}

function bracketDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

function hasManyLevels(text: string): boolean {
  return text.split('\n').some(line => line.length > 2 * LEVELS_MAX && (line.match(LEVEL)?.length ?? 0) > LEVELS_MAX);
}
