import { token } from '@perdure/kernel';
import type { RetryPolicy } from '@perdure/tenant-contract';
import type { z } from 'zod';
import type { Agent, Model, Tool } from './engine/definitions';
import { checkDisplayName, retryPolicy } from './policies';

export interface AgentOptions<I extends z.ZodType> {
  readonly name: string;
  readonly model: Model;
  readonly instructions: string | ((input: z.output<I>) => string);
  readonly input: I;
  /** The first message to the model; by default the input itself, or its JSON. */
  readonly prompt?: (input: z.output<I>) => string;
  readonly tools?: readonly Tool[];
  /** Of calls of the model. Default: 3 attempts. */
  readonly retry?: Partial<RetryPolicy>;
  readonly limits?: { readonly turnsMax?: number };
  readonly pool?: string;
}

const TURNS_MAX = 100;

/** Declared behaviour: the loop of model and tools is the engine's own, decided from the log. */
export function agent<I extends z.ZodType>(options: AgentOptions<I>): Agent<I> {
  const { name, model, instructions, input, prompt, tools = [], pool = 'default' } = options;
  return {
    kind: 'agent',
    name: checkDisplayName(name, 'agent'),
    pool: token(pool, 'pool'),
    model,
    input,
    tools,
    modelRetry: retryPolicy(options.retry),
    limits: { turnsMax: options.limits?.turnsMax ?? TURNS_MAX },
    code: `${String(instructions)}\n${String(prompt)}`,
    instructionsFor: (given) => (typeof instructions === 'string' ? instructions : instructions(given)),
    promptFor: (given) => prompt?.(given) ?? (typeof given === 'string' ? given : JSON.stringify(given)),
  };
}
