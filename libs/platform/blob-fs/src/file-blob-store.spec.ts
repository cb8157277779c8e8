import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeBlobStore } from '@perdure/testing';
import { FileBlobStore } from './file-blob-store';
import { loadOrCreateKey } from './installation-key';

const KEY = Buffer.alloc(32, 7);
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blob-fs-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describeBlobStore('FileBlobStore', async () => new FileBlobStore({ folder, installationKey: KEY }));

async function filesUnder(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

describe('FileBlobStore on disk', () => {
  it('lets another process with the same key read what this one stored', async () => {
    const reference = await new FileBlobStore({ folder, installationKey: KEY }).put('acme', 'shared');
    expect(await new FileBlobStore({ folder, installationKey: KEY }).get('acme', reference)).toBe('shared');
  });

  it('refuses a damaged file instead of calling it absent, and heals it at the next put', async () => {
    const store = new FileBlobStore({ folder, installationKey: KEY });
    const reference = await store.put('acme', 'whole');
    const [path] = await filesUnder(folder);
    await writeFile(path!, 'torn');
    await expect(store.get('acme', reference)).rejects.toMatchObject({ code: 'BlobDamaged' });
    await store.put('acme', 'whole');
    expect(await store.get('acme', reference)).toBe('whole');
  });

  it('leaves one private file and nothing half-written behind, in two levels of folders', async () => {
    const store = new FileBlobStore({ folder, installationKey: KEY });
    const [reference] = await Promise.all(Array.from({ length: 10 }, () => store.put('acme', 'x')));
    const files = await filesUnder(folder);
    expect(files).toEqual([join(folder, 'acme', reference!.slice(0, 2), reference!.slice(2, 4), reference!)]);
    expect((await stat(files[0]!)).mode & 0o777).toBe(0o600);
  });
});

describe('loadOrCreateKey', () => {
  it('makes one key, however many ask at once, and keeps it', async () => {
    const path = join(folder, 'secrets', 'installation.key');
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateKey(path)));
    const again = await loadOrCreateKey(path);
    expect(new Set([...keys, again].map((key) => key.toString('hex'))).size).toBe(1);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, 'secrets'))).toEqual(['installation.key']);
  });

  it('refuses a damaged key and says what to do', async () => {
    const path = join(folder, 'installation.key');
    await writeFile(path, 'short');
    await expect(loadOrCreateKey(path)).rejects.toMatchObject({ code: 'KeyDamaged' });
  });
});
