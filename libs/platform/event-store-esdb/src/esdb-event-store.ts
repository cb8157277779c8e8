import { randomUUID } from 'node:crypto';
import type { EventStoreDBClient } from '@eventstore/db-client';
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
import { failureOf, isStreamGone, isUnreachable } from './failures';
import { Following } from './following';
import { isSystemEvent, readAnswer, recordedEventOf } from './read-answer';
import { type Page, type Source, pageRequest, subscriptionRequest } from './read-request';
import { openReadCall } from './server-calls';
import { fieldsOfMetadata, metadataOfFields } from './stream-metadata';

const APPEND_DEADLINE_MS = 5000;
const READ_DEADLINE_MS = 10_000;

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

  read(stream: string, { direction, from, limit }: ReadOptions): Promise<readonly RecordedEvent[]> {
    return this.page({ stream, from }, { direction, limit });
  }

  async readAll({
    after,
    limit,
  }: {
    readonly after: Position | 'start';
    readonly limit: number;
  }): Promise<readonly RecordedEvent[]> {
    const found: RecordedEvent[] = [];
    for (let from = after; found.length < limit;) {
      const wanted = limit - found.length + 1;
      const page = await this.page({ all: from }, { direction: 'forward', limit: wanted });
      const start = from;
      for (const event of page) {
        const isSeen = start !== 'start' && event.position.commit === start.commit && event.position.prepare === start.prepare;
        if (!isSeen && !isSystemEvent(event) && found.length < limit) found.push(event);
      }
      const last = page[page.length - 1];
      if (last === undefined || page.length < wanted) break;
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
    let from = options.after;
    return this.track(
      (pool, host) =>
        new Following({
          pool,
          host,
          what: stream,
          request: () => subscriptionRequest({ stream, from }),
          onEvent: (event) =>
            after(options.onEvent(event), () => {
              from = event.revision;
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
    let from = options.after;
    return this.track(
      (pool, host) =>
        new Following({
          pool,
          host,
          what: '$all',
          request: () => subscriptionRequest({ all: from }, options.filter),
          onEvent: (event) =>
            after(options.onEvent(event), () => {
              from = event.position;
            }),
          onCheckpoint: (position) =>
            after(options.onCheckpoint?.(position), () => {
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
    const [last] = await this.page({ all: 'end' }, { direction: 'backward', limit: 1 });
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

  private async page(source: Source, page: Page): Promise<readonly RecordedEvent[]> {
    const client = this.pool.readClient;
    const deadlineMs = this.options.readDeadlineMs ?? READ_DEADLINE_MS;
    try {
      return await this.withDeadline(eventsOf(client, pageRequest(source, page)), { client, deadlineMs });
    } catch (error) {
      if (isStreamGone(error)) return [];
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

async function eventsOf(client: EventStoreDBClient, request: Buffer): Promise<readonly RecordedEvent[]> {
  const found: RecordedEvent[] = [];
  for await (const message of await openReadCall(client, request)) {
    const answer = readAnswer(message);
    if (answer.is === 'event') found.push(recordedEventOf(answer.event));
  }
  return found;
}

function after(handled: void | Promise<void>, then: () => void): void | Promise<void> {
  if (handled === undefined) return then();
  return handled.then(then);
}
