/**
 * A recorded history: what clients asked and what they were told. One object an operation, JSON lines in files.
 *
 * Times are milliseconds of one clock. An operation without a reply has no `returnedAt`: it took effect once at some
 * time after its start, or never. So has one that was answered with `error` (SERVER_ERROR: nobody knows), and one that
 * asks for no reply.
 */

export type Verb =
  | 'get'
  | 'gets'
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
  | 'gat'
  | 'flush_all';

export type Outcome =
  | 'value' // get gets gat: `read`, `cas`
  | 'miss' // get gets gat
  | 'stored' // set add replace append prepend cas
  | 'not_stored' // add replace append prepend
  | 'exists' // cas
  | 'not_found' // cas incr decr delete touch; replace append prepend of the meta protocol
  | 'deleted'
  | 'touched'
  | 'number' // incr decr: `read`
  | 'non_numeric' // incr decr of something else: CLIENT_ERROR, no effect
  | 'ok' // flush_all
  | 'error'; // effect unknown

export interface Operation {
  readonly client: number;
  /** Any text for flush_all, which concerns every key. */
  readonly key: string;
  readonly verb: Verb;
  readonly invokedAt: number;
  readonly returnedAt?: number | undefined;
  /** What is stored, appended or prepended. */
  readonly value?: string;
  readonly flags?: number;
  /** Seconds; 0 or absent: for ever; negative: expired at once. */
  readonly ttl?: number;
  /** cas: the token that is compared. */
  readonly token?: string;
  /** incr, decr. */
  readonly amount?: string | number;
  readonly outcome?: Outcome;
  /** The value or number returned. */
  readonly read?: string;
  /** Flags returned; absent: not looked at. */
  readonly readFlags?: number;
  /** The CAS token returned. */
  readonly cas?: string;
}

export type History = readonly Operation[];

/** Nobody knows whether it took effect. */
export function isOpen(op: Operation): boolean {
  return op.returnedAt === undefined || op.outcome === undefined || op.outcome === 'error';
}

/** End of the time in which it took effect. */
export function endOf(op: Operation): number {
  return isOpen(op) ? Number.POSITIVE_INFINITY : op.returnedAt!;
}

export function toJsonLines(history: History): string {
  return history.map(op => `${JSON.stringify(op)}\n`).join('');
}

/** @throws SyntaxError or TypeError that names the line */
export function fromJsonLines(text: string): Operation[] {
  const operations: Operation[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const op = JSON.parse(line) as Operation;
    if (typeof op.verb !== 'string' || typeof op.invokedAt !== 'number') {
      throw new TypeError(`line ${index + 1}: not an operation (verb and invokedAt are needed)`);
    }
    if (op.returnedAt !== undefined && op.returnedAt < op.invokedAt) {
      throw new TypeError(`line ${index + 1}: returned at ${op.returnedAt}, before its start at ${op.invokedAt}`);
    }
    operations.push(op);
  }
  return operations;
}

/** `  12.000 …   15.250  client 3  set "a" ttl 2 → stored` */
export function describeOperation(op: Operation): string {
  const time = `${decimals(op.invokedAt)} … ${isOpen(op) ? '         ?' : decimals(op.returnedAt!)}`;
  return `${time}  client ${op.client}  ${asked(op)} → ${told(op)}`;
}

function asked(op: Operation): string {
  const words: string[] = [op.verb];
  if (op.value !== undefined) words.push(quoted(op.value));
  if (op.flags !== undefined) words.push(`flags ${op.flags}`);
  if (op.amount !== undefined) words.push(String(op.amount));
  if (op.token !== undefined) words.push(`token ${op.token}`);
  if (op.ttl) words.push(`ttl ${op.ttl}`);
  return words.join(' ');
}

function told(op: Operation): string {
  if (op.outcome === undefined || op.returnedAt === undefined) return 'no reply';
  const words: string[] = op.read === undefined ? [op.outcome] : [quoted(op.read)];
  if (op.readFlags !== undefined) words.push(`flags ${op.readFlags}`);
  if (op.cas !== undefined) words.push(`cas ${op.cas}`);
  return words.join(' ');
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…(${text.length})` : text);
}

function decimals(time: number): string {
  return time.toFixed(3).padStart(10);
}
