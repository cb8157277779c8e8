import { checkHost } from './access/listening-rule';
import type { EventStoreServerError } from './errors';
import { RunningServer, type RunningServerOptions } from './running-server';
import { checkWritable, lockDataFolder, prepareDataFolder } from './store/data-folder';
import { type FileSystem, nodeFileSystem } from './store/file-system';
import type { CertificateFiles } from './transport/certificate';

export interface EventStoreServerOptions {
  readonly dataDir: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Loopback unless there are credentials and TLS. */
  readonly host?: string;
  /** The certificate with its chain, and its key, in PEM form. */
  readonly tls?: CertificateFiles;
  /** Written by `changeUser`, and read again when it changes. Without it everybody may do everything. */
  readonly credentialsFile?: string;
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
  /** Something was to be replaced and cannot be used; the server goes on with what it has. */
  readonly onComplaint?: (error: unknown) => void;
}

export interface RunningEventStoreServer {
  readonly port: number;
  /** For the official client. */
  readonly connectionString: string;
  /**
   * Reads certificate and credentials again.
   * @throws EventStoreServerError; what cannot be used leaves all as it was
   */
  reload(): void;
  close(): Promise<void>;
}

const DEFAULT_HOST = '127.0.0.1';

/**
 * Serves EventStoreDB's gRPC protocol from one data folder, and health and metrics over HTTP/1.1 on the same port.
 * @throws EventStoreServerError whose one-line message says what to do
 */
export async function startEventStoreServer(options: EventStoreServerOptions): Promise<RunningEventStoreServer> {
  const { dataDir, host = DEFAULT_HOST, tls, credentialsFile } = options;
  checkHost(host, { hasTls: tls !== undefined, hasCredentials: credentialsFile !== undefined });
  const files = options.files ?? nodeFileSystem;
  const isRealDisk = files === nodeFileSystem;
  if (isRealDisk) createAndProbe(files, dataDir);
  const lock = isRealDisk ? await lockDataFolder(dataDir) : undefined;
  try {
    prepareDataFolder(files, dataDir);
    const server = await RunningServer.start({ ...DEFAULTS, ...options, files, host });
    return {
      port: server.port,
      connectionString: server.connectionString,
      reload: () => server.reload(),
      async close() {
        await server.close();
        lock?.release();
      },
    };
  } catch (error) {
    lock?.release();
    throw error;
  }
}

const DEFAULTS: Pick<RunningServerOptions, 'nowMs' | 'onFailed' | 'onComplaint'> = {
  nowMs: Date.now,
  onFailed: () => undefined,
  onComplaint: () => undefined,
};

function createAndProbe(files: FileSystem, dataDir: string): void {
  if (!files.exists(dataDir)) prepareDataFolder(files, dataDir);
  checkWritable(dataDir);
}
