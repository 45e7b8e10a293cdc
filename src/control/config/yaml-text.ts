/** YAML text → plain values, and where each of them stands in the text. */

import { type Document, isAlias, isCollection, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { ConfigProblem } from './error.ts';
import { brokenBound } from './nesting.ts';
import { formatPath, type Path } from './path.ts';

export interface Place {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

export interface YamlText {
  /** An empty file is an empty mapping. Void when `wellFormed` is false. */
  readonly value: unknown;
  readonly wellFormed: boolean;
  /** What is wrong with it as YAML. */
  readonly problems: readonly ConfigProblem[];
  /** Where the field stands; for a field that is missing, what it is missing in. */
  place(path: Path, part: 'key' | 'value'): Place;
}

/** Offsets into the text. */
interface Spot {
  readonly path: string;
  readonly key: number;
  readonly value: number;
}

/** Reads one YAML 1.2 document. Never throws: what cannot be read is a problem. */
export function readYaml(text: string): YamlText {
  const bound = brokenBound(text);
  if (bound) return unreadable(bound);
  try {
    return readBoundedYaml(text);
  } catch (error) {
    // Alias bombs, and whatever the parser did not foresee.
    return unreadable(`the file is not valid YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function unreadable(message: string): YamlText {
  const top: Place = { line: 1, column: 1 };
  return {
    value: undefined,
    wellFormed: false,
    problems: [{ path: '', value: undefined, message, ...top }],
    place: () => top,
  };
}

function readBoundedYaml(text: string): YamlText {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, stringKeys: true });
  const spots: Spot[] = [];
  collectSpots(document.contents, [], spots);
  const placeOf = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { line, column: col };
  };
  const faults = faultsOf(document);
  const wellFormed = faults.every(fault => fault.duplicate);
  return {
    value: wellFormed ? (document.toJS() ?? {}) : undefined,
    wellFormed,
    problems: faults.map(fault => problemOf(fault, spots, placeOf(fault.offset))),
    place: (path, part) => placeOf(offsetOf(spots, path, part)),
  };
}

interface Fault {
  readonly offset: number;
  readonly message: string;
  /** A key that its mapping has already: the rest can still be judged. */
  readonly duplicate: boolean;
}

function faultsOf(document: Document.Parsed): Fault[] {
  const faults: Fault[] = [...document.errors, ...document.warnings].map(({ pos, message, code }) => ({
    offset: pos[0],
    message,
    duplicate: code === 'DUPLICATE_KEY',
  }));
  faults.push(...faultyAliases(document));
  return faults;
}

/** Aliases of nothing, and of what they are in. */
function faultyAliases(document: Document.Parsed): Fault[] {
  const anchors = new Set<string>();
  const faults: Fault[] = [];
  visit(document, {
    Node(_, node, ancestors) {
      if (!isAlias(node)) {
        if (node.anchor) anchors.add(node.anchor);
        return;
      }
      const message = aliasFault(node.source, anchors, ancestors);
      if (message) faults.push({ offset: node.range?.[0] ?? 0, message, duplicate: false });
    },
  });
  return faults;
}

function aliasFault(source: string, anchors: ReadonlySet<string>, ancestors: readonly unknown[]): string | undefined {
  if (!anchors.has(source)) return `no anchor &${source} stands before this`;
  const within = ancestors.some(ancestor => isCollection(ancestor) && ancestor.anchor === source);
  return within ? `*${source} contains itself` : undefined;
}

function problemOf(fault: Fault, spots: readonly Spot[], place: Place): ConfigProblem {
  if (!fault.duplicate) {
    return { path: '', value: undefined, message: `the file is not valid YAML: ${fault.message}`, ...place };
  }
  const path = spots.find(spot => spot.key === fault.offset)?.path ?? '';
  return { path, value: undefined, message: `${path} is given twice; it must be given once`, ...place };
}

function collectSpots(node: unknown, path: Path, spots: Spot[]): void {
  if (isMap(node)) {
    for (const { key, value } of node.items) {
      if (!isScalar(key)) continue;
      collectSpot(value, startOf(key) ?? 0, [...path, String(key.value)], spots);
    }
  } else if (isSeq(node)) {
    for (const [at, item] of node.items.entries()) collectSpot(item, startOf(item) ?? 0, [...path, at], spots);
  }
}

function collectSpot(node: unknown, key: number, path: Path, spots: Spot[]): void {
  spots.push({ path: formatPath(path), key, value: startOf(node) ?? key });
  collectSpots(node, path, spots);
}

/** Where a node begins, or undefined for the empty value of `key:`, which stands nowhere. */
function startOf(node: unknown): number | undefined {
  if (!isScalar(node) && !isCollection(node) && !isAlias(node)) return undefined;
  const [start, end] = node.range ?? [0, 0];
  return end > start ? start : undefined;
}

/** Of a field that is given twice the last one counts, as it does for its value. */
function offsetOf(spots: readonly Spot[], path: Path, part: 'key' | 'value'): number {
  const wanted = formatPath(path);
  const spot = spots.findLast(candidate => candidate.path === wanted);
  if (spot) return spot[part];
  return path.length === 0 ? 0 : offsetOf(spots, path.slice(0, -1), 'key');
}
