import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { CONFIG_FLAGS, type ConfigFlags } from '../control/config/flags.ts';
import { configTemplate } from '../control/config/template.ts';
import { addConfigFlags } from './config-options.ts';
import { printJson, UserError } from './output.ts';

const DEFAULT_FILE = 'keysteer.yaml';

interface InitOptions extends ConfigFlags {
  readonly force?: boolean;
  readonly json?: boolean;
}

export function registerInit(program: Command): void {
  const command = program
    .command('init')
    .argument('[file]', '- writes to standard output', DEFAULT_FILE)
    .description(
      'write a configuration file with every field explained: what the flags say in force, examples for what they leave open, all else commented out at its default',
    )
    .addOption(new Option('--force', 'take the place of a file that is there'))
    .option('--json', 'machine-readable: say in JSON what was written');
  addConfigFlags(command).action(init);
}

function init(file: string, { force = false, json = false, ...flags }: InitOptions): void {
  const text = configTemplate(flags);
  if (file === '-') {
    process.stdout.write(text);
    return;
  }
  write(file, text, force);
  const examples = examplesIn(flags);
  if (json) return printJson({ event: 'written', file, examples });
  const hint = examples.length > 0 ? `examples to replace: ${examples.join(', ')}; then ` : '';
  process.stdout.write(`written: ${file}; ${hint}keysteer doctor --config ${file}\n`);
}

function write(file: string, text: string, force: boolean): void {
  try {
    writeFileSync(file, text, { flag: force ? 'w' : 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new UserError(`${file} is there already; --force writes over it, another name or - leaves it alone`);
  }
}

/** The fields whose values are made up: nobody's addresses but the ones of the documentation. */
function examplesIn(flags: ConfigFlags): string[] {
  const isOneArm = flags.clientAddress !== undefined && !flags.server && !flags.serverAddress;
  const needed: readonly (keyof ConfigFlags)[] = [
    'vip',
    'client',
    ...(isOneArm ? [] : (['server', 'serverAddress'] as const)),
    'node',
  ];
  return CONFIG_FLAGS.filter(({ name }) => needed.includes(name) && flags[name] === undefined).map(({ flag }) => flag);
}
