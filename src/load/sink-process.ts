/**
 * A sink as a child process, to be started inside a network namespace:
 *
 *     ip netns exec sink node dist/src/load/sink-process.js '{"interface":"eth0","endpoint":"10.77.0.100:11211"}'
 *
 * Options are JSON, the first argument. It prints `{"type":"ready"}` once it answers, and at SIGINT or SIGTERM
 * `{"type":"result","result":{"gets":…,"sets":…,"ignored":…,"ringDropped":…}}`.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { z } from 'zod';
import { widenInlining } from '../mem/inlining.ts';
import { PORT_COUNTERS } from '../port/port.ts';
import { loadShim } from '../port/shim.ts';
import { KeyNames } from './keys.ts';
import { parseEndpoint } from './options.ts';
import { SINK_BYTES, Sink } from './sink.ts';
import { openTransport, type Transport } from './transport.ts';
import { ValueRule } from './values.ts';

const SLICE_NS = 50e6;
const WAIT_US = 1000;

const sinkOptions = z.strictObject({
  interface: z.string().min(1),
  /** Where it listens: IPv4 address and port. */
  endpoint: z.string(),
  /** Answer every request, or only count. */
  mode: z.enum(['answer', 'drop']).default('answer'),
  /** As the generator has them. */
  keyBytes: z.int().min(8).max(250).default(16),
  valueBytes: z.union([z.int(), z.tuple([z.int(), z.int()])]).default(64),
  ringFrames: z.int().min(64).max(65_536).default(4096),
  cpu: z.int().min(0).optional(),
});

async function main(): Promise<void> {
  widenInlining();
  const options = sinkOptions.parse(JSON.parse(process.argv[2] ?? '{}'));
  if (options.cpu !== undefined) loadShim().pinThread(options.cpu);
  const transport = openTransport(options.interface, options.ringFrames, SINK_BYTES);
  const [min, max] = [options.valueBytes].flat();
  const sink = new Sink(transport.port, transport.arena, {
    endpoint: parseEndpoint(options.endpoint),
    mode: options.mode,
    names: new KeyNames(options.keyBytes),
    values: new ValueRule(min as number, max ?? (min as number)),
  });
  let stopped = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (stopped = true));
  say({ type: 'ready' });
  while (!stopped) {
    slice(sink, transport);
    await turn();
  }
  const { gets, sets, ignored } = sink;
  transport.port.refreshCounters();
  const ringDropped = transport.port.counters[PORT_COUNTERS.indexOf('ring_dropped')];
  say({ type: 'result', result: { gets, sets, ignored, ringDropped } });
  transport.port.close();
}

function slice(sink: Sink, transport: Transport): void {
  const end_ns = transport.now_ns() + SLICE_NS;
  while (transport.now_ns() < end_ns) {
    if (sink.cycle() === 0) transport.wait(WAIT_US);
  }
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

main().catch((error: Error) => {
  say({ type: 'error', name: error.name, message: error.message });
  process.exitCode = 1;
});
