import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PayloadsUnavailable, PerdureError } from '@perdure/kernel';

// Files that survive a power failure once the promise has resolved.
//
// 1. A name appears only with its whole content: written beside it, synced, renamed.
// 2. A name is durable only after its folder was synced, and that folder's name after its parent was.

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates the folder and whatever is missing above it, durably. */
export async function ensureFolder(folder: string, mode = 0o700): Promise<void> {
  const firstMade = await mkdir(folder, { recursive: true, mode });
  if (firstMade === undefined) return;
  for (let made = folder; made.length >= firstMade.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** Replaces or creates `path`, durable when it resolves. Its folder must exist. */
export async function writeDurably(path: string, content: string | Buffer, mode = 0o600): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

/** What the file system refuses is nobody's mistake: it is worth another try. @throws PayloadsUnavailable */
export async function reached<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof PerdureError ? error : new PayloadsUnavailable(error);
  }
}
