import type { Bus, Cancel, Host } from '@perdure/kernel';
import { heartbeatSubject, workerAddress, type Heartbeat } from '@perdure/run-contract';
import { HEARTBEAT_EVERY_MS } from './bounds';
import type { WorkerStatus } from './worker-engine';

export type WorkerIdentity = Pick<
  Heartbeat,
  'tenant' | 'pool' | 'workerId' | 'sessionId' | 'buildId' | 'compatibleWith' | 'hosts'
>;

export interface HeartbeatOptions {
  readonly host: Host;
  readonly bus: Bus;
  readonly identity: WorkerIdentity;
  status(): WorkerStatus;
  /** Age of the last sign of life of the thread that runs user code. */
  loopLagMs(): number;
}

/** Says at even intervals that the worker lives and what it can take. Absolute, so that a lost one costs nothing. */
export class HeartbeatLoop {
  private cancel: Cancel | undefined;
  private readonly subject: string;

  constructor(private readonly options: HeartbeatOptions) {
    this.subject = heartbeatSubject.build(workerAddress(options.identity));
  }

  start(): void {
    this.beat(false);
    this.cancel = this.options.host.timers.after(HEARTBEAT_EVERY_MS, () => this.start());
  }

  /** At once, because something has changed that others wait for. */
  beatNow(): void {
    if (this.cancel !== undefined) this.beat(false);
  }

  /** A clean goodbye. */
  leave(): void {
    this.cancel?.();
    this.cancel = undefined;
    this.beat(true);
  }

  private beat(leaving: boolean): void {
    const { bus, identity, host } = this.options;
    const { slots, freeSlots, activations, draining, tools, freeToolSlots, executions } = this.options.status();
    const heartbeat: Heartbeat = {
      v: 1,
      ...identity,
      slots,
      freeSlots,
      activations: [...activations],
      draining,
      ...(tools.length === 0 ? {} : { tools: [...tools], freeToolSlots, executions: [...executions] }),
      leaving,
      loopLagMs: this.options.loopLagMs(),
    };
    try {
      bus.publish(this.subject, JSON.stringify(heartbeat));
    } catch (error) {
      host.log.warn('a heartbeat was not sent', { error: String(error) });
    }
  }
}
