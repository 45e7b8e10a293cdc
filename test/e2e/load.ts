/** The load generator, as a process in a client's namespace, on its way to the VIP. */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { LoadPlan } from '../../src/experiment/load-runner.ts';
import type { ProcessGroup } from '../../src/experiment/process-group.ts';
import { MEMCACHED_PORT, type TestBed, VIP } from '../../src/experiment/topology.ts';
import type { LoadResult } from '../../src/load/result.ts';
import type { Progress } from '../../src/load/run.ts';

const GENERATOR = fileURLToPath(new URL('../../dist/src/load/process.bundle.js', import.meta.url));

export class Load {
  readonly result: Promise<LoadResult>;
  /** Once it measures, at full rate. */
  readonly measuring: Promise<void>;
  #begin = () => {};
  readonly #group: ProcessGroup;

  /** The bed's clients must have no kernel addresses: `kernelClients: false`. */
  constructor(bed: TestBed, plan: LoadPlan, client = 0) {
    const { host, paths } = bed.clients[client]!;
    const { interface: name, address } = paths.balancer;
    const options = { ...plan, interface: name, clients: [address], targets: [`${VIP}:${MEMCACHED_PORT}`] };
    this.#group = bed.namespaces.spawn(host, [process.execPath, GENERATOR, JSON.stringify(options)]);
    const begun = new Promise<void>(resolve => {
      this.#begin = resolve;
    });
    this.result = this.#read();
    this.measuring = Promise.race([begun, this.result.then(() => {})]);
    this.measuring.catch(() => {});
  }

  /** Ends it before its time; what is under way is waited for. */
  end(): Promise<LoadResult> {
    this.#group.signal('SIGINT');
    return this.result;
  }

  async #read(): Promise<LoadResult> {
    for await (const text of createInterface({ input: this.#group.child.stdout! })) {
      const line = JSON.parse(text) as { type: string; result: LoadResult; message: string; progress?: Progress };
      if (line.progress?.phase === 'measure') this.#begin();
      if (line.type === 'error') throw new Error(`load generator: ${line.message}`);
      if (line.type === 'result') return line.result;
    }
    throw new Error(`load generator ended without a result: ${this.#group.output}`);
  }
}
