import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadEntry } from './load-entry';

/** What agent() returns, as far as a loader looks. */
const BEHAVIOUR = (name: string): string => `{ kind: 'workflow', name: '${name}' }`;

describe('loading an entry', () => {
  let folder: string;
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const names = async (path: string): Promise<readonly string[]> => (await loadEntry(path)).behaviours.map(({ name }) => name);
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'perdure-entry-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('finds what is exported one by one, as a list and as default, each once', async () => {
    const path = file(
      'all.js',
      `const a = ${BEHAVIOUR('a')}; exports.a = a; exports.list = [a, ${BEHAVIOUR('b')}]; exports.default = ${BEHAVIOUR('c')};`,
    );
    expect(await names(path)).toEqual(['a', 'b', 'c']);
  });

  it('says what to export when there is nothing', async () => {
    await expect(loadEntry(file('empty.js', 'exports.x = 1;'))).rejects.toMatchObject({ code: 'EntryEmpty' });
  });

  it('says where a file is broken', async () => {
    await expect(loadEntry(file('broken.js', 'throw new TypeError("no luck");'))).rejects.toMatchObject({
      code: 'EntryBroken',
      message: expect.stringContaining('no luck') as string,
    });
  });

  it('says when there is no file', async () => {
    await expect(loadEntry(join(folder, 'none.ts'))).rejects.toMatchObject({ code: 'EntryMissing' });
  });
});
