import { randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { OPEN_GATE } from './access/authenticator';
import { Credentials } from './access/credentials';
import { engineAcls } from './access/engine-acls';
import { reachableHost, urlHost } from './access/listening-rule';
import { StoreEngine } from './engine/store-engine';
import { beginLog } from './engine/system-events';
import type { EventStoreServerError } from './errors';
import { PersistentSubscriptions } from './persistent/persistent-subscriptions';
import { type Gauges, exposition } from './status/exposition';
import { statusListener } from './status/status-pages';
import { StoreMetrics } from './status/store-metrics';
import type { FileSystem } from './store/file-system';
import { APPEND_BYTES_MAX } from './transport/append-errors';
import { Authorization } from './transport/authorization';
import { type CertificateFiles, readCertificate } from './transport/certificate';
import { GrpcServer } from './transport/grpc-server';
import { HttpFront } from './transport/http-front';
import { methodTable } from './transport/methods';

/** Room on the disk at which it is no longer called full: some groups fit in. */
const ROOM_BYTES = 16 * 1024 * 1024;

export interface RunningServerOptions {
  readonly files: FileSystem;
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  readonly tls?: CertificateFiles;
  readonly credentialsFile?: string;
  readonly nowMs: () => number;
  readonly appendBytesMax?: number;
  readonly segmentBytes?: number;
  readonly autoScavenge?: boolean;
  readonly streamsPerConnection?: number;
  onFailed(error: EventStoreServerError): void;
  onComplaint(error: unknown): void;
}

/** The parts of a server and their order: the port answers first, the log is opened behind it. */
export class RunningServer {
  private readonly metrics = new StoreMetrics();
  private readonly credentials: Credentials | undefined;
  private readonly grpc: GrpcServer;
  private front: HttpFront | undefined;
  private engine: StoreEngine | undefined;
  private persistent: PersistentSubscriptions | undefined;
  private failure: EventStoreServerError | undefined;

  private constructor(private readonly options: RunningServerOptions) {
    const { credentialsFile, streamsPerConnection } = options;
    this.credentials =
      credentialsFile === undefined
        ? undefined
        : new Credentials({
            file: credentialsFile,
            onChanged: () => this.grpc.endCallsOfChangedUsers(),
            onComplaint: (error) => options.onComplaint(error),
          });
    this.grpc = new GrpcServer({
      gate: this.gate,
      metrics: this.metrics,
      ...(streamsPerConnection === undefined ? {} : { streamsPerConnection }),
    });
  }

  /** @throws EventStoreServerError; then nothing of it is left */
  static async start(options: RunningServerOptions): Promise<RunningServer> {
    const server = new RunningServer(options);
    try {
      await server.listen();
      await server.open();
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  get port(): number {
    return this.front?.port ?? 0;
  }

  get connectionString(): string {
    const { host, tls } = this.options;
    return `esdb://${urlHost(reachableHost(host))}:${this.port}?tls=${tls !== undefined}`;
  }

  /** @throws EventStoreServerError; what cannot be used leaves all as it was */
  reload(): void {
    const { tls } = this.options;
    const certificate = tls && readCertificate(tls);
    this.credentials?.reload();
    if (certificate !== undefined) this.front?.replaceCertificate(certificate);
  }

  async close(): Promise<void> {
    this.credentials?.close();
    const stopped = this.front?.stopListening();
    await this.grpc.close();
    this.front?.destroyConnections();
    await stopped?.closed;
    this.persistent?.close();
    await this.engine?.close();
  }

  private get gate() {
    return this.credentials?.authenticator ?? OPEN_GATE;
  }

  private async listen(): Promise<void> {
    const { host, port, tls } = this.options;
    this.front = await HttpFront.listen({
      host,
      port,
      ...(tls === undefined ? {} : { certificate: readCertificate(tls) }),
      onHttp2: (socket) => this.grpc.accept(socket),
      onHttp1Request: this.statusPages(),
    });
  }

  private async open(): Promise<void> {
    const { files, dataDir, nowMs, segmentBytes, host, appendBytesMax = APPEND_BYTES_MAX, autoScavenge = true } = this.options;
    const engine = await StoreEngine.open({
      files,
      folder: dataDir,
      nowMs,
      observer: this.metrics,
      autoScavenge,
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
      onFailed: (error) => this.fail(error),
    });
    this.engine = engine;
    await beginLog(engine);
    const node = { instanceId: randomUUID(), host: reachableHost(host), port: () => this.port };
    const authorization = new Authorization(engineAcls(engine), this.metrics);
    const persistent = new PersistentSubscriptions(engine);
    this.persistent = persistent;
    this.grpc.serve(methodTable({ engine, authorization, persistent, metrics: this.metrics, appendBytesMax, node }));
  }

  private fail(error: EventStoreServerError): void {
    this.failure = error;
    this.grpc.refuseCalls(error.message);
    this.options.onFailed(error);
  }

  private statusPages(): RequestListener {
    return statusListener({
      gate: this.gate,
      notReady: () => this.notReady(),
      metrics: async () => exposition(this.metrics, await this.gauges()),
    });
  }

  private async notReady(): Promise<string | undefined> {
    if (this.failure !== undefined) return this.failure.message;
    if (this.engine === undefined) return 'The log is being opened.';
    const isFull = this.metrics.isDiskFull && !(await this.hasRoom());
    return isFull ? 'The disk is full: appends are refused, reads go on. Free some space.' : undefined;
  }

  /** Nobody may append any more to a server that is not ready: it has to find out by itself. */
  private async hasRoom(): Promise<boolean> {
    const { files, dataDir } = this.options;
    const free = await files.freeBytes?.(dataDir);
    return free !== undefined && free >= ROOM_BYTES;
  }

  private async gauges(): Promise<Gauges> {
    const { engine } = this;
    return {
      connections: this.front?.connections ?? 0,
      http2Sessions: this.grpc.sessions,
      openCalls: this.grpc.openCalls(),
      isReady: (await this.notReady()) === undefined,
      log: engine && { bytes: engine.endPosition, streams: engine.index.streamCount, events: engine.index.visible },
      memory: process.memoryUsage(),
    };
  }
}
