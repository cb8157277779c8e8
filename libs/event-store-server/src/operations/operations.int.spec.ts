import { appendFileSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync, closeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import { type RunningEventStoreServer, startEventStoreServer } from '../server';
import { backupStore, restoreStore } from './backup';
import { storeInfo, verifyStore } from './verify';

const SEGMENT_BYTES = 16 * 1024;
const FIRST_SEGMENT = `${'0'.repeat(20)}.log`;
const NOW_MS = 1_767_225_600_000;

let home: string;
let server: RunningEventStoreServer;
let client: EventStoreDBClient;
const data = (): string => join(home, 'data');

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'perdure-operations-'));
  await serve(data());
});

afterEach(async () => {
  await stop();
  rmSync(home, { recursive: true, force: true });
});

async function serve(dataDir: string): Promise<void> {
  server = await startEventStoreServer({ dataDir, port: 0, segmentBytes: SEGMENT_BYTES });
  client = EventStoreDBClient.connectionString(server.connectionString);
}

async function stop(): Promise<void> {
  await client.dispose();
  await server.close();
}

async function append(stream: string, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    await client.appendToStream(stream, jsonEvent({ type: 'Happened', data: { index, filler: 'x'.repeat(500) } }));
  }
}

async function contentOf(stream: string): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for await (const { event } of client.readStream(stream)) found.push((event?.data as { index: number }).index);
  return found;
}

function damage(file: string, at: number): void {
  const opened = openSync(file, 'r+');
  writeSync(opened, Buffer.from([0xff, 0x00, 0xff]), 0, 3, at);
  closeSync(opened);
}

describe('a log that is looked at while it is served', () => {
  it('tells what is in it, and that it is served', async () => {
    await append('a', 3);
    await append('b', 2);
    const before = await verifyStore(data());
    expect(before).toMatchObject({ inUse: true, faults: [], unfinishedTailBytes: 0 });
    await append('b', 1);
    expect((await storeInfo(data())).events).toBe(before.events + 1);
    await stop();
    expect((await storeInfo(data())).inUse).toBe(false);
    await serve(data());
  });

  it('is refused, with what to do, where there is none', async () => {
    await expect(verifyStore(home)).rejects.toMatchObject({ code: 'NoEventLog' });
  });
});

describe('verification', () => {
  it('names the bytes that are damaged, and goes on behind them', async () => {
    await append('a', 100);
    await stop();
    const { events } = await verifyStore(data());
    damage(join(data(), FIRST_SEGMENT), 5_000);
    const report = await verifyStore(data());
    expect(report.events).toBe(events - 1);
    expect(report.faults).toEqual([
      { kind: 'damaged', from: expect.any(Number) as number, to: expect.any(Number) as number },
      expect.objectContaining({ kind: 'gap', stream: 'a' }) as unknown,
    ]);
    const [fault] = report.faults;
    expect(fault?.kind === 'damaged' && fault.from <= 5_000 && fault.to > 5_000).toBe(true);
    rmSync(data(), { recursive: true });
    await serve(data());
  });

  it('takes the rest of a write that was never finished for what it is', async () => {
    await append('a', 2);
    await stop();
    const log = readFileSync(join(data(), FIRST_SEGMENT));
    appendFileSync(join(data(), FIRST_SEGMENT), log.subarray(0, 100));
    expect(await verifyStore(data())).toMatchObject({ faults: [], unfinishedTailBytes: 100 });
    await serve(data());
    expect(await contentOf('a')).toEqual([0, 1]);
  });
});

describe('a backup', () => {
  const to = (): string => join(home, 'backup');
  const restored = (): string => join(home, 'restored');

  it('is taken while the log is written, and gives back what was acknowledged before it began', async () => {
    await append('a', 40);
    const during = append('b', 40);
    const report = await backupStore(data(), to(), NOW_MS);
    await during;
    expect(report.events).toBeGreaterThanOrEqual(40);
    await restoreStore(to(), restored());
    await stop();
    await serve(restored());
    expect(await contentOf('a')).toEqual(Array.from({ length: 40 }, (_, index) => index));
    await append('a', 1);
    expect(await contentOf('a')).toHaveLength(41);
  });

  it('into an earlier one copies only what is new', async () => {
    await append('a', 60);
    const first = await backupStore(data(), to(), NOW_MS);
    expect(first.files.length).toBeGreaterThan(1);
    await append('a', 5);
    const second = await backupStore(data(), to(), NOW_MS);
    expect(second.filesKept).toBe(first.files.length - 1);
    expect(second.events).toBe(first.events + 5);
  });

  it('of another log is refused, and so is a folder that is in use for something else', async () => {
    await append('a', 1);
    await backupStore(data(), to(), NOW_MS);
    await stop();
    const other = join(home, 'other');
    await serve(other);
    await append('z', 1);
    await expect(backupStore(other, to(), NOW_MS)).rejects.toMatchObject({ code: 'OtherBackup' });
    await expect(backupStore(other, data(), NOW_MS)).rejects.toMatchObject({ code: 'OtherBackup' });
    await expect(restoreStore(to(), data())).rejects.toMatchObject({ code: 'FolderNotEmpty' });
    await expect(restoreStore(home, restored())).rejects.toMatchObject({ code: 'NoBackup' });
  });

  it('of a damaged log is not called one', async () => {
    await append('a', 60);
    await stop();
    damage(join(data(), FIRST_SEGMENT), 5_000);
    await expect(backupStore(data(), to(), NOW_MS)).rejects.toMatchObject({ code: 'BackupDamaged' });
    await expect(restoreStore(to(), restored())).rejects.toMatchObject({ code: 'NoBackup' });
    rmSync(data(), { recursive: true });
    await serve(data());
  });

  it('that was damaged afterwards is not restored', async () => {
    await append('a', 60);
    await backupStore(data(), to(), NOW_MS);
    writeFileSync(join(to(), FIRST_SEGMENT), readFileSync(join(to(), FIRST_SEGMENT)).fill(7, 5_000, 5_100));
    await expect(restoreStore(to(), restored())).rejects.toMatchObject({ code: 'BackupDamaged' });
  });
});
