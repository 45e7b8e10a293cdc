import { describe, expect, it } from 'vitest';
import { LoadOptionsError, parseLoadOptions, rowsPerFlow, valueRange } from '../../src/load/options.ts';

const LEAST = { interface: 'eth0', clients: ['10.0.0.1'], targets: ['10.0.0.2:11211'] };

describe('options', () => {
  it('the least there must be, and what follows', () => {
    expect(parseLoadOptions(LEAST)).toMatchObject({
      protocol: 'classic',
      keyCount: 100_000,
      keyBytes: 16,
      valueBytes: 64,
      getRatio: 0.9,
      zipf: 0,
      window: 64,
      timeoutMs: 500,
      checksum: 'partial',
    });
  });

  it.each([
    ['no interface', { interface: undefined }, /interface/],
    ['no client', { clients: [] }, /clients/],
    ['a client that is no address', { clients: ['10.0.0.256'] }, /clients\.0: must be an IPv4 address/],
    ['a client twice', { clients: ['10.0.0.1', '10.0.0.1'] }, /clients: an address occurs twice/],
    ['a target without a port', { targets: ['10.0.0.2'] }, /targets\.0: must be an IPv4 address and a port/],
    ['a target with port 0', { targets: ['10.0.0.2:0'] }, /targets\.0/],
    ['a target with port 65536', { targets: ['10.0.0.2:65536'] }, /targets\.0/],
    ['keys too short', { keyBytes: 7 }, /keyBytes/],
    ['keys too long', { keyBytes: 251 }, /keyBytes/],
    ['values too short to prove themselves', { valueBytes: 11 }, /valueBytes/],
    ['a range upside down', { valueBytes: [100, 50] }, /valueBytes: the least, 100, is more than the most, 50/],
    ['a value beyond one datagram', { valueBytes: 1355 }, /at most 1354/],
    ['a long key leaves less for the value', { valueBytes: 1354, keyBytes: 250 }, /at most 1120/],
    ['more keys prefilled than there are', { prefillFirst: 99_999, prefillCount: 2 }, /prefillCount/],
    ['source ports beyond 65535', { firstPort: 65_400 }, /flowsPerClient/],
    ['a ratio above 1', { getRatio: 1.1 }, /getRatio/],
    ['an unknown protocol', { protocol: 'redis' }, /protocol/],
    ['a misspelt option', { windows: 5 }, /windows/],
    ["the sink's writer", { writer: 0xffff }, /writer/],
  ])('refused: %s', (_, change, message) => {
    expect(() => parseLoadOptions({ ...LEAST, ...change })).toThrow(LoadOptionsError);
    expect(() => parseLoadOptions({ ...LEAST, ...change })).toThrow(message);
  });

  it.each([
    ['classic', 1354],
    ['meta', 1363],
    ['binary', 1348],
  ])('%s: values of up to %i bytes fit both ways', (protocol, most) => {
    expect(parseLoadOptions({ ...LEAST, protocol, valueBytes: most }).valueBytes).toBe(most);
    expect(() => parseLoadOptions({ ...LEAST, protocol, valueBytes: most + 1 })).toThrow(`at most ${most}`);
  });

  it.each([
    [64, [64, 64]],
    [
      [20, 30],
      [20, 30],
    ],
  ])('valueBytes %j: from and to', (valueBytes, range) => {
    expect(valueRange(parseLoadOptions({ ...LEAST, valueBytes }))).toEqual(range);
  });

  it.each([
    [1 << 20, 256, 4096],
    [1000, 16, 32],
    [1, 16, 1],
    [1 << 24, 1, 65_536],
  ])('%i slots over %i flows: %i rows each', (slots, flowsPerClient, rows) => {
    expect(rowsPerFlow(parseLoadOptions({ ...LEAST, slots, flowsPerClient }))).toBe(rows);
  });
});
