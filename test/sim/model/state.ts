/**
 * The world of the model: one key, its home (node 0) and one replica (node 1), the balancer's entry, datagrams under way.
 *
 * One key is enough: nothing in the protocol joins two keys (an entry, a fence and a version belong to one key; the drain
 * of a bucket waits for stores of other keys, too, which only makes it longer).
 *
 * A datagram is deliverable as often as the network likes, in any order, until it expires; it may expire at once (loss).
 * "L has passed since it was sent" is therefore "it is not under way any more", which makes waiting for L exact without
 * a clock. What clients send is not modelled as datagrams: an operation begins when the balancer sees it and ends when
 * the balancer answers, which is the strictest reading of any history with longer ways (a client's duplicate is an event
 * of its own).
 *
 * A value is a text: set writes a letter of its own, append adds one; '-' is "absent". Append stands for every verb that
 * must not take effect twice (incr, decr, prepend).
 */

/** get, set, append, delete, add. */
export type Kind = 'R' | 'S' | 'A' | 'D' | 'N';
export const ABSENT = '-';
/** CAS of an entry: home is known to hold nothing, or nothing is known. */
export const NO_ITEM = 0;
export const UNKNOWN = -1;

export interface Op {
  readonly id: number;
  readonly client: number;
  readonly kind: Kind;
  readonly letter: string;
}

export interface Item {
  readonly value: string;
  readonly cas: number;
}

/**
 *     to a node    read     a client's get, forwarded                    of: its operation
 *                  cold     a client's write of a cold key
 *                  store    ms, md with a compare of `cas` (0: none)     of: the operation
 *                  add      ms ME
 *                  fetch    mg c v     of: F fill, P promotion, A what did EX or NS mean, U resolve, V verify
 *                  move     append of nothing with a compare, of: U       kill     md with a compare, of: K
 *                  copy     to the replica, with a compare, of: C         copyAdd  the first one, ms ME, of: B
 *                  erase    md of a copy, of: E
 *     from a node  value (to read, fetch), done (to cold), HD EX NF NS (to the others)
 */
export interface Datagram {
  readonly type: string;
  readonly node: number;
  /** Who asked: an operation's id, or a letter for the balancer's own business. */
  readonly of: number | string;
  /** The compared CAS in a request, the item's CAS in an answer. */
  readonly cas: number;
  readonly value: string;
  /** Has the version not moved since the balancer sent it (or what it answers)? */
  readonly fresh: boolean;
  /** What an answer answers: the compared CAS. */
  readonly fence: number;
  /** All of the above. */
  readonly text: string;
}

export type Mode = 'COLD' | 'DRAINING' | 'CLEAN' | 'WRITING' | 'UNSURE' | 'LEAVING';

export interface Entry {
  mode: Mode;
  cas: number;
  /** Known value, ABSENT, or '' for nothing known. */
  value: string;
  /** Operation in hand or unresolved; −1: none. */
  current: number;
  /** compare, add: sent so; ask: an answer was ambiguous, home is asked; rewrite: the fence is being moved. */
  stage: '' | 'compare' | 'add' | 'ask' | 'rewrite';
  fence: number;
  /** Value before the operation in hand. */
  base: string;
  /** A read that may see what the operation in hand does is, or was, under way at home; or a miss has passed. */
  leaked: boolean;
  /** An add was sent and home has not been looked at since the last of its datagrams expired. */
  suspect: boolean;
  /** Mutant: answered, but the old value is still served. */
  late: boolean;
  replicaCas: number;
  replicaIn: boolean;
}

export interface Budget {
  evictions: number;
  replicaEvictions: number;
  promotions: number;
  demotions: number;
  failovers: number;
  duplicates: number;
  givings: number;
  /** Copies sent to the replica. */
  copies: number;
}

export interface World {
  /** Per client: operations begun. */
  begun: number[];
  /** Per client: '' idle, 'waits' at the balancer, 'home'/'replica' a read under way, 'writes', 'cold' a write under way. */
  phase: string[];
  nodes: [Item | null, Item | null];
  entry: Entry;
  net: readonly Datagram[];
  budget: Budget;
  /** A duplicate of a finished write that the balancer has before it; −1: none. */
  ghost: number;
  monitor: number;
}

export function copyWorld({ begun, phase, nodes, entry, net, budget, ghost, monitor }: World): World {
  return {
    begun: begun.slice(),
    phase: phase.slice(),
    nodes: [nodes[0], nodes[1]],
    entry: { ...entry },
    net,
    budget: { ...budget },
    ghost,
    monitor,
  };
}

export function worldKey({ begun, phase, nodes, entry: e, net, budget: b, ghost, monitor }: World): string {
  const home = nodes[0] === null ? ABSENT : nodes[0].value + nodes[0].cas;
  const replica = nodes[1] === null ? ABSENT : nodes[1].value + nodes[1].cas;
  let key = `${begun}|${phase}|${home}|${replica}|${e.mode}${e.cas}${e.value},${e.current}${e.stage}${e.fence}${e.base}`;
  key += `|${e.suspect ? 's' : ''}${e.late ? 'l' : ''}${e.leaked ? 'h' : ''}${e.replicaCas}${e.replicaIn ? 'i' : ''}|${b.evictions}`;
  key += `${b.replicaEvictions}${b.promotions}${b.demotions}${b.failovers}${b.duplicates}${b.givings}${b.copies},${ghost}|${monitor}`;
  for (const d of net) key += ` ${d.text}`;
  return key;
}

/** Only equality of CAS numbers counts, so a number that nobody holds is as good as a new one, and keeps worlds few. */
export function nextCas({ entry, nodes, net }: World): number {
  let used = (1 << (entry.cas + 1)) | (1 << (entry.fence + 1)) | (1 << (entry.replicaCas + 1));
  for (const item of nodes) if (item !== null) used |= 1 << (item.cas + 1);
  for (const { cas, fence } of net) used |= (1 << (cas + 1)) | (1 << (fence + 1));
  let cas = 1;
  while (used & (1 << (cas + 1))) cas++;
  return cas;
}
