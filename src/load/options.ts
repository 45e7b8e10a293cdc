/** What a run is told, checked: every error names the field and the rule. */
import { z } from 'zod';
import { parseIpv4 } from '../wire/ipv4-text.ts';
import { Ledger, REPLY_BYTES_MAX } from './dialect.ts';
import { createDialect, DIALECT_NAMES } from './dialects.ts';
import { KEY_BYTES_MAX, KEY_BYTES_MIN, KEY_COUNT_MAX, KeyNames } from './keys.ts';
import { type Endpoint, REQUEST_OFFSET } from './request-frames.ts';
import { SINK_WRITER, VALUE_BYTES_MIN, ValueRule } from './values.ts';

/** Slots for half a second of 2 M requests/s: one lost request does not stop the rest. */
const SLOTS_DEFAULT = 1 << 20;
const ROWS_MAX = 65536;
const FRAME_BYTES_MAX = 1514;
const PORTS_END = 65536;

const address = z.string().refine(isAddress, 'must be an IPv4 address like 10.77.0.11');
const endpoint = z.string().refine(isEndpoint, 'must be an IPv4 address and a port like 10.77.0.100:11211');
const valueBytes = z.int().min(VALUE_BYTES_MIN).max(REPLY_BYTES_MAX);

const fields = z.strictObject({
  /** Of this network namespace; it must carry no address of its own. */
  interface: z.string().min(1),
  /** Addresses to send from. */
  clients: z.array(address).min(1).max(64),
  /** Where to send. With several, each key belongs to one of them by Keysteer's ring, as with a client library. */
  targets: z.array(endpoint).min(1).max(1024),
  /** How keys are placed on several targets; default: as Keysteer does by default. */
  ring: z
    .strictObject({
      algorithm: z.enum(['ketama', 'ketama-unweighted', 'maglev']),
      hash: z.enum(['murmur3', 'md5', 'one_at_a_time']),
    })
    .optional(),
  /** Asked for by ARP instead of the targets, when they are on another network. */
  gateway: address.optional(),
  protocol: z.enum(DIALECT_NAMES).default('classic'),
  keyCount: z.int().min(1).max(KEY_COUNT_MAX).default(100_000),
  keyBytes: z.int().min(KEY_BYTES_MIN).max(KEY_BYTES_MAX).default(16),
  /** Exponent of the keys' popularity; 0: all equally popular. */
  zipf: z.number().min(0).max(5).default(0),
  /** Keys that become hot at known instants while it measures: surges.ts. */
  surges: z
    .strictObject({
      everyMs: z.number().positive().max(3_600_000),
      share: z.number().positive().max(1),
      ttl: z.int().min(1).max(255).default(64),
      skip: z.int().min(0).default(0),
    })
    .optional(),
  /** Share of GETs; the rest are SETs. */
  getRatio: z.number().min(0).max(1).default(0.9),
  /** Bytes of a value, or the least and the most. */
  valueBytes: z.union([valueBytes, z.tuple([valueBytes, valueBytes])]).default(64),
  /** Closed loop: requests outstanding. Unless `rate` is given. */
  window: z.int().min(1).max(65_536).default(64),
  /** Open loop: requests a second. */
  rate: z.number().positive().max(20e6).optional(),
  /** Gaps between requests in open loop. */
  spacing: z.enum(['poisson', 'uniform']).default('poisson'),
  /**
   * Write every key (or `prefillCount` of them from `prefillFirst` on) before anything else. Without it the nodes may
   * hold values of earlier runs: these are checked in full, except that their versions are not known to be written.
   */
  prefill: z.boolean().default(true),
  prefillFirst: z.int().min(0).default(0),
  prefillCount: z.int().min(0).optional(),
  prefillWindow: z.int().min(1).max(4096).default(64),
  warmupSeconds: z.number().min(0).max(3600).default(1),
  /** Measured time; 0: prefill only. */
  seconds: z.number().min(0).max(86_400).default(5),
  /** Unix time at which warm-up begins, ms: several generators given the same one begin together. */
  startAtMs: z.number().optional(),
  /** A request without a reply for so long is lost. */
  timeoutMs: z.number().positive().max(60_000).default(500),
  /** How long the targets' ARP may take; also how long prefill may go without a reply. */
  patienceMs: z.number().positive().max(600_000).default(5000),
  /** Source ports of each client address, from `firstPort` on. */
  flowsPerClient: z.int().min(1).max(16_384).default(256),
  firstPort: z.int().min(1).max(65_535).default(20_000),
  /** Requests that may be outstanding in open loop; rounded to a power of two for each flow. */
  slots: z
    .int()
    .min(1)
    .max(1 << 24)
    .default(SLOTS_DEFAULT),
  checksum: z.enum(['partial', 'full']).default('partial'),
  seed: z.int().default(1),
  /** Marks the values of this generator among those of others. */
  writer: z
    .int()
    .min(0)
    .max(SINK_WRITER - 1)
    .default(0),
  ringFrames: z.int().min(64).max(65_536).default(2048),
  /** Pin the process to this CPU. */
  cpu: z.int().min(0).optional(),
});

export const loadOptionsSchema = fields.superRefine((options, context) => {
  for (const [path, message] of contradictions(options)) context.addIssue({ code: 'custom', path: [path], message });
});

/** As written by a user: only `interface`, `clients` and `targets` must be given. */
export type LoadOptionsInput = z.input<typeof fields>;
export type LoadOptions = z.output<typeof fields>;

export class LoadOptionsError extends Error {
  override readonly name = 'LoadOptionsError';
}

/** @throws LoadOptionsError */
export function parseLoadOptions(input: unknown): LoadOptions {
  const parsed = loadOptionsSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'options'}: ${message}`);
  throw new LoadOptionsError(`load: ${issues.join('; ')}`);
}

export function valueRange(options: Pick<LoadOptions, 'valueBytes'>): [min: number, max: number] {
  return typeof options.valueBytes === 'number' ? [options.valueBytes, options.valueBytes] : options.valueBytes;
}

/** Surges that last as long as they should. */
export function surgeCount({ surges, seconds }: Pick<LoadOptions, 'surges' | 'seconds'>): number {
  return surges === undefined ? 0 : Math.floor((seconds * 1000) / surges.everyMs);
}

/** Slots of a flow: a power of two. */
export function rowsPerFlow({ slots, clients, flowsPerClient }: LoadOptions): number {
  const rows = 2 ** Math.floor(Math.log2(slots / (clients.length * flowsPerClient)));
  return Math.min(Math.max(rows, 1), ROWS_MAX);
}

export function parseEndpoint(text: string): Endpoint {
  const colon = text.lastIndexOf(':');
  return { address: parseIpv4(text.slice(0, colon)), port: Number(text.slice(colon + 1)) };
}

function contradictions(options: LoadOptions): [path: string, message: string][] {
  const [min, max] = valueRange(options);
  const { prefillFirst, prefillCount = 0, keyCount, firstPort, flowsPerClient } = options;
  const found: [string, string][] = [];
  if (min > max) found.push(['valueBytes', `the least, ${min}, is more than the most, ${max}`]);
  const room = valueBytesRoom(options);
  if (max > room) found.push(['valueBytes', `${max} does not fit one datagram beside the key; at most ${room}`]);
  if (prefillFirst + prefillCount > keyCount) found.push(['prefillCount', `there are only ${keyCount} keys`]);
  if (surgeCount(options) + (options.surges?.skip ?? 0) > keyCount)
    found.push(['surges', `each takes a key, and there are only ${keyCount}`]);
  if (firstPort + flowsPerClient > PORTS_END) found.push(['flowsPerClient', 'the source ports go beyond 65535']);
  if (new Set(options.clients).size < options.clients.length) found.push(['clients', 'an address occurs twice']);
  return found;
}

/** The longest value whose SET fits a frame and whose reply fits one datagram. */
function valueBytesRoom({ protocol, keyBytes }: LoadOptions): number {
  const parts = { names: new KeyNames(keyBytes), values: new ValueRule(0, 0), ledger: new Ledger(0, 0, true) };
  const dialect = createDialect(protocol, parts);
  const overhead = (bytes: (valueBytes: number) => number) => bytes(1000) - 1000;
  const reply = REPLY_BYTES_MAX - overhead(n => dialect.hitBytes(n));
  return Math.min(reply, FRAME_BYTES_MAX - REQUEST_OFFSET - overhead(n => dialect.setBytes(n)));
}

function isAddress(text: string): boolean {
  try {
    parseIpv4(text);
    return true;
  } catch {
    return false;
  }
}

function isEndpoint(text: string): boolean {
  const [host = '', port = '', ...rest] = text.split(':');
  return (
    rest.length === 0 && isAddress(host) && /^[0-9]{1,5}$/.test(port) && Number(port) > 0 && Number(port) < PORTS_END
  );
}
