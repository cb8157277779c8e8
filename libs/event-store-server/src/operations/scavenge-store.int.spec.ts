import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import { OperationsClient } from '@eventstore/db-client/generated/operations_grpc_pb';
import { type ScavengeResp, StartScavengeReq, StopScavengeReq } from '@eventstore/db-client/generated/operations_pb';
import { type RunningEventStoreServer, startEventStoreServer } from '../server';
import { backupStore, restoreStore } from './backup';
import { scavengeStore } from './scavenge-store';
import { verifyStore } from './verify';

const SEGMENT_BYTES = 16 * 1024;

let home: string;
let server: RunningEventStoreServer;
let client: EventStoreDBClient;
const data = (): string => join(home, 'data');

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'perdure-scavenge-'));
  await serve();
});

afterEach(async () => {
  await stop();
  rmSync(home, { recursive: true, force: true });
});

async function serve(): Promise<void> {
  server = await startEventStoreServer({ dataDir: data(), port: 0, segmentBytes: SEGMENT_BYTES });
  client = EventStoreDBClient.connectionString(server.connectionString);
}

async function stop(): Promise<void> {
  await client.dispose();
  await server.close();
}

/** Of `cut` only the last three events can be read; of `kept` all. */
async function grow(count = 60): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const event = () => jsonEvent({ type: 'Happened', data: { index, filler: 'x'.repeat(500) } });
    await client.appendToStream('cut', event());
    await client.appendToStream('kept', event());
  }
  await client.setStreamMetadata('cut', { maxCount: 3 });
  for (let index = 0; index < 40; index += 1)
    await client.appendToStream('kept', jsonEvent({ type: 'Happened', data: { index, filler: 'x'.repeat(500) } }));
}

async function contentOf(stream: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { event } of client.readStream(stream)) found.push(`${event?.revision} ${event?.id}`);
  return found;
}

function operations(): OperationsClient {
  return new OperationsClient(`127.0.0.1:${server.port}`, credentials.createInsecure());
}

function start(caller: OperationsClient): Promise<ScavengeResp> {
  const request = new StartScavengeReq();
  request.setOptions(new StartScavengeReq.Options());
  return new Promise((resolve, reject) => {
    caller.startScavenge(request, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

/** What the log tells of a scavenge that has ended. */
async function completed(id: string): Promise<Record<string, unknown>> {
  for (;;) {
    // Read to the end: the client waits for reads that were broken off.
    const events: { readonly type?: string; readonly data?: unknown }[] = [];
    for await (const { event } of client.readStream(`$scavenges-${id}`)) events.push(event ?? {});
    const found = events.find(({ type }) => type === '$scavengeCompleted');
    if (found !== undefined) return found.data as Record<string, unknown>;
  }
}

describe('a scavenge', () => {
  it('is started by the call of the protocol while the log is served, and tells how it went', async () => {
    await grow();
    const before = await Promise.all(['cut', 'kept'].map(contentOf));
    const caller = operations();
    const begun = await start(caller);
    expect(await completed(begun.getScavengeId())).toMatchObject({ result: 'Success', removedEvents: 57 });
    caller.close();
    expect(await Promise.all(['cut', 'kept'].map(contentOf))).toEqual(before);
    expect(before[0]).toHaveLength(3);
    expect(await verifyStore(data())).toMatchObject({ faults: [], unfinishedTailBytes: 0 });
  });

  it('that is not under way cannot be stopped', async () => {
    const caller = operations();
    const request = new StopScavengeReq();
    const options = new StopScavengeReq.Options();
    options.setScavengeId('another');
    request.setOptions(options);
    const refused = new Promise((resolve) => caller.stopScavenge(request, (error) => resolve(error?.metadata.get('exception'))));
    expect(await refused).toEqual(['scavenge-not-found']);
    caller.close();
  });

  it('of a folder that nobody serves gives its room back, and the log is intact', async () => {
    await grow();
    const before = await Promise.all(['cut', 'kept'].map(contentOf));
    await stop();
    const { bytes } = await verifyStore(data());
    const report = await scavengeStore(data());
    expect(report).toMatchObject({ result: 'Success', removedEvents: 57 });
    const after = await verifyStore(data());
    expect(after).toMatchObject({ faults: [] });
    expect(after.bytes).toBeLessThan(bytes - 57 * 500);
    await serve();
    expect(await Promise.all(['cut', 'kept'].map(contentOf))).toEqual(before);
  });

  it('of a folder that is served is refused', async () => {
    await expect(scavengeStore(data())).rejects.toMatchObject({ code: 'DataFolderLocked' });
    await expect(scavengeStore(home)).rejects.toMatchObject({ code: 'NoEventLog' });
  });

  it('between two backups into one folder leaves a backup of what is there now', async () => {
    await grow();
    const to = join(home, 'backup');
    const first = await backupStore(data(), to, 0);
    const caller = operations();
    await completed((await start(caller)).getScavengeId());
    caller.close();
    const second = await backupStore(data(), to, 0);
    expect(second.bytes).toBeLessThan(first.bytes);
    const expected = await Promise.all(['cut', 'kept'].map(contentOf));
    await stop();
    rmSync(data(), { recursive: true });
    expect(await restoreStore(to, data())).toMatchObject({ faults: [] });
    await serve();
    expect(await Promise.all(['cut', 'kept'].map(contentOf))).toEqual(expected);
  });
});
