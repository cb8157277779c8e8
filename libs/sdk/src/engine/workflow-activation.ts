import type { Cancel } from '@perdure/kernel';
import type { Activate, Divergence, InboundFact, Instruction, JournalItem } from '@perdure/run-contract';
import { Activation, type ActivationHome } from './activation';
import { FOREIGN_AWAIT_MS, RESTING_TURNS, WINDOW_ENTRIES_MAX } from './bounds';
import type { Tool, Workflow } from './definitions';
import { againWith, invalidInput, isContinuation } from './continuation';
import * as entry from './entries';
import { runCancelled } from './execution';
import { errorOf, failed, recordOf, succeeded, type Ended } from './outcome';
import { codeDiverged, JournaledValues } from './journaled-values';
import { endsByFact, idleMsOf, PROBES_OF_ATTEMPT } from './open-calls';
import type { Finish, Given, OpenCall, QueuedResult } from './open-calls';
import { quietWhile } from './quiet-log';
import { ReplayJournal, type CallIdentity } from './replay-journal';
import type { ProbeTool } from './claimed-effect';
import type { SealedJournal } from './sealed-journal';
import { WorkflowCalls, type AttemptEnd, type CallDesk, type CallWork, type RunTool } from './workflow-calls';
import { Scope } from './workflow-context';

/**
 * Runs the code of a workflow, first over what is recorded, then live.
 *
 * 1. The code is given one result at a time, and the next only when it has come to rest: on replay as live.
 * 2. Results are given in the order in which they are queued for recording.
 * 3. What must be recorded first holds back all results behind it.
 * 4. While recorded results remain, nothing new is begun: a divergence is found before anything is done.
 * 5. Nothing outside happens before the intention is recorded, and with it all that was queued before.
 */
export class WorkflowActivation extends Activation implements CallDesk {
  private readonly workflow: Workflow;
  private readonly calls: WorkflowCalls;
  readonly values: JournaledValues;
  private replay: ReplayJournal | undefined;
  private readonly open = new Map<string, OpenCall>();
  private readonly results: QueuedResult[] = [];
  private readonly due = new Map<string, number>();
  private deferred: OpenCall[] = [];
  private finished: Finish | undefined;
  private pumping = false;
  private diverged = false;
  private callsMade = 0;
  private live = false;
  /** What arrived while the code was still being replayed. */
  private early: { inbound: readonly InboundFact[]; instructions: readonly Instruction[] }[] = [];
  /** Values that the code took while the run was suspended. */
  private lateEntries: string[] = [];
  private cancelWatch: Cancel | undefined;

  constructor(
    home: ActivationHome,
    order: Activate,
    offer: { readonly workflow: Workflow; readonly tools: ReadonlyMap<string, Tool> },
  ) {
    super(home, order);
    this.workflow = offer.workflow;
    this.values = new JournaledValues({
      host: home.host,
      replay: () => this.replay,
      calls: () => this.countCall(),
      record: (text) => this.recordValue(text),
      diverge: (divergence) => this.diverge(divergence),
    });
    this.calls = new WorkflowCalls(
      { ...offer, order, execution: this.execution, log: quietWhile(home.host.log, () => this.replay !== undefined) },
      this,
    );
  }

  protected begin(tail: readonly JournalItem[], sealed: SealedJournal | undefined): void {
    // Until all is replayed the code is not at rest, whatever arrives.
    this.pumping = true;
    if (sealed === undefined) void this.run(tail);
    else void this.whenRead(sealed.all(), (older) => void this.run(older.concat(tail)));
  }

  private async run(journal: readonly JournalItem[]): Promise<void> {
    this.replay = new ReplayJournal(journal);
    const input = await this.workflow.input
      .safeParseAsync(this.order.input)
      .catch((error: unknown) => ({ success: false as const, error }));
    if (!this.isActive) return;
    if (!input.success) return this.refuseInput(input.error);
    void this.runCode(input.data);
    await this.home.host.timers.turn();
    await this.replayAll();
    this.pumping = false;
    if (!this.isActive) return;
    if (!this.diverged) this.goLive();
    this.receive(this.order);
  }

  private refuseInput(error: unknown): void {
    this.end(entry.failedEntry(JSON.stringify(recordOf(invalidInput(this.workflow, error), 'terminal'))));
  }

  private async runCode(input: unknown): Promise<void> {
    try {
      this.finished = { ok: true, output: await this.workflow.run(new Scope(this.calls, ''), input) };
    } catch (error) {
      this.finished = isContinuation(error) ? await againWith(this.workflow, error.input) : { ok: false, error };
    }
    this.proceed();
  }

  private async replayAll(): Promise<void> {
    const replay = this.replay as ReplayJournal;
    for (let next = replay.peek(); next !== undefined; next = replay.peek()) {
      if (!this.isActive || this.cancelled || this.diverged) return;
      if (!next.made) await this.rest(() => next.made);
      // What it was not given any more before it ended is no divergence, as long as it was asked for.
      if (this.finished !== undefined || !next.made) return this.checkReplay();
      replay.advance();
      if (next.kind === 'value') continue;
      this.give(next.call, next.outcome);
      await this.home.host.timers.turn();
    }
    if (replay.missing() !== undefined) await this.rest(() => replay.missing() === undefined);
    this.checkReplay();
  }

  private checkReplay(): void {
    if (!this.isActive || this.cancelled || this.diverged) return;
    const replay = this.replay as ReplayJournal;
    const isForeign = this.finished === undefined && this.open.size === 0;
    const missing = replay.missing(isForeign ? FOREIGN_AWAIT : undefined);
    if (missing !== undefined) this.diverge(missing);
  }

  /** Code that has nothing of ours to wait for gets a while to come back by itself. */
  private async rest(isEnough: () => boolean): Promise<void> {
    const { timers } = this.home.host;
    for (let turn = 0; turn < RESTING_TURNS && !isEnough(); turn += 1) await timers.turn();
    if (isEnough() || this.finished !== undefined || this.open.size > 0) return;
    await new Promise<void>((resolve) => timers.after(FOREIGN_AWAIT_MS, resolve));
  }

  private goLive(): void {
    this.replay = undefined;
    this.live = true;
    this.beginDeferred();
    const { early } = this;
    this.early = [];
    for (const news of early) {
      this.takeInbound(news.inbound);
      this.takeInstructions(news.instructions);
    }
  }

  protected override onResume(): void {
    super.onResume();
    for (const text of this.lateEntries) this.reporter.addInBackground(text);
    this.lateEntries = [];
    this.beginDeferred();
  }

  private beginDeferred(): void {
    const { deferred } = this;
    this.deferred = [];
    for (const call of deferred) this.beginOrDefer(call);
  }

  // What the code asks.

  private countCall(): void {
    if (this.diverged) throw codeDiverged();
    this.callsMade += 1;
  }

  private recordValue(text: string): void {
    if (this.isActive) this.reporter.addInBackground(text);
    else this.lateEntries.push(text);
  }

  startStep(): void {
    this.running += 1;
  }

  finishStep(call: string, ended: Ended, report: { readonly text: string; readonly recordedFirst: boolean }): void {
    this.queue({ call, ended, recordedFirst: report.recordedFirst }, report.text);
  }

  intend(call: string, text: string): void {
    // The answer says whether it may be begun at once: it may have to wait for an approval.
    this.reporter.add(text, () => {
      const open = this.open.get(call);
      if (open !== undefined) open.recorded = true;
    });
  }

  setTimer(call: string, delayMs: number, text: string): void {
    this.due.set(call, this.home.host.clock.monotonicMs() + delayMs);
    this.reporter.add(text);
  }

  make(identity: CallIdentity, work: CallWork): Promise<unknown> {
    const promise = new Promise<unknown>((resolve, reject) => {
      if (this.diverged) return;
      this.callsMade += 1;
      if (this.cancelled) return reject(runCancelled());
      const difference = this.replay?.make(identity);
      if (difference !== undefined) return this.diverge(difference);
      const known = this.replay?.find(identity.call) ?? 'unknown';
      const begun = { lastAttempt: 0, lastProbe: 0, recorded: known === 'begun' };
      const call: OpenCall = { call: identity.call, kind: identity.kind, work, resolve, reject, ...begun };
      this.open.set(call.call, call);
      if (known === 'unknown') this.beginOrDefer(call);
    });
    // A loser of a race may fail when nobody listens any more.
    promise.catch(() => undefined);
    return promise;
  }

  private beginOrDefer(call: OpenCall): void {
    if (this.cancelled || this.diverged) return;
    if (this.replay !== undefined || this.draining || !this.isActive) this.deferred.push(call);
    else call.work.begin();
  }

  private tryAttempt(call: string, attempt: number, instruction: RunTool | undefined): void {
    const open = this.open.get(call);
    if (open?.work.attempt === undefined || attempt <= open.lastAttempt || this.cancelled || !this.isActive) return;
    open.lastAttempt = attempt;
    this.running += 1;
    void open.work.attempt(attempt, instruction).then((end) => {
      if (end.notBegun === true) open.lastAttempt = attempt - 1;
      this.ended(call, end);
    });
  }

  private tryProbe(instruction: ProbeTool): void {
    const open = this.open.get(instruction.call);
    const number = instruction.attempt * PROBES_OF_ATTEMPT + instruction.probe;
    if (open?.work.probe === undefined || number <= open.lastProbe || this.cancelled || !this.isActive) return;
    open.lastProbe = number;
    this.running += 1;
    void open.work.probe(instruction).then((end) => this.ended(instruction.call, end));
  }

  private ended(call: string, { text, ended }: AttemptEnd): void {
    if (text !== undefined && ended !== undefined) return this.queue({ call, ended, recordedFirst: true }, text);
    this.running -= 1;
    if (!this.isActive) return;
    if (text !== undefined) this.reporter.add(text);
    this.proceed();
  }

  // What the code is given.

  private queue(result: Omit<QueuedResult, 'ordinal'>, text: string): void {
    this.running -= 1;
    if (!this.isActive) return;
    const ordinal = result.recordedFirst ? this.reporter.add(text) : this.reporter.addInBackground(text);
    this.results.push({ ...result, ordinal });
    this.proceed();
  }

  protected takeInbound(facts: readonly InboundFact[]): void {
    if (!this.live) {
      this.early.push({ inbound: facts, instructions: [] });
      return;
    }
    for (const { call, revision, outcome } of facts) {
      // Given once: its call is closed when it is queued.
      const open = this.open.get(call);
      if (!endsByFact(open?.kind) || this.results.some((result) => result.call === call)) continue;
      this.due.delete(call);
      const ordinal = this.reporter.addInBackground(entry.deliveredEntry(call, revision));
      this.results.push({ call, ended: outcome, ordinal, recordedFirst: false });
    }
  }

  protected takeInstructions(instructions: readonly Instruction[]): void {
    if (!this.live) {
      this.early.push({ inbound: [], instructions });
      return;
    }
    for (const instruction of instructions) {
      if (instruction.do === 'probe-tool') this.tryProbe(instruction);
      else this.tryAttempt(instruction.call, instruction.attempt, instruction.do === 'run-tool' ? instruction : undefined);
    }
  }

  protected proceed(): void {
    if (this.pumping || !this.isActive || this.diverged) return;
    this.pumping = true;
    void this.pump();
  }

  private async pump(): Promise<void> {
    const { timers } = this.home.host;
    this.stopIdle();
    for (let next = this.takeResult(); next !== undefined; next = this.takeResult()) {
      this.give(next.call, next.ended);
      await timers.turn();
    }
    this.pumping = false;
    if (this.isActive && !this.diverged) this.atRest();
  }

  private takeResult(): QueuedResult | undefined {
    const next = this.results[0];
    if (next === undefined || this.finished !== undefined || this.cancelled || this.diverged || !this.isActive) return undefined;
    const mayBeGiven = next.recordedFirst
      ? this.reporter.recorded >= next.ordinal
      : this.reporter.unrecorded <= WINDOW_ENTRIES_MAX;
    return mayBeGiven ? this.results.shift() : undefined;
  }

  private give(call: string, ended: Given): void {
    const open = this.open.get(call);
    if (open === undefined) return;
    this.open.delete(call);
    if (ended.ok) open.resolve(ended.value);
    else open.reject(errorOf(ended.error));
  }

  private atRest(): void {
    if (this.endIfAsked()) return;
    if (this.finished !== undefined && !this.cancelled) return this.reportEnd(this.finished);
    // What the code has asked for since is not begun, so nothing would wake the run: it is handed over when all is recorded.
    if (this.draining && !this.cancelled) return this.reporter.flush();
    const idleMs = this.idleMs();
    // What is queued goes with the entry that lets go.
    if (idleMs === 0) return this.suspend();
    this.reporter.flush();
    if (idleMs !== undefined) this.suspendWhenIdle(idleMs);
    else if (this.open.size === 0 && this.isSettled) this.watchForeignAwait();
  }

  private get isSettled(): boolean {
    return this.results.length === 0 && this.running === 0 && !this.cancelled;
  }

  /** How long to wait before letting go; undefined while something is under way here. At once if nothing is due soon. */
  private idleMs(): number | undefined {
    if (!this.isSettled || this.open.size === 0) return undefined;
    return idleMsOf(this.open.values(), this.due, this.home.host.clock.monotonicMs());
  }

  protected onIdle(): void {
    if (!this.pumping && this.isActive && !this.draining && this.idleMs() !== undefined) this.suspend();
  }

  private reportEnd(finish: Finish): void {
    if (finish.ok === 'again') return this.end(entry.continuedEntry(finish.input));
    const ended = finish.ok
      ? succeeded(finish.output, `The output of ${this.workflow.name}`)
      : failed(recordOf(finish.error, 'terminal'));
    if (ended.ok) this.end(entry.completedEntry(ended.text.slice(OK_PREFIX.length, -1)));
    else this.end(entry.failedEntry(JSON.stringify(ended.error)));
  }

  // What goes wrong.

  private watchForeignAwait(): void {
    const { callsMade } = this;
    this.cancelWatch?.();
    this.cancelWatch = this.home.host.timers.after(FOREIGN_AWAIT_MS, () => {
      if (!this.isActive || this.finished !== undefined || this.open.size > 0 || this.callsMade !== callsMade) return;
      this.diverge({
        call: String(callsMade + 1),
        expected: 'a call of ctx, or the end of the code',
        found: FOREIGN_AWAIT,
        position: callsMade,
      });
    });
  }

  private diverge(divergence: Divergence): void {
    if (this.diverged) return;
    this.diverged = true;
    this.end(entry.divergedEntry(divergence), true);
  }

  protected onCancel(): void {
    this.results.length = 0;
    this.deferred = [];
    const calls = [...this.open.values()];
    this.open.clear();
    for (const call of calls) call.reject(runCancelled());
  }

  protected get codeEnded(): boolean {
    return this.finished !== undefined;
  }

  protected get isRecorded(): boolean {
    return this.results.length === 0 && this.finished === undefined && this.reporter.unrecorded === 0;
  }

  protected override onDispose(): void {
    super.onDispose();
    this.cancelWatch?.();
    this.open.clear();
    this.results.length = 0;
  }
}

const OK_PREFIX = '{"ok":true,"value":';
const FOREIGN_AWAIT = 'ForeignAwait: the code awaits a promise that is not of ctx; put what it waits for into a step';
