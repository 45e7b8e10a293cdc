/** `npm run --silent bench -- <name> [--json] [--rounds N] [--seconds S]` */
import { parseArgs } from 'node:util';
import { type Bench, note, where } from './harness.ts';

const BENCHES: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  pipeline: () => import('./pipeline.ts'),
  wire: () => import('./wire.ts'),
  compare: () => import('./compare.ts'),
  idle: () => import('./idle.ts'),
  multiget: () => import('./multiget.ts'),
  detect: () => import('./detect.ts'),
  hotkeys: () => import('./hotkeys.ts'),
  balance: () => import('./balance.ts'),
};

const USAGE = `usage: npm run --silent bench -- <${Object.keys(BENCHES).join('|')}> [--json] [--rounds N] [--seconds S]`;

async function main(): Promise<number> {
  const { name, json, rounds, seconds } = readArguments();
  const load = name === undefined ? undefined : BENCHES[name];
  if (name === undefined || load === undefined) {
    note(USAGE);
    return 2;
  }
  const { bench } = await load();
  const report = await bench.run({ json, rounds, seconds });
  const whole = { name, describe: bench.describe, ...where(), ...report };
  process.stdout.write(
    json ? `${JSON.stringify(whole, null, 2)}\n` : `${report.headline}\n${JSON.stringify(report.results, null, 2)}\n`,
  );
  return 0;
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, rounds: { type: 'string' }, seconds: { type: 'string' } },
  });
  return {
    name: positionals[0],
    json: values.json,
    rounds: positive('--rounds', values.rounds),
    seconds: positive('--seconds', values.seconds),
  };
}

function positive(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new RangeError(`${flag} is ${text}; it must be a number above 0`);
  return value;
}

try {
  process.exitCode = await main();
} catch (error) {
  note(
    error instanceof RangeError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')
      ? `${(error as Error).message}\n${USAGE}`
      : String((error as Error).stack),
  );
  process.exitCode = 1;
}
