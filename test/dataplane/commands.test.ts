import { describe, expect, test } from 'vitest';
import {
  ACTION_NAMES,
  ACTION_WORDS,
  actionAt,
  type CommandPolicy,
  DEFAULT_POLICY,
  DENIABLE,
  WRITES,
  writeActions,
} from '../../src/dataplane/commands.ts';
import { OUT_CLASS, OUT_VERB } from '../../src/memcached/located.ts';
import { parseRequest, REQUEST_OK } from '../../src/memcached/request.ts';
import { bytesOf, parseAmidst } from '../memcached/placed-message.ts';
import { binary, GOOD } from '../memcached/rows.ts';

const DIRT = -77;

/** What becomes of a request under a policy. */
function actionOf(request: string, policy: Partial<CommandPolicy> = {}): string {
  const words = new Int32Array(ACTION_WORDS + 2).fill(DIRT);
  writeActions(words, 1, { ...DEFAULT_POLICY, ...policy });
  expect([words[0], words.at(-1)]).toEqual([DIRT, DIRT]);
  const { result, out } = parseAmidst(parseRequest, bytesOf(request));
  expect(result).toBe(REQUEST_OK);
  return ACTION_NAMES[words[1 + actionAt(out[OUT_VERB]!, out[OUT_CLASS]!)]!]!;
}

test('by default every request is treated as its class says', () => {
  const byClass = { read: 'forward', write: 'forward', local: 'local', policy: 'deny', denied: 'deny' };
  for (const row of GOOD) expect([row.request, actionOf(row.request)]).toEqual([row.request, byClass[row.class]]);
});

describe('a policy', () => {
  test.each([
    [{ flushAll: 'broadcast' }, 'flush_all\r\n', 'broadcast'],
    [{ flushAll: 'broadcast' }, binary({ op: 0x18 }), 'broadcast'],
    [{ flushAll: 'broadcast' }, 'verbosity 1\r\n', 'deny'],
    [{ verbosity: 'broadcast' }, 'verbosity 1\r\n', 'broadcast'],
    [{ me: 'forward' }, 'me k\r\n', 'forward'],
    [{ me: 'forward', deny: ['me'] }, 'me k\r\n', 'deny'],
    [{ flushAll: 'broadcast', deny: ['flush_all'] }, 'flush_all\r\n', 'deny'],
    [{ deny: ['touch'] }, 'touch k 1\r\n', 'deny'],
    [{ deny: ['touch'] }, 'get k\r\n', 'forward'],
    [{ deny: ['get'] }, binary({ op: 0x0d, key: 'k' }), 'deny'],
    [{ deny: ['get'] }, 'gets k\r\n', 'forward'],
    [{ deny: ['stats'] }, binary({ op: 0x10 }), 'deny'],
    [{ deny: ['mg'] }, 'mg k v\r\n', 'deny'],
    [{ deny: ['mg'] }, 'mg k v T0\r\n', 'deny'],
    [{ deny: [WRITES] }, 'mg k v\r\n', 'forward'],
    [{ deny: [WRITES] }, 'mg k v T0\r\n', 'deny'],
    [{ deny: [WRITES] }, 'version\r\n', 'local'],
  ] as const)('%j: %j is %s', (policy, request, action) => {
    expect(actionOf(request, policy)).toBe(action);
  });

  test('against writes denies all of them and nothing else', () => {
    for (const row of GOOD.filter(candidate => candidate.class !== 'policy' && candidate.class !== 'denied')) {
      const isDenied = actionOf(row.request, { deny: [WRITES] }) === 'deny';
      expect([row.request, isDenied]).toEqual([row.request, row.class === 'write']);
    }
  });

  test('can name each verb that is not denied anyway', () => {
    const verbs = new Set(GOOD.filter(row => row.class !== 'denied').map(({ verb }) => verb));
    expect(new Set(DENIABLE)).toEqual(new Set([WRITES, ...verbs]));
    for (const row of GOOD.filter(candidate => candidate.class !== 'denied')) {
      expect(actionOf(row.request, { me: 'forward', flushAll: 'broadcast', deny: [row.verb] })).toBe('deny');
    }
  });
});
