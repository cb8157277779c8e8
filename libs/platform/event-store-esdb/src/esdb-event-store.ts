import { randomUUID } from 'node:crypto';
import {
  AppendRefused,
  type AppendResult,
  type EventData,
  type EventStore,
  type ExpectedRevision,
  type FollowAllOptions,
  type FollowStreamOptions,
  type Host,
  type Position,
  type ReadOptions,
  type RecordedEvent,
  StoreUnavailable,
  type StreamMetadata,
  type Subscription,
} from '@perdure/kernel';
import { BatchAppender } from './batch-appender';
import { ConnectionPool } from './connection-pool';
import { Following, type FollowingOptions } from './following';
import { type Reader, readEvents } from './reading';
import { encodeRead } from './requests';
import { fieldsOfMetadata, metadataOfFields } from './stream-metadata';

const APPEND_DEADLINE_MS = 5000;
const READ_DEADLINE_MS = 10_000;

export interface EsdbEventStoreOptions {
  /** `esdb://host:port?tls=false`, or `esdb+discover://` for a cluster. */
  readonly connectionString: string;
  readonly host: Pick<Host, 'timers' | 'log' | 'clock'>;
  readonly appendDeadlineMs?: number;
  /** Longest time without any event before a read is given up. */
  readonly readDeadlineMs?: number;
}

/** The log in EventStoreDB, or in the embedded server that speaks the same protocol. */
export class EsdbEventStore implements EventStore {
  private readonly pool: ConnectionPool;
  private readonly appender: BatchAppender;
  private readonly reader: Reader;
  private readonly followings = new Set<Following>();
  private isClosed = false;

  constructor(private readonly options: EsdbEventStoreOptions) {
    const { connectionString, host, appendDeadlineMs = APPEND_DEADLINE_MS, readDeadlineMs = READ_DEADLINE_MS } = options;
    this.pool = new ConnectionPool(connectionString);
    this.appender = new BatchAppender({ pool: this.pool, host, deadlineMs: appendDeadlineMs });
    this.reader = { pool: this.pool, host, deadlineMs: readDeadlineMs };
  }

  append(stream: string, expected: ExpectedRevision, events: readonly EventData[]): Promise<AppendResult> {
    if (stream === '') return Promise.reject(new AppendRefused('The stream name is empty.'));
    return this.appender.append(stream, expected, events);
  }

  read(stream: string, { direction, from, limit }: ReadOptions): Promise<readonly RecordedEvent[]> {
    return readEvents(this.reader, { target: { stream, from }, backwards: direction === 'backward', limit });
  }

  /** Without what the store writes for itself: events whose type begins with `$`. */
  async readAll({ after, limit }: { readonly after: Position | 'start'; readonly limit: number }): Promise<readonly RecordedEvent[]> {
    const found: RecordedEvent[] = [];
    let from = after;
    while (found.length < limit) {
      // The server begins with the event at the position itself.
      const wanted = limit - found.length + 1;
      const page = await readEvents(this.reader, { target: { from }, limit: wanted });
      for (const event of page) {
        if (!isAt(event, from) && !event.type.startsWith('$') && found.length < limit) found.push(event);
      }
      const last = page[page.length - 1];
      if (last === undefined || page.length < wanted) break;
      from = last.position;
    }
    return found;
  }

  follow(stream: string, options: FollowStreamOptions): Subscription {
    let from = options.after;
    return this.track({
      what: stream,
      request: async () => {
        if (from === 'end') from = (await this.last({ stream, from: 'end' }))?.revision ?? 'start';
        return encodeRead({ target: { stream, from } });
      },
      onEvent: (event) =>
        following(options.onEvent(event), () => {
          from = event.revision;
        }),
      onCheckpoint: () => undefined,
      onCaughtUp: () => options.onCaughtUp?.(),
    });
  }

  followAll(options: FollowAllOptions): Subscription {
    let from = options.after;
    return this.track({
      what: '$all',
      request: async () => {
        if (from === 'end') from = (await this.last({ from: 'end' }))?.position ?? 'start';
        return encodeRead({ target: { from }, filter: options.filter });
      },
      onEvent: (event) =>
        following(options.onEvent(event), () => {
          from = event.position;
        }),
      onCheckpoint: (position) =>
        following(options.onCheckpoint?.(position), () => {
          from = position;
        }),
      onCaughtUp: () => options.onCaughtUp?.(),
    });
  }

  async setStreamMetadata(stream: string, metadata: StreamMetadata): Promise<void> {
    const event = { id: randomUUID(), type: '$metadata', data: fieldsOfMetadata(metadata), metadata: undefined };
    const result = await this.append(`$$${stream}`, 'any', [event]);
    if (result.outcome !== 'appended') throw new AppendRefused(`The metadata of ${stream} cannot be set: ${result.outcome}.`);
  }

  async getStreamMetadata(stream: string): Promise<StreamMetadata> {
    return metadataOfFields((await this.last({ stream: `$$${stream}`, from: 'end' }))?.data);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.appender.close();
    await Promise.all([...this.followings].map((each) => each.close()));
    await this.pool.close();
  }

  /** A followed place must be a definite one: after a reconnection "the end" would be another. */
  private async last(target: { readonly stream: string; readonly from: 'end' } | { readonly from: 'end' }): Promise<RecordedEvent | undefined> {
    const [last] = await readEvents(this.reader, { target, backwards: true, limit: 1 });
    return last;
  }

  private track(options: Omit<FollowingOptions, 'pool' | 'host'>): Subscription {
    if (this.isClosed) throw new StoreUnavailable('The event store client is closed.');
    const started = new Following({ ...options, pool: this.pool, host: this.options.host });
    this.followings.add(started);
    return {
      close: async () => {
        this.followings.delete(started);
        await started.close();
      },
    };
  }
}

function isAt(event: RecordedEvent, place: Position | 'start'): boolean {
  return place !== 'start' && event.position.commit === place.commit && event.position.prepare === place.prepare;
}

/** The place moves only after the handler has finished. */
function following(handled: void | Promise<void>, moved: () => void): void | Promise<void> {
  if (handled === undefined) return moved();
  return handled.then(moved);
}
