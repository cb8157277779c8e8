import { delay, PerdureError, Retryable, type Bus, type ErrorRecord, type Host } from '@perdure/kernel';
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS } from './bounds';
import { errorOf } from './outcome';

export interface Question {
  readonly subject: string;
  /** Sent again unchanged until there is an answer. */
  readonly payload: string;
  readonly timeoutMs: number;
  /** On the monotonic clock; without it the question is repeated for ever. */
  readonly untilMs?: number;
  /** Asked before each repeat. */
  withdrawn?(): boolean;
}

export const WITHDRAWN: unique symbol = Symbol('withdrawn');

/**
 * Repeats a request until it is answered.
 * @throws the error that was answered, or the last one when the time is up
 */
export async function ask({ bus, host }: { bus: Bus; host: Host }, question: Question): Promise<unknown> {
  for (let attempt = 0; ; attempt += 1) {
    let failure: PerdureError;
    try {
      const reply = parseReply(await bus.request(question.subject, question.payload, { timeoutMs: question.timeoutMs }));
      if (reply.ok) return reply.value;
      failure = errorOf(reply.error);
    } catch (error) {
      failure = asPerdureError(error);
    }
    if (question.withdrawn?.() === true) return WITHDRAWN;
    if (failure.reaction !== 'retryable') throw failure;
    const pauseMs = Math.max(backoffMs(attempt, host), failure.retryAfterMs ?? 0);
    if (question.untilMs !== undefined && host.clock.monotonicMs() + pauseMs >= question.untilMs) throw failure;
    await delay(host, pauseMs);
    if (question.withdrawn?.() === true) return WITHDRAWN;
  }
}

/** Exponential; half of it is chance, so that those who lost the same owner do not return at the same moment. */
function backoffMs(attempt: number, host: Host): number {
  const ceilingMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 10));
  return ceilingMs / 2 + (ceilingMs / 2) * host.entropy.fraction();
}

function asPerdureError(error: unknown): PerdureError {
  return error instanceof PerdureError
    ? error
    : new Retryable('RequestFailed', 'The request failed before it was answered.', { cause: error });
}

type Reply = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: ErrorRecord };

/** Only what is looked at here is checked; `value` is parsed by who knows its form. */
function parseReply(text: string): Reply {
  const reply = JSON.parse(text) as Partial<{ ok: unknown; value: unknown; error: ErrorRecord }> | null;
  if (reply?.ok === true) return { ok: true, value: reply.value };
  if (reply?.ok === false && typeof reply.error?.code === 'string') return { ok: false, error: reply.error };
  throw new Retryable('MalformedAnswer', 'The answer is none; the request is repeated.');
}
