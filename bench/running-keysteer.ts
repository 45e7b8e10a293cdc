/** Keysteer under a bench: a configuration beyond what flags say, and its figures. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askAdmin } from '../src/control/admin/client.ts';
import type { Status } from '../src/control/admin/status.ts';
import { onCleanup } from '../src/experiment/cleanup.ts';
import type { RunningSystem } from '../src/experiment/systems.ts';

/**
 * Flags for `startSystem` that lead to a file with this configuration (JSON is YAML, too). Gone when the bench ends.
 */
export function configFlags(config: object): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'keysteer-bench-'));
  onCleanup(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'keysteer.yaml');
  writeFileSync(path, JSON.stringify(config));
  return ['--config', path];
}

/** What its admin interface says now. @throws AdminClientError, Error when it has none */
export function statusOf(system: RunningSystem): Promise<Status> {
  const path = /"admin":"(\/[^"]+)"/.exec(system.group?.output ?? '')?.[1];
  if (path === undefined) throw new Error(`${system.name} has no admin interface`);
  return askAdmin<Status>({ kind: 'unix', path }, 'GET', '/status');
}
