import type { RetryPolicy } from '@perdure/tenant-contract';

export const NO_RETRY: RetryPolicy = { attemptsMax: 1, initialDelayMs: 0, factor: 1, delayMaxMs: 0 };

/**
 * When to try again after attempt `attempt` (from 1), in milliseconds from now; undefined = exhausted.
 * Exponential with full jitter. Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, fraction: number): number | undefined {
  if (attempt >= policy.attemptsMax) return undefined;
  const ceilingMs = Math.min(policy.delayMaxMs, policy.initialDelayMs * policy.factor ** (attempt - 1));
  return Math.round(ceilingMs * fraction);
}
