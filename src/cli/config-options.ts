/** `--config FILE` and the flags that stand for its fields. */
import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { CONFIG_FLAGS, type ConfigFlags } from '../control/config/flags.ts';
import { configFromFlags, loadConfig } from '../control/config/load.ts';
import type { Config } from '../control/config/normalise.ts';
import type { ConfigSource } from '../control/reload/reloader.ts';

export interface ConfigOptions extends ConfigFlags {
  readonly config?: string;
}

export function addConfigOptions(command: Command): Command {
  command.addOption(new Option('-c, --config <FILE>', 'YAML configuration; `keysteer schema` describes it'));
  return addConfigFlags(command);
}

/** The flags alone, for what reads no file. */
export function addConfigFlags(command: Command): Command {
  for (const { flag, argument, description, repeatable } of CONFIG_FLAGS) {
    const option = new Option(`${flag} <${argument}>`, description);
    if (repeatable) option.argParser((given: string, before: string[] | undefined) => [...(before ?? []), given]);
    command.addOption(option);
  }
  return command;
}

/** Where the configuration comes from. */
export function configSource({ config, ...flags }: ConfigOptions): ConfigSource {
  return config === undefined ? { flags } : { path: config, flags };
}

/** @throws ConfigError; or the file system's error */
export function readConfig(options: ConfigOptions): Config {
  const { config, ...flags } = options;
  return config === undefined ? configFromFlags(flags) : loadConfig(readFileSync(config, 'utf8'), config, flags);
}
