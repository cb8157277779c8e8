import {
  StoreUnavailable,
  type AppendResult,
  type BlobStore,
  type EventData,
  type EventStore,
  type ExpectedRevision,
  type FollowAllOptions,
  type FollowStreamOptions,
  type Position,
  type ReadOptions,
  type RecordedEvent,
  type StreamMetadata,
  type Subscription,
} from '@perdure/kernel';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import type { FaultPlan } from './fault-plan';
import type { SimProcess } from './sim-process';
import type { Simulation } from './simulation';

const HOP_MS = [0.2, 1.5] as const;
const SLOW_MS = [200, 3_000] as const;
const SILENCE_MS = 1_000;
const RESUBSCRIBE_MS = [5, 300] as const;

/** The server: one log on a disk that survives everything here, and the time during which nobody answers. */
export class SimStoreServer {
  readonly log: MemoryLog;
  /** Ids of events whose append was answered to a process that lived to hear it. */
  readonly acknowledged = new Set<string>();
  private downUntilMs = 0;
  private readonly drops = new Set<() => void>();

  constructor(
    readonly simulation: Simulation,
    readonly faults: FaultPlan,
  ) {
    this.log = new MemoryLog({ nowMs: () => Math.floor(simulation.epochMs + simulation.nowMs) });
  }

  get isDown(): boolean {
    return this.simulation.nowMs < this.downUntilMs;
  }

  restart(forMs: number): void {
    this.simulation.note(`STORE DOWN for ${forMs.toFixed(0)} ms`);
    this.downUntilMs = this.simulation.nowMs + forMs;
    this.dropFollowers();
  }

  dropFollowers(): void {
    for (const drop of [...this.drops]) drop();
  }

  onDrop(drop: () => void): () => void {
    this.drops.add(drop);
    return () => this.drops.delete(drop);
  }

  client(process: SimProcess): EventStore {
    return new SimStore(this, process);
  }
}

/** One process's client of the server: each call may be slow, lost, or carried out without an answer. */
class SimStore implements EventStore {
  private readonly inner: MemoryEventStore;
  private readonly random;

  constructor(
    private readonly server: SimStoreServer,
    private readonly process: SimProcess,
  ) {
    this.random = server.simulation.random.split(`store of ${process.name}`);
    // The same log, seen through this process: what it follows is delivered by its own events.
    const log = Object.create(server.log, {
      schedule: { value: (task: () => void) => void process.schedule(this.hopMs(), 'is told of facts', task) },
      retry: { value: (task: () => void) => void process.schedule(100, 'is told of facts again', task) },
    }) as MemoryLog;
    this.inner = new MemoryEventStore(log);
  }

  async append(stream: string, expected: ExpectedRevision, events: readonly EventData[]): Promise<AppendResult> {
    // What is on the wire does not change when its sender goes on.
    const sent = structuredClone(events);
    const label = `append ${stream} ${sent.map(({ type }) => type).join(',')}`;
    const result = await this.call(label, () => this.inner.append(stream, expected, sent));
    if (result.outcome === 'appended') for (const { id } of sent) this.server.acknowledged.add(id);
    return result;
  }

  read(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]> {
    return this.call(`read ${stream}`, () => this.inner.read(stream, options));
  }

  readAll(options: { readonly after: Position | 'start'; readonly limit: number }): Promise<readonly RecordedEvent[]> {
    return this.call('read all', () => this.inner.readAll(options));
  }

  follow(stream: string, options: FollowStreamOptions): Subscription {
    let { after } = options;
    const onEvent = (event: RecordedEvent): void | Promise<void> => {
      after = event.revision;
      return options.onEvent(event);
    };
    return this.resubscribing(() => this.inner.follow(stream, { ...options, after, onEvent }));
  }

  followAll(options: FollowAllOptions): Subscription {
    const { inner } = this;
    let { after } = options;
    const onEvent = (event: RecordedEvent): void | Promise<void> => {
      after = event.position;
      return options.onEvent(event);
    };
    const onCheckpoint = (position: Position): void | Promise<void> => {
      after = position;
      return options.onCheckpoint?.(position);
    };
    return this.resubscribing(() => inner.followAll({ ...options, after, onEvent, onCheckpoint }));
  }

  setStreamMetadata(stream: string, metadata: StreamMetadata): Promise<void> {
    return this.call(`set metadata ${stream}`, () => this.inner.setStreamMetadata(stream, metadata));
  }

  getStreamMetadata(stream: string): Promise<StreamMetadata> {
    return this.call(`get metadata ${stream}`, () => this.inner.getStreamMetadata(stream));
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  private hopMs(): number {
    return this.random.between(...HOP_MS);
  }

  private call<T>(label: string, perform: () => Promise<T>): Promise<T> {
    const { process, server } = this;
    const { faults, simulation } = server;
    if (!process.alive) return new Promise(() => undefined);
    const unavailable = (afterMs: number): Promise<T> =>
      process.answer(afterMs, `store unavailable: ${label}`, () => {
        throw new StoreUnavailable('The store did not answer.');
      });
    const slowMs = faults.strikes('storeSlow') ? this.random.between(...SLOW_MS) : 0;
    const isRequestLost = faults.strikes('storeRequestLost');
    const isAnswerLost = faults.strikes('storeAnswerLost');
    const pauseMs = this.hopMs() + slowMs;
    const silentMs = this.random.between(10, SILENCE_MS);
    if (isRequestLost) return unavailable(silentMs);
    return new Promise((resolve, reject) => {
      const arrive = (): void => {
        if (server.isDown) {
          unavailable(silentMs).then(resolve, reject);
          return;
        }
        perform().then(
          (result) => {
            const answer = isAnswerLost ? unavailable(silentMs) : process.answer(this.hopMs(), `stored: ${label}`, () => result);
            answer.then(resolve, reject);
          },
          (error: unknown) => void process.schedule(this.hopMs(), `store refuses: ${label}`, () => reject(error as Error)),
        );
      };
      simulation.at(pauseMs, arrive, { label: `${process.name} ${label}` });
    });
  }

  /** As the adapters do: after a lost subscription again, from the event seen last. */
  private resubscribing(subscribe: () => Subscription): Subscription {
    const { process, server } = this;
    if (!process.alive) return { close: async () => undefined };
    let inner: Subscription | undefined = subscribe();
    let closed = false;
    const comeBack = (): void => {
      if (closed || inner !== undefined) return;
      if (server.isDown) void process.schedule(this.random.between(...RESUBSCRIBE_MS), 'resubscribes', comeBack);
      else inner = subscribe();
    };
    const forgetDrop = server.onDrop(() => {
      void inner?.close();
      inner = undefined;
      void process.schedule(this.random.between(...RESUBSCRIBE_MS), 'resubscribes', comeBack);
    });
    process.onEnd(forgetDrop);
    return {
      close: async () => {
        closed = true;
        forgetDrop();
        await inner?.close();
      },
    };
  }
}

/** Payloads on a disk that survives processes; each call takes a moment. */
export function simBlobs(shared: BlobStore, process: SimProcess): BlobStore {
  const later = <T>(label: string, perform: () => Promise<T>): Promise<T> =>
    process.alive ? process.answer(0.3, label, () => undefined).then(perform) : new Promise(() => undefined);
  return {
    put: (tenant, content) => later('blob stored', () => shared.put(tenant, content)),
    get: (tenant, reference) => later('blob read', () => shared.get(tenant, reference)),
    delete: (tenant, reference) => later('blob deleted', () => shared.delete(tenant, reference)),
  };
}
