/**
 * Network namespaces without root: the program is started again inside a user namespace of its own, where it is root
 * over a network namespace and a mount namespace that nobody else sees. Everything made there ends with it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';

/** Set inside, so that a program never goes around twice. */
const INSIDE = 'KEYSTEER_USER_NAMESPACE';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * `ip netns add` keeps its names in /run/netns, which is not ours to write: a private tmpfs takes its place.
 * The private network namespace starts with its loopback down.
 */
const PRELUDE = `mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up && exec "$@"`;

/**
 * Whether this process may make network namespaces as it is (root, or already inside a user namespace). Asks for a
 * private mount namespace too, as `ip -netns` does: in a bare chroot root has the one and not the other.
 */
export function mayCreateNamespaces(): boolean {
  return spawnSync('unshare', ['--net', '--mount', 'true'], { stdio: 'ignore' }).status === 0;
}

/**
 * Runs `argv` inside a user, network and mount namespace and waits for it; signals are passed on.
 * @returns its exit code, or undefined where the kernel does not allow it (or we are inside already): nothing was run.
 */
export async function reexecInUserNamespace(argv: readonly string[]): Promise<number | undefined> {
  if (process.env[INSIDE] !== undefined || userNamespaceRefusal() !== undefined) return undefined;
  const [command, ...args] = insideUserNamespace(['setpriv', '--pdeathsig', 'TERM', ...argv]);
  // A process group of its own: Ctrl-C reaches us alone, and the signal is passed on exactly once.
  const child = spawn(command!, args, { stdio: 'inherit', detached: true, env: { ...process.env, [INSIDE]: '1' } });
  const forward = (signal: NodeJS.Signals) => void child.kill(signal);
  for (const signal of SIGNALS) process.on(signal, forward);
  const code = await new Promise<number>(resolve => {
    child.once('error', () => resolve(127));
    child.once('exit', (exitCode, signal) => resolve(exitCode ?? 128 + constants.signals[signal!]));
  });
  for (const signal of SIGNALS) process.off(signal, forward);
  return code;
}

/** Why an unprivileged user namespace cannot be had here; undefined when it can. */
export function userNamespaceRefusal(): string | undefined {
  const [command, ...args] = insideUserNamespace(['true']);
  const attempt = spawnSync(command!, args, { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  if (attempt.status === 0) return undefined;
  return attempt.error?.message ?? (attempt.stderr.trim() || `unshare ended with exit code ${attempt.status}`);
}

function insideUserNamespace(argv: readonly string[]): string[] {
  return ['unshare', '--user', '--map-root-user', '--net', '--mount', 'sh', '-c', PRELUDE, 'sh', ...argv];
}
