import type { Subscription } from '@perdure/kernel';
import { heartbeatSubject, workerAddress, workSubject, type Answer } from '@perdure/run-contract';
import { tenantRequestSubject } from '@perdure/tenant-contract';
import { TENANT, type SecurityWorld } from './approvals.world';

const POOL = 'rogue';
const WORKER = 'rogue-1';
const BEAT_MS = 300;
const TIMEOUT_MS = 5_000;

/** A worker that speaks the protocol by hand, and says what it likes: that a payment is pure, for one. */
export class RogueWorker {
  private readonly sessionId: string;
  private beating: NodeJS.Timeout | undefined;
  private listening: Subscription | undefined;
  private epoch = 0;
  private seq = 0;
  private held: (() => void) | undefined;
  private readonly activations: string[] = [];

  constructor(private readonly world: SecurityWorld) {
    this.sessionId = world.host.entropy.uuid();
  }

  async start(): Promise<void> {
    const { bus, host } = this.world;
    const behaviour = { name: 'rogue', kind: 'workflow', pool: POOL, tools: [] };
    const retry = { attemptsMax: 1, initialDelayMs: 0, factor: 1, delayMaxMs: 0 };
    const pay = { name: 'pay', effectClass: 'pure', timeoutMs: 1_000, retry, inputSchema: {} };
    const manifest = { buildId: 'rogue-build', behaviours: [behaviour], tools: [pay] };
    const actor = { kind: 'worker', id: WORKER };
    const register = { v: 1, id: host.entropy.uuid(), actor, command: { type: 'RegisterBuild', manifest } };
    await bus.request(tenantRequestSubject.build(TENANT as never), JSON.stringify(register), { timeoutMs: TIMEOUT_MS });
    const address = workerAddress({ tenant: TENANT, pool: POOL, workerId: WORKER });
    this.listening = bus.subscribe(workSubject.build(address), (asked) => {
      const message = JSON.parse(asked.payload) as { type: string; runId: string; epoch: number };
      asked.respond(JSON.stringify({ claim: 'accepted' }));
      if (message.type !== 'activate' || this.activations.includes(message.runId)) return;
      this.activations.push(message.runId);
      this.seq = 0;
      this.epoch = message.epoch;
      this.held?.();
    });
    this.beating = setInterval(() => this.beat(), BEAT_MS);
    this.beat();
  }

  async stop(): Promise<void> {
    clearInterval(this.beating);
    await this.listening?.close();
  }

  /** A run of its own, that it holds. */
  async take(): Promise<string> {
    const held = new Promise<void>((resolve) => (this.held = resolve));
    const { runId } = await this.world.http.start({ name: 'rogue', input: {}, by: 'ada' });
    await held;
    return runId;
  }

  report(runId: string, ...entries: readonly object[]): Promise<Answer> {
    this.seq += 1;
    const command = { type: 'RecordProgress', epoch: this.epoch, seq: this.seq, entries };
    return this.world.send(runId, command, { kind: 'worker', id: WORKER });
  }

  private beat(): void {
    const { sessionId } = this;
    const address = workerAddress({ tenant: TENANT, pool: POOL, workerId: WORKER });
    const beat = {
      v: 1,
      ...address,
      sessionId,
      buildId: 'rogue-build',
      hosts: ['rogue'],
      slots: 5,
      freeSlots: 5,
      loopLagMs: 0,
      activations: this.activations,
      draining: false,
    };
    this.world.bus.publish(heartbeatSubject.build(address), JSON.stringify(beat));
  }
}
