/** What a lane reads of the configuration in shared memory: nodes, their names and next hops, the gatekeeper's rules. */
import { GateTable } from '../dataplane/gate-table.ts';
import { Neighbours } from '../dataplane/neighbours.ts';
import { writeNodeName } from '../dataplane/node-names.ts';
import { SteerTable } from '../steer/table.ts';
import type { Config } from './config/normalise.ts';
import type { SharedMemory } from './memory-plan.ts';
import { gateRules, neighbourTimes } from './path-setup.ts';

/** For lanes without a conductor. @param mac of all next hops; without one they are yet to be found */
export function publishTables(config: Config, shared: SharedMemory, mac?: { high: number; low: number }): void {
  const { arena, steerOffset, neighboursOffset, nodeNamesOffset, gateOffset, capacity } = shared;
  const neighbours = new Neighbours(arena.words, neighboursOffset >> 2, neighbourTimes(config));
  const nodes = config.nodes.map(node => ({ ...node, neighbour: neighbours.add(node.nextHop) }));
  if (mac) for (const { nextHop } of config.nodes) neighbours.learn(nextHop, mac.high, mac.low, 0);
  for (const [row, { name }] of config.nodes.entries()) writeNodeName(arena.bytes, nodeNamesOffset, row, name);
  new SteerTable(arena.buffer, steerOffset, capacity).publish(nodes, config.steering);
  new GateTable(arena.buffer, gateOffset, config.lanes).publish(gateRules(config));
}
