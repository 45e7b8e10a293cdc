import type { Command } from 'commander';
import { askAdmin } from '../control/admin/client.ts';
import type { NodeFigures } from '../control/figures.ts';
import { type AdminOptions, addAdminOptions, instanceOf } from './admin-options.ts';
import { percent, printJson, short, table, UsageError } from './output.ts';

const ACTIONS: readonly string[] = ['drain', 'enable'];
const DONE: Readonly<Record<string, string>> = {
  drain: 'drained: its keys go to its successors on the ring until it is enabled again, or Keysteer restarts',
  enable: 'enabled',
};

export function registerNodes(program: Command): void {
  const command = program
    .command('nodes')
    .argument('[action]', 'drain or enable')
    .argument('[name]', 'name of the node')
    .description('show the nodes of a running instance, or take one out and put it back in');
  addAdminOptions(command).action(nodes);
}

async function nodes(action: string | undefined, name: string | undefined, options: AdminOptions): Promise<void> {
  if (action === undefined) return list(options);
  if (!ACTIONS.includes(action)) throw new UsageError(`<action> is ${action}; it must be ${ACTIONS.join(' or ')}`);
  if (name === undefined)
    throw new UsageError(`keysteer nodes ${action} needs the name of a node; \`keysteer nodes\` lists them`);
  const place = await instanceOf(options);
  const path = `/nodes/${encodeURIComponent(name)}/${action}`;
  const answer = await askAdmin<{ node: NodeFigures }>(place, 'POST', path);
  if (options.json) return printJson(answer);
  process.stdout.write(`${name} ${DONE[action]}\n`);
}

async function list(options: AdminOptions): Promise<void> {
  const answer = await askAdmin<{ nodes: readonly NodeFigures[] }>(await instanceOf(options), 'GET', '/nodes');
  if (options.json) return printJson(answer);
  process.stdout.write(`${nodeTable(answer.nodes)}\n`);
}

/** At most 80 columns wide, with names of up to 12 characters. */
export function nodeTable(nodes: readonly NodeFigures[]): string {
  const head = ['NODE', 'ADDRESS', 'WEIGHT', 'RING', 'REQUESTS', 'OPEN', 'LOST', 'ARP', 'STATE'];
  const rows = nodes.map(
    ({ name, address, weight, slotShare, requests, outstanding, unanswered, neighbour, state }) => [
      name,
      address,
      String(weight),
      percent(slotShare, 1),
      short(requests),
      short(outstanding),
      short(unanswered),
      neighbour,
      state,
    ],
  );
  const reasons = nodes
    .filter(({ reason }) => reason !== '')
    .map(({ name, state, health, reason }) => `${name} ${state === 'up' ? health : state}: ${reason}`);
  return [table([head, ...rows]), ...reasons].join('\n');
}
