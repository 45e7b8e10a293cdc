/**
 * nginx's stream module as a UDP balancer, where it is installed.
 *
 * nginx cannot see the key: it hands each client session (address and port) to the next node in turn and keeps it
 * there. So it is a yardstick for the cost of proxying, not for placement: a key written in one session is a miss in
 * another.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onCleanup } from '../cleanup.ts';
import { type NamespaceSet, runIn } from '../namespaces.ts';

export interface NginxOptions {
  /** Namespace to run in. */
  readonly host: string;
  readonly listen: { readonly address: string; readonly port: number };
  readonly nodes: readonly { readonly address: string; readonly port: number }[];
}

export interface Nginx {
  /** The one process: its CPU time is nginx's. */
  readonly pid: number;
  close(): Promise<void>;
}

/** Where Debian's libnginx-mod-stream puts the module. */
const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

/** A user's PATH does not lead to /usr/sbin. */
const PATH = `${process.env.PATH}:/usr/sbin`;

const START_MS_MAX = 3000;

/** Why nginx cannot be had as a baseline here; undefined when it can. */
export function nginxUnavailable(): string | undefined {
  const version = spawnSync('nginx', ['-V'], { encoding: 'utf8', env: { ...process.env, PATH } });
  if (version.error) return 'nginx is not installed';
  if (existsSync(STREAM_MODULE) || /--with-stream(\s|$)/.test(version.stderr)) return undefined;
  return 'nginx is installed without its stream module (libnginx-mod-stream)';
}

/** Starts nginx in a directory of its own, which goes with it; resolves once it listens. */
export async function startNginx(namespaces: NamespaceSet, options: NginxOptions): Promise<Nginx> {
  const directory = mkdtempSync(join(tmpdir(), 'keysteer-nginx-'));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  const forget = onCleanup(remove);
  writeFileSync(join(directory, 'nginx.conf'), nginxConfig(options, existsSync(STREAM_MODULE)));
  const log = join(directory, 'error.log');
  const argv = ['nginx', '-p', directory, '-c', 'nginx.conf', '-e', log];
  const group = namespaces.spawn(options.host, argv, { env: { ...process.env, PATH } });
  const close = async () => {
    await group.stop();
    remove();
    forget();
  };
  const deadline = performance.now() + START_MS_MAX;
  while (!listens(options)) {
    if (!group.running || performance.now() > deadline) {
      const said = `${group.output}${existsSync(log) ? readFileSync(log, 'utf8') : ''}`;
      await close();
      throw new Error(`nginx does not listen on ${options.listen.address}: ${said.trim()}`);
    }
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  return { pid: group.pid, close };
}

/**
 * `proxy_responses` stays unset: a reply may have any number of datagrams. One process does all the work, as the plain
 * proxy has one thread and Keysteer one lane; without a master there is also no change of user, which a user namespace
 * would refuse.
 */
export function nginxConfig({ listen, nodes }: NginxOptions, loadModule: boolean): string {
  return `${loadModule ? `load_module ${STREAM_MODULE};\n` : ''}daemon off;
master_process off;
pid nginx.pid;
error_log error.log warn;
events { worker_connections 16384; }
stream {
  upstream memcached {
${nodes.map(({ address, port }) => `    server ${address}:${port};`).join('\n')}
  }
  server {
    listen ${listen.address}:${listen.port} udp rcvbuf=8m sndbuf=8m;
    proxy_pass memcached;
    proxy_timeout 10s;
  }
}
`;
}

/** Whether a UDP socket is bound to the port inside (/proc/net/udp, local port in hexadecimal). */
function listens({ host, listen }: NginxOptions): boolean {
  const port = listen.port.toString(16).toUpperCase().padStart(4, '0');
  return new RegExp(`^ *\\d+: [0-9A-F]{8}:${port} `, 'm').test(runIn(host, ['cat', '/proc/net/udp']));
}
