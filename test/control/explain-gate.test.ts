import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/control/config/load.ts';
import { explainVerb, whySourceIsRefused } from '../../src/control/explain-gate.ts';

const config = (rules: string) =>
  loadConfig(
    `
vip: 10.77.0.100
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
nodes: [{ name: mc1, address: 10.77.1.11 }]
${rules}
`,
    'f.yaml',
  );

describe('a source', () => {
  const NODE = 'it is the address of node mc1 (gatekeeper.nodes_may_ask)';
  const OUTSIDE = 'it is not in gatekeeper.allow, or the end of a subnet';
  const OWN = 'it is an address of Keysteer’s own';

  it.each([
    ['10.77.0.1', '', undefined],
    ['10.77.0.100', '', OWN],
    ['10.77.1.1', '', OWN],
    ['10.77.1.11', '', NODE],
    ['10.77.1.11', 'gatekeeper: { nodes_may_ask: true }', undefined],
    ['10.77.1.255', '', OUTSIDE],
    ['10.77.1.0', '', OUTSIDE],
    ['10.77.1.11', 'gatekeeper: { enabled: false }', undefined],
    ['10.77.0.1', 'gatekeeper: { allow: [10.77.0.0/31] }', undefined],
    ['10.77.0.2', 'gatekeeper: { allow: [10.77.0.0/31] }', OUTSIDE],
  ])('%s, with %j: %s', (source, rules, why) => {
    expect(whySourceIsRefused(config(rules), source)).toBe(why);
  });
});

describe('a verb', () => {
  it.each([
    ['get', '', [['read', 'forward']]],
    ['flush_all', '', [['policy', 'deny']]],
    ['flush_all', 'commands: { flush_all: broadcast }', [['policy', 'broadcast']]],
    ['stats', '', [['local', 'local']]],
    ['quit', '', [['denied', 'deny']]],
    [
      'mg',
      'commands: { deny: [writes] }',
      [
        ['read', 'forward'],
        ['write', 'deny'],
      ],
    ],
    ['frob', '', []],
    ['unknown', '', []],
  ])('%s, with %j', (verb, rules, expected) => {
    expect(explainVerb(config(rules), verb).map(row => [row.class, row.action])).toEqual(expected);
  });
});
