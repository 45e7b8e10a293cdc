/** Which running instance is meant. */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { type AdminConfig, parseListen } from '../config/normalise.ts';
import { AdminClientError, askAdmin } from './client.ts';
import { type AdminPlace, ownFolderFault, placeText, SOCKET_NAME, socketFolders } from './places.ts';
import type { Status } from './status.ts';

/** How the user names it; neither when there is only one. */
export interface Wanted {
  /** Path of a socket, or HOST:PORT. */
  readonly admin?: string;
  /** The file it was started with. */
  readonly config?: string;
}

interface Found {
  readonly place: AdminPlace;
  readonly status: Status;
}

const NAME_IT = 'name it by --admin PATH|HOST:PORT, or by --config FILE';

/** @throws AdminClientError when there is none, or more than one */
export async function findAdmin({ admin, config }: Wanted): Promise<AdminPlace> {
  if (admin !== undefined) return readPlace(admin);
  const named = config === undefined ? undefined : placeInFile(config);
  if (named !== undefined) return named;
  const found = await runningInstances();
  const meant = config === undefined ? found : found.filter(({ status }) => isSameFile(status.configFile, config));
  if (meant.length === 1) return meant[0]!.place;
  throw new AdminClientError(
    meant.length === 0 ? noneText(config) : `several instances run here; ${NAME_IT}:\n${listText(meant)}`,
  );
}

function readPlace(text: string): AdminPlace {
  const isPort = /^(\[[0-9a-fA-F:]+\]|[^/:]+):[0-9]{1,5}$/.test(text);
  return isPort ? (parseListen(text) as AdminPlace) : { kind: 'unix', path: resolve(text) };
}

/** Where the file says that its instance listens; undefined when it does not say, or cannot be read any more. */
function placeInFile(path: string): AdminPlace | undefined {
  const admin = adminOf(readFileSync(path, 'utf8'), path);
  if (admin?.kind === 'off') throw new AdminClientError(`${path} says admin: off; that instance cannot be asked`);
  return admin?.kind === 'unix' || admin?.kind === 'tcp' ? admin : undefined;
}

/** A file that is broken now may be that of a running instance: the reload that refuses it says what is wrong. */
function adminOf(text: string, path: string): AdminConfig | undefined {
  try {
    return loadConfig(text, path).admin;
  } catch {
    return undefined;
  }
}

async function runningInstances(): Promise<Found[]> {
  const sockets = socketFolders().flatMap(socketsIn);
  const found = await Promise.all(sockets.map(askStatus));
  return found.filter(instance => instance !== undefined);
}

function socketsIn(folder: string): string[] {
  try {
    // In /tmp, anybody may have put a socket that pretends.
    if (ownFolderFault(folder) !== undefined) return [];
    return readdirSync(folder)
      .filter(name => SOCKET_NAME.test(name))
      .map(name => join(folder, name));
  } catch {
    return [];
  }
}

/** Undefined for a socket that an instance left behind. */
async function askStatus(path: string): Promise<Found | undefined> {
  const place: AdminPlace = { kind: 'unix', path };
  try {
    return { place, status: await askAdmin<Status>(place, 'GET', '/status') };
  } catch {
    return undefined;
  }
}

function isSameFile(running: string | undefined, wanted: string): boolean {
  return running !== undefined && canonical(running) === canonical(wanted);
}

function canonical(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

function noneText(config: string | undefined): string {
  const folders = socketFolders().join(', ');
  const what = config === undefined ? 'no instance runs here' : `no instance that was started with ${config} runs here`;
  return `${what} (looked in ${folders}); ${NAME_IT}`;
}

function listText(instances: readonly Found[]): string {
  return instances
    .map(({ place, status: { pid, vip, configFile } }) => {
      return `  --admin ${placeText(place)}   pid ${pid}, ${vip}, ${configFile ?? 'started from flags'}`;
    })
    .join('\n');
}
