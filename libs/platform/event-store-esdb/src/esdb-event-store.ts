import { randomUUID } from 'node:crypto';
import {
  type EventStoreDBClient,
  StreamDeletedError,
  StreamNotFoundError,
  eventTypeFilter,
  streamNameFilter,
} from '@eventstore/db-client';
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
import { anchored } from './anchored';
import { encodeAppend } from './append-request';
import { BatchAppender } from './batch-appender';
import { ClientPool } from './client-pool';
import { failureOf, isUnreachable } from './failures';
import { Following } from './following';
import { fieldsOfMetadata, metadataOfFields } from './stream-metadata';
import { clientPosition, isSystemEvent, positionOf, recordedEventOf } from './translate';

const APPEND_DEADLINE_MS = 5000;
const READ_DEADLINE_MS = 10_000;
/** Events the server looks at between two checkpoints. */
const CHECKPOINT_WINDOW = 500;

export interface EsdbEventStoreOptions {
  /** `esdb://login:password@host:port?tls=true&tlsCAFile=…`, or `esdb+discover://` for a cluster; `tls=false` on one machine. */
  readonly connectionString: string;
  readonly host: Pick<Host, 'timers' | 'log' | 'clock'>;
  readonly appendDeadlineMs?: number;
  readonly readDeadlineMs?: number;
}

/** The log in EventStoreDB, or in the embedded server that speaks the same protocol. */
export class EsdbEventStore implements EventStore {
  private readonly pool: ClientPool;
  private readonly appender: BatchAppender<EventData>;
  private readonly followings = new Set<Following>();

  constructor(private readonly options: EsdbEventStoreOptions) {
    this.pool = new ClientPool(options.connectionString);
    const deadlineMs = options.appendDeadlineMs ?? APPEND_DEADLINE_MS;
    this.appender = new BatchAppender({ pool: this.pool, host: options.host, deadlineMs, encode: encodeAppend });
  }

  append(stream: string, expected: ExpectedRevision, events: readonly EventData[]): Promise<AppendResult> {
    if (stream === '') return Promise.reject(new AppendRefused('The stream name is empty.'));
    return this.appender.append(stream, expected, events);
  }

  async read(stream: string, options: ReadOptions): Promise<readonly RecordedEvent[]> {
    const { direction, from, limit } = options;
    const client = this.pool.readClient;
    const source = client.readStream(stream, {
      direction: direction === 'forward' ? 'forwards' : 'backwards',
      fromRevision: typeof from === 'number' ? BigInt(from) : from,
      maxCount: countOf(limit),
    });
    return this.collect(client, source);
  }

  async readAll({
    after,
    limit,
  }: {
    readonly after: Position | 'start';
    readonly limit: number;
  }): Promise<readonly RecordedEvent[]> {
    const found: RecordedEvent[] = [];
    const client = this.pool.readClient;
    for (let from = after; found.length < limit;) {
      const maxCount = countOf(limit - found.length + 1);
      const source = client.readAll({
        direction: 'forwards',
        fromPosition: from === 'start' ? from : clientPosition(from),
        maxCount,
      });
      const page = await this.collect(client, source);
      const start = from;
      for (const event of page) {
        const isSeen = start !== 'start' && event.position.commit === start.commit && event.position.prepare === start.prepare;
        if (!isSeen && !isSystemEvent(event) && found.length < limit) found.push(event);
      }
      const last = page[page.length - 1];
      if (last === undefined || page.length < maxCount) break;
      from = last.position;
    }
    return found;
  }

  follow(stream: string, options: FollowStreamOptions): Subscription {
    if (options.after === 'end') {
      return anchored({
        host: this.options.host,
        what: stream,
        place: () => this.endOf(stream),
        onRefused: (error) => options.onRefused?.(error),
        followFrom: (place) => this.follow(stream, { ...options, after: place }),
      });
    }
    let from: bigint | 'start' = typeof options.after === 'number' ? BigInt(options.after) : options.after;
    return this.track(
      (pool, host) =>
        new Following({
          pool,
          host,
          what: stream,
          open: (client) => client.subscribeToStream(stream, { fromRevision: from }, ONE_AT_A_TIME),
          onEvent: (event) =>
            after(options.onEvent(event), () => {
              from = BigInt(event.revision);
            }),
          onCheckpoint: () => undefined,
          onCaughtUp: () => options.onCaughtUp?.(),
          onRefused: (error) => options.onRefused?.(error),
        }),
    );
  }

  followAll(options: FollowAllOptions): Subscription {
    if (options.after === 'end') {
      return anchored({
        host: this.options.host,
        what: '$all',
        place: () => this.endOfAll(),
        onRefused: (error) => options.onRefused?.(error),
        followFrom: (place) => this.followAll({ ...options, after: place }),
      });
    }
    let from = typeof options.after === 'string' ? options.after : clientPosition(options.after);
    return this.track(
      (pool, host) =>
        new Following({
          pool,
          host,
          what: '$all',
          open: (client, onCheckpoint) => {
            const filter = filterOf(options.filter, (_, position) => onCheckpoint(position));
            return client.subscribeToAll({ fromPosition: from, filter }, ONE_AT_A_TIME);
          },
          onEvent: (event) =>
            after(options.onEvent(event), () => {
              from = clientPosition(event.position);
            }),
          onCheckpoint: (position) =>
            after(options.onCheckpoint?.(positionOf(position)), () => {
              from = position;
            }),
          onCaughtUp: () => options.onCaughtUp?.(),
          onRefused: (error) => options.onRefused?.(error),
        }),
    );
  }

  async setStreamMetadata(stream: string, metadata: StreamMetadata): Promise<void> {
    const event = { id: randomUUID(), type: '$metadata', data: fieldsOfMetadata(metadata), metadata: undefined };
    const result = await this.append(`$$${stream}`, 'any', [event]);
    if (result.outcome !== 'appended') throw new AppendRefused(`The metadata of ${stream} cannot be set: ${result.outcome}.`);
  }

  async getStreamMetadata(stream: string): Promise<StreamMetadata> {
    const [last] = await this.read(`$$${stream}`, { direction: 'backward', from: 'end', limit: 1 });
    return metadataOfFields(last?.data);
  }

  async close(): Promise<void> {
    this.appender.close();
    await Promise.all([...this.followings].map((following) => following.close()));
    await this.pool.close();
  }

  private async endOf(stream: string): Promise<number | 'start'> {
    const [last] = await this.read(stream, { direction: 'backward', from: 'end', limit: 1 });
    return last?.revision ?? 'start';
  }

  private async endOfAll(): Promise<Position | 'start'> {
    const client = this.pool.readClient;
    const [last] = await this.collect(client, client.readAll({ direction: 'backwards', fromPosition: 'end', maxCount: 1 }));
    return last?.position ?? 'start';
  }

  private track(start: (pool: ClientPool, host: EsdbEventStoreOptions['host']) => Following): Subscription {
    const following = start(this.pool, this.options.host);
    this.followings.add(following);
    return {
      close: async () => {
        this.followings.delete(following);
        await following.close();
      },
    };
  }

  private async collect(client: EventStoreDBClient, source: ReadSource): Promise<readonly RecordedEvent[]> {
    const deadlineMs = this.options.readDeadlineMs ?? READ_DEADLINE_MS;
    const found: RecordedEvent[] = [];
    const cut = cutsOf(source);
    const reading = (async () => {
      for await (const resolved of source) {
        const event = recordedEventOf(resolved);
        if (event !== undefined) found.push(event);
      }
    })();
    try {
      await this.withDeadline(reading, { client, deadlineMs });
      if (cut.error !== undefined) throw cut.error;
      return found;
    } catch (error) {
      if (error instanceof StreamNotFoundError || error instanceof StreamDeletedError) return [];
      if (isUnreachable(error)) this.pool.discard(client);
      throw failureOf(error);
    }
  }

  /** A connection that does not answer is dropped: the next call makes a new one. */
  private withDeadline<T>(
    answer: Promise<T>,
    limit: { readonly client: EventStoreDBClient; readonly deadlineMs: number },
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const cancel = this.options.host.timers.after(limit.deadlineMs, () => {
        reject(new StoreUnavailable(`The event store did not answer within ${limit.deadlineMs} ms.`));
        this.pool.discard(limit.client);
      });
      answer.then(resolve, reject).finally(cancel);
    });
  }
}

type ReadSource = AsyncIterable<Parameters<typeof recordedEventOf>[0]>;

/**
 * The library says nothing of a call that was cancelled, as all are whose connection is dropped: the stream just ends,
 * and a read that was cut short looks like a short stream, or like none. The call beneath it does say so.
 */
function cutsOf(source: ReadSource): { readonly error: Error | undefined } {
  const cut: { error: Error | undefined } = { error: undefined };
  const stream = source as unknown as NodeJS.EventEmitter;
  stream.once('pipe', (call: NodeJS.EventEmitter) => call.once('error', (error: Error) => (cut.error = error)));
  return cut;
}

/** No event is read ahead of the handler, so that checkpoints keep their place in the order. */
const ONE_AT_A_TIME = { highWaterMark: 1 };

function countOf(limit: number): number {
  return Math.min(limit, Number.MAX_SAFE_INTEGER);
}

function after(handled: void | Promise<void>, then: () => void): void | Promise<void> {
  if (handled === undefined) return then();
  return handled.then(then);
}

function filterOf(
  filter: FollowAllOptions['filter'],
  checkpointReached: (_: unknown, position: { commit: bigint; prepare: bigint }) => Promise<void>,
) {
  const options = { checkpointInterval: 1, maxSearchWindow: CHECKPOINT_WINDOW, checkpointReached };
  if (filter.by === 'stream-name') return streamNameFilter({ prefixes: [...filter.prefixes], ...options });
  // A prefix would also match types that merely begin alike.
  const types = filter.types.map((type) => type.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return eventTypeFilter({ regex: `^(?:${types.join('|')})$`, ...options });
}
