/** Requests of all protocols by lot, good ones and odd ones, over few keys, so that they meet. */
import type { Random } from '../random.ts';

const KEYS = ['a', 'b', 'number', 'long-key-with-many-bytes'];
const TIMES = ['0', '0', '0', '1', '2', '5', '-1', '3000000'];

export function randomRequest(random: Random): string {
  const makers = [retrieval, storage, storage, small, metaRequest, metaRequest, metaRequest, binaryRequest, odd];
  return random.of(makers)(random);
}

function key(random: Random): string {
  return random.of(KEYS);
}

function value(random: Random): string {
  if (random.chance(0.4)) return random.of(['0', '7', '99', '100', '18446744073709551615', '12 ', ' 3', '']);
  return 'v'.repeat(random.chance(0.1) ? random.whole(1300, 5000) : random.below(40));
}

/** CAS ids are small: one drawn by lot is often right. */
function cas(random: Random): string {
  return `${random.below(60)}`;
}

function noreply(random: Random): string {
  return random.chance(0.1) ? ' noreply' : '';
}

function retrieval(random: Random): string {
  const keys = Array.from({ length: random.chance(0.2) ? random.whole(2, 5) : 1 }, () => key(random)).join(' ');
  const verb = random.of(['get', 'gets', 'gat', 'gats']);
  return `${verb}${verb.startsWith('gat') ? ` ${random.of(TIMES)}` : ''} ${keys}\r\n`;
}

function storage(random: Random): string {
  const verb = random.of(['set', 'set', 'add', 'replace', 'append', 'prepend', 'cas']);
  const data = value(random);
  const token = verb === 'cas' ? ` ${cas(random)}` : '';
  const flags = random.of(['0', '5', '4294967295']);
  return `${verb} ${key(random)} ${flags} ${random.of(TIMES)} ${data.length}${token}${noreply(random)}\r\n${data}\r\n`;
}

function small(random: Random): string {
  const by = random.of(['1', '5', '90', '18446744073709551615', 'x']);
  const requests = [
    () => `incr ${key(random)} ${by}${noreply(random)}\r\n`,
    () => `decr ${key(random)} ${by}${noreply(random)}\r\n`,
    () => `delete ${key(random)}${random.of(['', '', ' 0', ' noreply', ' 5'])}\r\n`,
    () => `touch ${key(random)} ${random.of(TIMES)}${noreply(random)}\r\n`,
    () => `version\r\n`,
    () => (random.chance(0.3) ? `flush_all${random.of(['', ' 0', ' 1', ' noreply'])}\r\n` : 'mn\r\n'),
  ];
  return random.of(requests)();
}

function metaRequest(random: Random): string {
  const verb = random.of(['mg', 'mg', 'ms', 'ms', 'md', 'ma']);
  const flags = metaFlags(random, verb);
  if (verb !== 'ms') return `${verb} ${key(random)}${flags}\r\n`;
  const data = value(random);
  return `ms ${key(random)} ${data.length}${flags}\r\n${data}\r\n`;
}

function metaFlags(random: Random, verb: string): string {
  const time = () => random.of(TIMES);
  const all: Readonly<Record<string, readonly (() => string)[]>> = {
    mg: [
      ...['t', 'f', 'v', 'c', 's', 'k', 'q', 'h', 'u', 'v', 'c', 't'].map(flag => () => flag),
      () => `O${random.below(1000)}`,
      () => `T${time()}`,
      () => `N${time()}`,
      () => `R${random.of(['1', '3', '30'])}`,
    ],
    ms: [
      ...['c', 'k', 'q', 'I'].map(flag => () => flag),
      () => `O${random.below(1000)}`,
      () => `C${cas(random)}`,
      () => `T${time()}`,
      () => `F${random.below(100)}`,
      () => `M${random.of(['E', 'A', 'P', 'R', 'S', 'X'])}`,
    ],
    md: [
      ...['k', 'q', 'I'].map(flag => () => flag),
      () => `O${random.below(1000)}`,
      () => `C${cas(random)}`,
      () => `T${time()}`,
    ],
    ma: [
      ...['k', 'q', 'v', 'c', 't'].map(flag => () => flag),
      () => `O${random.below(1000)}`,
      () => `C${cas(random)}`,
      () => `T${time()}`,
      () => `N${time()}`,
      () => `J${random.below(200)}`,
      () => `D${random.below(200)}`,
      () => `M${random.of(['I', 'D', '+', '-', 'X'])}`,
    ],
  };
  const choices = all[verb]!;
  const flags = Array.from({ length: random.below(6) }, () => random.of(choices)());
  // The same letter twice is an error; now and then is enough.
  const once = flags.filter((flag, i) => flags.findIndex(other => other[0] === flag[0]) === i);
  return (random.chance(0.03) ? flags : once).map(flag => ` ${flag}`).join('');
}

const WITH_VALUE = [0x01, 0x02, 0x03, 0x11, 0x12, 0x13];
const WITH_TIME = [0x1c, 0x1d, 0x23, 0x1e, 0x24];

function binaryRequest(random: Random): string {
  const plain = [0x00, 0x0c, 0x09, 0x0d, 0x04, 0x14, 0x0a, 0x0b];
  const opcode = random.of([...plain, ...WITH_VALUE, ...WITH_TIME, 0x05, 0x06, 0x15, 0x16, 0x0e, 0x0f, 0x19, 0x1a]);
  const isKeyless = opcode === 0x0a || opcode === 0x0b;
  const extras = binaryExtras(random, opcode);
  const data = WITH_VALUE.includes(opcode) || [0x0e, 0x0f, 0x19, 0x1a].includes(opcode) ? value(random) : '';
  const name = isKeyless ? '' : key(random);
  const header = Buffer.alloc(24);
  header.set([0x80, opcode]);
  header.writeUInt16BE(name.length, 2);
  header[4] = extras.length;
  header.writeUInt32BE(extras.length + name.length + data.length, 8);
  header.writeUInt32BE(random.word() >>> 0, 12);
  if (random.chance(0.2)) header.writeUInt32BE(random.below(60), 20);
  return header.toString('latin1') + extras + name + data;
}

function binaryExtras(random: Random, opcode: number): string {
  const extras = Buffer.alloc(20);
  const seconds = Math.max(Number(random.of(TIMES)), 0);
  if (WITH_VALUE.includes(opcode)) {
    extras.writeUInt32BE(random.below(10), 0);
    extras.writeUInt32BE(seconds, 4);
    return extras.toString('latin1', 0, 8);
  }
  if (WITH_TIME.includes(opcode)) {
    extras.writeUInt32BE(seconds, 0);
    return extras.toString('latin1', 0, 4);
  }
  if (![0x05, 0x06, 0x15, 0x16].includes(opcode)) return '';
  extras.writeBigUInt64BE(BigInt(random.of([1, 5, 1000])), 0);
  extras.writeBigUInt64BE(BigInt(random.below(300)), 8);
  extras.writeUInt32BE(random.chance(0.5) ? 0xffffffff : seconds, 16);
  return extras.toString('latin1');
}

function odd(random: Random): string {
  return random.of([
    'get\r\n',
    'gets\n',
    'unknown a\r\n',
    'x\r\n',
    '  get   a  \r\n',
    'set a 0 0\r\n',
    'incr a\r\n',
    'delete\r\n',
    'delete a b c d\r\n',
    'touch a\r\n',
    'touch a x\r\n',
    'gat x a\r\n',
    'mg\r\n',
    'ms a\r\n',
    'md a z\r\n',
    'ma a Nx\r\n',
    'mg a Tx\r\n',
    'mg a z\r\n',
    'mg YQ== b k v\r\n',
    'ms YQ== 2 b k c\r\nbb\r\n',
    'mx a\r\n',
    'verbosity 1\r\n',
    'verbosity\r\n',
    `get ${'k'.repeat(251)}\r\n`,
  ]);
}
