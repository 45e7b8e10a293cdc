/** Text or flags → Config, or a ConfigError that names everything that is wrong. */

import { ConfigError, type ConfigProblem } from './error.ts';
import { argumentRule, type ConfigFlags, flagFor, flagThatGave, overlay } from './flags.ts';
import { type Finding, findingsOf, sentence } from './issues.ts';
import { type Config, normalise } from './normalise.ts';
import { formatPath } from './path.ts';
import { checkRules } from './rules.ts';
import { type ConfigFile, configSchema } from './schema.ts';
import { readYaml, type YamlText } from './yaml-text.ts';

const checkedSchema = configSchema.superRefine(checkRules, { when: () => true });

/**
 * Reads a configuration file's text.
 * @param fileName only for messages
 * @param flags take the place of the file's values
 * @param judge finds what else is wrong with a configuration that is sound by itself
 * @throws ConfigError with all problems, each with line and column (or its flag)
 */
export function loadConfig(
  text: string,
  fileName: string,
  flags: ConfigFlags = {},
  judge: (config: Config) => readonly Finding[] = () => [],
): Config {
  const yaml = readYaml(text);
  if (!yaml.wellFormed) throw new ConfigError(yaml.problems, fileName, text);
  const raw = overlay(yaml.value, flags);
  const { file, findings } = check(raw);
  const problems = [...yaml.problems, ...findings.map(finding => placed(finding, yaml, flags))];
  if (file === undefined || problems.length > 0) throw new ConfigError(problems, fileName, text);
  const config = normalise(file);
  const judged = judge(config).map(finding => placed(finding, yaml, flags));
  if (judged.length > 0) throw new ConfigError(judged, fileName, text);
  return config;
}

/**
 * The quick case, without a file.
 * @throws ConfigError with all problems, each with its flag
 */
export function configFromFlags(flags: ConfigFlags): Config {
  const { file, findings } = check(overlay({ ports: { client: {} } }, flags));
  if (file === undefined) throw new ConfigError(findings.map(finding => flagged(finding, flags)));
  return normalise(file);
}

function check(raw: unknown): { file: ConfigFile | undefined; findings: readonly Finding[] } {
  const { data, error } = checkedSchema.safeParse(raw);
  return { file: data, findings: error ? findingsOf(error.issues, raw) : [] };
}

function placed(finding: Finding, yaml: YamlText, flags: ConfigFlags): ConfigProblem {
  if (flagThatGave(finding.path, flags)) return flagged(finding, flags);
  const { path, part, value, message } = finding;
  return { path: formatPath(path), value, message, ...yaml.place(path, part) };
}

function flagged({ path, value, message }: Finding, flags: ConfigFlags): ConfigProblem {
  const flag = flagThatGave(path, flags);
  const rule = flag && argumentRule(flag, path);
  return {
    path: formatPath(path),
    value,
    message: rule ? sentence(path, value, rule) : message,
    flag: (flag ?? flagFor(path))?.flag,
  };
}
