/** A machine on which all is well, and the configuration that fits it. */
import { configFromFlags } from '../../../src/control/config/load.ts';
import type { Config } from '../../../src/control/config/normalise.ts';
import type { Facts } from '../../../src/control/doctor/facts.ts';
import type { Interface } from '../../../src/control/doctor/interfaces.ts';

/** CAP_NET_ADMIN, CAP_NET_RAW and nothing else; two CPUs. */
export const STATUS = 'Name:\tnode\nCapInh:\t0\nCapEff:\t0000000000003000\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n';

export function interfaceNamed(ifname: string, fields: Partial<Interface> = {}): Interface {
  return { ifname, flags: ['BROADCAST', 'UP', 'LOWER_UP'], mtu: 1500, link_type: 'ether', addr_info: [], ...fields };
}

export function withAddress(ifname: string, local: string, prefixlen: number, family = 'inet'): Interface {
  return interfaceNamed(ifname, { addr_info: [{ family, local, prefixlen }] });
}

export const INTERFACES: readonly Interface[] = [interfaceNamed('cl0'), interfaceNamed('sv0')];

export const CONFIG: Config = configFromFlags({
  vip: '10.77.0.100',
  client: 'cl0',
  server: 'sv0',
  serverAddress: '10.77.1.1/24',
  node: ['mc1=10.77.1.11', 'mc2=10.77.1.12*0'],
});

export function facts(fields: Partial<Facts> = {}): Facts {
  return {
    release: '6.18.0-1-amd64',
    status: STATUS,
    isBpfRestricted: true,
    shimFault: undefined,
    namespaceRefusal: undefined,
    interfaces: INTERFACES,
    offloads: () => new Map([['generic-receive-offload', true]]),
    listeners: [],
    packageFault: () => undefined,
    ...fields,
  };
}
