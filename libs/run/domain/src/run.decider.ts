import { unreachable, type Decision } from '@perdure/kernel';
import type { RunEvent, RunRejection } from '@perdure/run-contract';
import {
  decideCancel,
  decideEnforceCancel,
  decideEnforcePause,
  decideFire,
  decideForEnded,
  decideForMissing,
  decideLoss,
  decidePause,
  decidePlace,
  decideRefuse,
  decideRelease,
  decideRequest,
  decideResume,
  decideTerminate,
} from './lifecycle/decide-lifecycle';
import { decideChildStarted, decideEndChild } from './child/decide-child';
import { decideNoteMessage } from './message/decide-message';
import { decideRepin } from './pin/decide-pin';
import { decideRefusal, decideVote } from './approval/decide-approval';
import { decideDeadLetter } from './effect/decide-dead-letter';
import { decideResolve, settled } from './effect/decide-effect';
import { decideClaim, decideLoseExecution, decideReport } from './effect/decide-pooled';
import { guarded } from './guard/decide-guard';
import { decideFork, decideRewind, inBranches } from './branch/decide-branch';
import { decideProgress } from './lifecycle/decide-progress';
import { decideSignal } from './signal/decide-signal';
import { withTimers } from './effect/exhaustion';
import type { DecidedCommand, Identities } from './run.commands';
import { decideTask } from './task/decide-task';
import { undoing } from './undo/undoing';
import { evolve } from './run.evolve';
import { noRun, type RunState } from './run.state';

export function runDecider(identities: Identities) {
  return {
    initial: noRun,
    evolve,
    decide: (given: DecidedCommand, state: RunState): Decision<RunEvent, RunRejection> => {
      const decision = decide(given, state, identities);
      if ('rejected' in decision) return decision;
      const { nowMs } = given.at;
      // What begins the end of a run takes back the timers that are left.
      const events = withTimers(state, guarded(state, decision.accepted, given), nowMs);
      return { accepted: inBranches(state, settled(state, undoing(state, events, nowMs), nowMs)) };
    },
  };
}

function decide(given: DecidedCommand, state: RunState, identities: Identities): Decision<RunEvent, RunRejection> {
  const { command, at, code } = given;
  if (command.type === 'RequestRun' && state.status !== 'ended') return decideRequest({ command, at, code }, state);
  if (command.type === 'RequestFork' && state.status !== 'ended') return decideFork({ command, at, code, ...identities }, state);
  if (state.status === 'none') return decideForMissing();
  if (state.status === 'ended') return decideForEnded({ ...given, ...identities }, state);
  switch (command.type) {
    case 'RequestRun':
      return decideRequest({ command, at, code }, state);
    case 'ReleaseRun':
      return decideRelease({ command, at, code }, state);
    case 'RefuseRun':
      return decideRefuse({ command, at, code }, state);
    case 'PlaceRun':
      return decidePlace({ command, at, code }, state);
    case 'LoseActivation':
      return decideLoss({ command, at, code }, state);
    case 'CancelRun':
      return decideCancel({ command, at, code }, state);
    case 'EnforceCancel':
      return decideEnforceCancel({ command, at, code }, state);
    case 'PauseRun':
      return decidePause({ command, at, code }, state);
    case 'EnforcePause':
      return decideEnforcePause({ command, at, code }, state);
    case 'TerminateRun':
      return decideTerminate({ command, at, code }, state);
    case 'ResumeRun':
      return decideResume({ command, at, code }, state);
    case 'RepinRun':
      return decideRepin({ command, at, code }, state);
    case 'RequestFork':
      return decideFork({ command, at, code, ...identities }, state);
    case 'RewindRun':
      return decideRewind({ command, at, code, ...identities }, state);
    case 'SignalRun':
      return decideSignal({ command, at, code }, state);
    case 'ResolveEffect':
      return decideResolve({ command, at, code }, state);
    case 'ClaimEffect':
      return decideClaim({ command, at, code }, state);
    case 'ReportEffect':
      return decideReport({ command, at, code }, state);
    case 'EndChild':
      return decideEndChild({ command, at, code }, state);
    case 'NoteMessage':
      return decideNoteMessage({ command, at, code }, state);
    case 'NoteChildStarted':
      return decideChildStarted({ command, at, code }, state);
    case 'LoseExecution':
      return decideLoseExecution({ command, at, code }, state);
    case 'RecordVote':
      return decideVote({ command, at, code, ...identities }, state);
    case 'RecordRefusal':
      return decideRefusal({ command, at, code }, state);
    case 'AnswerTask':
    case 'DelegateTask':
      return decideTask({ command, at, code, ...identities }, state);
    case 'RedriveEffect':
    case 'GiveUpEffect':
      return decideDeadLetter({ command, at, code }, state);
    case 'FireTimer':
      return decideFire({ command, at, code }, state);
    case 'RecordProgress':
      return decideProgress({ command, at, code, ...identities }, state);
    default:
      return unreachable(command);
  }
}
