import { PARTITIONS } from '@perdure/kernel';
import { MemoryBroker } from '@perdure/platform-bus-memory';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { ManualHost } from '@perdure/testing';
import { CLOCK_OFF_MAX_MS, ClockWatch } from './clock-watch';
import { PartitionOwnership } from './partition-ownership';

describe('the clock of a node', () => {
  let host: ManualHost;
  let log: MemoryLog;
  /** The store's clock goes by its own hand. */
  let storeOffMs: number;

  beforeEach(() => {
    host = new ManualHost();
    storeOffMs = 0;
    log = new MemoryLog({ nowMs: () => host.clock.nowMs() + storeOffMs });
  });

  const watch = (store = new MemoryEventStore(log)): ClockWatch => new ClockWatch({ store, host });

  it.each([
    ['the same', 0, true],
    ['a little ahead', -CLOCK_OFF_MAX_MS, true],
    ['a little behind', CLOCK_OFF_MAX_MS, true],
    ['far ahead', -CLOCK_OFF_MAX_MS - 1, false],
    ['far behind', CLOCK_OFF_MAX_MS + 1, false],
  ])('that is %s', async (_, offMs, isRight) => {
    storeOffMs = offMs;
    const clock = watch();
    await clock.start();
    expect(clock.isRight).toBe(isRight);
    expect(host.logged.some(({ level }) => level === 'error')).toBe(!isRight);
  });

  it('is not blamed for a store that is slow, or does not answer', async () => {
    const slow = new MemoryEventStore(log);
    const read = slow.read.bind(slow);
    slow.read = async (...asked) => {
      await host.advance(5_000);
      return read(...asked);
    };
    const clock = watch(slow);
    await clock.start();
    expect(clock.isRight).toBe(true);
    slow.read = () => Promise.reject(new Error('away'));
    storeOffMs = 10_000;
    await host.advance(60_000);
    expect(clock.isRight).toBe(true);
  });

  it('is not believed from the moment at which it is set until it was compared', async () => {
    const clock = watch();
    await clock.start();
    expect(clock.isSettled).toBe(true);
    // Set together with that of the store, as on one machine.
    host.jumpWall(3_600_000);
    expect(clock.isSettled).toBe(false);
    expect(await clock.settled()).toBe(true);
    expect(clock.isSettled).toBe(true);
    // Set alone.
    host.jumpWall(3_600_000);
    storeOffMs = -3_600_000;
    expect(await clock.settled()).toBe(false);
    expect([clock.isRight, clock.isSettled]).toEqual([false, false]);
    host.jumpWall(-3_600_000);
    storeOffMs = 0;
    expect(await clock.settled()).toBe(true);
  });

  it('that was set is compared within a second, though nobody asks', async () => {
    const clock = watch();
    await clock.start();
    host.jumpWall(-3_600_000);
    storeOffMs = 3_600_000;
    await host.advance(1_001);
    expect(clock.isRight).toBe(false);
  });

  it('is not believed when it was set and the store does not answer', async () => {
    const store = new MemoryEventStore(log);
    const clock = watch(store);
    await clock.start();
    store.read = () => Promise.reject(new Error('away'));
    host.jumpWall(3_600_000);
    expect(await clock.settled()).toBe(false);
    // Nor is that held against its node, which may have slept.
    expect(clock.isRight).toBe(true);
  });

  it('costs its node every partition while it is wrong, and another one takes them', async () => {
    const broker = new MemoryBroker({ timers: host.timers });
    const clock = watch();
    const start = async (instanceId: string, isFit?: () => boolean): Promise<() => number> => {
      const connection = broker.connect(instanceId);
      const [leases, maps] = [connection.keyValue('leases'), connection.keyValue('maps')];
      const ownership = new PartitionOwnership({
        ...{ leases, maps, host, service: 'timers', instanceId },
        ...(isFit === undefined ? {} : { isFit }),
      });
      await ownership.start();
      await host.settle();
      return () => Array.from({ length: PARTITIONS }, (_, partition) => ownership.owns(partition)).filter(Boolean).length;
    };
    await clock.start();
    const owned = await start('a', () => clock.isRight);
    expect(owned()).toBe(PARTITIONS);
    storeOffMs = 10_000;
    await host.advance(20_000);
    expect(owned()).toBe(0);
    const others = await start('b');
    await host.advance(5_000);
    expect([owned(), others()]).toEqual([0, PARTITIONS]);
    storeOffMs = 0;
    await host.advance(10_000);
    expect([owned(), others()]).toEqual([PARTITIONS / 2, PARTITIONS / 2]);
  });

  it('gets its node everything back when it is alone', async () => {
    const broker = new MemoryBroker({ timers: host.timers });
    let isFit = true;
    const connection = broker.connect('a');
    const ownership = new PartitionOwnership({
      ...{ leases: connection.keyValue('leases'), maps: connection.keyValue('maps'), host, service: 'timers', instanceId: 'a' },
      isFit: () => isFit,
    });
    const told: [number, number][] = [];
    ownership.onChange((gained, lost) => told.push([gained.length, lost.length]));
    await ownership.start();
    isFit = false;
    await host.advance(3_000);
    isFit = true;
    await host.advance(3_000);
    expect(told).toEqual([
      [PARTITIONS, 0],
      [0, PARTITIONS],
      [PARTITIONS, 0],
    ]);
  });
});
