import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FactMark } from '@perdure/kernel';
import { ManualHost, dueIndexContract } from '@perdure/testing';
import { open } from 'lmdb';
import { LmdbDueIndex } from './lmdb-due-index';

const MARK: FactMark = { stream: 'run-acme.r', revision: 1, id: 'fact', position: { commit: '1', prepare: '1' } };
const TIMER = { group: 'run-acme.r', id: 'x', revision: 1, value: 5 };

let folder: string;
let host: ManualHost;
let opened: LmdbDueIndex[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'due-index-'));
  host = new ManualHost();
  opened = [];
});
afterEach(async () => {
  for (const index of opened) await index.close();
  await rm(folder, { recursive: true, force: true });
});

function openIndex(path = join(folder, 'timers', 'one')): LmdbDueIndex {
  const index = LmdbDueIndex.open({ folder: path, log: host.log });
  opened.push(index);
  return index;
}

dueIndexContract('LmdbDueIndex', async () => {
  const first = openIndex();
  return {
    index: first,
    reopen: async () => {
      await first.close();
      opened.pop();
      return openIndex();
    },
    stop: async () => undefined,
  };
});

describe('LmdbDueIndex on disk', () => {
  async function closed(): Promise<void> {
    await opened.pop()?.close();
  }

  it('is made anew when a process has not survived the opening of it', async () => {
    await openIndex().write({ opened: [TIMER], closed: [], ended: [] }, MARK);
    await closed();
    await writeFile(join(folder, 'timers', 'one.opening'), '');
    expect(openIndex()).toMatchObject({ size: 0, reached: undefined });
    expect(host.logged.filter(({ level }) => level === 'warn')).toHaveLength(1);
    await opened.at(-1)?.write({ opened: [TIMER], closed: [], ended: [] }, MARK);
    await closed();
    expect(openIndex().size).toBe(1);
  });

  it('is made anew when it is of another format', async () => {
    await openIndex().write({ opened: [TIMER], closed: [], ended: [] }, MARK);
    await closed();
    const other = open<object, string>({ path: join(folder, 'timers', 'one'), encoding: 'json' });
    await other.put('reached', { format: 2, reached: MARK });
    await other.close();
    expect(openIndex()).toMatchObject({ size: 0, reached: undefined });
  });

  it('forgets what an interrupted first write has left', async () => {
    const index = openIndex();
    await index['batch'](() => index['put'](TIMER));
    await closed();
    expect(openIndex()).toMatchObject({ size: 0, reached: undefined });
  });
});
