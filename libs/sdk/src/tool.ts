import { Terminal } from '@perdure/kernel';
import type { EffectClass } from '@perdure/run-contract';
import type { RetryPolicy } from '@perdure/tenant-contract';
import type { z } from 'zod';
import type { Tool, ToolScope } from './engine/definitions';
import { checkDisplayName, retryPolicy } from './policies';

export interface ToolOptions<I extends z.ZodType, R> {
  readonly name: string;
  /** What the model is told about it. */
  readonly description: string;
  readonly input: I;
  /** What a repetition would do. A tool that declares nothing is never run twice: `irreversible`. */
  readonly effect?: EffectClass;
  /** Per attempt; 60 s by default. The signal fires when it is over. */
  readonly timeoutMs?: number;
  /** Default: 3 attempts for `pure` and `idempotent` tools, 1 for the others. */
  readonly retry?: Partial<RetryPolicy>;
  execute(input: z.output<I>, scope: ToolScope): R | Promise<R>;
}

const TIMEOUT_MS = 60_000;

/** A capability that agents and workflows use: recorded before and after, retried as declared. */
export function tool<I extends z.ZodType, O extends z.ZodType>(
  options: ToolOptions<I, z.input<O>> & { readonly output: O },
): Tool<I, z.output<O>>;
export function tool<I extends z.ZodType, R>(options: ToolOptions<I, R>): Tool<I, R>;
export function tool(options: ToolOptions<z.ZodType, unknown> & { readonly output?: z.ZodType }): Tool {
  const { name, description, input, output, effect = 'irreversible', timeoutMs = TIMEOUT_MS } = options;
  const attemptsMax = effect === 'pure' || effect === 'idempotent' ? 3 : 1;
  return {
    kind: 'tool',
    name: checkDisplayName(name, 'tool'),
    description,
    input,
    effect,
    timeoutMs,
    retry: retryPolicy({ attemptsMax, ...options.retry }),
    code: String(options.execute),
    execute: async (args, scope) => {
      const result = await options.execute(args, scope);
      if (output === undefined) return result;
      const parsed = await output.safeParseAsync(result);
      if (parsed.success) return parsed.data;
      throw new Terminal('InvalidOutput', `The result of ${name} does not fit its output: ${parsed.error.message}`);
    },
  };
}
