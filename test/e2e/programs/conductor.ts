/**
 * The conductor without the command line around it, so that a test can end one of its threads.
 *
 *     node conductor.js CONFIG.yaml
 */
import { readFileSync } from 'node:fs';
import { Conductor } from '../../../src/control/conductor.ts';
import { loadConfig } from '../../../src/control/config/load.ts';
import { answerLines } from './answer-lines.ts';

export type ConductorOrder = { readonly order: 'figures' | 'stop' } | { readonly order: 'crash'; thread: number };

const path = process.argv[2]!;
const conductor = Conductor.start(loadConfig(readFileSync(path, 'utf8'), path, {}));
await conductor.ready();

await answerLines(async (question: ConductorOrder) => {
  if (question.order === 'figures') return conductor.figures();
  if (question.order === 'crash') return { exitCode: await conductor.threads[question.thread]!.terminate() };
  const startedMs = performance.now();
  const figures = await conductor.stop();
  return { ...figures, stopMs: performance.now() - startedMs };
});
