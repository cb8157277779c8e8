import { InvariantViolated, unreachable } from '@perdure/kernel';
import type { EffectsLeft, JournalEntry, RunEvent, RunEventOf, RunOutcome } from '@perdure/run-contract';
import { LOSSES_COUNTED } from './bounds';
import { rememberCommand } from './command-memory';
import { pinnedBy, repinned } from './pin/evolve-pin';
import { closeCall, impossible, knownCall, openCall, with_, without, withItem } from './evolve-calls';
import * as child from './child/evolve-child';
import * as message from './message/evolve-message';
import * as approval from './approval/evolve-approval';
import * as effect from './effect/evolve-effect';
import { isOfGuard, watch, type GuardEventType } from './guard/evolve-guard';
import * as signal from './signal/evolve-signal';
import * as task from './task/evolve-task';
import { isOfTask } from './task/task.state';
import * as undo from './undo/evolve-undo';
import {
  callName,
  callOfTimer,
  commonFields,
  isOpen,
  isWaiting,
  newRunFields,
  unknownEnds,
  type OpenRun,
  type OpenTimer,
  type RunState,
} from './run.state';
import * as branch from './branch/evolve-branch';

/** What a fact changes. A fact that cannot follow the present state is a corrupt history. */
export function evolve(state: RunState, event: RunEvent): RunState {
  if (event.type === 'RunRequested') return requested(state, event);
  if (!isOpen(state)) throw impossible(state, event);
  const run: OpenRun = { ...state, revision: state.revision + 1 };
  const next = watch(nextOf(run, event), run, event);
  return withTime(withReportMark(next, event), run, event);
}

function nextOf(run: OpenRun, event: Exclude<RunEvent, { type: 'RunRequested' }>): RunState {
  if (isOfGuard(event)) return run;
  if (effect.isOfEffect(event)) return effect.evolveEffect(run, event);
  if (approval.isOfApproval(event)) return approval.evolveApproval(run, event);
  if (signal.isOfSignal(event)) return signal.evolveSignal(run, event, timeOf(event, run));
  if (message.isOfMessage(event)) return message.evolveMessage(run, event, timeOf(event, run));
  if (task.isOfTaskFact(event)) return task.evolveTask(run, event);
  if (child.isOfChild(event)) return child.evolveChild(run, event, timeOf(event, run));
  if (branch.isOfBranch(event)) return branch.evolveBranch(run, event);
  return undo.isOfUndo(event) ? undo.evolveUndo(run, event) : evolveOpen(run, event);
}

/** Since when it is what it is. */
function withTime(next: RunState, run: OpenRun, event: RunEvent): RunState {
  if (!isOpen(next) || (next.status === run.status && next.epoch === run.epoch)) return next;
  return { ...next, sinceMs: timeOf(event, run) };
}

/** Facts of the first versions carry no time of their own. */
function timeOf(event: RunEvent, run: OpenRun): number {
  return event.atMs ?? run.sinceMs;
}

function withReportMark(state: RunState, event: RunEvent): RunState {
  if (event.report === undefined) return state;
  const { epoch, seq } = event.report;
  if (state.status === 'none' || state.epoch !== epoch) return state;
  // What says how far it is has not come through yet: a run that ends every worker after that is quarantined all the same.
  const isProgress = state.status === 'active' && event.type !== 'EffectProgressed';
  return isProgress ? { ...state, lostInARow: 0, lastSeq: seq } : { ...state, lastSeq: seq };
}

type FoldedElsewhere =
  | 'RunRequested'
  | GuardEventType
  | effect.EffectEventType
  | undo.UndoEventType
  | signal.SignalEventType
  | child.ChildEventType
  | task.TaskEventType
  | message.MessageEventType
  | approval.ApprovalEventType
  | branch.BranchEventType;

// One case a line: the table of what may follow what.
function evolveOpen(run: OpenRun, event: Exclude<RunEvent, { type: FoldedElsewhere }>): RunState {
  switch (event.type) {
    case 'RunAssigned':
      return assigned(run, event);
    case 'ActivationLost':
      return lost(run, event);
    case 'RunQuarantined':
      return quarantined(run, event);
    case 'CodeDiverged':
      return {
        ...commonFields(heldIn(event.data.epoch, run, event)),
        pause: undefined,
        // Whatever build comes next, it need not be the one that cannot go on.
        pin: undefined,
        status: 'paused',
        because: divergenceText(event),
      };
    case 'RunSuspended':
      return { ...commonFields(heldIn(event.data.epoch, run, event)), lostInARow: 0, status: 'suspended' };
    case 'RunWoken':
      return woken(run, event);
    case 'RunPauseRequested':
      return pauseRequested(run, event);
    case 'RunPaused':
      return paused(run, event);
    case 'RunResumed':
      return resumed(run, event);
    case 'RunRepinned':
      return repinned(run, event);
    case 'RunCancelRequested':
      return {
        ...rememberCommand(run, event.data.commandId),
        cancel: { reason: event.data.reason, requestedAtMs: event.data.requestedAtMs },
      };
    case 'ModelCallIntended':
      return modelIntended(run, event);
    case 'ModelCallCompleted':
      return modelCompleted(run, event);
    case 'ModelCallFailed':
    case 'EffectFailed':
      return attemptFailed(run, event);
    case 'StepsRecorded':
      return event.data.entries.reduce(recordEntry, run);
    case 'TimerSet':
      return timerSet(run, event);
    case 'TimerFired':
      return timerFired(run, event);
    case 'TimerCancelled':
      return timerCancelled(run, event);
    case 'RunRefused':
    case 'RunCompleted':
    case 'RunFailed':
    case 'RunCancelled':
    case 'RunTimedOut':
    case 'RunTerminated':
      return lastFact(run, event);
    default:
      return unreachable(event);
  }
}

type LastFact = RunEventOf<'RunRefused' | 'RunCompleted' | 'RunFailed' | 'RunCancelled' | 'RunTimedOut' | 'RunTerminated'>;

function lastFact(run: OpenRun, event: LastFact): RunState {
  switch (event.type) {
    case 'RunRefused':
      return refused(run, event);
    case 'RunCompleted':
      return ended(run, { status: 'completed', output: event.data.output }, event.data);
    case 'RunFailed':
      return ended(run, { status: 'failed', error: event.data.error }, event.data);
    case 'RunCancelled':
      return ended(run, { status: 'cancelled', reason: event.data.reason }, event.data);
    case 'RunTimedOut':
      return ended(run, { status: 'timed-out', deadlineAtMs: event.data.deadlineAtMs }, event.data);
    case 'RunTerminated':
      return terminated(run, event);
    default:
      return unreachable(event);
  }
}

function requested(state: RunState, event: RunEventOf<'RunRequested'>): RunState {
  if (state.status !== 'none') throw impossible(state, event);
  const { kind, name, pool, input, requestHash, requestedAtMs, requestedBy, limits, parent } = event.data;
  const who = { ...(requestedBy === undefined ? {} : { requestedBy }), ...(parent === undefined ? {} : { parent }) };
  const request = { kind, name, pool, input, requestHash, requestedAtMs, ...who };
  return { ...newRunFields(0, request, limits), status: 'queued', preferredWorkerId: undefined };
}

function assigned(run: OpenRun, event: RunEventOf<'RunAssigned'>): RunState {
  const { epoch, workerId, sessionId, buildId, permitId, term, assignedAtMs } = event.data;
  if (epoch !== run.epoch + 1 || (run.status !== 'queued' && run.status !== 'placing')) throw impossible(run, event);
  return {
    ...commonFields(run),
    status: 'active',
    epoch,
    lastSeq: 0,
    term: Math.max(run.term, term),
    lastWorkerId: workerId,
    pin: pinnedBy(run, buildId),
    permit: { permitId, term },
    activation: { workerId, sessionId, buildId, assignedAtMs },
  };
}

function lost(run: OpenRun, event: RunEventOf<'ActivationLost'>): RunState {
  const held = heldIn(event.data.epoch, run, event);
  const counts = LOSSES_COUNTED.has(event.data.reason);
  return {
    ...commonFields(held),
    status: 'placing',
    permit: held.permit,
    lostInARow: run.lostInARow + (counts ? 1 : 0),
  };
}

function heldIn(epoch: number, run: OpenRun, event: RunEvent): Extract<OpenRun, { status: 'active' }> {
  if (run.status !== 'active' || run.epoch !== epoch) throw impossible(run, event);
  return run;
}

function quarantined(run: OpenRun, event: RunEventOf<'RunQuarantined'>): OpenRun {
  if (run.status !== 'placing') throw impossible(run, event);
  const because = `quarantined: ${event.data.activationsLost} activations lost without progress`;
  return { ...commonFields(run), pause: undefined, status: 'paused', because };
}

function woken(run: OpenRun, event: RunEventOf<'RunWoken'>): OpenRun {
  if (run.status !== 'suspended') throw impossible(run, event);
  return { ...commonFields(run), status: 'queued', preferredWorkerId: event.data.preferredWorkerId };
}

function pauseRequested(run: OpenRun, event: RunEventOf<'RunPauseRequested'>): OpenRun {
  const { reason, requestedAtMs, commandId } = event.data;
  return { ...rememberCommand(run, commandId), pause: { reason, requestedAtMs } };
}

function paused(run: OpenRun, event: RunEventOf<'RunPaused'>): OpenRun {
  if (run.status === 'active' || run.status === 'paused') throw impossible(run, event);
  return { ...commonFields(run), pause: undefined, status: 'paused', because: event.data.reason };
}

function terminated(run: OpenRun, event: RunEventOf<'RunTerminated'>): RunState {
  const { reason, leftOpen } = event.data;
  return ended(run, { status: 'terminated', reason, leftOpen }, event.data);
}

function resumed(run: OpenRun, event: RunEventOf<'RunResumed'>): OpenRun {
  // Taken back before the worker had let go: it is handed over all the same, and goes on elsewhere.
  if (run.status !== 'paused' && run.pause === undefined) throw impossible(run, event);
  const known = { ...rememberCommand(run, event.data.commandId), pause: undefined };
  if (known.status !== 'paused') return known;
  const common = commonFields(known);
  return { ...common, lostInARow: 0, status: 'queued', preferredWorkerId: undefined };
}

function refused(run: OpenRun, event: RunEventOf<'RunRefused'>): RunState {
  if (run.status !== 'queued' || run.epoch > 0) throw impossible(run, event);
  const { endedAtMs, ...why } = event.data;
  return ended(run, { status: 'refused', ...why }, { endedAtMs });
}

function modelIntended(run: OpenRun, event: RunEventOf<'ModelCallIntended'>): OpenRun {
  const { call, turn, model, promptHash, signals, tell } = event.data;
  const shown = run.signals.slice(0, signals?.length ?? 0);
  const told = tell === undefined ? {} : { tell };
  const due = { attempt: 1, waitsForRetry: false, signals: shown, ...told };
  const next = openCall(run, { kind: 'model', call, model, sinceMs: timeOf(event, run), ...due });
  if (turn !== undefined) return { ...signal.shownToModel(next, call, shown), turn };
  return withItem(next, {
    type: 'made',
    call,
    kind: 'model',
    name: model,
    ...(promptHash === undefined ? {} : { hash: promptHash }),
  });
}

function modelCompleted(run: OpenRun, event: RunEventOf<'ModelCallCompleted'>): OpenRun {
  const { call, decision } = event.data;
  const open = knownCall(run, call, event);
  const closed = closeCall(run, call);
  if (run.request.kind === 'agent') {
    const told = open.kind === 'model' && open.tell !== undefined ? { told: open.tell } : {};
    return withItem({ ...closed, inbound: [] }, { type: 'decided', call, decision, ...told });
  }
  return withItem(closed, { type: 'got', call, kind: 'model', name: callName(open), outcome: { ok: true, value: decision } });
}

function attemptFailed(run: OpenRun, event: RunEventOf<'ModelCallFailed'> | RunEventOf<'EffectFailed'>): OpenRun {
  const { call, error, retryAtMs } = event.data;
  const open = knownCall(run, call, event);
  if (isWaiting(open)) throw impossible(run, event);
  if (retryAtMs !== undefined) {
    const since = { sinceMs: timeOf(event, run), waitsForRetry: true };
    const waiting = open.kind === 'tool' ? { ...open, ...since, execution: undefined, lastError: error } : { ...open, ...since };
    return { ...run, calls: with_(run.calls, call, waiting) };
  }
  if (open.kind === 'tool') {
    const isNews = event.type === 'EffectFailed' && event.data.exhausted !== undefined;
    return effect.closeTool(run, call, { outcome: { ok: false, error }, isNews });
  }
  const closed = closeCall(run, call);
  if (run.request.kind === 'agent') return closed;
  return withItem(closed, { type: 'got', call, kind: 'model', name: open.model, outcome: { ok: false, error } });
}

function recordEntry(run: OpenRun, entry: JournalEntry): OpenRun {
  switch (entry.type) {
    case 'step':
      return withItem(run, { type: 'got', call: entry.call, kind: 'step', name: entry.name, outcome: entry.outcome });
    case 'value':
      return withItem(run, {
        type: 'got',
        call: entry.call,
        kind: 'value',
        name: entry.name,
        outcome: { ok: true, value: entry.value },
      });
    case 'delivered':
      return delivered(run, entry.revision);
    default:
      return unreachable(entry);
  }
}

function delivered(run: OpenRun, revision: number): OpenRun {
  const fact = run.inbound.find((candidate) => candidate.revision === revision);
  if (fact === undefined)
    throw new InvariantViolated(`Revision ${revision} was delivered, but is not an inbound fact.`, { revision });
  const inbound = run.inbound.filter((candidate) => candidate !== fact);
  const { call, kind, name, outcome } = fact;
  return withItem({ ...run, inbound }, { type: 'got', call, kind, name, outcome });
}

function timerSet(run: OpenRun, event: RunEventOf<'TimerSet'>): OpenRun {
  const { timerId, purpose, call, dueAtMs } = event.data;
  if (run.timers.has(timerId)) throw impossible(run, event);
  const next = { ...run, timers: with_(run.timers, timerId, { timerId, purpose, call, dueAtMs }) };
  if (purpose !== 'sleep' || call === undefined) return next;
  const sleeping = openCall(next, { kind: 'sleep', call, sinceMs: timeOf(event, run) });
  return withItem(sleeping, { type: 'made', call, kind: 'sleep', name: 'sleep' });
}

function timerFired(run: OpenRun, event: RunEventOf<'TimerFired'>): OpenRun {
  const timer = run.timers.get(event.data.timerId);
  if (timer === undefined) throw impossible(run, event);
  const next = { ...run, timers: without(run.timers, timer.timerId) };
  if (timer.call === undefined || isOfApproval(timer) || isOfTask(timer)) return next;
  if (timer.purpose === 'sleep') {
    const outcome = { ok: true as const, value: null };
    const arrived = { revision: run.revision, call: timer.call, outcome, kind: 'sleep' as const, name: 'sleep' };
    return { ...closeCall(next, timer.call), inbound: [...run.inbound, arrived] };
  }
  if (timer.purpose === 'wait') return signal.waitTimedOut(next, event, timer.call);
  // They only wake their owner, who judges by the time.
  if (timer.purpose === 'start' || timer.purpose === 'total' || timer.purpose === 'undo') return next;
  if (timer.purpose === 'probe') return effect.probeFired(next, event, timer.call);
  const open = knownCall(run, timer.call, event);
  if (isWaiting(open)) throw impossible(run, event);
  const again = { ...open, sinceMs: timeOf(event, run), attempt: open.attempt + 1, waitsForRetry: false };
  return { ...next, calls: with_(run.calls, timer.call, again) };
}

/** What it brings is a fact of its own. */
function isOfApproval({ purpose }: OpenTimer): boolean {
  return purpose === 'approval-expiry' || purpose === 'approval-escalation';
}

/** It may have fired meanwhile: then what it brought is not delivered any more. */
function timerCancelled(run: OpenRun, event: RunEventOf<'TimerCancelled'>): OpenRun {
  const { timerId } = event.data;
  const timer = run.timers.get(timerId);
  const timers = without(run.timers, timerId);
  // What it was to end, or to begin again, has come to its end otherwise.
  if (timer !== undefined && timer.purpose !== 'sleep') return { ...run, timers };
  const call = timer?.call ?? callOfTimer(run, timerId);
  const inbound = run.inbound.filter((fact) => fact.call !== call);
  if (timer === undefined && inbound.length === run.inbound.length) throw impossible(run, event);
  return { ...run, timers, calls: without(run.calls, call), inbound };
}

function ended(
  run: OpenRun,
  outcome: RunOutcome,
  { endedAtMs, effects }: { readonly endedAtMs: number; readonly effects?: EffectsLeft | undefined },
): RunState {
  return {
    status: 'ended',
    revision: run.revision,
    branch: run.branch,
    request: run.request,
    epoch: run.epoch,
    lastSeq: run.lastSeq,
    outcome,
    endedAtMs,
    cancelRequested: run.cancel !== undefined || run.ending?.cancelRequested === true,
    unknownEffects: [...(run.ending?.unknown ?? []), ...run.undo.unknown, ...unknownEnds(run)],
    effects,
    commands: run.commands,
    tasksClosed: run.tasksClosed,
    turn: run.turn,
    limits: run.limits,
    spent: run.spent,
    spentByChildren: run.spentByChildren,
  };
}

function divergenceText(event: RunEventOf<'CodeDiverged'>): string {
  const { call, expected, found, position } = event.data.divergence;
  return `the code diverged from the journal at call ${call} (position ${position}): expected ${expected}, found ${found}`;
}
