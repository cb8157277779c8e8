import type { EffectClass } from '@perdure/run-contract';
import type { RetryPolicy } from '@perdure/tenant-contract';
import { z } from 'zod';
import type { ToolScope, Workflow } from './engine/definitions';
import { checkDisplayName } from './policies';
import { tool } from './tool';
import { workflow } from './workflow';

export interface LongTaskOptions<I extends z.ZodType, O extends z.ZodType, B> {
  readonly name: string;
  readonly input: I;
  /** What an answer has to be; another one fails the task with `InvalidSignal`. */
  readonly output: O;
  /** How long an answer is waited for, then the task fails with `CallbackTimedOut`. By default for ever. */
  readonly answerWithinMs?: number;
  /** Of `begin`, as of any tool: what a repetition would do. By default `irreversible`. */
  readonly effect?: EffectClass;
  /** Of `begin`: the time limit of one attempt. */
  readonly timeoutMs?: number;
  readonly retry?: Partial<RetryPolicy>;
  /** Of the worker that hosts it. */
  readonly pool?: string;
  /**
   * Hands the work over to whoever does it, with the token by which they answer: `POST /v1/callbacks/<token>`, or
   * `client.answer(token, …)`. They may answer before this has returned.
   */
  begin(input: z.output<I>, scope: ToolScope & { readonly token: string }): B | Promise<B>;
  /** Takes the work back that was begun: the task was cancelled, or nobody has answered in time. */
  cancel?(input: z.output<I>, begun: Awaited<B>, scope: ToolScope): unknown;
}

const order = z.object({ input: z.unknown(), token: z.string() });
type Order = z.output<typeof order>;

/**
 * Work that others do, for minutes or months, and whose end they tell: a run of its own, which holds nothing while it waits. Its output is the
 * answer. A workflow has it done with `ctx.child`, an agent with `subagent(task, …)` among its tools.
 */
export function longTask<I extends z.ZodType, O extends z.ZodType, B = unknown>(
  options: LongTaskOptions<I, O, B>,
): Workflow<I, z.output<O>> {
  const { name, input, output, answerWithinMs, effect, timeoutMs, retry, pool, begin, cancel } = options;
  const handOver = tool({
    name: `${checkDisplayName(name, 'workflow')}-begin`,
    description: `Hands over the work of ${name}`,
    input: order,
    ...(effect === undefined ? {} : { effect }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(retry === undefined ? {} : { retry }),
    execute: ({ input: given, token }, scope) => begin(given as z.output<I>, { ...scope, token }),
    ...(cancel === undefined
      ? {}
      : {
          compensate: ({ input: given }: Order, begun: B, scope: ToolScope) =>
            cancel(given as z.output<I>, begun as Awaited<B>, scope),
        }),
  });
  const task = workflow({ name, input, ...(pool === undefined ? {} : { pool }), tools: [handOver] }, async (ctx, given) => {
    const { token, result } = await ctx.callback<z.output<O>>({
      schema: output as z.ZodType<z.output<O>>,
      ...(answerWithinMs === undefined ? {} : { timeoutMs: answerWithinMs }),
    });
    await ctx.tool(handOver, { input: given, token });
    return result;
  });
  // What tells one version of it from another is what its author wrote.
  return { ...task, code: [task.code, String(begin), String(cancel), answerWithinMs].join('\n') };
}
