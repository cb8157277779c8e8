import { StoreUnavailable, type FactMark, type ReadOptions, type RecordedEvent, type StoredKeeper } from '@perdure/kernel';
import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { ManualHost } from '@perdure/testing';
import { keeperStream } from './keeper-stream';
import { CHECKPOINT_EVERY_MS, LogFollower } from './log-follower';

class Store extends MemoryEventStore {
  readFailures = 0;

  override async read(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]> {
    if (this.readFailures === 0) return super.read(stream, options);
    this.readFailures -= 1;
    throw new StoreUnavailable('away');
  }
}

/** Keeps what it is told itself, as on a disk. */
class Ledger implements StoredKeeper {
  readonly name = 'ledger';
  readonly eventTypes = ['Opened'];
  readonly told: unknown[] = [];
  saves = 0;

  constructor(readonly disk: { saved?: FactMark; entries: readonly unknown[] } = { entries: [] }) {}

  get saved(): FactMark | undefined {
    return this.disk.saved;
  }

  apply(fact: RecordedEvent): void {
    this.told.push(fact.data);
  }

  async save(upTo: FactMark): Promise<void> {
    this.saves += 1;
    this.disk.entries = [...this.disk.entries, ...this.told.splice(0)];
    this.disk.saved = upTo;
  }

  async clear(): Promise<void> {
    delete this.disk.saved;
    this.disk.entries = [];
  }
}

let host: ManualHost;
let store: Store;

beforeEach(() => {
  host = new ManualHost();
  store = new Store(new MemoryLog(host.clock));
});

async function happen(type: string, times = 1): Promise<void> {
  for (let time = 0; time < times; time += 1)
    await store.append('run-acme.1', 'any', [{ id: host.entropy.uuid(), type, data: time, metadata: {} }]);
  await host.settle();
}

async function following(ledger: Ledger): Promise<LogFollower> {
  const follower = new LogFollower({ store, blobs: new MemoryBlobStore(), host });
  follower.register(ledger);
  const started = follower.start();
  await host.advance(1_000);
  await started;
  return follower;
}

/** What a process leaves that was told so many facts. */
async function diskAfter(facts: number): Promise<Ledger['disk']> {
  const ledger = new Ledger();
  const follower = await following(ledger);
  await happen('Opened', facts);
  await follower.close();
  return ledger.disk;
}

describe('a keeper with an index on disk', () => {
  it('saves what it was told, up to the last fact of its own, and only when there is news', async () => {
    const ledger = new Ledger();
    const follower = await following(ledger);
    await happen('Opened', 2);
    await happen('Else');
    await host.advance(2 * CHECKPOINT_EVERY_MS);
    const [, last] = await store.read('run-acme.1', { direction: 'forward', from: 'start', limit: 2 });
    expect(ledger.disk.saved).toMatchObject({ id: last?.id, position: last?.position });
    await follower.close();
    expect(ledger.saves).toBe(1);
    expect(await store.read(keeperStream.build('ledger'), { direction: 'forward', from: 'start', limit: 1 })).toEqual([]);
  });

  it('is told only what came later, when this log holds the last fact that it has seen', async () => {
    const disk = await diskAfter(3);
    await happen('Opened');
    const next = new Ledger(disk);
    await following(next);
    expect([next.told.length, next.disk.entries.length]).toEqual([1, 3]);
  });

  it.each([
    ['another fact stands in its place', 4],
    ['the log ends before it', 1],
  ])('begins anew when %s: the disk was of another log', async (_why, facts) => {
    const disk = await diskAfter(3);
    store = new Store(new MemoryLog(host.clock));
    await happen('Opened', facts);
    const next = new Ledger(disk);
    await following(next);
    expect([next.told.length, next.disk.entries.length]).toEqual([facts, 0]);
    expect(host.logged.some(({ level }) => level === 'warn')).toBe(true);
  });

  it('waits for a store that is away, and does not take it for another log', async () => {
    const disk = await diskAfter(3);
    store.readFailures = 2;
    const next = new Ledger(disk);
    await following(next);
    expect([next.told.length, next.disk.entries.length, store.readFailures]).toEqual([0, 3, 0]);
  });
});
