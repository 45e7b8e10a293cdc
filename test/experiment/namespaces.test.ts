import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NamespaceSet, removeLeftovers, runIn, setSysctls } from '../../src/experiment/namespaces.ts';
import { buildTestBed, type TestBed } from '../../src/experiment/topology.ts';
import { requireNamespaces } from '../support/requirements.ts';
import { eventually, isAlive, requireBuiltExperiment, runScript } from './script.ts';

const missing = requireNamespaces();

const exists = (namespace: string) => existsSync(`/run/netns/${namespace}`);

describe.skipIf(missing)('a namespace set', () => {
  test('starts quiet: loopback up, no IPv6, no reverse-path filter, no forwarding', async () => {
    const set = new NamespaceSet();
    const [name] = set.create(['quiet']);
    expect(runIn(name!, ['ip', '-brief', 'address'])).toMatch(/^lo +UNKNOWN +127\.0\.0\.1\/8 *\n$/);
    const settings = ['ipv4/conf/default/rp_filter', 'ipv4/ip_forward'].map(path => `/proc/sys/net/${path}`);
    expect(runIn(name!, ['cat', ...settings])).toBe('0\n0\n');
    await set.close();
  });

  test('close ends the programs inside and may be called twice', async () => {
    const set = new NamespaceSet();
    const [name] = set.create(['end']);
    const group = set.spawn(name!, ['sleep', '60']);
    await set.close();
    await set.close();
    expect(group.running).toBe(false);
    expect(exists(name!)).toBe(false);
  });

  test('close also ends a program that entered by another way', async () => {
    const set = new NamespaceSet();
    const [name] = set.create(['stray']);
    const pid = Number(runIn(name!, ['sh', '-c', 'sleep 60 >/dev/null 2>&1 & echo $!']));
    await set.close();
    expect(await eventually(() => !isAlive(pid))).toBe(true);
    expect(exists(name!)).toBe(false);
  });

  test('a failing command says what ip said', () => {
    expect(() => runIn('keysteer-no-such', ['true'])).toThrow(/keysteer-no-such/);
  });

  test('a setting that this kernel lacks is passed over', async () => {
    const set = new NamespaceSet();
    const [name] = set.create(['lacks']);
    setSysctls(name!, ['ipv4/no_such_setting=1']);
    await set.close();
  });
});

describe.skipIf(missing ?? requireBuiltExperiment())('what a process made is gone', () => {
  const SCRIPT = `
    const { NamespaceSet } = await load('namespaces');
    const set = new NamespaceSet();
    const [name] = set.create(['gone']);
    const group = set.spawn(name, ['sleep', '60']);
    setTimeout(() => console.log(name, group.pid), 100);
  `;

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('after %s', async signal => {
    const { child, firstLine, exit } = runScript(SCRIPT);
    const [name, pid] = (await firstLine).split(' ');
    expect(exists(name!)).toBe(true);
    child.kill(signal);
    await exit;
    expect(exists(name!)).toBe(false);
    expect(await eventually(() => !isAlive(Number(pid)))).toBe(true);
  });

  test('after an uncaught error', async () => {
    const { firstLine, exit } = runScript(`${SCRIPT} setTimeout(() => boom(), 200);`);
    const [name] = (await firstLine).split(' ');
    expect(await exit).toBe(1);
    expect(exists(name!)).toBe(false);
  });

  test('after SIGKILL: programs at once, namespaces at the next start', async () => {
    const { child, firstLine, exit } = runScript(SCRIPT);
    const [name, pid] = (await firstLine).split(' ');
    child.kill('SIGKILL');
    await exit;
    expect(await eventually(() => !isAlive(Number(pid)))).toBe(true);
    expect(exists(name!)).toBe(true);
    removeLeftovers();
    expect(exists(name!)).toBe(false);
  });
});

describe.skipIf(missing).each(['switched', 'direct-veth'] as const)('the %s bed', layout => {
  let bed: TestBed;
  beforeAll(() => {
    bed = buildTestBed({ layout, clients: 2, nodes: 3 });
  });
  afterAll(() => bed.close());

  /** A datagram from `host` to `to`; what a UDP echo there answered. */
  const echo = (host: string, to: string) =>
    runIn(host, [
      'timeout',
      '1',
      'bash',
      '-c',
      'exec 3<>"/dev/udp/$0/7777"; printf ping >&3; dd bs=99 count=1 status=none <&3',
      to,
    ]);

  /** A UDP echo that answers from the address it was asked at. */
  const ECHO = `const socket = require('dgram').createSocket('udp4').bind(7777, process.argv[1]);
    socket.on('message', (m, { port, address }) => socket.send(process.argv[1] + ' ' + address, port, address));
    socket.on('listening', () => console.log('up'));`;

  const startEcho = async (host: string, address: string) => {
    const group = bed.namespaces.spawn(host, [process.execPath, '-e', ECHO, address]);
    await group.untilOutput(/up/, 5000);
  };

  test('clients and the proxy reach every node; the nodes see the address of the plan', async () => {
    for (const node of bed.nodes) {
      await startEcho(node.host, node.address);
      expect(echo(bed.clients[0]!.host, node.address)).toBe(`${node.address} ${bed.clients[0]!.paths.direct.address}`);
      expect(echo(bed.proxy.host, node.address)).toBe(`${node.address} 10.77.1.101`);
    }
  });

  test('clients reach the proxy', async () => {
    await startEcho(bed.proxy.host, '10.77.0.101');
    expect(echo(bed.clients[0]!.host, '10.77.0.101')).toBe(`10.77.0.101 ${bed.clients[0]!.paths.proxy.address}`);
  });

  test('frames to a node go where the plan says', () => {
    const [node] = bed.nodes;
    expect(runIn(bed.clients[0]!.host, ['ip', 'neigh', 'show', node!.address])).toContain(
      `lladdr ${node!.macs.direct}`,
    );
    expect(runIn(bed.proxy.host, ['ip', 'neigh', 'show', node!.address])).toContain(`lladdr ${node!.macs.proxy}`);
  });

  test("the balancer's interfaces are up and own nothing", () => {
    const links = runIn(bed.balancer.host, ['ip', '-oneline', 'link']);
    for (const { name, mac } of [bed.balancer.client, bed.balancer.server]) {
      expect(links).toMatch(new RegExp(` ${name}@\\S+ <.*\\bUP,LOWER_UP>.* ${mac} `));
    }
    expect(runIn(bed.balancer.host, ['ip', '-brief', 'address', 'show', 'scope', 'global'])).not.toContain('10.77');
  });
});
