/**
 * The configuration's fields as command line flags, for the quick case. A flag's value takes the place of the file's;
 * `--node` flags together take the place of the file's list of nodes.
 */

import { z } from 'zod';
import { isMapping, type Path, startsWith } from './path.ts';
import { fieldAt } from './schema.ts';

/** Values as the command line has them: text, or what it made of the text. */
export interface ConfigFlags {
  readonly vip?: string;
  readonly mode?: string;
  readonly client?: string;
  readonly clientAddress?: string;
  readonly clientMac?: string;
  readonly clientGateway?: string;
  readonly server?: string;
  readonly serverAddress?: string;
  readonly serverMac?: string;
  readonly serverGateway?: string;
  /** NAME=ADDRESS[:PORT][*WEIGHT] each. */
  readonly node?: readonly string[];
  readonly algorithm?: string;
  readonly hash?: string;
  readonly lanes?: string | number;
  /** CPU numbers with commas between. */
  readonly pin?: string;
  readonly warmUpMs?: string | number;
  /** `auto` or `off`. */
  readonly segmentationOffload?: string;
  readonly slots?: string | number;
  readonly sourcePortBase?: string | number;
  readonly replyLifetimeMs?: string | number;
  readonly spinUs?: string | number;
  /** `on` or `off`. */
  readonly hot?: string;
  /** `off`, or where to listen. */
  readonly admin?: string;
}

export interface ConfigFlag {
  /** Key in ConfigFlags, which is what commander makes of `flag`. */
  readonly name: keyof ConfigFlags;
  /** `--server-address` */
  readonly flag: string;
  /** What follows it on the command line. */
  readonly argument: string;
  readonly path: Path;
  readonly repeatable: boolean;
  readonly description: string;
  /** Text → value of the field. What cannot be read stays as it is, to be refused by the schema. */
  readonly read: (given: unknown) => unknown;
}

const NODE_ARGUMENT = 'NAME=ADDRESS[:PORT][*WEIGHT]';
const NODE = /^([^=]+)=([^*]+)(?:\*(.*))?$/s;

/** Every flag there is, for the command line to register. */
export const CONFIG_FLAGS: readonly ConfigFlag[] = [
  flag('vip', 'ADDRESS[:PORT]', ['vip']),
  flag('mode', 'MODE', ['mode']),
  flag('client', 'INTERFACE', ['ports', 'client', 'interface']),
  flag('clientAddress', 'CIDR', ['ports', 'client', 'address']),
  flag('clientMac', 'MAC', ['ports', 'client', 'mac']),
  flag('clientGateway', 'ADDRESS', ['ports', 'client', 'gateway']),
  flag('server', 'INTERFACE', ['ports', 'server', 'interface']),
  flag('serverAddress', 'CIDR', ['ports', 'server', 'address']),
  flag('serverMac', 'MAC', ['ports', 'server', 'mac']),
  flag('serverGateway', 'ADDRESS', ['ports', 'server', 'gateway']),
  flag('node', NODE_ARGUMENT, ['nodes'], readNodes),
  flag('algorithm', 'NAME', ['steering', 'algorithm']),
  flag('hash', 'NAME', ['steering', 'hash']),
  flag('lanes', 'N', ['lanes'], readNumber),
  flag('pin', 'CPU,…', ['pin'], readNumbers),
  flag('warmUpMs', 'MS', ['warm_up_ms'], readNumber),
  flag('segmentationOffload', 'auto|off', ['segmentation_offload']),
  flag('slots', 'N', ['slots', 'count'], readNumber),
  flag('sourcePortBase', 'PORT', ['slots', 'source_port_base'], readNumber),
  flag('replyLifetimeMs', 'MS', ['slots', 'reply_lifetime_ms'], readNumber),
  flag('spinUs', 'US', ['idle', 'spin_us'], readNumber),
  flag('hot', 'on|off', ['hot', 'enabled'], readSwitch),
  flag('admin', 'off|PATH|HOST:PORT', ['admin'], given => (given === 'off' ? given : { listen: given })),
];

function flag(
  name: keyof ConfigFlags,
  argument: string,
  path: Path,
  read: ConfigFlag['read'] = given => given,
): ConfigFlag {
  const words = name.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
  return { name, flag: `--${words}`, argument, path, repeatable: name === 'node', description: describe(path), read };
}

function describe(path: Path): string {
  const field = fieldAt(path);
  return (field && z.globalRegistry.get(field)?.description) ?? '';
}

/** `raw` with the flags' values in place of its own. What is no mapping stays, to be refused by the schema. */
export function overlay(raw: unknown, flags: ConfigFlags): unknown {
  return givenFlags(flags).reduce((value, { path, name, read }) => setAt(value, path, read(flags[name])), raw);
}

/** The flag that gave the field at `path` (or what it is in). */
export function flagThatGave(path: Path, flags: ConfigFlags): ConfigFlag | undefined {
  return givenFlags(flags).find(given => startsWith(path, given.path));
}

/** The flag that could give the field at `path`, or something in it. */
export function flagFor(path: Path): ConfigFlag | undefined {
  return CONFIG_FLAGS.find(candidate => startsWith(candidate.path, path));
}

/** How the argument of a flag reads, where the value alone would not say. */
export function argumentRule({ name, path }: ConfigFlag, problemAt: Path): string | undefined {
  if (name === 'hot') return 'must be on or off';
  const isWholeNode = name === 'node' && problemAt.length === path.length + 1;
  return isWholeNode ? `must be ${NODE_ARGUMENT}, as mc1=10.77.1.11:11211` : undefined;
}

function givenFlags(flags: ConfigFlags): ConfigFlag[] {
  return CONFIG_FLAGS.filter(({ name }) => flags[name] !== undefined);
}

function setAt(value: unknown, path: Path, leaf: unknown): unknown {
  const [part, ...rest] = path;
  if (part === undefined) return leaf;
  const mapping = value ?? {};
  return isMapping(mapping) ? { ...mapping, [part]: setAt(mapping[String(part)], rest, leaf) } : value;
}

function readNumber(given: unknown): unknown {
  return typeof given === 'string' && /^[0-9]{1,15}$/.test(given) ? Number(given) : given;
}

function readSwitch(given: unknown): unknown {
  if (given === 'on') return true;
  return given === 'off' ? false : given;
}

function readNumbers(given: unknown): unknown {
  return typeof given === 'string' ? given.split(',').map(readNumber) : given;
}

function readNodes(given: unknown): unknown {
  return Array.isArray(given) ? given.map(readNode) : given;
}

function readNode(given: unknown): unknown {
  const parts = typeof given === 'string' ? NODE.exec(given) : null;
  if (!parts) return given;
  const [, name, address, weight] = parts;
  return weight === undefined ? { name, address } : { name, address, weight: readNumber(weight) };
}
