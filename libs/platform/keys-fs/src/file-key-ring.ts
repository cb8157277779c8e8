import { randomBytes } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { partitionOf, Terminal, token, type KeyRing, type Token } from '@perdure/kernel';
import { ensureFolder, isMissing, loadOrCreateKey, reached, syncFolder, writeDurably } from '@perdure/platform-blob-fs';
import { KeyCache } from './key-cache';
import { KEY_BYTES, openBytes, openText, sealBytes, sealText } from './sealing';

export interface FileKeyRingOptions {
  readonly folder: string;
  /** For specs: how old a cached key is. */
  readonly monotonicMs?: () => number;
}

/** A file without content: this id had a key once, and never gets another. */
const ERASED = Buffer.alloc(0);

export class FileKeyRing implements KeyRing {
  private readonly cache: KeyCache;

  constructor(private readonly options: FileKeyRingOptions) {
    this.cache = new KeyCache(options.monotonicMs ?? (() => performance.now()));
  }

  create(tenant: string, keyId: string): Promise<void> {
    return reached(this.make(tenant, keyId));
  }

  async seal(tenant: string, keyId: string, plain: string): Promise<string | undefined> {
    const key = await reached(this.dataKey(tenant, keyId));
    return key === undefined ? undefined : sealText(key, plain, contextOf(tenant, keyId));
  }

  async open(tenant: string, keyId: string, sealed: string): Promise<string | undefined> {
    const key = await reached(this.dataKey(tenant, keyId));
    return key === undefined ? undefined : openText(key, sealed, contextOf(tenant, keyId));
  }

  erase(tenant: string, keyId: string): Promise<void> {
    return reached(this.destroy(tenant, keyId));
  }

  private async make(tenant: string, keyId: string): Promise<void> {
    const path = this.pathOf(tenant, keyId);
    if ((await readBytes(path)) !== undefined) return;
    await ensureFolder(dirname(path));
    const wrapped = sealBytes(await this.tenantKey(tenant), randomBytes(KEY_BYTES), contextOf(tenant, keyId));
    await publishOnce(path, wrapped);
  }

  private async destroy(tenant: string, keyId: string): Promise<void> {
    const path = this.pathOf(tenant, keyId);
    this.cache.forget(contextOf(tenant, keyId));
    const present = await readBytes(path);
    if (present === undefined || present.length === 0) return;
    await overwrite(path, present.length);
    await writeDurably(path, ERASED);
    this.cache.forget(contextOf(tenant, keyId));
  }

  /** Undefined: erased, or never created. */
  private async dataKey(tenant: string, keyId: string): Promise<Buffer | undefined> {
    const id = contextOf(tenant, keyId);
    const cached = this.cache.get(id);
    if (cached !== undefined) return cached;
    const wrapped = await readBytes(this.pathOf(tenant, keyId));
    if (wrapped === undefined || isErased(wrapped)) return undefined;
    const key = openBytes(await this.tenantKey(tenant), wrapped, id);
    this.cache.put(id, key);
    return key;
  }

  private async tenantKey(tenant: string): Promise<Buffer> {
    const id = token(tenant, 'tenant');
    const cached = this.cache.get(id);
    if (cached !== undefined) return cached;
    const key = await loadOrCreateKey(join(this.options.folder, id, 'tenant.key'));
    this.cache.put(id, key);
    return key;
  }

  private pathOf(tenant: string, keyId: string): string {
    const id: Token = token(keyId, 'key id');
    return join(this.options.folder, token(tenant, 'tenant'), String(partitionOf(id)), `${id}.key`);
  }
}

/** Also the name under which the cache knows a data key. A token holds no slash: it cannot be that of a tenant key. */
function contextOf(tenant: string, keyId: string): string {
  return `${token(tenant, 'tenant')}/${token(keyId, 'key id')}`;
}

/** Zeros: an erasure that was interrupted before the file was emptied. */
function isErased(wrapped: Buffer): boolean {
  return wrapped.every((byte) => byte === 0);
}

/** The first of several writers wins, and a reader never sees half a key. */
async function publishOnce(path: string, content: Buffer): Promise<void> {
  const candidate = `${path}.${randomBytes(6).toString('hex')}.new`;
  await writeDurably(candidate, content);
  try {
    await link(candidate, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(candidate, { force: true });
  }
  await syncFolder(dirname(path));
}

/** In place: as far as the file system and the disk write in place, the old bytes are gone too. */
async function overwrite(path: string, bytes: number): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.write(Buffer.alloc(bytes), 0, bytes, 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readBytes(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new Terminal('KeyUnreadable', `The key file ${path} cannot be read; check its owner and mode.`, { cause: error });
  }
}
