import { Terminal, token } from '@perdure/kernel';
import type { z } from 'zod';
import type { Tool } from './engine/definitions';
import { checkDisplayName, retryPolicy } from './policies';

export interface RemoteToolOptions<I extends z.ZodType, O extends z.ZodType> {
  /** As it is named where it is executed. */
  readonly name: string;
  /** Whose workers execute it. */
  readonly pool: string;
  /** What the model is told about it. */
  readonly description: string;
  readonly input: I;
  /** Of what it returns: for the types of a workflow's code. */
  readonly output?: O;
}

/**
 * A tool of another pool, and perhaps of another code base, by its name: agents and workflows use it as any other. What it
 * does to the outside (effect class, limits, retries) says the worker that executes it, and nobody else.
 */
export function remoteTool<I extends z.ZodType, O extends z.ZodType = z.ZodType>(
  options: RemoteToolOptions<I, O>,
): Tool<I, z.output<O>> {
  const { name, description, input } = options;
  const pool = token(options.pool, 'pool');
  return {
    kind: 'tool',
    name: checkDisplayName(name, 'tool'),
    description,
    input,
    pool,
    declaredOnly: true,
    // Nobody is bound by these: they only fill the form.
    effect: 'irreversible',
    timeoutMs: 1,
    retry: retryPolicy({ attemptsMax: 1 }),
    code: '',
    execute: () => Promise.reject(new Terminal('NotHere', `${name} is executed by workers of the pool ${pool}, not here.`)),
  };
}
