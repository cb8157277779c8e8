import * as fc from 'fast-check';
import { Terminal } from '@perdure/kernel';
import { z } from 'zod';
import type { Tool, Workflow, WorkflowContext } from '../engine/definitions';
import { ruleModel } from '../rule-model';
import { tool } from '../tool';
import { workflow } from '../workflow';
import type { VirtualHost } from './virtual-host';

export type Op =
  | { readonly op: 'step'; readonly pure: boolean; readonly takesMs: number; readonly fails: boolean }
  | { readonly op: 'tool'; readonly takesMs: number; readonly failures: number }
  | { readonly op: 'model' }
  | { readonly op: 'sleep'; readonly ms: number }
  | { readonly op: 'value'; readonly name: 'now' | 'random' | 'uuid' }
  | { readonly op: 'all' | 'race'; readonly branches: readonly Program[] };
export type Program = readonly Op[];

const latency = fc.constantFrom(0, 0, 0, 3, 40, 2_000);
const leaf: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('step' as const),
      pure: fc.boolean(),
      takesMs: latency,
      fails: fc.nat(9).map((n) => n === 0),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('tool' as const), takesMs: latency, failures: fc.constantFrom(0, 0, 1, 3) }),
  },
  { weight: 1, arbitrary: fc.constant({ op: 'model' as const }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('sleep' as const), ms: fc.constantFrom(0, 5, 900, 60_000) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('value' as const),
      name: fc.constantFrom('now' as const, 'random' as const, 'uuid' as const),
    }),
  },
);

function programOf(depth: number): fc.Arbitrary<Program> {
  const branches = depth === 0 ? undefined : fc.array(programOf(depth - 1), { minLength: 1, maxLength: 3 });
  const op =
    branches === undefined
      ? leaf
      : fc.oneof(
          { weight: 5, arbitrary: leaf },
          { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('all' as const, 'race' as const), branches }) },
        );
  return fc.array(op, { maxLength: depth === 0 ? 3 : 5 });
}

export const program: fc.Arbitrary<Program> = programOf(2);

export interface ProgramRun {
  readonly behaviour: Workflow;
  readonly tools: readonly Tool[];
  /** Names of steps, each time one is begun. */
  readonly begun: string[];
  /** Called when a step is begun. */
  onBegin: (name: string) => void;
}

/** A workflow that makes the calls of a program and returns all that it was given. */
export function programRun(steps: Program, host: VirtualHost): ProgramRun {
  const begun: string[] = [];
  const takes = (ms: number): Promise<void> | undefined =>
    ms === 0 ? undefined : new Promise((resolve) => host.timers.after(ms, resolve));
  const unsteady = tool({
    name: 'unsteady',
    description: '',
    input: z.object({ path: z.string(), takesMs: z.number(), failures: z.number() }),
    effect: 'idempotent',
    execute: async ({ path, takesMs, failures }, { attempt }) => {
      await takes(takesMs);
      if (attempt <= failures) throw new Error(`attempt ${attempt}`);
      return `did ${path}`;
    },
  });
  const model = ruleModel('echo', ({ messages }) => JSON.stringify(messages));
  const run: ProgramRun = {
    behaviour: workflow({ name: 'program', input: z.unknown() }, (ctx) => follow(ctx, steps, '')),
    tools: [unsteady],
    begun,
    onBegin: () => undefined,
  };

  async function follow(ctx: WorkflowContext, ops: Program, path: string): Promise<unknown[]> {
    const given: unknown[] = [];
    for (const [index, op] of ops.entries()) given.push(await one(ctx, op, `${path}/${index}`));
    return given;
  }

  async function one(ctx: WorkflowContext, op: Op, path: string): Promise<unknown> {
    switch (op.op) {
      case 'step':
        return ctx.step(path, () => step(op, path), { pure: op.pure }).catch(codeOf);
      case 'tool':
        return ctx.tool(unsteady, { path, takesMs: op.takesMs, failures: op.failures }).catch(codeOf);
      case 'model':
        return (await ctx.model(model, { prompt: path })).text;
      case 'sleep':
        return ctx.sleep(op.ms);
      case 'value':
        return { value: ctx[op.name]() };
      case 'all':
        return ctx.all(op.branches.map((branch, index) => (scope: WorkflowContext) => follow(scope, branch, `${path}.${index}`)));
      case 'race':
        return {
          winner: await ctx.race(
            op.branches.map((branch, index) => (scope: WorkflowContext) => follow(scope, branch, `${path}.${index}`)),
          ),
        };
    }
  }

  async function step(op: Extract<Op, { op: 'step' }>, path: string): Promise<unknown> {
    begun.push(path);
    run.onBegin(path);
    await takes(op.takesMs);
    if (op.fails) throw new Terminal('StepFailed', path);
    return { done: path };
  }

  return run;
}

function codeOf(error: unknown): string {
  return (error as { code: string }).code;
}

/** What does not depend on time and chance. */
export function steady(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(steady);
  if (value !== null && typeof value === 'object' && ('value' in value || 'winner' in value)) return null;
  return value;
}
