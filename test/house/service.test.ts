/** scripts/keysteer.service: what systemd makes of it, and that it stands for what the program does. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { socketFolders } from '../../src/control/admin/places.ts';
import { skip } from '../support/requirements.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const UNIT = readFileSync(join(ROOT, 'scripts/keysteer.service'), 'utf8');

/** Values of a setting, in order. */
const values = (setting: string) => [...UNIT.matchAll(new RegExp(`^${setting}=(.*)$`, 'gm'))].map(([, value]) => value);

function requireSystemdAnalyze(): string | undefined {
  const { status } = spawnSync('systemd-analyze', ['--version'], { stdio: 'ignore' });
  return status === 0 ? undefined : skip('systemd-analyze is not installed');
}

describe('the unit', () => {
  test.skipIf(requireSystemdAnalyze())('systemd-analyze verify has nothing to say', () => {
    const folder = mkdtempSync(join(tmpdir(), 'keysteer-unit-'));
    try {
      // The program is not installed here, and must be for systemd to be content.
      const path = join(folder, 'keysteer.service');
      writeFileSync(path, UNIT.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'));
      const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
      // Units of the machine are read too; what is wrong with those is not ours.
      const ours = `${stdout}${stderr}`.split('\n').filter(line => line.includes(folder) || /keysteer/.test(line));
      expect(ours).toEqual([]);
      if (stderr === '') expect(status).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('runs without root, with the capabilities that the doctor asks for and no others', () => {
    expect(values('DynamicUser')).toEqual(['yes']);
    expect(values('AmbientCapabilities')).toEqual(['CAP_NET_RAW CAP_NET_ADMIN']);
    expect(values('CapabilityBoundingSet')).toEqual(values('AmbientCapabilities'));
    expect(values('NoNewPrivileges')).toEqual(['yes']);
  });

  test('its runtime directory is where the admin socket is looked for', () => {
    const folder = `/run/${values('RuntimeDirectory')[0]}`;
    expect(socketFolders({}, 0)[0]).toBe(folder);
    expect(socketFolders({ RUNTIME_DIRECTORY: folder }, 61_234)).toEqual([folder]);
  });

  test('reloads by the signal that the program reloads at', () => {
    expect(values('ExecReload')).toEqual(['/bin/kill -HUP $MAINPID']);
    expect(values('ExecStart')).toEqual(['/usr/local/bin/keysteer run --config /etc/keysteer.yaml']);
  });

  test('JavaScript may be compiled into memory, the interfaces and TUN be seen', () => {
    for (const fatal of ['MemoryDenyWriteExecute', 'PrivateNetwork', 'PrivateDevices', 'PrivateUsers']) {
      expect(values(fatal)).toEqual([]);
    }
    expect(values('DeviceAllow')).toEqual(['/dev/net/tun rw']);
    expect(values('RestrictAddressFamilies')[0]?.split(' ')).toEqual(
      expect.arrayContaining(['AF_PACKET', 'AF_UNIX', 'AF_NETLINK']),
    );
  });

  test('is in the package', () => {
    const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(files).toContain('scripts/keysteer.service');
  });
});
