import { PerdureError, type Bus, type Cancel, type Host } from '@perdure/kernel';
import {
  requestSubject,
  runAddress,
  type Activate,
  type InboundFact,
  type Instruction,
  type JournalItem,
  type ProgressAnswer,
} from '@perdure/run-contract';
import { CANCEL_GRACE_MS, SUSPEND_AFTER_MS } from './bounds';
import type { OfExecution } from './claimed-effect';
import { CANCELLED_ENTRY, effectClaimedEntry, failedEntry, HANDED_OVER_ENTRY, SUSPENDED_ENTRY } from './entries';
import { runCancelled, type Execution, type OnUserCode, type Telling } from './execution';
import type { GrantKnown } from './grant-check';
import { recordOf } from './outcome';
import { ProgressReporter } from './progress-reporter';
import type { SealedJournal } from './sealed-journal';
import { ToldText } from './told-text';

/** What the owner has to say of a run that is held here. */
export interface News {
  readonly inbound: readonly InboundFact[];
  readonly instructions: readonly Instruction[];
  readonly cancelRequested: boolean;
  readonly pauseRequested?: boolean | undefined;
}

/** What an activation needs of the worker that hosts it. */
export interface ActivationHome {
  readonly host: Host;
  readonly bus: Bus;
  readonly workerId: string;
  /** By which grants of approvals are verified. */
  readonly grants: GrantKnown;
  readonly onUserCode?: OnUserCode | undefined;
  /** It waits only for facts from outside and keeps its memory: its slot is free. */
  suspended(activation: Activation): void;
  /** Nothing more will come of it. */
  closed(activation: Activation): void;
}

type Phase = 'active' | 'letting-go' | 'suspended' | 'closed';

/** Refusals that say: another goes on with this run, or nobody need. */
const LET_GO = new Set(['StaleEpoch', 'RunAlreadyEnded', 'RunNotFound', 'SequenceGap']);

/**
 * One stretch of work on a run by this worker, and its memory while the run is suspended.
 *
 * 1. Once an entry is added that lets go of the run, nothing is added in that epoch.
 * 2. What comes from outside while it lets go is dropped: the owner repeats it with the next epoch.
 * 3. A refused report ends the activation, or the run with the refusal as its typed error.
 */
export abstract class Activation {
  readonly execution: Execution;
  protected reporter: ProgressReporter;
  protected running = 0;
  protected cancelled = false;
  protected draining = false;
  private phase: Phase = 'active';
  private refusedBefore = false;
  private readonly controller = new AbortController();
  private cancelIdle: Cancel | undefined;
  private cancelGrace: Cancel | undefined;
  private currentEpoch: number;
  private readonly told: ToldText;

  constructor(
    protected readonly home: ActivationHome,
    protected readonly order: Activate,
  ) {
    this.execution = { host: home.host, signal: this.controller.signal, onUserCode: home.onUserCode };
    this.currentEpoch = order.epoch;
    this.told = new ToldText(home, runAddress(order.tenant, order.runId));
    this.reporter = this.newReporter();
  }

  get grants(): GrantKnown {
    return this.home.grants;
  }

  get runId(): string {
    return this.order.runId;
  }

  get branch(): number {
    return this.order.branch ?? 0;
  }

  get epoch(): number {
    return this.currentEpoch;
  }

  get isActive(): boolean {
    return this.phase === 'active';
  }

  get isWarm(): boolean {
    return this.phase === 'suspended';
  }

  /** Begins a cold activation; `tail` follows what is sealed. */
  start(tail: readonly JournalItem[], sealed?: SealedJournal): void {
    if (!this.isActive) return;
    // Nothing is under way here: there is nobody to tell.
    if (this.order.cancelRequested) return this.end(CANCELLED_ENTRY);
    if (this.order.pauseRequested === true) this.draining = true;
    this.begin(tail, sealed);
  }

  protected abstract begin(tail: readonly JournalItem[], sealed: SealedJournal | undefined): void;

  /** What cannot be read ends the activation without a word: the owner finds out by itself. */
  protected async whenRead(
    reading: Promise<readonly JournalItem[]>,
    use: (items: readonly JournalItem[]) => void,
  ): Promise<void> {
    let items: readonly JournalItem[];
    try {
      items = await reading;
    } catch (error) {
      if (!this.isActive) return;
      const { runId, epoch } = this;
      this.home.host.log.warn('the journal of a run could not be read', { runId, epoch, error: String(error) });
      this.dispose();
      return;
    }
    if (this.isActive) use(items);
  }

  /** Whatever is possible now is done: called after each change from outside. */
  protected abstract proceed(): void;
  protected abstract takeInbound(facts: readonly InboundFact[]): void;
  protected abstract takeInstructions(instructions: readonly Instruction[]): void;
  /** Tells the code, if there is any, that the run is cancelled. */
  protected abstract onCancel(): void;
  /** The code has ended after a cancel. */
  protected abstract get codeEnded(): boolean;

  /** Goes on at the same memory with a new epoch. */
  resume(order: Activate): void {
    this.currentEpoch = order.epoch;
    this.phase = 'active';
    this.reporter = this.newReporter();
    this.onResume();
    this.receive(order);
  }

  protected onResume(): void {
    this.draining = false;
  }

  /** Facts and instructions, pushed or answered. */
  receive(news: News): void {
    if (this.phase !== 'active') return;
    if (news.cancelRequested) this.cancel();
    if (news.pauseRequested === true) this.draining = true;
    if (!this.isActive) return;
    this.takeInbound(news.inbound);
    this.takeInstructions(news.instructions);
    this.proceed();
  }

  cancel(): void {
    if (this.cancelled || this.phase !== 'active') return;
    this.cancelled = true;
    this.controller.abort(runCancelled());
    this.cancelGrace = this.home.host.timers.after(CANCEL_GRACE_MS, () => this.reportCancelled());
    this.onCancel();
    this.proceed();
  }

  /** Begins nothing new; hands the run over as soon as what is under way is recorded. */
  drain(): void {
    this.draining = true;
    if (this.phase === 'active') this.proceed();
    else if (this.phase === 'suspended') this.dispose();
  }

  /** Hands the run over whatever is under way. */
  handOverNow(): void {
    if (this.phase !== 'active') return;
    this.letGo(HANDED_OVER_ENTRY, () => this.dispose());
    this.controller.abort(
      new PerdureError('WorkerDraining', 'cancelled', 'The worker is going away; another goes on with the run.'),
    );
  }

  /** The run belongs to somebody else now, or has ended: stops everything, says nothing. */
  dispose(): void {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.reporter.stop();
    this.cancelIdle?.();
    this.cancelGrace?.();
    this.told.stop();
    this.onDispose();
    this.controller.abort(new PerdureError('ActivationEnded', 'cancelled', 'This worker no longer holds the run.'));
    this.home.closed(this);
  }

  /** Whoever reads along is told the text of this attempt of a model call. */
  tell(call: string, attempt: number): Telling {
    return this.told.begin({ call, epoch: this.currentEpoch, attempt });
  }

  protected onDispose(): void {
    this.stopIdle();
  }

  /** Adds the last entry of this epoch, before anything else that is not sent yet if `alone`. */
  protected letGo(entry: string, recorded: () => void, alone = false): void {
    if (this.phase !== 'active') return;
    this.phase = 'letting-go';
    this.stopIdle();
    if (alone) this.reporter.replaceUnsent(entry, recorded);
    else {
      this.reporter.add(entry, recorded);
      this.reporter.flush();
    }
  }

  protected end(entry: string, alone = false): void {
    this.letGo(entry, () => this.dispose(), alone);
  }

  protected suspend(): void {
    this.letGo(SUSPENDED_ENTRY, () => {
      this.phase = 'suspended';
      this.reporter.stop();
      this.home.suspended(this);
    });
  }

  /** Resolves with the owner's answer to the report that holds the claim; never, when the activation ends before. */
  claim(of: OfExecution, grantId: string | undefined): Promise<ProgressAnswer> {
    return new Promise((resolve) => {
      this.reporter.add(effectClaimedEntry(of, grantId), resolve);
      this.reporter.flush();
    });
  }

  note(entry: string): void {
    if (!this.isActive) return;
    this.reporter.addInBackground(entry);
    this.reporter.flush();
  }

  /** True when it ended here: cancelled, or handed over. */
  protected endIfAsked(): boolean {
    if (this.phase !== 'active') return true;
    if (this.running > 0) return false;
    if (this.cancelled && this.codeEnded) this.reportCancelled();
    else if (this.draining && !this.cancelled && this.isRecorded) this.handOverNow();
    return this.phase !== 'active';
  }

  /** Nothing is under way whose result could still be recorded. */
  protected abstract get isRecorded(): boolean;

  /** Suspends after a while, unless something happens. */
  protected suspendWhenIdle(delayMs = SUSPEND_AFTER_MS): void {
    this.cancelIdle ??= this.home.host.timers.after(delayMs, () => {
      this.cancelIdle = undefined;
      this.onIdle();
    });
  }

  protected stopIdle(): void {
    this.cancelIdle?.();
    this.cancelIdle = undefined;
  }

  protected abstract onIdle(): void;

  private reportCancelled(): void {
    this.end(CANCELLED_ENTRY);
  }

  private newReporter(): ProgressReporter {
    const { host, bus, workerId } = this.home;
    return new ProgressReporter({
      host,
      bus,
      subject: requestSubject.build(runAddress(this.order.tenant, this.order.runId)),
      actor: { kind: 'worker', id: workerId },
      epoch: this.currentEpoch,
      onAnswer: (answer) => this.answered(answer),
      onRefused: (error) => this.refused(error),
    });
  }

  private answered(answer: ProgressAnswer): void {
    if (answer.ended) this.dispose();
    else this.receive(answer);
  }

  private refused(error: unknown): void {
    const record = recordOf(error, 'terminal');
    const { host } = this.home;
    if (LET_GO.has(record.code) || this.refusedBefore || this.phase === 'closed') {
      host.log.info('let go of a run', { runId: this.runId, epoch: this.currentEpoch, code: record.code });
      this.dispose();
      return;
    }
    host.log.warn('a report was refused; the run fails with it', { runId: this.runId, code: record.code });
    this.refusedBefore = true;
    this.onDispose();
    this.phase = 'active';
    this.end(failedEntry(JSON.stringify(record)), true);
  }
}
