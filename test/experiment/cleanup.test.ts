import { describe, expect, test } from 'vitest';
import { requireBuiltExperiment, runScript } from './script.ts';

const MAKE = `
  const { onCleanup } = await load('cleanup');
  onCleanup(() => process.stdout.write('1'));
  onCleanup(() => { throw new Error('the second step fails on purpose'); });
  const forget = onCleanup(() => process.stdout.write('forgotten'));
  onCleanup(() => process.stdout.write('3'));
  forget();
`;

describe.skipIf(requireBuiltExperiment())('clean-up runs each step once, newest first', () => {
  test.each([
    ['at the end of the program', '', undefined, 0],
    ['on process.exit', 'process.exit(4);', undefined, 4],
    ['on an uncaught error', 'setTimeout(() => { throw new Error(); }, 10);', undefined, 1],
    ['on SIGINT', 'setInterval(() => {}, 1000);', 'SIGINT', 130],
    ['on SIGTERM', 'setInterval(() => {}, 1000);', 'SIGTERM', 143],
    ['on SIGHUP', 'setInterval(() => {}, 1000);', 'SIGHUP', 129],
    [
      'when a handler of the program ends it',
      `process.on('SIGINT', () => setTimeout(process.exit, 50, 5));
       setInterval(() => {}, 1000);`,
      'SIGINT',
      5,
    ],
  ] as const)('%s', async (_when, then, signal, code) => {
    const { child, firstLine, exit, errors } = runScript(`${MAKE} ${then} process.stdout.write('made ');`);
    let said = '';
    child.stdout!.on('data', chunk => (said += chunk));
    if (signal) {
      await firstLine;
      child.kill(signal);
    }
    expect(await exit).toBe(code);
    expect(said.replace('made ', '')).toBe('31');
    expect(errors()).toContain('clean-up: the second step fails on purpose');
  });
});
