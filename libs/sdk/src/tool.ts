import { mustBeClaimed, Terminal, token } from '@perdure/kernel';
import type { EffectClass } from '@perdure/run-contract';
import type { RetryPolicy, ToolTimeouts } from '@perdure/tenant-contract';
import type { z } from 'zod';
import type { Compensation, Probed, ProbeScope, Tool, ToolScope } from './engine/definitions';
import { checkDisplayName, retryPolicy, toolTimeouts, undoneElsewhere } from './policies';

export interface ToolOptions<I extends z.ZodType, R> {
  readonly name: string;
  /** What the model is told about it. */
  readonly description: string;
  readonly input: I;
  /**
   * What a repetition would do. `pure`: nothing. `idempotent`: nothing more, under the same key. `probeable`: it must not be
   * repeated, and the destination can be asked. `irreversible`, which is what a tool that declares nothing is: never run twice
   * without somebody's word.
   */
  readonly effect?: EffectClass;
  /**
   * Executed by the workers of this pool that host the tool, whoever holds the run: they alone need what it takes to reach the
   * destination. Absent: by the worker that holds the run.
   */
  readonly pool?: string | undefined;
  /** Per attempt; 60 s by default. The signal fires when it is over. What became of an effect is asked after it, at the earliest. */
  readonly timeoutMs?: number;
  /**
   * `scheduleToStartMs`: how long an attempt that is due may wait to be begun; `totalMs`: from the intention, no attempt begins later;
   * `heartbeatMs`: between two calls of `scope.heartbeat`. The time limit of an attempt is `timeoutMs`.
   */
  readonly timeouts?: ToolTimeouts | undefined;
  /** Default: 3 attempts for `pure` and `idempotent` tools, 1 for the others. `nonRetryable` names codes of errors that end it at once. */
  readonly retry?: Partial<RetryPolicy>;
  /**
   * `required`: the worker runs it under a signed grant only, whatever the owner of the run says. Without a policy of the tenant that
   * says more, one person with the role `approver` has to agree within a day. A policy may ask for approval of any tool.
   */
  readonly approval?: 'required' | undefined;
  /**
   * When the attempts or the time given to them are used up. Default: the call fails with the last error. `fail`: it fails with
   * `EffectExhausted`, which names the attempts and the last error. `dead-letter`: it waits until a person has it tried again or gives it up.
   */
  readonly onExhausted?: 'fail' | 'dead-letter' | undefined;
  /**
   * Of a `probeable` or `irreversible` tool: a `Terminal` or `Retryable` thrown here says that nothing happened; whatever else is
   * thrown, that nobody knows.
   */
  execute(input: z.output<I>, scope: ToolScope): R | Promise<R>;
  /**
   * Undoes a use that was confirmed, should its run fail, be cancelled or time out: newest first, once. It may be begun more than once
   * under one key of its own, unless `compensation.effect` says `irreversible`; then it is claimed, as effects of that class are.
   */
  readonly compensate?: ((input: z.output<I>, result: Awaited<R>, scope: ToolScope) => unknown) | undefined;
  /** Of `compensate`. Default: `idempotent`, the time limit of the tool, and patience of about an hour. */
  readonly compensation?:
    (Partial<Pick<Compensation, 'effect' | 'timeoutMs'>> & { readonly retry?: Partial<RetryPolicy> }) | undefined;
  /** Asks the destination what became of an execution whose end is not known; it begins after the time limit of that execution. */
  readonly probe?: ((input: z.output<I>, scope: ProbeScope) => Probed<R> | Promise<Probed<R>>) | undefined;
}

const TIMEOUT_MS = 60_000;

/** A capability that agents and workflows use: recorded before and after, retried as declared. */
export function tool<I extends z.ZodType, O extends z.ZodType>(
  options: ToolOptions<I, z.input<O>> & { readonly output: O },
): Tool<I, z.output<O>>;
export function tool<I extends z.ZodType, R>(options: ToolOptions<I, R>): Tool<I, R>;
export function tool(options: ToolOptions<z.ZodType, unknown> & { readonly output?: z.ZodType }): Tool {
  const { name, description, input, output, effect = 'irreversible', timeoutMs = TIMEOUT_MS } = options;
  checkProbe(name, effect, options.probe !== undefined);
  if (options.compensate !== undefined && options.pool !== undefined) throw undoneElsewhere(name);
  const attemptsMax = effect === 'pure' || effect === 'idempotent' ? 3 : 1;
  return {
    kind: 'tool',
    name: checkDisplayName(name, 'tool'),
    description,
    input,
    effect,
    timeoutMs,
    ...(options.pool === undefined ? {} : { pool: token(options.pool, 'pool') }),
    retry: retryPolicy({ attemptsMax, ...options.retry }),
    ...(options.approval === undefined ? {} : { approval: options.approval }),
    ...(options.timeouts === undefined ? {} : { timeouts: toolTimeouts(options.timeouts, { name, timeoutMs }) }),
    ...(options.onExhausted === undefined ? {} : { onExhausted: options.onExhausted }),
    ...(options.compensate === undefined ? {} : { compensation: compensationOf(options, timeoutMs) }),
    code: `${String(options.execute)}\n${String(options.probe)}\n${String(options.compensate)}`,
    execute: async (args, scope) => checked(await options.execute(args, scope), { name, effect, output }),
    ...(options.probe === undefined ? {} : { probe: probeOf(options) }),
  };
}

/** As patient as the causes of its failing last. */
const UNDO_RETRY: RetryPolicy = { attemptsMax: 15, initialDelayMs: 1_000, factor: 2.5, delayMaxMs: 300_000 };

function compensationOf({ compensate, compensation = {} }: ToolOptions<z.ZodType, unknown>, timeoutMs: number): Compensation {
  return {
    effect: compensation.effect ?? 'idempotent',
    timeoutMs: compensation.timeoutMs ?? timeoutMs,
    retry: retryPolicy({ ...UNDO_RETRY, ...compensation.retry }),
    undo: async (input, result, scope) => {
      await compensate?.(input, result, scope);
      return null;
    },
  };
}

interface Declared {
  readonly name: string;
  readonly effect: EffectClass;
  readonly output: z.ZodType | undefined;
}

async function checked(result: unknown, { name, effect, output }: Declared): Promise<unknown> {
  if (output === undefined) return result;
  const parsed = await output.safeParseAsync(result);
  if (parsed.success) return parsed.data;
  const message = `The result of ${name} does not fit its output: ${parsed.error.message}`;
  // A typed error would say that nothing has happened; it has.
  if (mustBeClaimed(effect)) throw Object.assign(new Error(message), { name: 'InvalidOutput' });
  throw new Terminal('InvalidOutput', message);
}

function probeOf(options: ToolOptions<z.ZodType, unknown> & { readonly output?: z.ZodType }): NonNullable<Tool['probe']> {
  return async (args, scope) => {
    const found = (await options.probe?.(args, scope)) as Probed;
    const given = found as Partial<{ happened: boolean; result: unknown }> | undefined;
    if (given?.happened !== true) return found;
    const output = { name: options.name, effect: 'pure' as const, output: options.output };
    return { happened: true, result: await checked(given.result, output) };
  };
}

/** @throws Terminal `ProbeMissing`, `ProbeUseless` */
function checkProbe(name: string, effect: EffectClass, hasProbe: boolean): void {
  if (effect === 'probeable' && !hasProbe) {
    const message = `The tool ${name} is probeable and has no probe. Give it \`probe: async (input, { idempotencyKey, executionId }) => …\`, which asks the destination whether it happened, or declare it irreversible.`;
    throw new Terminal('ProbeMissing', message);
  }
  if (hasProbe && !mustBeClaimed(effect)) {
    const message = `The tool ${name} is ${effect}: it is run again and never probed. Declare it probeable, or leave the probe out.`;
    throw new Terminal('ProbeUseless', message);
  }
}
