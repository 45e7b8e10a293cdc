/** What the answers to the doctor's frames mean. */
import type { NodeConfig } from '../config/normalise.ts';
import { type Check, fail, ok, skip, warn } from './check.ts';

/** What came back from a node. */
export interface NodeAnswer {
  /** Whether its next hop answers ARP. */
  readonly isResolved: boolean;
  /** First line of the answer to `version`, without its line end. */
  readonly said?: string;
  /** Its host answers ICMP echo. */
  readonly echoes: boolean;
  /** Its host said that nobody listens (ICMP port unreachable). */
  readonly refuses: boolean;
}

/** @param holder Ethernet address that answers for ours */
export function duplicateCheck(address: string, interfaceName: string, holder: string | undefined): Check {
  if (holder === undefined) return ok(`nobody else answers for ${address} on ${interfaceName}`);
  return fail(
    `${holder} answers for ${address} on ${interfaceName}: another host, or another Keysteer, has it`,
    `arping -D -I ${interfaceName} ${address}; take it from that host, or choose another`,
  );
}

export function neighbourChecks(hops: ReadonlyMap<string, string | undefined>, interfaceName: string): Check[] {
  const silent = [...hops].filter(([, mac]) => mac === undefined).map(([address]) => address);
  const found = hops.size - silent.length;
  const checks = silent.map(address =>
    fail(
      `${address} does not answer ARP on ${interfaceName}: host down, or not in this network`,
      `start it, or check cable, VLAN and prefix length: arping -I ${interfaceName} ${address}`,
    ),
  );
  if (found > 0) checks.unshift(ok(`${found} of ${hops.size} next hops answer ARP on ${interfaceName}`));
  return checks;
}

/** A node of weight 0 gets no keys: what is wrong with it harms nobody yet. */
export function nodeCheck(node: NodeConfig, answer: NodeAnswer): Check {
  const check = judgeNode(node, answer);
  return check.status === 'fail' && node.weight === 0 ? { ...check, status: 'warn' } : check;
}

function judgeNode({ name, text, port }: NodeConfig, { isResolved, said, echoes, refuses }: NodeAnswer): Check {
  const node = `node ${name} (${text}:${port})`;
  const start = `on its host: memcached -U ${port} -l ${text}`;
  if (said?.startsWith('VERSION ')) return ok(`${node} answers: memcached ${said.slice('VERSION '.length)}`);
  if (said !== undefined) return warn(`${node} answers ${JSON.stringify(said)} to version: no memcached?`, start);
  if (!isResolved)
    return fail(
      `${node}: host down, its next hop does not answer ARP`,
      `start the host, or see that ${text} is its address`,
    );
  if (refuses) return fail(`${node}: host up, but memcached down or without -U: nobody listens there`, start);
  if (echoes) return fail(`${node}: host up, but memcached down, without -U, or filtered: no answer over UDP`, start);
  return fail(
    `${node}: host answers neither UDP nor ICMP echo, though its next hop answers ARP: down behind a router, or a firewall`,
    `ping ${text} from another host; let UDP ${port} through`,
  );
}

/** What cannot be asked without a raw socket. */
export function unasked(reason: string): Check {
  return skip(`addresses, next hops and nodes were not asked: ${reason}`);
}

export function unaskedNodes(reason: string): Check {
  return skip(`next hops and nodes were not asked: ${reason}`);
}
