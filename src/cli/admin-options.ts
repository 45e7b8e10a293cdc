/** `--admin`, `--config` and `--json` of the commands that ask a running instance. */
import { type Command, Option } from 'commander';
import { findAdmin } from '../control/admin/find.ts';
import type { AdminPlace } from '../control/admin/places.ts';

export interface AdminOptions {
  readonly admin?: string;
  readonly config?: string;
  readonly json?: boolean;
}

export function addAdminOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--admin <PATH|HOST:PORT>', 'its admin interface (default: the only instance that runs here)'),
    )
    .addOption(new Option('-c, --config <FILE>', 'the instance that was started with this file'))
    .option('--json', 'machine-readable');
}

/** @throws AdminClientError */
export function instanceOf({ admin, config }: AdminOptions): Promise<AdminPlace> {
  return findAdmin({ ...(admin === undefined ? {} : { admin }), ...(config === undefined ? {} : { config }) });
}
