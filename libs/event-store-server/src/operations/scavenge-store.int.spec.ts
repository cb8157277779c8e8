import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import { OperationsClient } from '@eventstore/db-client/generated/operations_grpc_pb';
import { StartScavengeReq, StopScavengeReq } from '@eventstore/db-client/generated/operations_pb';
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

/** The client connects; that it lacks these calls does not matter. */
function operate<T>(action: (operations: OperationsClient) => Promise<T>): Promise<T> {
  const core = client as unknown as { execute(type: unknown, name: string, act: typeof action): Promise<T> };
  return core.execute(OperationsClient, 'operations', action);
}

/** @returns the id of the scavenge */
function start(): Promise<string> {
  const request = new StartScavengeReq();
  request.setOptions(new StartScavengeReq.Options());
  return operate(
    (operations) =>
      new Promise((resolve, reject) => {
        operations.startScavenge(request, (error, response) => (error ? reject(error) : resolve(response.getScavengeId())));
      }),
  );
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
    expect(await completed(await start())).toMatchObject({ result: 'Success', removedEvents: 57 });
    expect(await Promise.all(['cut', 'kept'].map(contentOf))).toEqual(before);
    expect(before[0]).toHaveLength(3);
    expect(await verifyStore(data())).toMatchObject({ faults: [], unfinishedTailBytes: 0 });
  });

  it('that is not under way cannot be stopped', async () => {
    const request = new StopScavengeReq();
    const options = new StopScavengeReq.Options();
    options.setScavengeId('another');
    request.setOptions(options);
    const refused = operate((operations) => new Promise((_, reject) => operations.stopScavenge(request, reject)));
    const exception: unknown = await refused.catch((error: { metadata: { get(name: string): unknown } }) =>
      error.metadata.get('exception'),
    );
    expect(exception).toEqual(['scavenge-not-found']);
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
    await completed(await start());
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
