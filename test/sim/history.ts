/**
 * What clients did and saw: a record for each operation on a key, made when it is sent and completed when its answer has
 * come. Without an answer it stays open: it took effect once, or not at all, at any later time.
 */

export type Verb =
  | 'get'
  | 'set'
  | 'add'
  | 'replace'
  | 'append'
  | 'prepend'
  | 'cas'
  | 'incr'
  | 'decr'
  | 'delete'
  | 'touch'
  | 'gat';

export type Protocol = 'classic' | 'meta' | 'binary';

export interface Input {
  readonly protocol: Protocol;
  /** What is to be stored. One character a byte. */
  readonly value?: string;
  readonly flags?: number;
  /** Seconds; 0 or absent: for ever. */
  readonly ttl?: number;
  /** The CAS id that the item must have. */
  readonly cas?: number;
  /** A read that asks for the CAS id. */
  readonly wantsCas?: boolean;
  readonly delta?: number;
  /** What a counter that is not there becomes; absent: it stays away. */
  readonly initial?: number;
  readonly noreply?: boolean;
}

export type Output =
  | { readonly kind: 'value'; readonly value: string; readonly flags: number; readonly cas?: number }
  | { readonly kind: 'stored' | 'touched'; readonly cas?: number }
  | { readonly kind: 'number'; readonly number: number; readonly cas?: number }
  | { readonly kind: 'miss' | 'not_stored' | 'exists' | 'not_found' | 'deleted' | 'non_numeric' }
  /** Turned away by Keysteer: not carried out. */
  | { readonly kind: 'refused'; readonly text: string }
  /** An answer that says nothing: a miss in place of a node that was silent. */
  | { readonly kind: 'unknown' };

export interface Operation {
  readonly id: number;
  readonly client: number;
  readonly key: string;
  readonly op: Verb;
  readonly input: Input;
  /** ms since the start of the run. */
  readonly invokedAt: number;
  returnedAt: number | undefined;
  output: Output | undefined;
}

/** Clients that are none: datagrams that the network has doubled. */
export const GHOST = -1;

export class History {
  readonly operations: Operation[] = [];

  begin(client: number, key: string, op: Verb, input: Input, invokedAt: number): Operation {
    const operation = {
      id: this.operations.length,
      client,
      key,
      op,
      input,
      invokedAt,
      returnedAt: undefined,
      output: undefined,
    };
    this.operations.push(operation);
    return operation;
  }

  /** Of each key, in the order in which they were begun. */
  byKey(): Map<string, Operation[]> {
    const keys = new Map<string, Operation[]>();
    for (const operation of this.operations) {
      const list = keys.get(operation.key);
      if (list === undefined) keys.set(operation.key, [operation]);
      else list.push(operation);
    }
    return keys;
  }
}

/** An operation on one line. */
export function textOf(operation: Operation): string {
  const { id, client, key, op, input, invokedAt, returnedAt, output } = operation;
  const { protocol, ...rest } = input;
  const asked = JSON.stringify(rest, (_, value) => (typeof value === 'string' ? shortened(value) : value));
  const heard =
    JSON.stringify(output, (_, value) => (typeof value === 'string' ? shortened(value) : value)) ?? 'nothing';
  const who = client === GHOST ? 'doubled datagram' : `client ${client}`;
  const until = returnedAt === undefined ? '…' : returnedAt.toFixed(3);
  return `${invokedAt.toFixed(3)}–${until} op ${id} ${who}: ${protocol} ${op} ${key} ${asked} → ${heard}`;
}

function shortened(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 40)}…(${text.length})`;
}
