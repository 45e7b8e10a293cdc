import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError } from '../../src/control/config/error.ts';
import type { ConfigFlags } from '../../src/control/config/flags.ts';
import { configFromFlags, loadConfig } from '../../src/control/config/load.ts';
import type { Path } from '../../src/control/config/path.ts';
import { configSchema, fieldAt, fieldNamesAt } from '../../src/control/config/schema.ts';
import { configTemplate } from '../../src/control/config/template.ts';
import { readYaml } from '../../src/control/config/yaml-text.ts';

const TWO_ARM: ConfigFlags = {
  vip: '10.1.0.100:11300',
  client: 'cl0',
  server: 'sv0',
  serverAddress: '10.1.1.1/24',
  node: ['mc1=10.1.1.11:11211', 'mc2=10.1.1.12:11212*3', '7=10.1.1.13'],
};
const { server: _, serverAddress: __, ...rest } = TWO_ARM;
const ONE_ARM: ConfigFlags = { ...rest, clientAddress: '10.1.1.1/24' };
const ROWS: readonly (readonly [string, ConfigFlags])[] = [
  ['nothing', {}],
  ['two-arm', TWO_ARM],
  ['one-arm', ONE_ARM],
  ['values of every kind', { ...TWO_ARM, lanes: '2', pin: '0,1', hash: 'md5', spinUs: '0', clientMac: 'interface' }],
  ['admin off', { ...TWO_ARM, admin: 'off' }],
  ['admin on a path', { ...TWO_ARM, admin: '/run/ks.sock' }],
];

/** Every field of the schema, lists by their first item. */
function paths(at: Path = []): Path[] {
  const names = fieldNamesAt(at);
  const inItems = fieldNamesAt([...at, 0]).length > 0 ? paths([...at, 0]) : [];
  return [...names.flatMap(name => [[...at, name], ...paths([...at, name])]), ...inItems];
}

const withoutComments = (text: string) => text.replaceAll(/^ *# ?.*\n/gm, '');
/** Text of the comments alone, lines joined. */
const comments = (text: string) => [...text.matchAll(/^ *# (.*)$/gm)].map(([, line]) => line).join(' ');

describe('configTemplate', () => {
  it.each(ROWS)('of %s: loads, and says what the flags say', (what, flags) => {
    const config = loadConfig(configTemplate(flags), 'f.yaml');
    if (what !== 'nothing') expect(config).toEqual(configFromFlags(flags));
  });

  it('its comments are the descriptions of the schema, each field with its own', () => {
    const text = comments(configTemplate({}));
    const described = paths().map(path => z.globalRegistry.get(fieldAt(path)!)?.description ?? '');
    expect(described.filter(description => description !== '').length).toBeGreaterThan(50);
    expect(described.filter(description => !text.includes(description))).toEqual([]);
  });

  it('names every field, in force or commented out', () => {
    const text = configTemplate({});
    const missing = paths()
      .map(path => String(path.at(-1)))
      .filter(name => !/^[0-9]+$/.test(name) && !new RegExp(`^ *(- )?#?${name}:`, 'm').test(text));
    expect(missing).toEqual([]);
  });

  it('what is commented out is right: with every # of a setting taken away each field passes the schema', () => {
    const uncommented = configTemplate({}).replaceAll(/^( *)#(?=\S)/gm, '$1');
    const yaml = readYaml(uncommented);
    expect(yaml.problems).toEqual([]);
    expect(configSchema.safeParse(yaml.value).error?.issues ?? []).toEqual([]);
  });

  it('commented out means the default: the same configuration without any comment', () => {
    for (const [, flags] of ROWS) {
      const text = configTemplate(flags);
      expect(readYaml(withoutComments(text)).value).toEqual(readYaml(text).value);
      expect(text).not.toContain('undefined');
    }
  });

  it('shows the default of what is commented out', () => {
    const uncommented = readYaml(configTemplate(TWO_ARM).replaceAll(/^( *)#(?=\S)/gm, '$1'));
    const { slots, health, lanes } = configFromFlags(TWO_ARM).fields;
    expect(uncommented.value).toMatchObject({ slots, health, lanes });
  });

  it('refuses flags that break a rule, by their names', () => {
    const broken = () => configTemplate({ ...TWO_ARM, node: ['mc1=10.9.9.9'] });
    expect(broken).toThrow(ConfigError);
    expect(broken).toThrow(/--node.*must be a host in the subnet/s);
  });

  it('keeps lines to 120 columns', () => {
    expect(
      configTemplate({})
        .split('\n')
        .filter(line => line.length > 120),
    ).toEqual([]);
  });
});
