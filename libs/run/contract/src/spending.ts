import { z } from 'zod';
import { displayName } from './values';

/** What a run may use up, and what is said when it does. */

const count = z.number().int().positive();

export const limitName = z.enum(['turns', 'tool-calls', 'tokens', 'cost']);
export type LimitName = z.infer<typeof limitName>;

/** The bounds of one run: those of its author, as its start or a person has changed them. */
export const runLimits = z.object({
  /** Agents: decisions of the model. */
  turnsMax: count.max(1_000_000).optional(),
  toolCallsMax: count.optional(),
  /** Of all its model calls, in and out. */
  tokensMax: count.optional(),
  /** Millionths of a US dollar. */
  costMicroUsdMax: count.optional(),
  /** What happens when one of them is used up: a person is asked, or the run fails. */
  onLimit: z.enum(['pause', 'fail']).optional(),
});
export type RunLimits = Readonly<z.infer<typeof runLimits>>;

/** What a person grants beyond what is used up. */
export const limitExtension = z.object({
  turns: count.max(1_000_000).optional(),
  toolCalls: count.optional(),
  tokens: count.optional(),
  costMicroUsd: count.optional(),
});
export type LimitExtension = Readonly<z.infer<typeof limitExtension>>;

/** What a run has used, from its facts. */
export const spending = z.object({
  modelCalls: z.number(),
  toolCalls: z.number(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  cachedInputTokens: z.number(),
  reasoningTokens: z.number(),
  costMicroUsd: z.number(),
  /** Model calls of which neither the provider nor a price table says what they cost. */
  unpricedCalls: z.number(),
});
export type Spending = Readonly<z.infer<typeof spending>>;

/** The facts of the guard that stands between the turns of a run. */
export const guardEventSchemas = {
  LimitReached: z.object({
    limit: limitName,
    max: z.number().int().nonnegative(),
    used: z.number().int().nonnegative(),
    action: z.enum(['pause', 'fail']),
  }),
  /** An agent goes in circles: first it is told, then a person is asked, then the run ends. */
  LoopSuspected: z.object({
    /** The turn after which it was noticed. */
    turn: count,
    because: z.enum(['repetition', 'no-progress']),
    /** Repetition: the tool that gave the same result for the same arguments. */
    tool: displayName.optional(),
    /** Repetition: how often. No progress: for how many turns. */
    times: count,
    strike: count,
    action: z.enum(['nudge', 'pause', 'end']),
  }),
} as const;
