import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/control/config/error.ts';
import { CONFIG_FLAGS, type ConfigFlags } from '../../src/control/config/flags.ts';
import { configFromFlags, loadConfig } from '../../src/control/config/load.ts';

const FILE = `vip: 10.77.0.100:11211
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
nodes:
  - { name: mc1, address: 10.77.1.11:11211 }
  - { name: mc2, address: 10.77.1.12:11211, weight: 2 }
`;

const QUICK: ConfigFlags = {
  vip: '10.77.0.100:11211',
  client: 'cl0',
  server: 'sv0',
  serverAddress: '10.77.1.1/24',
  node: ['mc1=10.77.1.11:11211', 'mc2=10.77.1.12*2'],
};

function errorOf(load: () => unknown): ConfigError {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

describe('without a file', () => {
  it('says the same as the file', () => {
    const fields = expect.anything(); // as they were spelt
    expect(configFromFlags(QUICK)).toEqual({ ...loadConfig(FILE, 'f.yaml'), fields });
  });

  it('every flag reaches its field', () => {
    const config = configFromFlags({
      ...QUICK,
      mode: 'nat',
      serverGateway: '10.77.1.254',
      algorithm: 'maglev',
      hash: 'md5',
      lanes: '2',
      pin: '3,4',
      slots: '1024',
      sourcePortBase: '50000',
      replyLifetimeMs: '100',
      spinUs: 0,
      hot: 'off',
      node: ['far=10.9.9.9'],
      admin: '/run/far.sock',
    });
    expect(config).toMatchObject({
      steering: { algorithm: 'maglev', hash: 'md5' },
      lanes: 2,
      pin: [3, 4],
      slots: { count: 1024, sourcePortBase: 50000, sourcePortsPerLane: 1, replyLifetimeMs: 100 },
      idle: { spinUs: 0 },
      hot: { enabled: false },
      nodes: [{ name: 'far', port: 11211, weight: 1, nextHop: 0x0a4d01fe }],
      admin: { kind: 'unix', path: '/run/far.sock' },
    });
  });

  it('one-arm', () => {
    const config = configFromFlags({
      vip: '10.0.0.9',
      client: 'eth1',
      clientAddress: '10.0.0.1/24',
      clientGateway: '10.0.0.254',
      node: ['a=10.1.0.2'],
    });
    expect(config.ports.server).toBeUndefined();
    expect(config.nodes[0]!.nextHop).toBe(0x0a0000fe);
  });

  const rows: [change: ConfigFlags, flag: string, path: string, message: string][] = [
    [{ vip: '10.77.0.256' }, '--vip', 'vip', 'vip is "10.77.0.256"; it must be the IPv4 address of a host'],
    [{ vip: undefined }, '--vip', 'vip', 'vip is missing; it must be the IPv4 address of a host'],
    [{ mode: 'tunnel' }, '--mode', 'mode', 'mode is "tunnel"; it must be nat or gateway or dsr'],
    [{ client: undefined }, '--client', 'ports.client.interface', 'ports.client.interface is missing; it must be an'],
    [{ client: 'sv0' }, '--server', 'ports.server.interface', 'ports.server.interface is "sv0"; it must differ from'],
    [{ server: undefined }, '--server', 'ports.server.interface', 'ports.server.interface is missing; it must be an'],
    [{ serverAddress: '10.77.1.1' }, '--server-address', 'ports.server.address', 'ports.server.address is "10.77.1.1"'],
    [
      { clientAddress: '10.77.0.1/24' },
      '--client-address',
      'ports.client.address',
      'ports.client.address is "10.77.0.1/24"; it must be left out',
    ],
    [{ lanes: 'two' }, '--lanes', 'lanes', 'lanes is "two"; it must be a whole number from 1 to 64'],
    [{ lanes: '-1' }, '--lanes', 'lanes', 'lanes is "-1"; it must be a whole number from 1 to 64'],
    [{ lanes: '' }, '--lanes', 'lanes', 'lanes is ""; it must be a whole number from 1 to 64'],
    [{ pin: '1,x' }, '--pin', 'pin[1]', 'pin[1] is "x"; it must be the number of a CPU'],
    [{ pin: '1,2' }, '--pin', 'pin', 'pin is a list of 2; it must have one CPU for each lane (1)'],
    [{ slots: '1000' }, '--slots', 'slots.count', 'slots.count is 1000; it must be a power of two'],
    [
      { sourcePortBase: '65533' },
      '--source-port-base',
      'slots.source_port_base',
      'slots.source_port_base is 65533; it must be at most 65532',
    ],
    [{ node: undefined }, '--node', 'nodes', 'nodes is missing; it must be a list of nodes'],
    [{ node: [] }, '--node', 'nodes', 'nodes is an empty list; it must have 1 to 1024 nodes'],
    [
      { node: ['10.77.1.11'] },
      '--node',
      'nodes[0]',
      'nodes[0] is "10.77.1.11"; it must be NAME=ADDRESS[:PORT][*WEIGHT], as mc1=10.77.1.11:11211',
    ],
    [
      { node: ['=10.77.1.11'] },
      '--node',
      'nodes[0]',
      'nodes[0] is "=10.77.1.11"; it must be NAME=ADDRESS[:PORT][*WEIGHT]',
    ],
    [
      { node: ['a=10.77.1.11', 'b=10.77.1.12*'] },
      '--node',
      'nodes[1].weight',
      'nodes[1].weight is ""; it must be a whole number from 0 to 100',
    ],
    [
      { node: ['a=10.77.1.11', 'b=10.77.1.12*x'] },
      '--node',
      'nodes[1].weight',
      'nodes[1].weight is "x"; it must be a whole number from 0 to 100',
    ],
    [
      { node: ['a=10.77.1.11:0'] },
      '--node',
      'nodes[0].address',
      'nodes[0].address is "10.77.1.11:0"; it must be the IPv4 address',
    ],
    [{ node: ['a=10.77.1.11', 'a=10.77.1.12'] }, '--node', 'nodes[1].name', 'nodes[1].name is "a"; it must be unique'],
  ];
  it.each(rows)('%j', (change, flag, path, message) => {
    const error = errorOf(() => configFromFlags({ ...QUICK, ...change }));
    expect(error.problems).toHaveLength(1);
    expect(error.problems[0]).toMatchObject({ flag, path });
    expect(error.problems[0]!.message.startsWith(message)).toBe(true);
    expect(error.problems[0]!.line).toBeUndefined();
    expect(error.message).toBe(`${flag}: ${error.problems[0]!.message}`);
  });

  it('nothing at all: all that is missing', () => {
    expect(errorOf(() => configFromFlags({})).problems.map(({ flag }) => flag)).toEqual([
      '--vip',
      '--client',
      '--node',
    ]);
  });
});

describe('beside a file', () => {
  it('take the place of its values', () => {
    const config = loadConfig(FILE, 'f.yaml', { vip: '10.77.0.101', lanes: '2', serverAddress: '10.77.1.2/24' });
    expect(config.vip.text).toBe('10.77.0.101');
    expect(config.lanes).toBe(2);
    expect(config.source.text).toBe('10.77.1.2');
    expect(config.ports.server!.interface).toBe('sv0');
    expect(config.nodes).toHaveLength(2);
  });

  it('--node: the flags are the list of nodes', () => {
    const { nodes } = loadConfig(FILE, 'f.yaml', { node: ['x=10.77.1.50'] });
    expect(nodes.map(({ name }) => name)).toEqual(['x']);
  });

  it('complete an empty file', () => {
    expect(loadConfig('', 'f.yaml', QUICK)).toEqual(configFromFlags(QUICK));
  });

  it('do not touch what the file shares by an alias', () => {
    const text = FILE.replace('client: { interface: cl0 }', 'client: { interface: cl0, ring: &r { frames: 64 } }');
    const shared = text.replace('sv0,', 'sv0, ring: *r,');
    expect(loadConfig(shared, 'f.yaml', { client: 'eth7' }).ports).toMatchObject({
      client: { interface: 'eth7', ringFrames: 64 },
      server: { interface: 'sv0', ringFrames: 64 },
    });
  });

  it('a problem names the flag or the place in the file, as the value came from', () => {
    const error = errorOf(() => loadConfig(`${FILE}idle: { spin_us: x }`, 'f.yaml', { lanes: '0' }));
    expect(error.problems.map(({ flag, line }) => flag ?? line)).toEqual(['--lanes', 8]);
    expect(error.message.split('\n').slice(0, 2)).toEqual([
      '--lanes: lanes is 0; it must be a whole number from 1 to 64',
      'f.yaml:8:18: idle.spin_us is "x"; it must be a whole number from 0 to 10000',
    ]);
  });

  it('a file that is no mapping is not hidden by a flag', () => {
    const error = errorOf(() =>
      loadConfig('ports: 5\nvip: 10.0.0.1', 'f.yaml', { client: 'cl0', node: ['a=10.0.0.2'] }),
    );
    expect(error.problems.map(({ path, line }) => [path, line])).toEqual([['ports', 1]]);
  });
});

describe('the table of flags', () => {
  it('spells flags as commander does, and describes each', () => {
    for (const { name, flag, description } of CONFIG_FLAGS) {
      expect(flag.slice(2).replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())).toBe(name);
      expect(description).not.toBe('');
    }
    expect(CONFIG_FLAGS.filter(({ repeatable }) => repeatable).map(({ flag }) => flag)).toEqual(['--node']);
  });
});
