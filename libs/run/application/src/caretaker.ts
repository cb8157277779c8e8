import { partitionOf, PerdureError, type Bus, type Cancel, type Host } from '@perdure/kernel';
import { runAddress, workerAddress, workSubject, type Heartbeat, type RunAddress, type RunEvent } from '@perdure/run-contract';
import {
  isOpen,
  pendingEffects,
  type DomainCommand,
  type EndChild,
  type KnownCode,
  type NoteChildStarted,
  type OpenRun,
  type RunEffect,
  type RunState,
} from '@perdure/run-domain';
import { ActivationKeeper, isActive, keyOf, type ActiveRun } from './activation-keeper';
import { ChildKeeper } from './child-keeper';
import { NO_CODE, type CodeBook } from './code-book';
import type { HotRuns } from './hot-runs';
import type { OwnedRun, OwnerKeeper } from './owner.keeper';
import { PooledEffects, type PooledEvents } from './pooled-effects';
import type { Ownership } from './ports';
import type { AppendedFacts } from './run.actor';
import { MessageKeeper } from './message-keeper';
import { takes, WorkerRegistry, type Death } from './worker-registry';

/**
 * Brings about what the facts of the owned runs demand.
 *
 * 1. What a run needs is computed from its state after each append and after each load, never remembered.
 * 2. Hints make it fast; the audit makes it sure.
 */

/** The sure path of worker death: every open run is looked at once in this time. */
const AUDIT_MS = 1_000;
/** Several heartbeats: a claim that none of them names was dropped. */
const DROPPED_AFTER_MS = 3_000;
/** Runs resumed at once after a take-over. */
const RESUME_CONCURRENCY = 32;
/** Whatever epoch is held: the run itself is not in memory. */
const ANY_EPOCH = Number.MAX_SAFE_INTEGER;
const SERVICE_ACTOR = 'service:orchestrator';

export interface CaretakerPorts {
  readonly host: Host;
  readonly bus: Bus;
  readonly ownership: Ownership;
  readonly runs: HotRuns;
  readonly code: CodeBook;
  readonly index: OwnerKeeper;
  /** A request to the owner of a run, wherever it is. @returns JSON of an answer */
  ask(address: RunAddress, request: string): Promise<string>;
  factAt(address: RunAddress, revision: number): Promise<RunEvent | undefined>;
}

type Enforcement = Extract<RunEffect, { readonly atMs: number }>;

interface Session {
  readonly workerId: string;
  readonly sessionId: string;
}

export class Caretaker {
  readonly workers: WorkerRegistry;
  private readonly activations: ActivationKeeper;
  readonly pooled: PooledEffects;
  readonly children: ChildKeeper;
  readonly messages: MessageKeeper;
  private readonly unplaced = new Map<string, RunAddress>();
  private readonly enforcing = new Map<string, Cancel>();
  /** Activations that a heartbeat named at the last audit although they are over, by session and run. */
  private suspects: ReadonlySet<string> = new Set();
  private cancelAudit: Cancel = () => undefined;

  constructor(private readonly ports: CaretakerPorts) {
    this.workers = new WorkerRegistry(ports, {
      onDeath: (session, death) => this.onWorkerDeath(session, death),
      onCapacity: (beat) => this.onCapacity(beat),
    });
    this.pooled = new PooledEffects(
      { ...ports, workers: () => this.workers },
      {
        onLost: (address, lost) => void this.loseExecution(address, lost),
        current: (address) => this.ports.runs.peek(address)?.state,
      },
    );
    const ofRuns = {
      host: ports.host,
      owns: (address: RunAddress) => this.owns(address),
      ask: (address: RunAddress, request: string) => ports.ask(address, request),
      stateOf: (address: RunAddress) => ports.runs.of(address).settled(),
      factAt: (address: RunAddress, revision: number) => ports.factAt(address, revision),
    };
    this.children = new ChildKeeper({ ...ofRuns, decide: (address, command) => this.decideOfChild(address, command) });
    this.messages = new MessageKeeper({ ...ofRuns, decide: (address, command) => this.carryOut(address, command) });
    this.activations = new ActivationKeeper(ports, {
      onUnclaimed: (address, epoch, reason) => void this.decide(address, { type: 'LoseActivation', epoch, reason }),
      current: (address, epoch) => this.activeRun(address, epoch),
    });
  }

  start(): void {
    this.workers.start();
    this.scheduleAudit();
  }

  async stop(): Promise<void> {
    this.cancelAudit();
    this.children.stop();
    this.messages.stop();
    for (const cancel of this.enforcing.values()) cancel();
    await this.workers.stop();
  }

  onAppended({ address, before, after, events }: AppendedFacts): void {
    events.forEach((event, index) => {
      const revision = before.revision + 1 + index;
      this.ports.index.noteOwn(address, event, revision);
      this.children.index.noteOwn(address, event, revision);
      this.messages.noteOwn(address, event, revision);
    });
    if (isActive(before) && (!isActive(after) || after.epoch !== before.epoch)) this.letGo(address, before, { after, events });
    if (after.status === 'ended') this.pooled.onEnded(address, before);
    this.bringAbout(
      address,
      after,
      events.some((event) => event.report === undefined),
    );
  }

  /** Another instance owns the run now. */
  forget(address: RunAddress): void {
    this.activations.release(address);
    this.pooled.forget(keyOf(address));
    this.unplaced.delete(keyOf(address));
  }

  /** A worker was not told all in the answer to its report. */
  tell(address: RunAddress, epoch: number): void {
    const run = this.activeRun(address, epoch);
    if (run !== undefined) this.activations.keep(address, run, true);
  }

  /** Takes up what the open runs of these partitions demand. */
  async resumeAll(partitions: ReadonlySet<number>): Promise<void> {
    const open = [...this.ports.index.open()].filter(({ address }) => partitions.has(partitionOf(address.runId)));
    const resumeNext = async (): Promise<void> => {
      for (let run = open.pop(); run !== undefined; run = open.pop()) await this.resume(run.address);
    };
    await Promise.all(Array.from({ length: RESUME_CONCURRENCY }, resumeNext));
    const isOfThem = (address: RunAddress): boolean => partitions.has(partitionOf(address.runId));
    this.children.resumeAll(isOfThem);
    this.messages.resumeAll(isOfThem);
  }

  private async resume(address: RunAddress): Promise<void> {
    try {
      this.bringAbout(address, await this.ports.runs.of(address).settled(), true);
    } catch (error) {
      this.ports.host.log.error('run not resumed', { ...address, reason: String(error) });
    }
  }

  /** `news`: something happened that the worker does not learn from an answer to its own report. */
  private bringAbout(address: RunAddress, state: RunState, news: boolean): void {
    this.pooled.keep(address, state);
    this.children.keep(address, state);
    for (const effect of pendingEffects(state)) {
      if (effect.type === 'FindWorker') this.place(address, state as OpenRun);
      else if (effect.type === 'KeepActivation') this.activations.keep(address, state as ActiveRun, news);
      else this.enforceAt(address, effect);
    }
  }

  private letGo(address: RunAddress, before: ActiveRun, now: Pick<AppendedFacts, 'after' | 'events'>): void {
    const { epoch, activation, request } = before;
    const waits = now.after.status === 'suspended' || now.after.status === 'queued';
    if (waits) this.activations.releaseWarm(address, before);
    else this.activations.release(address);
    // The worker that reported the end of its own activation knows.
    if (now.events.some((event) => event.report?.epoch === epoch)) return;
    this.tellToLetGo({ tenant: address.tenant, pool: request.pool, workerId: activation.workerId }, address, epoch);
  }

  private tellToLetGo(worker: { tenant: string; pool: string; workerId: string }, address: RunAddress, epoch: number): void {
    const subject = workSubject.build(workerAddress(worker));
    this.ports.bus.publish(subject, JSON.stringify({ type: 'release', v: 1, ...address, epoch }));
  }

  /** A worker that was not reached when its run ended or moved holds it for ever: two heartbeats that name it are enough. */
  private releaseForgotten(): void {
    if (!this.ports.index.complete) return;
    const suspects = new Set<string>();
    for (const beat of this.workers.beats()) {
      for (const runId of beat.activations) {
        const address = runAddress(beat.tenant, runId);
        if (!this.owns(address) || this.ports.index.sessionOf(address) === beat.sessionId) continue;
        const suspect = `${beat.sessionId} ${keyOf(address)}`;
        suspects.add(suspect);
        const state = this.ports.runs.peek(address)?.state;
        if (this.suspects.has(suspect))
          this.tellToLetGo(beat, address, state && state.status !== 'none' ? state.epoch : ANY_EPOCH);
      }
    }
    this.suspects = suspects;
  }

  private place(address: RunAddress, run: OpenRun, only?: Heartbeat): void {
    const { pool, name } = run.request;
    const beat = only ?? this.workers.find({ tenant: address.tenant, pool, name, build: run.pin });
    if (beat === undefined) {
      this.unplaced.set(keyOf(address), address);
      return;
    }
    this.unplaced.delete(keyOf(address));
    this.workers.notePlaced(beat);
    const { workerId, sessionId, buildId } = beat;
    void this.ports.code
      .of(address.tenant, buildId, name)
      .then((code) => this.decide(address, { type: 'PlaceRun', workerId, sessionId, buildId }, code))
      // The audit places it again.
      .catch((error: unknown) => this.ports.host.log.warn('run not placed', { ...address, reason: String(error) }));
  }

  private onCapacity(beat: Heartbeat): void {
    this.pooled.onCapacity(beat);
    let room = beat.freeSlots;
    for (const [key, address] of this.unplaced) {
      if (room <= 0) return;
      const state = this.ports.runs.peek(address)?.state;
      if (state?.status !== 'placing') {
        this.unplaced.delete(key);
        continue;
      }
      const { request, pin } = state;
      const fits =
        address.tenant === beat.tenant && request.pool === beat.pool && takes(beat, { name: request.name, build: pin });
      if (!fits) continue;
      room -= 1;
      this.place(address, state, beat);
    }
  }

  private enforceAt(address: RunAddress, { type, epoch, atMs }: Enforcement): void {
    const key = `${type} ${keyOf(address)}`;
    if (this.enforcing.has(key)) return;
    const delayMs = Math.max(0, atMs - this.ports.host.clock.nowMs());
    const cancel = this.ports.host.timers.after(delayMs, () => {
      this.enforcing.delete(key);
      void this.decide(address, { type, epoch });
    });
    this.enforcing.set(key, cancel);
  }

  private onWorkerDeath(session: Session, death: Death): void {
    this.pooled.onDeath(session);
    for (const { address, sessionId } of this.ports.index.open()) {
      if (sessionId === session.sessionId) void this.loseActivation(address, sessionId, death);
    }
  }

  private async loseActivation(address: RunAddress, sessionId: string, reason: Death): Promise<void> {
    if (!this.owns(address)) return;
    try {
      const state = await this.ports.runs.of(address).settled();
      if (!isActive(state) || state.activation.sessionId !== sessionId) return;
      await this.decide(address, { type: 'LoseActivation', epoch: state.epoch, reason });
    } catch (error) {
      // A run that cannot be read must not take the others down with it.
      this.ports.host.log.error('run not judged after the loss of its worker', { ...address, reason: String(error) });
    }
  }

  private async loseExecution(
    address: RunAddress,
    { call, executionId, executor }: Parameters<PooledEvents['onLost']>[1],
  ): Promise<void> {
    if (!this.owns(address)) return;
    try {
      const state = await this.ports.runs.of(address).settled();
      const code = isOpen(state) ? await this.ports.code.ofExecutor(address.tenant, state, executor.buildId) : NO_CODE;
      await this.decide(address, { type: 'LoseExecution', call, executionId }, code);
    } catch (error) {
      // The audit comes back to it.
      this.ports.host.log.warn('execution not judged after the loss of its worker', { ...address, reason: String(error) });
    }
  }

  private scheduleAudit(): void {
    this.cancelAudit = this.ports.host.timers.after(AUDIT_MS, () => {
      for (const run of this.ports.index.open()) if (this.owns(run.address)) this.audit(run);
      this.releaseForgotten();
      this.scheduleAudit();
    });
  }

  /** Whatever a lost hint left undone is found here. */
  private audit({ address, revision }: OwnedRun): void {
    const actor = this.ports.runs.peek(address);
    // Another instance, or this one before it lost the partition for a moment, has appended since.
    actor?.forgetBefore(revision);
    const state = actor?.state;
    if (state === undefined) {
      void this.resume(address);
      return;
    }
    this.bringAbout(address, state, false);
    if (!isActive(state)) return;
    const { workerId, sessionId } = state.activation;
    const dead = this.workers.isAlive({ workerId, sessionId }) === false;
    if (dead || this.isDropped(address, { workerId, sessionId })) void this.loseActivation(address, sessionId, 'worker-lost');
  }

  /** A live worker claimed the run long enough ago for its heartbeats to name it, and they do not. */
  private isDropped(address: RunAddress, session: Session): boolean {
    return this.activations.claimedForMs(address) > DROPPED_AFTER_MS && this.workers.holds(session, address.runId) === false;
  }

  /** A decision of the owner's own. */
  private async decide(address: RunAddress, command: DomainCommand, code: KnownCode = NO_CODE): Promise<void> {
    try {
      await this.carryOut(address, command, code);
    } catch (error) {
      // The audit comes back to the run: its state still demands what was not done.
      const reason = String(error);
      this.ports.host.log.warn('decision not carried out', { ...address, command: command.type, reason });
    }
  }

  /** With the end of a child an agent decides what comes next, with its newest build. */
  private async decideOfChild(address: RunAddress, command: EndChild | NoteChildStarted): Promise<void> {
    const state = await this.ports.runs.of(address).settled();
    const isAgent = isOpen(state) && state.request.kind === 'agent';
    await this.carryOut(address, command, isAgent ? await this.ports.code.newest(address.tenant, state.request.name) : NO_CODE);
  }

  private async carryOut(address: RunAddress, command: DomainCommand, code: KnownCode = NO_CODE): Promise<void> {
    const { clock, entropy } = this.ports.host;
    const commandId = entropy.uuid();
    const provenance = { commandId, actor: SERVICE_ACTOR, traceparent: undefined };
    const at = { nowMs: clock.nowMs(), commandId, fraction: entropy.fraction() };
    const judged = await this.ports.runs.of(address).submit({ given: { command, code, at }, provenance });
    if (!judged.accepted && judged.rejection.reaction === 'retryable') throw PerdureError.fromRecord(judged.rejection);
  }

  private activeRun(address: RunAddress, epoch: number): ActiveRun | undefined {
    const state = this.ports.runs.peek(address)?.state;
    return state !== undefined && isActive(state) && state.epoch === epoch ? state : undefined;
  }

  private owns(address: RunAddress): boolean {
    return this.ports.ownership.owns(partitionOf(address.runId));
  }
}
