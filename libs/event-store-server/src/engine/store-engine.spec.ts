import { chanceFrom } from '../crash/chance';
import { EventDamaged, type EventStoreServerError, NameTooLong, StorageFull } from '../errors';
import { SimulatedDisk } from '../crash/simulated-disk';
import { eventIdOf, recordedEventOf } from '../store/record';
import { dataOfRecordedEvent, type ProposedEvent } from '../wire/recorded-event';
import { openStream } from './readers';
import { type AppendOutcome, type AppendRequest, StoreEngine } from './store-engine';

const FOLDER = '/data';
const SEED = 20_260_101;

function proposed(sequence: number, size = 100): ProposedEvent {
  const id = Buffer.alloc(16);
  id.writeUInt32BE(sequence + 1, 12);
  const data = Buffer.from(JSON.stringify({ sequence, filler: 'x'.repeat(size) }));
  return { id, type: 'Happened', contentType: 'application/json', data, metadata: Buffer.alloc(0) };
}

async function open(
  disk: SimulatedDisk,
  onFailed: (error: EventStoreServerError) => void = () => undefined,
): Promise<StoreEngine> {
  return StoreEngine.open({ files: disk, folder: FOLDER, nowMs: () => 1_767_225_600_000, segmentBytes: 16 * 1024, onFailed });
}

function append(engine: StoreEngine, request: AppendRequest): Promise<AppendOutcome> {
  return new Promise((resolve) => {
    engine.append(request, resolve);
  });
}

/** What a reader of the stream gets: the sequence numbers in the data, by revision. */
function contentOf(engine: StoreEngine, name: string): number[] {
  const stream = engine.index.find(name);
  if (stream === undefined) return [];
  return Array.from({ length: stream.visibleEnd(engine.index.visible) }, (_, revision) => {
    const record = engine.record(stream.event(revision));
    const { sequence } = JSON.parse(dataOfRecordedEvent(recordedEventOf(record)).toString('utf8')) as { sequence: number };
    expect(eventIdOf(record).readUInt32BE(12)).toBe(sequence + 1);
    return sequence;
  });
}

interface Load {
  readonly acknowledged: Map<string, number[][]>;
  readonly sent: Map<string, number[][]>;
}

/** Appends of one to three events to five streams, each stream one at a time, until `stop`. */
async function load(engine: StoreEngine, options: { chance: () => number; into: Load; appends: number }): Promise<void> {
  const { chance, into } = options;
  let next = [...into.sent.values()].flat(2).length;
  const writer = async (stream: string): Promise<void> => {
    for (let count = 0; count < options.appends; count += 1) {
      const events = Array.from({ length: 1 + Math.floor(chance() * 3) }, () => proposed(next++, Math.floor(chance() * 2000)));
      const sequences = events.map(({ id }) => id.readUInt32BE(12) - 1);
      into.sent.set(stream, [...(into.sent.get(stream) ?? []), sequences]);
      const outcome = await append(engine, { stream, expected: 'any', events });
      if (outcome.kind !== 'appended') return;
      into.acknowledged.set(stream, [...(into.acknowledged.get(stream) ?? []), sequences]);
    }
  };
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map(writer));
}

/** Every acknowledged append is there, in order and once; of the others each is there whole or not at all. */
function expectNothingLost(engine: StoreEngine, { sent, acknowledged }: Load): void {
  for (const [stream, appends] of sent) {
    const content = contentOf(engine, stream);
    const whole = appends.filter((sequences) => content.includes(sequences[0] as number));
    expect(content).toEqual(whole.flat());
    for (const sequences of acknowledged.get(stream) ?? []) expect(content).toEqual(expect.arrayContaining(sequences));
  }
}

async function crashRound(seed: number, disk: SimulatedDisk, into: Load): Promise<void> {
  const chance = chanceFrom(seed);
  const engine = await open(disk);
  expectNothingLost(engine, into);
  // What survived counts from now on: it was read.
  for (const [stream, appends] of into.sent) {
    const content = contentOf(engine, stream);
    into.sent.set(
      stream,
      appends.filter((sequences) => content.includes(sequences[0] as number)),
    );
    into.acknowledged.set(stream, into.sent.get(stream) ?? []);
  }
  let syncsLeft = 1 + Math.floor(chance() * 12);
  const cut = new Promise<void>((resolve) => {
    disk.beforeSync = () => {
      syncsLeft -= 1;
      if (syncsLeft > 0) return;
      resolve();
      // The machine is off: this sync never comes back.
      return new Promise(() => undefined);
    };
  });
  await Promise.race([load(engine, { chance, into, appends: 100 }), cut]);
  disk.beforeSync = () => undefined;
  // Otherwise only the process died: what it wrote can be read by the next one, and lost by a later power cut.
  if (chance() < 0.5) disk.powerCut();
}

describe('the log on a disk that loses power', () => {
  it.each(Array.from({ length: 20 }, (_, round) => SEED + round))(
    'loses nothing acknowledged and tears no append, seed %i',
    async (seed) => {
      const disk = new SimulatedDisk(chanceFrom(seed));
      const into: Load = { acknowledged: new Map(), sent: new Map() };
      for (let round = 0; round < 5; round += 1) await crashRound(seed * 10 + round, disk, into);
      expectNothingLost(await open(disk), into);
    },
  );

  it('would be caught: a disk that lies about syncs loses what was acknowledged', async () => {
    const lost: number[] = [];
    for (let seed = SEED; seed < SEED + 10; seed += 1) {
      const disk = new SimulatedDisk(chanceFrom(seed));
      disk.liesAboutSync = true;
      const engine = await open(disk);
      const outcome = await append(engine, { stream: 'a', expected: 'no-stream', events: [proposed(1)] });
      expect(outcome.kind).toBe('appended');
      disk.powerCut();
      if (contentOf(await open(disk), 'a').length === 0) lost.push(seed);
    }
    expect(lost.length).toBeGreaterThan(0);
  });

  it('refuses to open a log whose acknowledged part is damaged, and changes nothing', async () => {
    const disk = new SimulatedDisk(chanceFrom(SEED));
    const engine = await open(disk);
    for (let sequence = 0; sequence < 4; sequence += 1) {
      await append(engine, { stream: 'a', expected: sequence - 1, events: [proposed(sequence)] });
    }
    await engine.close();
    disk.corrupt(`${FOLDER}/${'0'.repeat(20)}.log`, 200);
    await expect(open(disk)).rejects.toMatchObject({ code: 'LogCorrupt' });
    disk.corrupt(`${FOLDER}/${'0'.repeat(20)}.log`, 200);
    expect(contentOf(await open(disk), 'a')).toEqual([0, 1, 2, 3]);
  });
});

describe('the log on a full disk', () => {
  it('refuses writes with a clear error, keeps reads, and goes on when there is room', async () => {
    const disk = new SimulatedDisk(chanceFrom(SEED));
    const engine = await open(disk);
    await append(engine, { stream: 'a', expected: 'no-stream', events: [proposed(0)] });
    disk.room = 100;
    const together = await Promise.all([
      append(engine, { stream: 'a', expected: 0, events: [proposed(1)] }),
      append(engine, { stream: 'a', expected: 1, events: [proposed(2)] }),
      append(engine, {
        stream: '$$a',
        expected: 'any',
        events: [{ ...proposed(3), type: '$metadata', data: Buffer.from('{"$maxCount":0}') }],
      }),
    ]);
    for (const outcome of together) expect(outcome).toMatchObject({ kind: 'failed', error: expect.any(StorageFull) as unknown });
    expect(contentOf(engine, 'a')).toEqual([0]);
    expect(engine.index.find('a')?.limits).toBeUndefined();
    disk.room = 1_000_000;
    expect(await append(engine, { stream: 'a', expected: 0, events: [proposed(1)] })).toMatchObject({
      kind: 'appended',
      revision: 1,
    });
    await engine.close();
    expect(contentOf(await open(disk), 'a')).toEqual([0, 1]);
  });
});

describe('the log after a failed sync', () => {
  it('answers nothing as done, says so once, and accepts nothing more', async () => {
    const disk = new SimulatedDisk(chanceFrom(SEED));
    const failures: string[] = [];
    const engine = await open(disk, ({ code }) => void failures.push(code));
    await append(engine, { stream: 'a', expected: 'no-stream', events: [proposed(0)] });
    disk.syncFails = true;
    expect(await append(engine, { stream: 'a', expected: 0, events: [proposed(1)] })).toMatchObject({
      kind: 'failed',
      error: { code: 'SyncFailed' },
    });
    disk.syncFails = false;
    expect(await append(engine, { stream: 'a', expected: 0, events: [proposed(2)] })).toMatchObject({ kind: 'failed' });
    expect(failures).toEqual(['SyncFailed']);
    expect(contentOf(engine, 'a')).toEqual([0]);
  });
});

describe('groups', () => {
  it('write what arrived during one sync with the next one', async () => {
    const disk = new SimulatedDisk(chanceFrom(SEED));
    const engine = await open(disk);
    const before = disk.syncs;
    const events = Array.from({ length: 50 }, (_, at) => proposed(at));
    await Promise.all(events.map((event, at) => append(engine, { stream: `s-${at}`, expected: 'no-stream', events: [event] })));
    expect(disk.syncs - before).toBe(1);
  });

  it('hide the end of a stream from readers until it is durable', async () => {
    const disk = new SimulatedDisk(chanceFrom(SEED));
    const engine = await open(disk);
    await append(engine, { stream: 'a', expected: 'any', events: [proposed(0)] });
    const ended = new Promise((resolve) => engine.tombstone('a', 'any', resolve));
    expect(openStream(engine, 'a')).toBe(engine.index.find('a'));
    await ended;
    expect(openStream(engine, 'a')).toBe('deleted');
  });

  it('answer a refusal only when what it rests on is durable', async () => {
    const disk = new SimulatedDisk(chanceFrom(SEED));
    const engine = await open(disk);
    const order: string[] = [];
    const first = append(engine, { stream: 'a', expected: 'no-stream', events: [proposed(0)] }).then(() =>
      order.push('appended'),
    );
    const second = append(engine, { stream: 'a', expected: 'no-stream', events: [proposed(1)] }).then((outcome) =>
      order.push(outcome.kind),
    );
    await Promise.all([first, second]);
    expect(order).toEqual(['appended', 'wrong-version']);
    expect(disk.syncs).toBeGreaterThan(0);
  });
});

describe('names that a record cannot hold', () => {
  it('are refused, and the log stays whole', async () => {
    const disk = new SimulatedDisk(chanceFrom(SEED));
    const engine = await open(disk);
    const long = 'n'.repeat(70_000);
    const refused = { kind: 'failed', error: expect.any(NameTooLong) as unknown };
    const event = proposed(0);
    expect(await append(engine, { stream: long, expected: 'any', events: [event] })).toEqual(refused);
    expect(await append(engine, { stream: 's', expected: 'any', events: [{ ...event, type: long }] })).toEqual(refused);
    expect(await new Promise((resolve) => engine.softDelete(long, 'any', resolve))).toEqual(refused);
    expect(await new Promise((resolve) => engine.tombstone(long, 'any', resolve))).toEqual(refused);

    const longest = 'é'.repeat(32_766);
    expect(await append(engine, { stream: longest, expected: 'any', events: [event] })).toMatchObject({ kind: 'appended' });
    await engine.close();
    expect(contentOf(await open(disk), longest)).toEqual([0]);
  });
});

describe('names that are only asked for', () => {
  it('are forgotten again, also those of empty appends', async () => {
    const engine = await open(new SimulatedDisk(chanceFrom(SEED)));
    expect(await append(engine, { stream: 'a', expected: 'any', events: [] })).toMatchObject({ kind: 'appended', revision: -1 });
    expect(await append(engine, { stream: 'b', expected: 3, events: [] })).toMatchObject({ kind: 'wrong-version' });
    await new Promise((resolve) => engine.softDelete('c', 'any', resolve));
    expect(['a', 'b', 'c'].map((name) => engine.index.find(name))).toEqual([undefined, undefined, undefined]);
  });
});

describe('bytes that changed on the disk', () => {
  async function damaged() {
    const disk = new SimulatedDisk(chanceFrom(SEED));
    const engine = await open(disk);
    for (let sequence = 0; sequence < 3; sequence += 1) {
      await append(engine, { stream: 'a', expected: sequence - 1, events: [proposed(sequence)] });
    }
    // What was written lately is still in memory: enough follows to push it out.
    for (let sequence = 3; sequence < 40; sequence += 1) {
      await append(engine, { stream: 'b', expected: 'any', events: [proposed(sequence, 200_000)] });
    }
    const position = engine.index.columns.position(engine.index.find('a')?.event(1) as number);
    disk.corrupt(`${FOLDER}/${'0'.repeat(20)}.log`, position + 100);
    return { engine, position };
  }

  it('are found when they are read, named by position, and never served', async () => {
    const { engine, position } = await damaged();
    const stream = engine.index.find('a');
    expect(() => engine.record(stream?.event(1) as number)).toThrow(new EventDamaged(position));
    expect(eventIdOf(engine.record(stream?.event(0) as number)).readUInt32BE(12)).toBe(1);
    expect(eventIdOf(engine.record(stream?.event(2) as number)).readUInt32BE(12)).toBe(3);
  });

  it('fail the append that has to be compared with them, and no other', async () => {
    const { engine } = await damaged();
    const outcome = await append(engine, { stream: 'a', expected: 0, events: [proposed(1)] });
    expect(outcome).toEqual({ kind: 'failed', error: expect.any(EventDamaged) as unknown });
    expect(await append(engine, { stream: 'a', expected: 2, events: [proposed(99)] })).toMatchObject({ kind: 'appended' });
  });
});

describe('what is written down of closed segments', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];

  /** All that a reader could see of the index. */
  function dump(engine: StoreEngine) {
    const { index } = engine;
    const streams = names.map((name) => {
      const stream = index.find(name);
      return [name, contentOf(engine, name), stream?.isTombstoned, stream?.limits];
    });
    const events = Array.from({ length: index.columns.count }, (_, event) => [
      index.columns.position(event),
      index.streamOf(event).name,
      index.typeOf(event),
    ]);
    return { streams, events };
  }

  async function grown(seed: number): Promise<SimulatedDisk> {
    const chance = chanceFrom(seed);
    const disk = new SimulatedDisk(chance);
    const engine = await open(disk);
    const into: Load = { acknowledged: new Map(), sent: new Map() };
    await load(engine, { chance, into, appends: 20 });
    await append(engine, { stream: '$$b', expected: 'any', events: [{ ...proposed(0), type: '$metadata', data: LIMITS }] });
    await new Promise((resolve) => engine.tombstone('c', 'any', resolve));
    await load(engine, { chance, into, appends: 20 });
    await engine.settled();
    await engine.close();
    return disk;
  }
  const LIMITS = Buffer.from('{"$maxCount":3}');
  const indexFiles = (disk: SimulatedDisk): readonly string[] => disk.list(FOLDER).filter((name) => name.endsWith('.idx'));

  it.each([1, 2, 3, 4, 5])('says the same as a scan of them, seed %i', async (seed) => {
    const disk = await grown(seed);
    expect(indexFiles(disk).length).toBeGreaterThan(3);
    const loaded = dump(await open(disk));
    for (const name of indexFiles(disk)) disk.remove(`${FOLDER}/${name}`);
    expect(dump(await open(disk))).toEqual(loaded);
  });

  it('is passed over where it is damaged, and written again', async () => {
    const disk = await grown(9);
    const expected = dump(await open(disk));
    const [first] = indexFiles(disk);
    disk.corrupt(`${FOLDER}/${first ?? ''}`, 100);
    const engine = await open(disk);
    expect(dump(engine)).toEqual(expected);
    await engine.settled();
    await engine.close();
    disk.corrupt(`${FOLDER}/${'0'.repeat(20)}.log`, 2_000);
    expect((await open(disk)).index.columns.count).toBe(expected.events.length);
  });

  it('lets a repeated append be recognised after a restart', async () => {
    const disk = new SimulatedDisk(chanceFrom(SEED));
    const engine = await open(disk);
    for (let sequence = 0; sequence < 40; sequence += 1) {
      await append(engine, { stream: 'a', expected: 'any', events: [proposed(sequence, 2_000)] });
    }
    await engine.settled();
    await engine.close();
    const again = await append(await open(disk), { stream: 'a', expected: 'any', events: [proposed(0, 2_000)] });
    expect(again).toEqual({ kind: 'appended', revision: 0, position: 0 });
  });
});
