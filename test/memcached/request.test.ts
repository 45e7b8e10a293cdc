import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_VALUE_LENGTH,
  OUT_VALUE_OFFSET,
  parseRequest,
  REFUSAL_COUNT,
  REFUSAL_NAMES,
  REFUSED_EMPTY,
  REFUSED_LENGTH,
  REQUEST_OK,
} from '../../src/memcached/request.ts';
import { bytesOf, type Found, parseAmidst, textOf } from './placed-message.ts';
import { BAD, binary, GOOD, SET_EXTRAS } from './rows.ts';

const parse = (request: string): Found => parseAmidst(parseRequest, bytesOf(request));

/** A test's name: the request, as one would type it. */
const shown = (request: string) => JSON.stringify(request.length > 70 ? `${request.slice(0, 66)}…` : request);

describe('well-formed requests are located', () => {
  test.each(GOOD.map(row => [shown(row.request), row] as const))('%s', (_name, row) => {
    const { result, ...found } = parse(row.request);
    expect(REFUSAL_NAMES[result]).toBe('ok');
    expect(found).toMatchObject({ protocol: row.protocol, verb: row.verb, class: row.class });
    expect({ key: found.key, value: found.value, opaque: found.opaque }).toEqual({
      key: row.key,
      value: row.value,
      opaque: row.opaque,
    });
    expect(found.marks.sort()).toEqual([...(row.marks ?? [])].sort());
  });
});

describe('malformed requests are refused', () => {
  test.each(BAD.map(row => [shown(row.request), row.why, row] as const))('%s: %s', (_name, _why, row) => {
    const { result, ...found } = parse(row.request);
    expect(REFUSAL_NAMES[result]).toBe(row.refused);
    if (row.protocol !== undefined) expect(found.protocol).toBe(row.protocol);
    if (row.verb !== undefined) expect(found.verb).toBe(row.verb);
    const asksForSilence = found.marks.filter(mark => mark === 'quiet' || mark === 'noreply');
    expect(asksForSilence.sort()).toEqual([...(row.marks ?? [])].sort());
  });
});

test('a datagram without payload is refused', () => {
  expect(parse('').result).toBe(REFUSED_EMPTY);
});

test('a declared length of any number of digits is compared, not wrapped', () => {
  for (const digits of ['3000000000', '99999999999999', '18446744073709551619', '9'.repeat(1000)]) {
    expect(parse(`set k 0 0 ${digits}\r\nabc\r\n`).result).toBe(REFUSED_LENGTH);
  }
  expect(parse(`set k 0 0 ${'0'.repeat(1000)}3\r\nabc\r\n`).result).toBe(REQUEST_OK);
});

test('a value may hold anything, and the largest datagram has room for 65,000 bytes', () => {
  const value = 'get k\r\n'.repeat(9300);
  expect(parse(`set k 0 0 ${value.length}\r\n${value}\r\n`)).toMatchObject({ result: REQUEST_OK, value });
  const raw = binary({ op: 1, key: 'k', extras: SET_EXTRAS, value });
  expect(parse(raw)).toMatchObject({ result: REQUEST_OK, value });
});

describe('whatever the bytes', () => {
  /** Pieces of the language, so that random requests get past the first token. */
  const word = fc.constantFrom(
    ...['get', 'gets', 'gat', 'set', 'cas', 'incr', 'delete', 'touch', 'mg', 'ms', 'ma', 'md', 'me', 'mn', 'stats'],
    ...['noreply', 'k1', '0', '1', '-1', '60', '4294967295', 'q', 'b', 'O1', 'T5', 'Zm9v', 'abc', 'x'.repeat(251)],
    ...[' ', ' ', ' ', '  ', '\r\n', '\r\n', '\n', '\r', '\t', '\0', '\x7f', '\x80', '\xff'],
  );
  const phrase = fc.array(word, { maxLength: 14 }).map(words => words.join(''));
  const noise = fc.uint8Array({ maxLength: 80 }).map(textOf);
  const header = fc
    .tuple(fc.nat(255), fc.string({ maxLength: 12 }), fc.nat(40), fc.nat(24), fc.nat(60))
    .map(([op, key, keyLength, extrasLength, bodyLength]) =>
      binary({ op, key, keyLength, extrasLength, bodyLength, cas: 'x'.repeat(8) }),
    );

  test('nothing throws, nothing outside is read, what is located lies inside', () => {
    fc.assert(
      fc.property(fc.oneof(phrase, noise, header), request => {
        const { result, out } = parse(request);
        expect(result).toBeGreaterThanOrEqual(REQUEST_OK);
        expect(result).toBeLessThan(REFUSAL_COUNT);
        const end = 42 + bytesOf(request).length;
        if (out[OUT_KEY_OFFSET] >= 0) {
          expect(out[OUT_KEY_OFFSET]).toBeGreaterThan(42);
          expect(out[OUT_KEY_OFFSET] + out[OUT_KEY_LENGTH]).toBeLessThanOrEqual(end);
        }
        if (result === REQUEST_OK && out[OUT_VALUE_LENGTH] >= 0) {
          const behind = textOf(bytesOf(request)).startsWith('\x80') ? 0 : 2;
          expect(out[OUT_VALUE_OFFSET] + out[OUT_VALUE_LENGTH] + behind).toBe(end);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('a well-formed request, cut or with one byte changed, does not throw either', () => {
    const damaged = fc
      .tuple(fc.constantFrom(...GOOD), fc.nat(), fc.nat(255), fc.boolean())
      .map(([{ request }, position, byte, isCut]) => {
        const at = position % request.length;
        const rest = isCut ? '' : String.fromCharCode(byte) + request.slice(at + 1);
        return request.slice(0, at) + rest;
      });
    fc.assert(
      fc.property(damaged, request => {
        parse(request);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('requests made of any parts are located exactly', () => {
  const textKey = fc
    .array(
      fc.nat(255).filter(byte => ![0, 10, 32].includes(byte)),
      { minLength: 1, maxLength: 250 },
    )
    .map(codes => String.fromCharCode(...codes))
    .filter(key => !key.endsWith('\r'));
  const anyBytes = (maxLength: number) => fc.uint8Array({ maxLength }).map(textOf);
  const gap = fc.constantFrom(' ', '  ', '    ');
  const lineEnd = fc.constantFrom('\r\n', '\n', ' \r\n');
  const store = fc.constantFrom('set', 'add', 'replace', 'append', 'prepend');

  test('classic stores', () => {
    const parts = fc.tuple(store, textKey, fc.nat(0xffffffff), fc.integer(), anyBytes(300), gap, lineEnd);
    fc.assert(
      fc.property(parts, fc.boolean(), ([verb, key, flags, exptime, value, space, end], quiet) => {
        const words = [verb, key, flags, exptime, value.length, ...(quiet ? ['noreply'] : [])];
        const found = parse(`${words.join(space)}${end}${value}\r\n`);
        expect(found).toMatchObject({ result: REQUEST_OK, verb, key, value });
        expect(found.marks).toEqual(quiet ? ['quiet', 'noreply'] : []);
      }),
    );
  });

  test('reads of one key and of many', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('get', 'gets'),
        fc.array(textKey, { minLength: 1, maxLength: 5 }),
        gap,
        lineEnd,
        (verb, keys, space, end) => {
          const found = parse(`${verb}${space}${keys.join(space)}${end}`);
          expect(found).toMatchObject({ result: REQUEST_OK, verb, key: keys[0], value: undefined });
          expect(found.marks).toEqual(keys.length > 1 ? ['multi'] : []);
        },
      ),
    );
  });

  test('ms and mg with flags in any order', () => {
    const opaque = fc.array(fc.constantFrom(...'aZ0-_.'), { maxLength: 31 }).map(letters => letters.join(''));
    const others = fc.shuffledSubarray(['q', 'c', 'k', 't', 'T60', 'F7', 'MS', 'I']);
    fc.assert(
      fc.property(textKey, anyBytes(200), opaque, others, lineEnd, (key, value, token, flags, end) => {
        const tail = [...flags, `O${token}`].join(' ');
        const set = parse(`ms ${key} ${value.length} ${tail}${end}${value}\r\n`);
        expect(set).toMatchObject({ result: REQUEST_OK, verb: 'ms', key, value, opaque: token });
        const get = parse(`mg ${key} ${tail}${end}`);
        expect(get).toMatchObject({ result: REQUEST_OK, verb: 'mg', key, value: undefined, opaque: token });
        expect(get.class).toBe(flags.includes('T60') ? 'write' : 'read');
        expect(get.marks).toEqual(flags.includes('q') ? ['quiet'] : []);
      }),
    );
  });

  test('binary stores, keys and values of any bytes', () => {
    const key = fc.uint8Array({ minLength: 1, maxLength: 250 }).map(textOf);
    fc.assert(
      fc.property(key, anyBytes(300), (key, value) => {
        const found = parse(binary({ op: 1, key, value, extras: SET_EXTRAS, opaque: '\0\r\n\xff' }));
        expect(found).toMatchObject({ result: REQUEST_OK, verb: 'set', key, value, opaque: '\0\r\n\xff' });
        expect(found.marks).toEqual(/[\0\r\n ]/.test(key) ? ['raw'] : []);
      }),
    );
  });

  test('numbers at and around their limits', () => {
    const limits: [request: (n: bigint) => string, least: bigint, most: bigint][] = [
      [n => `set k ${n} 0 0\r\n\r\n`, 0n, 2n ** 32n - 1n],
      [n => `set k 0 ${n} 0\r\n\r\n`, -(2n ** 31n), 2n ** 31n - 1n],
      [n => `touch k ${n}\r\n`, -(2n ** 31n), 2n ** 31n - 1n],
      [n => `gat ${n} k\r\n`, -(2n ** 31n), 2n ** 31n - 1n],
      [n => `incr k ${n}\r\n`, 0n, 2n ** 64n - 1n],
      [n => `cas k 0 0 0 ${n}\r\n\r\n`, 0n, 2n ** 64n - 1n],
      [n => `ms k 0 F${n}\r\n\r\n`, 0n, 2n ** 32n - 1n],
      [n => `ma k D${n}\r\n`, 0n, 2n ** 64n - 1n],
    ];
    const number = fc.oneof(
      fc.bigInt(-(2n ** 70n), 2n ** 70n),
      fc.constantFrom(31n, 32n, 64n).chain(bits => fc.bigInt(2n ** bits - 3n, 2n ** bits + 3n)),
      fc.bigInt(-(2n ** 31n) - 3n, -(2n ** 31n) + 3n),
      fc.bigInt(-20n, 20n),
    );
    fc.assert(
      fc.property(fc.constantFrom(...limits), number, ([request, least, most], n) => {
        expect(parse(request(n)).result === REQUEST_OK).toBe(n >= least && n <= most);
      }),
      { numRuns: 1000 },
    );
  });
});
