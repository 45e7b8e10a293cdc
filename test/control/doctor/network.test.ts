import { expect, test } from 'vitest';
import { isHealthy, ok, skip, warn } from '../../../src/control/doctor/check.ts';
import { duplicateCheck, type NodeAnswer, neighbourChecks, nodeCheck } from '../../../src/control/doctor/network.ts';
import { CONFIG } from './facts.ts';

const [NODE, DRAINED] = CONFIG.nodes as [(typeof CONFIG.nodes)[0], (typeof CONFIG.nodes)[0]];
const SILENT: NodeAnswer = { isResolved: true, echoes: false, refuses: false };
const START = 'on its host: memcached -U 11211 -l 10.77.1.11';

test.each<[string, NodeAnswer, string, string, string | undefined]>([
  ['answers', { ...SILENT, said: 'VERSION 1.6.18' }, 'ok', 'answers: memcached 1.6.18', undefined],
  ['answers something else', { ...SILENT, said: 'ERROR' }, 'warn', 'answers "ERROR" to version', START],
  [
    'refuses and echoes',
    { ...SILENT, echoes: true, refuses: true },
    'fail',
    'host up, but memcached down or without -U',
    START,
  ],
  ['refuses', { ...SILENT, refuses: true }, 'fail', 'host up, but memcached down or without -U', START],
  ['echoes alone', { ...SILENT, echoes: true }, 'fail', 'host up, but memcached down, without -U, or filtered', START],
  [
    'answers ARP alone',
    SILENT,
    'fail',
    'neither UDP nor ICMP echo',
    'ping 10.77.1.11 from another host; let UDP 11211 through',
  ],
  [
    'is not there',
    { ...SILENT, isResolved: false },
    'fail',
    'host down',
    'start the host, or see that 10.77.1.11 is its address',
  ],
])('a node that %s', (_what, answer, status, text, fix) => {
  const check = nodeCheck(NODE, answer);
  expect([check.status, check.fix]).toEqual([status, fix]);
  expect(check.what).toContain('node mc1 (10.77.1.11:11211)');
  expect(check.what).toContain(text);
});

test('a node without weight may be down: nobody waits for it', () => {
  expect(nodeCheck(DRAINED, SILENT).status).toBe('warn');
  expect(nodeCheck(DRAINED, { ...SILENT, said: 'VERSION 1.6.38' }).status).toBe('ok');
});

test('an address that somebody has', () => {
  expect(duplicateCheck('10.0.0.1', 'cl0', undefined).status).toBe('ok');
  const check = duplicateCheck('10.0.0.1', 'cl0', '02:00:00:00:00:01');
  expect(check).toMatchObject({ status: 'fail', fix: expect.stringContaining('arping -D -I cl0 10.0.0.1') });
  expect(check.what).toContain('02:00:00:00:00:01 answers for 10.0.0.1 on cl0');
});

test('next hops: one line for those that answer, one for each that does not', () => {
  const hops = new Map([
    ['10.0.0.2', '02:00:00:00:00:02'],
    ['10.0.0.3', undefined],
    ['10.0.0.4', '02:00:00:00:00:04'],
  ]);
  const checks = neighbourChecks(hops, 'sv0');
  expect(checks.map(({ status }) => status)).toEqual(['ok', 'fail']);
  expect(checks.map(({ what }) => what)).toEqual([
    '2 of 3 next hops answer ARP on sv0',
    expect.stringContaining('10.0.0.3 does not answer ARP'),
  ]);
  expect(neighbourChecks(new Map([['10.0.0.3', undefined]]), 'sv0')).toHaveLength(1);
});

test('healthy: nothing failed', () => {
  expect(isHealthy([ok('a'), warn('b', 'c'), skip('d')])).toBe(true);
  expect(isHealthy([ok('a'), { status: 'fail', what: 'b', fix: 'c' }])).toBe(false);
});
