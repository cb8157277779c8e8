import type { Host, RecordedEvent } from '@perdure/kernel';
import { unavailable } from './batch-appender';
import type { Call, Connection } from './connection';
import type { ConnectionPool } from './connection-pool';
import { type ReadMessage, encodeRead } from './requests';
import { decodeReadAnswer } from './responses';

export interface Reader {
  readonly pool: ConnectionPool;
  readonly host: Pick<Host, 'timers'>;
  /** Longest time without any event before the read is given up. */
  readonly deadlineMs: number;
}

/**
 * Every event that the server sends for one read; a stream that is missing or deleted reads as no events.
 * @throws StoreUnavailable
 */
export async function readEvents(reader: Reader, message: ReadMessage): Promise<RecordedEvent[]> {
  try {
    const connection = reader.pool.get('reads');
    return await collect(reader, { connection, call: withDeadline(reader, connection, connection.read(encodeRead(message))) });
  } catch (error) {
    if (isStreamDeleted(error)) return [];
    throw unavailable(error);
  }
}

function withDeadline(reader: Reader, connection: Connection, opening: Promise<Call>): Promise<Call> {
  return new Promise((resolve, reject) => {
    const cancel = reader.host.timers.after(reader.deadlineMs, () => {
      reader.pool.discard(connection);
      reject(new Error(`no connection within ${reader.deadlineMs} ms`));
    });
    opening.then(resolve, reject).finally(cancel);
  });
}

async function collect(reader: Reader, opened: { readonly connection: Connection; readonly call: Promise<Call> }): Promise<RecordedEvent[]> {
  const call = await opened.call;
  const events: RecordedEvent[] = [];
  let seen = -1;
  return new Promise((resolve, reject) => {
    let cancelWatch: () => void = () => undefined;
    const watch = (): void => {
      cancelWatch = reader.host.timers.after(reader.deadlineMs, () => {
        if (seen !== events.length) {
          seen = events.length;
          watch();
          return;
        }
        reject(new Error(`no event within ${reader.deadlineMs} ms`));
        call.cancel();
        reader.pool.discard(opened.connection);
      });
    };
    watch();
    call.on('data', (bytes) => {
      try {
        const answer = decodeReadAnswer(bytes);
        if (answer.kind === 'event') events.push(answer.event);
      } catch (error) {
        call.cancel();
        reject(error as Error);
      }
    });
    call.on('error', (error) => {
      cancelWatch();
      reject(error);
    });
    call.on('end', () => {
      cancelWatch();
      resolve(events);
    });
  });
}

function isStreamDeleted(error: unknown): boolean {
  const { metadata } = error as { metadata?: { get(name: string): unknown[] } };
  return metadata?.get('exception')[0] === 'stream-deleted';
}
