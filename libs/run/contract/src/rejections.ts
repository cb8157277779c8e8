import type { ErrorRecord } from '@perdure/kernel';

/** Why what somebody tried with an approval is refused; each is also a fact of the run. */
export type ApprovalRefusal =
  | 'BadSignature'
  | 'OtherRun'
  | 'NoSuchApproval'
  | 'ApprovalClosed'
  | 'OtherRequest'
  | 'ApprovalExpired'
  | 'WrongRole'
  | 'SelfApproval'
  | 'DuplicateVote'
  | 'ChangedArguments'
  | 'GrantMissing'
  | 'GrantMismatch'
  | 'GrantRefused';

/** Why the owner of a run refuses a command; each names its reaction and what to do. */
export type RunRejectionType =
  | 'RunNotFound'
  | 'RunAlreadyExists'
  | 'RunAlreadyEnded'
  | 'RunNotPaused'
  | 'RunNotQueued'
  | 'WrongBuild'
  | 'UnknownBuild'
  | 'NotPinned'
  | 'StaleEpoch'
  | 'SequenceGap'
  | 'ReleaseExpired'
  | 'ReleaseSuperseded'
  | 'TimerNotDue'
  | 'UnknownCall'
  | 'CallConflict'
  | 'UnknownTool'
  | 'EffectNotClaimed'
  | 'EffectAlreadyClaimed'
  | 'EffectNotDue'
  | 'ArgumentsChanged'
  | 'NotTheExecutor'
  | 'EffectNotInQuestion'
  | 'EffectMayStillRun'
  | 'LimitExhausted'
  | 'EffectNotDeadLettered'
  | 'UndoNeedsApproval'
  | 'OnlyAPersonMay'
  | 'TooManySignals'
  | 'CallbackClosed'
  | 'NoSuchTask'
  | 'TaskClosed'
  | 'OtherTask'
  | 'NotYourTask'
  | 'InvalidAnswer'
  | ApprovalRefusal
  | 'NoSuchRevision'
  | 'HistoryTooLong'
  | 'InputNotReplaceable'
  | 'ModelNotOffered'
  | 'EffectsUnsettled'
  | 'RunMovedOn'
  | 'CancelUnderWay'
  | 'CommandIdExpired'
  | 'NothingToWaitFor'
  | 'NotForAgents'
  | 'UnknownAgent'
  | 'InvalidInput'
  | 'PayloadTooLarge'
  | 'MalformedRequest'
  | 'UnsupportedVersion';

export interface RunRejection extends ErrorRecord {
  readonly code: RunRejectionType;
}
