import {
  END,
  EventStoreDBClient,
  PersistentSubscriptionDoesNotExistError,
  PersistentSubscriptionDroppedError,
  PersistentSubscriptionExistsError,
  PersistentSubscriptionFailedError,
  PersistentSubscriptionMaximumSubscribersReachedError,
  START,
  UNBOUNDED,
} from '@eventstore/db-client';
import {
  GROUP,
  Inbox,
  World,
  allSettings,
  checkpoints,
  happened,
  parked,
  revisions,
  streamSettings,
} from './persistent-subscriptions.world';

// Persistent subscriptions as users of the official client use them, unmodified.

jest.setTimeout(60_000);

let world: World;

beforeEach(async () => {
  world = new World();
  await world.start();
});

afterEach(() => world.end());

describe('groups on a stream', () => {
  it('are described as they were created, and as they were updated', async () => {
    await world.create('a', { maxSubscriberCount: 3, consumerStrategyName: 'Pinned' });
    const info = await world.client.getPersistentSubscriptionToStreamInfo('a', GROUP);
    expect(info).toMatchObject({ eventSource: 'a', groupName: GROUP, connections: [] });
    expect(info.settings).toEqual(
      streamSettings({ startFrom: START, maxSubscriberCount: 3, consumerStrategyName: 'Pinned' as never }),
    );
    const changed = streamSettings({ startFrom: 7n, resolveLinkTos: true, maxRetryCount: 1, messageTimeout: 5 });
    await world.client.updatePersistentSubscriptionToStream('a', GROUP, changed);
    const { settings, stats } = await world.client.getPersistentSubscriptionToStreamInfo('a', GROUP);
    expect(settings).toEqual({ ...changed, maxSubscriberCount: UNBOUNDED });
    expect(stats).toMatchObject({ totalItems: 0n, parkedMessageCount: 0n, lastCheckpointedEventRevision: undefined });
  });

  it('are listed by stream, for the log, and all', async () => {
    expect(await world.client.listAllPersistentSubscriptions()).toEqual([]);
    await expect(world.client.listPersistentSubscriptionsToStream('a')).rejects.toThrow(PersistentSubscriptionDoesNotExistError);
    await world.create('a');
    await world.create('b');
    await world.client.createPersistentSubscriptionToAll(GROUP, allSettings());
    const sources = (groups: readonly { eventSource: string }[]): string[] => groups.map(({ eventSource }) => eventSource);
    expect(sources(await world.client.listPersistentSubscriptionsToStream('a'))).toEqual(['a']);
    expect(sources(await world.client.listPersistentSubscriptionsToAll())).toEqual(['$all']);
    expect(sources(await world.client.listAllPersistentSubscriptions())).toEqual(['a', 'b', '$all']);
  });

  it('exist once, and refuse what cannot be', async () => {
    const missing = PersistentSubscriptionDoesNotExistError;
    await world.create('a');
    await expect(world.create('a')).rejects.toThrow(PersistentSubscriptionExistsError);
    await expect(world.create('a')).rejects.toMatchObject({ streamName: 'a', groupName: GROUP });
    await expect(world.client.updatePersistentSubscriptionToStream('b', GROUP, streamSettings())).rejects.toThrow(missing);
    await expect(world.client.deletePersistentSubscriptionToStream('b', GROUP)).rejects.toThrow(missing);
    await expect(world.client.getPersistentSubscriptionToStreamInfo('b', GROUP)).rejects.toMatchObject({ streamName: 'b' });
    await expect(world.client.replayParkedMessagesToAll(GROUP)).rejects.toThrow(missing);
    const refused = world.create('c', { readBatchSize: 500 });
    await expect(refused).rejects.toThrow(PersistentSubscriptionFailedError);
    await expect(refused).rejects.toMatchObject({ streamName: 'c', reason: expect.stringMatching(/larger than the read batch/) });
    expect(await world.consume('b').failure).toBeInstanceOf(missing);
    expect(await world.client.listAllPersistentSubscriptions()).toHaveLength(1);
  });

  it('hand out what was there and what comes, each event to one consumer in turn', async () => {
    await world.client.appendToStream('a', happened(1));
    await world.create('a');
    const one = world.consume('a');
    const first = await one.takeAcknowledged(1);
    const two = world.consume('a');
    await two.confirmed;
    await world.client.appendToStream('a', happened(4));
    const later = await Promise.all([one.takeAcknowledged(2), two.takeAcknowledged(2)]);
    expect(revisions([...first, ...later.flat()]).sort()).toEqual([0, 1, 2, 3, 4]);
    const { connections, stats } = await world.client.getPersistentSubscriptionToStreamInfo('a', GROUP);
    expect(connections).toHaveLength(2);
    expect(connections[0]).toMatchObject({ from: expect.stringMatching(/^127\.0\.0\.1:\d+$/), totalItems: 3n });
    expect(connections[0]?.connectionName).not.toBe('');
    expect(stats).toMatchObject({ totalItems: 5n, lastKnownEventRevision: 4n });
  });

  it('begin where they were told to: at a revision with it, at the end after it', async () => {
    await world.client.appendToStream('a', happened(4));
    await world.create('a', { startFrom: 2n });
    const [third] = await world.consume('a').take(1);
    expect(third?.event?.revision).toBe(2n);
    await world.client.createPersistentSubscriptionToStream('a', 'late', streamSettings({ startFrom: END }));
    await world.restart();
    await world.client.appendToStream('a', happened(1));
    const late = new Inbox(world.client.subscribeToPersistentSubscriptionToStream('a', 'late'));
    expect(revisions(await late.take(1))).toEqual([4]);
  });

  it('give a consumer no more than its buffer holds until it answers', async () => {
    await world.client.appendToStream('a', happened(5));
    await world.create('a');
    const consumer = world.consume('a', 2);
    const events = await consumer.take(2);
    const { stats, connections } = await world.client.getPersistentSubscriptionToStreamInfo('a', GROUP);
    expect(stats).toMatchObject({ totalInFlightMessages: 2, outstandingMessagesCount: 2, readBufferCount: 3 });
    expect(connections).toMatchObject([{ inFlightMessages: 2, availableSlots: 0 }]);
    await consumer.subscription.ack(...(events as never[]));
    expect(revisions(await consumer.take(2))).toEqual([2, 3]);
  });

  it('give all to one consumer while it has room, when asked to', async () => {
    await world.client.appendToStream('a', happened(3));
    await world.create('a', { consumerStrategyName: 'DispatchToSingle' as never });
    const [one, two] = [world.consume('a', 2), world.consume('a', 2)];
    const taken = await Promise.race([one.take(2), two.take(2)]);
    expect(revisions(taken)).toEqual([0, 1]);
  });

  it('refuse one consumer too many', async () => {
    await world.create('a', { maxSubscriberCount: 1 });
    const first = world.consume('a');
    await first.confirmed;
    expect(await world.consume('a').failure).toBeInstanceOf(PersistentSubscriptionMaximumSubscribersReachedError);
  });

  it('drop their consumers when they are updated, deleted, or restarted', async () => {
    await world.client.appendToStream('a', happened(2));
    await world.create('a');
    const changes = [
      () => world.client.updatePersistentSubscriptionToStream('a', GROUP, streamSettings({ startFrom: START })),
      () => world.client.restartPersistentSubscriptionSubsystem(),
      () => world.client.deletePersistentSubscriptionToStream('a', GROUP),
    ];
    for (const change of changes) {
      const consumer = world.consume('a');
      expect(revisions(await consumer.take(2))).toEqual([0, 1]);
      await change();
      expect(await consumer.failure).toBeInstanceOf(PersistentSubscriptionDroppedError);
      expect(await consumer.failure).toMatchObject({ streamName: 'a', groupName: GROUP });
    }
    expect(await world.consume('a').failure).toBeInstanceOf(PersistentSubscriptionDoesNotExistError);
  });

  it('begin anew when one of the name was deleted', async () => {
    await world.client.appendToStream('a', happened(3));
    await world.create('a', { checkPointUpperBound: 1 });
    const consumer = world.consume('a');
    await consumer.subscription.nack('park', 'no use', (await consumer.next()) as never);
    await consumer.takeAcknowledged(2);
    await world.written(checkpoints('a'));
    await world.client.deletePersistentSubscriptionToStream('a', GROUP);
    await world.create('a', { checkPointUpperBound: 1 });
    const { stats } = await world.client.getPersistentSubscriptionToStreamInfo('a', GROUP);
    expect(stats).toMatchObject({ parkedMessageCount: 0n, lastCheckpointedEventRevision: undefined });
    const again = world.consume('a');
    expect(revisions(await again.takeAcknowledged(3))).toEqual([0, 1, 2]);
    expect(Number((await world.written(checkpoints('a')))[0])).toBeLessThanOrEqual(2);
    await world.restart();
    await world.client.appendToStream('a', happened(1));
    expect(revisions(await world.consume('a').take(1))).not.toEqual([0]);
  });
});

describe('messages that a consumer cannot use', () => {
  const stats = async () => (await world.client.getPersistentSubscriptionToStreamInfo('a', GROUP)).stats;

  it('come again when they are to be retried, and are parked when that was often enough', async () => {
    await world.client.appendToStream('a', happened(2));
    await world.create('a', { maxRetryCount: 1 });
    const consumer = world.consume('a', 1);
    const first = await consumer.next();
    expect(first.retryCount).toBe(0);
    await consumer.subscription.nack('retry', 'later', first as never);
    const second = await consumer.next();
    expect(second).toMatchObject({ retryCount: 1, event: { revision: 0n } });
    await consumer.subscription.nack('retry', 'later', second as never);
    expect(revisions(await consumer.takeAcknowledged(1))).toEqual([1]);
    await world.written(parked('a'));
    expect(await world.parkedLinks('a')).toEqual([
      {
        link: '0@a',
        metadata: { added: expect.any(String), reason: 'Reached retry count of 1', subscriptionEventNumber: 0 },
      },
    ]);
  });

  it('are left out when they are to be skipped, also by "stop"', async () => {
    await world.client.appendToStream('a', happened(3));
    await world.create('a', { checkPointUpperBound: 3 });
    const consumer = world.consume('a', 1);
    await consumer.subscription.nack('skip', 'no', (await consumer.next()) as never);
    await consumer.subscription.nack('stop', 'no', (await consumer.next()) as never);
    expect(revisions(await consumer.takeAcknowledged(1))).toEqual([2]);
    expect(await world.written(checkpoints('a'))).toEqual(['2']);
    expect(await stats()).toMatchObject({ parkedMessageCount: 0n, totalInFlightMessages: 0 });
  });

  it('go to somebody else when their time is up', async () => {
    await world.client.appendToStream('a', happened(1));
    await world.create('a', { messageTimeout: 30_000 });
    const silent = world.consume('a');
    await silent.next();
    world.aheadMs = 31_000;
    const again = await silent.next();
    expect(again).toMatchObject({ retryCount: 1, event: { revision: 0n } });
  });

  it('go to somebody else when their consumer dies', async () => {
    await world.client.appendToStream('a', happened(3));
    await world.create('a');
    const other = EventStoreDBClient.connectionString(world.server.connectionString);
    const dying = new Inbox(other.subscribeToPersistentSubscriptionToStream('a', GROUP, { bufferSize: 3 }));
    const events = await dying.take(3);
    await dying.subscription.ack(events[1] as never);
    await world.until(async () => (await stats()).totalInFlightMessages === 2);
    await other.dispose();
    const survivor = world.consume('a');
    const taken = await survivor.take(2);
    expect(revisions(taken)).toEqual([0, 2]);
    expect(taken.map(({ retryCount }) => retryCount)).toEqual([1, 1]);
  });

  it('are parked, counted, and replayed up to where that is asked for', async () => {
    await world.client.appendToStream('a', happened(3));
    await world.create('a');
    const consumer = world.consume('a');
    for (const event of await consumer.take(3)) await consumer.subscription.nack('park', 'broken', event as never);
    await world.written(parked('a'), 3);
    const [first] = await world.parkedLinks('a');
    expect(first).toMatchObject({ link: '0@a', metadata: { reason: "Client explicitly NAK'ed message.\nbroken" } });
    const count = async (): Promise<bigint> => (await stats()).parkedMessageCount;
    expect(await count()).toBe(3n);
    await world.client.replayParkedMessagesToStream('a', GROUP, { stopAt: 2 });
    const replayed = await consumer.takeAcknowledged(2);
    expect(replayed.map(({ event, link }) => [event?.revision, link?.streamId])).toEqual([
      [0n, parked('a')],
      [1n, parked('a')],
    ]);
    expect(await count()).toBe(1n);
    await world.client.replayParkedMessagesToStream('a', GROUP);
    const last = await consumer.next();
    expect(last.event?.revision).toBe(2n);
    await consumer.subscription.nack('park', 'still', last as never);
    await world.until(async () => (await count()) === 1n);
    expect((await world.parkedLinks('a')).at(-1)).toMatchObject({ link: '2@a' });
    expect(await count()).toBe(1n);
    await world.restart();
    expect(await count()).toBe(1n);
    await expect(world.client.replayParkedMessagesToStream('a', GROUP, { stopAt: -1 })).rejects.toThrow(
      PersistentSubscriptionFailedError,
    );
  });

  it('stay parked when the server stops while they are replayed', async () => {
    await world.client.appendToStream('a', happened(1));
    await world.create('a');
    const consumer = world.consume('a');
    await consumer.subscription.nack('park', 'broken', (await consumer.next()) as never);
    await world.written(parked('a'));
    await world.client.replayParkedMessagesToStream('a', GROUP);
    await consumer.next();
    await world.restart();
    expect((await stats()).parkedMessageCount).toBe(1n);
  });
});
