import type { ErrorRecord } from '@perdure/kernel';

/** The one place where an error meets HTTP. What is not listed follows its reaction. */
const STATUS: Readonly<Record<string, number>> = {
  RunNotFound: 404,
  RouteNotFound: 404,
  UnknownAgent: 404,
  InvalidInput: 400,
  InvalidName: 400,
  MalformedRequest: 400,
  UnsupportedVersion: 400,
  UnsupportedMediaType: 415,
  PayloadTooLarge: 413,
  RunAlreadyExists: 409,
  RunAlreadyEnded: 409,
  RunNotPaused: 409,
  UnknownBuild: 404,
  JournalTooLong: 413,
  NotPinned: 409,
  CommandIdExpired: 409,
  EffectNotInQuestion: 409,
  EffectMayStillRun: 409,
  LimitExhausted: 409,
  OnlyAPersonMay: 403,
  NoSuchApproval: 404,
  NoSuchPolicy: 404,
  InvalidChange: 400,
  NotIdentified: 403,
  UnknownApprover: 403,
  WrongRole: 403,
  SelfApproval: 403,
  BadSignature: 403,
  OtherRun: 409,
  OtherRequest: 409,
  PolicyMismatch: 409,
  ApprovalClosed: 409,
  ApprovalExpired: 409,
  DuplicateVote: 409,
  ChangedArguments: 409,
  QueueFull: 429,
  TooManySignals: 429,
  CallbackClosed: 410,
  NoSuchTask: 404,
  TaskClosed: 410,
  OtherTask: 409,
  NotYourTask: 403,
  InvalidAnswer: 422,
  InvalidCallback: 404,
  NoSuchRevision: 404,
  HistoryTooLong: 422,
  ModelNotOffered: 422,
  InputNotReplaceable: 409,
  EffectsUnsettled: 409,
  RunMovedOn: 409,
  CancelUnderWay: 409,
  TooManyStreams: 429,
  ScheduleNotFound: 404,
  ScheduleAlreadyExists: 409,
  ScheduleChanged: 409,
  TooManyBackfills: 409,
  InvalidCron: 400,
  InvalidDate: 400,
  UnknownTimeZone: 400,
  InvalidBackfill: 400,
  NeverFires: 400,
  NoResponders: 503,
  RequestTimedOut: 503,
  BusUnavailable: 503,
  StoreUnavailable: 503,
  InvariantViolated: 500,
  InternalError: 500,
};

const BY_REACTION: Readonly<Record<ErrorRecord['reaction'], number>> = {
  terminal: 422,
  retryable: 503,
  cancelled: 409,
  suspended: 409,
};

const RETRY_AFTER_DEFAULT_MS = 1_000;

export function httpStatusOf(error: ErrorRecord): number {
  return STATUS[error.code] ?? BY_REACTION[error.reaction];
}

/** Whole seconds, as the header wants them; only for what may be tried again. */
export function retryAfterSeconds(error: ErrorRecord): number | undefined {
  if (error.reaction !== 'retryable') return undefined;
  return Math.max(1, Math.ceil((error.retryAfterMs ?? RETRY_AFTER_DEFAULT_MS) / 1_000));
}
