import { randomUUID } from 'node:crypto';
import { StoreEngine } from './engine/store-engine';
import { beginLog } from './engine/system-events';
import type { EventStoreServerError } from './errors';
import { checkWritable, lockDataFolder, prepareDataFolder } from './store/data-folder';
import { type FileSystem, nodeFileSystem } from './store/file-system';
import { GrpcServer } from './transport/grpc-server';
import { methodTable } from './transport/methods';

export interface EventStoreServerOptions {
  readonly dataDir: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly host?: string;
  /** The disk; tests give one that fails. */
  readonly files?: FileSystem;
  readonly nowMs?: () => number;
  readonly appendBytesMax?: number;
  readonly segmentBytes?: number;
  /** False: it scavenges only when asked to. */
  readonly autoScavenge?: boolean;
  /** Calls open at a time on one connection; real servers allow 100. */
  readonly streamsPerConnection?: number;
  /** The log is dead after a failed sync; the server has stopped serving. The process should end. */
  readonly onFailed?: (error: EventStoreServerError) => void;
}

export interface RunningEventStoreServer {
  readonly port: number;
  /** For the official client. */
  readonly connectionString: string;
  close(): Promise<void>;
}

const DEFAULT_HOST = '127.0.0.1';

/**
 * Serves EventStoreDB's gRPC protocol from one data folder.
 * @throws EventStoreServerError whose one-line message says what to do
 */
export async function startEventStoreServer(options: EventStoreServerOptions): Promise<RunningEventStoreServer> {
  const { dataDir, host = DEFAULT_HOST } = options;
  const files = options.files ?? nodeFileSystem;
  const isRealDisk = files === nodeFileSystem;
  if (isRealDisk) createAndProbe(files, dataDir);
  const lock = isRealDisk ? await lockDataFolder(dataDir) : undefined;
  try {
    prepareDataFolder(files, dataDir);
    return await serve({ ...options, files, host }, () => lock?.release());
  } catch (error) {
    lock?.release();
    throw error;
  }
}

function createAndProbe(files: FileSystem, dataDir: string): void {
  if (!files.exists(dataDir)) prepareDataFolder(files, dataDir);
  checkWritable(dataDir);
}

async function serve(
  options: EventStoreServerOptions & { readonly files: FileSystem; readonly host: string },
  release: () => void,
): Promise<RunningEventStoreServer> {
  const { host, dataDir, files } = options;
  let grpc: GrpcServer | undefined;
  const engine = await StoreEngine.open({
    files,
    folder: dataDir,
    nowMs: options.nowMs ?? Date.now,
    autoScavenge: options.autoScavenge ?? true,
    ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
    onFailed: (error) => {
      void grpc?.close();
      options.onFailed?.(error);
    },
  });
  try {
    await beginLog(engine);
    const node = { instanceId: randomUUID(), host, port: () => grpc?.port ?? 0 };
    const methods = methodTable({
      engine,
      node,
      ...(options.appendBytesMax === undefined ? {} : { appendBytesMax: options.appendBytesMax }),
    });
    const { port, streamsPerConnection } = options;
    grpc = await GrpcServer.listen(methods, {
      host,
      port,
      ...(streamsPerConnection === undefined ? {} : { streamsPerConnection }),
    });
  } catch (error) {
    await engine.close();
    throw error;
  }
  const listening = grpc;
  const { port } = listening;
  return {
    port,
    connectionString: `esdb://${host}:${port}?tls=false`,
    async close() {
      await listening.close();
      await engine.close();
      release();
    },
  };
}
