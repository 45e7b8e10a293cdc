/** Made-up histories: right ones, from a real register with chosen moments, and ones spoilt in one place. */
import { Random as Seeded } from '../../support/fuzz-random.ts';
import type { Operation, Outcome, Verb } from './operation.ts';

export type Random = () => number;

export interface Recipe {
  readonly operations: number;
  readonly clients: number;
  readonly verbs: readonly Verb[];
  /** Shares, 0 … 1. */
  readonly lost: number;
  readonly evicted: number;
  /** Written values are drawn from so many; 0: each one is new. */
  readonly values: number;
  readonly timeToLive: boolean;
  /** Values are texts that do not contain each other, amounts are large: as a careful recorder chooses them. */
  readonly distinct?: boolean;
  readonly key?: string;
}

interface Present {
  value: string;
  cas: number;
  deadline: number;
}

type Draft = { -readonly [Field in keyof Operation]: Operation[Field] };

/** @returns a history that is linearizable by construction, in order of the starts */
export function makeHistory(random: Random, recipe: Recipe): Operation[] {
  const drafts = makeDrafts(random, recipe);
  let item: Present | undefined;
  let version = 0;
  const tokens: string[] = [];
  for (const { op, moment } of [...drafts].sort((a, b) => a.moment - b.moment)) {
    if (item !== undefined && (moment > item.deadline || random() < recipe.evicted)) item = undefined;
    const isLost = random() < recipe.lost;
    if (isLost && random() < 0.5) {
      op.returnedAt = undefined;
      continue;
    }
    if (op.verb === 'cas') op.token = tokens.length > 0 && random() < 0.9 ? pick(random, tokens.slice(-2)) : 'none';
    item = perform(op, item, moment, () => ++version);
    if (op.cas !== undefined) tokens.push(op.cas);
    if (isLost) forget(op);
  }
  return drafts.map(({ op }) => op);
}

function makeDrafts(random: Random, recipe: Recipe): { op: Draft; moment: number }[] {
  const free = new Float64Array(recipe.clients);
  const drafts: { op: Draft; moment: number }[] = [];
  for (let i = 0; i < recipe.operations; i++) {
    const client = free.indexOf(Math.min(...free));
    const invokedAt = free[client]! + Math.floor(random() * 300);
    const returnedAt = invokedAt + Math.floor(random() * 1000);
    const moment = invokedAt + random() * (returnedAt - invokedAt);
    free[client] = returnedAt + 1;
    const op: Draft = { client, key: recipe.key ?? 'k', verb: pick(random, recipe.verbs), invokedAt, returnedAt };
    fill(op, random, recipe, i);
    drafts.push({ op, moment });
  }
  return drafts.sort((a, b) => a.op.invokedAt - b.op.invokedAt);
}

function fill(op: Draft, random: Random, recipe: Recipe, index: number): void {
  if (/^(set|add|replace|cas|append|prepend)$/.test(op.verb)) {
    op.value = String(recipe.values === 0 ? index : Math.floor(random() * recipe.values));
    if (recipe.distinct) op.value = `<${op.value}>`;
  }
  if (recipe.timeToLive && /^(set|add|replace|cas|touch|gat)$/.test(op.verb)) op.ttl = Math.floor(random() * 3);
  if (op.verb === 'incr' || op.verb === 'decr') op.amount = 1 + Math.floor(random() * (recipe.distinct ? 2 ** 20 : 2));
}

function perform(op: Draft, item: Present | undefined, moment: number, version: () => number): Present | undefined {
  const say = (outcome: Outcome, read?: string): void => {
    op.outcome = outcome;
    if (read !== undefined) op.read = read;
  };
  const deadline = op.ttl ? moment + op.ttl * 1000 : Number.POSITIVE_INFINITY;
  const fresh = (): Present => ({ value: op.value!, cas: version(), deadline });
  if (op.verb === 'set') {
    say('stored');
    return fresh();
  }
  if (op.verb === 'flush_all') {
    say('ok');
    return undefined;
  }
  if (item === undefined) {
    if (op.verb === 'add') {
      say('stored');
      return fresh();
    }
    say(/^g/.test(op.verb) ? 'miss' : /^(replace|append|prepend)$/.test(op.verb) ? 'not_stored' : 'not_found');
    return undefined;
  }
  return performPresent(op, item, say, fresh, deadline, version);
}

function performPresent(
  op: Draft,
  item: Present,
  say: (outcome: Outcome, read?: string) => void,
  fresh: () => Present,
  deadline: number,
  version: () => number,
): Present | undefined {
  switch (op.verb) {
    case 'get':
      say('value', item.value);
      return item;
    case 'gets':
      say('value', item.value);
      op.cas = `t${item.cas}`;
      return item;
    case 'gat':
      say('value', item.value);
      return { ...item, deadline };
    case 'touch':
      say('touched');
      return { ...item, deadline };
    case 'add':
      say('not_stored');
      return item;
    case 'delete':
      say('deleted');
      return undefined;
    case 'append':
      say('stored');
      return { ...item, value: item.value + op.value!, cas: version() };
    case 'prepend':
      say('stored');
      return { ...item, value: op.value! + item.value, cas: version() };
    case 'cas':
      say(op.token === `t${item.cas}` ? 'stored' : 'exists');
      return op.outcome === 'stored' ? fresh() : item;
    case 'replace':
      say('stored');
      return fresh();
    default: {
      if (!/^\d+$/.test(item.value)) {
        say('non_numeric');
        return item;
      }
      const before = BigInt(item.value);
      const amount = BigInt(op.amount!);
      const after = String(op.verb === 'incr' ? before + amount : before > amount ? before - amount : 0n);
      say('number', after);
      return { ...item, value: after, cas: version() };
    }
  }
}

function forget(op: Draft): void {
  op.returnedAt = undefined;
  delete op.outcome;
  delete op.read;
  delete op.cas;
}

/** Changes one answer or one time; often, not always, into something impossible. */
export function spoil(random: Random, history: readonly Operation[]): Operation[] {
  const index = Math.floor(random() * history.length);
  const victim: Draft = { ...history[index]! };
  const other = pick(random, history);
  if (victim.outcome === 'value' && random() < 0.6) victim.read = other.value ?? other.read ?? '999';
  else if (victim.cas !== undefined && other.cas !== undefined && random() < 0.5) victim.cas = other.cas;
  else if (victim.outcome === 'number') victim.read = String(Number(victim.read) + 1);
  else if (victim.outcome === 'deleted' || victim.outcome === 'touched') victim.outcome = 'not_found';
  else if (victim.outcome === 'not_found' && victim.verb === 'delete') victim.outcome = 'deleted';
  else if (victim.outcome === 'value' && random() < 0.5) {
    victim.outcome = 'miss';
    delete victim.read;
    delete victim.cas;
  } else if (victim.returnedAt !== undefined) {
    const shift = Math.floor(random() * 4000) - 2000;
    victim.invokedAt += shift;
    victim.returnedAt += shift;
  }
  return history.map((op, i) => (i === index ? victim : op));
}

export function seeded(seed: number): Random {
  const source = new Seeded(seed);
  return () => source.below(2 ** 20) / 2 ** 20;
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)]!;
}
