import {
  StoreAccessDenied,
  StoreUnavailable,
  type AppendResult,
  type EventData,
  type EventStore,
  type ExpectedRevision,
  type FollowAllOptions,
  type Json,
  type Keeper,
  type ReadOptions,
  type RecordedEvent,
  type StreamMetadata,
  type Subscription,
} from '@perdure/kernel';
import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import { ManualHost } from '@perdure/testing';
import { KEEPER_TENANT, keeperStream } from './keeper-stream';
import { CHECKPOINT_EVERY_MS, CHECKPOINT_FACTS, LogFollower } from './log-follower';

/** As much of a log as the follower uses: deliveries happen in microtasks, in order. */
class TinyLog implements EventStore {
  readonly events: RecordedEvent[] = [];
  readonly followedAfter: unknown[] = [];
  readonly metadata = new Map<string, StreamMetadata>();
  readFailures = 0;
  private readonly heads = new Map<string, number>();
  private readonly followers = new Set<{ options: FollowAllOptions; next: number; running: boolean; closed: boolean }>();

  async append(stream: string, _expected: ExpectedRevision, events: readonly EventData[]): Promise<AppendResult> {
    let revision = this.heads.get(stream) ?? -1;
    for (const event of events) {
      revision += 1;
      const place = String(this.events.length + 1);
      const data: unknown = JSON.parse(JSON.stringify(event.data));
      this.events.push({ ...event, data, stream, revision, position: { commit: place, prepare: place }, recordedAtMs: 0 });
    }
    this.heads.set(stream, revision);
    for (const follower of this.followers) void this.run(follower);
    return { outcome: 'appended', revision, position: this.events.at(-1)!.position };
  }

  async read(stream: string, { direction, limit }: ReadOptions): Promise<readonly RecordedEvent[]> {
    if (this.readFailures > 0) {
      this.readFailures -= 1;
      throw new StoreUnavailable('away');
    }
    const found = this.events.filter((event) => event.stream === stream);
    return (direction === 'backward' ? found.reverse() : found).slice(0, limit);
  }

  followAll(options: FollowAllOptions): Subscription {
    this.followedAfter.push(options.after);
    const next = typeof options.after === 'string' ? 0 : Number(options.after.commit);
    const follower = { options, next, running: false, closed: false };
    this.followers.add(follower);
    void this.run(follower);
    return {
      close: async () => {
        follower.closed = true;
        this.followers.delete(follower);
      },
    };
  }

  private async run(follower: { options: FollowAllOptions; next: number; running: boolean; closed: boolean }): Promise<void> {
    if (follower.running) return;
    follower.running = true;
    const { filter, onEvent, onCaughtUp } = follower.options;
    for (; follower.next < this.events.length && !follower.closed; follower.next += 1) {
      const event = this.events[follower.next]!;
      if (filter.by !== 'event-type' || !filter.types.includes(event.type)) continue;
      await onEvent(event);
    }
    follower.running = false;
    onCaughtUp?.();
  }

  /** As a store does whose credentials were taken away. */
  refuse(error: StoreAccessDenied): void {
    for (const { options } of this.followers) options.onRefused?.(error);
  }

  setStreamMetadata = async (stream: string, metadata: StreamMetadata): Promise<void> => void this.metadata.set(stream, metadata);
  getStreamMetadata = async (stream: string): Promise<StreamMetadata> => this.metadata.get(stream) ?? {};
  readAll = async (): Promise<readonly RecordedEvent[]> => this.events;
  follow = (): Subscription => ({ close: async () => undefined });
  close = async (): Promise<void> => undefined;
}

/** Remembers every fact it was given: twice or never would show. */
class Diary implements Keeper {
  readonly applied: string[] = [];
  restoredFrom: Json | undefined;
  caughtUps = 0;
  private total = 0;

  constructor(
    readonly name: string,
    readonly eventTypes: readonly string[],
    private readonly onApply: (fact: RecordedEvent) => void = () => undefined,
  ) {}

  restore(index: Json | undefined): void {
    this.restoredFrom = index;
    this.total = index === undefined ? 0 : (index as { total: number }).total;
    if (!Number.isInteger(this.total)) throw new TypeError('not a diary');
  }

  apply(fact: RecordedEvent): void {
    this.onApply(fact);
    this.total += 1;
    this.applied.push(`${fact.type}:${JSON.stringify(fact.data)}`);
  }

  snapshot(): Json {
    return { total: this.total };
  }

  caughtUp(): void {
    this.caughtUps += 1;
  }
}

/** One fact a part. */
class InParts extends Diary {
  readonly facts = new Set<number>();
  restored = 0;
  onPart: () => void = () => undefined;

  constructor() {
    super('in-parts', ['Opened'], (fact) => void this.facts.add(fact.data as number));
  }

  override restore = (): void => this.facts.clear();

  restorePart(part: Json): void {
    this.restored += 1;
    this.facts.add(part as number);
  }

  *snapshotParts(): Generator<Json> {
    for (const fact of [...this.facts]) {
      this.onPart();
      yield fact;
    }
  }
}

let store: TinyLog;
let blobs: MemoryBlobStore;
let host: ManualHost;

beforeEach(() => {
  store = new TinyLog();
  blobs = new MemoryBlobStore();
  host = new ManualHost();
});

let facts = 0;
async function happen(type: string, times = 1): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    facts += 1;
    await store.append('run-acme.1', 'any', [{ id: String(facts), type, data: facts, metadata: {} }]);
  }
  await host.settle();
}

async function following(...keepers: Keeper[]): Promise<LogFollower> {
  const follower = new LogFollower({ store, blobs, host });
  for (const keeper of keepers) follower.register(keeper);
  await follower.start();
  await host.settle();
  return follower;
}

const blobOf = (event: RecordedEvent): string => (event.data as { parts: [{ blob: string }] }).parts[0].blob;
const pointersOf = (name: string) => store.events.filter((event) => event.stream === keeperStream.build(name));

describe('the follower of a process', () => {
  it('gives each keeper the facts of its types, in order, and nothing else', async () => {
    await happen('Opened');
    const doors = new Diary('doors', ['Opened', 'Closed']);
    const lamps = new Diary('lamps', ['Lit']);
    const follower = await following(doors, lamps);
    await happen('Lit');
    await happen('Ignored');
    await happen('Closed');
    expect(doors.applied.map((line) => line.split(':')[0])).toEqual(['Opened', 'Closed']);
    expect(lamps.applied).toHaveLength(1);
    expect(store.followedAfter).toEqual(['start']);
    expect(doors.caughtUps).toBeGreaterThan(0);
    await follower.close();
  });

  it('goes on after a restart where the last checkpoint was taken', async () => {
    await happen('Opened', 3);
    await (await following(new Diary('doors', ['Opened']))).close();
    await happen('Opened', 2);
    const again = new Diary('doors', ['Opened']);
    await following(again);
    expect(again.restoredFrom).toEqual({ total: 3 });
    expect(again.applied).toHaveLength(2);
  });

  it('starts from the smallest position and skips what a keeper has seen', async () => {
    await happen('Opened', 3);
    await (await following(new Diary('doors', ['Opened']))).close();
    const doors = new Diary('doors', ['Opened']);
    const newcomer = new Diary('newcomer', ['Opened']);
    await following(doors, newcomer);
    expect(doors.applied).toHaveLength(0);
    expect(newcomer.applied).toHaveLength(3);
    await happen('Opened');
    expect(doors.applied).toHaveLength(1);
  });

  it('saves every keeper with news after half a minute, and bounds the stream of pointers', async () => {
    await following(new Diary('doors', ['Opened']), new Diary('idle', ['Never']));
    await happen('Opened', 2);
    await host.advance(CHECKPOINT_EVERY_MS);
    expect(pointersOf('doors')).toHaveLength(1);
    expect(pointersOf('idle')).toHaveLength(0);
    expect(store.metadata.get('keeper-doors')).toEqual({ maxCount: 2 });
    await host.advance(CHECKPOINT_EVERY_MS);
    expect(pointersOf('doors')).toHaveLength(1);
  });

  it('saves early when many facts have come, also for a keeper without news', async () => {
    await following(new Diary('doors', ['Opened']), new Diary('idle', ['Never']));
    await host.advance(2_000);
    await happen('Opened', CHECKPOINT_FACTS);
    expect(pointersOf('doors')).toHaveLength(1);
    expect(pointersOf('idle')).toHaveLength(1);
  });

  it('keeps the blobs of the last two checkpoints only', async () => {
    const follower = await following(new Diary('doors', ['Opened']));
    for (let round = 0; round < 4; round += 1) {
      await happen('Opened');
      await follower.checkpoint();
    }
    const stored = await Promise.all(pointersOf('doors').map((event) => blobs.get(KEEPER_TENANT, blobOf(event))));
    expect(stored.map((text) => text !== undefined)).toEqual([false, false, true, true]);
  });

  it('falls back to the checkpoint before when the newest blob is gone, then to the whole log', async () => {
    const follower = await following(new Diary('doors', ['Opened']));
    await happen('Opened');
    await follower.checkpoint();
    await happen('Opened', 2);
    await follower.close();
    const [older, newest] = pointersOf('doors').map((event) => blobOf(event));

    await blobs.delete(KEEPER_TENANT, newest!);
    const second = new Diary('doors', ['Opened']);
    await following(second);
    expect(second.restoredFrom).toEqual({ total: 1 });
    expect(second.applied).toHaveLength(2);

    await blobs.delete(KEEPER_TENANT, older!);
    const third = new Diary('doors', ['Opened']);
    await following(third);
    expect(third.restoredFrom).toBeUndefined();
    expect(third.applied).toHaveLength(3);
  });

  it('does not trust a blob with another hash, nor an index that the keeper does not know', async () => {
    const position = { commit: '1', prepare: '1' };
    const pointTo = async (text: string, sha256 = host.digest.sha256(text)) => {
      const data = { v: 1, position, parts: [{ blob: await blobs.put(KEEPER_TENANT, text), sha256 }] };
      await store.append('keeper-doors', 'any', [{ id: sha256, type: 'KeeperCheckpointed', data, metadata: {} }]);
    };
    await happen('Opened', 2);
    await pointTo('{"total":7}', 'another hash');
    const doors = new Diary('doors', ['Opened']);
    await following(doors);
    expect(doors.applied).toHaveLength(2);

    await pointTo('{"total":"many"}');
    const again = new Diary('doors', ['Opened']);
    await following(again);
    expect(again.applied).toHaveLength(2);
  });

  it('saves a large index part by part, while facts go on being applied, and puts it together again', async () => {
    const growing = new InParts();
    const follower = await following(growing);
    await happen('Opened', 3);
    growing.onPart = () => void happen('Opened');
    await follower.checkpoint();
    await host.settle();
    expect(growing.facts.size).toBe(6);
    const again = new InParts();
    await following(again);
    expect(again.restored).toBe(3);
    expect(again.facts).toEqual(growing.facts);
  });

  it('waits for a store that comes up late', async () => {
    store.readFailures = 3;
    const doors = new Diary('doors', ['Opened']);
    const started = following(doors);
    await host.advance(1_000);
    await started;
    await happen('Opened');
    expect(doors.applied).toHaveLength(1);
  });

  it('stops loudly when the store no longer lets it read', async () => {
    const doors = new Diary('doors', ['Opened']);
    const follower = await following(doors);
    const outcome = follower.done.catch((error: unknown) => error);
    const refusal = new StoreAccessDenied('not any more');
    store.refuse(refusal);
    await happen('Opened');
    expect(await outcome).toBe(refusal);
    expect(doors.applied).toHaveLength(0);
    expect(host.logged.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('stops loudly when a keeper throws, gives it nothing more, and saves no checkpoint', async () => {
    const broken = new Diary('broken', ['Opened'], (fact) => {
      if (fact.revision === 1) throw new TypeError('cannot be');
    });
    const follower = await following(broken);
    const outcome = follower.done.then(
      () => 'closed',
      (error: Error) => error.message,
    );
    await happen('Opened', 3);
    expect(await outcome).toBe('cannot be');
    expect(broken.applied).toHaveLength(1);
    expect(host.logged.filter(({ level }) => level === 'error')).toHaveLength(1);
    await host.advance(CHECKPOINT_EVERY_MS);
    await follower.close();
    expect(pointersOf('broken')).toHaveLength(0);
  });

  it('outlives a store that refuses its checkpoint, and saves the next time', async () => {
    await following(new Diary('doors', ['Opened']));
    await happen('Opened');
    store.readFailures = 1;
    await host.advance(CHECKPOINT_EVERY_MS);
    expect(pointersOf('doors')).toHaveLength(0);
    await host.advance(CHECKPOINT_EVERY_MS);
    expect(pointersOf('doors')).toHaveLength(1);
  });

  it('takes no keeper once it has started, and no two of one name', async () => {
    const follower = await following(new Diary('doors', ['Opened']));
    expect(() => follower.register(new Diary('late', ['Opened']))).toThrow(/after the follower had started/);
    const other = new LogFollower({ store, blobs, host });
    other.register(new Diary('doors', ['Opened']));
    expect(() => other.register(new Diary('doors', ['Opened']))).toThrow(/Two keepers/);
  });
});
