import { type FollowAllOptions, type Position, type RecordedEvent, comparePositions } from '@perdure/kernel';
import { Collected } from './collected';
import { type EventStoreFixture, FORWARD, beginOf, event, events } from './event-store.fixture';

/** Subscriptions, to a stream and to the log. */
export function describeFollowing(given: () => EventStoreFixture): void {
  const named = (name: string): string => (given().prefix ?? '') + name;

  it('follows a stream from its start into what comes', async () => {
    const { store } = given();
    await store.append(named('run-a'), 'no-stream', events(3));
    const seen = new Collected<number>();
    const subscription = store.follow(named('run-a'), {
      after: 'start',
      onEvent: ({ revision }) => seen.add(revision),
      onCaughtUp: () => seen.caughtUp(),
    });
    await seen.untilCaughtUp();
    await given().another().append(named('run-a'), 2, events(2));
    await store.append(named('run-b'), 'any', [event()]);
    await store.append(named('run-a'), 4, [event()]);
    expect(await seen.first(6)).toEqual([0, 1, 2, 3, 4, 5]);
    await subscription.close();
  });

  it.each([
    [1, [2, 3]],
    ['end', [3]],
  ] as const)('follows after %s exclusively, also a stream that is not there yet', async (after, expected) => {
    const { store } = given();
    await store.append(named('run-a'), 'no-stream', events(3));
    const seen = new Collected<number>();
    store.follow(named('run-a'), { after, onEvent: ({ revision }) => seen.add(revision), onCaughtUp: () => seen.caughtUp() });
    const later = new Collected<string>();
    store.follow(named('run-later'), {
      after: 'start',
      onEvent: ({ type }) => later.add(type),
      onCaughtUp: () => later.caughtUp(),
    });
    await Promise.all([seen.untilCaughtUp(), later.untilCaughtUp()]);
    await store.append(named('run-a'), 2, [event()]);
    await store.append(named('run-later'), 'no-stream', [event('Late')]);
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
      await store.read(named('run-a'), { ...FORWARD, limit: 1 });
      inside -= 1;
      seen.add(revision);
    };
    store.follow(named('run-a'), { after: 'start', onEvent });
    for (let at = 0; at < 5; at += 1) await store.append(named('run-a'), 'any', events(4));
    expect(await seen.first(20)).toEqual(Array.from({ length: 20 }, (_, at) => at));
    expect(most).toBe(1);
  });

  const filters: [string, FollowAllOptions['filter'], string[]][] = [
    ['stream names', { by: 'stream-name', prefixes: ['run-a', 'timer-'] }, ['run-a', 'timer-1', 'run-a']],
    ['event types, exactly', { by: 'event-type', types: ['Opened', 'Closed'] }, ['run-a', 'run-b', 'timer-1']],
  ];
  it.each(filters)('follows the log filtered by %s', async (_, wanted, expected) => {
    const { store } = given();
    const filter =
      wanted.by === 'event-type'
        ? { ...wanted, types: wanted.types.map(named) }
        : { ...wanted, prefixes: wanted.prefixes.map(named) };
    const seen = new Collected<string>();
    await store.append(named('run-a'), 'any', [event(named('Opened'))]);
    await store.append(named('run-b'), 'any', [event(named('OpenedAgain')), event(named('Closed'))]);
    store.followAll({ after: 'start', filter, onEvent: ({ stream }) => seen.add(stream), onCaughtUp: () => seen.caughtUp() });
    await seen.untilCaughtUp();
    await store.append(named('timer-1'), 'any', [event(named('Opened'))]);
    await store.append(named('run-a'), 'any', [event(named('Reopened'))]);
    const end = filter.by === 'event-type' ? event(named('Closed')) : event();
    await store.append(named('run-a'), 'any', [end]);
    expect(await seen.first(expected.length)).toEqual(expected.map(named));
  });

  it('goes on after a position it gave, missing and repeating nothing', async () => {
    const { store } = given();
    for (let at = 0; at < 10; at += 1) await store.append(named('run-a'), 'any', [event(named(at % 2 === 0 ? 'Even' : 'Odd'))]);
    const filter = { by: 'event-type' as const, types: [named('Even')] };
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
    const filter = { by: 'event-type' as const, types: [named('Wanted')] };
    const begin = await beginOf(given());
    await store.append(named('run-a'), 'any', [event(named('Wanted')), ...events(20, 'Other')]);
    const last = (await store.read(named('run-a'), FORWARD)).at(-1) as RecordedEvent;
    const order = new Collected<{ readonly position: Position; readonly finished: number }>();
    let finished = 0;
    store.followAll({
      after: begin,
      filter,
      onEvent: async () => {
        await store.read(named('run-a'), { ...FORWARD, limit: 1 });
        finished += 1;
      },
      onCheckpoint: (position) => order.add({ position, finished }),
      onCaughtUp: () => order.caughtUp(),
    });
    const [reached] = await order.first(1);
    expect(reached?.finished).toBe(1);
    // Where others write to the log, too, it may be further on.
    expect(comparePositions((reached as { position: Position }).position, last.position)).toBeGreaterThanOrEqual(0);
    await order.untilCaughtUp();
    const resumed = new Collected<number>();
    store.followAll({
      after: last.position,
      filter,
      onEvent: ({ revision }) => resumed.add(revision),
      onCaughtUp: () => resumed.caughtUp(),
    });
    await resumed.untilCaughtUp();
    await store.append(named('run-a'), 'any', [event(named('Wanted'))]);
    expect(await resumed.first(1)).toEqual([21]);
  });

  it('delivers nothing after it is closed', async () => {
    const { store } = given();
    const seen = new Collected<number>();
    const closed = store.follow(named('run-a'), {
      after: 'start',
      onEvent: ({ revision }) => seen.add(revision),
      onCaughtUp: () => seen.caughtUp(),
    });
    await seen.untilCaughtUp();
    await closed.close();
    await closed.close();
    const witness = new Collected<number>();
    store.follow(named('run-a'), { after: 'start', onEvent: ({ revision }) => witness.add(revision) });
    await store.append(named('run-a'), 'any', events(2));
    expect(await witness.first(2)).toEqual([0, 1]);
    expect(seen.items).toEqual([]);
  });

  it('bears many followers at once', async () => {
    const { store } = given();
    const followers = Array.from({ length: 200 }, (_, at) => {
      const seen = new Collected<number>();
      store.follow(named(`run-${at}`), {
        after: 'start',
        onEvent: ({ revision }) => seen.add(revision),
        onCaughtUp: () => seen.caughtUp(),
      });
      return seen;
    });
    await Promise.all(followers.map((seen) => seen.untilCaughtUp()));
    await Promise.all(followers.map((_, at) => store.append(named(`run-${at}`), 'no-stream', [event()])));
    expect(await Promise.all(followers.map((seen) => seen.first(1)))).toEqual(followers.map(() => [0]));
  });
}
