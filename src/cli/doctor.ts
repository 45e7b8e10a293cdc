import type { Command } from 'commander';
import { type Check, isHealthy } from '../control/doctor/check.ts';
import { diagnose } from '../control/doctor/diagnose.ts';
import { readFacts } from '../control/doctor/facts.ts';
import { mayCreateNamespaces, userNamespaceRefusal } from '../experiment/unprivileged.ts';
import { addConfigOptions, type ConfigOptions, readConfig } from './config-options.ts';
import { EXIT_FAILURE, printJson } from './output.ts';

interface DoctorOptions extends ConfigOptions {
  readonly json?: boolean;
}

export function registerDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description(
      'look for what keeps Keysteer from forwarding: kernel, privileges, configuration, interfaces, network, nodes; a line each, with its fix. Exit status 0 when nothing failed, else 1',
    )
    .option('--json', 'machine-readable: one JSON object, healthy and checks');
  addConfigOptions(command).action(doctor);
}

async function doctor({ json = false, ...options }: DoctorOptions): Promise<void> {
  const isNamed = Object.values(options).some(value => value !== undefined);
  const facts = readFacts(mayCreateNamespaces() ? undefined : userNamespaceRefusal());
  const checks = await diagnose(facts, isNamed ? () => readConfig(options) : undefined);
  const healthy = isHealthy(checks);
  if (json) printJson({ healthy, checks });
  else process.stdout.write(`${checks.map(line).join('\n')}\n${summary(checks)}\n`);
  if (!healthy) process.exitCode = EXIT_FAILURE;
}

/** Lines after the first, as of a configuration's problems, stand under the text of the first. */
function line({ status, what, fix }: Check): string {
  const text = fix === undefined ? what : `${what}${what.includes('\n') ? '\n' : '  '}— fix: ${fix}`;
  return `${status.padEnd(4)}  ${text.replaceAll('\n', '\n      ')}`;
}

function summary(checks: readonly Check[]): string {
  const count = (status: Check['status']) => checks.filter(check => check.status === status).length;
  return `${count('fail') || 'nothing'} failed, ${count('warn')} to mind, ${count('skip')} not looked at`;
}
