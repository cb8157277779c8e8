import { token } from '@perdure/kernel';
import type { RetryPolicy } from '@perdure/tenant-contract';
import type { z } from 'zod';
import type { Tool, Workflow, WorkflowContext } from './engine/definitions';
import { checkDisplayName, limitsOf, retryPolicy, type LimitOptions } from './policies';

export interface WorkflowOptions<I extends z.ZodType> {
  readonly name: string;
  readonly input: I;
  readonly pool?: string;
  /** What the code gives to `ctx.tool`: the worker that hosts the workflow offers them. */
  readonly tools?: readonly Tool[];
  /** Of calls of models made by the code. Default: 3 attempts. */
  readonly modelRetry?: Partial<RetryPolicy>;
  /** None, unless it says otherwise; a run that has used one up is paused, and somebody may extend it. */
  readonly limits?: Omit<LimitOptions, 'turnsMax'>;
}

/** Plain async code whose every consequence is recorded: after a crash it runs again over what is recorded. */
export function workflow<I extends z.ZodType, O>(
  options: WorkflowOptions<I>,
  run: (ctx: WorkflowContext, input: z.output<I>) => O | Promise<O>,
): Workflow<I, O> {
  const { name, input, pool = 'default', tools = [] } = options;
  return {
    kind: 'workflow',
    name: checkDisplayName(name, 'workflow'),
    pool: token(pool, 'pool'),
    input,
    tools,
    modelRetry: retryPolicy(options.modelRetry),
    limits: limitsOf(options.limits),
    code: String(run),
    run: async (ctx, given) => run(ctx, given),
  };
}
