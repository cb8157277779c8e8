import { createHmac } from 'node:crypto';
import { open, readFile, rm, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Terminal, token, type BlobStore } from '@perdure/kernel';
import { ensureFolder, isMissing, reached, syncFolder, writeDurably } from './durable-files';

export interface FileBlobStoreOptions {
  readonly folder: string;
  /** 32 random bytes, the same in every process of the installation. */
  readonly installationKey: Uint8Array;
}

const REFERENCE = /^[0-9a-f]{64}$/;

export class FileBlobStore implements BlobStore {
  constructor(private readonly options: FileBlobStoreOptions) {}

  put(tenant: string, content: string): Promise<string> {
    return reached(this.write(tenant, content));
  }

  get(tenant: string, reference: string): Promise<string | undefined> {
    return reached(this.read(tenant, reference));
  }

  delete(tenant: string, reference: string): Promise<void> {
    return reached(this.remove(tenant, reference));
  }

  private async write(tenant: string, content: string): Promise<string> {
    const reference = this.referenceOf(tenant, content);
    const path = this.pathOf(tenant, reference);
    if (await this.renew(path, content)) return reference;
    await ensureFolder(dirname(path));
    await writeDurably(path, content);
    return reference;
  }

  private async read(tenant: string, reference: string): Promise<string | undefined> {
    const content = await readText(this.pathOf(tenant, reference));
    if (content === undefined) return undefined;
    if (this.referenceOf(tenant, content) !== reference) {
      throw new Terminal(
        'BlobDamaged',
        `The stored payload ${reference} of ${tenant} is damaged on disk. Restore it from a backup, or treat it as lost.`,
        {
          details: { tenant, reference },
        },
      );
    }
    return content;
  }

  private async remove(tenant: string, reference: string): Promise<void> {
    const path = this.pathOf(tenant, reference);
    await rm(path, { force: true });
    await syncFolder(dirname(path)).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
  }

  /** Whole and durable already? Whoever wrote it may have died before the sync, so it is synced again. */
  private async renew(path: string, content: string): Promise<boolean> {
    if ((await readText(path)) !== content) return false;
    try {
      const handle = await open(path, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
      const now = new Date();
      await utimes(path, now, now);
      for (let folder = dirname(path), level = 0; level < FOLDER_LEVELS; folder = dirname(folder), level += 1)
        await syncFolder(folder);
      return true;
    } catch (error) {
      // Deleted between the two looks: write it anew.
      if (isMissing(error)) return false;
      throw error;
    }
  }

  private referenceOf(tenant: string, content: string): string {
    return createHmac('sha256', this.options.installationKey)
      .update(`${token(tenant, 'tenant')}\n`)
      .update(content, 'utf8')
      .digest('hex');
  }

  private pathOf(tenant: string, reference: string): string {
    if (!REFERENCE.test(reference)) {
      throw new Terminal(
        'InvalidName',
        `A blob reference is 64 hexadecimal digits; got ${JSON.stringify(reference.slice(0, 80))}.`,
      );
    }
    return join(this.options.folder, token(tenant, 'tenant'), reference.slice(0, 2), reference.slice(2, 4), reference);
  }
}

/** From the file's folder up to the root of the store. */
const FOLDER_LEVELS = 4;

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
