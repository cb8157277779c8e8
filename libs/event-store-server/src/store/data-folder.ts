import { createHash, randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { type Server, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { EventStoreServerError, errorCodeOf } from '../errors';
import type { FileSystem } from './file-system';

export const FORMAT_VERSION = 1;
const LOCK_FILE = 'lock';
export const FORMAT_FILE = 'format.json';
const FORMAT_NAME = 'perdure-event-log';

/** @throws EventStoreServerError when the folder cannot be used or holds another format */
export function prepareDataFolder(files: FileSystem, folder: string): void {
  try {
    files.createFolder(folder);
    const path = join(folder, FORMAT_FILE);
    if (files.exists(path)) readFormat(files.readText(path), path);
    else files.writeTextDurably(path, `${JSON.stringify({ format: FORMAT_NAME, version: FORMAT_VERSION, id: randomUUID() })}\n`);
  } catch (error) {
    throw notWritable(error, folder);
  }
}

/** Fails early on a folder that can be read but not written. */
export function checkWritable(folder: string): void {
  try {
    fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK);
    const probe = join(folder, '.write-probe');
    fs.writeFileSync(probe, '');
    fs.unlinkSync(probe);
  } catch (error) {
    throw notWritable(error, folder);
  }
}

function notWritable(error: unknown, folder: string): unknown {
  const code = errorCodeOf(error);
  if (error instanceof EventStoreServerError || code === undefined) return error;
  return new EventStoreServerError(
    'DataFolderNotWritable',
    `The data folder ${folder} cannot be written (${code}): give this user write access, free space, or choose another folder.`,
    error,
  );
}

/** @throws EventStoreServerError `UnknownFormatVersion` */
export function readFormat(text: string, path: string): number {
  let parsed: { format?: unknown; version?: unknown } = {};
  try {
    parsed = JSON.parse(text) as typeof parsed;
  } catch {
    parsed = {};
  }
  if (parsed.format === FORMAT_NAME && parsed.version === FORMAT_VERSION) return FORMAT_VERSION;
  throw new EventStoreServerError(
    'UnknownFormatVersion',
    `${path} names a format that this server does not know (${text.trim().slice(0, 80)}); it writes version ${FORMAT_VERSION}. Use the version of the server that wrote it.`,
  );
}

/** Each log has an id of its own from its first moment; copies of it have the same. */
export function logIdOf(folder: string): string {
  const { id } = JSON.parse(fs.readFileSync(join(folder, FORMAT_FILE), 'utf8')) as { id?: unknown };
  return typeof id === 'string' ? id : '';
}

export interface FolderLock {
  release(): void;
}

/**
 * One process a folder. On Linux the lock is an abstract socket named after the folder's inode: the
 * kernel frees it at death, so nothing can be stale. Elsewhere it is a file that names a living process.
 */
export function lockDataFolder(folder: string): Promise<FolderLock> {
  return process.platform === 'linux' ? lockBySocket(folder) : Promise.resolve(lockByFile(folder));
}

/** A process serves from this folder now. */
export async function isFolderInUse(folder: string): Promise<boolean> {
  if (process.platform !== 'linux') {
    const path = join(folder, LOCK_FILE);
    return fs.existsSync(path) && isAlive(Number(fs.readFileSync(path, 'utf8')));
  }
  const socket = connect(lockName(folder));
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).finally(() => socket.destroy()) as Promise<boolean>;
}

function locked(folder: string): EventStoreServerError {
  return new EventStoreServerError(
    'DataFolderLocked',
    `The data folder ${folder} is in use by another event store process: stop that one, or choose another folder.`,
  );
}

function lockName(folder: string): string {
  const { dev, ino } = fs.statSync(folder);
  return `\0perdure-event-store-${createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32)}`;
}

function lockBySocket(folder: string): Promise<FolderLock> {
  const server: Server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(errorCodeOf(error) === 'EADDRINUSE' ? locked(folder) : error));
    server.listen(lockName(folder), () => {
      server.unref();
      resolve({ release: () => void server.close() });
    });
  });
}

function lockByFile(folder: string): FolderLock {
  const path = join(folder, LOCK_FILE);
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      fs.writeFileSync(path, String(process.pid), { flag: 'wx' });
      return { release: () => fs.rmSync(path, { force: true }) };
    } catch (error) {
      if (errorCodeOf(error) !== 'EEXIST') throw notWritable(error, folder);
      if (isAlive(Number(fs.readFileSync(path, 'utf8')))) throw locked(folder);
      fs.rmSync(path, { force: true });
    }
  }
  throw locked(folder);
}

function isAlive(processId: number): boolean {
  if (!Number.isInteger(processId) || processId <= 0) return false;
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return errorCodeOf(error) === 'EPERM';
  }
}
