/**
 * The admin interface's requests about hot keys. Keys are spelt as hot/key-text.ts spells them.
 *
 *     GET  /hot?limit=N           figures, lists, and the hottest keys
 *     GET  /hot/key?key=KEY       share of any key; `hot` is null when it is not hot
 *     POST /hot/pin?key=KEY       hot from now on; unpin, ban, unban likewise
 *     PUT  /hot/limits            {"share": …, "imbalance": …, "copies_max": …, "write_share_max": …}, any of them
 */
import { z } from 'zod';
import { isShareFound } from '../config/hot-fields.ts';
import { formatValue, type Mapping } from '../config/path.ts';
import { type ConfigFile, fieldAt } from '../config/schema.ts';
import type { HotLimits } from '../hot/settings.ts';
import { HotRequestError } from '../hot/watch.ts';
import type { Instance } from './status.ts';

export type HotOrder = 'pin' | 'unpin' | 'ban' | 'unban';
export const HOT_ORDERS: readonly HotOrder[] = ['pin', 'unpin', 'ban', 'unban'];

const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 262_144;
/** Names in the file → of HotLimits. */
const LIMITS: Readonly<Record<string, keyof HotLimits>> = {
  share: 'share',
  imbalance: 'imbalance',
  copies_max: 'copiesMax',
  write_share_max: 'writeShareMax',
};

export function listHot({ conductor }: Instance, query: URLSearchParams): object {
  const limit = readLimit(query.get('limit') ?? String(LIMIT_DEFAULT));
  const keys = conductor.hot.list(limit);
  return { hot: conductor.hot.figures, ...conductor.hot.lists, keys };
}

export function explainHot({ conductor }: Instance, query: URLSearchParams): object {
  return conductor.hot.explain(keyOf(query));
}

export function orderHot({ conductor }: Instance, order: HotOrder, query: URLSearchParams): object {
  const key = keyOf(query);
  conductor.hot.order(order, key);
  return { key, ...conductor.hot.lists };
}

export function limitHot({ conductor }: Instance, body: Mapping): object {
  const limits: Partial<HotLimits> = Object.fromEntries(
    Object.entries(body).map(([name, value]) => [limitOf(name), checked(name, value)]),
  );
  checkShare(conductor.config.fields.hot, limits.share);
  return { limits: conductor.hot.limit(limits) };
}

function limitOf(name: string): string {
  const limit = Object.hasOwn(LIMITS, name) ? LIMITS[name] : undefined;
  if (limit !== undefined) return limit;
  throw new HotRequestError(`${name} is no limit of hot keys; there are ${Object.keys(LIMITS).join(', ')}`);
}

function checked(name: string, value: unknown): unknown {
  const { error } = z.safeParse(fieldAt(['hot', name])!, value);
  if (error === undefined && value !== undefined) return value;
  throw new HotRequestError(`${name} is ${formatValue(value)}; it ${error?.issues[0]?.message ?? 'must be given'}`);
}

function checkShare(hot: ConfigFile['hot'], share: number | undefined): void {
  if (share === undefined || isShareFound(hot, share)) return;
  throw new HotRequestError(`share is ${share}; it must be above hot.error (${hot.error})`);
}

function keyOf(query: URLSearchParams): string {
  const key = query.get('key');
  if (key === null) throw new HotRequestError('key is missing; it must be given, as in /hot/pin?key=NAME');
  return key;
}

function readLimit(text: string): number {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new HotRequestError(`limit is ${text}; it must be a whole number from 1 to ${LIMIT_MAX}`);
}
