/** The command line where no interface is needed: help, mistakes, schema, explain. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requireBuild } from '../support/requirements.ts';
import { finish, keysteer } from './command.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const COMMANDS = [
  'run',
  'explain',
  'schema',
  'init',
  'doctor',
  'plain-proxy',
  'demo',
  'capture',
  'replay',
  'status',
  'top',
  'nodes',
  'reload',
  'get',
  'set',
  'stats',
  'ping',
];

const CONFIG = `vip: 10.77.0.100:11211
mode: nat
ports:
  client: { interface: cl0 }
  server: { interface: sv0, address: 10.77.1.1/24 }
nodes:
  - { name: mc1, address: 10.77.1.11:11211 }
  - { name: mc2, address: 10.77.1.12:11211, weight: 2 }
`;

describe.skipIf(requireBuild())('the command line', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysteer-e2e-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function config(text: string): string {
    const path = join(folder, 'f.yaml');
    writeFileSync(path, text);
    return path;
  }

  test('npx finds it from the checkout, and --help names every command', async () => {
    const { code, stdout } = await finish(['npx', '--no-install', 'keysteer', '--help'], ROOT);
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
  });

  test.each([
    ['a flag that does not exist', ['run', '--vipp', '10.0.0.1'], "unknown option '--vipp'"],
    ['a command that does not exist', ['steer'], "unknown command 'steer'"],
    ['a flag without its value', ['run', '--vip'], "option '--vip <ADDRESS[:PORT]>' argument missing"],
    ['a missing argument', ['explain'], "missing required argument 'key'"],
  ])('%s: exit status 2, and where to look', async (_what, args, message) => {
    const { code, stdout, stderr } = await keysteer(args);
    expect(stderr).toContain(message);
    expect(stderr).toContain('--help');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  test.each([
    [
      'a wrong value',
      ['weight: 2', 'weight: 101'],
      '8:53',
      'nodes[1].weight is 101; it must be a whole number from 0 to 100',
    ],
    ['an unknown field', ['mode:', 'mod:'], '2:1', 'mod is not a known field; did you mean "mode"?'],
    ['no YAML', ['cl0 }', 'cl0'], '5:3', 'the file is not valid YAML'],
    [
      'a broken rule over two fields',
      ['10.77.1.12', '10.99.1.12'],
      '8:27',
      'nodes[1].address is "10.99.1.12:11211"; it must be a host in the subnet of ports.server.address (10.77.1.1/24)',
    ],
  ] as const)('a config with %s: exit status 1, the place and the rule', async (_what, [good, bad], place, rule) => {
    const path = config(CONFIG.replace(good, bad));
    const { code, stdout, stderr } = await keysteer(['run', '--config', path]);
    expect(stderr).toContain(`${path}:${place}: ${rule}`);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  });

  test('a config file that is not there: exit status 1, named', async () => {
    const { code, stderr } = await keysteer(['run', '--config', '/nowhere/f.yaml']);
    expect(stderr).toContain('/nowhere/f.yaml');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
  });

  test('schema prints the JSON Schema of the file', async () => {
    const { code, stdout } = await keysteer(['schema']);
    expect(code).toBe(0);
    const schema = JSON.parse(stdout);
    expect(schema.$schema).toContain('draft-07');
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(['vip', 'mode', 'ports', 'nodes']));
  });

  test('explain says the same for people and for programs', async () => {
    const path = config(CONFIG);
    const json = await keysteer(['explain', 'a-key', '--config', path, '--json']);
    const text = await keysteer(['explain', 'a-key', '--config', path]);
    const { hash, slot, slots, node } = JSON.parse(json.stdout);
    expect([json.code, text.code]).toEqual([0, 0]);
    expect(slot).toBeGreaterThanOrEqual(0);
    expect(slot).toBeLessThan(slots);
    for (const said of [hash, `${slot} of ${slots}`, node.name, node.address]) expect(text.stdout).toContain(said);
  });

  test('explain tells what becomes of a source and of a verb', async () => {
    const args = ['explain', 'a-key', '--config', config(CONFIG), '--source', '10.77.1.11', '--verb', 'mg'];
    const { source, verbs } = JSON.parse((await keysteer([...args, '--json'])).stdout);
    expect(source).toEqual({ address: '10.77.1.11', refused: expect.stringContaining('node mc1') });
    expect(verbs).toEqual([
      { verb: 'mg', class: 'read', action: 'forward' },
      { verb: 'mg', class: 'write', action: 'forward' },
    ]);
    const { stdout } = await keysteer(args);
    expect(stdout).toContain('10.77.1.11: it is the address of node mc1');
    expect(stdout).toContain('mg as write: forward');
    for (const [flag, value] of [
      ['--source', 'nobody'],
      ['--verb', 'frob'],
    ] as const) {
      const refused = await keysteer(['explain', 'k', '--config', config(CONFIG), flag, value]);
      expect(refused.stderr).toContain(`${flag} is ${JSON.stringify(value)}; it must be`);
      expect(refused.code).toBe(2);
    }
  });
});
