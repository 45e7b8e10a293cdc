import { readFileSync } from 'node:fs';

/** What memcached's clients take Keysteer for, by the commands it understands; clients parse the number. */
const PROTOCOL_VERSION = '1.6.0';

/** The package's version; this file lies three folders below its package.json, once built. */
export function packageVersion(): string {
  const path = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/** What `version` answers. */
export function versionText(): string {
  return `${PROTOCOL_VERSION}-keysteer-${packageVersion()}`;
}
