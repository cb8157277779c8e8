import { openSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { agent, Retryable, ruleModel, tool, workflow, type Message, type WorkflowContext } from '@perdure/sdk';
import { z } from 'zod';
import { BRANCHES, charged, mixed, total } from '../program';

// Outside the engine: one line for each execution, appended before the work begins.
const book = openSync(process.env.PERDURE_CHAOS_BOOK ?? '/dev/null', 'a');

function note(kind: 'pure' | 'step' | 'tool', runId: string, what: string): void {
  writeSync(book, `${JSON.stringify({ kind, runId, what, pid: process.pid, atMs: Date.now() })}\n`);
}

const STEP_MS = 8;
const TOOL_MS = 25;
const NAP_MS = 60;

/** Its effect counts by the key, as a good destination does; the key is `<tenant>/<runId>/<branch>/<call>`. */
const charge = tool({
  name: 'charge',
  description: 'Charges an amount.',
  input: z.object({ amount: z.number() }),
  effect: 'idempotent',
  retry: { attemptsMax: 4, initialDelayMs: 30 },
  execute: async ({ amount }, { idempotencyKey, attempt }) => {
    const [, runId = '', , call = ''] = idempotencyKey.split('/');
    note('tool', runId, call);
    await pause(TOOL_MS);
    if (amount % 11 === 0 && attempt === 1) throw new Retryable('Busy', 'The destination is busy.');
    return charged(amount);
  },
});

/** One round: a computed step, a recorded step, a tool, then branches that sleep and use the tool at the same time. */
export const mixture = workflow(
  { name: 'mixture', input: z.object({ seed: z.number(), rounds: z.number() }) },
  async (ctx, { seed, rounds }) => {
    let value = seed;
    for (let round = 0; round < rounds; round += 1) {
      value = await step(ctx, { what: `pure ${round}`, pure: true }, () => mixed(value, round));
      value = await step(ctx, { what: `step ${round}`, pure: false }, () => mixed(value, 100 + round));
      value = await ctx.tool(charge, { amount: value });
      const before = value;
      const branches = Array.from({ length: BRANCHES }, (_, branch) => async (inner: WorkflowContext) => {
        await inner.sleep(NAP_MS * (branch + 1));
        const name = { what: `branch ${round} ${branch}`, pure: branch % 2 === 0 };
        const amount = await step(inner, name, () => mixed(before, 1_000 + branch));
        return inner.tool(charge, { amount });
      });
      for (const result of await ctx.all(branches)) value = mixed(value, result);
    }
    return value;
  },
);

function step(
  ctx: WorkflowContext,
  { what, pure }: { readonly what: string; readonly pure: boolean },
  compute: () => number,
): Promise<number> {
  return ctx.step(
    what,
    async () => {
      note(pure ? 'pure' : 'step', ctx.runId, what);
      await pause(STEP_MS);
      return compute();
    },
    { pure },
  );
}

const plan = z.object({ seed: z.number(), parts: z.number() });

/** Charges all parts at once, then what came of them, and says the total. */
export const clerk = agent({
  name: 'clerk',
  instructions: 'Charge every part; then charge the sum of the results; then say the total.',
  input: plan,
  tools: [charge],
  model: ruleModel('clerk-rules', ({ messages }) => {
    const { seed, parts } = plan.parse(JSON.parse(messages[0]?.role === 'user' ? messages[0].text : '{}'));
    const results = messages.flatMap(resultOf);
    const use = (amount: number) => ({ tool: 'charge', args: { amount } });
    if (results.length === 0) return { toolCalls: Array.from({ length: parts }, (_, part) => use(mixed(seed, part))) };
    if (results.length === parts) return { toolCalls: [use(total(results))] };
    return `total ${results.at(-1)}`;
  }),
});

function resultOf(message: Message): readonly number[] {
  return message.role === 'tool' && message.outcome.ok ? [Number(message.outcome.value)] : [];
}

export default [mixture, clerk];
