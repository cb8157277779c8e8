import { type Server as HttpServer, type RequestListener, createServer as createHttpServer } from 'node:http';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { type TLSSocket, createServer as createTlsServer } from 'node:tls';
import { EventStoreServerError, errorCodeOf } from '../errors';
import type { Certificate } from './certificate';

// One port for gRPC, which is HTTP/2, and for what people and probes ask over HTTP/1.1.
//
// 1. Over TLS the protocol is negotiated; without, the first bytes tell: an HTTP/2 client must begin with "PRI".
// 2. A connection that says nothing valid is closed after a while, and one of HTTP/1.1 in any case: it carries one
//    request, which takes no time.

export interface FrontLimits {
  readonly connectionsMax: number;
  /** For a client to say what it wants, handshake included. */
  readonly firstBytesMs: number;
  /** From the first byte of the request to the last of the answer. */
  readonly http1ConnectionMs: number;
}

/** A client holds a few connections; each costs a file descriptor. */
const LIMITS: FrontLimits = { connectionsMax: 1000, firstBytesMs: 10_000, http1ConnectionMs: 10_000 };
const HTTP1_HEADERS_BYTES_MAX = 8192;
const HTTP2_BEGINS = 'PRI';

export interface FrontOptions {
  readonly host: string;
  readonly port: number;
  readonly certificate?: Certificate;
  /** A connection that speaks HTTP/2. */
  onHttp2(socket: Socket): void;
  readonly onHttp1Request: RequestListener;
  readonly limits?: Partial<FrontLimits>;
}

export class HttpFront {
  private readonly sockets = new Set<Socket>();
  private readonly http1: HttpServer;
  private readonly server: Server;
  private readonly limits: FrontLimits;
  private readonly setCertificate: (certificate: Certificate) => void;

  private constructor(private readonly options: FrontOptions) {
    this.limits = { ...LIMITS, ...options.limits };
    this.http1 = createHttpServer({ maxHeaderSize: HTTP1_HEADERS_BYTES_MAX }, options.onHttp1Request);
    this.http1.on('clientError', (_, socket) => socket.destroy());
    const { certificate } = options;
    if (certificate === undefined) {
      this.server = createServer({ noDelay: true }, (socket) => this.sniff(socket));
      this.setCertificate = () => undefined;
    } else {
      const secure = createTlsServer(
        { ...certificate, ALPNProtocols: ['h2', 'http/1.1'], handshakeTimeout: this.limits.firstBytesMs, minVersion: 'TLSv1.2' },
        (socket) => this.negotiated(socket),
      );
      secure.on('tlsClientError', (_, socket) => socket.destroy());
      this.server = secure;
      this.setCertificate = (fresh) => secure.setSecureContext({ ...fresh, minVersion: 'TLSv1.2' });
    }
    this.server.maxConnections = this.limits.connectionsMax;
    this.server.on('connection', (socket) => this.track(socket));
  }

  static listen(options: FrontOptions): Promise<HttpFront> {
    const front = new HttpFront(options);
    const { server } = front;
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(listenError(error, options)));
      server.listen(options.port, options.host, () => {
        server.removeAllListeners('error');
        server.on('error', () => undefined);
        resolve(front);
      });
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.sockets.size;
  }

  /** For connections that begin from now on. */
  replaceCertificate(certificate: Certificate): void {
    this.setCertificate(certificate);
  }

  /** Nobody gets in any more; `closed` resolves when all connections are closed. */
  stopListening(): { readonly closed: Promise<void> } {
    return { closed: new Promise((resolve) => this.server.close(() => resolve())) };
  }

  destroyConnections(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private track(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.sockets.delete(socket));
  }

  private negotiated(socket: TLSSocket): void {
    socket.on('error', () => undefined);
    socket.setNoDelay(true);
    if (socket.alpnProtocol === 'h2') this.options.onHttp2(socket);
    else this.serveHttp1(socket);
  }

  private sniff(socket: Socket): void {
    let begun = '';
    const deadline = setTimeout(() => socket.destroy(), this.limits.firstBytesMs).unref();
    const chunks: Buffer[] = [];
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      begun = (begun + chunk.toString('latin1', 0, HTTP2_BEGINS.length)).slice(0, HTTP2_BEGINS.length);
      const isOpen = begun.length < HTTP2_BEGINS.length && HTTP2_BEGINS.startsWith(begun);
      if (isOpen) return;
      clearTimeout(deadline);
      socket.pause();
      socket.removeListener('data', onData);
      socket.unshift(Buffer.concat(chunks));
      if (begun === HTTP2_BEGINS) this.options.onHttp2(socket);
      else this.serveHttp1(socket);
    };
    socket.on('data', onData);
    socket.on('close', () => clearTimeout(deadline));
  }

  private serveHttp1(socket: Socket): void {
    const deadline = setTimeout(() => socket.destroy(), this.limits.http1ConnectionMs).unref();
    socket.on('close', () => clearTimeout(deadline));
    this.http1.emit('connection', socket);
    socket.resume();
  }
}

function listenError(error: unknown, { host, port }: FrontOptions): unknown {
  if (errorCodeOf(error) !== 'EADDRINUSE') return error;
  return new EventStoreServerError(
    'PortTaken',
    `Port ${port} on ${host} is taken: choose another port, or 0 for a free one.`,
    error,
  );
}
