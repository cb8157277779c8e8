import {
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  constants,
  createServer,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { Gate } from '../access/authenticator';
import type { Caller } from '../access/caller';
import type { StoreMetrics } from '../status/store-metrics';
import { gateError } from './authorization';
import { type CallHandler, GrpcCall } from './grpc-call';
import { Code, GrpcError } from './grpc-status';
import { SessionWatch } from './session-watch';

const WINDOW_BYTES = 4 * 1024 * 1024;
const SESSION_MEMORY_MEGABYTES = 512;
const STREAMS_MAX = 100_000;

export type Method = (call: GrpcCall) => CallHandler;

export interface GrpcServerOptions {
  readonly gate: Gate;
  readonly metrics: StoreMetrics;
  /** Calls open at a time on one connection. Real servers allow 100 and let the rest wait. */
  readonly streamsPerConnection?: number;
}

/** gRPC over plain HTTP/2: half the CPU of a general gRPC server, and nothing this protocol needs is missing. */
export class GrpcServer {
  private readonly server: Http2Server;
  private readonly watch = new SessionWatch();
  private readonly calls = new Set<GrpcCall>();
  private methods: ReadonlyMap<string, Method> = new Map();
  /** Why no call is served. */
  private refusal: string | undefined = 'The event store is opening its log: try again later.';

  constructor(private readonly options: GrpcServerOptions) {
    this.server = createServer({
      maxSessionMemory: SESSION_MEMORY_MEGABYTES,
      settings: { maxConcurrentStreams: options.streamsPerConnection ?? STREAMS_MAX, initialWindowSize: WINDOW_BYTES },
    });
    this.server.on('session', (session) => this.begin(session));
    this.server.on('sessionError', () => undefined);
    this.server.on('stream', (stream, headers) => {
      if (!isGrpc(headers)) return refuseForm(stream);
      const call = new GrpcCall(stream, headers);
      this.dispatch(call, headers.authorization, stream);
    });
  }

  /** A connection that speaks HTTP/2, encrypted or not. */
  accept(socket: Socket): void {
    this.server.emit('connection', socket);
  }

  /** Until then every call is told to come again. */
  serve(methods: ReadonlyMap<string, Method>): void {
    this.methods = methods;
    this.refusal = undefined;
  }

  /** From now on no call is served, and those that are open end so that clients know: they may come again later. */
  refuseCalls(reason: string): void {
    this.refusal = reason;
    for (const call of [...this.calls]) call.fail(new GrpcError(Code.unavailable, reason));
  }

  get sessions(): number {
    return this.watch.size;
  }

  /** Open calls by path; only paths that exist. */
  openCalls(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const path of this.methods.keys()) counts.set(path, 0);
    for (const { path } of this.calls) {
      const count = counts.get(path);
      if (count !== undefined) counts.set(path, count + 1);
    }
    return counts;
  }

  /**
   * Users were changed: their calls end, also those that are open for days. As a lost connection, because what was sent
   * may have been done; the next call is told why it is refused, and that nothing was.
   */
  endCallsOfChangedUsers(): void {
    for (const call of [...this.calls]) {
      if (!this.options.gate.isCurrent(call.caller))
        call.fail(new GrpcError(Code.unavailable, 'This login was changed, disabled or removed.'));
    }
  }

  async close(): Promise<void> {
    this.refuseCalls('The event store is shutting down.');
    await new Promise((resolve) => setImmediate(resolve));
    this.watch.close();
  }

  private begin(session: ServerHttp2Session): void {
    this.watch.add(session);
    session.setLocalWindowSize(WINDOW_BYTES);
  }

  private dispatch(call: GrpcCall, authorization: string | undefined, stream: ServerHttp2Stream): void {
    const method = this.methods.get(call.path);
    if (this.refusal !== undefined) return call.fail(new GrpcError(Code.unavailable, this.refusal));
    if (method === undefined)
      return call.fail(new GrpcError(Code.unimplemented, `This server does not have the method ${call.path}.`));
    this.calls.add(call);
    stream.on('close', () => this.calls.delete(call));
    try {
      const caller = this.options.gate.authenticate(authorization);
      if (caller instanceof Promise) {
        const admitted = (known: Caller): void => this.start(call, known, method);
        caller.then(admitted).catch((error: unknown) => this.refuse(call, error));
      } else this.start(call, caller, method);
    } catch (error) {
      this.refuse(call, error);
    }
  }

  private start(call: GrpcCall, caller: Caller, method: Method): void {
    if (call.isClosed) return;
    call.caller = caller;
    try {
      call.serve(method(call));
    } catch (error) {
      call.fail(error);
    }
  }

  private refuse(call: GrpcCall, error: unknown): void {
    this.options.metrics.refused('unauthenticated');
    call.fail(gateError(error));
  }
}

/** What a call of gRPC looks like; anything else is somebody who has come to the wrong port. */
function isGrpc(headers: IncomingHttpHeaders): boolean {
  return headers[':method'] === 'POST' && String(headers['content-type']).startsWith('application/grpc');
}

function refuseForm(stream: ServerHttp2Stream): void {
  stream.on('error', () => undefined);
  stream.respond({ ':status': constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE }, { endStream: true });
  stream.resume();
  stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
}
