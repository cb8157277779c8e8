import { token } from '@perdure/kernel';
import { ed25519 } from '@perdure/platform-host-node';
import { HeartbeatLoop, manifestOf, offerOf, WorkerEngine, type Behaviour, type OnUserCode, type Tool } from '@perdure/sdk';
import type { Place, Premises } from './premises';
import type { TestProcess } from './test-process';

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
  private readonly pulse: TestProcess;
  private readonly engine: WorkerEngine;
  private readonly heartbeat: HeartbeatLoop;
  /** How often each is under way. */
  private executing = new Map<string, number>();
  private pauses = 0;
  private isDead = false;

  constructor(premises: Premises, { tenant, pool, behaviours, tools }: TestWorkerOptions) {
    this.workerId = `worker-of-${pool}`;
    // What its code waits for is due by the wall clock; that it lives it says by the other one.
    this.place = premises.place(this.workerId, 'wall');
    const { host, connection } = this.place;
    this.pulse = premises.process(this.workerId);
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
      onUserCode: (what, code) => this.note(what, code),
    });
    const hosts = offer.behaviours.map(({ name }) => name);
    this.heartbeat = new HeartbeatLoop({
      host: this.pulse,
      bus: connection.bus,
      identity: { tenant, pool, workerId, sessionId, buildId: manifest.buildId, hosts },
      status: () => this.engine.status(),
      loopLagMs: () => 0,
    });
  }

  /** Steps, tools and models that have not ended: they may wait for the world outside, which virtual time must not outrun. */
  get executed(): readonly string[] {
    // One that pauses within itself is begun, and counted out again for as long.
    const count = [...this.executing.values()].reduce((sum, each) => sum + each, 0);
    return count <= 0 ? [] : [...this.executing].flatMap(([code, each]) => (each > 0 ? [code] : []));
  }

  /** The engine waits by its clock before it goes on with so many of these. */
  get pausing(): number {
    return this.pauses;
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
    this.executing = new Map();
    this.pauses = 0;
    this.isDead = true;
    for (const host of [this.place.host, this.pulse]) host.kill();
    this.place.connection.disconnect();
  }

  private note(...[what, code]: Parameters<OnUserCode>): void {
    if (this.isDead) return;
    if (what === 'waits' || what === 'goes-on') this.pauses += what === 'waits' ? 1 : -1;
    else this.executing.set(code, (this.executing.get(code) ?? 0) + (what === 'begins' ? 1 : -1));
    if (this.executing.get(code) === 0) this.executing.delete(code);
  }
}
