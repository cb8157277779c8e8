import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeKeyRing } from '@perdure/testing';
import { FileKeyRing } from './file-key-ring';
import { KEY_CACHE_MS } from './key-cache';

let folder: string;
let nowMs = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keys-fs-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const ringHere = () => new FileKeyRing({ folder, monotonicMs: () => nowMs });

describeKeyRing('FileKeyRing', async () => ringHere());

describe('FileKeyRing on disk', () => {
  it('opens after a restart what it sealed before', async () => {
    const before = ringHere();
    await before.create('acme', 'run-1');
    const sealed = (await before.seal('acme', 'run-1', 'kept'))!;
    expect(await ringHere().open('acme', 'run-1', sealed)).toBe('kept');
  });

  it('notices an erasure by another process in bounded time', async () => {
    const here = ringHere();
    await here.create('acme', 'run-1');
    const sealed = (await here.seal('acme', 'run-1', 'gone'))!;
    await ringHere().erase('acme', 'run-1');
    nowMs += KEY_CACHE_MS;
    expect(await here.open('acme', 'run-1', sealed)).toBeUndefined();
  });

  it('writes files that only their user can read, with no data key in the clear and none after erasure', async () => {
    const ring = ringHere();
    await ring.create('acme', 'run-1');
    const entries = await readdir(folder, { withFileTypes: true, recursive: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const file of files) expect((await stat(file)).mode & 0o777).toBe(0o600);
    const wrapped = files.find((file) => file.endsWith('run-1.key'))!;
    expect((await readFile(wrapped)).length).toBe(12 + 16 + 32);
    await ring.erase('acme', 'run-1');
    expect((await readFile(wrapped)).length).toBe(0);
  });
});
