/** `keysteer replay` and `keysteer explain` of a capture, as they are called: no privileges, no addon, no interface. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCapture } from '../../src/pcap/writer.ts';
import { everyMs } from '../capture/captures.ts';
import { readAll } from '../pcap/memory-file.ts';
import { FIRST_PORT, MC1, OWN, reply, request, toClient, toNode, VIP } from '../support/lane-bed.ts';
import { requireBuild } from '../support/requirements.ts';
import { finish, keysteer } from './command.ts';
import { CLI } from './program.ts';

const FLAGS = ['--vip', VIP, '--server-address', `${OWN}/24`, '--node', `mc1=${MC1.ip}:${MC1.port}`];
const ALL_FLAGS = [...FLAGS, '--source-port-base', String(FIRST_PORT)];
const VALUE = 'VALUE user:7 0 3\r\nabc\r\nEND\r\n';

describe.skipIf(requireBuild())('captures on the command line', () => {
  let folder: string;
  let capture: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keysteer-e2e-'));
    capture = join(folder, 'in.pcap');
    const writer = createCapture(capture);
    const frames = [request('get user:7\r\n'), reply(VALUE), request('get k\r\n', { ttl: 1 })];
    for (const frame of everyMs(frames)) writer.write(frame);
    writer.close();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('replay: what it sends, and what it says', async () => {
    const out = join(folder, 'out.pcap');
    const { code, stdout, stderr } = await keysteer(['replay', capture, '-o', out, ...ALL_FLAGS]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const said of [
      /^frames heard +3$/m,
      /^requests +1$/m,
      /^drop_ttl_expired +1$/m,
      /^node mc1 +1 requests, 1 re/m,
    ]) {
      expect(stdout).toMatch(said);
    }
    expect(stdout).toContain('drop_ttl_expired: a TTL of 1 or 0 lets it travel no further');
    expect(stdout).not.toContain('invented');
    const sent = readAll(readFileSync(out)).map(({ bytes }) => bytes);
    expect(sent.slice(1)).toEqual([toNode('get user:7\r\n'), toClient(VALUE)]);
  });

  test('replay --json; a next hop that is invented is named', async () => {
    const out = join(folder, 'json.pcapng');
    const args = ['replay', capture, '-o', out, ...ALL_FLAGS, '--node', 'mc2=10.77.1.12', '--json'];
    const { code, stdout } = await keysteer(args);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      frames: 3,
      counters: { drop_ttl_expired: 1 },
      nextHops: [{ isInvented: false }, { address: '10.77.1.12', mac: '02:4b:0a:4d:01:0c', isInvented: true }],
    });
    const text = await keysteer(args.slice(0, -1));
    expect(text.stdout).toMatch(/invented by the replay:\n {2}10\.77\.1\.12 02:4b:0a:4d:01:0c\n/);
  });

  test('neither addon nor privileges are asked for', async () => {
    const out = join(folder, 'nobody.pcap');
    writeFileSync(out, '', { mode: 0o666 });
    const drop = process.getuid!() === 0 ? ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all'] : [];
    const argv = [...drop, process.execPath, '--no-addons', CLI, 'replay', capture, '-o', out, ...ALL_FLAGS];
    const { code, stderr } = await finish(argv);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(readAll(readFileSync(out))).toHaveLength(3);
  });

  test('explain of a capture says the same for people and for programs', async () => {
    const text = await keysteer(['explain', capture, ...ALL_FLAGS]);
    const json = await keysteer(['explain', capture, ...ALL_FLAGS, '--json']);
    expect([text.code, json.code]).toEqual([0, 0]);
    const frames = json.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    expect(frames.map(({ verdict }) => verdict)).toEqual(['forwarded', 'forwarded', 'dropped']);
    expect(text.stdout.match(/^frame \d+, .*/gm)).toHaveLength(3);
    for (const { sends } of frames) {
      for (const { field, before, after, why } of sends[0]?.changes ?? []) {
        expect(text.stdout).toMatch(new RegExp(`^  ${field} `, 'm'));
        for (const said of [before, after, why]) expect(text.stdout).toContain(said);
      }
    }
    expect(text.stdout.split('\n').filter(line => line.length > 80)).toEqual([]);
  });

  test('a key that is no file is still a key', async () => {
    const { code, stdout } = await keysteer(['explain', 'user:7', '--node', `mc1=${MC1.ip}:${MC1.port}`, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ key: 'user:7', node: { name: 'mc1' } });
  });

  test.each<[what: string, args: (path: string) => string[], code: number, message: RegExp]>([
    ['no capture', () => ['replay', CLI, '-o', 'x.pcap'], 1, /main\.js: byte 0: the file begins with 0x23212f75/],
    ['no file', () => ['explain', 'nothing.pcap'], 1, /ENOENT.*nothing\.pcap/],
    ['no output', path => ['replay', path], 2, /required option '-o, --output <FILE>' not specified/],
    ['itself as output', path => ['replay', path, '-o', path], 2, /--output is .*; it must be another file/],
    [
      'a port that is none',
      path => ['replay', path, '-o', 'x', '--port', 'left'],
      2,
      /Allowed choices are client, server/,
    ],
  ])('%s', async (_what, args, expected, message) => {
    const { code, stdout, stderr } = await keysteer([...args(capture), ...ALL_FLAGS]);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' });
  });

  test('a capture that breaks off: the frames before, then its fault, exit status 1', async () => {
    const cut = join(folder, 'cut.pcap');
    writeFileSync(cut, readFileSync(capture).subarray(0, -3));
    const { code, stdout, stderr } = await keysteer(['explain', cut, ...ALL_FLAGS]);
    expect(code).toBe(1);
    expect(stdout.match(/^frame \d+, .*/gm)).toHaveLength(2);
    expect(stderr).toMatch(/cut\.pcap: byte \d+: the file ends within a frame: 54 of 57 bytes are there/);
  });
});
