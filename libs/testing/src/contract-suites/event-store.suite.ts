import {
  type EventData,
  type EventStore,
  type FollowAllOptions,
  type RecordedEvent,
  AppendRefused,
  comparePositions,
} from '@perdure/kernel';
import { Collected } from './collected';

export interface EventStoreFixture {
  readonly store: EventStore;
  /** Another client of the same log. */
  another(): EventStore;
  stop(): Promise<void>;
}

let made = 0;

/** Ids that differ within the suite and are the same in every run. */
function eventId(): string {
  made += 1;
  return `00000000-0000-4000-8000-${made.toString(16).padStart(12, '0')}`;
}

function event(type = 'Happened', data: unknown = { value: made }): EventData {
  return { id: eventId(), type, data, metadata: { tenant: 'acme' } };
}

function events(count: number, type?: string): EventData[] {
  return Array.from({ length: count }, () => event(type));
}

function revisionsOf(found: readonly RecordedEvent[]): number[] {
  return found.map(({ revision }) => revision);
}

const FORWARD = { direction: 'forward', from: 'start', limit: 1000 } as const;

/** What every EventStore must do. Each test has a log of its own. */
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
      await expect(store.append('run-a', 'any', [event()])).rejects.toMatchObject({ code: 'StoreUnavailable' });
    });
  });
}

function describeAppending(given: () => EventStoreFixture): void {
  it('appends at exact revisions and says where', async () => {
    const { store } = given();
    const first = await store.append('run-a', 'no-stream', events(2));
    const second = await store.append('run-a', 1, [event()]);
    expect(first).toMatchObject({ outcome: 'appended', revision: 1 });
    expect(second).toMatchObject({ outcome: 'appended', revision: 2 });
    const found = await store.read('run-a', FORWARD);
    expect(second).toMatchObject({ position: found[2]?.position });
    expect(first).toMatchObject({ position: found[1]?.position });
  });

  it('refuses another revision than the expected one and tells the actual', async () => {
    const { store } = given();
    expect(await store.append('run-a', 0, [event()])).toEqual({ outcome: 'wrong-revision', actual: 'no-stream' });
    expect(await store.append('run-a', 'stream-exists', [event()])).toEqual({ outcome: 'wrong-revision', actual: 'no-stream' });
    await store.append('run-a', 'no-stream', events(3));
    expect(await store.append('run-a', 'no-stream', [event()])).toEqual({ outcome: 'wrong-revision', actual: 2 });
    expect(await store.append('run-a', 1, [event()])).toEqual({ outcome: 'wrong-revision', actual: 2 });
    expect(await store.append('run-a', 7, [event()])).toEqual({ outcome: 'wrong-revision', actual: 2 });
    expect(await store.read('run-a', FORWARD)).toHaveLength(3);
  });

  it('takes what expects nothing in particular', async () => {
    const { store } = given();
    expect(await store.append('run-a', 'any', [event()])).toMatchObject({ outcome: 'appended', revision: 0 });
    expect(await store.append('run-a', 'stream-exists', [event()])).toMatchObject({ outcome: 'appended', revision: 1 });
  });

  it('keeps every writer of one revision apart: exactly one wins', async () => {
    const { store } = given();
    const other = given().another();
    await store.append('run-a', 'no-stream', [event()]);
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? store : other).append('run-a', 0, [event()])),
    );
    expect(results.filter(({ outcome }) => outcome === 'appended')).toHaveLength(1);
    expect(await store.read('run-a', FORWARD)).toHaveLength(2);
  });

  it('refuses for good what is larger than it accepts, and what has no usable id', async () => {
    const { store } = given();
    const large = event('Large', { text: 'x'.repeat(1_100_000) });
    await expect(store.append('run-a', 'any', [large])).rejects.toThrow(AppendRefused);
    await expect(store.append('run-a', 'any', [{ ...event(), id: 'not a uuid' }])).rejects.toThrow(AppendRefused);
    expect(await store.read('run-a', FORWARD)).toEqual([]);
    expect(await store.append('run-a', 'no-stream', [event()])).toMatchObject({ outcome: 'appended', revision: 0 });
  });

  it('takes an append of many events as one', async () => {
    const { store } = given();
    const many = Array.from({ length: 500 }, () => event('Many', { text: 'x'.repeat(1000) }));
    expect(await store.append('run-a', 'no-stream', many)).toMatchObject({ outcome: 'appended', revision: 499 });
    expect(revisionsOf(await store.read('run-a', FORWARD))).toEqual(many.map((_, at) => at));
  });
}

function describeRepeats(given: () => EventStoreFixture): void {
  it('answers a repeated append as it did the first time', async () => {
    const { store } = given();
    await store.append('run-a', 'no-stream', events(2));
    const batch = events(3);
    const first = await store.append('run-a', 1, batch);
    await store.append('run-a', 4, events(2));
    expect(await store.append('run-a', 1, batch)).toEqual(first);
    expect(await given().another().append('run-a', 1, batch)).toEqual(first);
    expect(await store.read('run-a', FORWARD)).toHaveLength(7);
  });

  it('answers a repeated first append, also when repeats overtake each other', async () => {
    const { store } = given();
    const batch = events(2);
    const answers = await Promise.all(Array.from({ length: 5 }, () => store.append('run-a', 'no-stream', batch)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ outcome: 'appended', revision: 1 });
    expect(await store.read('run-a', FORWARD)).toHaveLength(2);
  });

  it('knows ids whatever their case', async () => {
    const { store } = given();
    const lower = { ...event(), id: 'abcdef01-0000-4000-8000-00000000000a' };
    const first = await store.append('run-a', 'no-stream', [lower]);
    expect(await store.append('run-a', 'no-stream', [{ ...lower, id: lower.id.toUpperCase() }])).toEqual(first);
  });

  it('does not take a partial repeat for a repeat', async () => {
    const { store } = given();
    const [one, two, three] = events(3) as [EventData, EventData, EventData];
    await store.append('run-a', 'no-stream', [one, two]);
    expect(await store.append('run-a', 'no-stream', [one, three])).toEqual({ outcome: 'wrong-revision', actual: 1 });
    expect(await store.append('run-a', 'no-stream', [one, two, three])).toEqual({ outcome: 'wrong-revision', actual: 1 });
    expect(await store.append('run-a', 'no-stream', [one])).toMatchObject({ outcome: 'appended', revision: 0 });
  });

  it('recognises a repeat that expects nothing in particular, but only in its own stream', async () => {
    const { store } = given();
    const batch = events(2);
    const first = await store.append('run-a', 'any', batch);
    await store.append('run-a', 'any', [event()]);
    expect(await store.append('run-a', 'any', batch)).toEqual(first);
    expect(await store.append('run-b', 'any', batch)).toMatchObject({ outcome: 'appended', revision: 1 });
    expect(await store.read('run-b', FORWARD)).toHaveLength(2);
  });
}

function describeReading(given: () => EventStoreFixture): void {
  it('gives back what was appended', async () => {
    const { store } = given();
    const appended = {
      ...event('Typed', { text: 'é€😀\u0000', nested: [1, null, { deep: true }], empty: {} }),
      metadata: { tenant: 'acme', trace: 'é' },
    };
    await store.append('run-a.é', 'no-stream', [appended]);
    const [found] = await store.read('run-a.é', FORWARD);
    expect(found).toMatchObject({ ...appended, stream: 'run-a.é', revision: 0 });
    expect(Number.isSafeInteger(found?.recordedAtMs)).toBe(true);
    expect(found?.position.commit).toMatch(/^\d+$/);
  });

  it('reads a missing stream as no events', async () => {
    expect(await given().store.read('run-missing', FORWARD)).toEqual([]);
    expect(await given().store.read('run-missing', { direction: 'backward', from: 'end', limit: 1 })).toEqual([]);
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
    await store.append('run-a', 'no-stream', events(5));
    expect(revisionsOf(await store.read('run-a', { direction, from, limit }))).toEqual(expected);
  });

  it('reads the whole log in order, page by page, each event once', async () => {
    const { store } = given();
    for (let at = 0; at < 10; at += 1) await store.append(`run-${at % 3}`, 'any', events(2));
    const pages: RecordedEvent[] = [];
    for (let page = await store.readAll({ after: 'start', limit: 7 }); page.length > 0;) {
      pages.push(...page);
      page = await store.readAll({ after: (page[page.length - 1] as RecordedEvent).position, limit: 7 });
    }
    expect(pages).toHaveLength(20);
    for (let at = 1; at < pages.length; at += 1) {
      expect(comparePositions((pages[at - 1] as RecordedEvent).position, (pages[at] as RecordedEvent).position)).toBe(-1);
    }
    expect(await store.readAll({ after: 'start', limit: 100 })).toEqual(pages);
  });

  it('hides what stream metadata says, from readers of the stream', async () => {
    const { store } = given();
    await store.append('run-a', 'no-stream', events(5));
    expect(await store.getStreamMetadata('run-a')).toEqual({});
    await store.setStreamMetadata('run-a', { maxCount: 2, custom: { owner: 'acme' } });
    expect(await store.getStreamMetadata('run-a')).toEqual({ maxCount: 2, custom: { owner: 'acme' } });
    expect(revisionsOf(await store.read('run-a', FORWARD))).toEqual([3, 4]);
    await store.append('run-a', 4, [event()]);
    expect(revisionsOf(await store.read('run-a', FORWARD))).toEqual([4, 5]);
    await store.setStreamMetadata('run-a', { truncateBefore: 1 });
    expect(revisionsOf(await store.read('run-a', { direction: 'backward', from: 'end', limit: 10 }))).toEqual([5, 4, 3, 2, 1]);
    await store.setStreamMetadata('run-a', { maxAgeSeconds: 3600 });
    expect(await store.read('run-a', FORWARD)).toHaveLength(6);
    expect(await store.readAll({ after: 'start', limit: 100 })).toHaveLength(6);
  });
}

function describeFollowing(given: () => EventStoreFixture): void {
  it('follows a stream from its start into what comes', async () => {
    const { store } = given();
    await store.append('run-a', 'no-stream', events(3));
    const seen = new Collected<number>();
    const subscription = store.follow('run-a', {
      after: 'start',
      onEvent: ({ revision }) => seen.add(revision),
      onCaughtUp: () => seen.caughtUp(),
    });
    await seen.untilCaughtUp();
    await given().another().append('run-a', 2, events(2));
    await store.append('run-b', 'any', [event()]);
    await store.append('run-a', 4, [event()]);
    expect(await seen.first(6)).toEqual([0, 1, 2, 3, 4, 5]);
    await subscription.close();
  });

  it.each([
    [1, [2, 3]],
    ['end', [3]],
  ] as const)('follows after %s exclusively, also a stream that is not there yet', async (after, expected) => {
    const { store } = given();
    await store.append('run-a', 'no-stream', events(3));
    const seen = new Collected<number>();
    store.follow('run-a', { after, onEvent: ({ revision }) => seen.add(revision), onCaughtUp: () => seen.caughtUp() });
    const later = new Collected<string>();
    store.follow('run-later', { after: 'start', onEvent: ({ type }) => later.add(type), onCaughtUp: () => later.caughtUp() });
    await Promise.all([seen.untilCaughtUp(), later.untilCaughtUp()]);
    await store.append('run-a', 2, [event()]);
    await store.append('run-later', 'no-stream', [event('Late')]);
    expect(await seen.first(expected.length)).toEqual(expected);
    expect(await later.first(1)).toEqual(['Late']);
  });

  it('gives one event at a time: the next waits for the promise of the handler', async () => {
    const { store } = given();
    const seen = new Collected<number>();
    let inside = 0;
    let most = 0;
    const onEvent = async ({ revision }: RecordedEvent): Promise<void> => {
      inside += 1;
      most = Math.max(most, inside);
      await store.read('run-a', { ...FORWARD, limit: 1 });
      inside -= 1;
      seen.add(revision);
    };
    store.follow('run-a', { after: 'start', onEvent });
    for (let at = 0; at < 5; at += 1) await store.append('run-a', 'any', events(4));
    expect(await seen.first(20)).toEqual(Array.from({ length: 20 }, (_, at) => at));
    expect(most).toBe(1);
  });

  const filters: [string, FollowAllOptions['filter'], string[]][] = [
    ['stream names', { by: 'stream-name', prefixes: ['run-a', 'timer-'] }, ['run-a', 'timer-1', 'run-a']],
    ['event types, exactly', { by: 'event-type', types: ['Opened', 'Closed'] }, ['run-a', 'run-b', 'timer-1']],
  ];
  it.each(filters)('follows the log filtered by %s', async (_, filter, expected) => {
    const { store } = given();
    const seen = new Collected<string>();
    await store.append('run-a', 'any', [event('Opened')]);
    await store.append('run-b', 'any', [event('OpenedAgain'), event('Closed')]);
    store.followAll({ after: 'start', filter, onEvent: ({ stream }) => seen.add(stream), onCaughtUp: () => seen.caughtUp() });
    await seen.untilCaughtUp();
    await store.append('timer-1', 'any', [event('Opened')]);
    await store.append('run-a', 'any', [event('Reopened')]);
    const end = filter.by === 'event-type' ? event('Closed') : event();
    await store.append('run-a', 'any', [end]);
    expect(await seen.first(expected.length)).toEqual(expected);
  });

  it('goes on after a position it gave, missing and repeating nothing', async () => {
    const { store } = given();
    for (let at = 0; at < 10; at += 1) await store.append('run-a', 'any', [event(at % 2 === 0 ? 'Even' : 'Odd')]);
    const filter = { by: 'event-type', types: ['Even'] } as const;
    const all = new Collected<RecordedEvent>();
    store.followAll({ after: 'start', filter, onEvent: (found) => all.add(found) });
    const [, second] = (await all.first(5)) as [RecordedEvent, RecordedEvent];
    const rest = new Collected<number>();
    given()
      .another()
      .followAll({
        after: second.position,
        filter,
        onEvent: ({ revision }) => rest.add(revision),
        onCaughtUp: () => rest.caughtUp(),
      });
    await rest.untilCaughtUp();
    expect(await rest.first(3)).toEqual([4, 6, 8]);
  });

  it('reports how far it has come, never beyond what the handler has finished', async () => {
    const { store } = given();
    await store.append('run-a', 'any', [event('Wanted'), ...events(20, 'Other')]);
    const last = (await store.readAll({ after: 'start', limit: 100 })).at(-1) as RecordedEvent;
    const order = new Collected<string>();
    let finished = 0;
    store.followAll({
      after: 'start',
      filter: { by: 'event-type', types: ['Wanted'] },
      onEvent: async () => {
        await store.read('run-a', { ...FORWARD, limit: 1 });
        finished += 1;
      },
      onCheckpoint: ({ commit }) => order.add(`${commit} after ${finished}`),
      onCaughtUp: () => order.caughtUp(),
    });
    expect(await order.first(1)).toEqual([`${last.position.commit} after 1`]);
    await order.untilCaughtUp();
    const resumed = new Collected<number>();
    store.followAll({
      after: last.position,
      filter: { by: 'event-type', types: ['Wanted'] },
      onEvent: ({ revision }) => resumed.add(revision),
      onCaughtUp: () => resumed.caughtUp(),
    });
    await resumed.untilCaughtUp();
    await store.append('run-a', 'any', [event('Wanted')]);
    expect(await resumed.first(1)).toEqual([21]);
  });

  it('delivers nothing after it is closed', async () => {
    const { store } = given();
    const seen = new Collected<number>();
    const closed = store.follow('run-a', {
      after: 'start',
      onEvent: ({ revision }) => seen.add(revision),
      onCaughtUp: () => seen.caughtUp(),
    });
    await seen.untilCaughtUp();
    await closed.close();
    await closed.close();
    const witness = new Collected<number>();
    store.follow('run-a', { after: 'start', onEvent: ({ revision }) => witness.add(revision) });
    await store.append('run-a', 'any', events(2));
    expect(await witness.first(2)).toEqual([0, 1]);
    expect(seen.items).toEqual([]);
  });

  it('bears many followers at once', async () => {
    const { store } = given();
    const followers = Array.from({ length: 200 }, (_, at) => {
      const seen = new Collected<number>();
      store.follow(`run-${at}`, {
        after: 'start',
        onEvent: ({ revision }) => seen.add(revision),
        onCaughtUp: () => seen.caughtUp(),
      });
      return seen;
    });
    await Promise.all(followers.map((seen) => seen.untilCaughtUp()));
    await Promise.all(followers.map((_, at) => store.append(`run-${at}`, 'no-stream', [event()])));
    expect(await Promise.all(followers.map((seen) => seen.first(1)))).toEqual(followers.map(() => [0]));
  });
}
