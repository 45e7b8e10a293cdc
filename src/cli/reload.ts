import { resolve } from 'node:path';
import type { Command } from 'commander';
import { AdminRefusal, askAdmin } from '../control/admin/client.ts';
import { changeLines, isNothing } from '../control/reload/changes.ts';
import type { ReloadReport } from '../control/reload/reloader.ts';
import { type AdminOptions, addAdminOptions, instanceOf } from './admin-options.ts';
import { EXIT_FAILURE, percent, printJson } from './output.ts';

interface ReloadOptions extends AdminOptions {
  readonly dryRun?: boolean;
}

export function registerReload(program: Command): void {
  const command = program
    .command('reload')
    .description('make a running instance read its configuration file again; SIGHUP does the same')
    .option('--dry-run', 'only say what would change');
  addAdminOptions(command).action(reload);
}

async function reload({ dryRun = false, ...options }: ReloadOptions): Promise<void> {
  const place = await instanceOf(options);
  const file = options.config === undefined ? {} : { file: resolve(options.config) };
  try {
    const report = await askAdmin<ReloadReport>(place, 'POST', '/reload', { dryRun, ...file });
    if (options.json) return printJson(report);
    process.stdout.write(`${reportText(report)}\n`);
  } catch (error) {
    if (!(options.json && error instanceof AdminRefusal)) throw error;
    printJson(error.answer);
    process.exitCode = EXIT_FAILURE;
  }
}

/** What a reload did, in lines; the first says whether. */
export function reportText({ file, dryRun, changes, movedShare, silentNodes, ms }: ReloadReport): string {
  if (isNothing(changes)) return `${file}: nothing changes`;
  const lines = [...changeLines(changes), `keys that move: ${percent(movedShare, 1)}`];
  const silent = silentNodes.map(name => `node ${name} does not answer ARP; its requests are dropped until it does`);
  const head = dryRun ? `${file} would change:` : `${file} reloaded in ${Math.round(ms)} ms:`;
  return [head, ...[...lines, ...silent].map(line => `  ${line}`)].join('\n');
}
