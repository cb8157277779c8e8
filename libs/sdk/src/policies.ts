import { Terminal } from '@perdure/kernel';
import type { BehaviourLimits } from './engine/definitions';
import {
  behaviourLimits,
  retryPolicy as retryPolicySchema,
  toolTimeouts as toolTimeoutsSchema,
  type RetryPolicy,
  type ToolTimeouts,
} from '@perdure/tenant-contract';

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

/** @throws Terminal `InvalidTimeouts` */
export function toolTimeouts(given: ToolTimeouts, tool: { readonly name: string; readonly timeoutMs: number }): ToolTimeouts {
  const parsed = toolTimeoutsSchema.strict().safeParse(given);
  if (!parsed.success) throw new Terminal('InvalidTimeouts', `The timeouts of ${tool.name}: ${parsed.error.message}`);
  const { heartbeatMs } = parsed.data;
  if (heartbeatMs === undefined || heartbeatMs < tool.timeoutMs) return parsed.data;
  const message = `The tool ${tool.name} would have to show a sign of life every ${heartbeatMs} ms, and its attempts are over after ${tool.timeoutMs} ms. Make heartbeatMs shorter, or timeoutMs longer.`;
  throw new Terminal('InvalidTimeouts', message);
}

/** What undoes is run by whoever holds the run. */
export function undoneElsewhere(tool: string): Terminal {
  const message = `The tool ${tool} has a pool of its own, and what undoes is run by the worker that holds the run. Use a tool without a pool.`;
  return new Terminal('UndoneElsewhere', message);
}

export function checkDisplayName(name: string, what: string): string {
  if (name.length >= 1 && name.length <= 200) return name;
  throw new Terminal('InvalidName', `The name of a ${what} has 1 to 200 characters; got ${JSON.stringify(name.slice(0, 80))}.`);
}
