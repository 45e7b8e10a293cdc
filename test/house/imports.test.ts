/**
 * The house rules that a compiler does not check: who may import whom, what lies at the top level, no test left out.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');

/**
 * Room: the rooms it may import from, then the packages. `node` stands for all of Node's own modules.
 *
 * Beside what the design's table names: port's contract brings mem along (counters, arena); load and the plain
 * proxies speak in frames and addresses (wire), and steer by Keysteer's own ring (steer), or they would measure another.
 */
const TABLE: Readonly<Record<string, string>> = {
  mem: '| node:v8', // inlining.ts, a flag set once at start; nothing else
  pcap: '| node',
  wire: '',
  memcached: 'wire',
  client: 'memcached wire | node raw-socket', // stands alone: others use it as a library
  hotkey: 'mem',
  cache: 'mem',
  steer: 'mem',
  coherence: 'mem hotkey cache steer',
  port: 'mem wire | node node-gyp-build cap',
  dataplane: 'mem wire memcached hotkey cache steer coherence port | node',
  control: 'mem wire memcached hotkey cache steer coherence port dataplane | node piscina yaml zod',
  capture: 'mem wire memcached steer port pcap dataplane control | node',
  load: 'mem wire memcached port control steer | node zod',
  experiment: 'mem wire memcached steer port control load | node yaml zod',
  cli: 'mem wire memcached client hotkey cache steer coherence port dataplane control capture load experiment | node commander',
};

/** What the design puts at the top level, and the conventional files. */
const TOP_LEVEL =
  /^(package\.json|package-lock\.json|tsconfig\.json|native|src|scripts|test|bench|README\.md|CHANGELOG\.md|LICENSE|biome\.json|vitest\.config\.ts|\.ci|\.git\w*|\.npmrc|\.editorconfig)$/;
/** Made by npm and by builds, never committed. */
const GENERATED = /^(node_modules|dist)$/;

interface Import {
  readonly file: string;
  readonly target: string;
}

describe('imports', () => {
  const files = sourceFiles(join(ROOT, 'src'));

  test('every directory of src is a room of the table', () => {
    const rooms = new Set(files.map(roomOf).filter(room => room !== ''));
    expect([...rooms].filter(room => !(room in TABLE))).toEqual([]);
  });

  test('no file imports against the table', () => {
    const forbidden = files.flatMap(file => importsOf(file, readFileSync(file, 'utf8'))).filter(isForbidden);
    expect(forbidden.map(({ file, target }) => `${relative(ROOT, file)} imports ${target}`)).toEqual([]);
  });

  test('the table has no cycle: a room comes after all that it imports', () => {
    const rooms = Object.keys(TABLE);
    for (const [position, room] of rooms.entries()) {
      expect(rooms.slice(0, position)).toEqual(expect.arrayContaining(allowed(room).rooms));
    }
  });

  test.each([
    ['src/wire/udp.ts', "import { x } from './ipv4.ts';", []],
    ['src/wire/udp.ts', "import { x } from '../mem/arena.ts';", ['../mem/arena.ts']],
    ['src/wire/udp.ts', "import type { X } from '../mem/arena.ts';", ['../mem/arena.ts']],
    ['src/wire/udp.ts', "import 'node:fs';", ['node:fs']],
    ['src/mem/inlining.ts', "import { setFlagsFromString } from 'node:v8';", []],
    ['src/mem/arena.ts', "import { readFileSync } from 'node:fs';", ['node:fs']],
    ['src/mem/arena.ts', "export * from '../steer/hash.ts';", ['../steer/hash.ts']],
    ['src/steer/ketama.ts', "import {\n  a,\n  b,\n} from '../mem/murmur3.ts';", []],
    ['src/port/cap.ts', "const cap = await import('cap');", []],
    ['src/dataplane/lane.ts', "import { start } from '../control/conductor.ts';", ['../control/conductor.ts']],
    ['src/control/config.ts', "import { parseDocument } from 'yaml';", []],
    ['src/control/config.ts', "import { test } from 'vitest';", ['vitest']],
    ['src/control/config.ts', "import { x } from '../../test/support/frames.ts';", ['../../test/support/frames.ts']],
    ['src/control/config.ts', "import deep from 'zod/v4/core';", []],
    ['src/index.ts', "export * from './cli/main.ts';", []],
  ])('%s with %j: forbidden %j', (path, source, expected) => {
    const found = importsOf(join(ROOT, path), source).filter(isForbidden);
    expect(found.map(({ target }) => target)).toEqual(expected);
  });
});

describe('the tree', () => {
  test('the top level holds what the design names', () => {
    expect(topLevel().filter(name => !TOP_LEVEL.test(name))).toEqual([]);
  });

  test('no test is left out or preferred: a test that cannot run says why (test/support/requirements.ts)', () => {
    const tests = sourceFiles(join(ROOT, 'test'));
    const marked = tests.filter(file => /\.(skip|only|todo|fails)\(/.test(readFileSync(file, 'utf8')));
    expect(marked.map(file => relative(ROOT, file))).toEqual([]);
  });
});

function sourceFiles(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return entries.filter(entry => entry.endsWith('.ts')).map(entry => join(directory, entry));
}

/** `src/wire/udp.ts` → wire; a file directly in src → the empty room, which may import everything. */
function roomOf(path: string): string {
  const parts = relative(join(ROOT, 'src'), path).split('/');
  return parts.length > 1 ? parts[0]! : '';
}

function importsOf(file: string, source: string): Import[] {
  const statements = source.matchAll(
    /(?:^(?:import|export)\s[\w\s{},*$]*?\bfrom\s*|^import\s*|\bimport\(\s*|\brequire\(\s*)['"]([^'"]+)['"]/gm,
  );
  return [...statements].map(([, target]) => ({ file, target: target! }));
}

function allowed(room: string): { rooms: string[]; packages: string[] } {
  const [rooms, packages] = TABLE[room]!.split('|').map(list => list.split(' ').filter(Boolean));
  return { rooms: rooms!, packages: packages ?? [] };
}

function isForbidden({ file, target }: Import): boolean {
  const room = roomOf(file);
  if (room === '') return false;
  const { rooms, packages } = allowed(room);
  if (!target.startsWith('.')) return !packages.includes(packageOf(target)) && !packages.includes(target);
  const path = resolve(dirname(file), target);
  if (!path.startsWith(join(ROOT, 'src/'))) return true;
  return roomOf(path) !== room && !rooms.includes(roomOf(path));
}

function packageOf(target: string): string {
  if (target.startsWith('node:')) return 'node';
  return target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/');
}

/** What is tracked; where there is no repository (an unpacked archive), what is there and not hidden. */
function topLevel(): string[] {
  const tracked = spawnSync('git', ['ls-files'], { cwd: ROOT, encoding: 'utf8' }).stdout ?? '';
  const names = tracked === '' ? readdirSync(ROOT).filter(name => !name.startsWith('.')) : tracked.trim().split('\n');
  return [...new Set(names.map(name => name.split('/')[0]!))].filter(name => !GENERATED.test(name));
}
