import { hostname } from 'node:os';
import { Terminal, token, type Host } from '@perdure/kernel';
import type { BusConnection } from '@perdure/platform-bus-jetstream';
import { ed25519, systemHost } from '@perdure/platform-host-node';
import { connect, resolveConnection, type ConnectionOptions } from './connection';
import { WARM_RUNS_MAX } from './engine/bounds';
import type { Behaviour, Tool } from './engine/definitions';
import { WorkerEngine } from './engine/worker-engine';
import { HeartbeatThread } from './heartbeat-thread-port';
import { manifestOf, offerOf } from './manifest';

export interface WorkerOptions extends ConnectionOptions {
  readonly tenant?: string;
  /** Default: the pool of what it hosts. */
  readonly pool?: string;
  /** Unique within the pool; default: host name and process id. */
  readonly workerId?: string;
  /** Agents and workflows; a worker may host tools only. */
  readonly behaviours?: readonly Behaviour[];
  /** Tools that it executes for other pools, or that workflows use; those of its agents and workflows are included. */
  readonly tools?: readonly Tool[];
  /** Runs under way at once. */
  readonly slots?: number;
  /** Executions under way at once of tools that it executes for other pools. */
  readonly toolSlots?: number;
  /** Suspended runs kept in memory, ready to go on at once. */
  readonly warmRunsMax?: number;
  /** Version of this code; default: derived from the text of the functions given here. */
  readonly build?: string;
  /** Builds whose workflow runs this one may go on with: you have seen that they replay under it. */
  readonly compatibleWith?: readonly string[];
  /**
   * Public key of the signer (default: PERDURE_SIGNER_KEY), by which grants of approvals are verified. It comes from whoever runs this
   * worker, never over the bus; without it no effect that needs an approval is run here.
   */
  readonly signerKey?: string;
  /** How long a drain waits for what is under way. */
  readonly drainGraceMs?: number;
  /** True (default): SIGTERM and SIGINT drain, then end the process. */
  readonly handleSignals?: boolean;
  readonly host?: Host;
}

const SLOTS = 200;
const TOOL_SLOTS = 50;
const DRAIN_GRACE_MS = 10_000;
/** For the last reports, after the grace. */
const HAND_OVER_MS = 2_000;
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** A process that hosts agents, workflows and tools. */
export class Worker {
  readonly workerId: string;
  readonly pool: string;
  private readonly host: Host;
  private connection: BusConnection | undefined;
  private engine: WorkerEngine | undefined;
  private heartbeat: HeartbeatThread | undefined;
  private ending: Promise<void> | undefined;

  constructor(private readonly options: WorkerOptions) {
    this.pool = poolOf(options);
    this.workerId = token(options.workerId ?? defaultWorkerId(), 'worker id');
    this.host = options.host ?? systemHost({ service: `worker-${this.workerId}` });
  }

  /** Resolves when the worker is registered and takes runs. */
  async start(): Promise<void> {
    const { options, host, pool, workerId } = this;
    const { tenant = 'default' } = options;
    const connection = resolveConnection(options);
    const offer = offerOf({ behaviours: options.behaviours ?? [], tools: options.tools ?? [], pool });
    const manifest = manifestOf(offer, host.digest, { build: options.build, compatibleWith: options.compatibleWith });
    const sessionId = host.incarnation;
    this.connection = await connect(connection, `work:${workerId}`, host);
    const engine = new WorkerEngine({
      host,
      bus: this.connection.bus,
      tenant,
      workerId,
      sessionId,
      manifest,
      ...offer,
      slots: options.slots ?? SLOTS,
      toolSlots: options.toolSlots ?? TOOL_SLOTS,
      warmRunsMax: options.warmRunsMax ?? WARM_RUNS_MAX,
      signer: signerOf(options),
      onChange: () => this.heartbeat?.statusChanged(),
    });
    this.engine = engine;
    await engine.start();
    await this.connection.flush();
    const hosts = offer.behaviours.map(({ name }) => name);
    const { buildId, compatibleWith } = manifest;
    this.heartbeat = await HeartbeatThread.start({
      connection,
      identity: {
        tenant,
        pool,
        workerId,
        sessionId,
        buildId,
        ...(compatibleWith === undefined ? {} : { compatibleWith }),
        hosts,
      },
      status: () => engine.status(),
      onLost: (error) => {
        host.log.error('the heartbeat thread has died; the worker ends', { error: error.message });
        void this.stop();
      },
    });
    this.listen();
  }

  /**
   * Takes no more runs; those under way finish their present step and are handed over. Resolves when nothing is
   * held any more, at the latest a little after the grace.
   */
  async drain(graceMs = this.options.drainGraceMs ?? DRAIN_GRACE_MS): Promise<void> {
    this.ending ??= this.drainOnce(graceMs);
    await this.ending;
  }

  /** Hands everything over at once and leaves. */
  async stop(): Promise<void> {
    await this.drain(0);
  }

  private async drainOnce(graceMs: number): Promise<void> {
    const { engine } = this;
    if (engine === undefined) return;
    const empty = engine.drain();
    const cancel = this.host.timers.after(graceMs, () => engine.handOverNow());
    let giveUp: (() => void) | undefined;
    await Promise.race([
      empty,
      new Promise<void>((resolve) => (giveUp = this.host.timers.after(graceMs + HAND_OVER_MS, resolve))),
    ]);
    cancel();
    giveUp?.();
    await this.heartbeat?.leave();
    await engine.stop();
    await this.connection?.close();
    this.deafen();
  }

  private listen(): void {
    if (this.options.handleSignals !== false) for (const signal of SIGNALS) process.on(signal, this.onSignal);
    process.on('unhandledRejection', this.onStrayRejection);
  }

  private deafen(): void {
    for (const signal of SIGNALS) process.off(signal, this.onSignal);
    process.off('unhandledRejection', this.onStrayRejection);
  }

  private readonly onSignal = (): void => {
    // Asked a second time, it does not insist on its manners.
    if (this.ending !== undefined) process.exit(1);
    void this.drain().then(() => process.exit(0));
  };

  /** One promise that user code forgot must not end the other runs of this process. */
  private readonly onStrayRejection = (reason: unknown): void => {
    this.host.log.error('a promise was rejected and nobody listened', { reason: String(reason) });
  };
}

function poolOf({ pool, behaviours = [], tools = [] }: WorkerOptions): string {
  const chosen = pool ?? behaviours[0]?.pool ?? tools.find((tool) => tool.pool !== undefined)?.pool ?? 'default';
  const other = behaviours.find((behaviour) => behaviour.pool !== chosen);
  if (other === undefined) return token(chosen, 'pool');
  throw new Terminal(
    'PoolMismatch',
    `${other.name} belongs to the pool ${other.pool}, this worker to ${chosen}. Use one worker for each pool.`,
  );
}

function signerOf({ signerKey = process.env.PERDURE_SIGNER_KEY }: WorkerOptions) {
  return signerKey === undefined || signerKey === '' ? undefined : { signatures: ed25519, publicKey: signerKey };
}

/** Host name and process id: unique on a network, and readable. */
export function defaultWorkerId(): string {
  const machine = hostname()
    .replace(/[^A-Za-z0-9_-]/g, '-')
    .slice(0, 40);
  return `${machine}-${process.pid}`;
}
