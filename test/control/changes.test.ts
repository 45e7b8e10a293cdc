import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/control/config/load.ts';
import { changeLines, changesBetween, isLive, isNothing } from '../../src/control/reload/changes.ts';
import { movedShare, SAMPLED_KEYS } from '../../src/control/reload/moved-keys.ts';
import type { SteerNode } from '../../src/steer/nodes.ts';
import { SteerTable } from '../../src/steer/table.ts';

const BASE = `vip: 10.77.0.100
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
nodes:
  - { name: mc1, address: 10.77.1.11 }
  - { name: mc2, address: 10.77.1.12, weight: 2 }
`;

const linesFor = (right: string, wrong: string) => {
  const text = right === '' ? BASE + wrong : BASE.replace(right, wrong);
  expect(text).not.toBe(BASE);
  return changeLines(changesBetween(loadConfig(BASE, 'a'), loadConfig(text, 'b')));
};

describe('changes', () => {
  it.each<[string, string, string[]]>([
    ['weight: 2', 'weight: 0', ['node mc2: weight 2 → 0']],
    ['10.77.1.11', '10.77.1.13:11212', ['node mc1: address 10.77.1.11:11211 → 10.77.1.13:11212']],
    ['name: mc1', 'name: one', ['node one added, at 10.77.1.11:11211', 'node mc1 removed, was at 10.77.1.11:11211']],
    ['weight: 2', 'weight: 2, hash_name: old', ['node mc2: hash name 10.77.1.12 → old']],
    ['', '  - { name: mc3, address: 10.77.1.13 }\n', ['node mc3 added, at 10.77.1.13:11211']],
    ['  - { name: mc1, address: 10.77.1.11 }\n', '', ['node mc1 removed, was at 10.77.1.11:11211']],
    ['', 'steering: { hash: md5 }\n', ['steering.hash: "murmur3" → "md5"']],
    ['', 'lanes: 2\npin: [0, 1]\n', ['lanes: 1 → 2', 'pin: none → a list of 2']],
    ['cl0 }', 'cl0, ring: { frames: 64 } }', ['ports.client.ring.frames: 1024 → 64']],
    ['', 'admin: off\n', ['admin: a mapping → "off"']],
    ['', 'admin: { listen: /k }\n', ['admin.listen: none → "/k"']],
  ])('%j → %j', (right, wrong, lines) => {
    expect(linesFor(right, wrong)).toEqual(lines);
  });

  it.each([
    ['vip: 10.77.0.100', 'vip: 10.77.0.100:11211'],
    ['address: 10.77.1.11 }', 'address: 10.77.1.11:11211, weight: 1 }'],
    ['', 'lanes: 1\nslots: {}\n'],
  ])('%j → %j says the same', (right, same) => {
    const text = right === '' ? BASE + same : BASE.replace(right, same);
    expect(isNothing(changesBetween(loadConfig(BASE, 'a'), loadConfig(text, 'b')))).toBe(true);
  });

  it('another order of the nodes is a change of its own', () => {
    const [, one, two] = /( {2}- .*mc1.*\n)( {2}- .*mc2.*\n)/.exec(BASE)!;
    const swapped = BASE.replace(one! + two!, two! + one!);
    const changes = changesBetween(loadConfig(BASE, 'a'), loadConfig(swapped, 'b'));
    expect(changeLines(changes)).toEqual(['nodes: another order']);
    expect(isNothing(changes)).toBe(false);
  });

  it.each([
    [['steering', 'algorithm'], true],
    [['nodes'], true],
    [['slots', 'count'], false],
    [['admin'], false],
    [['vip'], false],
  ])('%j is live: %s', (path, live) => {
    expect(isLive(path)).toBe(live);
  });
});

describe('movedShare', () => {
  const tableOf = (nodes: readonly SteerNode[], algorithm: 'ketama' | 'maglev' = 'ketama') => {
    const capacity = { nodesMax: 8, lanesMax: 1 };
    const table = new SteerTable(new SharedArrayBuffer(SteerTable.byteLength(capacity)), 0, capacity);
    table.publish(nodes, { algorithm, hash: 'murmur3' });
    return table;
  };
  const node = (n: number, fields: Partial<SteerNode> = {}): SteerNode => {
    return { address: 0x0a000000 + n, port: 11211, weight: 1, neighbour: 0, ...fields };
  };
  const four = [1, 2, 3, 4].map(n => node(n));

  it('of a table and itself is 0, also when its rows and neighbours are others', () => {
    const others = four.map((same, i) => ({ ...same, row: 7 - i, neighbour: i }));
    expect(movedShare(tableOf(four), tableOf(others))).toBe(0);
  });

  it.each(['ketama', 'maglev'] as const)('is the share of the node that goes: %s', algorithm => {
    const [first, ...rest] = four;
    const gone = movedShare(tableOf(four, algorithm), tableOf([{ ...first!, available: false }, ...rest], algorithm));
    expect(gone).toBeGreaterThan(0.18);
    expect(gone).toBeLessThan(0.32);
  });

  it('is 1 where every key goes elsewhere, to a node at another port as well, or nowhere', () => {
    expect(movedShare(tableOf([node(1)]), tableOf([node(2)]))).toBe(1);
    expect(movedShare(tableOf([node(1)]), tableOf([node(1, { port: 11212 })]))).toBe(1);
    expect(movedShare(tableOf([node(1)]), tableOf([node(1, { weight: 0 })]))).toBe(1);
    expect(movedShare(tableOf([]), tableOf([]))).toBe(0);
  });

  it('is exact to the sample', () => {
    const share = movedShare(tableOf(four), tableOf(four, 'maglev'));
    expect(share * SAMPLED_KEYS).toBeCloseTo(Math.round(share * SAMPLED_KEYS), 6);
    expect(share).toBeGreaterThan(0.6); // two unrelated rings of four agree on a quarter
    expect(share).toBeLessThan(0.9);
  });
});
