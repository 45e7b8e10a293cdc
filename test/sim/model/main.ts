/** Prints what the model finds: `node dist/test/sim/model/main.js [long]`. */
import { explore } from './explore.ts';
import { LONG_SCENARIOS, MUTANTS, SCENARIOS, VARIANTS } from './table.ts';

const STATES_MAX = 20_000_000;

function report(name: string, found: ReturnType<typeof explore>, start: number): void {
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const verdict = found.trace ? `violated in ${found.trace.length} steps` : found.isComplete ? 'holds' : 'not finished';
  console.log(`${verdict.padEnd(22)} ${String(found.states).padStart(9)} states ${seconds.padStart(6)} s  ${name}`);
  for (const [i, line] of (found.trace ?? []).entries()) console.log(`${String(i + 1).padStart(30)}  ${line}`);
}

for (const scenario of process.argv[2] === 'long' ? LONG_SCENARIOS : SCENARIOS) {
  const start = performance.now();
  report(scenario.name, explore(scenario, {}, STATES_MAX), start);
}
for (const { bug, rules, scenario } of process.argv[2] === 'long' ? [] : [...MUTANTS, ...VARIANTS]) {
  const start = performance.now();
  report(bug, explore(scenario, rules, STATES_MAX), start);
}
