/** What a machine that is busy with other things loses, and its kernel counts: nobody else is to blame for it. */
import type { Figures } from '../../src/control/conductor.ts';
import { runIn } from '../../src/experiment/namespaces.ts';

/** Frames that came into a full ring of Keysteer's. */
export function ringDropsOf({ ports }: Figures): number {
  return ports.reduce((sum, { counters }) => sum + counters.ring_dropped!, 0);
}

/** Datagrams that no socket of this namespace had room for, since it began: RcvbufErrors of UDP. */
export function receiveErrorsIn(host: string): number {
  const lines = runIn(host, ['cat', '/proc/net/snmp']).split('\n');
  const [names, values] = lines.filter(line => line.startsWith('Udp:')).map(line => line.split(' '));
  return Number(values![names!.indexOf('RcvbufErrors')]);
}
