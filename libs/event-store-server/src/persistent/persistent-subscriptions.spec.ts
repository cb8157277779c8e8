import { StoreEngine } from '../engine/store-engine';
import { chanceFrom } from '../crash/chance';
import { eventIdOf } from '../store/record';
import { SEGMENT_NAME } from '../store/segments';
import { SimulatedDisk } from '../crash/simulated-disk';
import type { ProposedEvent } from '../wire/recorded-event';
import type { ProposedSettings } from '../wire/persistent-requests';
import { readCheckpoint } from './checkpoint-stream';
import type { Consumer } from './consumer';
import { SETTINGS } from './group.world';
import { CONFIG_STREAM, checkpointStream, parkedStream } from './group-names';
import type { Content } from './message';
import { PersistentSubscriptions } from './persistent-subscriptions';
import { dataText } from './state-streams';

const FOLDER = '/data';
const KEY = { source: 'a', group: 'workers' };
/** The simulated disk copies a file at each write: small ones keep that cheap. */
const SEGMENT_BYTES = 16 * 1024;

let disk: SimulatedDisk;
let engine: StoreEngine;
let subscriptions: PersistentSubscriptions;

async function open(): Promise<void> {
  const onFailed = (): void => undefined;
  const nowMs = (): number => 1_767_225_600_000;
  engine = await StoreEngine.open({ files: disk, folder: FOLDER, nowMs, segmentBytes: SEGMENT_BYTES, onFailed });
  subscriptions = new PersistentSubscriptions(engine);
}

beforeEach(async () => {
  disk = new SimulatedDisk(chanceFrom(1));
  await open();
});

afterEach(async () => {
  subscriptions.close();
  await engine.close();
});

let lastId = 0;

function proposed(text: string, type = 'Happened'): ProposedEvent {
  const id = Buffer.alloc(16);
  id.writeUInt32BE((lastId += 1), 12);
  return { id, type, contentType: 'application/json', data: Buffer.from(text), metadata: Buffer.alloc(0) };
}

function append(stream: string, ...events: ProposedEvent[]): Promise<string> {
  return new Promise((resolve) => engine.append({ stream, expected: 'any', events }, ({ kind }) => resolve(kind)));
}

/** What was written lately is still in memory: enough follows to push it out. */
async function pushOutOfMemory(): Promise<void> {
  for (let count = 0; count < 40; count += 1) await append('filler', proposed('x'.repeat(200_000)));
}

function corrupt(stream: string, revision: number): void {
  const event = engine.index.find(stream)?.event(revision) ?? -1;
  const position = engine.index.columns.position(event);
  const bases = disk.list(FOLDER).flatMap((name) => SEGMENT_NAME.exec(name)?.slice(1) ?? []);
  const base =
    bases
      .sort()
      .filter((one) => Number(one) <= position)
      .at(-1) ?? '';
  disk.corrupt(`${FOLDER}/${base}.log`, position - Number(base) + 100);
}

function dataOf(stream: string): string[] {
  const entry = engine.index.find(stream);
  return Array.from({ length: (entry?.lastRevision ?? -1) + 1 }, (_, revision) =>
    dataText(engine.record(entry?.event(revision) ?? -1)),
  );
}

function create(changes: Partial<ProposedSettings> = {}): Promise<void> {
  return subscriptions.create({ ...KEY, filter: undefined, settings: { ...SETTINGS, ...changes } });
}

/** Resolves with the data of what it was given when there are `count` of them. */
function consume(count: number, bufferSize = 100): Promise<string[]> {
  return new Promise((resolve) => {
    const found: string[] = [];
    const consumer: Consumer = {
      key: 'only',
      bufferSize,
      hasRoom: true,
      from: '',
      connectionName: '',
      deliver({ id, event }: Content) {
        if (event === undefined) return;
        expect(eventIdOf(event).toString('hex')).toBe(id);
        found.push(dataText(event));
        subscriptions.host(KEY).acknowledge([id]);
        if (found.length === count) resolve(found);
      },
      drop: () => undefined,
    };
    subscriptions.host(KEY).connect(consumer);
  });
}

/** Resolves when the stream has an event more, which readers may see. */
function written(stream: string): Promise<void> {
  const entry = engine.index.enter(stream);
  return new Promise((resolve) => {
    const stop = engine.followStream(entry, {
      wake() {
        stop();
        resolve();
      },
    });
  });
}

describe('groups on a damaged disk', () => {
  it('park an event that cannot be read, and go on', async () => {
    await append('a', proposed('0'), proposed('1'), proposed('2'));
    await pushOutOfMemory();
    corrupt('a', 1);
    await create({ strategy: 'PinnedByCorrelation' });
    const parked = written(parkedStream(KEY));
    expect(await consume(2)).toEqual(['0', '2']);
    await parked;
    expect(dataOf(parkedStream(KEY))).toEqual(['1@a']);
    expect(subscriptions.report(KEY).parked).toBe(1);
  });

  it('begin at the checkpoint before a damaged one', async () => {
    await append('a', proposed('0'), proposed('1'));
    await create({ maxCheckpointCount: 1 });
    const checkpoint = written(checkpointStream(KEY));
    await consume(2);
    await checkpoint;
    const next = written(checkpointStream(KEY));
    await append('a', proposed('2'));
    await next;
    await pushOutOfMemory();
    const last = engine.index.find(checkpointStream(KEY))?.lastRevision ?? 0;
    expect(readCheckpoint(engine, KEY)).toBe(2);
    corrupt(checkpointStream(KEY), last);
    expect(readCheckpoint(engine, KEY)).toBe(Number((dataOfFirst(last - 1) ?? '').replaceAll('"', '')));
  });

  function dataOfFirst(revision: number): string | undefined {
    const event = engine.index.find(checkpointStream(KEY))?.event(revision);
    return event === undefined ? undefined : dataText(engine.record(event));
  }
});

describe('groups on a full disk', () => {
  it('are neither created nor deleted, and say why', async () => {
    await create();
    disk.room = 0;
    const other = { source: 'b', group: 'workers', filter: undefined, settings: SETTINGS };
    await expect(subscriptions.create(other)).rejects.toMatchObject({ fault: 'failed', reason: expect.stringMatching(/full/) });
    await expect(subscriptions.delete(KEY)).rejects.toMatchObject({ fault: 'failed' });
    expect(subscriptions.reportAll().map(({ source }) => source)).toEqual(['a']);
    disk.room = Number.POSITIVE_INFINITY;
    await subscriptions.create(other);
    await subscriptions.delete(KEY);
    expect(subscriptions.reportAll().map(({ source }) => source)).toEqual(['b']);
  });
});

describe('the configuration', () => {
  it('that cannot be used stops the groups and nothing else, until there is one that can', async () => {
    await create();
    const [good = ''] = dataOf(CONFIG_STREAM);
    await append(CONFIG_STREAM, proposed('{"entries":[{"stream":"a"}]}'));
    subscriptions.close();
    await engine.close();
    await open();
    expect(() => subscriptions.report(KEY)).toThrow(/cannot be used: an entry has no startPosition/);
    await expect(create()).rejects.toMatchObject({ fault: 'failed' });
    expect(await append('a', proposed('0'))).toBe('appended');
    await append(CONFIG_STREAM, proposed(good));
    await subscriptions.restart();
    expect(await consume(1)).toEqual(['0']);
  });

  it('is bounded', async () => {
    const filter = { on: 'event-type', regex: undefined, prefixes: ['x'.repeat(1_100_000)], checkpointInterval: 1 } as const;
    const large = subscriptions.create({ source: '$all', group: 'workers', filter, settings: SETTINGS });
    await expect(large).rejects.toMatchObject({ reason: expect.stringMatching(/at most 1048576 bytes/) });
    const long = subscriptions.create({ ...KEY, source: 'x'.repeat(65_520), filter: undefined, settings: SETTINGS });
    await expect(long).rejects.toMatchObject({ reason: expect.stringMatching(/too long/) });
  });

  it.each([
    [{ strategy: 'Nobody' }, /Nobody does not exist/],
    [{ readBatchSize: 10 }, /larger than the read batch/],
    [{ liveBufferSize: 0 }, /live buffer/],
    [{ readBatchSize: 0 }, /read batch/],
    [{ maxRetryCount: -1 }, /negative/],
  ])('refuses %j', async (changes, reason) => {
    await expect(create(changes)).rejects.toMatchObject({ fault: 'failed', reason: expect.stringMatching(reason) });
  });

  it('takes changes that come at once one after the other', async () => {
    const changes = [create(), create(), subscriptions.delete(KEY), create({ maxRetryCount: 5 })];
    const outcomes = await Promise.allSettled(changes);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect(subscriptions.report(KEY).settings.maxRetryCount).toBe(5);
  });
});

describe('a group whose deletion was cut short', () => {
  it('begins anew when it is created again', async () => {
    await append('a', proposed('0'), proposed('1'));
    await create({ maxCheckpointCount: 1 });
    const checkpoint = written(checkpointStream(KEY));
    await consume(2);
    await checkpoint;
    // The configuration is written first: a crash then leaves the checkpoint behind.
    await append(CONFIG_STREAM, proposed('{"version":"2","entries":[]}'));
    await subscriptions.restart();
    expect(readCheckpoint(engine, KEY)).toBeDefined();
    await create({ maxCheckpointCount: 1 });
    expect(subscriptions.report(KEY).checkpoint).toBeUndefined();
    expect(await consume(2)).toEqual(['0', '1']);
  });
});
