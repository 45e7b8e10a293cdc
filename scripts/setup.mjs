/**
 * Installs what is missing and builds, so that one command does everything on a fresh machine:
 *
 *     node scripts/setup.mjs [--for=demo|test|bench] [--only=build] [--quiet] [--check]
 *
 * Order: Debian packages (libpcap's headers must be there when npm builds `cap`), node_modules, the shim, TypeScript.
 * Plain JavaScript on Node's own modules, because it runs before anything else is there. Everything is said on stderr:
 * stdout belongs to the program that runs next (`npm run --silent bench -- x --json`).
 *
 *     --only=build   no Debian packages, whatever is missing
 *     --quiet        no word as long as nothing fails
 *     --check        says what is missing and installs nothing; exit 1 when something needed is missing
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE_MIN = [20, 19];
const SHIM = join(ROOT, 'native/build/Release/keysteer.node');
const POLICY = '/usr/sbin/policy-rc.d';
const POLICY_DENY_ALL = '#!/bin/sh\n# Keysteer setup, while it installs packages: start no service.\nexit 101\n';

/** libpcap's headers have just come: an earlier `npm install` left `cap` out. */
let capIsBuildable = false;

const options = parseArguments(process.argv.slice(2));

/**
 * A Debian package, how to see that its content is there (whoever installed it), why it is wanted, what cannot go on
 * without it, and what is poorer without it.
 */
const PACKAGES = [
  { debian: 'g++', found: () => onPath('g++'), why: 'compiles the native shim', must: shimUsers(), wish: ['test'] },
  { debian: 'make', found: () => onPath('make'), why: 'builds the native shim', must: shimUsers(), wish: ['test'] },
  { debian: 'python3', found: () => onPath('python3'), why: 'runs node-gyp', must: shimUsers(), wish: ['test'] },
  {
    debian: 'iproute2',
    found: () => onPath('ip'),
    why: 'makes network namespaces',
    must: ['demo', 'bench'],
    wish: ['test'],
  },
  {
    debian: 'memcached',
    found: () => onPath('memcached'),
    why: 'the nodes behind the balancer',
    must: ['demo', 'bench'],
    wish: ['test'],
  },
  {
    debian: 'ethtool',
    found: () => onPath('ethtool'),
    why: 'shows and sets offloads',
    must: [],
    wish: ['demo', 'test', 'bench'],
  },
  {
    debian: 'libpcap-dev',
    found: () => existsSync('/usr/include/pcap/pcap.h') || existsSync(join(ROOT, 'node_modules/cap')),
    why: 'capture, and an independent decoder in the tests',
    must: [],
    wish: ['build', 'demo', 'test', 'bench'],
  },
  {
    debian: 'tshark',
    found: () => onPath('tshark'),
    why: 'another opinion on captures in the tests',
    must: [],
    wish: ['test'],
  },
  {
    debian: 'libmemcached-tools',
    found: () => onPath('memcaslap'),
    why: 'a load generator that others wrote, in the tests',
    must: [],
    wish: ['test'],
  },
  {
    debian: 'nginx-light',
    found: () => onPath('nginx'),
    why: 'a baseline to compare with',
    must: [],
    wish: ['demo', 'test', 'bench'],
  },
  {
    debian: 'libnginx-mod-stream',
    found: nginxHasStream,
    why: 'lets nginx balance UDP',
    must: [],
    wish: ['demo', 'test', 'bench'],
  },
  {
    debian: 'python3-prometheus-client',
    found: () => existsSync('/usr/lib/python3/dist-packages/prometheus_client'),
    why: 'reads our metrics as others do, in the tests',
    must: [],
    wish: ['test'],
  },
];

/** Programs that run a duty cycle, below dist/: each is bundled into NAME.bundle.js beside it. */
const HOT_PROGRAMS = [
  'src/dataplane/worker',
  'src/load/process',
  'src/load/sink-process',
  'bench/pipeline-variant',
  'bench/multiget-client',
  'bench/detect-variant',
];

/** Services that come with the packages above: neither started nor enabled by us. */
const SERVICES = { memcached: 'memcached', 'nginx-light': 'nginx' };

try {
  main();
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}

function main() {
  checkNodeVersion();
  const complete = options.only === 'build' || ensureDebianPackages();
  if (options.check) {
    process.exitCode = complete ? 0 : 1;
    return;
  }
  if (!complete) throw new Error('cannot go on without these packages');
  ensureNodeModules();
  buildShim();
  buildTypeScript();
}

function parseArguments(argv) {
  const parsed = { for: 'build', only: undefined, quiet: false, check: false };
  for (const argument of argv) {
    const [name, value] = argument.replace(/^--/, '').split('=');
    if (name === 'quiet' || name === 'check') parsed[name] = true;
    else if (name === 'for' && ['demo', 'test', 'bench', 'build'].includes(value)) parsed.for = value;
    else if (name === 'only' && value === 'build') parsed.only = value;
    else {
      console.error(`setup: unknown argument ${argument}; known: --for=demo|test|bench --only=build --quiet --check`);
      process.exit(2);
    }
  }
  return parsed;
}

function say(line) {
  if (!options.quiet) console.error(`setup: ${line}`);
}

function checkNodeVersion() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  throw new Error(
    `this is Node ${process.versions.node}; Keysteer needs ${NODE_MIN.join('.')} or newer (24 is a good choice)`,
  );
}

// ---- Debian packages ------------------------------------------------------------------------------------------------

/** Returns false when something is missing that the purpose cannot do without. */
function ensureDebianPackages() {
  const missing = PACKAGES.filter(p => (isMust(p) || p.wish.includes(options.for)) && !p.found());
  if (missing.length === 0) return true;
  for (const p of missing) say(`missing ${p.debian} (${p.why})${isMust(p) ? '' : ', optional'}`);
  const installable = !options.check && process.getuid() === 0 && onPath('apt-get');
  if (!installable) return explainInstall(missing);
  install(
    missing.filter(isMust),
    missing.filter(p => !isMust(p)),
  );
  capIsBuildable = missing.some(p => p.debian === 'libpcap-dev' && p.found());
  return true;
}

function isMust(p) {
  return p.must.includes(options.for);
}

function explainInstall(missing) {
  const names = missing.map(p => p.debian).join(' ');
  const must = missing.filter(isMust);
  if (must.length > 0 || !options.quiet) {
    const command = `apt-get install --no-install-recommends ${names}`;
    const urgency = must.length > 0 ? 'please install' : 'optional';
    console.error(
      onPath('apt-get')
        ? `setup: ${urgency}: ${process.getuid() === 0 ? '' : 'sudo '}${command}`
        : `setup: ${urgency}: what your system, which has no apt-get, calls ${names}`,
    );
  }
  return must.length === 0;
}

/** The optional ones apart from the needed ones: apt-get installs all of its list or nothing. */
function install(must, wish) {
  say('apt-get update');
  aptGet(['update', '-qq'], true);
  withoutServiceStarts(() => {
    if (must.length > 0 && !aptInstall(must)) throw new Error('apt-get failed, see above');
    if (wish.length > 0 && !aptInstall(wish)) for (const p of wish) aptInstall([p]);
  });
  for (const p of [...must, ...wish]) keepDisabled(p.debian);
}

function aptInstall(packages) {
  const names = packages.map(p => p.debian);
  say(`apt-get install ${names.join(' ')}`);
  return aptGet(
    ['install', '-qq', '-y', '--no-install-recommends', ...names],
    packages.every(p => !isMust(p)),
  );
}

function aptGet(args, mayFail) {
  return run('apt-get', args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, mayFail });
}

/**
 * Debian starts a service when its package is installed, unless policy-rc.d says 101 ("action forbidden"). Ours says so
 * for the time of the install; the machine's own, if any, is put back. Services that run already are not touched.
 */
function withoutServiceStarts(action) {
  const saved = `${POLICY}.before-keysteer`; // may lie there from a run that was killed: then it is the one to put back
  if (existsSync(POLICY) && !existsSync(saved) && readFileSync(POLICY, 'utf8') !== POLICY_DENY_ALL) {
    renameSync(POLICY, saved);
  }
  const interrupted = () => process.exit(130); // a handler, so that Ctrl-C ends apt-get but not the `finally` below
  process.once('SIGINT', interrupted);
  try {
    writeFileSync(POLICY, POLICY_DENY_ALL, { mode: 0o755 });
    action();
  } finally {
    if (existsSync(saved)) renameSync(saved, POLICY);
    else rmSync(POLICY, { force: true });
  }
}

/** Only called for a package that this run installed: nobody can have wanted its service yet. */
function keepDisabled(debianPackage) {
  const service = SERVICES[debianPackage];
  if (service === undefined) return;
  const disable = onPath('systemctl')
    ? ['systemctl', '--quiet', 'disable', service]
    : ['update-rc.d', service, 'disable'];
  const { status } = spawnSync(disable[0], disable.slice(1), { stdio: 'ignore' });
  if (status === 0) say(`the ${service} service is neither started nor enabled`);
}

/** The tools that build the shim are needed only where it has to be built. */
function shimUsers() {
  return shimIsCurrent() ? [] : ['build', 'demo', 'bench'];
}

function nginxHasStream() {
  if (existsSync('/usr/lib/nginx/modules/ngx_stream_module.so')) return true;
  if (!onPath('nginx')) return false;
  return /--with-stream(\s|$)/.test(spawnSync('nginx', ['-V'], { encoding: 'utf8' }).stderr ?? '');
}

function onPath(command) {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return directories.some(directory => isExecutable(join(directory, command)));
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// ---- node_modules ---------------------------------------------------------------------------------------------------

/**
 * Not `npm ci`: it empties node_modules under programs that run from it, and it refuses a lock file without an entry for
 * every other platform's optional package. `--no-save` leaves the lock file alone; its versions are still the ones taken.
 */
function ensureNodeModules() {
  const reason = modulesOutdated();
  if (reason === undefined) return;
  say(`npm install (${reason})`);
  npm(['install', '--no-save', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
}

/** Why `node_modules` does not fit the lock file; undefined when it does. Optional packages may be absent. */
function modulesOutdated() {
  const installedPath = join(ROOT, 'node_modules/.package-lock.json');
  if (!existsSync(installedPath)) return 'there is no node_modules';
  if (capIsBuildable && !existsSync(join(ROOT, 'node_modules/cap'))) return 'cap can be built now';
  const lockPath = join(ROOT, 'package-lock.json');
  if (!existsSync(lockPath)) return undefined;
  const wanted = JSON.parse(readFileSync(lockPath, 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedPath, 'utf8')).packages;
  const differs = Object.keys(wanted).find(path => {
    if (path === '' || (installed[path] === undefined && (wanted[path].optional || wanted[path].peer))) return false;
    return installed[path]?.version !== wanted[path].version;
  });
  return differs && `${differs} is not the version of package-lock.json`;
}

function npm(args) {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('.js')) run(process.execPath, [cli, ...args]);
  else run('npm', args);
}

// ---- the shim -------------------------------------------------------------------------------------------------------

function buildShim() {
  if (shimIsCurrent()) return;
  if (!['g++', 'make', 'python3'].every(onPath)) {
    say('the native shim is not built (no compiler): what needs a live interface will not run');
    return;
  }
  say('building the native shim');
  run(process.execPath, [nodeGyp(), 'rebuild', '--directory', join(ROOT, 'native'), ...nodeHeaders()]);
}

function shimIsCurrent() {
  if (!existsSync(SHIM)) return false;
  const builtAt = statSync(SHIM).mtimeMs;
  const sources = readdirSync(join(ROOT, 'native')).filter(name => /\.(cc|h|gyp)$/.test(name));
  return sources.every(name => statSync(join(ROOT, 'native', name)).mtimeMs <= builtAt);
}

/** npm's own node-gyp: npm names it to the scripts it runs; otherwise it lies inside npm. */
function nodeGyp() {
  const named = process.env.npm_config_node_gyp;
  if (named && existsSync(named)) return named;
  const globalModules = execFileSync('npm', ['root', '-g', '--loglevel=error'], { encoding: 'utf8' }).trim();
  const bundled = join(globalModules, 'npm/node_modules/node-gyp/bin/node-gyp.js');
  if (existsSync(bundled)) return bundled;
  throw new Error(`no node-gyp at ${bundled}; run this through npm: npm run setup`);
}

/** Headers that came with Node, so that node-gyp need not download them. */
function nodeHeaders() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include/node/node.h')) ? [`--nodedir=${prefix}`] : [];
}

// ---- TypeScript -----------------------------------------------------------------------------------------------------

function buildTypeScript() {
  run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', ROOT]);
  for (const program of HOT_PROGRAMS) bundle(program);
  const program = join(ROOT, 'dist/src/cli/main.js');
  if (existsSync(program)) chmodSync(program, 0o755);
}

/** One file, so that V8 folds constants and inlines calls across what were modules (src/mem/inlining.ts). */
function bundle(program) {
  const rolldown = join(ROOT, 'node_modules/rolldown/bin/cli.mjs');
  const external = ['zod', 'yaml', 'piscina'].flatMap(name => ['--external', name]);
  const target = ['--file', `dist/${program}.bundle.js`, '--format', 'esm', '--platform', 'node'];
  run(process.execPath, [rolldown, `dist/${program}.js`, ...target, ...external]);
}

/** Runs a command in the project's directory; its output is shown only if it fails. */
function run(command, args, { env = process.env, mayFail = false } = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, env, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (result.status === 0) return true;
  const said = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim() || result.error?.message;
  if (mayFail) {
    say(`${command} ${args.join(' ')} failed, going on without: ${said?.split('\n').at(-1)}`);
    return false;
  }
  if (said) console.error(said);
  throw new Error(`${command} ${args.join(' ')} failed (${result.signal ?? `exit ${result.status}`})`);
}
