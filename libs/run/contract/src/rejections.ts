import type { ErrorRecord } from '@perdure/kernel';

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
  | 'OnlyAPersonMay'
  | 'TooManySignals'
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
