import {
  canonicalJson, errorRecordOf, partitionOf, Retryable, type BusMessage, type Cancel, type ErrorRecord, type Subscription,
} from '@perdure/kernel';
import {
  AWAIT_HOLD_MS_MAX, partitionSubject, workerAddress, workSubject, type Answer, type CommandEnvelope, type Heartbeat, type ProgressAnswer,
  type RunAddress, type RunCommandOf,
} from '@perdure/run-contract';
import {
  instructionsOf, isOpen, pendingEffects, runDecider, viewOf, type DecidedCommand, type DomainCommand, type KnownCode, type OpenRun,
  type RunState,
} from '@perdure/run-domain';
import { ActivationKeeper, isActive, keyOf, type ActiveRun } from './activation-keeper';
import { CodeBook, NO_CODE } from './code-book';
import { FactPublisher } from './fact-publisher';
import { OwnerKeeper } from './owner.keeper';
import type { OwnerPorts } from './ports';
import { accepted, parseRequest, refused } from './request';
import { RunActor, type ActorPorts, type AppendedFacts, type Judged } from './run.actor';
import { RunCodec, type Provenance } from './run.codec';
import { RunLog } from './run.log';
import { Snapshots } from './snapshots';
import { WorkerRegistry, type Death } from './worker-registry';
import { Waiters } from './waiters';

/**
 * The owner of the runs of its partitions: answers their commands, and brings about what their facts demand.
 *
 * 1. Only the owner of a partition appends to its runs; an overlap is harmless, since revisions are expected.
 * 2. What a run needs is computed from its state after each append and after each load, never remembered.
 * 3. Nobody is judged dead by an owner that has not listened for one full period.
 */

/** Runs held folded in memory; those that nothing waits for go first. */
const HOT_RUNS_MAX = 20_000;
/** Requests under way at once: beyond it callers are asked to come back. */
const REQUESTS_MAX = 50_000;
const OVERLOADED_RETRY_MS = 200;
/** Runs resumed at once after a take-over. */
const RESUME_CONCURRENCY = 32;
/** The sure path of worker death: every run of a silent session is looked at once in this time. */
const AUDIT_MS = 1_000;
const SERVICE_ACTOR = 'service:orchestrator';

export class RunOwner {
  readonly keeper: OwnerKeeper;
  readonly workers: WorkerRegistry;
  readonly publisher: FactPublisher;
  private readonly actors = new Map<string, RunActor>();
  private readonly activations: ActivationKeeper;
  private readonly waiters: Waiters;
  private readonly code: CodeBook;
  private readonly snapshots: Snapshots;
  private readonly actorPorts: ActorPorts;
  private readonly listening = new Map<number, Subscription>();
  private readonly unplaced = new Map<string, RunAddress>();
  private readonly enforcing = new Map<string, Cancel>();
  private ownershipChanges: Subscription | undefined;
  private cancelAudit: Cancel = () => undefined;
  private requests = 0;
  private indexComplete = false;

  constructor(private readonly ports: OwnerPorts) {
    const { host, bus } = ports;
    this.keeper = new OwnerKeeper(() => this.onIndexComplete());
    this.workers = new WorkerRegistry(ports, {
      onDeath: (session, death) => this.onWorkerDeath(session, death),
      onCapacity: (beat) => this.onCapacity(beat),
    });
    this.publisher = new FactPublisher(ports);
    this.code = new CodeBook(ports);
    this.waiters = new Waiters(host);
    this.activations = new ActivationKeeper({ bus, host }, {
      onUnclaimed: (address, epoch, reason) => void this.decide(address, { type: 'LoseActivation', epoch, reason }),
      current: (address, epoch) => this.activeRun(address, epoch),
    });
    const codec = new RunCodec(ports);
    this.snapshots = new Snapshots(ports);
    const log = new RunLog(ports, codec, this.snapshots);
    const decider = runDecider((value) => host.digest.sha256(canonicalJson(value)));
    this.actorPorts = {
      host, log, codec, snapshots: this.snapshots, publisher: this.publisher,
      decide: (given, state) => decider.decide(given, state),
      onAppended: (appended) => this.onAppended(appended),
    };
  }

  async start(): Promise<void> {
    await this.publisher.start();
    this.workers.start();
    this.ownershipChanges = this.ports.ownership.onChange((gained, lost) => {
      this.onLost(lost);
      this.onGained(gained);
    });
    this.scheduleAudit();
  }

  async stop(): Promise<void> {
    this.cancelAudit();
    await this.ownershipChanges?.close();
    this.onLost([...this.listening.keys()]);
    for (const cancel of this.enforcing.values()) cancel();
    await this.workers.stop();
    await this.publisher.stop();
  }

  /** A request as it came from the bus; the answer is JSON text. Never throws. */
  async handle(address: RunAddress, text: string): Promise<string> {
    return JSON.stringify(await this.answer(address, text));
  }

  private async answer(address: RunAddress, text: string): Promise<Answer> {
    const parsed = parseRequest(text);
    if ('error' in parsed) return refused(parsed.error);
    if (this.requests >= REQUESTS_MAX) return refused(overloaded());
    this.requests += 1;
    try {
      return await this.perform(address, parsed.envelope);
    } catch (error) {
      return refused(errorRecordOf(error));
    } finally {
      this.requests -= 1;
    }
  }

  private async perform(address: RunAddress, envelope: CommandEnvelope): Promise<Answer> {
    const { command } = envelope;
    switch (command.type) {
      case 'RecordProgress': return this.recordProgress(address, envelope, command);
      case 'StartRun': return this.startRun(address, envelope, command);
      case 'GetRun': return this.view(address);
      case 'AwaitRun': return this.awaitRun(address, command.holdMs);
      case 'GetJournal': return this.journal(address, command);
      case 'ReleaseRun': {
        const state = await this.actor(address).settled();
        const code = isOpen(state) ? await this.code.of(address.tenant, command.buildId, state.request.name) : NO_CODE;
        return this.answered(address, await this.submit(address, { envelope, command, code }));
      }
      default: return this.answered(address, await this.submit(address, { envelope, command, code: NO_CODE }));
    }
  }

  private async startRun(address: RunAddress, envelope: CommandEnvelope, command: RunCommandOf<'StartRun'>): Promise<Answer> {
    const request = await this.code.request(address.tenant, command);
    if ('error' in request) return refused(request.error);
    await this.ports.keys?.create(address.tenant, address.runId);
    const judged = await this.submit(address, { envelope, command: request, code: NO_CODE });
    if (!judged.accepted) return refused(judged.rejection);
    return accepted({ runId: address.runId, started: true });
  }

  private async recordProgress(address: RunAddress, envelope: CommandEnvelope, command: RunCommandOf<'RecordProgress'>): Promise<Answer> {
    const state = this.actor(address).state ?? (await this.actor(address).settled());
    const code = isActive(state)
      ? (this.code.known(address.tenant, state.activation.buildId, state.request.name) ??
        (await this.code.of(address.tenant, state.activation.buildId, state.request.name)))
      : NO_CODE;
    const judged = await this.submit(address, { envelope, command, code });
    return judged.accepted ? accepted(progressOf(judged.state, command)) : refused(judged.rejection);
  }

  private async view(address: RunAddress): Promise<Answer> {
    return this.viewAnswer(address, await this.actor(address).settled());
  }

  private viewAnswer(address: RunAddress, state: RunState): Answer {
    if (state.status === 'none') return refused(notFound());
    return accepted(viewOf(address, state));
  }

  private async awaitRun(address: RunAddress, holdMs: number): Promise<Answer> {
    const actor = this.actor(address);
    const state = await actor.settled();
    if (!isOpen(state)) return this.viewAnswer(address, state);
    await this.waiters.wait(keyOf(address), Math.min(holdMs, AWAIT_HOLD_MS_MAX));
    return this.viewAnswer(address, await actor.settled());
  }

  private async journal(address: RunAddress, command: RunCommandOf<'GetJournal'>): Promise<Answer> {
    const state = await this.actor(address).settled();
    if (!isActive(state) || state.epoch !== command.epoch) {
      return refused({ code: 'StaleEpoch', message: 'That activation has ended: let go of the run.', reaction: 'terminal' });
    }
    const items = await this.snapshots.segment(address, state, command.segment);
    if (items !== undefined) return accepted({ items });
    return refused({ code: 'SegmentNotFound', message: `The journal has no readable segment ${command.segment}.`, reaction: 'retryable' });
  }

  private answered(address: RunAddress, judged: Judged): Answer {
    return judged.accepted ? this.viewAnswer(address, judged.state) : refused(judged.rejection);
  }

  private submit(address: RunAddress, job: { envelope: CommandEnvelope; command: DomainCommand; code: KnownCode }): Promise<Judged> {
    const { envelope, command, code } = job;
    const provenance = { commandId: envelope.id, actor: `${envelope.actor.kind}:${envelope.actor.id}`, traceparent: envelope.traceparent };
    return this.actor(address).submit({ given: this.given(command, code, envelope.id), provenance });
  }

  /** A decision of the owner's own. */
  private async decide(address: RunAddress, command: DomainCommand, code: KnownCode = NO_CODE): Promise<void> {
    const commandId = this.ports.host.entropy.uuid();
    const provenance: Provenance = { commandId, actor: SERVICE_ACTOR, traceparent: undefined };
    try {
      await this.actor(address).submit({ given: this.given(command, code, commandId), provenance });
    } catch (error) {
      // The audit comes back to the run: its state still demands what was not done.
      this.ports.host.log.warn('decision not carried out', { ...address, command: command.type, reason: String(error) });
    }
  }

  private given(command: DomainCommand, code: KnownCode, commandId: string): DecidedCommand {
    const { clock, entropy } = this.ports.host;
    return { command, code, at: { nowMs: clock.nowMs(), commandId, fraction: entropy.fraction() } };
  }

  private actor(address: RunAddress): RunActor {
    const key = keyOf(address);
    const known = this.actors.get(key);
    if (known !== undefined) return known;
    if (!this.ports.ownership.owns(partitionOf(address.runId))) {
      throw new Retryable('PartitionMoved', 'Another instance owns this run now. Send the request again.', { retryAfterMs: 50 });
    }
    const actor = new RunActor(address, this.actorPorts);
    this.actors.set(key, actor);
    if (this.actors.size > HOT_RUNS_MAX) this.evict();
    return actor;
  }

  private evict(): void {
    let toGo = this.actors.size - Math.floor(HOT_RUNS_MAX * 0.9);
    for (const [key, actor] of this.actors) {
      if (toGo <= 0) return;
      if (!actor.idle || actor.state?.status === 'active' || actor.state?.status === 'placing' || this.waiters.has(key)) continue;
      this.actors.delete(key);
      toGo -= 1;
    }
  }

  private activeRun(address: RunAddress, epoch: number): ActiveRun | undefined {
    const state = this.actors.get(keyOf(address))?.state;
    return state !== undefined && isActive(state) && state.epoch === epoch ? state : undefined;
  }

  private onAppended({ address, before, after, events }: AppendedFacts): void {
    const revision = before.revision + 1;
    events.forEach((event, index) => this.keeper.noteOwn(address, event, revision + index));
    if (before.status === 'active' && (after.status !== 'active' || after.epoch !== before.epoch)) this.letGo(address, before, { after, events });
    const news = events.some((event) => event.report === undefined);
    this.bringAbout(address, after, news);
    if (after.status === 'ended') this.waiters.wake(keyOf(address));
  }

  private letGo(address: RunAddress, before: ActiveRun, now: Pick<AppendedFacts, 'after' | 'events'>): void {
    const { epoch, activation, request } = before;
    if (now.after.status === 'suspended' || now.after.status === 'queued') this.activations.releaseWarm(address, activation.sessionId);
    else this.activations.release(address);
    // The worker that reported the end of its own activation knows.
    if (now.events.some((event) => event.report?.epoch === epoch)) return;
    const subject = workSubject.build(workerAddress({ tenant: address.tenant, pool: request.pool, workerId: activation.workerId }));
    this.ports.bus.publish(subject, JSON.stringify({ type: 'release', v: 1, ...address, epoch }));
  }

  /** What the state demands of its owner. */
  private bringAbout(address: RunAddress, state: RunState, news: boolean): void {
    for (const effect of pendingEffects(state)) {
      if (effect.type === 'FindWorker') this.place(address, state as OpenRun);
      else if (effect.type === 'KeepActivation') this.activations.keep(address, state as ActiveRun, news);
      else this.enforceCancelAt(address, effect.epoch, effect.atMs);
    }
  }

  private place(address: RunAddress, run: OpenRun, only?: Heartbeat): void {
    const { pool, name } = run.request;
    const beat = only ?? this.workers.find({ tenant: address.tenant, pool, name });
    if (beat === undefined) {
      this.unplaced.set(keyOf(address), address);
      return;
    }
    this.unplaced.delete(keyOf(address));
    this.workers.notePlaced(beat.workerId);
    void this.code.of(address.tenant, beat.buildId, name).then((code) => {
      const { workerId, sessionId, buildId } = beat;
      return this.decide(address, { type: 'PlaceRun', workerId, sessionId, buildId }, code);
    });
  }

  private onCapacity(beat: Heartbeat): void {
    let room = beat.freeSlots;
    for (const [key, address] of this.unplaced) {
      if (room <= 0) return;
      const state = this.actors.get(key)?.state;
      if (state?.status !== 'placing') {
        this.unplaced.delete(key);
        continue;
      }
      const fits = address.tenant === beat.tenant && state.request.pool === beat.pool && beat.hosts.includes(state.request.name);
      if (!fits) continue;
      room -= 1;
      this.place(address, state, beat);
    }
  }

  private enforceCancelAt(address: RunAddress, epoch: number, atMs: number): void {
    const key = keyOf(address);
    if (this.enforcing.has(key)) return;
    const delayMs = Math.max(0, atMs - this.ports.host.clock.nowMs());
    const cancel = this.ports.host.timers.after(delayMs, () => {
      this.enforcing.delete(key);
      void this.decide(address, { type: 'EnforceCancel', epoch });
    });
    this.enforcing.set(key, cancel);
  }

  private onWorkerDeath(session: { readonly workerId: string; readonly sessionId: string }, death: Death): void {
    for (const { address, sessionId } of this.keeper.open()) {
      if (sessionId === session.sessionId) void this.loseActivation(address, session.sessionId, death);
    }
  }

  private async loseActivation(address: RunAddress, sessionId: string, reason: Death): Promise<void> {
    if (!this.ports.ownership.owns(partitionOf(address.runId))) return;
    const state = await this.actor(address).settled();
    if (isActive(state) && state.activation.sessionId === sessionId) {
      await this.decide(address, { type: 'LoseActivation', epoch: state.epoch, reason });
    }
  }

  private scheduleAudit(): void {
    this.cancelAudit = this.ports.host.timers.after(AUDIT_MS, () => {
      this.audit();
      this.scheduleAudit();
    });
  }

  /** The sure path: whatever a lost hint left undone is found here. */
  private audit(): void {
    for (const { address, sessionId } of this.keeper.open()) {
      if (!this.ports.ownership.owns(partitionOf(address.runId))) continue;
      const state = this.actors.get(keyOf(address))?.state;
      if (state !== undefined && isActive(state)) {
        const { workerId, sessionId: held } = state.activation;
        if (this.workers.isAlive({ workerId, sessionId: held }) === false) void this.loseActivation(address, held, 'worker-lost');
      } else if (state?.status === 'placing') {
        this.place(address, state);
      } else if (state === undefined && this.indexComplete) {
        void this.resume(address, sessionId);
      }
    }
  }

  private onGained(partitions: readonly number[]): void {
    if (partitions.length === 0) return;
    for (const partition of partitions) this.listen(partition);
    void this.publisher.takeOver(partitions).catch((error: unknown) => {
      this.ports.host.log.error('published facts could not be checked', { reason: String(error) });
    });
    if (this.indexComplete) void this.resumeAll(new Set(partitions));
  }

  private onLost(partitions: readonly number[]): void {
    if (partitions.length === 0) return;
    const lost = new Set(partitions);
    for (const partition of partitions) {
      void this.listening.get(partition)?.close();
      this.listening.delete(partition);
    }
    this.publisher.release(partitions);
    for (const [key, actor] of this.actors) {
      if (!lost.has(partitionOf(actor.address.runId))) continue;
      this.actors.delete(key);
      this.activations.release(actor.address);
      this.unplaced.delete(key);
    }
  }

  private listen(partition: number): void {
    if (this.listening.has(partition)) return;
    const subscription = this.ports.bus.subscribe(partitionSubject.build(partition), (message) => void this.onRequest(message));
    this.listening.set(partition, subscription);
  }

  private async onRequest(message: BusMessage): Promise<void> {
    let address: RunAddress;
    try {
      address = partitionSubject.parse(message.subject);
    } catch (error) {
      message.respond(JSON.stringify(refused(errorRecordOf(error))));
      return;
    }
    message.respond(await this.handle(address, message.payload));
  }

  private onIndexComplete(): void {
    if (this.indexComplete) return;
    this.indexComplete = true;
    void this.resumeAll(new Set(this.listening.keys()));
  }

  private async resumeAll(partitions: ReadonlySet<number>): Promise<void> {
    const open = [...this.keeper.open()].filter(({ address }) => partitions.has(partitionOf(address.runId)));
    const resumeNext = async (): Promise<void> => {
      for (let run = open.pop(); run !== undefined; run = open.pop()) await this.resume(run.address, run.sessionId);
    };
    await Promise.all(Array.from({ length: RESUME_CONCURRENCY }, resumeNext));
  }

  private async resume(address: RunAddress, sessionId: string | undefined): Promise<void> {
    try {
      this.bringAbout(address, await this.actor(address).settled(), true);
    } catch (error) {
      this.ports.host.log.error('run not resumed', { ...address, sessionId, reason: String(error) });
    }
  }
}

function progressOf(state: RunState, command: RunCommandOf<'RecordProgress'>): ProgressAnswer {
  const open = isActive(state) && state.epoch === command.epoch;
  return {
    seq: command.seq,
    revision: Math.max(0, state.revision),
    instructions: open ? [...instructionsOf(state)] : [],
    inbound: open ? [...state.inbound] : [],
    cancelRequested: open && state.cancel !== undefined,
    ended: !open,
  };
}

function notFound(): ErrorRecord {
  return { code: 'RunNotFound', message: 'No run with this id exists for this tenant. Check the id and the tenant, or start it.', reaction: 'terminal' };
}

function overloaded(): ErrorRecord {
  return { code: 'Overloaded', message: 'Too many requests are under way here. Try again a little later.', reaction: 'retryable', retryAfterMs: OVERLOADED_RETRY_MS };
}

