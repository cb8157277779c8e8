import { basename, dirname, join } from 'node:path';
import { Worker as Thread } from 'node:worker_threads';
import type { ResolvedConnection } from './connection';
import type { WorkerIdentity } from './engine/heartbeat';
import type { WorkerStatus } from './engine/worker-engine';

export interface HeartbeatThreadData {
  readonly connection: ResolvedConnection;
  readonly identity: WorkerIdentity;
  readonly status: WorkerStatus;
  /** One Int32 that the main thread moves as long as it runs. */
  readonly pulse: SharedArrayBuffer;
}

export type ToHeartbeatThread = { readonly type: 'status'; readonly status: WorkerStatus } | { readonly type: 'leave' };

/** Often enough that lag is known to a tenth of a second. */
const PULSE_EVERY_MS = 100;
/** A change of status is worth a heartbeat of its own, but not each of a thousand a second. */
const STATUS_EVERY_MS = 50;
/** A goodbye that is not confirmed by then is left to the judgement of the owner. */
const LEAVE_TIMEOUT_MS = 2_000;

/** The main thread's side of the heartbeat thread. */
export class HeartbeatThread {
  private readonly pulse = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  private readonly thread: Thread;
  private readonly pulseTimer: NodeJS.Timeout;
  private statusTimer: NodeJS.Timeout | undefined;
  private readonly over: Promise<void>;

  private constructor(
    connection: ResolvedConnection,
    identity: WorkerIdentity,
    private readonly status: () => WorkerStatus,
  ) {
    const pulse = new Int32Array(this.pulse);
    this.pulseTimer = setInterval(() => Atomics.add(pulse, 0, 1), PULSE_EVERY_MS);
    const workerData: HeartbeatThreadData = { connection, identity, status: status(), pulse: this.pulse };
    this.thread = new Thread(threadFile(), { workerData });
    this.over = new Promise((resolve) => this.thread.once('exit', () => resolve()));
  }

  /** Resolves when the first heartbeat has reached the broker. `onLost`: the thread has died, the worker is deaf and dumb. */
  static start(options: {
    readonly connection: ResolvedConnection;
    readonly identity: WorkerIdentity;
    status(): WorkerStatus;
    onLost(error: Error): void;
  }): Promise<HeartbeatThread> {
    const heartbeat = new HeartbeatThread(options.connection, options.identity, options.status);
    return new Promise((resolve, reject) => {
      heartbeat.thread.on('error', (error) => {
        reject(error);
        options.onLost(error);
      });
      heartbeat.thread.once('message', () => resolve(heartbeat));
    });
  }

  statusChanged(): void {
    this.statusTimer ??= setTimeout(() => {
      this.statusTimer = undefined;
      this.send({ type: 'status', status: this.status() });
    }, STATUS_EVERY_MS);
  }

  async leave(): Promise<void> {
    clearInterval(this.pulseTimer);
    clearTimeout(this.statusTimer);
    this.send({ type: 'status', status: this.status() });
    this.send({ type: 'leave' });
    const giveUp = setTimeout(() => void this.thread.terminate(), LEAVE_TIMEOUT_MS);
    await this.over;
    clearTimeout(giveUp);
  }

  private send(message: ToHeartbeatThread): void {
    this.thread.postMessage(message);
  }
}

/** Threads run what is built, also when this file runs from its source under a transpiler. */
function threadFile(): string {
  const folder = basename(__dirname) === 'src' ? join(dirname(__dirname), 'dist') : __dirname;
  return join(folder, 'heartbeat.thread.js');
}
