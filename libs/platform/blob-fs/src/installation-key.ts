import { randomBytes } from 'node:crypto';
import { link, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Terminal } from '@perdure/kernel';
import { ensureFolder, isMissing, syncFolder, writeDurably } from './durable-files';

const KEY_BYTES = 32;

/** A secret of the installation, made at its first start and kept in a file that only its user can read. */
export async function loadOrCreateKey(path: string): Promise<Buffer> {
  const present = await readKey(path);
  if (present !== undefined) return present;
  await ensureFolder(dirname(path));
  const candidate = `${path}.${randomBytes(6).toString('hex')}.new`;
  await writeDurably(candidate, randomBytes(KEY_BYTES));
  try {
    // Unlike a rename, a link fails when another process was first: there is exactly one key.
    await link(candidate, path);
    await syncFolder(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(candidate, { force: true });
  }
  const made = await readKey(path);
  if (made === undefined)
    throw new Terminal('KeyMissing', `The key ${path} vanished while it was made. Is another program cleaning this folder?`);
  return made;
}

async function readKey(path: string): Promise<Buffer | undefined> {
  let key: Buffer;
  try {
    key = await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  if (key.length !== KEY_BYTES) {
    throw new Terminal(
      'KeyDamaged',
      `The key ${path} is damaged: ${key.length} bytes instead of ${KEY_BYTES}. Restore it from a backup; without it, what it protects cannot be read.`,
    );
  }
  return key;
}
