import { describe, expect, test } from 'vitest';
import { configFromFlags } from '../../../src/control/config/load.ts';
import { diagnose } from '../../../src/control/doctor/diagnose.ts';
import { facts } from './facts.ts';

const TAPS = {
  vip: '10.0.0.100',
  client: 'tap0',
  clientAddress: '10.0.0.1/24',
  node: ['a=10.0.0.11'],
};

describe('without a network', () => {
  test('and without a configuration: the machine alone', async () => {
    const checks = await diagnose(facts(), undefined);
    expect(checks.map(({ status }) => status)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'skip']);
  });

  test('a configuration that is refused: its own words, and nothing that rests on it', async () => {
    const checks = await diagnose(facts(), () => configFromFlags({ ...TAPS, lanes: 65 }));
    expect(checks.at(-1)).toMatchObject({
      status: 'fail',
      what: 'the configuration cannot be used:\n--lanes: lanes is 65; it must be a whole number from 1 to 64',
    });
  });

  test('a configuration file that is not there', async () => {
    const checks = await diagnose(facts(), () => {
      throw Object.assign(new Error("ENOENT: no such file or directory, open 'f.yaml'"), { code: 'ENOENT' });
    });
    expect(checks.at(-1)).toMatchObject({ status: 'fail', what: expect.stringContaining("open 'f.yaml'") });
  });

  test('a defect is no finding', async () => {
    const defect = () => {
      throw new TypeError('undefined is not a function');
    };
    await expect(diagnose(facts(), defect)).rejects.toThrow(TypeError);
  });

  test('interfaces that are not there: each is named, the network not asked', async () => {
    const checks = await diagnose(facts({ interfaces: [] }), () => configFromFlags(TAPS));
    expect(checks.filter(({ status }) => status === 'fail').map(({ what }) => what)).toEqual([
      'interface tap0 does not exist in this network namespace',
    ]);
    expect(checks.at(-1)).toMatchObject({ status: 'skip', what: expect.stringContaining('tap0 cannot be used') });
  });

  test('without ip and ethtool: skipped, not passed', async () => {
    const checks = await diagnose(facts({ interfaces: undefined }), () => configFromFlags(TAPS));
    const skipped = checks.filter(({ status }) => status === 'skip');
    expect(skipped[0]).toEqual({
      status: 'skip',
      what: 'interfaces were not looked at: no `ip`',
      fix: 'apt-get install iproute2',
    });
  });
});
