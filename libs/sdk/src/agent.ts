import { Terminal, token } from '@perdure/kernel';
import type { LoopGuard, RetryPolicy } from '@perdure/tenant-contract';
import type { z } from 'zod';
import type { Agent, Model, Tool } from './engine/definitions';
import { checkDisplayName, limitsOf, retryPolicy, type LimitOptions } from './policies';

export interface AgentOptions<I extends z.ZodType, O = string> {
  readonly name: string;
  readonly model: Model;
  /** Others that a run may be forked with, by their ids. */
  readonly otherModels?: readonly Model[];
  readonly instructions: string | ((input: z.output<I>) => string);
  readonly input: I;
  /** The first message to the model; by default the input itself, or its JSON. */
  readonly prompt?: (input: z.output<I>) => string;
  readonly tools?: readonly Tool[];
  /** Of calls of the model. Default: 3 attempts. */
  readonly retry?: Partial<RetryPolicy>;
  /** 100 turns, unless it says otherwise; a run that has used up a limit is paused, and somebody may extend it. */
  readonly limits?: LimitOptions;
  /**
   * Shows the model its first message and the newest turns alone: at least so many, and fewer than twice as many. Without it the
   * model is shown all turns, and each costs more than the one before.
   */
  readonly contextTurns?: number;
  /** When it counts as going in circles. */
  readonly guard?: LoopGuard;
  /** The form of what its runs give: the model is asked for JSON of this schema. Without it they give the model's text. */
  readonly output?: z.ZodType<O>;
  readonly pool?: string;
}

const TURNS_MAX = 100;

/** Declared behaviour: the loop of model and tools is the engine's own, decided from the log. */
export function agent<I extends z.ZodType, O = string>(options: AgentOptions<I, O>): Agent<I, O> {
  const { name, model, otherModels = [], instructions, input, prompt, tools = [], pool = 'default', contextTurns } = options;
  return {
    kind: 'agent',
    name: checkDisplayName(name, 'agent'),
    pool: token(pool, 'pool'),
    model,
    otherModels,
    input,
    tools,
    modelRetry: retryPolicy(options.retry),
    contextTurns: checkContextTurns(contextTurns),
    limits: { turnsMax: TURNS_MAX, ...limitsOf(options.limits) },
    guard: options.guard ?? {},
    output: options.output,
    code: `${String(instructions)}\n${String(prompt)}${contextTurns === undefined ? '' : `\n${contextTurns}`}`,
    instructionsFor: (given) => (typeof instructions === 'string' ? instructions : instructions(given)),
    promptFor: (given) => prompt?.(given) ?? (typeof given === 'string' ? given : JSON.stringify(given)),
  };
}

/** @throws Terminal `InvalidContext` */
function checkContextTurns(turns: number | undefined): number | undefined {
  if (turns === undefined || (Number.isSafeInteger(turns) && turns > 0)) return turns;
  throw new Terminal('InvalidContext', `The turns that a model is shown are a positive whole number; got ${turns}.`);
}
