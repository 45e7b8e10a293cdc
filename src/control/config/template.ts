/**
 * A configuration file to start from: every field of the schema with its description, those that have a default or are
 * optional commented out.
 *
 * A comment is `# ` and text; a field that is left at its default is `#` and the field without a space between, so that
 * taking the `#` away (of the mapping it is in, too) puts it in force.
 */

import { stringify } from 'yaml';
import { z } from 'zod';
import { type ConfigFlags, overlay } from './flags.ts';
import { configFromFlags } from './load.ts';
import { formatPath, isMapping, type Path } from './path.ts';
import { fieldAt, fieldNamesAt } from './schema.ts';

/** Columns of a comment, its indentation included. */
const COLUMNS = 100;

/** What stands where the user has said nothing and the schema demands something. */
const EXAMPLE: ConfigFlags = { vip: '10.77.0.100:11211', client: 'eth0' };
const EXAMPLE_NODES: ConfigFlags = { node: ['mc1=10.77.1.11:11211', 'mc2=10.77.1.12:11211'] };
const EXAMPLE_SERVER: ConfigFlags = { server: 'eth1', serverAddress: '10.77.1.1/24' };

/** What stands in fields that are commented out and have no default. */
const SAMPLES: Readonly<Record<string, unknown>> = {
  'ports.client.address': '10.77.0.1/24',
  'ports.client.gateway': '10.77.0.254',
  'ports.client.vlan': 100,
  'ports.client.tap.owner': 1000,
  'ports.server.interface': 'eth1',
  'ports.server.address': '10.77.1.1/24',
  'ports.server.gateway': '10.77.1.254',
  'ports.server.vlan': 101,
  'ports.server.tap.owner': 1000,
  'nodes[0].hash_name': 'cache1.example',
  pin: [0],
  'admin.listen': '/run/keysteer/admin.sock',
};

const HEAD = `# Configuration of Keysteer: keysteer run --config FILE
#
# Lines that begin with # and a space are comments. Lines that begin with # alone are settings at their
# default, or examples of ones that may be left out: take away the #, and that of the mapping they are in.
# After a change: keysteer doctor --config FILE says what is amiss, keysteer reload puts it in force.
`;

/**
 * The text of a file that says the same as `flags`, with examples for what they leave open and must be said.
 * @throws ConfigError where the flags break a rule
 */
export function configTemplate(flags: ConfigFlags): string {
  const complete = { ...EXAMPLE, ...sideExample(flags), ...(flags.node ? {} : EXAMPLE_NODES), ...flags };
  configFromFlags(complete);
  const given = overlay({ ports: { client: {} } }, complete);
  return `${HEAD}${fieldNamesAt([])
    .map(name => `\n${fieldText([name], given, 0)}`)
    .join('')}`;
}

/** Two-arm, unless the client side has the address that nodes are asked from. */
function sideExample({ clientAddress, server, serverAddress }: ConfigFlags): ConfigFlags {
  const isOneArm = clientAddress !== undefined && server === undefined && serverAddress === undefined;
  return isOneArm ? {} : EXAMPLE_SERVER;
}

function fieldText(path: Path, given: unknown, depth: number): string {
  return `${commentText(path, depth)}${settingText(path, given, depth)}`;
}

function commentText(path: Path, depth: number): string {
  const field = fieldAt(path);
  const description = (field && z.globalRegistry.get(field)?.description) ?? '';
  const indent = `${' '.repeat(depth)}# `;
  return description === ''
    ? ''
    : wrapped(description, COLUMNS - indent.length)
        .map(line => `${indent}${line}\n`)
        .join('');
}

function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

function settingText(path: Path, given: unknown, depth: number): string {
  const value = valueAt(path, given);
  const mark = `${' '.repeat(depth)}${value === undefined ? '#' : ''}${String(path.at(-1))}:`;
  if (fieldNamesAt([...path, 0]).length > 0) return `${mark}\n${listText(path, given, depth + 2)}`;
  const names = fieldNamesAt(path);
  if (names.length === 0) return `${mark} ${inline(value ?? defaultOf(path) ?? SAMPLES[formatPath(path)])}\n`;
  if (value !== undefined && !isMapping(value)) return `${mark} ${inline(value)}\n`;
  return `${mark}\n${names.map(name => fieldText([...path, name], given, depth + 2)).join('')}`;
}

/** The first item with everything that can be said of it, the others with what was said. */
function listText(path: Path, given: unknown, depth: number): string {
  const items = valueAt(path, given) as readonly unknown[];
  const [first, ...others] = fieldNamesAt([...path, 0]);
  const indent = ' '.repeat(depth);
  const head = `${commentText([...path, 0, first!], depth)}${indent}- ${settingText([...path, 0, first!], given, 0)}`;
  const rest = others.map(name => fieldText([...path, 0, name], given, depth + 2));
  return `${head}${rest.join('')}${items
    .slice(1)
    .map(item => `${indent}- ${inline(item)}\n`)
    .join('')}`;
}

function valueAt(path: Path, given: unknown): unknown {
  return path.reduce<unknown>((value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part], given);
}

function defaultOf(path: Path): unknown {
  const field = fieldAt(path);
  return field instanceof z.ZodDefault ? field.def.defaultValue : undefined;
}

/** A value on one line. */
function inline(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();
}
