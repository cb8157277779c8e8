import {
  END,
  PersistentSubscriptionDoesNotExistError,
  START,
  binaryEvent,
  eventTypeFilter,
  streamNameFilter,
} from '@eventstore/db-client';
import {
  GROUP,
  type Delivered,
  World,
  allSettings,
  checkpoints,
  happened,
  parked,
  revisions,
} from './persistent-subscriptions.world';

// What groups keep, and groups on the whole log, with the official client.

jest.setTimeout(60_000);

let world: World;

beforeEach(async () => {
  world = new World();
  await world.start();
});

afterEach(() => world.end());

describe('a restart', () => {
  it('repeats what no checkpoint covers, and skips nothing', async () => {
    const total = 60;
    const upper = 10;
    await world.client.appendToStream('a', happened(total));
    await world.create('a', { checkPointLowerBound: 1, checkPointUpperBound: upper });
    const before = world.consume('a', 5);
    const first = revisions(await before.takeAcknowledged(25));
    await world.written(checkpoints('a'));
    await world.restart();
    const { stats } = await world.client.getPersistentSubscriptionToStreamInfo('a', GROUP);
    const checkpoint = Number(stats.lastCheckpointedEventRevision);
    const second = revisions(await world.consume('a', 5).takeAcknowledged(total - 1 - checkpoint));
    expect(second[0]).toBe(checkpoint + 1);
    expect(first.length - (checkpoint + 1)).toBeLessThanOrEqual(upper + 5);
    expect(second).toEqual(Array.from({ length: second.length }, (_, at) => checkpoint + 1 + at));
    expect(second.at(-1)).toBe(total - 1);
  });

  it('keeps groups, settings and filters, and not what was deleted', async () => {
    const filter = eventTypeFilter({ prefixes: ['Wanted'] });
    await world.client.createPersistentSubscriptionToAll(GROUP, allSettings({ startFrom: START }), { filter });
    await world.create('a', { maxRetryCount: 3 });
    await world.create('b');
    await world.client.deletePersistentSubscriptionToStream('b', GROUP);
    await world.restart();
    expect((await world.client.listAllPersistentSubscriptions()).map(({ eventSource }) => eventSource)).toEqual(['$all', 'a']);
    await world.client.appendToStream('c', [...happened(2, 'Other'), ...happened(1, 'Wanted')]);
    const event = await world.consumeAll().next();
    expect(event.event).toMatchObject({ type: 'Wanted', revision: 2n });
    const { settings } = await world.client.getPersistentSubscriptionToStreamInfo('a', GROUP);
    expect(settings.maxRetryCount).toBe(3);
  });
});

describe('groups on the whole log', () => {
  it('hand out what passes the filter, and write positions as checkpoints', async () => {
    await world.client.appendToStream('a', happened(30));
    const settings = allSettings({ startFrom: START, checkPointUpperBound: 5 });
    await world.client.createPersistentSubscriptionToAll(GROUP, settings, { filter: streamNameFilter({ prefixes: ['b'] }) });
    await world.client.appendToStream('b', happened(3));
    const consumer = world.consumeAll();
    const events = await consumer.takeAcknowledged(3);
    expect(events.map(({ event }) => `${event?.revision}@${event?.streamId}`)).toEqual(['0@b', '1@b', '2@b']);
    expect(await world.written(checkpoints('$all'))).toEqual([expect.stringMatching(/^C:(\d+)\/P:\1$/)]);
    const info = await world.client.getPersistentSubscriptionToAllInfo(GROUP);
    expect(info).toMatchObject({ eventSource: '$all', settings: { startFrom: START } });
    expect(info.stats.lastCheckpointedEventPosition).toBeDefined();
    const streams = await world.logStreams();
    expect(streams).toContain('b');
    expect(streams).not.toContain(checkpoints('$all'));
  });

  it('do not see how they come along themselves, nor does anybody who reads the log', async () => {
    const settings = allSettings({ startFrom: END, checkPointUpperBound: 1 });
    await world.client.createPersistentSubscriptionToAll(GROUP, settings);
    const consumer = world.consumeAll(1);
    const streams = new Set<string | undefined>();
    const take = async (stream: string): Promise<void> => {
      for (let last: string | undefined; last !== stream;) {
        const [event] = await consumer.takeAcknowledged(1);
        streams.add((last = event?.event?.streamId));
      }
    };
    await world.client.appendToStream('a', happened(5));
    await take('a');
    await world.written(checkpoints('$all'));
    await world.client.appendToStream('last', happened(1));
    await take('last');
    const subscription = world.client.subscribeToAll();
    for await (const { event } of subscription) {
      streams.add(event?.streamId);
      if (event?.streamId === 'last') break;
    }
    expect(streams).toContain('a');
    expect(streams).not.toContain(checkpoints('$all'));
    expect(await world.logStreams()).not.toContain(checkpoints('$all'));
  });

  it('begin at a position with it, update and delete', async () => {
    await world.client.appendToStream('a', happened(1));
    const { position } = await world.client.appendToStream('b', happened(2));
    if (position === undefined) throw new Error('An append has a position.');
    await world.client.createPersistentSubscriptionToAll(GROUP, allSettings({ startFrom: position }));
    const { settings } = await world.client.getPersistentSubscriptionToAllInfo(GROUP);
    expect(settings.startFrom).toEqual(position);
    const [event] = await world.consumeAll().take(1);
    expect(event?.event).toMatchObject({ streamId: 'b', revision: 1n });
    await world.client.updatePersistentSubscriptionToAll(GROUP, allSettings({ startFrom: END }));
    expect((await world.client.getPersistentSubscriptionToAllInfo(GROUP)).settings.startFrom).toBe(END);
    await world.client.deletePersistentSubscriptionToAll(GROUP);
    await expect(world.client.getPersistentSubscriptionToAllInfo(GROUP)).rejects.toThrow(PersistentSubscriptionDoesNotExistError);
  });

  it('go on after a restart where nothing is skipped, with parked ones hidden and replayed', async () => {
    const filter = streamNameFilter({ prefixes: ['work'] });
    const settings = allSettings({ startFrom: START, checkPointLowerBound: 1, checkPointUpperBound: 5 });
    await world.client.createPersistentSubscriptionToAll(GROUP, settings, { filter });
    await world.client.appendToStream('work-1', happened(10));
    await world.client.appendToStream('other', happened(10));
    await world.client.appendToStream('work-2', happened(10));
    const consumer = world.consumeAll(1);
    await consumer.subscription.nack('park', 'broken', (await consumer.next()) as never);
    const first = await consumer.takeAcknowledged(11);
    const sixth = first[5]?.event?.position?.commit ?? 0n;
    await world.until(async () => {
      const { stats } = await world.client.getPersistentSubscriptionToAllInfo(GROUP);
      return (stats.lastCheckpointedEventPosition?.commit ?? 0n) >= sixth;
    });
    await world.restart();
    const again = world.consumeAll(1);
    const second: Delivered[] = [];
    while (second.at(-1)?.event?.streamId !== 'work-2' || second.at(-1)?.event?.revision !== 9n) {
      second.push(...(await again.takeAcknowledged(1)));
    }
    const seen = new Set([...first, ...second].map(({ event }) => `${event?.revision}@${event?.streamId}`));
    expect(seen.size).toBe(19);
    expect(first.length + second.length).toBeLessThanOrEqual(19 + 5);
    await world.client.replayParkedMessagesToAll(GROUP);
    expect((await again.next()).event).toMatchObject({ streamId: 'work-1', revision: 0n });
    expect(await world.logStreams()).not.toContain(parked('$all'));
  });
});

describe('links in a group', () => {
  const linkTo = (place: string) => binaryEvent({ type: '$>', data: Buffer.from(place), metadata: Buffer.alloc(0) });

  it('are followed where that is asked for, acknowledged and parked as links', async () => {
    await world.client.appendToStream('a', happened(2));
    await world.client.appendToStream('links', [linkTo('1@a'), linkTo('9@a')]);
    await world.create('links', { resolveLinkTos: true });
    const consumer = world.consume('links', 1);
    const followed = await consumer.next();
    expect(followed).toMatchObject({ event: { streamId: 'a', revision: 1n }, link: { streamId: 'links', revision: 0n } });
    await consumer.subscription.nack('park', 'no', followed as never);
    const broken = await consumer.next();
    expect(broken.event).toBeUndefined();
    expect(broken.link).toMatchObject({ streamId: 'links', revision: 1n });
    await consumer.subscription.ack(broken as never);
    await world.written(parked('links'));
    expect(await world.parkedLinks('links')).toMatchObject([{ link: '1@a' }]);
  });
});
