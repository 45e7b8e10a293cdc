/** What the keeper says of hot keys to people and to metrics. */
import { ITEM_VALUE_LENGTH } from '../../cache/items.ts';
import { IN_L1 } from '../../cache/layers.ts';
import * as directory from '../../coherence/directory.ts';
import { hashKey } from '../../mem/murmur3.ts';
import type { KeeperCounts } from './counts.ts';
import type { DetectorFigures, Intake } from './intake.ts';
import type { Keeper } from './keeper.ts';
import { showKey } from './key-text.ts';
import type { Balance } from './replication.ts';
import * as roster from './roster.ts';
import type { HotLimits } from './settings.ts';

/** A hot key, as `GET /hot` lists it. */
export interface HotKey {
  /** As people read it: key-text.ts. */
  readonly key: string;
  /** Share of all requests that it has at least, and what it may have beyond that: of the last seconds. */
  readonly share: number;
  readonly shareError: number;
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  readonly layer: 'L1' | 'L2';
  /** Of the protocol: promoting, clean, writing, unsure, leaving. */
  readonly state: string;
  readonly pinned: boolean;
  /** Whether its value is here; its length, bytes. */
  readonly cached: boolean;
  readonly valueBytes: number;
  /** Names of the nodes with a current copy, home not among them; how many there shall be with home. */
  readonly replicas: readonly string[];
  readonly copies: number;
  readonly ageSeconds: number;
  /** Reads since it is hot, as of the last epoch. */
  readonly reads: number;
}

/** What is known of any key: its share, and more when it is hot. */
export interface KeyHeat {
  readonly key: string;
  readonly share: number;
  readonly shareError: number;
  /** Null when it is not hot. */
  readonly hot: HotKey | null;
  /** Share from which a key is hot now. */
  readonly hotFrom: number;
  readonly pinned: boolean;
  readonly banned: boolean;
  /** Why it is not treated for now although it may be hot, and for how long yet; null when that is not so. */
  readonly leftAlone: { readonly why: string; readonly seconds: number } | null;
}

export interface HotFigures {
  readonly enabled: boolean;
  readonly capacity: number;
  readonly items: number;
  readonly l1: number;
  readonly l2: number;
  /** State → items. */
  readonly states: Readonly<Record<string, number>>;
  /** Items whose value is here; with copies on other nodes; those copies. */
  readonly cached: number;
  readonly replicated: number;
  readonly copies: number;
  readonly pinned: number;
  readonly banned: number;
  /** Keys that are left alone for now: written too much, or not treated in vain. */
  readonly leftAlone: number;
  /** Items under way for longer than anything explains. */
  readonly stuck: number;
  /** Share of the requests from which a key is hot now. */
  readonly share: number;
  readonly limits: HotLimits;
  readonly detectors: DetectorFigures;
  readonly balance: Balance;
  readonly counts: KeeperCounts;
}

export function hotFigures(keeper: Keeper): HotFigures {
  const { layers, area, lists, counts, limits, detectors } = keeper;
  return {
    enabled: true,
    capacity: area.items,
    items: layers.size,
    l1: layers.l1Size,
    l2: layers.size - layers.l1Size,
    ...census(keeper),
    pinned: lists.pinned.size,
    banned: lists.banned.size,
    leftAlone: keeper.leftAlone,
    stuck: keeper.stuck,
    share: keeper.share,
    limits,
    detectors,
    balance: keeper.replication.balance,
    counts: { ...counts },
  };
}

function census(keeper: Keeper): Pick<HotFigures, 'states' | 'cached' | 'replicated' | 'copies'> {
  const { words } = keeper.shared;
  const states: Record<string, number> = Object.fromEntries(directory.STATE_NAMES.slice(1).map(name => [name, 0]));
  let [cached, replicated, copies] = [0, 0, 0];
  for (const item of itemsIn(keeper)) {
    const at = keeper.wordOf(item);
    states[stateOf(words, at)]! += 1;
    if ((words[at + directory.STATE]! & directory.VALUED) !== 0) cached++;
    const count = directory.joinedCount(words, at);
    if (count > 0) replicated++;
    copies += count;
  }
  return { states, cached, replicated, copies };
}

/** Those that lanes find. One that a lane has let go a moment ago counts as leaving. */
function itemsIn({ items }: Keeper): number[] {
  const leaving = [...items.moving].filter(item => items.phase[item] === roster.LEAVING);
  return [...items.live, ...leaving];
}

function stateOf(words: Int32Array, at: number): string {
  const state = words[at + directory.STATE]! & directory.STATE_MASK;
  return directory.STATE_NAMES[state === directory.FREE ? directory.LEAVING : state] ?? 'leaving';
}

/** @param nodeOfTag name of the node that a tag in a list of copies means, '' when nobody has it. The hottest keys, the hottest first */
export function hotKeys(keeper: Keeper, limit: number, nodeOfTag: (tag: number) => string): HotKey[] {
  const { heat } = keeper;
  const hottest = itemsIn(keeper).sort((a, b) => heat.of(b) - heat.of(a));
  return hottest.slice(0, limit).map(item => hotKey(keeper, item, nodeOfTag));
}

export function hotKey(keeper: Keeper, item: number, nodeOfTag: (tag: number) => string): HotKey {
  const { heat, items, layers, epochMs, nowMs, intake } = keeper;
  const { words } = keeper.shared;
  const at = keeper.wordOf(item);
  const cached = (words[at + directory.STATE]! & directory.VALUED) !== 0;
  const perSecond = 1000 / epochMs;
  return {
    key: showKey(Buffer.from(items.key[item]!, 'latin1')),
    ...shareOf(intake, items.hash[item]!),
    readsPerSecond: heat.lastReads[item]! * perSecond,
    writesPerSecond: heat.lastWrites[item]! * perSecond,
    layer: layers.layerOf(item) === IN_L1 ? 'L1' : 'L2',
    state: stateOf(words, at),
    pinned: keeper.lists.isPinned(items.key[item]!),
    cached,
    valueBytes: cached ? words[at + ITEM_VALUE_LENGTH]! : 0,
    replicas: joinedTags(words, at)
      .map(nodeOfTag)
      .filter(name => name !== ''),
    copies: words[at + directory.COPIES]!,
    ageSeconds: (nowMs - items.admittedMs[item]!) / 1000,
    reads: heat.total[item]!,
  };
}

export function keyHeat(keeper: Keeper, key: Uint8Array, nodeOfTag: (tag: number) => string): KeyHeat {
  const item = keeper.find(key);
  const hash = hashKey(key, new DataView(key.buffer, key.byteOffset, key.byteLength), 0, key.byteLength);
  const hot = item < 0 ? null : hotKey(keeper, item, nodeOfTag);
  const alone = hot === null ? keeper.leftAloneFor(hash) : undefined;
  const text = Buffer.from(key).toString('latin1');
  return {
    key: showKey(key),
    ...shareOf(keeper.intake, hash),
    hot,
    hotFrom: keeper.share,
    pinned: keeper.lists.isPinned(text),
    banned: keeper.lists.isBanned(text),
    leftAlone: alone === undefined ? null : { why: alone.why, seconds: alone.ms / 1000 },
  };
}

function shareOf(intake: Intake, hash: number): { share: number; shareError: number } {
  const { estimate, error } = intake.heavy(hash);
  const count = Math.max(1, intake.count);
  const share = Math.min(1, estimate / count);
  return { share, shareError: Math.min(1 - share, error / count) };
}

/** Tags of the nodes whose copies may be read. */
function joinedTags(words: Int32Array, at: number): number[] {
  const joined = words[at + directory.REPLICAS_JOINED]!;
  const rows = Array.from({ length: directory.REPLICAS_MAX }, (_, row) => row).filter(
    row => ((joined >> row) & 1) !== 0,
  );
  const place = at + directory.REPLICA_ROWS + directory.REPLICA_NODE;
  return rows.map(row => words[place + row * directory.REPLICA_ROW_WORDS]!);
}
