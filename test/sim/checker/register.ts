/**
 * The sequential object: one memcached item that may become empty by itself at any moment (eviction, expiry).
 *
 * Emptiness is taken lazily: an operation that needs an absent item empties it just before itself. That loses nothing,
 * for emptiness helps only such operations.
 *
 *     state              absent                       present
 *     get gets gat       miss                         value (gat: new deadline, same version)
 *     set                stored                       stored                            new version
 *     add                stored                       not_stored
 *     replace            not_stored, not_found        stored                            new version
 *     append prepend     not_stored, not_found        stored, deadline and flags kept   new version
 *     cas                not_found                    stored if the token is this version's (new version), else exists
 *     incr decr          not_found                    number, deadline and flags kept   new version; non_numeric
 *     delete             not_found                    deleted                           absent
 *     touch              not_found                    touched                           new deadline, same version
 *     flush_all          ok                           ok                                absent
 *
 * Time to live. memcached counts whole seconds: `expires = tick(store) + t`, and the item is gone once
 * `tick(now) ≥ expires`, where tick(x) is the clock's last tick at or before x. So an item stored at p lives at least
 * until p + t − 1 s and never past p + t, plus the lateness of one timer tick (`slack`: 0 in a simulation, some ms on a
 * busy machine). That it is gone early is never an error here (an item may always vanish); read after p + t is one.
 * p lies in the store's interval, and not after the end of anything ordered behind it: `latest`.
 */
import { isOpen, type Operation } from './operation.ts';

export interface Item {
  readonly value: string;
  readonly flags: number;
  /** ms: nothing may see the item later. */
  readonly deadline: number;
  /** The CAS token seen on this version, if any. */
  readonly token: string | undefined;
}

/** null: absent. */
export type Register = Item | null;
export const ILLEGAL = 'illegal';

/** What a step may ask about the operations ordered so far. */
export interface Order {
  /** ms: earliest moment of the operation that is taken. */
  readonly earliest: number;
  /** ms: latest moment of the operation that is taken. */
  readonly latest: number;
  /** ms: how late memcached's clock may tick. */
  readonly slack_ms: number;
  /** Was the token returned by an operation already taken? */
  isSeen(token: string): boolean;
  /** Is the token returned by any operation of the history? */
  isKnown(token: string): boolean;
}

/** The register after `op`, whose outcome (if known) must be what the register says. */
export function step(register: Register, op: Operation, order: Order): Register | typeof ILLEGAL {
  const item = register !== null && order.earliest <= register.deadline ? register : null;
  return isOpen(op) ? effect(item, op, order) : answered(item, op, order);
}

/** Takes effect, whatever was said. */
function effect(item: Register, op: Operation, order: Order): Register | typeof ILLEGAL {
  switch (op.verb) {
    case 'set':
    case 'add': // on an item that vanished just before
      return fresh(op, order);
    case 'delete':
    case 'flush_all':
      return null;
    case 'cas':
      return item !== null && ownsToken(item, op.token!, order) ? fresh(op, order, item) : ILLEGAL;
    case 'replace':
      return item === null ? ILLEGAL : fresh(op, order, item);
    default:
      return item === null ? ILLEGAL : changed(item, op, order);
  }
}

function answered(item: Register, op: Operation, order: Order): Register | typeof ILLEGAL {
  switch (op.outcome) {
    case 'miss':
    case 'not_found':
      return null;
    case 'not_stored':
      return op.verb === 'add' ? (item ?? ILLEGAL) : null;
    case 'ok':
      return null;
    case 'deleted':
      return item === null ? ILLEGAL : null;
    case 'exists':
      return item !== null && item.token !== op.token && isGiven(op.token!, order) ? item : ILLEGAL;
    case 'non_numeric':
      return item !== null && !isNumber(item.value) ? item : ILLEGAL;
    case 'value':
      return item === null ? ILLEGAL : seen(item, op, order);
    case 'number': {
      const after = item === null ? ILLEGAL : changed(item, op, order);
      return after !== ILLEGAL && after !== null && after.value === op.read ? bound(after, op, order) : ILLEGAL;
    }
    default: {
      const after = effect(item, op, order);
      return after !== ILLEGAL && after !== null ? bound(after, op, order) : after;
    }
  }
}

function fresh(op: Operation, order: Order, before?: Item): Register {
  if ((op.ttl ?? 0) < 0) return null;
  return { value: trimmed(op.value!), flags: op.flags ?? 0, deadline: deadlineOf(op, order, before), token: undefined };
}

function changed(item: Item, op: Operation, order: Order): Register | typeof ILLEGAL {
  switch (op.verb) {
    case 'append':
      return { ...item, value: item.value + op.value!, token: undefined };
    case 'prepend':
      return { ...item, value: op.value! + item.value, token: undefined };
    case 'incr':
    case 'decr':
      return isNumber(item.value) ? { ...item, value: counted(item.value, op), token: undefined } : ILLEGAL;
    case 'touch':
    case 'gat':
      return (op.ttl ?? 0) < 0 ? null : until(item, deadlineOf(op, order, item));
    default:
      return item;
  }
}

function until(item: Item, deadline: number): Item {
  return item.deadline === deadline ? item : { ...item, deadline };
}

function seen(item: Item, op: Operation, order: Order): Register | typeof ILLEGAL {
  if (item.value !== trimmed(op.read!)) return ILLEGAL;
  if (op.readFlags !== undefined && op.readFlags !== item.flags) return ILLEGAL;
  const known = bound(item, op, order);
  return known === ILLEGAL || known === null ? known : changed(known, op, order);
}

/** A token belongs to one version, and a version has one token. */
function bound(item: Item, op: Operation, order: Order): Register | typeof ILLEGAL {
  if (op.cas === undefined || op.cas === item.token) return item;
  if (item.token !== undefined || order.isSeen(op.cas)) return ILLEGAL;
  return { ...item, token: op.cas };
}

/** A token that nobody was ever given cannot be judged. */
function ownsToken(item: Item, token: string, order: Order): boolean {
  return item.token === token || (item.token === undefined && !order.isKnown(token));
}

/** A client has a token from a gets, which comes before the cas. */
function isGiven(token: string, order: Order): boolean {
  return order.isSeen(token) || !order.isKnown(token);
}

/** @param before what must have been there still when it took effect */
function deadlineOf(op: Operation, order: Order, before?: Item): number {
  if (!op.ttl) return Number.POSITIVE_INFINITY;
  const latest = before === undefined ? order.latest : Math.min(order.latest, before.deadline);
  return latest + op.ttl * 1000 + order.slack_ms;
}

function isNumber(value: string): boolean {
  return /^\d{1,20}$/.test(value);
}

const WORD = 1n << 64n;

function counted(value: string, op: Operation): string {
  const before = BigInt(value);
  const amount = BigInt(op.amount ?? 1);
  if (op.verb === 'incr') return String((before + amount) % WORD);
  return String(before > amount ? before - amount : 0n);
}

/** A counter that got shorter is padded with spaces where it stands (memcached changes it in place). */
export function trimmed(value: string): string {
  return /^\d+ +$/.test(value) ? value.trimEnd() : value;
}
