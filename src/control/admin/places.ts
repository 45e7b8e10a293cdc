/** Where the admin interface of an instance is, if nobody said where. */
import { lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** A Unix socket or a TCP port of this machine. */
export type AdminPlace =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export function placeText(place: AdminPlace): string {
  if (place.kind === 'unix') return place.path;
  return place.host.includes(':') ? `[${place.host}]:${place.port}` : `${place.host}:${place.port}`;
}

/** Folders for sockets, the first that can be written to is taken. systemd names the first by RuntimeDirectory=. */
export function socketFolders(env = process.env, uid = process.getuid?.() ?? 0): string[] {
  const { RUNTIME_DIRECTORY: given, XDG_RUNTIME_DIR: runtime } = env;
  if (given) return [given.split(':')[0]!];
  return [
    ...(uid === 0 ? ['/run/keysteer'] : []),
    ...(runtime ? [join(runtime, 'keysteer')] : []),
    // Not os.tmpdir(): who looks for the socket may have another TMPDIR.
    `/tmp/keysteer-${uid}`,
  ];
}

/** The socket of the process `pid`, in a folder of `socketFolders`. */
export function socketPath(folder: string, pid: number): string {
  return join(folder, `${pid}.sock`);
}

export const SOCKET_NAME = /^[0-9]+\.sock$/;

/** Makes the folder where it is not there yet. Returns why it cannot be used: in /tmp, others may have been there first. */
export function folderFault(folder: string, uid = process.getuid?.() ?? 0): string | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    return `${folder}: ${(error as Error).message}`;
  }
  return ownFolderFault(folder, uid);
}

/** Why the sockets in a folder may be those of a pretender: only in /tmp can anybody make one. */
export function ownFolderFault(folder: string, uid = process.getuid?.() ?? 0): string | undefined {
  const { uid: owner, mode } = lstatSync(folder);
  if ((mode & 0o170000) !== 0o040000) return `${folder} is no folder`;
  if (!folder.startsWith('/tmp/')) return undefined;
  if (owner !== uid) return `${folder} belongs to user ${owner}`;
  return (mode & 0o022) === 0 ? undefined : `${folder} can be written to by others`;
}
