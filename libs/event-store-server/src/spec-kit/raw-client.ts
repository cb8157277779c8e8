import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { ProtoWriter } from '@perdure/platform-event-store-wire';
import { frame } from '../wire/responses';

// A client that keeps to nothing: whatever bytes, in whatever order.

export const STREAMS = '/event_store.client.streams.Streams';
export const METHODS = {
  read: `${STREAMS}/Read`,
  append: `${STREAMS}/Append`,
  batchAppend: `${STREAMS}/BatchAppend`,
  delete: `${STREAMS}/Delete`,
  tombstone: `${STREAMS}/Tombstone`,
  features: '/event_store.client.server_features.ServerFeatures/GetSupportedMethods',
  gossip: '/event_store.client.gossip.Gossip/Read',
} as const;

/** Otherwise the client ends its own calls when much waits to be sent. */
const QUEUED_MEGABYTES_MAX = 1_000;

export interface RawAnswer {
  /** Undefined = the server ended the call without an answer. */
  readonly http: number | undefined;
  /** Undefined = it was still going on when the first data came. */
  readonly grpc: string | undefined;
  readonly message: string;
  readonly bytes: number;
}

export class RawClient {
  private constructor(private readonly session: ClientHttp2Session) {
    session.on('error', () => undefined);
  }

  static connect(port: number, windowBytes?: number): Promise<RawClient> {
    const settings = windowBytes === undefined ? {} : { settings: { initialWindowSize: windowBytes } };
    const session = connect(`http://127.0.0.1:${port}`, { ...settings, maxSessionMemory: QUEUED_MEGABYTES_MAX });
    return new Promise((resolve, reject) => {
      session.once('error', reject);
      session.once('remoteSettings', () => resolve(new RawClient(session)));
    });
  }

  get isClosed(): boolean {
    return this.session.closed || this.session.destroyed;
  }

  open(path: string, headers: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
    const form = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const stream = this.session.request({ ...form, ':path': path, ...headers });
    stream.on('error', () => undefined);
    return stream;
  }

  /** Sends it all, and takes what comes until the call ends or, when it goes on, until the first data. */
  call(path: string, bytes: Buffer, headers: Readonly<Record<string, string>> = {}): Promise<RawAnswer> {
    const stream = this.open(path, headers);
    stream.end(bytes);
    return answerOf(stream);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.session.destroyed) return resolve();
      this.session.once('close', () => resolve());
      this.session.destroy();
    });
  }
}

export function answerOf(stream: ClientHttp2Stream): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let received: IncomingHttpHeaders & Record<string, unknown> = {};
    let bytes = 0;
    stream.on('response', (headers) => (received = { ...received, ...headers }));
    stream.on('trailers', (headers) => (received = { ...received, ...headers }));
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      // Whoever is ending has ended by the next turn; what goes on is a subscription.
      setImmediate(() => setImmediate(() => stream.close(constants.NGHTTP2_CANCEL)));
    });
    stream.on('close', () =>
      resolve({
        http: received[':status'] as number | undefined,
        grpc: received['grpc-status'] as string | undefined,
        message: String(received['grpc-message'] ?? ''),
        bytes,
      }),
    );
  });
}

const ID = '00000000-0000-4000-8000-000000000001';

function named(writer: ProtoWriter, name: string): ProtoWriter {
  return writer.message(1, (identifier) => identifier.text(3, name));
}

function putEvent(writer: ProtoWriter, data: Buffer, id = ID): void {
  writer
    .message(1, (uuid) => uuid.text(2, id))
    .message(2, (entry) => entry.text(1, 'type').text(2, 'Raw'))
    .message(2, (entry) => entry.text(1, 'content-type').text(2, 'application/json'))
    .data(4, data);
}

/** Messages as a proper client would send them, not framed. */
export const VALID = {
  read: (stream: string): Buffer =>
    new ProtoWriter()
      .message(1, (options) =>
        options
          .message(1, (inner) => named(inner, stream).empty(3))
          .uint(5, 10)
          .message(9, (uuid) => uuid.empty(2)),
      )
      .finish(),
  subscribe: (stream: string): Buffer =>
    new ProtoWriter().message(1, (options) => options.message(1, (inner) => named(inner, stream).empty(4)).empty(6)).finish(),
  subscribeToAll: (
    from: 'start' | 'end',
    filter?: { readonly regex: string } | { readonly prefixes: readonly string[] },
  ): Buffer =>
    new ProtoWriter()
      .message(1, (options) => {
        options.message(2, (all) => all.empty(from === 'start' ? 2 : 3)).empty(6);
        if (filter === undefined) return;
        options.message(7, (inner) =>
          inner
            .message(1, (expression) => {
              if ('regex' in filter) expression.text(1, filter.regex);
              else for (const prefix of filter.prefixes) expression.text(2, prefix);
            })
            .uint(3, 32)
            .uint(5, 1),
        );
      })
      .finish(),
  readAll: (): Buffer => new ProtoWriter().message(1, (options) => options.message(2, (all) => all.empty(2))).finish(),
  target: (stream: string): Buffer => new ProtoWriter().message(1, (options) => named(options, stream).empty(4)).finish(),
  event: (data = Buffer.from('{}')): Buffer => new ProtoWriter().message(2, (inner) => putEvent(inner, data)).finish(),
  batch: (options: {
    readonly stream: string;
    readonly correlation: number;
    readonly data?: Buffer;
    readonly isFinal: boolean;
  }): Buffer => {
    const id = `00000000-0000-4000-8000-${options.correlation.toString(16).padStart(12, '0')}`;
    const writer = new ProtoWriter()
      .message(1, (uuid) => uuid.text(2, id))
      .message(2, (inner) => named(inner, options.stream).empty(4))
      .message(3, (event) => putEvent(event, options.data ?? Buffer.from('{}'), id));
    return (options.isFinal ? writer.uint(4, 1) : writer).finish();
  },
};

export { frame };
