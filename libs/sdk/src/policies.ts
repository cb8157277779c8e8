import { Terminal } from '@perdure/kernel';
import type { BehaviourLimits } from './engine/definitions';
import { behaviourLimits, retryPolicy as retryPolicySchema, type RetryPolicy } from '@perdure/tenant-contract';

const DEFAULTS: RetryPolicy = { attemptsMax: 3, initialDelayMs: 500, factor: 2, delayMaxMs: 30_000 };

/** @throws Terminal `InvalidRetryPolicy` */
export function retryPolicy(given: Partial<RetryPolicy> = {}): RetryPolicy {
  const parsed = retryPolicySchema.safeParse({ ...DEFAULTS, ...given });
  if (parsed.success) return parsed.data;
  throw new Terminal('InvalidRetryPolicy', parsed.error.message);
}

export interface LimitOptions {
  /** Agents: decisions of the model. */
  readonly turnsMax?: number;
  readonly toolCallsMax?: number;
  /** Of all calls of models of a run, in and out. */
  readonly tokensMax?: number;
  /** US dollars; only what the provider or a price table says counts. */
  readonly costUsdMax?: number;
  /** Wall-clock time of a run that is started without a deadline: it ends timed out. */
  readonly wallTimeMs?: number;
  /** What happens when one of them is used up. `pause`, the default: somebody may extend it. */
  readonly onLimit?: 'pause' | 'fail';
}

/** @throws Terminal `InvalidLimits` */
export function limitsOf({ costUsdMax, ...limits }: LimitOptions = {}): BehaviourLimits {
  const cost = costUsdMax === undefined ? {} : { costMicroUsdMax: Math.round(costUsdMax * 1_000_000) };
  const given = { onLimit: 'pause' as const, ...limits, ...cost };
  const parsed = behaviourLimits.safeParse(given);
  if (parsed.success) return given;
  throw new Terminal('InvalidLimits', `The limits are positive whole numbers: ${parsed.error.message}`);
}

export function checkDisplayName(name: string, what: string): string {
  if (name.length >= 1 && name.length <= 200) return name;
  throw new Terminal('InvalidName', `The name of a ${what} has 1 to 200 characters; got ${JSON.stringify(name.slice(0, 80))}.`);
}
