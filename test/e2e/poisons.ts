/** Stores that lie about the length of their value, of every storing verb there is. A character is a byte (latin1). */
import { binaryRequest } from '../support/lane-bed-frames.ts';

export interface Poison {
  /** Frame header excluded. */
  readonly body: string;
  readonly kind: 'truncated' | 'oversize';
  readonly quiet: boolean;
}

const VALUE = 'abc';
/** Declared lengths that are beyond the value: by a byte, by a few datagrams, by hundreds, by more than can be. */
const TOO_LONG = [4, 200, 2_000_000, 4_294_967_295];
const TOO_SHORT = [0, 2];

/** Line of a text store that declares `bytes`. */
const TEXT_STORES: readonly ((bytes: number) => string)[] = [
  ...['set', 'add', 'replace', 'append', 'prepend'].map(verb => (bytes: number) => `${verb} t 0 0 ${bytes}`),
  bytes => `cas t 0 0 ${bytes} 7`,
  bytes => `ms t ${bytes}`,
  bytes => `ms t ${bytes} MA T60`,
  bytes => `ms dA== ${bytes} b C7`,
];

const SET_EXTRAS = '\0'.repeat(8);
/** set, add, replace, append, prepend, and their quiet twins. */
const BINARY_STORES = [0x01, 0x02, 0x03, 0x0e, 0x0f, 0x11, 0x12, 0x13, 0x19, 0x1a];

function textPoisons(line: (bytes: number) => string): Poison[] {
  const store = (bytes: number, value: string, tail = '') => `${line(bytes)}${tail}\r\n${value}`;
  const quiet = line(0).startsWith('ms') ? ' q' : ' noreply';
  const truncated = [
    ...TOO_LONG.map(bytes => store(bytes, `${VALUE}\r\n`)),
    store(3, ''),
    store(3, VALUE),
    store(3, `${VALUE}\n`),
  ];
  const oversize = TOO_SHORT.flatMap(bytes => [store(bytes, `${VALUE}\r\n`), store(bytes, `${VALUE}\r\nget t\r\n`)]);
  return [
    ...truncated.map(body => ({ body, kind: 'truncated', quiet: false }) as const),
    { body: store(200, `${VALUE}\r\n`, quiet), kind: 'truncated', quiet: true },
    ...oversize.map(body => ({ body, kind: 'oversize', quiet: false }) as const),
    { body: store(2, `${VALUE}\r\n`, quiet), kind: 'oversize', quiet: true },
  ];
}

function binaryPoisons(opcode: number): Poison[] {
  const extras = [0x0e, 0x0f, 0x19, 0x1a].includes(opcode) ? '' : SET_EXTRAS;
  const honest = extras.length + 1 + VALUE.length;
  const quiet = opcode > 0x10;
  const lie = (bodyLength: number) => binaryRequest({ opcode, extras, key: 't', value: VALUE, bodyLength });
  return [
    ...[honest + 1, honest + 200, 2_000_000].map(length => ({ body: lie(length), kind: 'truncated', quiet }) as const),
    { body: lie(honest - 1), kind: 'oversize', quiet },
  ];
}

export const POISONS: readonly Poison[] = [
  ...TEXT_STORES.flatMap(textPoisons),
  ...BINARY_STORES.flatMap(binaryPoisons),
];
