import type { ErrorRecord, Reaction } from '@perdure/kernel';

/** Why the owner of a run refuses a command; each names its reaction and what to do. */
export type RunRejectionType =
  | 'RunNotFound'
  | 'RunAlreadyExists'
  | 'RunAlreadyEnded'
  | 'RunNotPaused'
  | 'RunNotQueued'
  | 'StaleEpoch'
  | 'SequenceGap'
  | 'ReleaseExpired'
  | 'ReleaseSuperseded'
  | 'TimerNotDue'
  | 'TimerUnknown'
  | 'UnknownCall'
  | 'CallConflict'
  | 'UnknownTool'
  | 'EffectClassUnsupported'
  | 'CommandIdExpired'
  | 'UnknownAgent'
  | 'InvalidInput'
  | 'PayloadTooLarge'
  | 'MalformedRequest'
  | 'UnsupportedVersion';

export interface RunRejection extends ErrorRecord {
  readonly code: RunRejectionType;
}

const REACTIONS: Partial<Record<RunRejectionType, Reaction>> = { TimerNotDue: 'retryable', SequenceGap: 'retryable' };

export function rejection(
  code: RunRejectionType,
  message: string,
  extra: { readonly retryAfterMs?: number; readonly details?: Readonly<Record<string, unknown>> } = {},
): RunRejection {
  return { code, message, reaction: REACTIONS[code] ?? 'terminal', ...extra };
}
