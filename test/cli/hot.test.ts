import { Command } from 'commander';
import { expect, it } from 'vitest';
import { registerHot } from '../../src/cli/hot.ts';
import { UsageError } from '../../src/cli/output.ts';

it.each([
  [['frob', 'x'], '<action> is frob; it must be pin, unpin, ban, unban'],
  [['pin'], 'keysteer hot pin needs a key'],
  [['pin', ''], '<key> is ""; it must have 1 to 250 bytes'],
  [['ban', String.raw`counter\x01`], String.raw`<key> is "counter\x01"; it must have no spaces`],
  [['--interval', '0'], '--interval is 0; it must be 0.1 to 3600 seconds'],
  [['--limit', '0'], '--limit is 0; it must be a whole number'],
  [['pin', 'x', '-f'], '--follow is of the list'],
  [['pin', 'x', '--interval', '3'], '--interval is of the list'],
  [['pin', 'x', '--limit', '5'], '--limit is of the list'],
])('keysteer hot %j is refused before anybody is asked: %s', async (args, message) => {
  const program = new Command();
  registerHot(program);
  const failed = await program.parseAsync(['hot', ...args], { from: 'user' }).catch(error => error);
  expect(failed).toBeInstanceOf(UsageError);
  expect(failed.message).toContain(message);
});
