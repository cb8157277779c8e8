import type { RunRejection, RunRejectionType } from '@perdure/run-contract';

interface RejectionExtras {
  readonly retryAfterMs?: number;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Refused for good: the message says what to do instead. */
export function refusal(
  code: RunRejectionType,
  message: string,
  extras: RejectionExtras = {},
): { readonly rejected: RunRejection } {
  return { rejected: { code, message, reaction: 'terminal', ...extras } };
}

/** What a worker reports does not fit what is open. */
export function unknownCall(call: string): { readonly rejected: RunRejection } {
  return refusal('UnknownCall', `The call ${call} is not open in this attempt: it was never intended, or it has ended.`, {
    details: { call },
  });
}

export function callConflict(call: string): { readonly rejected: RunRejection } {
  return refusal('CallConflict', `The call ${call} is open already; one identity stands for one call.`, { details: { call } });
}

export function commandExpired(): { readonly rejected: RunRejection } {
  return refusal(
    'CommandIdExpired',
    'This command id is too old to tell whether it was handled. Look at the run, then send a new command.',
  );
}

/** Refused for now: the same command may be accepted later. */
export function notYet(code: RunRejectionType, message: string, retryAfterMs: number): { readonly rejected: RunRejection } {
  return { rejected: { code, message, reaction: 'retryable', retryAfterMs } };
}
