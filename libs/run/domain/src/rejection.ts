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

/** Refused for now: the same command may be accepted later. */
export function notYet(code: RunRejectionType, message: string, retryAfterMs: number): { readonly rejected: RunRejection } {
  return { rejected: { code, message, reaction: 'retryable', retryAfterMs } };
}
