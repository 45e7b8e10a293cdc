/** Everything that can be wrong before a request is lost by it, looked at in order: machine, configuration, interfaces, network. */
import { formatIpv4 } from '../../wire/ipv4-text.ts';
import { formatMac, type Mac } from '../../wire/mac-text.ts';
import { ConfigError } from '../config/error.ts';
import type { Config, NodeConfig, PortConfig } from '../config/normalise.ts';
import { type Check, fail, ok, skip } from './check.ts';
import type { Facts } from './facts.ts';
import {
  addressChecks,
  type Interface,
  kernelOwned,
  linkCheck,
  mtuCheck,
  offloadChecks,
  portsOf,
} from './interfaces.ts';
import { listenerCheck } from './listeners.ts';
import { duplicateCheck, neighbourChecks, nodeCheck, unasked, unaskedNodes } from './network.ts';
import { askNodes, whoHas } from './probes.ts';
import { Station } from './station.ts';
import {
  addonCheck,
  capabilityChecks,
  cpuCheck,
  kernelCheck,
  packageCheck,
  steeringProgramCheck,
  userNamespaceCheck,
} from './system.ts';

const NO_ANSWER = { isResolved: false, echoes: false, refuses: false };

/** @param readConfig undefined: there is no configuration to look at */
export async function diagnose(facts: Facts, readConfig: (() => Config) | undefined): Promise<Check[]> {
  const { config, check } = judgeConfig(readConfig);
  const checks = [...systemChecks(facts, config), check];
  if (config === undefined) return checks;
  checks.push(
    cpuCheck(config, facts.status),
    ...interfaceChecks(facts, config),
    listenerCheck(config, facts.listeners),
  );
  return [...checks, ...(await networkChecks(config, facts.interfaces ?? []))];
}

function judgeConfig(readConfig: (() => Config) | undefined): { config?: Config; check: Check } {
  if (readConfig === undefined) {
    const fix = 'keysteer doctor --config FILE, or the flags of run; keysteer init writes a file';
    return { check: skip('no configuration was named: interfaces and nodes were not looked at', fix) };
  }
  try {
    const config = readConfig();
    const { nodes, ports } = config;
    const arms = ports.server ? 'two-arm' : 'one-arm';
    return { config, check: ok(`the configuration is sound: ${arms}, ${nodes.length} nodes`) };
  } catch (error) {
    const isFiles = (error as NodeJS.ErrnoException).code !== undefined;
    if (!(error instanceof ConfigError) && !isFiles) throw error;
    const fix = isFiles ? 'keysteer init writes one' : 'change what is named; keysteer schema describes the fields';
    return { check: fail(`the configuration cannot be used:\n${(error as Error).message}`, fix) };
  }
}

function systemChecks(facts: Facts, config: Config | undefined): Check[] {
  const transports = config ? portsOf(config).map(({ transport }) => transport) : [];
  const hasTap = transports.includes('tap');
  const isAllTap = hasTap && transports.every(name => name === 'tap');
  const hasLanes = hasTap && config !== undefined && config.lanes > 1;
  return [
    kernelCheck(facts.release),
    ...capabilityChecks(facts.status, { raw: !isAllTap, admin: hasTap }),
    ...(hasLanes ? [steeringProgramCheck(facts.status, facts.isBpfRestricted)] : []),
    addonCheck(facts.shimFault),
    userNamespaceCheck(facts.namespaceRefusal),
    ...packageChecks(facts, transports.includes('pcap')),
  ];
}

function packageChecks(facts: Facts, needsCap: boolean): Check[] {
  const tools = 'g++ make python3';
  return [
    packageCheck({
      name: 'cap',
      lost: 'transport pcap, no keysteer capture',
      install: `apt-get install libpcap-dev ${tools} && npm install cap`,
      isNeeded: needsCap,
      fault: facts.packageFault('cap'),
    }),
    packageCheck({
      name: 'raw-socket',
      lost: 'ping --sources',
      install: `apt-get install ${tools} && npm install raw-socket`,
      isNeeded: false,
      fault: facts.packageFault('raw-socket'),
    }),
  ];
}

function interfaceChecks({ interfaces, offloads }: Facts, config: Config): Check[] {
  if (interfaces === undefined) return [skip('interfaces were not looked at: no `ip`', 'apt-get install iproute2')];
  const links = portsOf(config).map(port => linkCheck(port, interfaces));
  const mtu = mtuCheck(config, interfaces);
  const present = portsOf(config).filter(port => isThere(port, interfaces));
  const offloaded = present.flatMap(port => {
    const features = offloads(port.interface);
    if (features !== undefined) return offloadChecks(port, features, interfaces);
    return [skip(`offloads of ${port.interface} were not looked at: no ethtool`, 'apt-get install ethtool')];
  });
  return [...links, ...(mtu ? [mtu] : []), ...offloaded, ...addressChecks(config, interfaces)];
}

function isThere(port: PortConfig, interfaces: readonly Interface[]): boolean {
  return interfaces.some(({ ifname }) => ifname === port.interface);
}

async function networkChecks(config: Config, interfaces: readonly Interface[]): Promise<Check[]> {
  const unfit = portsOf(config).find(port => linkCheck(port, interfaces).status === 'fail');
  if (unfit !== undefined) return [unasked(`${unfit.interface} cannot be used`)];
  if (portsOf(config).some(({ transport }) => transport === 'tap')) {
    return [unasked('a TAP has nobody at its other end until Keysteer runs')];
  }
  const stations: Station[] = [];
  const fault = openStations(config, stations);
  try {
    return fault ? [fault] : await askAround(config, stations, kernelOwned(config, interfaces));
  } finally {
    for (const station of stations) station.close();
  }
}

/** @param stations gets one for each port; @returns why there cannot be all of them */
function openStations(config: Config, stations: Station[]): Check | undefined {
  try {
    for (const port of portsOf(config)) stations.push(Station.open(port));
    return undefined;
  } catch (error) {
    // PortError, or the shim is not built: said above, with its fix.
    return unasked((error as Error).message);
  }
}

/** @param owned addresses that the kernel answers for, on every interface: nothing to find out about these */
async function askAround(
  config: Config,
  [client, server = client]: readonly Station[],
  owned: ReadonlySet<string>,
): Promise<Check[]> {
  const { vip, source } = config;
  const [vipHolder, sourceHolder] = await holders(client, vip.address, server, source.address);
  const checks: Check[] = [];
  if (!owned.has(vip.text)) checks.push(duplicateCheck(vip.text, client.port.name, textOf(vipHolder)));
  if (!owned.has(source.text)) checks.push(duplicateCheck(source.text, server.port.name, textOf(sourceHolder)));
  if (sourceHolder !== undefined || owned.has(source.text)) {
    return [...checks, unaskedNodes(`${source.text}, which would ask, is not Keysteer's alone`)];
  }
  server.ownAddress = source.address;
  return [...checks, ...(await nodeChecks(server, source.address, config.nodes))];
}

/** Who has our addresses. One station after another hears when both are the same. */
async function holders(client: Station, vip: number, server: Station, source: number): Promise<(Mac | undefined)[]> {
  if (client === server) {
    const found = await whoHas(client, 0, [vip, source]);
    return [found.get(vip), found.get(source)];
  }
  const [atClient, atServer] = await Promise.all([whoHas(client, 0, [vip]), whoHas(server, 0, [source])]);
  return [atClient.get(vip), atServer.get(source)];
}

async function nodeChecks(server: Station, source: number, nodes: readonly NodeConfig[]): Promise<Check[]> {
  const hops = [...new Set(nodes.map(({ nextHop }) => nextHop))];
  const macs = await whoHas(server, source, hops);
  const reachable = nodes.flatMap(node => {
    const mac = macs.get(node.nextHop);
    return mac === undefined ? [] : [{ node, address: node.address, text: node.text, port: node.port, mac }];
  });
  const answers = await askNodes(server, source, reachable);
  const answerOf = new Map(reachable.map(({ node }, at) => [node, answers[at]]));
  const hopTexts = new Map(hops.map(hop => [formatIpv4(hop), textOf(macs.get(hop))]));
  return [
    ...neighbourChecks(hopTexts, server.port.name),
    ...nodes.map(node => {
      const answer = answerOf.get(node);
      return nodeCheck(node, answer ? { isResolved: true, ...answer } : NO_ANSWER);
    }),
  ];
}

function textOf(mac: Mac | undefined): string | undefined {
  return mac && formatMac(mac.high, mac.low);
}
