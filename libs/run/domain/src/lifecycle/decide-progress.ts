import { accept, unreachable, type Decision, type ErrorRecord } from '@perdure/kernel';
import type { JournalEntry, ProgressEntry, ReportMark, RunCommandOf, RunEvent, RunRejection } from '@perdure/run-contract';
import type { RetryPolicy } from '@perdure/tenant-contract';
import { afterDecision } from '../agent/agent-loop';
import { RETRY_AFTER_MS_MAX } from '../bounds';
import { closing } from '../closing';
import {
  effectClaimed,
  effectNotStarted,
  effectProgressed,
  isFormer,
  isTold,
  effectUnknown,
  probeResult,
  refusedResult,
} from '../effect/decide-effect';
import { decideContinue } from '../branch/decide-branch';
import { childRequested } from '../child/decide-child';
import { afterLoss, paused } from './decide-lifecycle';
import { cancelled, isWaitedFor } from './ensuing';
import { entriesFrom, firstUndeliverable, isJournalEntry } from './journal-entries';
import { notTheExecutor } from '../effect/not-the-executor';
import { isPooled } from '../effect/pooled';
import { signalAwaited } from '../signal/decide-signal';
import { taskAsked } from '../task/decide-task';
import { messageSent } from '../message/decide-message';
import { callConflict, refusal, unknownCall } from '../rejection';
import { refusedByWorker } from '../approval/decide-approval';
import { approvalOf } from '../approval/request-approval';
import { compensationOf, failedEffect, limitsOf, mayBeTriedAgain } from '../effect/exhaustion';
import { NO_RETRY, retryDelayMs } from '../effect/retry';
import type { DecidedCommand, Identities } from '../run.commands';
import { evolve } from '../run.evolve';
import { undoLimits } from '../undo/undoing';
import { hasWork, isOpen, nameInRun, woken, type OpenCall, type OpenRun, type RunState } from '../run.state';

/**
 * A worker's report. 1. An older epoch is refused, whatever the worker believes. 2. A repeated report changes
 * nothing. 3. A gap is refused. 4. A report is accepted whole or not at all. 5. Entries are judged one after
 * another, each against what the ones before it have made of the run.
 */
type Report = DecidedCommand & Identities & { readonly command: RunCommandOf<'RecordProgress'> };
type RunDecision = Decision<RunEvent, RunRejection>;
type EntryOf<T extends ProgressEntry['type']> = Extract<ProgressEntry, { type: T }>;

export function decideProgress(report: Report, run: OpenRun): RunDecision {
  const { epoch, seq, entries } = report.command;
  if (run.epoch === epoch && seq <= run.lastSeq) return accept();
  if (run.status !== 'active' || run.epoch !== epoch) {
    return refusal(
      'StaleEpoch',
      `Epoch ${epoch} has ended; the run is at epoch ${run.epoch}. Another activation goes on with it: let go.`,
      {
        details: { epoch: run.epoch },
      },
    );
  }
  if (entries.length === 0) return accept();
  if (seq !== run.lastSeq + 1) {
    return refusal('SequenceGap', `Report ${seq} does not follow report ${run.lastSeq}. Send what is missing first.`, {
      details: { expected: run.lastSeq + 1 },
    });
  }
  return decideEntries(report, run);
}

function decideEntries(report: Report, run: OpenRun): RunDecision {
  const mark: ReportMark = { epoch: report.command.epoch, seq: report.command.seq };
  const events: RunEvent[] = [];
  let state: RunState = run;
  const add = (event: RunEvent): void => {
    const marked = { ...event, report: mark };
    events.push(marked);
    state = evolve(state, marked);
  };
  const { entries } = report.command;
  for (let index = 0; index < entries.length;) {
    // The worker could not know that the result before it was the last: letting go of an ended run says nothing new.
    if (!isOpen(state) && entries.slice(index).every(isLettingGo)) break;
    if (!isOpen(state) || state.status !== 'active') return nothingMayFollow(entries[index]);
    const entry = entries[index] as ProgressEntry;
    if (state.ending !== undefined && !OF_ENDING.has(entry.type)) return notWhileEnding(entry);
    if (state.request.kind === 'agent' && !OF_AGENTS.has(entry.type)) return notForAgents(entry);
    if (isJournalEntry(entry)) {
      const steps = entriesFrom(entries, index);
      const undeliverable = firstUndeliverable(steps, state.inbound);
      if (undeliverable !== undefined) return unknownCall(undeliverable.call);
      add({ type: 'StepsRecorded', data: { entries: steps } });
      index += steps.length;
      continue;
    }
    const decision = decideEntry(entry, state, report);
    if ('rejected' in decision) return decision;
    decision.accepted.forEach(add);
    index += 1;
  }
  return { accepted: events };
}

/** What a worker may say of an agent: the rest is the engine's to decide. */
const OF_AGENTS: ReadonlySet<ProgressEntry['type']> = new Set([
  'model-result',
  'effect-claimed',
  'effect-not-started',
  'effect-progressed',
  'effect-result',
  'effect-unknown',
  'probe-result',
  'suspended',
  'handed-over',
  'cancelled',
  'failed',
]);

/** Of a run whose end is decided only what undoes its effects is told. */
const OF_ENDING: ReadonlySet<ProgressEntry['type']> = new Set([
  'effect-claimed',
  'effect-not-started',
  'effect-progressed',
  'effect-result',
  'effect-unknown',
  'probe-result',
  'suspended',
  'handed-over',
]);

function notWhileEnding({ type }: ProgressEntry): RunDecision {
  return refusal('UnknownCall', `How this run ends is decided, and its effects are being undone: ${type} is too late.`);
}

function notForAgents(entry: ProgressEntry): RunDecision {
  return refusal('NotForAgents', `What an agent does next is decided by its owner; a worker may not report ${entry.type} of it.`);
}

function decideEntry(entry: Exclude<ProgressEntry, JournalEntry>, run: OpenRun, report: Report): RunDecision {
  const { nowMs } = report.at;
  const foreign = 'call' in entry ? run.calls.get(entry.call) : undefined;
  if (isOfExecution(entry) && foreign !== undefined && isPooled(foreign)) return notTheExecutor(foreign, workerOf(run));
  switch (entry.type) {
    case 'effect-intended':
      return effectIntended(entry, run, report);
    case 'effect-claimed':
      return effectClaimed(entry, run, report);
    case 'effect-not-started':
      return effectNotStarted(entry, run);
    case 'effect-progressed':
      return effectProgressed(entry, run);
    case 'effect-result':
      return effectResult(entry, run, report);
    case 'effect-unknown':
      return effectUnknown(entry, run, report);
    case 'probe-result':
      return probeResult(entry, run, report);
    case 'model-intended':
      return modelIntended(entry, run);
    case 'model-result':
      return modelResult(entry, run, report);
    case 'undo-registered':
      return undoRegistered(entry, run, report);
    case 'timer-set':
      return timerSet(entry, run, nowMs);
    case 'timer-cancelled':
      return timerCancelled(entry.call, run);
    case 'signal-awaited':
      return signalAwaited(entry, run, nowMs);
    case 'child-requested':
      return childRequested(entry, run, report.childRun);
    case 'task-asked':
      return taskAsked(entry, run, nowMs);
    case 'message-sent':
      return messageSent(entry, run, report);
    case 'suspended':
      return suspended(run, nowMs);
    case 'handed-over':
      return accept<RunEvent>(
        { type: 'ActivationLost', data: { epoch: run.epoch, reason: 'handed-over' } },
        ...afterLoss(run, 'handed-over', nowMs),
      );
    case 'diverged':
      return diverged(entry, run, nowMs);
    case 'completed':
      return accept<RunEvent>({ type: 'RunCompleted', data: { output: entry.output, endedAtMs: nowMs } });
    case 'continued':
      return run.cancel === undefined
        ? decideContinue(entry.input, run)
        : accept(cancelledOrLetGo(run, run.cancel.reason, nowMs));
    case 'failed':
      return accept<RunEvent>({ type: 'RunFailed', data: { error: entry.error, endedAtMs: nowMs } });
    case 'cancelled':
      return run.cancel === undefined
        ? refusal('UnknownCall', 'Nobody asked for this run to be cancelled.')
        : accept(cancelledOrLetGo(run, run.cancel.reason, nowMs));
    default:
      return unreachable(entry);
  }
}

function effectIntended(entry: EntryOf<'effect-intended'>, run: OpenRun, report: Report): RunDecision {
  const manifest = report.code.tool(entry.tool);
  if (manifest?.child !== undefined || manifest?.ask !== undefined || manifest === undefined) return unknownTool(entry.tool);
  const { call, tool, args } = entry;
  if (run.calls.has(call)) return callConflict(call);
  const { effectClass, pool } = manifest;
  const declared = { ...limitsOf(manifest), ...compensationOf(manifest) };
  const intended = { call, tool, effectClass, args, intendedAtMs: report.at.nowMs, ...declared };
  // What another worker will execute is held to the arguments, not to what the proposing one says of them.
  const effect =
    pool === undefined ? { ...intended, argsHash: entry.argsHash } : { ...intended, argsHash: report.hash(args), pool };
  return accept<RunEvent>({ type: 'EffectIntended', data: effect }, ...approvalOf({ run, effect, manifest }, report));
}

function undoRegistered({ call, tool, args, argsHash }: EntryOf<'undo-registered'>, run: OpenRun, report: Report): RunDecision {
  const manifest = report.code.tool(tool);
  if (manifest === undefined) return unknownTool(tool);
  if (run.calls.has(call)) return callConflict(call);
  // Nobody would be asked when it is made.
  if (report.code.approvalOf?.({ tool, args, isRequired: manifest.approval === 'required' }) !== undefined)
    return refusal(
      'UndoNeedsApproval',
      `A use of ${tool} needs an approval, and cannot be registered to undo. Declare what undoes with its tool: compensate.`,
    );
  return accept<RunEvent>({ type: 'UndoRegistered', data: { call, tool, effectClass: manifest.effectClass, args, argsHash } });
}

function unknownTool(tool: string): RunDecision {
  const message = `This build registered no tool named ${tool}. Give it to the worker that hosts the workflow.`;
  return refusal('UnknownTool', message, { details: { tool } });
}

export function effectResult(
  entry: EntryOf<'effect-result'>,
  run: OpenRun,
  report: Pick<DecidedCommand, 'at' | 'code'>,
): RunDecision {
  const open = run.calls.get(entry.call);
  if (isTold(run, entry.call) || (open?.kind === 'tool' && isFormer(open, entry.attempt))) return accept();
  if (open?.kind !== 'tool' || open.attempt !== entry.attempt || open.waitsForRetry) return unknownCall(entry.call);
  const refused = refusedResult(entry, open, { run, report });
  if (refused !== undefined) return refused;
  const { call, attempt, outcome } = entry;
  const manifest = report.code.tool(open.tool);
  const policy = open.undoes === undefined ? (manifest?.retry ?? NO_RETRY) : undoLimits(run, open, manifest).retry;
  const isAgent = run.request.kind === 'agent';
  const events = outcome.ok
    ? [{ type: 'EffectConfirmed', data: { call, attempt, result: outcome.value } } satisfies RunEvent]
    : [
        ...refusedByWorker(outcome.error, run, { open, report }),
        ...failedEffect(open, {
          error: outcome.error,
          policy,
          at: report.at,
          asks: isAgent || open.pool !== undefined || entry.asks === true,
        }),
      ];
  const last = events[events.length - 1] as RunEvent;
  return accept(...(last.type === 'TimerSet' ? events : closing(run, report.code, events)));
}

function modelIntended(entry: EntryOf<'model-intended'>, run: OpenRun): RunDecision {
  if (run.request.kind === 'agent' || run.calls.has(entry.call)) return callConflict(entry.call);
  return accept<RunEvent>({
    type: 'ModelCallIntended',
    data: { call: entry.call, model: entry.model, promptHash: entry.promptHash },
  });
}

function modelResult(entry: EntryOf<'model-result'>, run: OpenRun, report: Report): RunDecision {
  const open = run.calls.get(entry.call);
  if (open?.kind !== 'model' || open.attempt !== entry.attempt || open.waitsForRetry) return unknownCall(entry.call);
  const { call, attempt, result } = entry;
  const isAgent = run.request.kind === 'agent';
  if (result.ok) {
    const completed: RunEvent = { type: 'ModelCallCompleted', data: { call, attempt, decision: result.decision } };
    if (!isAgent) return accept(completed);
    const decided = evolve(run, completed);
    return accept(completed, ...(isOpen(decided) ? afterDecision(decided, result.decision, report) : []));
  }
  // Its signal has fired: that it gave up is the cancel at work, and no failure of the run.
  if (run.cancel !== undefined)
    return accept<RunEvent>({ type: 'ModelCallFailed', data: { call, attempt, error: result.error } });
  const policy = report.code.behaviour?.modelRetry ?? NO_RETRY;
  const events = failedModelCall({ open, error: result.error, policy, report });
  if (!isAgent || events.length > 1) return accept(...events);
  return accept<RunEvent>(...events, { type: 'RunFailed', data: { error: result.error, endedAtMs: report.at.nowMs } });
}

interface FailedModelCall {
  readonly open: Extract<OpenCall, { kind: 'model' }>;
  readonly error: ErrorRecord;
  readonly policy: RetryPolicy;
  readonly report: Pick<DecidedCommand, 'at'>;
}

/** Either the end of the call, or a durable timer for the next attempt. */
function failedModelCall({ open, error, policy, report }: FailedModelCall): readonly RunEvent[] {
  const { call, attempt } = open;
  const type = 'ModelCallFailed';
  const delayMs = mayBeTriedAgain(error, policy) ? retryDelayMs(policy, attempt, report.at.fraction) : undefined;
  const data = { call, attempt, error };
  if (delayMs === undefined) return [{ type, data }];
  const retryAtMs = report.at.nowMs + Math.max(delayMs, Math.min(error.retryAfterMs ?? 0, RETRY_AFTER_MS_MAX));
  return [
    { type, data: { ...data, retryAtMs } },
    { type: 'TimerSet', data: { timerId: `retry-${call}-${attempt}`, purpose: 'retry', call, dueAtMs: retryAtMs } },
  ];
}

function timerSet(entry: EntryOf<'timer-set'>, run: OpenRun, nowMs: number): RunDecision {
  const { call, delayMs = 0, dueAtMs = nowMs + delayMs } = entry;
  // The timers of the engine itself have names too: the deadline, the retries.
  if (run.calls.has(call) || run.timers.has(call)) return callConflict(call);
  return accept<RunEvent>({ type: 'TimerSet', data: { timerId: call, purpose: 'sleep', call, dueAtMs } });
}

/** Only a sleep is the code's to cancel; that it fired while the report was under way does not make the report wrong. */
function timerCancelled(call: string, run: OpenRun): RunDecision {
  const isAsleep = run.calls.get(call)?.kind === 'sleep';
  const timer = [...run.timers.values()].find((candidate) => candidate.purpose === 'sleep' && candidate.call === call);
  if (!isAsleep && !run.inbound.some((fact) => fact.call === call)) return unknownCall(call);
  return accept<RunEvent>({ type: 'TimerCancelled', data: { timerId: timer?.timerId ?? nameInRun(run.branch, call) } });
}

/** A cancelled run need not wait for a fixed build. */
function diverged({ divergence }: EntryOf<'diverged'>, run: OpenRun, nowMs: number): RunDecision {
  if (run.cancel !== undefined) return accept(cancelled(run.cancel.reason, nowMs));
  return accept<RunEvent>({ type: 'CodeDiverged', data: { epoch: run.epoch, buildId: buildOf(run), divergence } });
}

/** If something arrived while the worker was letting go, the run wakes in the same breath. */
function suspended(run: OpenRun, nowMs: number): RunDecision {
  if (run.cancel !== undefined) return accept(cancelledOrLetGo(run, run.cancel.reason, nowMs));
  const letGo: RunEvent = { type: 'RunSuspended', data: { epoch: run.epoch } };
  // What was under way may have been all: whoever pauses is what it waits for.
  if (run.pause !== undefined) return accept(letGo, paused(run.pause.reason));
  const busy = hasWork(run);
  if (busy || run.calls.size > 0) return busy ? accept(letGo, woken(run)) : accept(letGo);
  return refusal(
    'NothingToWaitFor',
    'A run may only be let go while it waits for something that can wake it. End it, or set a timer first.',
  );
}

/** Cancelled when what others do for it has come to its end: the owner gives it a while. */
function cancelledOrLetGo(run: OpenRun, reason: string, nowMs: number): RunEvent {
  return isWaitedFor(run) ? { type: 'RunSuspended', data: { epoch: run.epoch } } : cancelled(reason, nowMs);
}

const OF_EXECUTION: ReadonlySet<ProgressEntry['type']> = new Set([
  'effect-claimed',
  'effect-not-started',
  'effect-progressed',
  'effect-result',
  'effect-unknown',
  'probe-result',
]);

function isOfExecution({ type }: ProgressEntry): boolean {
  return OF_EXECUTION.has(type);
}

function workerOf(run: OpenRun): string {
  return run.status === 'active' ? run.activation.workerId : 'nobody';
}

function isLettingGo({ type }: ProgressEntry): boolean {
  return type === 'cancelled' || type === 'suspended' || type === 'handed-over';
}

function buildOf(run: OpenRun): string {
  return run.status === 'active' ? run.activation.buildId : 'unknown';
}

function nothingMayFollow(entry: ProgressEntry | undefined): RunDecision {
  return refusal('UnknownCall', `Nothing may follow the entry that let go of the run; found ${entry?.type ?? 'nothing'}.`);
}
