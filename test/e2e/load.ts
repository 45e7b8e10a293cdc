/** The load generator as `keysteer load` runs it: the built program, in a client's namespace, towards the VIP. */
import { createInterface } from 'node:readline';
import type { NamespaceSet } from '../../src/experiment/namespaces.ts';
import type { ProcessGroup } from '../../src/experiment/process-group.ts';
import { type ClientHost, MEMCACHED_PORT, VIP } from '../../src/experiment/topology.ts';
import type { LoadOptionsInput } from '../../src/load/options.ts';
import type { LoadResult } from '../../src/load/result.ts';
import type { Progress } from '../../src/load/run.ts';
import { GENERATOR } from './program.ts';

type Line =
  | { type: 'progress'; progress: Progress }
  | { type: 'result'; result: LoadResult }
  | { type: 'error'; message: string };

export class Load {
  /** Once it measures, at full rate. */
  readonly measuring: Promise<void>;
  /** Every reply matched, every value verified. */
  readonly result: Promise<LoadResult>;

  readonly #group: ProcessGroup;

  private constructor(group: ProcessGroup) {
    this.#group = group;
    let begin = () => {};
    let fail = (_: Error) => {};
    this.measuring = new Promise((resolve, reject) => {
      begin = resolve;
      fail = reject;
    });
    this.measuring.catch(() => {});
    this.result = readResult(group, begin);
    this.result.catch(fail);
  }

  /** Ends it without a result. */
  stop(): Promise<unknown> {
    return this.#group.stop();
  }

  static start(
    namespaces: NamespaceSet,
    { host, paths }: ClientHost,
    plan: Omit<LoadOptionsInput, 'interface' | 'clients' | 'targets'>,
  ): Load {
    const { interface: name, address } = paths.balancer;
    const options = { ...plan, interface: name, clients: [address], targets: [`${VIP}:${MEMCACHED_PORT}`] };
    return new Load(namespaces.spawn(host, [process.execPath, GENERATOR, JSON.stringify(options)]));
  }
}

async function readResult(group: ProcessGroup, begin: () => void): Promise<LoadResult> {
  for await (const text of createInterface({ input: group.child.stdout! })) {
    const line = JSON.parse(text) as Line;
    if (line.type === 'result') return line.result;
    if (line.type === 'error') throw new Error(`load generator: ${line.message}`);
    if (line.progress.phase === 'measure') begin();
  }
  throw new Error(`the load generator ended without a result: ${group.output.slice(-2000)}`);
}
