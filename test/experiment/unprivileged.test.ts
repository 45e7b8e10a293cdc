import { describe, expect, test } from 'vitest';
import { userNamespaceRefusal } from '../../src/experiment/unprivileged.ts';
import { skip } from '../support/requirements.ts';
import { requireBuiltExperiment, runScript } from './script.ts';

const refusal = userNamespaceRefusal();
const missing = requireBuiltExperiment() ?? (refusal && skip(`no user namespace: ${refusal}`));

/** Runs a shell script inside and ends with its exit code; 99 when the kernel would not. */
function inside(shellScript: string) {
  return runScript(`
    const { reexecInUserNamespace } = await load('unprivileged');
    process.exitCode = (await reexecInUserNamespace(['sh', '-c', ${JSON.stringify(shellScript)}])) ?? 99;
  `);
}

describe.skipIf(missing)('inside a user namespace', () => {
  test('namespaces and links can be made, and the exit code comes back', async () => {
    const { exit } = inside(
      'ip netns add a && ip link add v0 type veth peer name v1 netns a && ip -n a link show v1 >/dev/null && exit 7',
    );
    expect(await exit).toBe(7);
  });

  test('we are root over a network that holds nothing but loopback', async () => {
    expect(
      await inside('test $(id -u) = 0 && test $(ip -o link | wc -l) = 1 && ip link | grep -q "lo: .*UP"').exit,
    ).toBe(0);
  });

  test('a program is not taken around twice', async () => {
    const { exit } = runScript(`
      process.env.KEYSTEER_USER_NAMESPACE = '1';
      const { reexecInUserNamespace } = await load('unprivileged');
      process.exitCode = (await reexecInUserNamespace(['true'])) ?? 99;
    `);
    expect(await exit).toBe(99);
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s reaches the program, once', async signal => {
    const name = signal.slice(3);
    const script = `n=0; trap 'n=$((n+1))' ${name}; echo up; while [ $n = 0 ]; do sleep 0.05; done; sleep 0.1; exit $((40+n))`;
    const { child, firstLine, exit } = inside(script);
    await firstLine;
    child.kill(signal);
    expect(await exit).toBe(41);
  });

  test('a program that dies of a signal is reported as a shell would', async () => {
    expect(await inside('kill -KILL $$').exit).toBe(137);
  });
});
