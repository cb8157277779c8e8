import type { EventStoreDBClient } from '@eventstore/db-client';
import { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb';

const READ = '/event_store.client.streams.Streams/Read';
const BATCH_APPEND = '/event_store.client.streams.Streams/BatchAppend';

/** The call that carries appends: messages in and out are bytes. */
export interface AppendCall {
  on(event: 'data', listener: (message: Buffer) => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  on(event: 'end' | 'close', listener: () => void): this;
  cancel(): void;
  write(message: Buffer): boolean;
}

/**
 * What the client keeps for its own commands: connecting, discovery, TLS, credentials, following the leader. Its encoding of
 * appends is left aside, since it serialises each event twice and shares one table of promises over all clients of a process,
 * so that an error on one connection ends appends on the others; and its decoding of events, which builds four objects for
 * each and costs three times what the bytes need. The client's version is pinned, and the contract suite covers every call.
 */
interface ClientCore {
  GRPCStreamCreator<T>(client: typeof StreamsClient, name: string, create: (client: StreamsClient) => T): () => Promise<T>;
  callArguments(options: object, callOptions: { deadline: number }): [metadata: never, options: never];
}

export function openAppendCall(client: EventStoreDBClient): Promise<AppendCall> {
  const core = client as unknown as ClientCore;
  const create = (streams: StreamsClient): AppendCall => {
    const [metadata, options] = core.callArguments({}, { deadline: Number.POSITIVE_INFINITY });
    return streams.makeBidiStreamRequest(BATCH_APPEND, same, same, metadata, options);
  };
  return core.GRPCStreamCreator(StreamsClient, 'batchAppend', create)();
}

/** A read or a subscription: its request and its answers are bytes, at the pace of whoever takes them. */
export interface ReadCall extends AsyncIterable<Buffer> {
  on(event: 'data', listener: (message: Buffer) => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  on(event: 'end' | 'close', listener: () => void): this;
  pause(): this;
  resume(): this;
  cancel(): void;
}

export function openReadCall(client: EventStoreDBClient, request: Buffer): Promise<ReadCall> {
  const core = client as unknown as ClientCore;
  const create = (streams: StreamsClient): ReadCall => {
    const [metadata, options] = core.callArguments({}, { deadline: Number.POSITIVE_INFINITY });
    return streams.makeServerStreamRequest(READ, same, same, request, metadata, options);
  };
  return core.GRPCStreamCreator(StreamsClient, 'read', create)();
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
