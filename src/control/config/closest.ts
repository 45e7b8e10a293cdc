/** The word that a misspelt one was meant to be. */

/**
 * The nearest of `words`, or undefined when none is near: more than a third of its letters would have to change.
 * "-", "_" and capitals do not count: `sourcePortBase` is `source_port_base`.
 */
export function closestWord(word: string, words: readonly string[]): string | undefined {
  const ranked = words
    .map(candidate => ({ candidate, distance: editDistance(plain(word), plain(candidate)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(1, Math.floor(best.candidate.length / 3)) ? best.candidate : undefined;
}

function plain(word: string): string {
  return word.slice(0, 64).toLowerCase().replaceAll(/[-_]/g, '');
}

/** Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      current.push(stepDistance(a, b, row, column, current, rows));
    }
    rows.push(current);
  }
  return rows[a.length]![b.length]!;
}

function stepDistance(a: string, b: string, row: number, column: number, current: number[], rows: number[][]): number {
  const changed = rows[row - 1]![column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
  const distance = Math.min(rows[row - 1]![column]! + 1, current[column - 1]! + 1, changed);
  const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
  return swapped ? Math.min(distance, rows[row - 2]![column - 2]! + 1) : distance;
}
