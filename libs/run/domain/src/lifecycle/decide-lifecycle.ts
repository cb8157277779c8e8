import { accept, type Decision } from '@perdure/kernel';
import type { RunCommandOf, RunEvent, RunEventOf, RunRejection } from '@perdure/run-contract';
import { nextTurn } from '../agent/agent-loop';
import { LOSSES_COUNTED, LOST_ACTIVATIONS_MAX } from '../bounds';
import { recallCommand } from '../command-memory';
import { fitsPin, wrongBuild } from '../pin/decide-pin';
import { approvalTimerFired } from '../approval/decide-approval';
import { stillExhausted } from '../guard/decide-guard';
import { patienceEnded, patienceEnds } from '../effect/patience';
import { commandExpired, refusal, notYet } from '../rejection';
import type {
  DecidedCommand,
  EnforceCancel,
  EnforcePause,
  Identities,
  KnownCode,
  LoseActivation,
  PlaceRun,
  RequestRun,
} from '../run.commands';
import { decideTaskOfEnded, taskTimerFired } from '../task/decide-task';
import { isOfTask } from '../task/task.state';
import { lastOf } from '../undo/undoing';
import { cancelled, isWaitedFor } from './ensuing';
import { evolve } from '../run.evolve';
import {
  callName,
  hasWork,
  isBetweenTurns,
  isOpen,
  woken,
  type EndedRun,
  type OpenRun,
  type Permit,
  type RunState,
} from '../run.state';

type RunDecision = Decision<RunEvent, RunRejection>;
type Given<C> = DecidedCommand & { readonly command: C };

export function decideRequest({ command, at }: Given<RequestRun>, state: RunState): RunDecision {
  if (state.status !== 'none') {
    if (state.request.requestHash === command.requestHash) return accept();
    return alreadyExists();
  }
  const { kind, name, pool, input, requestHash, deadlineMs, requestedBy, limits, parent } = command;
  const given = {
    ...(requestedBy === undefined ? {} : { requestedBy }),
    ...(limits === undefined ? {} : { limits }),
    ...(parent === undefined ? {} : { parent }),
  };
  const requested: RunEventOf<'RunRequested'> = {
    type: 'RunRequested',
    data: { kind, name, pool, input, requestHash, requestedAtMs: at.nowMs, ...given },
  };
  if (deadlineMs === undefined) return accept<RunEvent>(requested);
  const deadlineAtMs = at.nowMs + deadlineMs;
  return accept<RunEvent>(
    { ...requested, data: { ...requested.data, deadlineAtMs } },
    { type: 'TimerSet', data: { timerId: 'deadline', purpose: 'deadline', dueAtMs: deadlineAtMs } },
  );
}

export function alreadyExists(): RunDecision {
  return refusal(
    'RunAlreadyExists',
    'Another request was started under this run id or idempotency key. Use a new key for a new request.',
  );
}

export function decideRelease({ command, at, code }: Given<RunCommandOf<'ReleaseRun'>>, run: OpenRun): RunDecision {
  if (run.status === 'active' || run.status === 'placing') {
    if (run.permit.permitId === command.permitId) return accept();
    return refusal('RunNotQueued', 'The run already holds a permit; give this one to another.');
  }
  if (run.status !== 'queued') return refusal('RunNotQueued', `The run is ${run.status}; it asks again when it needs capacity.`);
  if (command.term < run.term)
    return refusal(
      'ReleaseSuperseded',
      `A leader of term ${run.term} has released this run before; term ${command.term} has ended.`,
    );
  if (at.nowMs > command.notAfterMs)
    return refusal('ReleaseExpired', 'The release arrived after its time; grant the permit anew.');
  const { permitId, term, workerId, sessionId, buildId } = command;
  if (isUnknownCode(run, code)) return refusal('UnknownAgent', `The build ${buildId} is not known to host ${run.request.name}.`);
  if (!fitsPin(run, buildId, code)) return wrongBuild(run, buildId);
  return accept(
    ...assignment({ run, permit: { permitId, term }, worker: { workerId, sessionId, buildId }, given: { at, code } }),
  );
}

export function decidePlace({ command, at, code }: Given<PlaceRun>, run: OpenRun): RunDecision {
  // Without its code an agent cannot begin; whoever places runs comes back.
  if (run.status !== 'placing' || isUnknownCode(run, code) || !fitsPin(run, command.buildId, code)) return accept();
  return accept(...assignment({ run, permit: run.permit, worker: command, given: { at, code } }));
}

/** Only an agent that has not begun, or was cut off between two turns, needs it: its turn is decided with its assignment. */
function isUnknownCode(run: OpenRun, code: KnownCode): boolean {
  return code.behaviour === undefined && isBetweenTurns(run);
}

interface Assignment {
  readonly run: OpenRun;
  readonly permit: Permit;
  readonly worker: { readonly workerId: string; readonly sessionId: string; readonly buildId: string };
  readonly given: Pick<DecidedCommand, 'at' | 'code'>;
}

function assignment({ run, permit, worker, given }: Assignment): readonly RunEvent[] {
  const { workerId, sessionId, buildId } = worker;
  const assigned: RunEvent = {
    type: 'RunAssigned',
    data: { epoch: run.epoch + 1, workerId, sessionId, buildId, ...permit, assignedAtMs: given.at.nowMs },
  };
  if (isBetweenTurns(run)) return [assigned, nextTurn(run, given.code)];
  return [...patienceEnded(run, given), assigned];
}

export function decideRefuse({ command, at }: Given<RunCommandOf<'RefuseRun'>>, run: OpenRun): RunDecision {
  if (run.status !== 'queued' || run.epoch > 0)
    return refusal('RunNotQueued', 'Only a run that has never been assigned can be refused.');
  const { code, message, retryAfterMs } = command;
  return accept<RunEvent>({
    type: 'RunRefused',
    data: { code, message, ...(retryAfterMs === undefined ? {} : { retryAfterMs }), endedAtMs: at.nowMs },
  });
}

export function decideLoss({ command, at }: Given<LoseActivation>, run: OpenRun): RunDecision {
  if (run.status !== 'active' || run.epoch !== command.epoch) return accept();
  const lost: RunEvent = { type: 'ActivationLost', data: { epoch: command.epoch, reason: command.reason } };
  return accept(lost, ...afterLoss(run, command.reason, at.nowMs));
}

/** What a lost activation leads to, beside another one. */
export function afterLoss(
  run: OpenRun,
  reason: RunEventOf<'ActivationLost'>['data']['reason'],
  nowMs: number,
): readonly RunEvent[] {
  if (run.cancel !== undefined) return [cancelled(run.cancel.reason, nowMs)];
  if (run.pause !== undefined) return [paused(run.pause.reason)];
  const activationsLost = run.lostInARow + 1;
  if (!LOSSES_COUNTED.has(reason) || activationsLost < LOST_ACTIVATIONS_MAX) return [];
  return [{ type: 'RunQuarantined', data: { epoch: run.epoch, activationsLost } }];
}

export function decideCancel({ command, at }: Given<RunCommandOf<'CancelRun'>>, run: OpenRun): RunDecision {
  const memory = recallCommand(run, at.commandId);
  // How it ends is decided already, and that its effects are undone is what one who cancels wants.
  if (memory === 'repeated' || run.cancel !== undefined || run.ending !== undefined) return accept();
  if (memory === 'expired') return commandExpired();
  const requested: RunEvent = {
    type: 'RunCancelRequested',
    data: { reason: command.reason, commandId: at.commandId, requestedAtMs: at.nowMs },
  };
  if (run.status === 'active' || isWaitedFor(run)) return accept(requested);
  return accept(requested, cancelled(command.reason, at.nowMs));
}

export function decideEnforceCancel({ command, at }: Given<EnforceCancel>, run: OpenRun): RunDecision {
  if (run.cancel === undefined || run.epoch !== command.epoch) return accept();
  return accept(cancelled(run.cancel.reason, at.nowMs));
}

/** A run that nobody holds pauses at once; the worker of an active one is asked to finish what it has begun. */
export function decidePause({ command, at }: Given<RunCommandOf<'PauseRun'>>, run: OpenRun): RunDecision {
  const memory = recallCommand(run, at.commandId);
  if (memory === 'repeated' || run.status === 'paused' || run.pause !== undefined) return accept();
  if (memory === 'expired') return commandExpired();
  const { reason } = command;
  const requested: RunEvent = {
    type: 'RunPauseRequested',
    data: { reason, commandId: at.commandId, requestedAtMs: at.nowMs },
  };
  if (run.status === 'active') return accept(requested);
  return accept(requested, paused(reason));
}

export function decideEnforcePause({ command }: Given<EnforcePause>, run: OpenRun): RunDecision {
  if (run.pause === undefined || run.status !== 'active' || run.epoch !== command.epoch) return accept();
  return accept<RunEvent>({ type: 'ActivationLost', data: { epoch: run.epoch, reason: 'paused' } }, paused(run.pause.reason));
}

export function decideTerminate({ command, at }: Given<RunCommandOf<'TerminateRun'>>, run: OpenRun): RunDecision {
  const leftOpen = [...run.calls.values()].map((call) => ({ call: call.call, what: callName(call) }));
  return accept<RunEvent>({ type: 'RunTerminated', data: { reason: command.reason, leftOpen, endedAtMs: at.nowMs } });
}

export function decideResume({ command, at }: Given<RunCommandOf<'ResumeRun'>>, run: OpenRun): RunDecision {
  const memory = recallCommand(run, at.commandId);
  if (memory === 'repeated') return accept();
  if (memory === 'expired') return commandExpired();
  if (run.status !== 'paused' && run.pause === undefined)
    return refusal('RunNotPaused', `The run is ${run.status}; only a paused run can be resumed.`);
  const { reason, extend } = command;
  const exhausted = stillExhausted(run, extend);
  if (exhausted !== undefined) return exhausted;
  const more = extend === undefined ? {} : { extend };
  return accept<RunEvent>({ type: 'RunResumed', data: { reason, commandId: at.commandId, ...more } });
}

export function decideFire({ command, at, code }: Given<RunCommandOf<'FireTimer'>>, run: OpenRun): RunDecision {
  const timer = run.timers.get(command.timerId);
  // It has fired, or its call has ended: either way nothing is left to do.
  if (timer === undefined) return accept();
  if (at.nowMs < timer.dueAtMs) {
    return notYet(
      'TimerNotDue',
      `The timer ${timer.timerId} is due in ${timer.dueAtMs - at.nowMs} ms by the owner's clock.`,
      timer.dueAtMs - at.nowMs,
    );
  }
  if (timer.purpose === 'approval-expiry' || timer.purpose === 'approval-escalation')
    return approvalTimerFired({ command, at, code }, run, timer);
  if (isOfTask(timer)) return taskTimerFired({ command, at, code }, run, timer);
  const fired: RunEvent = { type: 'TimerFired', data: { timerId: timer.timerId, dueAtMs: timer.dueAtMs } };
  if (timer.purpose === 'deadline') {
    return accept<RunEvent>(fired, { type: 'RunTimedOut', data: { deadlineAtMs: timer.dueAtMs, endedAtMs: at.nowMs } });
  }
  if (timer.purpose === 'undo')
    return accept<RunEvent>(fired, ...(run.ending === undefined ? [] : [lastOf(run.ending, at.nowMs)]));
  if (timer.purpose === 'start' || timer.purpose === 'total') return accept(...patienceEnds(run, fired, { timer, at, code }));
  const after = evolve(run, fired);
  // What is due at a worker of another pool is no work for one that holds the run.
  const isWork = isOpen(after) && after.status === 'suspended' && after.cancel === undefined && hasWork(after);
  return isWork ? accept(fired, woken(after)) : accept(fired);
}

export function paused(reason: string): RunEvent {
  return { type: 'RunPaused', data: { reason } };
}

/** A command that cannot change a run that has ended; repeats of what ended it are still answered. */
export function decideForEnded(
  { command, at, code, hash }: DecidedCommand & Pick<Identities, 'hash'>,
  run: EndedRun,
): RunDecision {
  switch (command.type) {
    case 'RequestRun':
      return decideRequest({ command, at, code: { behaviour: undefined, tool: () => undefined } }, run);
    case 'CancelRun':
      if (run.outcome.status === 'cancelled' || run.commands.some((known) => known.id === at.commandId)) return accept();
      break;
    case 'RecordProgress':
      if (command.epoch === run.epoch && command.seq <= run.lastSeq) return accept();
      break;
    case 'FireTimer':
    case 'LoseActivation':
    case 'PlaceRun':
    case 'EnforceCancel':
    case 'EnforcePause':
    case 'LoseExecution':
    case 'EndChild':
    case 'NoteChildStarted':
    case 'NoteMessage':
      return accept();
    case 'TerminateRun':
      if (run.outcome.status === 'terminated') return accept();
      break;
    case 'RefuseRun':
      if (run.outcome.status === 'refused') return accept();
      break;
    case 'SignalRun':
      if (run.commands.some((known) => known.id === at.commandId)) return accept();
      break;
    case 'AnswerTask':
    case 'DelegateTask':
      return decideTaskOfEnded({ command, at, code, hash }, run);
    case 'RequestFork':
      if (run.request.requestHash === command.requestHash) return accept();
      return alreadyExists();
    case 'RewindRun':
    case 'ReleaseRun':
    case 'PauseRun':
    case 'ResumeRun':
    case 'RepinRun':
    case 'ResolveEffect':
    case 'ClaimEffect':
    case 'ReportEffect':
    case 'RecordVote':
    case 'RecordRefusal':
    case 'RedriveEffect':
    case 'GiveUpEffect':
  }
  return refusal('RunAlreadyEnded', `The run has ended: ${run.outcome.status}. Nothing can change it; start another.`, {
    details: { outcome: run.outcome.status },
  });
}

export function decideForMissing(): RunDecision {
  return refusal('RunNotFound', 'No run with this id exists for this tenant. Check the id and the tenant, or start it.');
}
