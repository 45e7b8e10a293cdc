/** Listening where the configuration says, without stepping on another instance and without tripping over a dead one. */
import { lstatSync, readdirSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { AdminConfig } from '../config/normalise.ts';
import { type AdminPlace, folderFault, placeText, SOCKET_NAME, socketFolders, socketPath } from './places.ts';

/** Whoever takes longer to accept is there, and busy, ms. */
const CONNECT_MS_MAX = 1000;
/** Sockets are for their owner: whoever connects can drain nodes. */
const UMASK = 0o177;

/** The admin interface cannot listen where it should. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
}

/** @throws AdminError */
export async function listenAdmin(server: Server, admin: Exclude<AdminConfig, { kind: 'off' }>): Promise<AdminPlace> {
  if (admin.kind !== 'auto') return listenAt(server, admin as AdminPlace);
  const faults: string[] = [];
  for (const folder of socketFolders()) {
    const fault = folderFault(folder) ?? (await listenIn(server, folder));
    if (fault === undefined) return { kind: 'unix', path: socketPath(folder, process.pid) };
    faults.push(fault);
  }
  throw new AdminError(`no folder for the admin socket (admin.listen names another place): ${faults.join('; ')}`);
}

/** Returns why not. */
async function listenIn(server: Server, folder: string): Promise<string | undefined> {
  try {
    await removeDeadSockets(folder);
    await listenAt(server, { kind: 'unix', path: socketPath(folder, process.pid) });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

async function listenAt(server: Server, place: AdminPlace): Promise<AdminPlace> {
  if (place.kind === 'unix') await clearPath(place.path);
  try {
    await listening(server, place);
  } catch (error) {
    throw new AdminError(`the admin interface cannot listen on ${placeText(place)}: ${(error as Error).message}`);
  }
  return place;
}

function listening(server: Server, place: AdminPlace): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const umask = process.umask(UMASK); // the socket is made within `listen`
    if (place.kind === 'unix') server.listen(place.path);
    else server.listen(place.port, place.host);
    process.umask(umask);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Removes a socket that nobody listens on. @throws AdminError when somebody does, or when it is no socket */
async function clearPath(path: string): Promise<void> {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (file === undefined) return;
  if (!file.isSocket()) throw new AdminError(`admin.listen is ${JSON.stringify(path)}, which is there and no socket`);
  if (await isAlive(path)) throw new AdminError(`another process listens on ${path}; see \`keysteer status\``);
  unlinkSync(path);
}

/** What instances left that ended without cleaning up. */
async function removeDeadSockets(folder: string): Promise<void> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (SOCKET_NAME.test(name) && !(await isAlive(path))) unlinkSync(path);
  }
}

/** Whether somebody accepts connections on this socket. */
export function isAlive(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    const settle = (alive: boolean) => {
      socket.destroy();
      resolve(alive);
    };
    socket.setTimeout(CONNECT_MS_MAX, () => settle(true));
    socket.once('connect', () => settle(true));
    // Anything but a refusal (no rights, too many connections) says nothing of who is there.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => settle(code !== 'ECONNREFUSED' && code !== 'ENOENT'));
  });
}
