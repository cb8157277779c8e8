import { AppendRefused, type EventData, type EventStore, type RecordedEvent, comparePositions } from '@perdure/kernel';
import { describeFollowing } from './event-store-following.suite';
import { type EventStoreFixture, FORWARD, beginOf, event, events, revisionsOf } from './event-store.fixture';

/** What every EventStore must do. Each test has a log of its own, or names of its own in one that others write, too. */
export function eventStoreContract(adapter: string, open: () => Promise<EventStoreFixture>): void {
  describe(`${adapter} as an EventStore`, () => {
    let fixture: EventStoreFixture;
    let store: EventStore;

    beforeEach(async () => {
      fixture = await open();
      store = fixture.store;
    });

    afterEach(async () => {
      await fixture.stop();
    });

    const given = (): EventStoreFixture => fixture;
    describeAppending(given);
    describeRepeats(given);
    describeReading(given);
    describeFollowing(given);

    it('is closed for good', async () => {
      await store.close();
      await expect(store.append(`${fixture.prefix ?? ''}run-a`, 'any', [event()])).rejects.toMatchObject({
        code: 'StoreUnavailable',
      });
    });
  });
}

function describeAppending(given: () => EventStoreFixture): void {
  const named = (name: string): string => (given().prefix ?? '') + name;

  it('appends at exact revisions and says where', async () => {
    const { store } = given();
    const first = await store.append(named('run-a'), 'no-stream', events(2));
    const second = await store.append(named('run-a'), 1, [event()]);
    expect(first).toMatchObject({ outcome: 'appended', revision: 1 });
    expect(second).toMatchObject({ outcome: 'appended', revision: 2 });
    const found = await store.read(named('run-a'), FORWARD);
    expect(second).toMatchObject({ position: found[2]?.position });
    expect(first).toMatchObject({ position: found[1]?.position });
  });

  it('refuses another revision than the expected one and tells the actual', async () => {
    const { store } = given();
    expect(await store.append(named('run-a'), 0, [event()])).toEqual({ outcome: 'wrong-revision', actual: 'no-stream' });
    expect(await store.append(named('run-a'), 'stream-exists', [event()])).toEqual({
      outcome: 'wrong-revision',
      actual: 'no-stream',
    });
    await store.append(named('run-a'), 'no-stream', events(3));
    expect(await store.append(named('run-a'), 'no-stream', [event()])).toEqual({ outcome: 'wrong-revision', actual: 2 });
    expect(await store.append(named('run-a'), 1, [event()])).toEqual({ outcome: 'wrong-revision', actual: 2 });
    expect(await store.append(named('run-a'), 7, [event()])).toEqual({ outcome: 'wrong-revision', actual: 2 });
    expect(await store.read(named('run-a'), FORWARD)).toHaveLength(3);
  });

  it('takes what expects nothing in particular', async () => {
    const { store } = given();
    expect(await store.append(named('run-a'), 'any', [event()])).toMatchObject({ outcome: 'appended', revision: 0 });
    expect(await store.append(named('run-a'), 'stream-exists', [event()])).toMatchObject({ outcome: 'appended', revision: 1 });
  });

  it('keeps every writer of one revision apart: exactly one wins', async () => {
    const { store } = given();
    const other = given().another();
    await store.append(named('run-a'), 'no-stream', [event()]);
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? store : other).append(named('run-a'), 0, [event()])),
    );
    expect(results.filter(({ outcome }) => outcome === 'appended')).toHaveLength(1);
    expect(await store.read(named('run-a'), FORWARD)).toHaveLength(2);
  });

  it('refuses for good what is larger than it accepts, and what has no usable id', async () => {
    const { store } = given();
    const large = event('Large', { text: 'x'.repeat(1_100_000) });
    await expect(store.append(named('run-a'), 'any', [large])).rejects.toThrow(AppendRefused);
    await expect(store.append(named('run-a'), 'any', [{ ...event(), id: 'not a uuid' }])).rejects.toThrow(AppendRefused);
    expect(await store.read(named('run-a'), FORWARD)).toEqual([]);
    expect(await store.append(named('run-a'), 'no-stream', [event()])).toMatchObject({ outcome: 'appended', revision: 0 });
  });

  it('takes an append of many events as one', async () => {
    const { store } = given();
    const many = Array.from({ length: 500 }, () => event('Many', { text: 'x'.repeat(1000) }));
    expect(await store.append(named('run-a'), 'no-stream', many)).toMatchObject({ outcome: 'appended', revision: 499 });
    expect(revisionsOf(await store.read(named('run-a'), FORWARD))).toEqual(many.map((_, at) => at));
  });
}

function describeRepeats(given: () => EventStoreFixture): void {
  const named = (name: string): string => (given().prefix ?? '') + name;

  it('answers a repeated append as it did the first time', async () => {
    const { store } = given();
    await store.append(named('run-a'), 'no-stream', events(2));
    const batch = events(3);
    const first = await store.append(named('run-a'), 1, batch);
    await store.append(named('run-a'), 4, events(2));
    expect(await store.append(named('run-a'), 1, batch)).toEqual(first);
    expect(await given().another().append(named('run-a'), 1, batch)).toEqual(first);
    expect(await store.read(named('run-a'), FORWARD)).toHaveLength(7);
  });

  it('answers a repeated first append, also when repeats overtake each other', async () => {
    const { store } = given();
    const batch = events(2);
    const answers = await Promise.all(Array.from({ length: 5 }, () => store.append(named('run-a'), 'no-stream', batch)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ outcome: 'appended', revision: 1 });
    expect(await store.read(named('run-a'), FORWARD)).toHaveLength(2);
  });

  it('knows ids whatever their case', async () => {
    const { store } = given();
    const lower = { ...event(), id: 'abcdef01-0000-4000-8000-00000000000a' };
    const first = await store.append(named('run-a'), 'no-stream', [lower]);
    expect(await store.append(named('run-a'), 'no-stream', [{ ...lower, id: lower.id.toUpperCase() }])).toEqual(first);
  });

  it('does not take a partial repeat for a repeat', async () => {
    const { store } = given();
    const [one, two, three] = events(3) as [EventData, EventData, EventData];
    await store.append(named('run-a'), 'no-stream', [one, two]);
    expect(await store.append(named('run-a'), 'no-stream', [one, three])).toEqual({ outcome: 'wrong-revision', actual: 1 });
    expect(await store.append(named('run-a'), 'no-stream', [one, two, three])).toEqual({ outcome: 'wrong-revision', actual: 1 });
    expect(await store.append(named('run-a'), 'no-stream', [one])).toMatchObject({ outcome: 'appended', revision: 0 });
  });

  it('recognises a repeat that expects nothing in particular, but only in its own stream', async () => {
    const { store } = given();
    const batch = events(2);
    const first = await store.append(named('run-a'), 'any', batch);
    await store.append(named('run-a'), 'any', [event()]);
    expect(await store.append(named('run-a'), 'any', batch)).toEqual(first);
    expect(await store.append(named('run-b'), 'any', batch)).toMatchObject({ outcome: 'appended', revision: 1 });
    expect(await store.read(named('run-b'), FORWARD)).toHaveLength(2);
  });
}

function describeReading(given: () => EventStoreFixture): void {
  const named = (name: string): string => (given().prefix ?? '') + name;
  const isOurs = ({ stream }: RecordedEvent): boolean => stream.startsWith(named('run-'));

  it('gives back what was appended', async () => {
    const { store } = given();
    const appended = {
      ...event('Typed', { text: 'é€😀\u0000', nested: [1, null, { deep: true }], empty: {} }),
      metadata: { tenant: 'acme', trace: 'é' },
    };
    await store.append(named('run-a.é'), 'no-stream', [appended]);
    const [found] = await store.read(named('run-a.é'), FORWARD);
    expect(found).toMatchObject({ ...appended, stream: named('run-a.é'), revision: 0 });
    expect(Number.isSafeInteger(found?.recordedAtMs)).toBe(true);
    expect(found?.position.commit).toMatch(/^\d+$/);
  });

  it('reads a missing stream as no events', async () => {
    expect(await given().store.read(named('run-missing'), FORWARD)).toEqual([]);
    expect(await given().store.read(named('run-missing'), { direction: 'backward', from: 'end', limit: 1 })).toEqual([]);
  });

  it.each([
    ['forward', 'start', 3, [0, 1, 2]],
    ['forward', 3, 10, [3, 4]],
    ['forward', 9, 10, []],
    ['forward', 'end', 10, []],
    ['backward', 'end', 2, [4, 3]],
    ['backward', 2, 10, [2, 1, 0]],
    ['backward', 9, 2, [4, 3]],
    ['backward', 'start', 10, [0]],
  ] as const)('reads %s from %s, at most %i', async (...[direction, from, limit, expected]) => {
    const { store } = given();
    await store.append(named('run-a'), 'no-stream', events(5));
    expect(revisionsOf(await store.read(named('run-a'), { direction, from, limit }))).toEqual(expected);
  });

  it('reads the log in order, page by page, each event once', async () => {
    const { store } = given();
    const begin = await beginOf(given());
    for (let at = 0; at < 10; at += 1) await store.append(named(`run-${at % 3}`), 'any', events(2));
    const found: RecordedEvent[] = [];
    for (let page = await store.readAll({ after: begin, limit: 7 }); page.length > 0;) {
      expect(page.length).toBeLessThanOrEqual(7);
      found.push(...page);
      page = await store.readAll({ after: (page[page.length - 1] as RecordedEvent).position, limit: 7 });
    }
    for (let at = 1; at < found.length; at += 1) {
      expect(comparePositions((found[at - 1] as RecordedEvent).position, (found[at] as RecordedEvent).position)).toBe(-1);
    }
    expect(found.filter(isOurs)).toHaveLength(20);
    expect((await store.readAll({ after: begin, limit: 1000 })).slice(0, found.length)).toEqual(found);
    expect(await store.readAll({ after: 'start', limit: 1 })).toHaveLength(1);
  });

  it('hides what stream metadata says, from readers of the stream', async () => {
    const { store } = given();
    const begin = await beginOf(given());
    await store.append(named('run-a'), 'no-stream', events(5));
    expect(await store.getStreamMetadata(named('run-a'))).toEqual({});
    await store.setStreamMetadata(named('run-a'), { maxCount: 2, custom: { owner: 'acme' } });
    expect(await store.getStreamMetadata(named('run-a'))).toEqual({ maxCount: 2, custom: { owner: 'acme' } });
    expect(revisionsOf(await store.read(named('run-a'), FORWARD))).toEqual([3, 4]);
    await store.append(named('run-a'), 4, [event()]);
    expect(revisionsOf(await store.read(named('run-a'), FORWARD))).toEqual([4, 5]);
    await store.setStreamMetadata(named('run-a'), { truncateBefore: 1 });
    expect(revisionsOf(await store.read(named('run-a'), { direction: 'backward', from: 'end', limit: 10 }))).toEqual([
      5, 4, 3, 2, 1,
    ]);
    await store.setStreamMetadata(named('run-a'), { maxAgeSeconds: 3600 });
    expect(await store.read(named('run-a'), FORWARD)).toHaveLength(6);
    expect((await store.readAll({ after: begin, limit: 1000 })).filter(isOurs)).toHaveLength(6);
  });
}
