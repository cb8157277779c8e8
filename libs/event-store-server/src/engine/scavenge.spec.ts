import { SimulatedDisk } from '../crash/simulated-disk';
import { eventIdOf, recordedEventOf } from '../store/record';
import { dataOfRecordedEvent, type ProposedEvent } from '../wire/recorded-event';
import { type ReadRequest, WHOLE_LOG } from '../wire/requests';
import { InvalidPosition, logReader, logSubscription, streamReader } from './readers';
import { type AppendOutcome, StoreEngine } from './store-engine';

const FOLDER = '/data';
const SEGMENT_BYTES = 8 * 1024;

let nowMs = 0;
let sequence = 0;

beforeEach(() => {
  nowMs = 1_767_225_600_000;
  sequence = 0;
});

function newDisk(chance: () => number = () => 0.5): SimulatedDisk {
  return new SimulatedDisk(chance);
}

function open(disk: SimulatedDisk, autoScavenge = false): Promise<StoreEngine> {
  const onFailed = (): void => undefined;
  return StoreEngine.open({
    files: disk,
    folder: FOLDER,
    nowMs: () => nowMs,
    segmentBytes: SEGMENT_BYTES,
    onFailed,
    autoScavenge,
  });
}

function event(type = 'Happened', data?: string): ProposedEvent {
  sequence += 1;
  const id = Buffer.alloc(16);
  id.writeUInt32BE(sequence, 12);
  const text = data ?? JSON.stringify({ sequence, filler: 'x'.repeat(200) });
  return { id, type, contentType: 'application/json', data: Buffer.from(text), metadata: Buffer.alloc(0) };
}

async function append(engine: StoreEngine, stream: string, ...events: readonly ProposedEvent[]): Promise<AppendOutcome> {
  return new Promise((resolve) => engine.append({ stream, expected: 'any', events }, resolve));
}

async function fill(engine: StoreEngine, streams: readonly string[], rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const stream of streams) await append(engine, stream, event());
    nowMs += 1_000;
  }
}

function limit(engine: StoreEngine, stream: string, limits: object): Promise<AppendOutcome> {
  return append(engine, `$$${stream}`, event('$metadata', JSON.stringify(limits)));
}

function read(engine: StoreEngine, name: string, backwards = false): readonly string[] {
  const stream = engine.index.find(name);
  if (stream === undefined || stream.isTombstoned) return [];
  const request: ReadRequest = { ...WHOLE_LOG, backwards, from: backwards ? 'end' : 'start' };
  return contentOf(engine, streamReader(engine, stream, request));
}

function contentOf(engine: StoreEngine, source: ReturnType<typeof streamReader>): readonly string[] {
  const content: string[] = [];
  for (let page = source(); page !== undefined; page = source()) {
    for (const number of page.events) {
      const record = engine.record(number);
      content.push(
        `${eventIdOf(record).readUInt32BE(12)} ${dataOfRecordedEvent(recordedEventOf(record)).toString().slice(0, 20)}`,
      );
    }
  }
  return content;
}

/** All that readers of the streams see, in both directions. */
function seen(engine: StoreEngine, streams: readonly string[]) {
  return streams.map((name) => {
    const stream = engine.index.find(name);
    const last = stream?.isTombstoned === true ? 'ended' : stream?.lastRevision;
    return { name, forwards: read(engine, name), backwards: read(engine, name, true), last };
  });
}

const isOfJournal = (engine: StoreEngine, number: number): boolean => engine.index.streamOf(number).name.startsWith('$scavenges');

/** The whole log but for what tells of the scavenges. */
function wholeLog(engine: StoreEngine): readonly string[] {
  const source = logReader(engine, WHOLE_LOG);
  const content: string[] = [];
  for (let page = source(); page !== undefined; page = source()) {
    for (const number of page.events) {
      if (!isOfJournal(engine, number))
        content.push(`${engine.index.streamOf(number).name} ${engine.index.columns.position(number)}`);
    }
  }
  return content;
}

const STREAMS = ['counted', 'aged', 'cut', 'deleted', 'ended', 'plain', '$$counted'];

/** A log with every reason to forget events, and enough behind it to close the segments that hold them. */
async function grown(disk: SimulatedDisk): Promise<StoreEngine> {
  const engine = await open(disk);
  await fill(engine, ['counted', 'aged', 'cut', 'deleted', 'ended', 'plain'], 20);
  await limit(engine, 'counted', { $maxCount: 100 });
  await limit(engine, 'counted', { $maxCount: 3 });
  await limit(engine, 'aged', { $maxAge: 5 });
  await limit(engine, 'cut', { $tb: 7 });
  await new Promise((resolve) => engine.softDelete('deleted', 'any', resolve));
  await new Promise((resolve) => engine.tombstone('ended', 'any', resolve));
  await fill(engine, ['filler'], 60);
  await engine.settled();
  return engine;
}

function bytesOf(disk: SimulatedDisk): number {
  return disk
    .list(FOLDER)
    .filter((name) => name.endsWith('.log'))
    .reduce((sum, name) => sum + (disk.readBytes(`${FOLDER}/${name}`)?.length ?? 0), 0);
}

describe('a scavenge', () => {
  it('takes away what nobody can see, and nothing else', async () => {
    const disk = newDisk();
    const engine = await grown(disk);
    const before = seen(engine, STREAMS);
    const bytesBefore = bytesOf(disk);
    const logBefore = wholeLog(engine);
    const report = await engine.scavenging.start().finished;
    // 17 counted, 15 aged or more, 7 cut, 19 of the deleted one, 20 of the ended one, one old metadata event.
    expect(report).toMatchObject({ result: 'Success', removedEvents: 17 + 19 + 7 + 19 + 20 + 1 });
    expect(bytesOf(disk)).toBeLessThan(bytesBefore - report.freedBytes * 0.9);
    expect(seen(engine, STREAMS)).toEqual(before);
    const logAfter = wholeLog(engine);
    expect(logBefore).toEqual(expect.arrayContaining([...logAfter]));
    expect(logAfter).toHaveLength(logBefore.length - report.removedEvents);
  });

  it('leaves the same log for a restart, with and without what was written down of it', async () => {
    const disk = newDisk();
    const engine = await grown(disk);
    await engine.scavenging.start().finished;
    await engine.settled();
    const expected = { streams: seen(engine, STREAMS), log: wholeLog(engine) };
    await engine.close();
    const reopened = await open(disk);
    expect({ streams: seen(reopened, STREAMS), log: wholeLog(reopened) }).toEqual(expected);
    await reopened.close();
    for (const name of disk.list(FOLDER)) if (name.endsWith('.idx')) disk.remove(`${FOLDER}/${name}`);
    const scanned = await open(disk);
    expect({ streams: seen(scanned, STREAMS), log: wholeLog(scanned) }).toEqual(expected);
  });

  it('keeps revisions and expectations as they were', async () => {
    const disk = newDisk();
    const engine = await grown(disk);
    await engine.scavenging.start().finished;
    await engine.close();
    const reopened = await open(disk);
    const at = (expected: number, stream: string): Promise<AppendOutcome> =>
      new Promise((resolve) => reopened.append({ stream, expected, events: [event()] }, resolve));
    expect(await at(18, 'counted')).toEqual({ kind: 'wrong-version', current: 19 });
    expect(await at(3, 'counted')).toEqual({ kind: 'wrong-version', current: 19 });
    expect(await at(19, 'counted')).toMatchObject({ kind: 'appended', revision: 20 });
    expect(await append(reopened, 'deleted', event())).toMatchObject({ kind: 'appended', revision: 20 });
    expect(read(reopened, 'deleted')).toHaveLength(1);
    expect(await append(reopened, 'ended', event())).toEqual({ kind: 'stream-deleted' });
  });

  it('lets readers and followers go on from places that are gone', async () => {
    const disk = newDisk();
    const engine = await grown(disk);
    const { columns } = engine.index;
    const plain = columns.position(engine.index.find('plain')?.event(0) ?? -1);
    const gone = columns.position(engine.index.find('ended')?.event(4) ?? -1);
    const rest = (of: StoreEngine): readonly string[] => contentOf(of, logReader(of, { ...WHOLE_LOG, from: { at: gone } }));
    const follower = logSubscription(engine, { ...WHOLE_LOG, from: { at: gone }, subscribe: true });
    const first = follower.next(false).page?.events.length ?? 0;
    await engine.scavenging.start().finished;
    expect(first).toBeGreaterThan(0);
    expect(rest(engine).length).toBeGreaterThan(0);
    const expected = rest(engine);
    await engine.close();
    const reopened = await open(disk);
    expect(rest(reopened)).toEqual(expected);
    expect(() => logReader(reopened, { ...WHOLE_LOG, from: { at: plain + 1 } })).toThrow(InvalidPosition);
  });

  it('puts small files together, and again does nothing more', async () => {
    const disk = newDisk();
    const engine = await grown(disk);
    const { filesBefore, filesAfter } = await engine.scavenging.start().finished;
    expect(filesAfter).toBeLessThan(filesBefore);
    const files = disk.list(FOLDER).filter((name) => name.endsWith('.log'));
    expect(files).toHaveLength(filesAfter);
    expect(await engine.scavenging.start().finished).toMatchObject({ removedEvents: 0, freedBytes: 0 });
    await engine.close();
    expect(await (await open(disk)).scavenging.start().finished).toMatchObject({ removedEvents: 0, freedBytes: 0 });
  });

  it('that comes upon a damaged event ends there, and leaves everything from there on as it is', async () => {
    const disk = newDisk();
    const engine = await grown(disk);
    await engine.close();
    const reopened = await open(disk);
    const before = seen(reopened, ['plain']);
    const at = reopened.index.columns.position(reopened.index.find('plain')?.event(0) ?? -1);
    disk.corrupt(`${FOLDER}/${'0'.repeat(20)}.log`, at + 100);
    const report = await reopened.scavenging.start().finished;
    expect(report).toMatchObject({
      result: 'Failed',
      removedEvents: 0,
      error: expect.stringContaining(`position ${at}`) as unknown,
    });
    disk.corrupt(`${FOLDER}/${'0'.repeat(20)}.log`, at + 100);
    expect(seen(reopened, ['plain'])).toEqual(before);
  });

  it('that fills the disk harms nothing', async () => {
    const disk = newDisk();
    const engine = await grown(disk);
    const before = seen(engine, STREAMS);
    disk.room = 2_000;
    const report = await engine.scavenging.start().finished;
    disk.room = Number.POSITIVE_INFINITY;
    expect(report.result).toBe('Failed');
    expect(seen(engine, STREAMS)).toEqual(before);
    expect(await engine.scavenging.start().finished).toMatchObject({ result: 'Success' });
    expect(seen(engine, STREAMS)).toEqual(before);
  });

  it('that is cut off by a power cut leaves a log that shows the same', async () => {
    for (let cutAt = 1; cutAt < 24; cutAt += 1) {
      let state = cutAt;
      const disk = newDisk(() => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647);
      const engine = await grown(disk);
      const expected = seen(engine, STREAMS);
      let syncs = 0;
      const cut = new Promise<void>((resolve) => {
        disk.beforeSync = () => {
          syncs += 1;
          if (syncs < cutAt) return;
          resolve();
          return new Promise(() => undefined);
        };
      });
      await Promise.race([cut, engine.scavenging.start().finished]);
      disk.beforeSync = () => undefined;
      disk.powerCut();
      const reopened = await open(disk);
      expect(seen(reopened, STREAMS)).toEqual(expected);
      expect(disk.list(FOLDER).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    }
  });

  it('is stopped when it is asked to, or when the store closes', async () => {
    const engine = await grown(newDisk());
    const { id, finished } = engine.scavenging.start();
    expect(engine.scavenging.start()).toMatchObject({ id, isNew: false });
    expect(engine.scavenging.stop('another')).toBe(false);
    expect(engine.scavenging.stop(id)).toBe(true);
    expect(await finished).toMatchObject({ result: 'Stopped', removedEvents: 0 });
    const again = engine.scavenging.start();
    await engine.close();
    expect(await again.finished).toMatchObject({ result: 'Stopped' });
  });

  it('tells of itself in the log', async () => {
    const engine = await grown(newDisk());
    const { id, finished } = engine.scavenging.start();
    await finished;
    expect(read(engine, `$scavenges-${id}`)).toHaveLength(2);
    expect(read(engine, '$scavenges')).toHaveLength(2);
  });

  it('begins by itself when much can be seen by nobody, and not before', async () => {
    const disk = newDisk();
    const engine = await open(disk, true);
    const began = (): boolean => engine.index.find('$scavenges') !== undefined;
    await fill(engine, ['kept'], 100);
    await engine.settled();
    expect(began()).toBe(false);
    await limit(engine, 'kept', { $maxCount: 1 });
    nowMs += 3_600_000;
    for (let round = 0; round < 1_000 && !began(); round += 1) await fill(engine, ['filler'], 1);
    expect(began()).toBe(true);
    await engine.close();
  });
});
