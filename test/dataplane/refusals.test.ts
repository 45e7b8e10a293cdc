/** Requests that never reach a node, and what their client hears: the error line in the request's own frame, or nothing. */
import { describe } from 'vitest';
import { binaryRequest, binaryResponse, errorAnswer, MC1, partialFlags, request } from '../support/lane-bed.ts';
import { checkRows, type Row } from './rows.ts';

type Refusal = readonly [name: string, body: string, reason: string, answer: string];

/** The counter of the reason, and of the answer where there is one. */
function refused([name, body, reason, answer]: Refusal): Row {
  if (answer === '') return { name: `${name}: silence`, frame: request(body), counted: `refused_${reason}` };
  return {
    name,
    frame: request(body),
    counted: `refused_${reason} error_answers`,
    out: ['client', errorAnswer(answer)],
  };
}

const BAD_CHUNK = 'CLIENT_ERROR bad data chunk\r\n';
const BAD_LINE = 'CLIENT_ERROR bad command line format\r\n';
const MORE_THAN_ONE = 'CLIENT_ERROR more than one command in a datagram\r\n';
const DENIED = 'CLIENT_ERROR command denied\r\n';
const NOT_SUPPORTED = 0x83;

describe('a classic store whose declared length is not its real one', () => {
  const stores = ['set k 0 0', 'add k 0 0', 'replace k 0 0', 'append k 0 0', 'prepend k 0 0', 'cas k 0 0'];
  for (const head of stores) {
    const verb = head.split(' ')[0]!;
    const tail = verb === 'cas' ? ' 7' : '';
    const rows: Refusal[] = [
      ['one byte too many', `${head} 4${tail}\r\nabc\r\n`, 'length', BAD_CHUNK],
      ['one byte too few', `${head} 2${tail}\r\nabc\r\n`, 'length', BAD_CHUNK],
      ['a lie of 2 MB', `${head} 2000000${tail}\r\nabc\r\n`, 'length', BAD_CHUNK],
      ['more digits than any number has', `${head} ${'9'.repeat(30)}${tail}\r\nabc\r\n`, 'length', BAD_CHUNK],
      ['a value without its CRLF', `${head} 3${tail}\r\nabc`, 'length', BAD_CHUNK],
      ['no value at all', `${head} 3${tail}\r\n`, 'length', BAD_CHUNK],
      ['a second command behind it', `${head} 3${tail}\r\nabc\r\nget x\r\n`, 'trailing', MORE_THAN_ONE],
      ['one byte too many, noreply', `${head} 4${tail} noreply\r\nabc\r\n`, 'length', ''],
      ['one byte too few, noreply', `${head} 2${tail} noreply\r\nabc\r\n`, 'length', ''],
      ['negative', `${head} -1${tail}\r\nabc\r\n`, 'number', BAD_LINE],
    ];
    checkRows(rows.map(([name, ...rest]) => refused([`${verb}, ${name}`, ...rest])));
  }
});

describe('a meta store whose declared length is not its real one', () => {
  const rows: Refusal[] = [
    ['one byte too many', 'ms k 4\r\nabc\r\n', 'length', BAD_CHUNK],
    ['one byte too few', 'ms k 2\r\nabc\r\n', 'length', BAD_CHUNK],
    ['a lie of 2 MB', 'ms k 2000000 T0\r\nabc\r\n', 'length', BAD_CHUNK],
    ['q asks for silence about success, not about errors', 'ms k 4 q\r\nabc\r\n', 'length', BAD_CHUNK],
    ['append mode', 'ms k 4 MA\r\nabc\r\n', 'length', BAD_CHUNK],
    ['no length', 'ms k S3\r\nabc\r\n', 'number', BAD_LINE],
  ];
  checkRows(rows.map(refused));
});

describe('a binary store whose body length is not its real one', () => {
  const withExtras = [0x01, 0x02, 0x03, 0x11, 0x12, 0x13];
  const withoutExtras = [0x0e, 0x0f, 0x19, 0x1a];
  const names = ['set', 'add', 'replace', 'setq', 'addq', 'replaceq', 'append', 'prepend', 'appendq', 'prependq'];
  const invalid = 0x0004;
  const rows = [...withExtras, ...withoutExtras].flatMap((opcode, i): Refusal[] => {
    const fields = { opcode, extras: withExtras.includes(opcode) ? '\0'.repeat(8) : '', key: 'k', value: 'abc' };
    const honest = fields.extras.length + 4;
    const error = (value: string) => binaryResponse({ opcode, status: invalid, value });
    const ask = (bodyLength: number) => binaryRequest({ ...fields, bodyLength });
    return [
      [`${names[i]}, one byte too many`, ask(honest + 1), 'length', error('bad data chunk')],
      [`${names[i]}, a lie of 2 MB`, ask(2_000_000), 'length', error('bad data chunk')],
      [`${names[i]}, a lie of 4 GB`, ask(0xffff_ffff), 'length', error('bad data chunk')],
      [`${names[i]}, shorter than extras and key`, ask(fields.extras.length), 'length', error('bad data chunk')],
      [`${names[i]}, one byte too few`, ask(honest - 1), 'trailing', error('more than one command in a datagram')],
    ];
  });
  checkRows(rows.map(refused));
});

describe('a request that memcached would not take, or we do not forward', () => {
  const rows: Refusal[] = [
    ['nothing behind the frame header', '', 'empty', ''],
    ['half a binary header', '\x80\0\0\x01', 'truncated', ''],
    ['no newline', 'get k', 'no_newline', ''],
    ['an unknown verb', 'frob k\r\n', 'verb', 'ERROR\r\n'],
    ['an empty line', '\r\n', 'verb', 'ERROR\r\n'],
    ['a get without a key', 'get\r\n', 'arguments', 'ERROR\r\n'],
    ['a key of 251 bytes', `get ${'k'.repeat(251)}\r\n`, 'key', BAD_LINE],
    ['a NUL in the key', 'get k\0\r\n', 'key', BAD_LINE],
    ['a delta that is no number', 'incr k x\r\n', 'number', BAD_LINE],
    ['a NUL behind the key', 'get k \0\r\n', 'line', BAD_LINE],
    ['a meta flag twice', 'mg k v v\r\n', 'flag', 'CLIENT_ERROR invalid or duplicate flag\r\n'],
    ['two commands', 'get a\r\nget b\r\n', 'trailing', MORE_THAN_ONE],
    ['two commands, the first of two keys', 'get a b\r\nget c d\r\n', 'trailing', MORE_THAN_ONE],
    ['meta gets in a row', 'mg a v q\r\nmg b v q\r\nmn\r\n', 'trailing', MORE_THAN_ONE],
    ['a key of 251 bytes among others', `get a ${'k'.repeat(251)} b\r\n`, 'key', BAD_LINE],
    ['101 keys', `get${' k'.repeat(101)}\r\n`, 'multiget_keys', 'CLIENT_ERROR too many keys in one request\r\n'],
    ...['flush_all', 'flush_all 10', 'verbosity 1', 'me k', 'quit', 'shutdown', 'shutdown graceful', 'watch'].map(
      (line): Refusal => [line, `${line}\r\n`, 'denied', DENIED],
    ),
    ...['lru mode flat', 'lru_crawler crawl all', 'slabs reassign 1 2', 'cache_memlimit 1', 'extstore free'].map(
      (line): Refusal => [line, `${line}\r\n`, 'denied', DENIED],
    ),
    ...['misbehave', 'debugtime p', 'refresh_certs'].map((line): Refusal => [line, `${line}\r\n`, 'denied', DENIED]),
    ['an argument that stats does not know', 'stats frob\r\n', 'stat', 'ERROR\r\n'],
    [
      'binary stat with an argument that it does not know',
      binaryRequest({ opcode: 0x10, key: 'frob', opaque: 'abcd' }),
      'stat',
      binaryResponse({ opcode: 0x10, opaque: 'abcd', status: 1, value: 'Not found' }),
    ],
    ...[0x07, 0x17, 0x20].map((opcode): Refusal => {
      const answer = binaryResponse({ opcode, status: NOT_SUPPORTED, value: 'command denied' });
      return [`binary quit, quitq, list mechanisms: ${opcode}`, binaryRequest({ opcode }), 'denied', answer];
    }),
    ['flush_all, noreply', 'flush_all noreply\r\n', 'denied', ''],
    ['a number wrong and noreply', 'incr k x noreply\r\n', 'number', ''],
    [
      'binary, an unknown opcode',
      binaryRequest({ opcode: 0x55 }),
      'verb',
      binaryResponse({ opcode: 0x55, status: 0x81, value: 'ERROR' }),
    ],
    [
      'binary flush',
      binaryRequest({ opcode: 0x08, opaque: 'abcd' }),
      'denied',
      binaryResponse({ opcode: 0x08, opaque: 'abcd', status: NOT_SUPPORTED, value: 'command denied' }),
    ],
    [
      'binary flush, quiet: errors are told all the same',
      binaryRequest({ opcode: 0x18 }),
      'denied',
      binaryResponse({ opcode: 0x18, status: NOT_SUPPORTED, value: 'command denied' }),
    ],
    [
      'binary get without a key',
      binaryRequest({ opcode: 0x00 }),
      'key',
      binaryResponse({ opcode: 0x00, status: 4, value: 'bad command line format' }),
    ],
  ];
  checkRows(rows.map(refused));
});

const TOTAL = 'SERVER_ERROR multi-packet request not supported\r\n';
const BUSY = 'SERVER_ERROR too many outstanding requests\r\n';
const NO_NODE = 'SERVER_ERROR no node available\r\n';
const GET = 'get k\r\n';

describe('refused for other reasons than its text', () => {
  checkRows([
    {
      name: 'the first datagram of two',
      frame: request(GET, { total: 2 }),
      counted: 'refused_total error_answers',
      out: ['client', errorAnswer(TOTAL)],
    },
    {
      name: 'the second datagram of two',
      frame: request('whatever', { sequence: 1, total: 2 }),
      counted: 'refused_total error_answers',
      out: ['client', errorAnswer(TOTAL)],
    },
    {
      name: 'a total of 0',
      frame: request(GET, { total: 0 }),
      counted: 'refused_total error_answers',
      out: ['client', errorAnswer(TOTAL)],
    },
    {
      name: 'no nodes',
      bed: { nodes: [] },
      frame: request(GET),
      counted: 'refused_no_node error_answers',
      out: ['client', errorAnswer(NO_NODE)],
    },
    {
      name: 'every node drained',
      bed: { nodes: [{ ...MC1, weight: 0 }] },
      frame: request(GET),
      counted: 'refused_no_node error_answers',
      out: ['client', errorAnswer(NO_NODE)],
    },
    {
      name: 'the node disabled',
      bed: { nodes: [{ ...MC1, enabled: false }] },
      frame: request(GET),
      counted: 'refused_no_node error_answers',
      out: ['client', errorAnswer(NO_NODE)],
    },
    {
      name: 'no answer where the frame has no room for one',
      bed: { clientMtu: 128 },
      frame: request('frob k\r\n'),
      counted: 'refused_verb',
    },
  ]);

  const sixteen = Array.from({ length: 16 }, (_, i) => request(`get k${i}\r\n`));
  checkRows([
    {
      name: 'every slot outstanding',
      bed: { slots: 16 },
      after: sixteen,
      frame: request(GET),
      counted: 'refused_busy error_answers',
      times: { slots_skipped: 16 },
      out: ['client', errorAnswer(BUSY)],
    },
  ]);
});

const NOPS = [1, 1, 1, 0];
const FROB = 'frob k\r\n';

describe('the answer lies in the request’s frame, and', () => {
  const row = (name: string, frame: Uint8Array, answer: Uint8Array, flags = 0): Row => {
    return { name, frame, flags, counted: 'refused_verb error_answers', out: ['client', answer] };
  };
  checkRows([
    row(
      'its checksum is whole where the request’s was partial',
      request(FROB, { checksum: 'partial' }),
      errorAnswer('ERROR\r\n'),
      partialFlags(),
    ),
    row('it has a checksum where the request had none', request(FROB, { checksum: 'zero' }), errorAnswer('ERROR\r\n')),
    row('padding is cut off', request(FROB, { padding: 20 }), errorAnswer('ERROR\r\n')),
    row('it starts its hops afresh', request(FROB, { ttl: 2 }), errorAnswer('ERROR\r\n', { ttl: 64 })),
    row(
      'it keeps options and identification',
      request(FROB, { options: NOPS, identification: 9 }),
      errorAnswer('ERROR\r\n', { options: NOPS, identification: 9 }),
    ),
    row('it may be shorter', request(`frob ${'k'.repeat(900)}\r\n`), errorAnswer('ERROR\r\n')),
    row('the sequence of the request is not echoed', request(FROB, { sequence: 5 }), errorAnswer('ERROR\r\n')),
  ]);
});
