/** Which binary runs are one request for many keys, and how keys are walked over. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isQuietRun, keyStop, nextKey, packetEnd } from '../../src/memcached/key-list.ts';
import {
  OUT_FLAGS,
  OUT_KEY_LENGTH,
  OUT_KEY_OFFSET,
  OUT_WORDS,
  parseRequest,
  REFUSED_TRAILING,
  REQUEST_MULTI_KEY,
  REQUEST_OK,
} from '../../src/memcached/request.ts';
import { binaryRequest } from '../support/lane-bed-frames.ts';

const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));

function parsed(text: string) {
  const out = new Int32Array(OUT_WORDS);
  const bytes = bytesOf(`before${text}after\n`);
  const end = 6 + text.length;
  const reason = parseRequest(bytes, 6, end, out);
  const key = Buffer.from(bytes.subarray(out[OUT_KEY_OFFSET], out[OUT_KEY_OFFSET]! + out[OUT_KEY_LENGTH]!));
  return { bytes, end, reason, isMulti: (out[OUT_FLAGS]! & REQUEST_MULTI_KEY) !== 0, key: key.toString('latin1'), out };
}

function keysOfLine(text: string): string[] {
  const { bytes, out } = parsed(text);
  const keys: string[] = [];
  for (let at = out[OUT_KEY_OFFSET]!; at >= 0; ) {
    const stop = keyStop(bytes, at);
    keys.push(Buffer.from(bytes.subarray(at, stop)).toString('latin1'));
    at = nextKey(bytes, stop);
  }
  return keys;
}

const spaces = fc.nat(3).map(count => ' '.repeat(count + 1));
const key = fc.string({ minLength: 1, maxLength: 250, unit: fc.constantFrom(...'abz09:{}\x80\xff/\x01\x7f\t') });

test('the keys of a line are those that a split at spaces finds', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(spaces, key), { minLength: 1, maxLength: 40 }), spaces, (keys, tail) => {
      for (const end of ['\r\n', '\n', `${tail}\r\n`]) {
        const line = `gets${keys.map(([gap, word]) => gap + word).join('')}${end}`;
        expect(keysOfLine(line)).toEqual(keys.map(([, word]) => word));
      }
    }),
  );
});

const getq = (name: string) => binaryRequest({ opcode: 0x09, key: name });
const getkq = (name: string) => binaryRequest({ opcode: 0x0d, key: name });
const get = (name: string) => binaryRequest({ opcode: 0x00, key: name });
const getk = (name: string) => binaryRequest({ opcode: 0x0c, key: name });
const noop = binaryRequest({ opcode: 0x0a });

describe('a run of quiet gets', () => {
  test.each([
    ['getkq, noop', getkq('a') + noop],
    ['getq, getkq, noop', getq('a') + getkq('b') + noop],
    ['getq, getk', getq('a') + getk('b')],
    ['getkq, get', getkq('a') + get('b')],
    ['getkq, getkq', getkq('a') + getkq('b')],
  ])('%s: one request for several keys', (_, run) => {
    expect(parsed(run)).toMatchObject({ reason: REQUEST_OK, isMulti: true, key: 'a' });
  });

  test.each([
    ['noop, getkq', noop + getkq('a')],
    ['noop, noop', noop + noop],
    ['get, get', get('a') + get('b')],
    ['get, noop', get('a') + noop],
    ['getkq, noop, noop', getkq('a') + noop + noop],
    ['getkq, getk, getkq', getkq('a') + getk('b') + getkq('c')],
    ['getkq, delete', getkq('a') + binaryRequest({ opcode: 0x04, key: 'b' })],
    ['getkq, gatkq', getkq('a') + binaryRequest({ opcode: 0x24, key: 'b', extras: '\0\0\0\0' })],
    ['getkq, version', getkq('a') + binaryRequest({ opcode: 0x0b })],
    ['getkq with extras', getkq('a') + binaryRequest({ opcode: 0x0d, key: 'b', extras: '\0\0\0\0' })],
    ['a noop with a key', getkq('a') + binaryRequest({ opcode: 0x0a, key: 'k' })],
    ['getkq, a response', `${getkq('a')}\x81${noop.slice(1)}`],
    ['getkq, text', `${getkq('a')}get b\r\n`],
    ['getkq, half a noop', getkq('a') + noop.slice(0, -1)],
  ])('%s: more than one command', (_, run) => {
    expect(parsed(run)).toMatchObject({ reason: REFUSED_TRAILING, isMulti: false });
  });

  test('alone it is a request like any other', () => {
    expect(parsed(getkq('a'))).toMatchObject({ reason: REQUEST_OK, isMulti: false, key: 'a' });
  });

  test('whatever stands behind its first packet, nothing behind the end is read, and a run is walked to its end', () => {
    const packet = fc.constantFrom(getkq('abc'), getq('d'), noop, get('e'), getk('f'), '\x80\x0d\0\xff\0\0\0\0');
    const junk = fc.uint8Array({ maxLength: 60 }).map(bytes => Buffer.from(bytes).toString('latin1'));
    fc.assert(
      fc.property(fc.array(fc.oneof(packet, packet, junk), { maxLength: 6 }), fc.nat(80), (parts, cutOff) => {
        const run = getkq('a') + parts.join('');
        const text = run.slice(0, Math.max(25, run.length - cutOff));
        const alone = parsed(text);
        const bytes = Uint8Array.from([...bytesOf(text), ...bytesOf(noop.repeat(20))]);
        expect(isQuietRun(bytes, 0, text.length)).toBe(isQuietRun(bytesOf(text), 0, text.length));
        if (!alone.isMulti) return;
        let at = 6;
        while (at < alone.end) at = packetEnd(alone.bytes, at);
        expect(at).toBe(alone.end);
      }),
      { numRuns: 500 },
    );
  });
});
