import { afterEach, describe, expect, test } from 'vitest';
import { ProcessGroup } from '../../src/experiment/process-group.ts';
import { eventually, isAlive } from './script.ts';

const groups: ProcessGroup[] = [];

function start(script: string, options = {}): ProcessGroup {
  const group = new ProcessGroup(['sh', '-c', script], options);
  groups.push(group);
  return group;
}

afterEach(async () => {
  await Promise.all(groups.splice(0).map(group => group.stop(0)));
});

describe('a process group', () => {
  test('keeps what the program says on either stream, and how it ended', async () => {
    const group = start('echo out; echo err >&2; exit 3');
    expect(await group.ended).toEqual({ code: 3, signal: null });
    expect(group.output.split('\n').sort()).toEqual(['', 'err', 'out']);
    expect(group.running).toBe(false);
  });

  test('waits for a line', async () => {
    const group = start('sleep 0.1; echo "ready on 7"; sleep 60');
    const [, port] = await group.untilOutput(/^ready on (\d)$/m, 5000);
    expect(port).toBe('7');
  });

  test('says what a program said that ended before the line came', async () => {
    await expect(start('echo no such thing; exit 1').untilOutput(/^ready/m, 5000)).rejects.toThrow(
      /ended with exit code 1\nno such thing/,
    );
  });

  test('gives up waiting for a line', async () => {
    await expect(start('echo busy; sleep 60').untilOutput(/^ready/m, 100)).rejects.toThrow(/within 100 ms\nbusy/);
  });

  test('stops children of the program too', async () => {
    const group = start('sleep 60 & echo $!; wait');
    const grandchild = Number((await group.untilOutput(/^(\d+)$/m, 5000))[1]);
    expect(isAlive(grandchild)).toBe(true);
    await group.stop();
    expect(await eventually(() => !isAlive(grandchild))).toBe(true);
  });

  test('ends children that outlive the program', async () => {
    const group = start('sleep 60 & echo $!; exit 0');
    await group.ended;
    const grandchild = Number(group.output);
    expect(await eventually(() => !isAlive(grandchild))).toBe(true);
  });

  test('is killed when it does not stop in time', async () => {
    const group = start(`trap '' TERM; echo deaf; while :; do sleep 0.05; done`);
    await group.untilOutput(/deaf/, 5000);
    expect(await group.stop(100)).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('gets the stop signal it asked for', async () => {
    const group = start(`trap 'echo bye; exit 0' INT; echo up; while :; do sleep 0.05; done`, { stopSignal: 'SIGINT' });
    await group.untilOutput(/up/, 5000);
    expect(await group.stop()).toEqual({ code: 0, signal: null });
    expect(group.output).toContain('bye');
  });

  test('reports a program that does not exist', async () => {
    const group = new ProcessGroup(['keysteer-no-such-program']);
    expect((await group.ended).code).toBe(127);
    expect(group.output).toContain('keysteer-no-such-program');
  });
});
