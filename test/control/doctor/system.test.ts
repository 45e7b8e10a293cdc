import { describe, expect, test } from 'vitest';
import {
  addonCheck,
  capabilityChecks,
  cpuCheck,
  kernelCheck,
  packageCheck,
  steeringProgramCheck,
  userNamespaceCheck,
} from '../../../src/control/doctor/system.ts';
import { STATUS } from './facts.ts';

const status = (capEff: string, cpus = '0-3') =>
  `CapPrm:\t000001ffffffffff\nCapEff:\t${capEff}\nCpus_allowed_list:\t${cpus}\n`;

test.each([
  ['4.19.0-26-amd64', 'fail'],
  ['4.20.1', 'warn'],
  ['5.0.0', 'ok'],
  ['3.99.0', 'fail'],
  ['6.18.3+deb13-cloud', 'ok'],
  ['10.1', 'ok'],
] as const)('kernel %s: %s', (release, expected) => {
  const { status: found, what } = kernelCheck(release);
  expect([found, what]).toEqual([expected, expect.stringContaining(`Linux ${release}`)]);
});

describe('capabilities', () => {
  test.each([
    ['both', '0000000000003000', { raw: true, admin: true }, ['ok', 'ok']],
    ['all of root', '000001ffffffffff', { raw: true, admin: true }, ['ok', 'ok']],
    ['none, with both needed', '0000000000000000', { raw: true, admin: true }, ['fail', 'fail']],
    ['none, with neither needed', '0000000000000000', { raw: false, admin: false }, ['ok', 'ok']],
    ['NET_ADMIN alone', '0000000000001000', { raw: true, admin: true }, ['fail', 'ok']],
    ['NET_RAW alone', '0000000000002000', { raw: true, admin: true }, ['ok', 'fail']],
    ['NET_RAW alone, as af_packet needs', '0000000000002000', { raw: true, admin: false }, ['ok', 'ok']],
  ] as const)('%s', (_what, capEff, needs, expected) => {
    const checks = capabilityChecks(status(capEff), needs);
    expect(checks.map(check => check.status)).toEqual(expected);
    for (const check of checks) expect(check.fix === undefined).toBe(check.status === 'ok');
  });

  test('eBPF for a TAP with lanes', () => {
    const found = (capEff: string, restricted: boolean) => steeringProgramCheck(status(capEff), restricted).status;
    expect(found('0000000000003000', true)).toBe('fail');
    expect(found('0000000000003000', false)).toBe('ok');
    expect(found('0000008000003000', true)).toBe('ok'); // CAP_BPF
    expect(found('0000000000200000', true)).toBe('ok'); // CAP_SYS_ADMIN
  });
});

describe('CPUs', () => {
  test.each([
    ['one lane', { lanes: 1, pin: undefined }, '0-1', 'ok', '1 lane on 2 CPUs'],
    ['as many as CPUs', { lanes: 2, pin: [0, 1] }, '0-1', 'ok', '2 lanes on 2 CPUs, pinned to 0, 1'],
    ['more than CPUs', { lanes: 3, pin: undefined }, '0-1', 'warn', '3 lanes on 2 CPUs: lanes take turns'],
    ['pinned where it may not run', { lanes: 2, pin: [1, 2] }, '0-1,3', 'fail', 'pin names CPU 2'],
    ['pinned behind a gap', { lanes: 1, pin: [6] }, '0-1,6-7', 'ok', '1 lane on 4 CPUs, pinned to 6'],
    ['two lanes on one CPU', { lanes: 2, pin: [1, 1] }, '0-3', 'warn', 'several lanes on one CPU'],
  ] as const)('%s', (_what, lanes, cpus, expected, text) => {
    const check = cpuCheck(lanes, status('0', cpus));
    expect([check.status, check.what]).toEqual([expected, expect.stringContaining(text)]);
  });
});

test('what is not built or installed is named with its remedy', () => {
  expect(addonCheck('not built')).toMatchObject({ status: 'fail', fix: 'npm run build' });
  expect(addonCheck(undefined).status).toBe('ok');
  expect(userNamespaceCheck('Operation not permitted')).toMatchObject({
    status: 'warn',
    what: expect.stringContaining('(Operation not permitted)'),
  });
  const cap = { name: 'cap', lost: 'capture', install: 'npm install cap', fault: 'Cannot find module' };
  expect(packageCheck({ ...cap, isNeeded: false })).toMatchObject({ status: 'warn', fix: 'npm install cap' });
  expect(packageCheck({ ...cap, isNeeded: true }).status).toBe('fail');
  expect(packageCheck({ ...cap, isNeeded: true, fault: undefined }).status).toBe('ok');
  expect(capabilityChecks(STATUS, { raw: true, admin: true }).map(check => check.status)).toEqual(['ok', 'ok']);
});
