/**
 * What every linearizable history of a list meets, where the search for an order is given up: tokens come from somebody,
 * each once; the list that one `set` began only grows; and what was acknowledged while it was there is in it.
 */
import { describeOperation, isOpen, type Operation } from './checker/operation.ts';
import type { Violation } from './judge.ts';

interface Read {
  readonly operation: Operation;
  readonly tokens: readonly string[];
}

/** @param operations of one key, in the order of their starts, whose values are tokens of their own, as `<17>` */
export function checkList(operations: readonly Operation[]): Violation | undefined {
  const writers = new Map<string, Operation[]>();
  for (const operation of operations) {
    if (operation.value === undefined) continue;
    writers.set(operation.value, [...(writers.get(operation.value) ?? []), operation]);
  }
  const lists = new Map<string, Read[]>();
  for (const operation of operations) {
    if (operation.outcome !== 'value') continue;
    const tokens = operation.read!.match(/<\d+>/g) ?? [];
    if (tokens.join('') !== operation.read) return fault('never written', [operation]);
    for (const token of tokens) {
      const earliest = writers.get(token)?.[0];
      if (earliest === undefined) return fault('never written', [operation]);
      if (earliest.invokedAt > operation.returnedAt!) return fault('read before it was written', [operation, earliest]);
    }
    const base = tokens.find(token => writers.get(token)![0]!.verb === 'set') ?? '';
    lists.set(base, [...(lists.get(base) ?? []), { operation, tokens }]);
  }
  // A `set` that the network may have repeated begins a list twice.
  const once = [...lists].filter(([base]) => writers.get(base)?.length === 1);
  for (const [, reads] of once) {
    const violation = checkGrowth(reads, operations, token => writers.get(token)!.length > 1);
    if (violation !== undefined) return violation;
  }
  return undefined;
}

/** @param reads of one list, in the order of their starts */
function checkGrowth(
  reads: readonly Read[],
  operations: readonly Operation[],
  isDoubled: (token: string) => boolean,
): Violation | undefined {
  const ended = [...reads].sort((a, b) => a.operation.returnedAt! - b.operation.returnedAt!);
  const first = ended[0]!.operation;
  const added = operations.filter(
    ({ verb, invokedAt, ...rest }) =>
      (verb === 'append' || verb === 'prepend') &&
      !isOpen({ verb, invokedAt, ...rest }) &&
      rest.outcome === 'stored' &&
      invokedAt > first.returnedAt!,
  );
  let longest: Read | undefined;
  let next = 0;
  for (const { operation, tokens } of reads) {
    if (new Set(tokens).size < tokens.length && !tokens.some(isDoubled))
      return fault('a token that stands there twice', [operation]);
    for (; next < ended.length && ended[next]!.operation.returnedAt! < operation.invokedAt; next++) {
      if (longest === undefined || ended[next]!.tokens.length > longest.tokens.length) longest = ended[next];
    }
    if (longest !== undefined && !operation.read!.includes(longest.operation.read!)) {
      return fault('a list that has shrunk, or lost its order', [longest.operation, operation]);
    }
    const lost = added.find(({ returnedAt, value }) => returnedAt! < operation.invokedAt && !tokens.includes(value!));
    if (lost !== undefined) return fault('a token that was acknowledged is missing', [first, lost, operation]);
  }
  return undefined;
}

function fault(rule: string, operations: readonly Operation[]): Violation {
  const lines = operations.map(operation => `  ${describeOperation(operation)}`);
  return { key: operations[0]!.key, rule, text: [rule, ...lines].join('\n') };
}
