import { EventStoreDBClient } from '@eventstore/db-client';
import { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb';

const STREAMS = '/event_store.client.streams.Streams';
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_VARIANTS = 5000;

/** One call as this adapter uses it: messages in and out are bytes. */
export interface Call {
  on(event: 'data', listener: (message: Buffer) => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  on(event: 'end' | 'close', listener: () => void): this;
  pause(): unknown;
  resume(): unknown;
  cancel(): void;
}

export interface SendingCall extends Call {
  write(message: Buffer): boolean;
}

/**
 * What the official client keeps for its own commands: connecting, discovery, TLS, credentials, following
 * the leader. Only its encoding of messages is left aside, which costs three times what the call costs;
 * and its appends share one table of promises over all clients of a process, so that an error on one
 * connection ends appends on the others. The version is pinned, and the contract suite covers all of it.
 */
interface ClientCore {
  GRPCStreamCreator<T>(client: typeof StreamsClient, name: string, create: (client: StreamsClient) => T): () => Promise<T>;
  callArguments(options: object, callOptions: { deadline: number }): [metadata: never, options: never];
  getChannel(): Promise<{ close(): void }>;
}

let connectionsMade = 0;

/**
 * The client library shares one TCP connection among all clients of equal settings, and a connection
 * carries 100 calls: settings that differ by some milliseconds are what keeps connections apart.
 */
function distinctSettings(connectionString: string): string {
  connectionsMade += 1;
  const keepAliveMs = KEEPALIVE_MS + (connectionsMade % KEEPALIVE_VARIANTS);
  const [base = '', query = ''] = connectionString.split('?', 2);
  const kept = query.split('&').filter((part) => part !== '' && !/^keepAliveInterval=/i.test(part));
  return `${base}?${[...kept, `keepAliveInterval=${keepAliveMs}`].join('&')}`;
}

/** One connection of its own to the event store, made when first used and again after it was lost. */
export class Connection {
  private readonly client: EventStoreDBClient;
  private readonly core: ClientCore;
  private isClosed = false;

  constructor(connectionString: string) {
    this.client = EventStoreDBClient.connectionString(distinctSettings(connectionString));
    this.core = this.client as unknown as ClientCore;
  }

  read(request: Buffer): Promise<Call> {
    return this.open('read', (client) => {
      const [metadata, options] = this.core.callArguments({}, { deadline: Number.POSITIVE_INFINITY });
      return client.makeServerStreamRequest(`${STREAMS}/Read`, same, same, request, metadata, options);
    });
  }

  batchAppend(): Promise<SendingCall> {
    return this.open('batchAppend', (client) => {
      const [metadata, options] = this.core.callArguments({}, { deadline: Number.POSITIVE_INFINITY });
      return client.makeBidiStreamRequest(`${STREAMS}/BatchAppend`, same, same, metadata, options);
    });
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.client.dispose();
    // Otherwise the connection stays open until the library notices that nobody uses it.
    const channel = await this.core.getChannel().catch(() => undefined);
    channel?.close();
  }

  private async open<T extends Call>(name: string, create: (client: StreamsClient) => T): Promise<T> {
    if (this.isClosed) throw new Error('The connection is closed.');
    const call = await this.core.GRPCStreamCreator(StreamsClient, name, create)();
    if (!this.isClosed) return call;
    call.on('error', () => undefined);
    call.cancel();
    throw new Error('The connection is closed.');
  }
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
