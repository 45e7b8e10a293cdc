/**
 * Requests as a stranger would write them down, and what is to be found in each. The same rows are parsed by
 * `request.test.ts` and sent to a real memcached by `conformance.test.ts`. A character is a byte (latin1).
 */
export type Protocol = 'ascii' | 'meta' | 'binary';
export type Mark = 'quiet' | 'noreply' | 'base64' | 'raw' | 'multi' | 'cas';

export interface GoodRow {
  request: string;
  protocol: Protocol;
  verb: string;
  class: 'read' | 'write' | 'local' | 'policy' | 'denied';
  /** The (first) key, or the argument of stats. */
  key?: string;
  value?: string;
  opaque?: string;
  /** Default none. */
  marks?: Mark[];
  /** Not for a real node: it would stop, or answer in no framing. */
  offline?: true;
}

export interface BadRow {
  request: string;
  /** REFUSAL_NAMES */
  refused: string;
  why: string;
  /**
   * What memcached 1.6.18 does with it: answers an error, says nothing, takes the following datagrams for the rest of
   * this one (`poisoned`), or takes it, which makes our refusal a policy (`accepts`).
   */
  memcached: 'error' | 'silent' | 'poisoned' | 'accepts';
  /** What is known nevertheless. */
  protocol?: Protocol;
  verb?: string;
  marks?: Mark[];
}

export const KEY_250 = 'k'.repeat(250);
export const KEY_251 = 'k'.repeat(251);

export interface BinaryFields {
  op: number;
  key?: string;
  extras?: string;
  value?: string;
  opaque?: string;
  /** 8 bytes. */
  cas?: string;
  /** Lies. */
  keyLength?: number;
  extrasLength?: number;
  bodyLength?: number;
}

/** A binary request, with the lies one asks for. */
export function binary(fields: BinaryFields): string {
  const { op, key = '', extras = '', value = '', opaque = 'OPAQ', cas = '\0'.repeat(8) } = fields;
  const { keyLength = key.length, extrasLength = extras.length } = fields;
  const { bodyLength = extras.length + key.length + value.length } = fields;
  const header = `\x80${char(op)}${be(keyLength, 2)}${char(extrasLength)}\0\0\0${be(bodyLength, 4)}${opaque}${cas}`;
  return header + extras + key + value;
}

function char(code: number): string {
  return String.fromCharCode(code);
}

function be(number: number, width: number): string {
  return Array.from({ length: width }, (_, at) => char(Math.floor(number / 256 ** (width - 1 - at)) % 256)).join('');
}

/** flags 5, exptime 60 */
export const SET_EXTRAS = '\0\0\0\x05\0\0\0\x3c';
export const TOUCH_EXTRAS = '\0\0\0\x3c';
/** delta 1, initial 0, exptime 0xffffffff: do not create */
export const INCR_EXTRAS = `${'\0'.repeat(7)}\x01${'\0'.repeat(8)}\xff\xff\xff\xff`;

export const CLASSIC: GoodRow[] = [
  { request: 'get k1\r\n', protocol: 'ascii', verb: 'get', class: 'read', key: 'k1' },
  { request: 'get k1\n', protocol: 'ascii', verb: 'get', class: 'read', key: 'k1' },
  { request: '  get   k1  \r\n', protocol: 'ascii', verb: 'get', class: 'read', key: 'k1' },
  { request: 'get k1 \n', protocol: 'ascii', verb: 'get', class: 'read', key: 'k1' },
  { request: 'get k\r\n', protocol: 'ascii', verb: 'get', class: 'read', key: 'k' },
  { request: `get ${KEY_250}\r\n`, protocol: 'ascii', verb: 'get', class: 'read', key: KEY_250 },
  { request: 'get k\xff\x80\xe9\r\n', protocol: 'ascii', verb: 'get', class: 'read', key: 'k\xff\x80\xe9' },
  { request: 'get get\r\n', protocol: 'ascii', verb: 'get', class: 'read', key: 'get' },
  { request: 'get noreply\r\n', protocol: 'ascii', verb: 'get', class: 'read', key: 'noreply' },
  { request: 'gets k1\r\n', protocol: 'ascii', verb: 'gets', class: 'read', key: 'k1' },
  { request: 'get k1 k2\r\n', protocol: 'ascii', verb: 'get', class: 'read', key: 'k1', marks: ['multi'] },
  { request: 'gets k1  k2 k3 \n', protocol: 'ascii', verb: 'gets', class: 'read', key: 'k1', marks: ['multi'] },
  {
    request: `get k1 ${Array.from({ length: 60 }, (_, n) => `key${n}`).join(' ')}\r\n`,
    protocol: 'ascii',
    verb: 'get',
    class: 'read',
    key: 'k1',
    marks: ['multi'],
  },
  { request: 'gat 60 k1\r\n', protocol: 'ascii', verb: 'gat', class: 'write', key: 'k1' },
  { request: 'gat -1 k1\r\n', protocol: 'ascii', verb: 'gat', class: 'write', key: 'k1' },
  { request: 'gats 0 k1\r\n', protocol: 'ascii', verb: 'gats', class: 'write', key: 'k1' },
  { request: 'gat 60 k1 k2\r\n', protocol: 'ascii', verb: 'gat', class: 'write', key: 'k1', marks: ['multi'] },

  { request: 'set k1 5 60 3\r\nabc\r\n', protocol: 'ascii', verb: 'set', class: 'write', key: 'k1', value: 'abc' },
  { request: 'set k1 5 60 3\nabc\r\n', protocol: 'ascii', verb: 'set', class: 'write', key: 'k1', value: 'abc' },
  { request: ' set  k1 5   60 3 \r\nabc\r\n', protocol: 'ascii', verb: 'set', class: 'write', key: 'k1', value: 'abc' },
  { request: 'set k1 0 0 0\r\n\r\n', protocol: 'ascii', verb: 'set', class: 'write', key: 'k1', value: '' },
  { request: 'set k1 0 0 2\r\n\r\n\r\n', protocol: 'ascii', verb: 'set', class: 'write', key: 'k1', value: '\r\n' },
  {
    request: 'set k1 0 0 11\r\nflush_all\r\n\r\n',
    protocol: 'ascii',
    verb: 'set',
    class: 'write',
    key: 'k1',
    value: 'flush_all\r\n',
  },
  {
    request: 'set k1 4294967295 2147483647 +03\r\nabc\r\n',
    protocol: 'ascii',
    verb: 'set',
    class: 'write',
    key: 'k1',
    value: 'abc',
  },
  {
    request: 'set k1 0000000000000 -2147483648 3\r\nabc\r\n',
    protocol: 'ascii',
    verb: 'set',
    class: 'write',
    key: 'k1',
    value: 'abc',
  },
  {
    request: 'set k1 0 0 3 noreply\r\nabc\r\n',
    protocol: 'ascii',
    verb: 'set',
    class: 'write',
    key: 'k1',
    value: 'abc',
    marks: ['quiet', 'noreply'],
  },
  {
    request: 'set k1 0 0 3 please\r\nabc\r\n',
    protocol: 'ascii',
    verb: 'set',
    class: 'write',
    key: 'k1',
    value: 'abc',
  },
  {
    request: `set ${KEY_250} 0 0 1000\r\n${'v'.repeat(1000)}\r\n`,
    protocol: 'ascii',
    verb: 'set',
    class: 'write',
    key: KEY_250,
    value: 'v'.repeat(1000),
  },
  { request: 'add k1 0 0 1\r\na\r\n', protocol: 'ascii', verb: 'add', class: 'write', key: 'k1', value: 'a' },
  { request: 'replace k1 0 0 1\r\na\r\n', protocol: 'ascii', verb: 'replace', class: 'write', key: 'k1', value: 'a' },
  { request: 'append k1 0 0 1\r\na\r\n', protocol: 'ascii', verb: 'append', class: 'write', key: 'k1', value: 'a' },
  { request: 'prepend k1 0 0 1\r\na\r\n', protocol: 'ascii', verb: 'prepend', class: 'write', key: 'k1', value: 'a' },
  {
    request: 'cas k1 0 0 1 18446744073709551615\r\na\r\n',
    protocol: 'ascii',
    verb: 'cas',
    class: 'write',
    key: 'k1',
    value: 'a',
    marks: ['cas'],
  },
  {
    request: 'cas k1 0 0 1 7 noreply\r\na\r\n',
    protocol: 'ascii',
    verb: 'cas',
    class: 'write',
    key: 'k1',
    value: 'a',
    marks: ['cas', 'quiet', 'noreply'],
  },
  { request: 'incr number 1\r\n', protocol: 'ascii', verb: 'incr', class: 'write', key: 'number' },
  { request: 'incr number 18446744073709551615\r\n', protocol: 'ascii', verb: 'incr', class: 'write', key: 'number' },
  {
    request: 'incr number 1 noreply\r\n',
    protocol: 'ascii',
    verb: 'incr',
    class: 'write',
    key: 'number',
    marks: ['quiet', 'noreply'],
  },
  { request: 'decr number 1\n', protocol: 'ascii', verb: 'decr', class: 'write', key: 'number' },
  { request: 'delete k1\r\n', protocol: 'ascii', verb: 'delete', class: 'write', key: 'k1' },
  { request: 'delete k1 0\r\n', protocol: 'ascii', verb: 'delete', class: 'write', key: 'k1' },
  {
    request: 'delete k1 noreply\r\n',
    protocol: 'ascii',
    verb: 'delete',
    class: 'write',
    key: 'k1',
    marks: ['quiet', 'noreply'],
  },
  {
    request: 'delete k1 0 noreply\r\n',
    protocol: 'ascii',
    verb: 'delete',
    class: 'write',
    key: 'k1',
    marks: ['quiet', 'noreply'],
  },
  { request: 'touch k1 60\r\n', protocol: 'ascii', verb: 'touch', class: 'write', key: 'k1' },
  {
    request: 'touch k1 0 noreply\r\n',
    protocol: 'ascii',
    verb: 'touch',
    class: 'write',
    key: 'k1',
    marks: ['quiet', 'noreply'],
  },

  { request: 'version\r\n', protocol: 'ascii', verb: 'version', class: 'local' },
  { request: 'version \x01\r\n', protocol: 'ascii', verb: 'version', class: 'local' },
  { request: 'set k1 5 60 3 \x01\r\nabc\r\n', protocol: 'ascii', verb: 'set', class: 'write', key: 'k1', value: 'abc' },
  { request: 'get k1 a\x02b\r\n', protocol: 'ascii', verb: 'get', class: 'read', key: 'k1', marks: ['multi'] },
  { request: 'mg k1 O\x01x v\x02\r\n', protocol: 'meta', verb: 'mg', class: 'read', key: 'k1', opaque: '\x01x' },
  { request: 'version please\n', protocol: 'ascii', verb: 'version', class: 'local' },
  { request: 'stats\r\n', protocol: 'ascii', verb: 'stats', class: 'local' },
  { request: 'stats settings\r\n', protocol: 'ascii', verb: 'stats', class: 'local', key: 'settings' },
  { request: 'flush_all\r\n', protocol: 'ascii', verb: 'flush_all', class: 'policy' },
  { request: 'flush_all 0\r\n', protocol: 'ascii', verb: 'flush_all', class: 'policy' },
  {
    request: 'flush_all noreply\r\n',
    protocol: 'ascii',
    verb: 'flush_all',
    class: 'policy',
    marks: ['quiet', 'noreply'],
  },
  {
    request: 'flush_all 0 noreply\r\n',
    protocol: 'ascii',
    verb: 'flush_all',
    class: 'policy',
    marks: ['quiet', 'noreply'],
  },
  { request: 'verbosity 0\r\n', protocol: 'ascii', verb: 'verbosity', class: 'policy' },
  ...['quit', 'shutdown', 'shutdown graceful', 'watch', 'watch mutations', 'lru mode flat', 'lru_crawler enable'].map(
    denied,
  ),
  ...['slabs automove 1', 'cache_memlimit 64', 'extstore free', 'misbehave', 'debugtime p', 'refresh_certs'].map(
    denied,
  ),
];

function denied(line: string): GoodRow {
  const verb = line.split(' ', 1)[0];
  return { request: `${line}\r\n`, protocol: 'ascii', verb, class: 'denied', offline: true };
}

export const META: GoodRow[] = [
  { request: 'mg k1\r\n', protocol: 'meta', verb: 'mg', class: 'read', key: 'k1' },
  { request: 'mg k1 v\n', protocol: 'meta', verb: 'mg', class: 'read', key: 'k1' },
  { request: ' mg  k1  v   t \r\n', protocol: 'meta', verb: 'mg', class: 'read', key: 'k1' },
  { request: 'mg k1 k s t c f v l h u\r\n', protocol: 'meta', verb: 'mg', class: 'read', key: 'k1' },
  { request: 'mg k1 v q\r\n', protocol: 'meta', verb: 'mg', class: 'read', key: 'k1', marks: ['quiet'] },
  { request: 'mg k1 v Otoken-1 k\r\n', protocol: 'meta', verb: 'mg', class: 'read', key: 'k1', opaque: 'token-1' },
  { request: 'mg k1 O\r\n', protocol: 'meta', verb: 'mg', class: 'read', key: 'k1', opaque: '' },
  {
    request: `mg k1 O${'o'.repeat(31)}\r\n`,
    protocol: 'meta',
    verb: 'mg',
    class: 'read',
    key: 'k1',
    opaque: 'o'.repeat(31),
  },
  { request: 'mg Zm9v b k v\r\n', protocol: 'meta', verb: 'mg', class: 'read', key: 'Zm9v', marks: ['base64'] },
  { request: 'mg Zm9vYQ== v b\r\n', protocol: 'meta', verb: 'mg', class: 'read', key: 'Zm9vYQ==', marks: ['base64'] },
  { request: 'mg k1 T60\r\n', protocol: 'meta', verb: 'mg', class: 'write', key: 'k1' },
  { request: 'mg k1 v R-1\r\n', protocol: 'meta', verb: 'mg', class: 'write', key: 'k1' },
  { request: 'mg vivid N60 v\r\n', protocol: 'meta', verb: 'mg', class: 'write', key: 'vivid' },
  {
    request: 'mg k1 P1 L2 k s t c f v l h u O1 T5 N5 R5 F1 q\r\n',
    protocol: 'meta',
    verb: 'mg',
    class: 'write',
    key: 'k1',
    opaque: '1',
    marks: ['quiet'],
  },
  { request: `mg ${KEY_250} v\r\n`, protocol: 'meta', verb: 'mg', class: 'read', key: KEY_250 },
  { request: 'ms k1 3\r\nabc\r\n', protocol: 'meta', verb: 'ms', class: 'write', key: 'k1', value: 'abc' },
  { request: 'ms k1 3\nabc\r\n', protocol: 'meta', verb: 'ms', class: 'write', key: 'k1', value: 'abc' },
  { request: 'ms k1 0 T0 F0\r\n\r\n', protocol: 'meta', verb: 'ms', class: 'write', key: 'k1', value: '' },
  {
    request: 'ms k1 3 T60 F4294967295 MA Oid7\r\nabc\r\n',
    protocol: 'meta',
    verb: 'ms',
    class: 'write',
    key: 'k1',
    value: 'abc',
    opaque: 'id7',
  },
  {
    request: 'ms k1 3 C18446744073709551615 q\r\nabc\r\n',
    protocol: 'meta',
    verb: 'ms',
    class: 'write',
    key: 'k1',
    value: 'abc',
    marks: ['cas', 'quiet'],
  },
  {
    request: 'ms Zm9v 3 b\r\nabc\r\n',
    protocol: 'meta',
    verb: 'ms',
    class: 'write',
    key: 'Zm9v',
    value: 'abc',
    marks: ['base64'],
  },
  {
    request: 'ms k1 3 P L k s t c f v l h u O1 T5 N5 R5 q\r\nabc\r\n',
    protocol: 'meta',
    verb: 'ms',
    class: 'write',
    key: 'k1',
    value: 'abc',
    opaque: '1',
    marks: ['quiet'],
  },
  { request: 'md k1\r\n', protocol: 'meta', verb: 'md', class: 'write', key: 'k1' },
  { request: 'md k1 q\r\n', protocol: 'meta', verb: 'md', class: 'write', key: 'k1', marks: ['quiet'] },
  { request: 'md k1 I T30 C5\r\n', protocol: 'meta', verb: 'md', class: 'write', key: 'k1', marks: ['cas'] },
  { request: 'md Zm9v b\r\n', protocol: 'meta', verb: 'md', class: 'write', key: 'Zm9v', marks: ['base64'] },
  { request: 'ma number\r\n', protocol: 'meta', verb: 'ma', class: 'write', key: 'number' },
  { request: 'ma number D5 MD v t c\r\n', protocol: 'meta', verb: 'ma', class: 'write', key: 'number' },
  { request: 'ma made N0 J13 v\r\n', protocol: 'meta', verb: 'ma', class: 'write', key: 'made' },
  { request: 'me k1\r\n', protocol: 'meta', verb: 'me', class: 'policy', key: 'k1' },
  { request: 'me Zm9v b\r\n', protocol: 'meta', verb: 'me', class: 'policy', key: 'Zm9v', marks: ['base64'] },
  { request: 'mn\r\n', protocol: 'meta', verb: 'mn', class: 'local' },
  { request: 'mn\n', protocol: 'meta', verb: 'mn', class: 'local' },
];

export const BINARY: GoodRow[] = [
  keyed(0x00, 'get', 'read', {}),
  keyed(0x0c, 'get', 'read', {}),
  keyed(0x09, 'get', 'read', { marks: ['quiet'] }),
  keyed(0x0d, 'get', 'read', { marks: ['quiet'] }),
  keyed(0x00, 'get', 'read', { key: KEY_250 }),
  keyed(0x00, 'get', 'read', { key: 'raw key\r\n\0\x7f', marks: ['raw'] }),
  keyed(0x01, 'set', 'write', { extras: SET_EXTRAS, value: 'abc' }),
  keyed(0x01, 'set', 'write', { extras: SET_EXTRAS, value: '' }),
  keyed(0x01, 'set', 'write', { extras: SET_EXTRAS, value: 'abc', cas: '\0\0\0\0\0\0\0\x01', marks: ['cas'] }),
  keyed(0x02, 'add', 'write', { extras: SET_EXTRAS, value: 'abc' }),
  keyed(0x03, 'replace', 'write', { extras: SET_EXTRAS, value: 'abc' }),
  keyed(0x0e, 'append', 'write', { value: 'abc' }),
  keyed(0x0f, 'prepend', 'write', { value: 'abc' }),
  keyed(0x11, 'set', 'write', { extras: SET_EXTRAS, value: 'abc', marks: ['quiet'] }),
  keyed(0x12, 'add', 'write', { extras: SET_EXTRAS, value: 'abc', marks: ['quiet'] }),
  keyed(0x13, 'replace', 'write', { extras: SET_EXTRAS, value: 'abc', marks: ['quiet'] }),
  keyed(0x19, 'append', 'write', { value: 'abc', marks: ['quiet'] }),
  keyed(0x1a, 'prepend', 'write', { value: 'abc', marks: ['quiet'] }),
  keyed(0x05, 'incr', 'write', { key: 'number', extras: INCR_EXTRAS }),
  keyed(0x06, 'decr', 'write', { key: 'number', extras: INCR_EXTRAS }),
  keyed(0x15, 'incr', 'write', { key: 'number', extras: INCR_EXTRAS, marks: ['quiet'] }),
  keyed(0x16, 'decr', 'write', { key: 'number', extras: INCR_EXTRAS, marks: ['quiet'] }),
  keyed(0x1c, 'touch', 'write', { extras: TOUCH_EXTRAS }),
  keyed(0x1d, 'gat', 'write', { extras: TOUCH_EXTRAS }),
  keyed(0x1e, 'gat', 'write', { extras: TOUCH_EXTRAS, marks: ['quiet'] }),
  keyed(0x23, 'gat', 'write', { extras: TOUCH_EXTRAS }),
  keyed(0x24, 'gat', 'write', { extras: TOUCH_EXTRAS, marks: ['quiet'] }),
  keyed(0x04, 'delete', 'write', {}),
  keyed(0x14, 'delete', 'write', { marks: ['quiet'] }),
  keyless(0x0a, 'noop', 'local', {}),
  keyless(0x0b, 'version', 'local', {}),
  keyless(0x10, 'stats', 'local', {}),
  keyed(0x10, 'stats', 'local', { key: 'settings' }),
  keyless(0x08, 'flush_all', 'policy', {}),
  keyless(0x08, 'flush_all', 'policy', { extras: '\0\0\0\0' }),
  keyless(0x18, 'flush_all', 'policy', { marks: ['quiet'] }),
  keyless(0x07, 'quit', 'denied', { offline: true }),
  keyless(0x17, 'quit', 'denied', { marks: ['quiet'], offline: true }),
  keyless(0x20, 'sasl', 'denied', { offline: true }),
  keyed(0x21, 'sasl', 'denied', { key: 'PLAIN', value: '\0me\0secret', offline: true }),
  keyed(0x22, 'sasl', 'denied', { key: 'PLAIN', value: '', offline: true }),
];

interface BinaryRow {
  key?: string;
  extras?: string;
  value?: string;
  cas?: string;
  marks?: Mark[];
  offline?: true;
}

function keyed(op: number, verb: string, verbClass: GoodRow['class'], row: BinaryRow): GoodRow {
  return keyless(op, verb, verbClass, { key: 'k1', ...row });
}

function keyless(op: number, verb: string, verbClass: GoodRow['class'], row: BinaryRow): GoodRow {
  const { extras, cas, ...found } = row;
  const request = binary({ op, key: row.key, extras, value: row.value, cas });
  return { request, protocol: 'binary', verb, class: verbClass, opaque: 'OPAQ', ...found };
}

/** One well-formed request for each text verb with a key: `line(key)`, and what follows the line. */
const TEXT_VERBS: { verb: string; line: (key: string) => string; value?: string }[] = [
  { verb: 'get', line: key => `get ${key}` },
  { verb: 'gets', line: key => `gets ${key}` },
  { verb: 'gat', line: key => `gat 60 ${key}` },
  { verb: 'gats', line: key => `gats 60 ${key}` },
  { verb: 'set', line: key => `set ${key} 5 60 3`, value: 'abc' },
  { verb: 'add', line: key => `add ${key} 5 60 3`, value: 'abc' },
  { verb: 'replace', line: key => `replace ${key} 5 60 3`, value: 'abc' },
  { verb: 'append', line: key => `append ${key} 5 60 3`, value: 'abc' },
  { verb: 'prepend', line: key => `prepend ${key} 5 60 3`, value: 'abc' },
  { verb: 'cas', line: key => `cas ${key} 5 60 3 7`, value: 'abc' },
  { verb: 'incr', line: key => `incr ${key} 1` },
  { verb: 'decr', line: key => `decr ${key} 1` },
  { verb: 'delete', line: key => `delete ${key}` },
  { verb: 'touch', line: key => `touch ${key} 60` },
  { verb: 'mg', line: key => `mg ${key} t` },
  { verb: 'ms', line: key => `ms ${key} 3 T60`, value: 'abc' },
  { verb: 'md', line: key => `md ${key} k` },
  { verb: 'ma', line: key => `ma ${key} v` },
  { verb: 'me', line: key => `me ${key}` },
];

/** memcached cuts a line at spaces and nothing else: whatever is no space, LF or NUL, and not the CR of the line's end. */
const CONTROL_KEYS = ['\x01', 'a\tb', 'a\x7fb', '\x10\x11', 'a\rb', 'k1\r', '\r', 'a\x0bb\x1f'];

const CONTROLLED: GoodRow[] = TEXT_VERBS.flatMap(({ verb, line, value }) => {
  const rest = value === undefined ? '\r\n' : `\r\n${value}\r\n`;
  const verbClass = verb === 'me' ? 'policy' : /^(gets?|mg)$/.test(verb) ? 'read' : 'write';
  const protocol = /^m[gsdae]$/.test(verb) ? 'meta' : 'ascii';
  const marks: Mark[] = verb === 'cas' ? ['cas'] : [];
  return CONTROL_KEYS.map(key => ({ request: line(key) + rest, protocol, verb, class: verbClass, key, value, marks }));
});

export const GOOD: GoodRow[] = [...CLASSIC, ...META, ...BINARY, ...CONTROLLED];

/** What can be wrong with any of them. */
const EVERY_TEXT_VERB: BadRow[] = TEXT_VERBS.flatMap(({ verb, line, value }) => {
  const rest = value === undefined ? '\r\n' : `\r\n${value}\r\n`;
  const rows: BadRow[] = [
    { request: `${verb}\r\n`, refused: 'arguments', why: 'no key', memcached: 'error' },
    { request: line(KEY_251) + rest, refused: 'key', why: 'key of 251 bytes', memcached: 'error' },
    { request: line('k1'), refused: 'no_newline', why: 'no newline', memcached: 'silent' },
    { request: `${line('k1')}\r`, refused: 'no_newline', why: 'CR without LF', memcached: 'silent' },
    { request: `${line('k1')}${rest}get k2\r\n`, refused: 'trailing', why: 'second command', memcached: 'accepts' },
    { request: `${line('k1')}${rest}\0\0`, refused: 'trailing', why: 'padding', memcached: 'accepts' },
  ];
  return rows.map(row => ({ verb, ...row }));
});

/** What can be wrong with a store. Its value may be shorter than declared, or something else than a value. */
const EVERY_STORE: BadRow[] = TEXT_VERBS.filter(({ value }) => value !== undefined).flatMap(({ verb, line }) => {
  const meta = verb === 'ms';
  const said = (bytes: string) => line('k1').replace(/ 3( |$)/, ` ${bytes}$1`);
  const rows: BadRow[] = [
    { request: `${said('4')}\r\nabc\r\n`, refused: 'length', why: 'one byte too few', memcached: 'poisoned' },
    { request: `${said('40')}\r\nabc\r\n`, refused: 'length', why: 'far too few', memcached: 'poisoned' },
    { request: `${said('3')}\r\n`, refused: 'length', why: 'no value at all', memcached: 'poisoned' },
    { request: `${said('3')}\r\nabc`, refused: 'length', why: 'value without CRLF', memcached: 'poisoned' },
    { request: `${said('3')}\r\nabc\n`, refused: 'length', why: 'value ended by LF', memcached: 'poisoned' },
    { request: `${said('2')}\r\nabc\r\n`, refused: 'length', why: 'one byte too many', memcached: 'error' },
    { request: `${said('3')}\r\nabcde`, refused: 'length', why: 'no CRLF where it belongs', memcached: 'error' },
    { request: `${said('3')}\r\nabc\rx`, refused: 'length', why: 'CR, but no LF', memcached: 'error' },
    { request: `${said('-1')}\r\nabc\r\n`, refused: 'number', why: 'negative length', memcached: 'error' },
    { request: `${said('3x')}\r\nabc\r\n`, refused: 'number', why: 'length is no number', memcached: 'error' },
    { request: `${said('')}\r\nabc\r\n`, refused: meta ? 'number' : 'arguments', why: 'no length', memcached: 'error' },
    { request: `${said('8589934600')}\r\nabc\r\n`, refused: 'length', why: '8 modulo 2^32', memcached: 'poisoned' },
    { request: `${said('4294967299')}\r\nabc\r\n`, refused: 'length', why: '3 modulo 2^32', memcached: 'accepts' },
    { request: `${said('3')} \0\r\nabc\r\n`, refused: 'line', why: 'NUL', memcached: 'accepts' },
    { request: `${line('k\0')}\r\nabc\r\n`, refused: 'key', why: 'NUL', memcached: 'error' },
    {
      request: `${said('3')}\r\r\nabc\r\n`,
      refused: meta ? 'flag' : 'number',
      why: 'two CRs, one of them behind a number',
      memcached: 'accepts',
    },
  ];
  return rows.map(row => ({ verb, ...row }));
});

const CLASSIC_STORES: BadRow[] = ['set', 'add', 'replace', 'append', 'prepend'].flatMap(verb => {
  const rows: BadRow[] = [
    { request: `${verb} k1 x 0 3\r\nabc\r\n`, refused: 'number', why: 'flags are no number', memcached: 'error' },
    { request: `${verb} k1 -1 0 3\r\nabc\r\n`, refused: 'number', why: 'negative flags', memcached: 'error' },
    { request: `${verb} k1 4294967296 0 3\r\nabc\r\n`, refused: 'number', why: '2^32 as flags', memcached: 'accepts' },
    { request: `${verb} k1 0 x 3\r\nabc\r\n`, refused: 'number', why: 'exptime is no number', memcached: 'error' },
    { request: `${verb} k1 0 2147483648 3\r\nabc\r\n`, refused: 'number', why: '2^31 s', memcached: 'accepts' },
    { request: `${verb} k1 0 -2147483649 3\r\nabc\r\n`, refused: 'number', why: '−2^31 − 1 s', memcached: 'accepts' },
    {
      request: `${verb} k1 0 0 3 noreply x\r\nabc\r\n`,
      refused: 'arguments',
      why: 'too many words',
      memcached: 'error',
    },
  ];
  return rows.map(row => ({ verb, ...row }));
});

const TEXT: BadRow[] = [
  { request: '\r\n', refused: 'verb', why: 'empty line', memcached: 'error' },
  { request: '\n', refused: 'verb', why: 'empty line', memcached: 'error' },
  { request: '   \r\n', refused: 'verb', why: 'blank line', memcached: 'error' },
  { request: 'm\r\n', refused: 'verb', why: 'one letter', memcached: 'error' },
  { request: 'GET k1\r\n', refused: 'verb', why: 'upper case', memcached: 'error' },
  { request: 'getx k1\r\n', refused: 'verb', why: 'longer than get', memcached: 'error' },
  { request: 'ge k1\r\n', refused: 'verb', why: 'shorter than get', memcached: 'error' },
  { request: 'versio\r\n', refused: 'verb', why: 'shorter than version', memcached: 'error' },
  { request: 'mx k1\r\n', refused: 'verb', why: 'no such meta verb', memcached: 'error' },
  { request: 'noop\r\n', refused: 'verb', why: 'a verb of the binary protocol', memcached: 'error' },
  { request: 'bget k1\r\n', refused: 'verb', why: 'undocumented', memcached: 'accepts' },
  { request: '\xff\xfe\r\n', refused: 'verb', why: 'not ASCII', memcached: 'error' },
  { request: '\x81\x00\r\n', refused: 'verb', why: 'a binary response', memcached: 'error' },
  { request: 'get', refused: 'no_newline', why: 'cut off', memcached: 'silent', verb: 'unknown' },
  { request: 'g', refused: 'no_newline', why: 'cut off', memcached: 'silent', verb: 'unknown' },
  { request: 'get k1\r', refused: 'no_newline', why: 'cut off', memcached: 'silent', verb: 'get' },
  { request: 'get\tk1\r\n', refused: 'verb', why: 'tab for a space', memcached: 'error' },
  { request: 'get k\0\r\n', refused: 'key', why: 'NUL would end the line', memcached: 'accepts', verb: 'get' },
  { request: `get k1 ${KEY_251}\r\n`, refused: 'key', why: 'second key of 251 bytes', memcached: 'error', verb: 'get' },
  { request: 'get k1 a\0b\r\n', refused: 'key', why: 'NUL in key 2', memcached: 'accepts', verb: 'get' },
  { request: 'get k1\r\nget k2\r\n', refused: 'trailing', why: 'two commands', memcached: 'accepts', verb: 'get' },
  { request: 'get k1\nx', refused: 'trailing', why: 'one byte too many', memcached: 'accepts', verb: 'get' },
  { request: 'gat k1\r\n', refused: 'number', why: 'exptime missing', memcached: 'error', verb: 'gat' },
  { request: 'gat 60\r\n', refused: 'arguments', why: 'key missing', memcached: 'accepts', verb: 'gat' },
  { request: 'gats 6x k1\r\n', refused: 'number', why: 'exptime is no number', memcached: 'error', verb: 'gats' },
  { request: 'incr number\r\n', refused: 'arguments', why: 'no delta', memcached: 'error', verb: 'incr' },
  { request: 'incr number x\r\n', refused: 'number', why: 'delta is no number', memcached: 'error', verb: 'incr' },
  { request: 'incr number -1\r\n', refused: 'number', why: 'negative delta', memcached: 'error', verb: 'incr' },
  { request: 'incr number 1.5\r\n', refused: 'number', why: 'fraction', memcached: 'error', verb: 'incr' },
  { request: 'incr number +\r\n', refused: 'number', why: 'sign alone', memcached: 'error', verb: 'incr' },
  { request: 'decr number 18446744073709551616\r\n', refused: 'number', why: '2^64', memcached: 'error', verb: 'decr' },
  { request: 'decr number 99999999999999999999\r\n', refused: 'number', why: '20 nines', memcached: 'error' },
  { request: 'decr number 1 2 3\r\n', refused: 'arguments', why: 'too many words', memcached: 'error', verb: 'decr' },
  { request: 'touch k1\r\n', refused: 'arguments', why: 'no exptime', memcached: 'error', verb: 'touch' },
  { request: 'touch k1 soon\r\n', refused: 'number', why: 'exptime is no number', memcached: 'error', verb: 'touch' },
  { request: 'delete k1 1\r\n', refused: 'arguments', why: 'hold time', memcached: 'error', verb: 'delete' },
  { request: 'delete k1 00\r\n', refused: 'arguments', why: 'not the word 0', memcached: 'error', verb: 'delete' },
  { request: 'delete k1 0 x\r\n', refused: 'arguments', why: 'not noreply', memcached: 'error', verb: 'delete' },
  { request: 'delete k1 noreply 0\r\n', refused: 'arguments', why: 'noreply is not last', memcached: 'error' },
  { request: 'cas k1 0 0 3\r\nabc\r\n', refused: 'arguments', why: 'no CAS id', memcached: 'error', verb: 'cas' },
  { request: 'cas k1 0 0 3 x\r\nabc\r\n', refused: 'number', why: 'CAS id is no number', memcached: 'error' },
  { request: 'cas k1 0 0 3 -5\r\nabc\r\n', refused: 'number', why: 'negative CAS id', memcached: 'error' },
  { request: 'cas k1 0 0 3 18446744073709551616\r\nabc\r\n', refused: 'number', why: '2^64', memcached: 'error' },
  { request: 'flush_all x\r\n', refused: 'number', why: 'delay is no number', memcached: 'error', verb: 'flush_all' },
  { request: 'flush_all 0 1 2\r\n', refused: 'arguments', why: 'too many words', memcached: 'error' },
  { request: 'verbosity\r\n', refused: 'arguments', why: 'no level', memcached: 'error', verb: 'verbosity' },
  { request: 'verbosity x\r\n', refused: 'number', why: 'level is no number', memcached: 'error', verb: 'verbosity' },
  {
    request: 'version\r\nversion\r\n',
    refused: 'trailing',
    why: 'two commands',
    memcached: 'accepts',
    verb: 'version',
  },
  { request: 'version \0\r\n', refused: 'line', why: 'NUL', memcached: 'accepts', verb: 'version' },

  {
    request: 'set k1 0 0 9 noreply\r\nabc\r\n',
    refused: 'length',
    why: 'short, and asks for silence',
    memcached: 'poisoned',
    verb: 'set',
    marks: ['quiet', 'noreply'],
  },
  {
    request: `set ${KEY_251} 0 0 3 noreply\r\nabc\r\n`,
    refused: 'key',
    why: 'long key, and asks for silence; the value is executed and answered',
    memcached: 'error',
    verb: 'set',
    marks: ['quiet', 'noreply'],
  },
  {
    request: `delete ${KEY_251} noreply\r\n`,
    refused: 'key',
    why: 'long key, and asks for silence',
    memcached: 'silent',
    verb: 'delete',
    marks: ['quiet', 'noreply'],
  },
  {
    request: 'mg k1 q \x01\r\n',
    refused: 'flag',
    why: 'control byte for a flag',
    memcached: 'error',
    verb: 'mg',
    protocol: 'meta',
    marks: ['quiet'],
  },
];

const META_BAD: BadRow[] = [
  { request: 'mg k1 v v\r\n', refused: 'flag', why: 'flag twice', memcached: 'error' },
  { request: 'mg k1 O1 O2\r\n', refused: 'flag', why: 'flag with token twice', memcached: 'error' },
  { request: 'mg k1 5\r\n', refused: 'flag', why: 'not a letter', memcached: 'error' },
  { request: 'mg k1 \xff\r\n', refused: 'flag', why: 'not ASCII', memcached: 'error' },
  { request: `mg k1 O${'o'.repeat(32)}\r\n`, refused: 'flag', why: 'opaque of 32 bytes', memcached: 'error' },
  { request: 'mg k1 T\r\n', refused: 'flag', why: 'T without a number', memcached: 'error' },
  { request: 'mg k1 Tsoon\r\n', refused: 'flag', why: 'T with a word', memcached: 'error' },
  { request: 'mg k1 N1x\r\n', refused: 'flag', why: 'N with a word', memcached: 'error' },
  { request: 'mg k1 R2147483648\r\n', refused: 'flag', why: '2^31 s', memcached: 'accepts' },
  { request: 'mg Zm9 b\r\n', refused: 'key', why: 'base64 of 3 characters', memcached: 'error' },
  { request: 'mg Zm_v b\r\n', refused: 'key', why: 'not the alphabet of base64', memcached: 'error' },
  { request: 'mg Zm!9v b\r\n', refused: 'key', why: 'memcached skips what is not base64', memcached: 'accepts' },
  { request: 'mg ==== b\r\n', refused: 'key', why: 'nothing but padding', memcached: 'error' },
  {
    request: 'mg k1 a b c d e f g h i j k l m n o p q r\r\n',
    refused: 'arguments',
    why: '18 flags',
    memcached: 'error',
    marks: ['quiet'],
  },
  {
    request: 'ms k1 3 a c d e f g h i j k l m n o p r q\r\nabc\r\n',
    refused: 'arguments',
    why: '17 flags, and memcached would take the value for a command',
    memcached: 'error',
    marks: ['quiet'],
  },
  { request: 'ms k1 S3\r\nabc\r\n', refused: 'number', why: 'the syntax before 1.6.13', memcached: 'error' },
  { request: 'ms k1 3 Fx\r\nabc\r\n', refused: 'flag', why: 'client flags are no number', memcached: 'error' },
  { request: 'ms k1 3 C\r\nabc\r\n', refused: 'flag', why: 'CAS id missing', memcached: 'error' },
  { request: 'ms k1 3 C18446744073709551616\r\nabc\r\n', refused: 'flag', why: '2^64', memcached: 'error' },
  { request: 'ms k1 3 MSS\r\nabc\r\n', refused: 'flag', why: 'mode of two letters', memcached: 'error' },
  { request: 'ms Zm9 3 b\r\nabc\r\n', refused: 'key', why: 'not base64', memcached: 'error' },
  { request: 'ms k1 3 q q\r\nabc\r\n', refused: 'flag', why: 'flag twice', memcached: 'error', marks: ['quiet'] },
  { request: 'ma number Dx\r\n', refused: 'flag', why: 'delta is no number', memcached: 'error' },
  { request: 'ma number J-1\r\n', refused: 'flag', why: 'negative initial value', memcached: 'error' },
  { request: 'md k1 Cx\r\n', refused: 'flag', why: 'CAS id is no number', memcached: 'error' },
];

const GET = binary({ op: 0, key: 'k1' });

const BINARY_BAD: BadRow[] = [
  { request: '\x80', refused: 'truncated', why: 'magic alone', memcached: 'silent', verb: 'unknown' },
  { request: '\x80\x11', refused: 'truncated', why: 'two bytes', memcached: 'silent', verb: 'set', marks: ['quiet'] },
  { request: GET.slice(0, 23), refused: 'truncated', why: 'header of 23 bytes', memcached: 'silent', verb: 'get' },
  { request: GET.slice(0, 25), refused: 'length', why: 'key cut', memcached: 'silent', verb: 'get' },
  { request: `${GET}x`, refused: 'trailing', why: 'one byte behind', memcached: 'accepts', verb: 'get' },
  { request: GET + GET, refused: 'trailing', why: 'two requests', memcached: 'accepts', verb: 'get' },
  { request: binary({ op: 0 }), refused: 'key', why: 'get without key', memcached: 'error', verb: 'get' },
  {
    request: binary({ op: 0, key: KEY_251 }),
    refused: 'key',
    why: 'key of 251 bytes',
    memcached: 'error',
    verb: 'get',
  },
  {
    request: binary({ op: 0, key: 'k1', extras: '\0\0\0\0' }),
    refused: 'arguments',
    why: 'extras',
    memcached: 'error',
  },
  { request: binary({ op: 0, key: 'k1', value: 'v' }), refused: 'length', why: 'value', memcached: 'error' },
  {
    request: binary({ op: 0, key: 'k1', keyLength: 3 }),
    refused: 'length',
    why: 'key longer than the body',
    memcached: 'silent',
  },
  {
    request: binary({ op: 1, key: 'k1', keyLength: 3, extras: SET_EXTRAS }),
    refused: 'length',
    why: 'key and extras longer than the body, which is as long as the datagram',
    memcached: 'silent',
    verb: 'set',
  },
  {
    request: binary({ op: 0, key: 'k1', bodyLength: 1 }),
    refused: 'length',
    why: 'body shorter than the key',
    memcached: 'error',
  },
  {
    request: binary({ op: 0, key: 'k1', bodyLength: 0xffffffff }),
    refused: 'length',
    why: 'body of 4 GiB',
    memcached: 'error',
  },
  {
    request: binary({ op: 1, key: 'k1', extras: SET_EXTRAS, value: 'abc', bodyLength: 14 }),
    refused: 'length',
    why: 'set with one byte too few',
    memcached: 'poisoned',
    verb: 'set',
  },
  {
    request: binary({ op: 1, key: 'k1', extras: SET_EXTRAS, value: 'abc', bodyLength: 60 }),
    refused: 'length',
    why: 'set with far too few',
    memcached: 'poisoned',
    verb: 'set',
  },
  {
    request: binary({ op: 0x11, key: 'k1', extras: SET_EXTRAS, value: 'abc', bodyLength: 60 }),
    refused: 'length',
    why: 'setq with far too few',
    memcached: 'poisoned',
    verb: 'set',
    marks: ['quiet'],
  },
  {
    request: binary({ op: 0x0e, key: 'k1', value: 'abc', bodyLength: 60 }),
    refused: 'length',
    why: 'append with far too few',
    memcached: 'poisoned',
    verb: 'append',
  },
  {
    request: binary({ op: 1, key: 'k1', extras: SET_EXTRAS, value: 'abc', bodyLength: 12 }),
    refused: 'trailing',
    why: 'set with one byte too many',
    memcached: 'accepts',
    verb: 'set',
  },
  { request: binary({ op: 1, key: 'k1', value: 'abc' }), refused: 'arguments', why: 'no extras', memcached: 'error' },
  { request: binary({ op: 1, extras: SET_EXTRAS, value: 'abc' }), refused: 'key', why: 'no key', memcached: 'error' },
  { request: binary({ op: 5, key: 'number' }), refused: 'arguments', why: 'incr without extras', memcached: 'error' },
  { request: binary({ op: 0x1c, key: 'k1' }), refused: 'arguments', why: 'touch without extras', memcached: 'error' },
  {
    request: binary({ op: 0x1d, key: 'k1', extras: TOUCH_EXTRAS, value: 'v' }),
    refused: 'length',
    why: 'gat with a value',
    memcached: 'accepts',
    verb: 'gat',
  },
  {
    request: binary({ op: 0x0e, extras: '\0', key: 'k1' }),
    refused: 'arguments',
    why: 'append: extras',
    memcached: 'error',
  },
  { request: binary({ op: 0x0a, key: 'k1' }), refused: 'arguments', why: 'noop with a key', memcached: 'error' },
  { request: binary({ op: 0x0b, value: 'v' }), refused: 'length', why: 'version with a value', memcached: 'error' },
  { request: binary({ op: 0x08, extras: '\0\0' }), refused: 'arguments', why: 'flush: 2 bytes', memcached: 'error' },
  {
    request: binary({ op: 0x1b, key: 'k1' }),
    refused: 'verb',
    why: 'verbosity is not implemented',
    memcached: 'poisoned',
  },
  { request: binary({ op: 0x30, key: 'k1' }), refused: 'verb', why: 'range get', memcached: 'poisoned' },
  { request: binary({ op: 0xff }), refused: 'verb', why: 'no such opcode', memcached: 'error' },
  {
    request: binary({ op: 0xff, bodyLength: 60 }),
    refused: 'verb',
    why: 'memcached swallows the body of an unknown opcode, having read the key of it already',
    memcached: 'poisoned',
  },
];

export const BAD: BadRow[] = [
  ...[...EVERY_TEXT_VERB, ...EVERY_STORE, ...CLASSIC_STORES, ...TEXT].map(classicOrMeta),
  ...META_BAD.map(row => ({ protocol: 'meta' as const, verb: row.request.slice(0, 2), ...row })),
  ...BINARY_BAD.map(row => ({ protocol: 'binary' as const, ...row })),
];

function classicOrMeta(row: BadRow): BadRow {
  return { protocol: /^m[gsdae]$/.test(row.verb ?? '') ? 'meta' : 'ascii', ...row };
}
