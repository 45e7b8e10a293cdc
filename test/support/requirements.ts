/**
 * What a test needs of the machine. Each function returns undefined when it is there, otherwise the reason to skip:
 *
 *     const missing = requireNamespaces() ?? requireMemcached();
 *     describe.skipIf(missing)('…', () => { … });
 *
 * A reason is also written down for `npm test`, which lists skipped tests with it at the end: a skipped test is never
 * counted as passed.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { nginxUnavailable } from '../../src/experiment/baselines/nginx.ts';
import { mayCreateNamespaces, userNamespaceRefusal } from '../../src/experiment/unprivileged.ts';

/** File that collects a JSON line `{file, reason}` for each refusal; named by the test run. */
export const SKIP_REASONS_FILE = 'KEYSTEER_SKIP_REASONS';

export interface SkipReason {
  /** Test file, path from the root of the project. */
  readonly file: string;
  readonly reason: string;
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Network namespaces, veth and bridges: root, or an unprivileged user namespace around the test run. */
export function requireNamespaces(): string | undefined {
  if (!succeeds('ip', ['-Version'])) return skip('iproute2 is not installed');
  if (mayCreateNamespaces()) return undefined;
  const refusal = userNamespaceRefusal();
  return skip(
    refusal === undefined
      ? 'no network namespaces without root, unless started by npm test, which enters a user namespace'
      : `no network namespaces: not privileged, and a user namespace is refused (${refusal})`,
  );
}

export function requireMemcached(): string | undefined {
  return succeeds('memcached', ['-V']) ? undefined : skip('memcached is not installed');
}

/** The native shim: raw sockets and mapped rings. */
export function requireShim(): string | undefined {
  return existsSync(`${ROOT}native/build/Release/keysteer.node`)
    ? undefined
    : skip('the native shim is not built (npm run build)');
}

/** The `cap` package (libpcap), our independent decoder. */
export function requirePcap(): string | undefined {
  return existsSync(`${ROOT}node_modules/cap/build/Release/cap.node`)
    ? undefined
    : skip('the optional package cap is not built (needs libpcap-dev when npm installs)');
}

/** tshark and capinfos: another implementation's judgement of captures. */
export function requireTshark(): string | undefined {
  if (succeeds('tshark', ['--version']) && succeeds('capinfos', ['--version'])) return undefined;
  return skip('tshark is not installed');
}

/** memcaslap, of libmemcached: somebody else's client and load generator. */
export function requireMemcaslap(): string | undefined {
  return succeeds('memcaslap', ['--version']) ? undefined : skip('memcaslap is not installed (libmemcached-tools)');
}

export function requireEthtool(): string | undefined {
  return succeeds('ethtool', ['--version']) ? undefined : skip('ethtool is not installed');
}

/** The `raw-socket` package: clients at addresses of their own. */
export function requireRawSocket(): string | undefined {
  return existsSync(`${ROOT}node_modules/raw-socket/build/Release/raw.node`)
    ? undefined
    : skip('the optional package raw-socket is not built (needs g++, make and python3 when npm installs)');
}

export function requireNginx(): string | undefined {
  const reason = nginxUnavailable();
  return reason && skip(reason);
}

/** The compiled program: workers and the CLI start from dist/. */
export function requireBuild(): string | undefined {
  return existsSync(`${ROOT}dist/src/cli/main.js`) ? undefined : skip('dist/ is not built (npm run build)');
}

/** Notes why tests of the calling file are skipped, and returns the reason. */
export function skip(reason: string): string {
  const collector = process.env[SKIP_REASONS_FILE];
  if (collector)
    appendFileSync(collector, `${JSON.stringify({ file: callingTestFile(), reason } satisfies SkipReason)}\n`);
  return reason;
}

function callingTestFile(): string {
  const frame = new Error().stack?.split('\n').find(line => line.includes('.test.ts')) ?? '';
  return /(?:file:\/\/)?(\/[^\s()]+\.test\.ts)/.exec(frame)?.[1]?.replace(ROOT, '') ?? 'unknown file';
}

function succeeds(command: string, argv: readonly string[]): boolean {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`; // where Debian keeps ip and nginx, and a user's PATH does not lead
  return spawnSync(command, argv, { stdio: 'ignore', env: { ...process.env, PATH: path } }).status === 0;
}
