import { delay, mustBeClaimed, NoResponders, RequestTimedOut, type Bus, type Headers, type Subscription } from '@perdure/kernel';
import {
  claim,
  commandEnvelope,
  heartbeat,
  PROGRESS_ENTRIES_MAX,
  runAddress,
  tokenMessage,
  tokenRequestSubject,
  tokenSubject,
  type Claim,
  type EditedUse,
  type GrantedExecution,
  type Heartbeat,
  type Outcome,
  type ProgressAnswer,
  type ProgressEntry,
  type RunCommandOf,
  type TokenMessage,
} from '@perdure/run-contract';
import { tenantEnvelope, type BuildManifest } from '@perdure/tenant-contract';
import type { Behaviour, Tool } from '../engine/definitions';
import { WorkerEngine } from '../engine/worker-engine';
import { manifestOf, offerOf } from '../manifest';
import { FakeRun, type FakeFact, type FakeLimits } from './fake-run';
import type { VirtualHost } from './virtual-host';

const START_WITHIN_MS = 5_000;

function granted({ call, attempt, executionId }: Extract<ProgressEntry, { type: 'effect-claimed' }>): GrantedExecution {
  return { call, attempt, executionId, startWithinMs: START_WITHIN_MS };
}

export interface FakeOwnerOptions {
  readonly behaviour: Behaviour;
  readonly tools?: readonly Tool[];
  readonly input?: unknown;
  readonly attemptsMax?: number;
  readonly slots?: number;
  readonly warmRunsMax?: number;
  /** Part of the requests whose answer is lost, and of those that never arrive. */
  readonly lossOf?: number;
  /** How long an answer is on its way. */
  readonly replyMs?: number;
  /** An agent's: what persons put in the place of whatever arguments its model gives. */
  readonly edited?: EditedUse;
  /** Journal items in a sealed segment; without it nothing is sealed. */
  readonly segmentItems?: number;
}

const RUN_ID = 'run1';
const SESSION = 'session-1';
const TOKENS = tokenSubject.build(runAddress('acme', RUN_ID));
const TOKENS_MISSED = tokenRequestSubject.build(runAddress('acme', RUN_ID));

/** Stands in for the bus and the owner of one run; it keeps the protocol and complains when the worker does not. */
export class FakeOwner implements Bus {
  readonly facts: FakeFact[] = [];
  readonly claims: Claim[] = [];
  readonly heartbeats: Heartbeat[] = [];
  readonly told: TokenMessage[] = [];
  run: FakeRun;
  epoch = 0;
  requests = 0;
  cancelRequested = false;
  pauseRequested = false;
  refuseNext: string | undefined;
  /** Segments of the journal that were asked for, in that order. */
  readonly segmentsRead: number[] = [];
  /** How long an answer is on its way. */
  replyMs: number;
  /** Whether claims are granted. */
  grants = true;
  manifest: BuildManifest | undefined;
  engine!: WorkerEngine;
  /** The worker broke the protocol. */
  violation: Error | undefined;
  private seq = 0;
  private handler: ((text: string) => Claim) | undefined;
  private readonly limits: FakeLimits;

  constructor(
    readonly host: VirtualHost,
    private readonly options: FakeOwnerOptions,
  ) {
    const { behaviour, attemptsMax = 3 } = options;
    this.replyMs = options.replyMs ?? 0;
    const offer = offerOf({ behaviours: [behaviour], tools: options.tools ?? [], pool: 'default' });
    const known = offer.tools.map(
      (tool) => [tool.name, { mustClaim: mustBeClaimed(tool.effect), hasProbe: tool.probe !== undefined }] as const,
    );
    this.limits = { isAgent: behaviour.kind === 'agent', attemptsMax, tools: new Map(known), edited: options.edited };
    this.run = new FakeRun(this.limits);
    if (this.limits.isAgent) this.record({ type: 'agent-begun' });
  }

  async startWorker(behaviour: Behaviour = this.options.behaviour): Promise<void> {
    const { host, options } = this;
    const offer = offerOf({ behaviours: [behaviour], tools: options.tools ?? [], pool: 'default' });
    this.engine = new WorkerEngine({
      host,
      bus: this,
      tenant: 'acme',
      workerId: 'w1',
      sessionId: SESSION,
      manifest: manifestOf(offer, host.digest, { build: 'build-1' }),
      ...offer,
      slots: options.slots ?? 10,
      toolSlots: 10,
      warmRunsMax: options.warmRunsMax ?? 10,
    });
    let isReady = false;
    void this.engine.start().then(() => (isReady = true));
    await host.until(() => isReady);
  }

  /** Pushes the run to the worker as a new epoch. */
  activate(how: 'cold' | 'warm' = 'cold'): Claim {
    if (this.run.isExecuting) this.record({ type: 'activation-over' });
    this.epoch += 1;
    this.seq = 0;
    this.run.letGo = undefined;
    const answer = this.push(how === 'cold');
    if (answer.claim !== 'cold') return answer;
    return this.push(true);
  }

  private push(withJournal: boolean): Claim {
    const { behaviour, input = {}, segmentItems = Infinity } = this.options;
    const segments = withJournal ? Math.max(0, Math.floor((this.run.items.length - 1) / segmentItems)) : 0;
    return this.send({
      type: 'activate',
      v: 1,
      tenant: 'acme',
      runId: RUN_ID,
      kind: behaviour.kind,
      name: behaviour.name,
      buildId: 'build-1',
      epoch: this.epoch,
      sessionId: SESSION,
      revision: this.run.revision,
      input,
      segments,
      ...(withJournal ? { journal: segments === 0 ? this.run.items : this.run.items.slice(segments * segmentItems) } : {}),
      inbound: this.run.inbound,
      instructions: this.run.instructions,
      cancelRequested: this.cancelRequested,
      pauseRequested: this.pauseRequested,
    });
  }

  send(message: unknown): Claim {
    if (this.handler === undefined) return { claim: 'unknown', reason: 'no worker listens' };
    const answer = this.handler(JSON.stringify(message));
    this.claims.push(answer);
    return answer;
  }

  /** The worker process ends at once; another one takes its place. */
  async crash(behaviour: Behaviour = this.options.behaviour): Promise<void> {
    await this.engine.stop();
    await this.startWorker(behaviour);
    this.activate();
  }

  /** Forgets all but the first `count` facts, as if the worker had been lost then. */
  rewind(count: number): void {
    this.facts.length = count;
    this.run = new FakeRun(this.limits, this.facts);
    this.run.letGo = undefined;
  }

  pause(): void {
    this.pauseRequested = true;
    this.tell();
  }

  cancel(): void {
    this.cancelRequested = true;
    this.tell();
  }

  get isOver(): boolean {
    return this.run.outcome !== undefined;
  }

  /** Runs the whole to its end, waking it as often as it sleeps. */
  async finish(): Promise<NonNullable<FakeRun['outcome']>> {
    await this.host.until(() => this.isOver || this.violation !== undefined);
    if (this.violation !== undefined) throw this.violation;
    return this.run.outcome as NonNullable<FakeRun['outcome']>;
  }

  record(fact: FakeFact): void {
    this.facts.push(fact);
    this.run.apply(fact);
    for (const [timer, delayMs] of this.run.sleeping) {
      this.run.sleeping.delete(timer);
      this.host.timers.after(delayMs, () => this.fire(timer));
    }
  }

  /** After a rewind: what was set is still due. */
  rearm(): void {
    for (const [timer, delayMs] of this.run.sleeping) {
      this.run.sleeping.delete(timer);
      this.host.timers.after(delayMs, () => this.fire(timer));
    }
  }

  /** A person says what became of an effect that is in question. */
  tellOf(call: string, outcome: Outcome): void {
    this.record({ type: 'told', call, outcome });
    if (this.run.letGo === 'suspended') this.activate('warm');
    else this.tell();
  }

  signal(name: string, payload: unknown): void {
    this.record({ type: 'signal', name, payload });
    if (this.run.letGo !== 'suspended') this.tell();
    else if (this.run.inbound.length > 0) this.activate('warm');
  }

  private fire(timer: string): void {
    const call = timer.replace(/^(retry|probe|wait)-/, '');
    const open = this.run.calls.get(call);
    if (open === undefined || this.isOver || (timer.startsWith('retry-') && !open.waits)) return;
    this.record({ type: 'timer-fired', call: timer });
    if (this.run.letGo === 'suspended') this.activate('warm');
    else this.tell();
  }

  tell(): void {
    const { run } = this;
    this.send({
      type: 'inbound',
      v: 1,
      tenant: 'acme',
      runId: RUN_ID,
      epoch: this.epoch,
      inbound: run.inbound,
      instructions: run.instructions,
      cancelRequested: this.cancelRequested,
      pauseRequested: this.pauseRequested,
    });
  }

  // The bus.

  async request(subject: string, payload: string): Promise<string> {
    this.requests += 1;
    const { lossOf = 0 } = this.options;
    const { replyMs } = this;
    if (this.host.fraction() < lossOf) throw new NoResponders(subject);
    const reply = this.replyTo(subject, payload);
    if (replyMs > 0) await delay(this.host, replyMs);
    await this.host.timers.turn();
    if (this.host.fraction() < lossOf) throw new RequestTimedOut(subject, 1);
    return reply;
  }

  private replyTo(subject: string, payload: string): string {
    try {
      return JSON.stringify(this.answer(subject, JSON.parse(payload)));
    } catch (error) {
      this.violation ??= error as Error;
      throw error;
    }
  }

  private answer(subject: string, message: unknown): unknown {
    if (subject === 'perdure.req.acme.tenant.acme') {
      const { command } = tenantEnvelope.parse(message);
      if (command.type === 'RegisterBuild') this.manifest = command.manifest;
      return { ok: true, value: {} };
    }
    const { command } = commandEnvelope.parse(message);
    if (this.refuseNext !== undefined) {
      const code = this.refuseNext;
      this.refuseNext = undefined;
      return { ok: false, error: { code, message: `refused as ${code}`, reaction: 'terminal' } };
    }
    if (command.type === 'GetJournal') return { ok: true, value: { items: this.segment(command.segment) } };
    if (command.type !== 'RecordProgress') throw new Error(`unexpected ${command.type}`);
    return this.progress(command);
  }

  private segment(index: number): FakeRun['items'] {
    const { segmentItems = Infinity } = this.options;
    this.segmentsRead.push(index);
    return this.run.items.slice(index * segmentItems, (index + 1) * segmentItems);
  }

  private progress({ epoch, seq, entries }: RunCommandOf<'RecordProgress'>): unknown {
    if (epoch !== this.epoch) return { ok: false, error: { code: 'StaleEpoch', message: 'stale', reaction: 'terminal' } };
    if (entries.length > PROGRESS_ENTRIES_MAX) throw new Error('too many entries');
    if (seq > this.seq + 1) throw new Error(`gap: ${seq} after ${this.seq}`);
    if (seq === this.seq + 1) {
      this.seq = seq;
      for (const entry of entries) {
        if (this.isOver || this.run.letGo !== undefined) throw new Error(`${entry.type} follows the end`);
        this.record(entry);
      }
    }
    const { run } = this;
    const value: ProgressAnswer = {
      seq,
      revision: run.revision,
      instructions: run.instructions,
      inbound: run.inbound,
      cancelRequested: this.cancelRequested,
      pauseRequested: this.pauseRequested,
      ended: run.outcome !== undefined && run.outcome.status !== 'diverged',
      mayBegin: this.grants ? entries.flatMap((entry) => (entry.type === 'effect-claimed' ? [granted(entry)] : [])) : [],
    };
    if (run.letGo === 'suspended' && (run.inbound.length > 0 || run.instructions.length > 0))
      this.host.timers.after(1, () => this.activate('warm'));
    return { ok: true, value };
  }

  publish(subject: string, payload: string, _headers?: Headers): void {
    if (subject === TOKENS) this.told.push(tokenMessage.parse(JSON.parse(payload)));
    else this.heartbeats.push(heartbeat.parse(JSON.parse(payload)));
  }

  subscribe(subject: string, handler: Parameters<Bus['subscribe']>[1]): Subscription {
    if (subject === TOKENS_MISSED) return { close: async () => undefined };
    if (subject !== 'perdure.work.default.acme.w1') throw new Error(`unexpected ${subject}`);
    const mine = (text: string): Claim => {
      let answer = '';
      handler({ subject, payload: text, headers: {}, wantsReply: true, respond: (reply) => void (answer = reply) });
      return claim.parse(JSON.parse(answer));
    };
    this.handler = mine;
    return {
      close: async () => {
        if (this.handler === mine) this.handler = undefined;
      },
    };
  }

  onReconnect(): Subscription {
    return { close: async () => undefined };
  }
}
