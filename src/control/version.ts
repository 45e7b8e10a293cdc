import { existsSync, readFileSync } from 'node:fs';

/** What memcached's clients take Keysteer for, by the commands it understands; clients parse the number. */
const PROTOCOL_VERSION = '1.6.0';

/** The package's version; its package.json lies two folders up in the sources, three once built. */
export function packageVersion(): string {
  const [path] = ['../../package.json', '../../../package.json']
    .map(relative => new URL(relative, import.meta.url))
    .filter(candidate => existsSync(candidate));
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/** What `version` answers. */
export function versionText(): string {
  return `${PROTOCOL_VERSION}-keysteer-${packageVersion()}`;
}
