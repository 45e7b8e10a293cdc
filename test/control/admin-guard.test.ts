import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { guardFault } from '../../src/control/admin/guard.ts';
import { type AdminPlace, folderFault, placeText, socketFolders } from '../../src/control/admin/places.ts';

const UNIX: AdminPlace = { kind: 'unix', path: '/run/k.sock' };
const IPV4: AdminPlace = { kind: 'tcp', host: '127.0.0.1', port: 9211 };
const IPV6: AdminPlace = { kind: 'tcp', host: '::1', port: 9211 };

describe('the guard', () => {
  it.each<[string, AdminPlace, string, Record<string, string>]>([
    ['anything by the socket', UNIX, 'GET', { host: 'whatever' }],
    ['a POST without a body', UNIX, 'POST', {}],
    ['JSON', IPV4, 'POST', { host: '127.0.0.1:9211', 'content-type': 'application/json; charset=utf-8' }],
    ['localhost', IPV4, 'GET', { host: 'LocalHost:9211' }],
    ['IPv6', IPV6, 'GET', { host: '[::1]:9211' }],
  ])('lets in %s', (_, place, method, headers) => {
    expect(guardFault(place, method, headers)).toBeUndefined();
  });

  it.each<[string, AdminPlace, string, Record<string, string>, string]>([
    ['a page’s request, whatever way it came', UNIX, 'GET', { origin: 'null' }, 'Origin'],
    ['no Host', IPV4, 'GET', {}, 'Host is ""; it must be 127.0.0.1:9211 or localhost:9211'],
    ['a name that resolves here', IPV4, 'GET', { host: 'a.example:9211' }, 'Host is "a.example:9211"'],
    ['another loopback address', IPV4, 'GET', { host: '127.0.0.2:9211' }, 'Host'],
    ['another port', IPV6, 'GET', { host: '[::1]:80' }, 'Host'],
    ['a form', UNIX, 'POST', { 'content-type': 'multipart/form-data' }, 'it must be application/json'],
    [
      'what only begins like JSON',
      UNIX,
      'POST',
      { 'content-type': 'application/jsonp' },
      'it must be application/json',
    ],
  ])('turns away %s', (_, place, method, headers, fault) => {
    expect(guardFault(place, method, headers)).toContain(fault);
  });
});

describe('places', () => {
  it.each([
    [{ RUNTIME_DIRECTORY: '/run/a:/run/b', XDG_RUNTIME_DIR: '/run/user/7' }, 0, ['/run/a']],
    [{}, 0, ['/run/keysteer', '/tmp/keysteer-0']],
    [{ XDG_RUNTIME_DIR: '/run/user/0' }, 0, ['/run/keysteer', '/run/user/0/keysteer', '/tmp/keysteer-0']],
    [{ XDG_RUNTIME_DIR: '/run/user/7' }, 7, ['/run/user/7/keysteer', '/tmp/keysteer-7']],
    [{}, 7, ['/tmp/keysteer-7']],
  ])('%j of user %i: %j', (env, uid, folders) => {
    expect(socketFolders(env, uid)).toEqual(folders);
  });

  it.each([
    [UNIX, '/run/k.sock'],
    [IPV4, '127.0.0.1:9211'],
    [IPV6, '[::1]:9211'],
  ])('%j reads %s', (place, text) => {
    expect(placeText(place)).toBe(text);
  });

  describe('a folder in /tmp', () => {
    let base: string;
    beforeEach(() => {
      base = mkdtempSync(join(tmpdir(), 'keysteer-places-'));
    });
    afterEach(() => rmSync(base, { recursive: true }));
    const own = process.getuid!();

    it('is made where it is not there, for us alone', () => {
      const folder = join(base, 'a/b');
      expect(folderFault(folder)).toBeUndefined();
      expect(folderFault(folder)).toBeUndefined();
    });

    it('is not taken when others can write to it, or own it, or when it is something else', () => {
      chmodSync(base, 0o770);
      expect(folderFault(base)).toContain('can be written to by others');
      chmodSync(base, 0o700);
      expect(folderFault(base, own + 1)).toContain(`belongs to user ${own}`);
      writeFileSync(join(base, 'file'), '');
      expect(folderFault(join(base, 'file'))).toContain(base);
      symlinkSync('/usr', join(base, 'link'));
      expect(folderFault(join(base, 'link'))).toContain('is no folder');
    });
  });
});
