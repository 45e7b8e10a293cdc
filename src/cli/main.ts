#!/usr/bin/env node
/** keysteer: argv → the rooms behind it. */
import { Command, CommanderError } from 'commander';
import { registerCapture } from './capture.ts';
import { registerDemo } from './demo.ts';
import { registerDoctor } from './doctor.ts';
import { registerExplain } from './explain.ts';
import { registerHot } from './hot.ts';
import { registerInit } from './init.ts';
import { registerNodes } from './nodes.ts';
import { EXIT_FAILURE, EXIT_USAGE, messageOf, UsageError } from './output.ts';
import { registerPing } from './ping.ts';
import { registerPlainProxy } from './plain-proxy.ts';
import { registerReload } from './reload.ts';
import { registerReplay } from './replay.ts';
import { registerRun } from './run.ts';
import { registerSchema } from './schema.ts';
import { registerStatus } from './status.ts';
import { registerTop } from './top.ts';
import { registerVerbs } from './verbs.ts';
import { packageVersion } from './version.ts';

const program = new Command('keysteer')
  .description('A memcached load balancer on raw Ethernet frames: reads the key in the frame, steers it to its node.')
  .version(packageVersion(), '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .showHelpAfterError('(keysteer --help says more)')
  .configureHelp({ showGlobalOptions: true, minWidthToWrap: 30 })
  .exitOverride();

for (const register of [
  registerRun,
  registerExplain,
  registerSchema,
  registerInit,
  registerDoctor,
  registerPlainProxy,
  registerDemo,
  registerCapture,
  registerReplay,
  registerStatus,
  registerTop,
  registerNodes,
  registerHot,
  registerReload,
  registerVerbs,
  registerPing,
]) {
  register(program);
}
for (const command of program.commands) command.exitOverride().helpOption('-h, --help', 'print this help');

// Who reads our output may go away (`| head -1`, a terminal that is closed); forwarding goes on.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  } else {
    process.stderr.write(`keysteer: ${messageOf(error)}\n`);
    process.exitCode = error instanceof UsageError ? EXIT_USAGE : EXIT_FAILURE;
  }
}
