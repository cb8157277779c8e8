import { PerdureError } from '@perdure/kernel';
import type { z } from 'zod';
import type { ChildOf, ChildOptions, WorkflowContext } from './engine/definitions';

/** When a child that has failed is started again. */
export interface RestartPolicy {
  /** Restarts in all, after which the failure is the supervisor's. Default: 3. */
  readonly restartsMax?: number;
  /** Before the first restart; each further one waits `factor` times longer, up to `delayMaxMs`. Default: a second, doubled, up to a minute. */
  readonly initialDelayMs?: number;
  readonly factor?: number;
  readonly delayMaxMs?: number;
  /** Codes of failures that another start would not mend. A child that was cancelled is never started again. */
  readonly nonRetryable?: readonly string[];
}

const NEVER_AGAIN: readonly string[] = ['ChildCancelled', 'InvalidInput', 'UnknownAgent'];

/**
 * Runs a child until it completes, and starts another one in its place when it fails: one for one. Several of them under
 * `ctx.all` are a team in which each is mended alone; a `supervise` around a workflow that does so mends them together.
 * @throws the failure of the last child
 */
export async function supervise<I extends z.ZodType, O>(
  ctx: Pick<WorkflowContext, 'child' | 'sleep'>,
  of: ChildOf<I, O>,
  {
    input,
    policy = {},
    options,
  }: { readonly input: z.input<I>; readonly policy?: RestartPolicy; readonly options?: ChildOptions },
): Promise<O> {
  const { restartsMax = 3, initialDelayMs = 1_000, factor = 2, delayMaxMs = 60_000, nonRetryable = [] } = policy;
  for (let restarts = 0; ; restarts += 1) {
    try {
      return await ctx.child(of, input, options);
    } catch (error) {
      const isFinal = !(error instanceof PerdureError) || [...NEVER_AGAIN, ...nonRetryable].includes(error.code);
      if (isFinal || restarts >= restartsMax) throw error;
      await ctx.sleep(Math.min(delayMaxMs, initialDelayMs * factor ** restarts));
    }
  }
}
