import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADMINISTRATOR_FILE, FileSecrets } from './file-secrets';

const OTHERS = 0o077;
let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'perdure-secrets-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (): Promise<FileSecrets> => FileSecrets.open(join(folder, 'signer'));
const text = (file: string): Promise<string> => readFile(join(folder, 'signer', file), 'utf8');

describe('the secrets of approvers', () => {
  it('are known after a restart, and only by their hashes', async () => {
    const secret = await (await open()).issue('acme', 'grace');
    const again = await open();
    expect(again.holds('acme', 'grace', secret)).toBe(true);
    expect(await text('approvers.json')).not.toContain(secret);
  });

  it('are of one person in one tenant', async () => {
    const secrets = await open();
    const secret = await secrets.issue('acme', 'grace');
    expect(secrets.holds('acme', 'alan', secret)).toBe(false);
    expect(secrets.holds('other', 'grace', secret)).toBe(false);
    for (const guess of ['', 'guessed', secret.slice(1), `${secret} `]) expect(secrets.holds('acme', 'grace', guess)).toBe(false);
  });

  it('are worth nothing once another was issued, or they were forgotten, also after a restart', async () => {
    const secrets = await open();
    const first = await secrets.issue('acme', 'grace');
    const second = await secrets.issue('acme', 'grace');
    expect([secrets.holds('acme', 'grace', first), secrets.holds('acme', 'grace', second)]).toEqual([false, true]);
    await secrets.forget('acme', 'grace');
    await secrets.forget('acme', 'nobody');
    for (const each of [secrets, await open()]) expect(each.holds('acme', 'grace', second)).toBe(false);
  });

  it('are all kept when many are issued at once', async () => {
    const secrets = await open();
    const names = Array.from({ length: 20 }, (_, index) => `person-${index}`);
    const issued = await Promise.all(names.map((name) => secrets.issue('acme', name)));
    const again = await open();
    expect(names.filter((name, index) => again.holds('acme', name, issued[index] ?? ''))).toEqual(names);
  });

  it('are not guessed at when their file is damaged: the signer does not start', async () => {
    await (await open()).issue('acme', 'grace');
    await writeFile(join(folder, 'signer', 'approvers.json'), '{"acme/grace":');
    await expect(open()).rejects.toMatchObject({ code: 'InvariantViolated' });
  });
});

describe('the secret of the administrator', () => {
  it('is made at the first start and stays, in a file for nobody else', async () => {
    const first = await open();
    const secret = (await text(ADMINISTRATOR_FILE)).trim();
    expect(first.isAdministrator(secret)).toBe(true);
    expect((await open()).isAdministrator(secret)).toBe(true);
    for (const guess of ['', 'root', secret.slice(1)]) expect(first.isAdministrator(guess)).toBe(false);
    for (const path of [join(folder, 'signer'), join(folder, 'signer', ADMINISTRATOR_FILE)])
      expect((await stat(path)).mode & OTHERS).toBe(0);
  });
});
