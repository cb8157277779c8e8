import { token } from '@perdure/kernel';
import { ed25519 } from '@perdure/platform-host-node';
import { HeartbeatLoop, manifestOf, offerOf, WorkerEngine, type Behaviour, type Tool } from '@perdure/sdk';
import type { Place, Premises } from './premises';

export interface TestWorkerOptions {
  readonly tenant: string;
  readonly pool: string;
  readonly behaviours: readonly Behaviour[];
  readonly tools: readonly Tool[];
}

const SLOTS = 1_000;
const WARM_RUNS_MAX = 1_000;

/** One worker process: the engine of real workers, without their connections. */
export class TestWorker {
  readonly workerId: string;
  private readonly place: Place;
  private readonly engine: WorkerEngine;
  private readonly heartbeat: HeartbeatLoop;
  private executing = 0;
  private waiting = 0;
  private isDead = false;

  constructor(premises: Premises, { tenant, pool, behaviours, tools }: TestWorkerOptions) {
    this.workerId = `worker-of-${pool}`;
    this.place = premises.place(this.workerId);
    const { host, connection } = this.place;
    const offer = offerOf({ behaviours, tools, pool });
    const manifest = manifestOf(offer, host.digest);
    const { workerId } = this;
    const sessionId = host.incarnation;
    this.engine = new WorkerEngine({
      ...{ host, bus: connection.bus, tenant, workerId, sessionId, manifest },
      ...offer,
      slots: SLOTS,
      toolSlots: SLOTS,
      warmRunsMax: WARM_RUNS_MAX,
      signer: { signatures: ed25519, publicKey: premises.signer.publicKey },
      onChange: () => this.heartbeat.beatNow(),
      onUserCode: (what) => this.note(what),
    });
    const hosts = offer.behaviours.map(({ name }) => name);
    this.heartbeat = new HeartbeatLoop({
      host,
      bus: connection.bus,
      identity: { tenant, pool, workerId, sessionId, buildId: manifest.buildId, hosts },
      status: () => this.engine.status(),
      loopLagMs: () => 0,
    });
  }

  /** Steps, tools and models that have not ended: they may wait for the world outside, which virtual time must not outrun. */
  get isExecuting(): boolean {
    return this.executing > 0;
  }

  /** The engine waits, for less than a run would be let go of for, before it goes on with one of these. */
  get isWaiting(): boolean {
    return this.waiting > 0;
  }

  get session() {
    return { workerId: token(this.workerId, 'worker id'), sessionId: token(this.place.host.incarnation, 'session id') };
  }

  async start(): Promise<void> {
    await this.engine.start();
    this.heartbeat.start();
  }

  /** As by `kill -9`: nothing of it is heard any more. */
  kill(): void {
    this.executing = 0;
    this.waiting = 0;
    this.isDead = true;
    this.place.host.kill();
    this.place.connection.disconnect();
  }

  private note(what: 'begins' | 'ends' | 'waits' | 'goes-on'): void {
    if (this.isDead) return;
    if (what === 'begins' || what === 'ends') this.executing += what === 'begins' ? 1 : -1;
    else this.waiting += what === 'waits' ? 1 : -1;
  }
}
