import type { LimitName, Spending } from '@perdure/run-contract';

/**
 * What a run has used, and whether it gets anywhere: of constant size however long it lives. What follows from it is decided
 * in `decide-guard`.
 */
export interface Guard {
  /** The newest results, oldest first: the tool, and a fingerprint of arguments and result. */
  readonly recent: readonly string[];
  /** Results not seen before since it was last suspected. */
  readonly fresh: number;
  /** How often it was suspected without having recovered. */
  readonly strikes: number;
  /** Turns in a row that brought nothing new. */
  readonly barrenTurns: number;
  /** Turns in a row in which everything that the model asked for was refused before it ran. */
  readonly mistakenTurns: number;
  /** Answers in a row that do not have the form that was asked for. */
  readonly invalidOutputs: number;
  /** Tool calls of the present turn that have ended. */
  readonly turn: { readonly ended: number; readonly fresh: number; readonly mistakes: number };
  /** For what the run waits for a person. */
  readonly hold: LimitName | 'loop' | undefined;
}

export const NO_CALLS = { ended: 0, fresh: 0, mistakes: 0 };

export const newGuard: Guard = {
  recent: [],
  fresh: 0,
  strikes: 0,
  barrenTurns: 0,
  mistakenTurns: 0,
  invalidOutputs: 0,
  turn: NO_CALLS,
  hold: undefined,
};

export const nothingSpent: Spending = {
  modelCalls: 0,
  toolCalls: 0,
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  reasoningTokens: 0,
  costMicroUsd: 0,
  unpricedCalls: 0,
};

export function addSpending(left: Spending, right: Spending): Spending {
  const sum = { ...left };
  for (const key of Object.keys(nothingSpent) as (keyof Spending)[]) sum[key] += right[key];
  return sum;
}
