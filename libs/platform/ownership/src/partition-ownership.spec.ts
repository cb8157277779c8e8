import { PARTITIONS, type Host } from '@perdure/kernel';
import { MemoryBroker, type MemoryConnection } from '@perdure/platform-bus-memory';
import { LoopbackKeyValue, ManualHost } from '@perdure/testing';
import { PartitionOwnership } from './partition-ownership';

/** Refuses one change, and answers the read that follows as late as it is told to. */
class SlowMaps extends LoopbackKeyValue {
  arrive: () => void = () => undefined;
  private arrival: Promise<void> | undefined;

  refuseOnce(): void {
    this.arrival = new Promise((resolve) => (this.arrive = resolve));
  }

  override async compareAndSet(key: string, value: string, expected: number): Promise<number | undefined> {
    if (this.arrival === undefined) return super.compareAndSet(key, value, expected);
    const [arrival, found] = [this.arrival, super.get(key)];
    this.arrival = undefined;
    this.get = () => {
      this.get = (again) => super.get(again);
      return arrival.then(() => found);
    };
    return undefined;
  }
}

interface Instance {
  readonly ownership: PartitionOwnership;
  readonly connection: MemoryConnection;
  owned(): number[];
}

describe('the owners of partitions', () => {
  let host: ManualHost;
  let broker: MemoryBroker;
  let stoodStillMs: Record<string, number>;

  beforeEach(() => {
    host = new ManualHost();
    broker = new MemoryBroker({ timers: host.timers });
    stoodStillMs = {};
  });

  /** A host whose monotonic clock may run ahead of its timers, as after a process was stopped. */
  const standingHost = (instanceId: string): Host => ({
    incarnation: instanceId,
    timers: host.timers,
    entropy: host.entropy,
    digest: host.digest,
    log: host.log,
    crashPoint: () => undefined,
    clock: { nowMs: () => host.clock.nowMs(), monotonicMs: () => host.clock.monotonicMs() + (stoodStillMs[instanceId] ?? 0) },
  });

  const start = async (instanceId: string): Promise<Instance> => {
    const connection = broker.connect(instanceId);
    const ownership = new PartitionOwnership({
      leases: connection.keyValue('perdure-leases'),
      maps: connection.keyValue('perdure-map'),
      host: standingHost(instanceId),
      service: 'orchestrator',
      instanceId,
    });
    const instance = {
      ownership,
      connection,
      owned: () =>
        Array.from({ length: PARTITIONS }, (_, partition) => partition).filter((partition) => ownership.owns(partition)),
    };
    await ownership.start();
    await host.settle();
    return instance;
  };

  const ownersOfEach = (instances: readonly Instance[]): number[] =>
    Array.from({ length: PARTITIONS }, (_, partition) => instances.filter(({ ownership }) => ownership.owns(partition)).length);

  const everyPartitionOnce = new Array<number>(PARTITIONS).fill(1);

  it('gives everything to a single instance before any time has passed', async () => {
    expect((await start('a')).owned().length).toBe(PARTITIONS);
  });

  it('shares with a newcomer at once and moves only its part', async () => {
    const a = await start('a');
    const changes: { gained: number; lost: number }[] = [];
    a.ownership.onChange((gained, lost) => changes.push({ gained: gained.length, lost: lost.length }));
    const b = await start('b');
    expect(ownersOfEach([a, b])).toEqual(everyPartitionOnce);
    expect(changes).toEqual([
      { gained: PARTITIONS, lost: 0 },
      { gained: 0, lost: PARTITIONS / 2 },
    ]);
  });

  it('a newcomer with the smallest id takes its part and no more', async () => {
    const b = await start('b');
    const losses: number[] = [];
    b.ownership.onChange((_, lost) => losses.push(lost.length));
    const a = await start('a');
    await host.advance(1_000);
    expect(ownersOfEach([a, b])).toEqual(everyPartitionOnce);
    expect(Math.max(...losses)).toBe(PARTITIONS / 2);
  });

  it('gives the part of a killed instance to the others within five seconds, and not before three', async () => {
    const [a, b, c] = [await start('a'), await start('b'), await start('c')];
    a.connection.disconnect();
    await host.advance(2_500);
    expect(b.owned().length + c.owned().length).toBeLessThan(PARTITIONS);
    await host.advance(2_500);
    expect(ownersOfEach([b, c])).toEqual(everyPartitionOnce);
  });

  it('hands over at once when an instance stops', async () => {
    const [a, b] = [await start('a'), await start('b')];
    await a.ownership.stop();
    await host.settle();
    expect(a.owned()).toEqual([]);
    expect(b.owned().length).toBe(PARTITIONS);
  });

  it('is taken up at once by a restarted instance of the same id', async () => {
    const a = await start('a');
    a.connection.disconnect();
    expect((await start('a')).owned().length).toBe(PARTITIONS);
  });

  it('survives a wipe of leases and map without moving anything, and writes both again', async () => {
    const instances = [await start('a'), await start('b'), await start('c')];
    const before = instances.map(({ owned }) => owned());
    broker.wipe();
    await host.advance(5_000);
    expect(instances.map(({ owned }) => owned())).toEqual(before);
    const newcomer = await start('d');
    expect(ownersOfEach([...instances, newcomer])).toEqual(everyPartitionOnce);
  });

  it('does not take the others for dead because it stood still itself', async () => {
    const [a, b] = [await start('a'), await start('b')];
    const before = [a.owned(), b.owned()];
    stoodStillMs.a = 60_000;
    await host.advance(5_000);
    expect([a.owned(), b.owned()]).toEqual(before);
  });

  it('is not taken back by an answer that a newer map has outrun', async () => {
    const maps = new SlowMaps();
    const start = async (instanceId: string): Promise<PartitionOwnership> => {
      const ownership = new PartitionOwnership({ leases, maps, host, service: 'orchestrator', instanceId });
      await ownership.start();
      return ownership;
    };
    const leases = new LoopbackKeyValue();
    const a = await start('a');
    maps.refuseOnce();
    const b = await start('b');
    await host.settle();
    await maps.put('orchestrator', JSON.stringify(Array.from({ length: PARTITIONS }, (_, n) => (n % 2 === 0 ? 'a' : 'b'))));
    maps.arrive();
    await host.settle();
    expect([a.owns(0), a.owns(1), b.owns(0), b.owns(1)]).toEqual([true, false, false, true]);
  });

  it('goes on, and takes nobody for dead, while the store of leases and map is away', async () => {
    const [leases, maps] = [new LoopbackKeyValue(), new LoopbackKeyValue()];
    const [a, b] = ['a', 'b'].map(
      (instanceId) => new PartitionOwnership({ leases, maps, host, service: 'orchestrator', instanceId }),
    );
    await a?.start();
    await b?.start();
    await host.settle();
    const owners = (): string =>
      Array.from({ length: PARTITIONS }, (_, partition) => `${a?.owns(partition)}${b?.owns(partition)}`).join();
    const before = owners();
    expect(before).toContain('falsetrue');
    leases.failing = maps.failing = true;
    await host.advance(60_000);
    leases.failing = maps.failing = false;
    await host.advance(10_000);
    expect(owners()).toBe(before);
  });
});
