/**
 * Runs the tests under other versions of Node: `node dist/scripts/test-under.js 22 24`.
 *
 * Each version comes from npm into a directory that is removed again. The shim is not rebuilt: it speaks Node-API, so
 * the one file has to load in every version.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TEST = fileURLToPath(new URL('test.js', import.meta.url));

const versions = process.argv.slice(2);
if (versions.length === 0 || !versions.every(version => /^\d+(\.\d+)*$/.test(version))) {
  console.error('usage: node dist/scripts/test-under.js VERSION…   (for example 22 24)');
  process.exit(2);
}
const failed = versions.filter(version => !passesUnder(version));
console.log(failed.length === 0 ? `passed under ${versions.join(', ')}` : `failed under ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

function passesUnder(version: string): boolean {
  const directory = mkdtempSync(join(tmpdir(), `keysteer-node-${version}-`));
  try {
    const bin = installNode(version, directory);
    console.log(`Node ${version}`);
    // First in PATH, so that programs the tests start run under it as well.
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
    return spawnSync(join(bin, 'node'), [TEST], { stdio: 'inherit', env }).status === 0;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Returns the directory that holds the `node` program. */
function installNode(version: string, directory: string): string {
  const spec = `other-node@npm:node-linux-${process.arch}@${version}`;
  const argv = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', directory, spec];
  const { status } = spawnSync('npm', argv, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`npm has no Node ${version} for linux-${process.arch}`);
  return join(directory, 'node_modules/other-node/bin');
}
