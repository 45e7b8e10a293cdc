/** The load generator's own limit: its rate against a sink that answers at once, over the same kind of link. */
import { fileURLToPath } from 'node:url';
import { type LoadPlan, runClients } from '../src/experiment/load-runner.ts';
import type { TestBed } from '../src/experiment/topology.ts';

/** In the nodes' network, owned by no kernel. */
const SINK = '10.77.1.99:11211';
const SINK_PROCESS = fileURLToPath(new URL('../src/load/sink-process.bundle.js', import.meta.url));
const START_MS_MAX = 5000;

/** @param bed of layout `direct-veth`; @returns requests/s */
export async function measureGeneratorLimit(bed: TestBed, plan: LoadPlan, seconds: number): Promise<number> {
  const [client] = bed.clients;
  const [node] = bed.nodes;
  // The direct link has the same name at both ends.
  const options = { interface: client.paths.direct.interface, endpoint: SINK, valueBytes: plan.valueBytes };
  const sink = bed.namespaces.spawn(node.host, [process.execPath, SINK_PROCESS, JSON.stringify(options)]);
  await sink.untilOutput(/"type":"ready"/, START_MS_MAX);
  const load = await runClients(bed, { targets: [SINK], path: host => host.paths.direct }, { ...plan, seconds });
  await sink.stop();
  return load.requestsPerSecond;
}
