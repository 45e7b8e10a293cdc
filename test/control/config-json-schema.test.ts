import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configJsonSchema } from '../../src/control/config/json-schema.ts';

/** The words of JSON Schema that ours uses. */
interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean;
  items?: Schema;
  anyOf?: Schema[];
  minItems?: number;
  maxItems?: number;
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  default?: unknown;
  description?: string;
}

const KNOWN_WORDS = new Set([
  ...['type', 'properties', 'required', 'additionalProperties', 'items', 'minItems', 'maxItems', 'enum', 'const'],
  ...['pattern', 'maxLength', 'minimum', 'maximum', 'default', 'description', '$schema', '$id', 'title'],
  'anyOf',
]);

/** Where `value` does not fit: a judge of our own, so that the schema is tried and not only looked at. */
function misfits(schema: Schema, value: unknown, at = ''): string[] {
  if (schema.anyOf) return leastMisfits(schema.anyOf, value, at);
  if (!fitsType(schema.type, value) || !fitsEnum(schema, value)) return [at];
  if (typeof value === 'string') return fitsText(schema, value) ? [] : [at];
  if (typeof value === 'number') {
    return value >= (schema.minimum ?? -Infinity) && value <= (schema.maximum ?? Infinity) ? [] : [at];
  }
  if (Array.isArray(value)) {
    const counted = value.length >= (schema.minItems ?? 0) && value.length <= (schema.maxItems ?? Infinity);
    return [...(counted ? [] : [at]), ...value.flatMap((item, n) => misfits(schema.items!, item, `${at}[${n}]`))];
  }
  return misfitsOfObject(schema, value as Record<string, unknown>, at);
}

/** Of a choice: of the one that fits, else of the one that explains most. */
function leastMisfits(choices: readonly Schema[], value: unknown, at: string): string[] {
  const all = choices.map(choice => misfits(choice, value, at));
  return all.find(found => found.length === 0) ?? all.reduce((a, b) => (b.join().length > a.join().length ? b : a));
}

function misfitsOfObject(schema: Schema, value: Record<string, unknown>, at: string): string[] {
  const { properties = {}, required = [], additionalProperties } = schema;
  const missing = required.filter(key => !Object.hasOwn(value, key));
  const present = Object.entries(value).flatMap(([key, child]) => {
    const path = `${at}.${key}`;
    if (Object.hasOwn(properties, key)) return misfits(properties[key]!, child, path);
    return additionalProperties === false ? [path] : [];
  });
  return [...missing.map(key => `${at}.${key}`), ...present];
}

function fitsType(type: string | undefined, value: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return type === undefined || typeof value === type;
}

function fitsEnum(schema: Schema, value: unknown): boolean {
  return (schema.enum?.includes(value) ?? true) && (schema.const === undefined || schema.const === value);
}

function fitsText({ pattern, maxLength }: Schema, value: string): boolean {
  // JSON Schema's patterns are Unicode regular expressions.
  return (pattern === undefined || new RegExp(pattern, 'u').test(value)) && value.length <= (maxLength ?? Infinity);
}

function everySchema(schema: Schema, at = ''): [string, Schema][] {
  const below = Object.entries(schema.properties ?? {}).flatMap(([key, child]) => everySchema(child, `${at}.${key}`));
  const items = schema.items ? everySchema(schema.items, `${at}[]`) : [];
  const choices = (schema.anyOf ?? []).flatMap(choice => everySchema(choice, at).slice(1));
  return [[at, schema], ...below, ...items, ...choices];
}

const SCHEMA = configJsonSchema() as Schema & Record<string, unknown>;

const SAMPLE = `
vip: 10.77.0.100:11211
mode: nat
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
nodes:
  - { name: mc1, address: 10.77.1.11:11211 }
  - { name: mc2, address: 10.77.1.12:11211, weight: 2 }
`;

describe('JSON Schema', () => {
  it('is draft 7 with a name', () => {
    expect(SCHEMA.$schema).toBe('http://json-schema.org/draft-07/schema#');
    expect(SCHEMA.$id).toBe('urn:keysteer:config');
    expect(SCHEMA.title).toBe('Keysteer configuration');
    expect(JSON.parse(JSON.stringify(SCHEMA))).toEqual(SCHEMA);
  });

  it('uses only words that the judge here knows', () => {
    const words = everySchema(SCHEMA).flatMap(([, schema]) => Object.keys(schema));
    expect(words.filter(word => !KNOWN_WORDS.has(word))).toEqual([]);
  });

  it('describes every field', () => {
    const silent = everySchema(SCHEMA).filter(
      ([at, { description }]) => !description && at !== '' && !at.endsWith(']'),
    );
    expect(silent.map(([at]) => at)).toEqual([]);
  });

  it('shows the fields, which are needed, and their defaults', () => {
    expect(SCHEMA.required).toEqual(['vip', 'ports', 'nodes']);
    expect(SCHEMA.properties!.nodes!.items!.required).toEqual(['name', 'address']);
    const defaults = everySchema(SCHEMA).filter(([, schema]) => schema.default !== undefined && !schema.properties);
    expect(Object.fromEntries(defaults.map(([at, schema]) => [at, schema.default]))).toEqual({
      '.mode': 'nat',
      '.ports.client.mac': 'auto',
      '.ports.client.transport': 'af_packet',
      '.ports.client.tap.persistent': false,
      '.ports.client.ring.frames': 1024,
      '.ports.client.faults.drop': 0,
      '.ports.client.faults.duplicate': 0,
      '.ports.client.faults.reorder': 0,
      '.ports.client.faults.direction': 'both',
      '.ports.client.faults.seed': 1,
      '.ports.server.mac': 'auto',
      '.ports.server.transport': 'af_packet',
      '.ports.server.tap.persistent': false,
      '.ports.server.ring.frames': 1024,
      '.ports.server.faults.drop': 0,
      '.ports.server.faults.duplicate': 0,
      '.ports.server.faults.reorder': 0,
      '.ports.server.faults.direction': 'both',
      '.ports.server.faults.seed': 1,
      '.nodes[].weight': 1,
      '.steering.algorithm': 'ketama',
      '.steering.hash': 'murmur3',
      '.lanes': 1,
      '.warm_up_ms': 1000,
      '.segmentation_offload': 'auto',
      '.slots.count': 262144,
      '.slots.source_port_base': 40000,
      '.slots.reply_lifetime_ms': 2000,
      '.commands.flush_all': 'deny',
      '.commands.verbosity': 'deny',
      '.commands.me': 'deny',
      '.commands.deny': [],
      '.commands.broadcast_timeout_ms': 500,
      '.gatekeeper.enabled': true,
      '.gatekeeper.sources': 16384,
      '.gatekeeper.allow': [],
      '.gatekeeper.nodes_may_ask': false,
      '.gatekeeper.requests_per_second': 0,
      '.gatekeeper.response_bytes_per_second': 0,
      '.gatekeeper.response_ratio_max': 0,
      '.gatekeeper.newcomers_per_second': 0,
      '.multiget.keys_max': 100,
      '.multiget.gathers': 256,
      '.multiget.buffer_bytes': 16777216,
      '.multiget.timeout_ms': 200,
      '.fragments.datagrams': 64,
      '.fragments.per_source': 16,
      '.fragments.timeout_ms': 500,
      '.idle.spin_us': 200,
      '.idle.wait_ms': 10,
      '.neighbours.retry_ms': 200,
      '.neighbours.retries': 5,
      '.neighbours.lifetime_s': 60,
      '.neighbours.queue_frames': 128,
      '.hot.enabled': true,
      '.hot.cache': true,
      '.hot.keys': 65536,
      '.hot.l1_keys': 1024,
      '.hot.detector': 'self-adaptive',
      '.hot.detector_bytes': 1048576,
      '.hot.share': 0.000004,
      '.hot.error': 0.000002,
      '.hot.epoch_ms': 4000,
      '.hot.instant.window': 1024,
      '.hot.instant.count': 16,
      '.hot.imbalance': 1.1,
      '.hot.copies_max': 8,
      '.hot.write_share_max': 0.5,
      '.hot.lease_s': 10,
      '.hot.refresh_ms': 5000,
      '.hot.keep_s': 300,
      '.hot.ttl_guard_ms': 2000,
      '.hot.datagram_life_ms': 2000,
      '.hot.operations': 1024,
      '.hot.waiting': 1024,
      '.hot.pin': [],
      '.hot.ban': [],
      '.health.enabled': true,
      '.health.interval_ms': 500,
      '.health.timeout_ms': 20,
      '.health.fail_ms': 120,
      '.health.fail_after': 12,
      '.health.pass_after': 3,
      '.health.return_after_ms': 2000,
      '.health.return_after_max_ms': 60_000,
      '.health.damping_half_life_s': 60,
      '.health.flush_on_return': true,
      '.health.keep_share': 0.5,
      '.health.miss_after_ms': 0,
      '.admin': {},
    });
  });

  it('accepts the sample', () => {
    expect(misfits(SCHEMA, parse(SAMPLE))).toEqual([]);
  });

  it.each([
    ['10.77.0.100:11211', '10.77.0.300', '.vip'],
    ['vip: 10.77.0.100:11211\n', '', '.vip'],
    ['mode: nat', 'mode: tunnel', '.mode'],
    ['mode: nat', 'mod: nat', '.mod'],
    ['interface: cl0', '', '.ports.client.interface'],
    ['cl0', 'abcdefghijklmnop', '.ports.client.interface'],
    ['cl0', 'cl0, ring: { frames: 1000 }', '.ports.client.ring.frames'],
    ['10.77.1.1/24', '10.77.1.1', '.ports.server.address'],
    ['mc1', 'm c', '.nodes[0].name'],
    ['weight: 2', 'weight: 101', '.nodes[1].weight'],
    ['weight: 2', 'weight: 1.5', '.nodes[1].weight'],
    ['weight: 2', 'wieght: 2', '.nodes[1].wieght'],
    ['mode: nat', 'slots: { count: 3000 }', '.slots.count'],
    ['mode: nat', 'lanes: "1"', '.lanes'],
    ['mode: nat', 'pin: [x]', '.pin[0]'],
    ['mode: nat', 'admin: on', '.admin'],
    ['mode: nat', 'admin: { listen: 7 }', '.admin.listen'],
    ['mode: nat', 'admin: { port: 7 }', '.admin.port'],
  ])('%j → %j does not fit', (right, wrong, at) => {
    expect(misfits(SCHEMA, parse(SAMPLE.replace(right, wrong)))).toEqual([at]);
  });

  it.each(['admin: off', 'admin: {}', 'admin: { listen: /run/k.sock }'])('accepts %s', line => {
    expect(misfits(SCHEMA, parse(`${SAMPLE}${line}\n`))).toEqual([]);
  });

  it('needs a node', () => {
    expect(misfits(SCHEMA, { ...parse(SAMPLE), nodes: [] })).toEqual(['.nodes']);
  });
});
