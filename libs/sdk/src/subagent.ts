import { Terminal, token } from '@perdure/kernel';
import type { ParentClosePolicy } from '@perdure/run-contract';
import type { z } from 'zod';
import type { ChildOf, Tool } from './engine/definitions';
import { checkDisplayName, retryPolicy } from './policies';

export interface SubagentOptions {
  /** What the model is told of it: when to ask it, and what it gives. */
  readonly description: string;
  /** As the model knows it; by default the name of the agent or workflow. */
  readonly name?: string;
  /** Instead of the pool of its author. */
  readonly pool?: string;
  /** Wall-clock limit of each of its runs. */
  readonly deadlineMs?: number;
  /** What becomes of its run when the agent that asked ends or is cancelled first. Default: `cancel`. */
  readonly parentClose?: ParentClosePolicy;
}

/**
 * Gives an agent to another one, as a tool of its model: each use is a run of its own, durable as any other, whose output is the
 * result of the tool, or whose typed failure is its error. Workflows start runs with `ctx.child`.
 */
export function subagent<I extends z.ZodType, O>(of: ChildOf<I, O>, options: SubagentOptions): Tool<I, O> {
  const { description, deadlineMs, parentClose = 'cancel' } = options;
  const name = checkDisplayName(options.name ?? of.name, 'tool');
  const pool = options.pool === undefined ? {} : { pool: token(options.pool, 'pool') };
  return {
    kind: 'tool',
    name,
    description,
    input: of.input,
    child: { name: of.name, parentClose, ...pool, ...(deadlineMs === undefined ? {} : { deadlineMs }) },
    // Nobody executes it: these only fill the form.
    effect: 'idempotent',
    timeoutMs: 1,
    retry: retryPolicy({ attemptsMax: 1 }),
    code: JSON.stringify([of.name, options]),
    execute: () =>
      Promise.reject(new Terminal('NotATool', `${name} is a run of its own: in a workflow, start it with ctx.child.`)),
  };
}
