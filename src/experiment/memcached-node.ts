/**
 * A real memcached inside a namespace: started, awaited, asked for its figures, stopped by process id.
 *
 * Questions are asked from inside the namespace with bash's /dev/tcp and /dev/udp: no helper process to keep alive, and
 * nothing that is not on every Debian machine.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { enter, type NamespaceSet } from './namespaces.ts';
import type { ProcessGroup } from './process-group.ts';

const execFileAsync = promisify(execFile);

export interface MemcachedOptions {
  /** Name in node lists. */
  readonly name: string;
  readonly host: string;
  readonly address: string;
  readonly port: number;
  /**
   * Another address to serve. Named, as a memcached that listens on all would answer UDP from whichever address its kernel
   * prefers.
   */
  readonly alsoAt?: string;
  /** Memory for items, MB. Default 64. */
  readonly memoryMegabytes?: number;
}

/** The figures that tests and reports compare, as `stats` names them. */
export interface MemcachedStats {
  readonly cmd_get: number;
  readonly cmd_set: number;
  readonly get_hits: number;
  readonly get_misses: number;
  readonly curr_items: number;
  readonly [name: string]: number;
}

/** How long a memcached may take until it answers, ms. */
const START_MS_MAX = 3000;
const STARTS_MAX = 4;

const ATTEMPTS_MIN = 10;

/** Patience with one question, s. A dropped datagram is asked for again; over TCP only a busy machine is slow. */
const ANSWER_S_MAX = { udp: 1, tcp: 5 } as const;

class DeafError extends Error {}

export class MemcachedNode {
  readonly options: MemcachedOptions;
  readonly group: ProcessGroup;

  private constructor(options: MemcachedOptions, group: ProcessGroup) {
    this.options = options;
    this.group = group;
  }

  /** Starts memcached and waits until it answers over UDP and TCP. */
  static async start(namespaces: NamespaceSet, options: MemcachedOptions): Promise<MemcachedNode> {
    for (let starts = 1; ; starts++) {
      // SIGKILL: a cache has nothing to save, and memcached takes a second to end its threads in good order.
      const group = namespaces.spawn(options.host, memcachedArgv(options), { stopSignal: 'SIGKILL' });
      const node = new MemcachedNode(options, group);
      try {
        await node.#untilReady();
        return node;
      } catch (error) {
        await node.stop();
        // Now and then one comes up deaf on UDP, and stays so; the next is not.
        if (starts === STARTS_MAX || !(error instanceof DeafError)) throw error;
      }
    }
  }

  /** All numeric lines of `stats`. */
  async stats(): Promise<MemcachedStats> {
    const text = await this.#askTcp('stats');
    const lines = [...text.matchAll(/^STAT (\S+) (\d+)\r$/gm)];
    return Object.fromEntries(lines.map(([, name, value]) => [name, Number(value)])) as MemcachedStats;
  }

  /** The raw answer to one command line (without its line end) over TCP, until the server closes. */
  ask(command: string): Promise<string> {
    return this.#askTcp(command);
  }

  async stop(): Promise<void> {
    await this.group.stop();
  }

  async #untilReady(): Promise<void> {
    const deadline = performance.now() + START_MS_MAX;
    for (let attempts = 1; this.group.running; attempts++) {
      // TCP first: a datagram that reaches memcached while it starts can leave it deaf on UDP for good.
      if ((await this.#answersTcp()) && (await this.#answersUdp())) return;
      // Attempts count, too: a machine that stood still for seconds has had no chance to answer.
      if (performance.now() > deadline && attempts >= ATTEMPTS_MIN) {
        throw new DeafError(`${this.options.name}: no answer within ${START_MS_MAX} ms`);
      }
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    throw new Error(`${this.options.name}: memcached ended at once: ${this.group.output.trim()}`);
  }

  #answersTcp(): Promise<boolean> {
    return this.#askTcp('version').then(
      answer => answer.startsWith('VERSION'),
      () => false,
    );
  }

  #answersUdp(): Promise<boolean> {
    // 8-byte frame header (id 1, datagram 0 of 1, reserved) and a command; dd reads one datagram.
    const question = String.raw`printf '\0\1\0\0\0\1\0\0version\r\n' >&3; dd bs=1500 count=1 status=none <&3`;
    return this.#shell('udp', question).then(
      answer => answer.includes('VERSION'),
      () => false,
    );
  }

  #askTcp(command: string): Promise<string> {
    return this.#shell('tcp', `printf '%s\\r\\nquit\\r\\n' "$2" >&3; cat <&3`, command).catch(error => {
      throw new Error(`${this.options.name} does not answer '${command}': ${(error as Error).message}`);
    });
  }

  async #shell(protocol: 'tcp' | 'udp', script: string, ...args: string[]): Promise<string> {
    const { host, address, port } = this.options;
    const body = `exec 3<>"/dev/${protocol}/$0/$1" && { ${script}; }`;
    const argv = ['timeout', `${ANSWER_S_MAX[protocol]}`, 'bash', '-c', body, address, `${port}`, ...args];
    return (await execFileAsync('nsenter', [...enter(host), ...argv])).stdout;
  }
}

/** One thread: over UDP memcached gets slower with more than a few, and a node here stands for one small machine. */
function memcachedArgv({ address, alsoAt, port, memoryMegabytes = 64 }: MemcachedOptions): string[] {
  const listen = alsoAt === undefined ? address : `${address},${alsoAt}`;
  const network = ['-l', listen, '-p', `${port}`, '-U', `${port}`];
  return ['memcached', '-u', 'root', ...network, '-t', '1', '-m', `${memoryMegabytes}`, '-c', '64'];
}

/** Starts a memcached on every node of a bed, all at once. */
export function startMemcachedNodes(
  namespaces: NamespaceSet,
  nodes: readonly MemcachedOptions[],
): Promise<MemcachedNode[]> {
  return Promise.all(nodes.map(node => MemcachedNode.start(namespaces, node)));
}
