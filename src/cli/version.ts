import { readFileSync } from 'node:fs';

/** The package's version; this file lies three folders below its package.json, once built. */
export function packageVersion(): string {
  const path = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
