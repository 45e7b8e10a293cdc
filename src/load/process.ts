/**
 * A generator as a child process, to be started inside a network namespace:
 *
 *     ip netns exec client1 node dist/src/load/process.js '{"interface":"eth0","clients":["10.77.0.11"],"targets":["10.77.0.100:11211"]}'
 *
 * Options are JSON, the first argument or else standard input. On standard output, one JSON object a line:
 *
 *     {"type":"progress","progress":{…}}     four times a second
 *     {"type":"result","result":{…}}         at the end; SIGINT and SIGTERM end it early
 *     {"type":"error","name":…,"message":…}  instead of a result; exit code 1
 */
import { text } from 'node:stream/consumers';
import { widenInlining } from '../mem/inlining.ts';
import { loadShim } from '../port/shim.ts';
import { parseLoadOptions } from './options.ts';
import { runLoad } from './run.ts';
import { sharpenTimers } from './transport.ts';

async function main(): Promise<void> {
  widenInlining();
  const options = parseLoadOptions(JSON.parse(process.argv[2] ?? (await text(process.stdin))));
  if (options.cpu !== undefined) loadShim().pinThread(options.cpu);
  sharpenTimers();
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => abort.abort());
  const result = await runLoad(options, progress => say({ type: 'progress', progress }), { signal: abort.signal });
  say({ type: 'result', result });
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

main().catch((error: Error) => {
  say({ type: 'error', name: error.name, message: error.message });
  process.exitCode = 1;
});
