/** The section `hot`: which keys are hot, and what is done about them. */

import { z } from 'zod';
import { REPLICAS_MAX } from '../../coherence/directory.ts';
import { OPERATIONS_LIMIT } from '../../dataplane/hot/operations.ts';
import { mapping, number, oneOf, powerOfTwo, share, wholeNumber, yesOrNo } from './fields.ts';

const KEY_BYTES_MAX = 250;
const KEY_RULE = `must be a memcached key: 1 to ${KEY_BYTES_MAX} bytes without spaces and control characters`;
const KEYS_MAX = 1024;

/** What lanes take for a plain key (memcached/own-meta.ts), as text. */
export function isKey(text: string): boolean {
  const bytes = Buffer.byteLength(text);
  return bytes >= 1 && bytes <= KEY_BYTES_MAX && [...text].every(letter => letter > ' ' && letter !== '\x7f');
}

/** Detectors that go by `error`; the others are as exact as their memory allows. */
const BY_ERROR: readonly string[] = ['lossy', 'probabilistic', 'mnemonic', 'space-saving'];

/** A detector that errs by the share it looks for names anything. */
export function isShareFound({ detector, error }: { detector: string; error: number }, share: number): boolean {
  return error < share || !BY_ERROR.includes(detector);
}

const keyList = () =>
  z
    .array(z.string({ error: KEY_RULE }).refine(isKey, { error: KEY_RULE }), { error: 'must be a list of keys' })
    .max(KEYS_MAX, { error: `must have at most ${KEYS_MAX} keys` })
    .default([]);

const instant = mapping({
  window: wholeNumber(64, 65536)
    .default(1024)
    .describe('Requests that are looked back on, 64 to 65536; under load, requests that a lane samples.'),
  count: wholeNumber(2, 255)
    .default(16)
    .describe('Requests for one key among them from which it is hot at once, 2 to 255.'),
});

export const hot = mapping({
  enabled: yesOrNo()
    .default(true)
    .describe('Whether hot keys are looked for and treated. Without, every request goes to the home of its key.'),
  cache: yesOrNo()
    .default(true)
    .describe('Whether Keysteer answers reads of hot keys itself. Without, they are only copied to more nodes.'),
  keys: powerOfTwo(64, 262144)
    .default(65536)
    .describe(
      'Keys that can be hot at a time: a power of two, 64 to 262144. 2 KiB each, of address space; what is used is touched.',
    ),
  l1_keys: powerOfTwo(8, 32768)
    .default(1024)
    .describe('Of those, in the layer that is looked up first: a power of two, at most half of hot.keys.'),
  detector: oneOf(['self-adaptive', 'lossy', 'probabilistic', 'mnemonic', 'weighted', 'space-saving'])
    .default('self-adaptive')
    .describe(
      'How requests are counted. self-adaptive: as exactly as detector_bytes allows; lossy, probabilistic, mnemonic and space-saving: as exactly as error says; weighted: as self-adaptive, by units of 64.',
    ),
  detector_bytes: powerOfTwo(16384, 67108864)
    .default(1048576)
    .describe('Memory of the detectors self-adaptive and weighted, per lane: a power of two, 16384 to 67108864.'),
  share: number(0.000001, 0.5)
    .default(0.000004)
    .describe('Share of all requests from which a key is hot, 0.000001 to 0.5.'),
  error: number(0.000001, 0.5)
    .default(0.000002)
    .describe(
      'Error of a counted share that the other detectors allow themselves, 0.000001 to 0.5; with those below hot.share. The smaller, the more memory.',
    ),
  epoch_ms: wholeNumber(100, 60000)
    .default(4000)
    .describe('Time after which what was counted counts half, and keys that cooled down leave, milliseconds.'),
  instant: instant.prefault({}).describe('When a key is hot without waiting for its share.'),
  imbalance: number(1.01, 10)
    .default(1.1)
    .describe(
      'Load of the busiest node that is allowed, divided by the mean for its weight, 1.01 to 10. Hot keys that are not cached get as many copies as that takes.',
    ),
  copies_max: wholeNumber(1, REPLICAS_MAX + 1)
    .default(8)
    .describe(`Nodes that one key may lie on, its home among them, 1 to ${REPLICAS_MAX + 1}. 1: no copies.`),
  write_share_max: share()
    .default(0.5)
    .describe('Share of writes among the requests for a key above which it is left alone, 0 to 1.'),
  lease_s: wholeNumber(1, 3600)
    .default(10)
    .describe('How long a copy outlives Keysteer, seconds: it is renewed while the key is hot.'),
  refresh_ms: wholeNumber(10, 60000)
    .default(5000)
    .describe(
      'How often a cached value is compared with its home, milliseconds: a write that bypasses Keysteer is noticed within twice that time, except during hot.datagram_life_ms (2 s by default) after Keysteer itself has created or deleted the key: what appears at the node then is taken for a late datagram of its own, and deleted.',
    ),
  keep_s: wholeNumber(0, 86_400)
    .default(300)
    .describe(
      'How long a key that is hardly asked for any more stays hot while a quarter of hot.keys is free, seconds. With fewer free, with 0, and without hot.cache, it leaves after two epochs.',
    ),
  ttl_guard_ms: wholeNumber(0, 60000)
    .default(2000)
    .describe('A cached value is not served in the last milliseconds of its time to live: so many.'),
  datagram_life_ms: wholeNumber(50, 60000)
    .default(2000)
    .describe('Longest time that the network between Keysteer and the nodes may hold a datagram back, milliseconds.'),
  operations: wholeNumber(16, OPERATIONS_LIMIT)
    .default(1024)
    .describe(`Requests of its own for hot keys that a lane has under way, 16 to ${OPERATIONS_LIMIT}.`),
  waiting: wholeNumber(16, 65536)
    .default(1024)
    .describe('Requests that wait for a hot key (a write under way, a value being fetched), per lane, 16 to 65536.'),
  pin: keyList().describe(
    'Keys that are hot from the start and stay so. Taken literally, as UTF-8: \\xNN is four characters here, unlike in `keysteer hot`.',
  ),
  ban: keyList().describe(
    'Keys that are never treated. Taken literally, as UTF-8: \\xNN is four characters here, unlike in `keysteer hot`.',
  ),
});
