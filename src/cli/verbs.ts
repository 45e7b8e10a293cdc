/**
 * The memcached verbs as commands, from one table. `keysteer get KEY`, `keysteer set KEY VALUE`, …
 *
 * For people and pipes a value is written as it is; with --json each item is a JSON object on a line of its own.
 */
import { type Argument, type Command, createArgument, Option } from 'commander';
import type { Item } from '../client/replies.ts';
import type { StoreVerb } from '../client/requests.ts';
import * as requests from '../client/requests.ts';
import { UdpClient } from '../client/udp-client.ts';
import { printJson, UserError } from './output.ts';
import {
  addServerOptions,
  bigNumber,
  EXIT_MISS,
  EXIT_STATUS_HELP,
  type ServerOptions,
  wholeNumber,
  withExitStatus,
} from './server-options.ts';

interface VerbOptions extends ServerOptions {
  readonly ttl?: number;
  readonly flags?: number;
  readonly noreply?: boolean;
}

/** What a verb has to say. */
interface Said {
  /** Exit status 0, else 1. */
  readonly isDone: boolean;
  readonly text: string | Uint8Array;
  /** A line each. */
  readonly json: readonly object[];
}

interface Verb {
  readonly name: string;
  readonly description: string;
  readonly arguments: readonly Argument[];
  readonly options?: readonly Option[];
  // biome-ignore lint/suspicious/noExplicitAny: what `arguments` has parsed
  readonly run: (client: UdpClient, args: any, options: VerbOptions) => Promise<Said>;
}

const TTL_MAX = 0x7fffffff;
const KEY = createArgument('<key>', '1 to 250 bytes, no spaces');
const KEYS = createArgument('<key...>', 'one or more');
const VALUE = createArgument('<value>', '- reads it from standard input');
const SECONDS = createArgument('<seconds>', 'time to live; 0 is for ever').argParser(wholeNumber(-1, TTL_MAX));
const DELTA = createArgument('[delta]', 'how much').default(1n, '1').argParser(bigNumber);
const CAS = createArgument('<cas>', 'what `gets` printed').argParser(bigNumber);

const TTL_OPTION = new Option('--ttl <SECONDS>', 'time to live; 0 is for ever').argParser(wholeNumber(-1, TTL_MAX));
const FLAGS_OPTION = new Option('--flags <NUMBER>', '32 bits kept with the value').argParser(
  wholeNumber(0, 0xffffffff),
);
const NOREPLY_OPTION = new Option(
  '--noreply',
  'ask for no answer and await none: exit status 0 says only that it was sent',
);
const STORE_OPTIONS = [TTL_OPTION, FLAGS_OPTION, NOREPLY_OPTION];

const VERBS: readonly Verb[] = [
  {
    name: 'get',
    description: 'print the value of a key; of several keys a line each: key, tab, value',
    arguments: [KEYS],
    run: (client, [keys]) => items(client, keys, false),
  },
  {
    name: 'gets',
    description: 'likewise with the CAS id: key, tab, CAS id, tab, value',
    arguments: [KEYS],
    run: (client, [keys]) => items(client, keys, true),
  },
  storing('set', 'store a value', STORE_OPTIONS),
  storing('add', 'store a value where there is none', STORE_OPTIONS),
  storing('replace', 'store a value where there is one', STORE_OPTIONS),
  storing('append', 'add to the end of a value', [NOREPLY_OPTION]),
  storing('prepend', 'add to the beginning of a value', [NOREPLY_OPTION]),
  {
    name: 'cas',
    description: 'store a value if the item is still the one that `gets` printed',
    arguments: [KEY, VALUE, CAS],
    options: STORE_OPTIONS,
    run: async (client, [key, text, cas], { noreply, ...fields }) => {
      const value = await valueFrom(text);
      if (noreply) return posted(client, key, requests.store('cas', key, value, { ...fields, cas, noreply }));
      const outcome = await client.cas(key, value, cas, fields);
      return plain(outcome === 'stored', key, outcome);
    },
  },
  {
    name: 'delete',
    description: 'remove a key',
    arguments: [KEY],
    options: [NOREPLY_OPTION],
    run: async (client, [key], { noreply }) => {
      if (noreply) return posted(client, key, requests.removal(key, true));
      return found(await client.delete(key), key, 'deleted');
    },
  },
  arithmetic('incr', 'add to a number; it wraps at 2^64'),
  arithmetic('decr', 'subtract from a number; it stops at 0'),
  {
    name: 'touch',
    description: 'set the time to live',
    arguments: [KEY, SECONDS],
    options: [NOREPLY_OPTION],
    run: async (client, [key, ttl], { noreply }) => {
      if (noreply) return posted(client, key, requests.touch(key, ttl, true));
      return found(await client.touch(key, ttl), key, 'touched');
    },
  },
  {
    name: 'gat',
    description: 'get and touch: set the time to live and print the value',
    arguments: [SECONDS, KEYS],
    run: async (client, [ttl, keys]: [number, string[]]) => {
      const read = await Promise.all(keys.map(key => client.gat(key, ttl)));
      return listed(keys, new Map(read.flatMap(item => (item ? [[item.key, item]] : []))));
    },
  },
  {
    name: 'meta',
    description: 'send a meta command as it stands: "mg KEY v t", "ms KEY 5 T60" VALUE, …; no flag q',
    arguments: [
      createArgument('<line>', 'mg, ms, md, ma, mn or me, in one argument'),
      createArgument('[value]', 'of ms; - reads it from standard input'),
    ],
    run: async (client, [line, text]) => {
      const { code, flags, value } = await client.meta(line, text === undefined ? undefined : await valueFrom(text));
      const head = [code, ...flags].join(' ');
      const body = value === undefined ? `${head}\n` : Buffer.concat([Buffer.from(`${head}\n`), value, NEWLINE]);
      return { isDone: !META_MISSES.has(code), text: body, json: [{ code, flags, ...(value && encoded(value)) }] };
    },
  },
  {
    name: 'stats',
    description: "print the server's figures, a line each",
    arguments: [createArgument('[argument...]', 'as memcached knows them: items, slabs, settings, …')],
    run: async (client, [words]: [string[]]) => {
      const stats = await client.stats(words.length === 0 ? undefined : words.join(' '));
      const lines = [...stats].map(([name, value]) => `${name} ${value}\n`);
      return { isDone: true, text: lines.join(''), json: [Object.fromEntries(stats)] };
    },
  },
  {
    name: 'server-version',
    description: "print the server's version (`keysteer --version` is our own)",
    arguments: [],
    run: async client => {
      const version = await client.version();
      return { isDone: true, text: `${version}\n`, json: [{ version }] };
    },
  },
];

const NEWLINE = Buffer.from('\n');
const TAB = Buffer.from('\t');
const META_MISSES: ReadonlySet<string> = new Set(['EN', 'NF', 'NS', 'EX']);

export function registerVerbs(program: Command): void {
  for (const verb of VERBS) {
    const command = program.command(verb.name).description(verb.description).helpGroup('A memcached client over UDP:');
    for (const argument of verb.arguments) command.addArgument(argument);
    for (const option of verb.options ?? []) command.addOption(option);
    addServerOptions(command).addHelpText('after', EXIT_STATUS_HELP);
    command.action((...given: unknown[]) => runVerb(verb, given.slice(0, -2), given.at(-2) as VerbOptions));
  }
}

function runVerb(verb: Verb, args: unknown[], options: VerbOptions): Promise<void> {
  return withExitStatus(async () => {
    const client = await UdpClient.connect(options.server, { timeoutMs: options.timeout });
    try {
      const said = await verb.run(client, args, options);
      if (options.json) for (const each of said.json) printJson(each);
      else process.stdout.write(said.text);
      return said.isDone ? 0 : EXIT_MISS;
    } finally {
      await client.close();
    }
  });
}

function storing(name: Exclude<StoreVerb, 'cas'>, description: string, options: readonly Option[]): Verb {
  return {
    ...{ name, description, arguments: [KEY, VALUE], options },
    run: async (client, [key, text], { noreply, ...fields }) => {
      const value = await valueFrom(text);
      if (noreply) return posted(client, key, requests.store(name, key, value, { ...fields, noreply }));
      const isStored = await client.store(name, key, value, fields);
      return plain(isStored, key, isStored ? 'stored' : 'not stored');
    },
  };
}

function arithmetic(name: 'incr' | 'decr', description: string): Verb {
  return {
    ...{ name, description, arguments: [KEY, DELTA], options: [NOREPLY_OPTION] },
    run: async (client, [key, delta], { noreply }) => {
      if (noreply) return posted(client, key, requests.arithmetic(name, key, delta, true));
      const value = await client[name](key, delta);
      if (value === undefined) return found(false, key, '');
      return { isDone: true, text: `${value}\n`, json: [{ key, outcome: 'stored', value: `${value}` }] };
    },
  };
}

async function posted(client: UdpClient, key: string, payload: Uint8Array): Promise<Said> {
  await client.send(payload);
  return { isDone: true, text: '', json: [{ key, outcome: 'sent' }] };
}

function found(isFound: boolean, key: string, outcome: string): Said {
  return plain(isFound, key, isFound ? outcome : 'not found');
}

function plain(isDone: boolean, key: string, outcome: string): Said {
  return { isDone, text: `${outcome}\n`, json: [{ key, outcome }] };
}

async function items(client: UdpClient, keys: readonly string[], cas: boolean): Promise<Said> {
  if (keys.length > 1) return listed(keys, await client.getMany(keys, { cas }), cas);
  const [key] = keys;
  const item = await (cas ? client.gets(key) : client.get(key));
  return listed(keys, new Map(item ? [[key, item]] : []), cas);
}

/** In the order that was asked for; a miss is no line of text, and an object with `found: false`. */
function listed(keys: readonly string[], read: ReadonlyMap<string, Item>, cas = false): Said {
  const hits = keys.flatMap(key => read.get(key) ?? []);
  const isBare = keys.length === 1 && !cas;
  const text = isBare ? hits.flatMap(({ value }) => bare(value)) : hits.flatMap(item => lineOf(item, cas));
  const json = keys.map(key => {
    const item = read.get(key);
    if (item === undefined) return { key, found: false };
    const id = item.cas === undefined ? {} : { cas: `${item.cas}` };
    return { key, found: true, flags: item.flags, ...id, ...encoded(item.value) };
  });
  return { isDone: hits.length === keys.length, text: Buffer.concat(text), json };
}

/** A file or a pipe gets the value and nothing else. */
function bare(value: Buffer): Buffer[] {
  return process.stdout.isTTY && value.at(-1) !== 0x0a ? [value, NEWLINE] : [value];
}

function lineOf({ key, cas: id, value }: Item, cas: boolean): Buffer[] {
  return [Buffer.from(key), TAB, ...(cas ? [Buffer.from(`${id}`), TAB] : []), value, NEWLINE];
}

/** Bytes that are no text as base64. */
function encoded(value: Buffer): { value: string; encoding: 'utf8' | 'base64' } {
  const text = value.toString('utf8');
  if (Buffer.from(text).equals(value)) return { value: text, encoding: 'utf8' };
  return { value: value.toString('base64'), encoding: 'base64' };
}

async function valueFrom(text: string): Promise<string | Uint8Array> {
  if (text !== '-') return text;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > requests.REQUEST_BYTES_MAX) {
      throw new UserError(
        `standard input has more than ${requests.REQUEST_BYTES_MAX} bytes; a request is one datagram`,
      );
    }
  }
  return Buffer.concat(chunks);
}
