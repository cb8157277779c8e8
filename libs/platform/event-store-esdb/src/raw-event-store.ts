import { StreamDeletedError } from '@eventstore/db-client';
import type { AppendResult, ExpectedRevision, Host } from '@perdure/kernel';
import { ProtoReader, ProtoWriter, type RawEvent, decodeRecordedEvent } from '@perdure/platform-event-store-wire';
import { openReadCall } from './append-call';
import { type RawProposal, encodeRawAppend } from './append-request';
import { BatchAppender } from './batch-appender';
import { ClientPool } from './client-pool';
import { failureOf } from './failures';

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
  async *readAll(): AsyncGenerator<RawEvent, void> {
    yield* this.read((options) => options.message(2, (all) => all.empty(2)), { backwards: false });
  }

  /** Undefined when there is none that a reader may see. */
  async lastEvent(stream: string): Promise<RawEvent | undefined> {
    const ofStream = (options: ProtoWriter): void => {
      options.message(1, (one) => one.message(1, (identifier) => identifier.text(3, stream)).empty(4));
    };
    for await (const event of this.read(ofStream, { backwards: true, limit: 1 })) return event;
    return undefined;
  }

  async close(): Promise<void> {
    this.appender.close();
    await this.pool.close();
  }

  private async *read(
    source: (options: ProtoWriter) => void,
    { backwards, limit = Number.MAX_SAFE_INTEGER }: { readonly backwards: boolean; readonly limit?: number },
  ): AsyncGenerator<RawEvent, void> {
    const request = new ProtoWriter().message(1, (options) => {
      source(options);
      options
        .uint(3, backwards ? 1 : 0)
        .uint(5, limit)
        .empty(8);
      options.message(9, (uuid) => uuid.empty(2));
    });
    try {
      for await (const answer of await openReadCall(this.pool.readClient, request.finish())) {
        const event = eventOf(answer);
        if (event !== undefined) yield event;
      }
    } catch (error) {
      throw failureOf(error);
    }
  }
}

/** Undefined for answers that carry none. */
function eventOf(answer: Buffer): RawEvent | undefined {
  let event: RawEvent | undefined;
  new ProtoReader(answer).forEach((field, reader) => {
    if (field !== 1) return;
    reader.message((part, inner) => {
      if (part === 1) event = decodeRecordedEvent(inner.view());
    });
  });
  return event;
}
