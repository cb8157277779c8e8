import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..', '..', '..');

let folder: string;
let file: string;

beforeAll(() => {
  execFileSync(process.execPath, [join(ROOT, 'tools', 'build.mjs')], { stdio: 'ignore' });
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'perdure-credentials-'));
  file = join(folder, 'credentials.json');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function storeUser(args: readonly string[], input: string): Promise<{ code: number | null; text: string }> {
  return new Promise((resolve) => {
    const all = [join(ROOT, 'apps/cli/dist/main.js'), 'store', 'user', '--credentials', file, ...args];
    const child = spawn(process.execPath, all, { stdio: 'pipe' });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (part: string) => void (text += part));
    child.stdin.on('error', () => undefined).end(input);
    child.once('close', (code) => resolve({ code, text }));
  });
}

interface Stored {
  readonly login: string;
  readonly groups: readonly string[];
  readonly disabled: boolean;
  readonly password: { readonly salt: string; readonly hash: string };
}

const users = (): readonly Stored[] => (JSON.parse(readFileSync(file, 'utf8')) as { users: readonly Stored[] }).users;

describe('perdure store user', () => {
  it('takes a password from standard input and keeps a salted hash of it, for its owner alone', async () => {
    expect(await storeUser(['--login', 'root', '--group', '$admins', 'editors'], 'secret word\n')).toMatchObject({ code: 0 });
    expect(await storeUser(['--login', 'twin'], 'secret word\nnot read\n')).toMatchObject({ code: 0 });
    expect(users()).toMatchObject([
      { login: 'root', groups: ['$admins', 'editors'], disabled: false },
      { login: 'twin', groups: [], disabled: false },
    ]);
    expect(readFileSync(file, 'utf8')).not.toContain('secret word');
    expect(new Set(users().map(({ password }) => password.hash)).size).toBe(2);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('disables, enables again with the same groups, and removes', async () => {
    await storeUser(['--login', 'alice', '--group', 'editors'], 'one');
    expect(await storeUser(['--login', 'alice', '--disable'], '')).toMatchObject({ code: 0 });
    expect(users()).toMatchObject([{ login: 'alice', disabled: true }]);
    await storeUser(['--login', 'alice'], 'two');
    expect(users()).toMatchObject([{ login: 'alice', groups: ['editors'], disabled: false }]);
    expect(await storeUser(['--login', 'alice', '--remove'], '')).toMatchObject({ code: 0 });
    expect(users()).toEqual([]);
  });

  it('refuses what cannot be meant, and changes nothing', async () => {
    await storeUser(['--login', 'alice'], 'one');
    const before = readFileSync(file, 'utf8');
    const refused = async (args: readonly string[], input = 'x'): Promise<string> => {
      const { code, text } = await storeUser(args, input);
      expect(code).toBe(2);
      return text;
    };
    expect(await refused(['--login', 'alice'], '')).toContain('standard input');
    expect(await refused(['--login', 'a:b'])).toContain('UserRefused');
    expect(await refused(['--login', '$admins'])).toContain('UserRefused');
    expect(await refused(['--login', 'bob', '--remove'])).toContain('no login bob');
    expect(await refused(['--login', 'bob', '--group', 'two words'])).toContain('UserRefused');
    expect(await refused(['--login', 'alice', '--disable', '--remove'])).toContain('Either');
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('does not overwrite a file that is something else, nor one that is being written', async () => {
    writeFileSync(file, '{"users":[]}', { mode: 0o600 });
    expect(await storeUser(['--login', 'alice'], 'one')).toMatchObject({ code: 2 });
    expect(readFileSync(file, 'utf8')).toBe('{"users":[]}');
    rmSync(file);
    writeFileSync(`${file}.new`, '');
    const { code, text } = await storeUser(['--login', 'alice'], 'one');
    expect([code, text]).toEqual([2, expect.stringContaining('delete that file')]);
  });
});
