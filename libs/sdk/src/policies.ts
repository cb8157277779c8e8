import { Terminal } from '@perdure/kernel';
import { retryPolicy as retryPolicySchema, type RetryPolicy } from '@perdure/tenant-contract';

const DEFAULTS: RetryPolicy = { attemptsMax: 3, initialDelayMs: 500, factor: 2, delayMaxMs: 30_000 };

/** @throws Terminal `InvalidRetryPolicy` */
export function retryPolicy(given: Partial<RetryPolicy> = {}): RetryPolicy {
  const parsed = retryPolicySchema.safeParse({ ...DEFAULTS, ...given });
  if (parsed.success) return parsed.data;
  throw new Terminal('InvalidRetryPolicy', parsed.error.message);
}

export function checkDisplayName(name: string, what: string): string {
  if (name.length >= 1 && name.length <= 200) return name;
  throw new Terminal('InvalidName', `The name of a ${what} has 1 to 200 characters; got ${JSON.stringify(name.slice(0, 80))}.`);
}
