/** The rights that scripts/keysteer.service gives, without systemd: an unprivileged user with ambient capabilities. */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { skip } from '../support/requirements.ts';
import { Bed } from './bed.ts';
import { keysteer } from './command.ts';
import { CLI, requireBed } from './program.ts';
import { datagram } from './udp-client.ts';

const NOBODY = 65534;
const CAPABILITIES = '-all,+net_raw,+net_admin';
const AS_SERVICE = [
  'setpriv',
  `--reuid=${NOBODY}`,
  `--regid=${NOBODY}`,
  '--clear-groups',
  `--bounding-set=${CAPABILITIES}`,
  `--inh-caps=${CAPABILITIES}`,
  `--ambient-caps=${CAPABILITIES}`,
  '--no-new-privs',
];

describe.skipIf(requireBed() ?? requireNobody())('as the service runs it', () => {
  let bed: Bed;
  /** Stands for /run/keysteer and /etc, for nobody to write to and read. */
  let folder: string;
  let config: string;
  const lb = () => bed.network.balancer.host;

  beforeAll(async () => {
    bed = await Bed.start();
    folder = mkdtempSync(join(tmpdir(), 'keysteer-service-'));
    chmodSync(folder, 0o700);
    chownSync(folder, NOBODY, NOBODY);
    config = join(folder, 'keysteer.yaml');
    const nodes = bed.network.nodes.flatMap(({ name, address }) => ['--node', `${name}=${address}`]);
    const arms = ['--client', 'cl0', '--server', 'sv0', '--server-address', '10.77.1.1/24'];
    const { stdout } = await keysteer(['init', '-', '--vip', '10.77.0.100', ...arms, ...nodes]);
    writeFileSync(config, stdout, { mode: 0o644 });
  });
  afterAll(async () => {
    await bed?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  test('doctor finds nothing amiss with its rights', async () => {
    const { stdout } = await keysteer(['doctor', '--json', '--config', config], {
      namespace: lb(),
      prefix: AS_SERVICE,
    });
    const { healthy, checks } = JSON.parse(stdout);
    expect(checks.filter(({ status }: { status: string }) => status === 'fail')).toEqual([]);
    expect(healthy).toBe(true);
  });

  test('it forwards, has its admin socket in the runtime directory, reloads at SIGHUP and ends at SIGTERM', async () => {
    const client = await bed.startClient();
    const argv = [
      ...AS_SERVICE,
      'env',
      `RUNTIME_DIRECTORY=${folder}`,
      process.execPath,
      CLI,
      'run',
      '--config',
      config,
    ];
    const group = bed.namespaces.spawn(lb(), argv);
    await group.untilOutput(/^ready: .*\n/m, 15_000);
    expect((await client.exchange([datagram(1, 'get nothing\r\n')])).timedOut).toEqual([]);
    const [socket] = readdirSync(folder).filter(name => name.endsWith('.sock'));
    const status = await keysteer(['status', '--json', '--admin', join(folder, socket!)]);
    expect(JSON.parse(status.stdout)).toMatchObject({ configFile: config });
    group.signal('SIGHUP');
    await group.untilOutput(/nothing|unchanged|no change/i, 5000);
    group.signal('SIGTERM');
    expect(await group.ended).toEqual({ code: 0, signal: null });
    await client.stop();
  });
});

/** Root that may become nobody with rights left over: not inside a user namespace, which maps one user alone. */
function requireNobody(): string | undefined {
  const [command, ...args] = [...AS_SERVICE, 'test', '-r', CLI];
  if (spawnSync(command!, args, { stdio: 'ignore' }).status === 0) return undefined;
  return skip('nobody cannot be given capabilities here, or may not read the program');
}
