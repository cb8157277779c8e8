import { StreamDeletedError } from '@eventstore/db-client';
import type { AppendResult, ExpectedRevision, Host } from '@perdure/kernel';
import type { RawEvent } from '@perdure/platform-event-store-wire';
import { type RawProposal, encodeRawAppend } from './append-request';
import { BatchAppender } from './batch-appender';
import { ClientPool } from './client-pool';
import { failureOf } from './failures';
import { readAnswer } from './read-answer';
import { type Page, type Source, pageRequest } from './read-request';
import { openReadCall } from './server-calls';

export interface RawEventStoreOptions {
  readonly connectionString: string;
  readonly host: Pick<Host, 'timers' | 'clock'>;
  readonly appendDeadlineMs?: number;
}

/** Servers answer within two seconds, if at all; a busy disk may double that. */
const APPEND_DEADLINE_MS = 5000;

/**
 * A whole log, byte for byte, of any server: for tools that move data. The official client would read JSON as values and write
 * it anew, so that numbers, order and spaces might change.
 */
export class RawEventStore {
  private readonly pool: ClientPool;
  private readonly appender: BatchAppender<RawProposal>;

  constructor({ connectionString, host, appendDeadlineMs = APPEND_DEADLINE_MS }: RawEventStoreOptions) {
    this.pool = new ClientPool(connectionString);
    this.appender = new BatchAppender({ pool: this.pool, host, deadlineMs: appendDeadlineMs, encode: encodeRawAppend });
  }

  /** @throws StoreUnavailable, StoreAccessDenied, AppendRefused */
  append(stream: string, expected: ExpectedRevision, events: readonly RawProposal[]): Promise<AppendResult> {
    return this.appender.append(stream, expected, events);
  }

  /** Ends a stream for ever; one that has ended stays so. */
  async tombstone(stream: string): Promise<void> {
    try {
      await this.pool.readClient.tombstoneStream(stream);
    } catch (error) {
      if (!(error instanceof StreamDeletedError)) throw failureOf(error);
    }
  }

  /** Every event, also of the server itself, in the order of the log and up to its present end. */
  readAll(): AsyncGenerator<RawEvent, void> {
    return this.events({ all: 'start' }, { direction: 'forward', limit: Number.MAX_SAFE_INTEGER });
  }

  /** Undefined when there is none that a reader may see. */
  async lastEvent(stream: string): Promise<RawEvent | undefined> {
    for await (const event of this.events({ stream, from: 'end' }, { direction: 'backward', limit: 1 })) return event;
    return undefined;
  }

  async close(): Promise<void> {
    this.appender.close();
    await this.pool.close();
  }

  private async *events(source: Source, page: Page): AsyncGenerator<RawEvent, void> {
    try {
      for await (const message of await openReadCall(this.pool.readClient, pageRequest(source, page))) {
        const answer = readAnswer(message);
        if (answer.is === 'event') yield answer.event;
      }
    } catch (error) {
      throw failureOf(error);
    }
  }
}
