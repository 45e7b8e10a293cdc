/** What sets one configuration apart from another, in the words of the file. */
import type { Config, NodeConfig } from '../config/normalise.ts';
import { formatPath, formatValue, isMapping, type Path, startsWith } from '../config/path.ts';
import { isSame } from '../nodes.ts';

export interface NodeChange {
  readonly change: 'added' | 'removed' | 'reweighted' | 'readdressed' | 'rehashed';
  readonly name: string;
  /** What it was; absent for a node that is added. */
  readonly from?: string | number;
  /** What it becomes; absent for a node that is removed. */
  readonly to?: string | number;
}

export interface SettingChange {
  /** As `steering.algorithm`. */
  readonly field: string;
  readonly path: Path;
  readonly from: unknown;
  readonly to: unknown;
}

export interface Changes {
  readonly nodes: readonly NodeChange[];
  readonly settings: readonly SettingChange[];
  /** Whether the nodes are the same, in another order. */
  readonly reordered: boolean;
}

/** What can change while frames pass. Everything else was carved in memory, opened or handed to the lanes at start. */
const LIVE: readonly Path[] = [
  ['nodes'],
  ['steering'],
  ['commands'],
  ...['allow', 'nodes_may_ask', 'requests_per_second', 'response_bytes_per_second'].map(field => ['gatekeeper', field]),
  ...['share', 'imbalance', 'copies_max', 'write_share_max', 'pin', 'ban'].map(field => ['hot', field]),
  ...['response_ratio_max', 'newcomers_per_second'].map(field => ['gatekeeper', field]),
];

export function isLive(path: Path): boolean {
  return LIVE.some(live => startsWith(path, live));
}

export function isNothing({ nodes, settings, reordered }: Changes): boolean {
  return nodes.length === 0 && settings.length === 0 && !reordered;
}

export function changesBetween(before: Config, after: Config): Changes {
  const nodes = [
    ...after.nodes.flatMap(node => changesOf(before.nodes, node)),
    ...before.nodes.filter(node => !isNamed(after.nodes, node.name)).map(removal),
  ];
  const settings = settingChanges(settingsOf(before), settingsOf(after), []);
  const reordered = nodes.length === 0 && after.nodes.some(({ name }, at) => before.nodes[at]?.name !== name);
  return { nodes, settings, reordered };
}

/** All fields but the nodes. The VIP's port is spelt out: leaving it out says the same. */
function settingsOf({ vip, fields: { nodes, ...settings } }: Config): object {
  return { ...settings, vip: `${vip.text}:${vip.port}` };
}

function changesOf(before: readonly NodeConfig[], node: NodeConfig): NodeChange[] {
  const { name, weight } = node;
  const old = before.find(candidate => candidate.name === name);
  if (old === undefined) return [{ change: 'added', name, to: placeOf(node) }];
  const changes: NodeChange[] = [];
  if (!isSame(old, node)) changes.push({ change: 'readdressed', name, from: placeOf(old), to: placeOf(node) });
  if (old.weight !== weight) changes.push({ change: 'reweighted', name, from: old.weight, to: weight });
  if (isSame(old, node) && old.hashName !== node.hashName) {
    changes.push({ change: 'rehashed', name, from: old.hashName, to: node.hashName });
  }
  return changes;
}

function removal(node: NodeConfig): NodeChange {
  return { change: 'removed', name: node.name, from: placeOf(node) };
}

function isNamed(nodes: readonly NodeConfig[], name: string): boolean {
  return nodes.some(node => node.name === name);
}

function placeOf({ text, port }: NodeConfig): string {
  return `${text}:${port}`;
}

/** The fields that differ, as deep as both are mappings. Lists count as one value. */
function settingChanges(from: unknown, to: unknown, path: Path): SettingChange[] {
  if (isMapping(from) && isMapping(to)) {
    const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])];
    return keys.flatMap(key => settingChanges(from[key], to[key], [...path, key]));
  }
  return JSON.stringify(from) === JSON.stringify(to) ? [] : [{ field: formatPath(path), path, from, to }];
}

/** One line for each change, for people. */
export function changeLines({ nodes, settings, reordered }: Changes): string[] {
  return [
    ...nodes.map(nodeLine),
    ...settings.map(({ field, from, to }) => `${field}: ${shown(from)} → ${shown(to)}`),
    ...(reordered ? ['nodes: another order'] : []),
  ];
}

function nodeLine({ change, name, from, to }: NodeChange): string {
  if (change === 'added') return `node ${name} added, at ${to}`;
  if (change === 'removed') return `node ${name} removed, was at ${from}`;
  const what = { reweighted: 'weight', readdressed: 'address', rehashed: 'hash name' }[change];
  return `node ${name}: ${what} ${from} → ${to}`;
}

function shown(value: unknown): string {
  return value === undefined ? 'none' : formatValue(value);
}
