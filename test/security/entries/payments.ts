import { appendFileSync } from 'node:fs';
import { agent, ruleModel, tool, workflow } from '@perdure/sdk';
import { z } from 'zod';

const BOOK = process.env.PERDURE_SECURITY_BOOK ?? '';
const payment = z.object({ to: z.string(), amount: z.number() });

/** Whatever is paid stands in a book that nobody of the system reads. */
const pay = tool({
  name: 'pay',
  description: 'Pays.',
  input: payment,
  effect: 'idempotent',
  execute: (input, { idempotencyKey }) => {
    appendFileSync(BOOK, `${JSON.stringify({ ...input, key: idempotencyKey })}\n`);
    return { paid: input.amount };
  },
});

const tip = tool({
  name: 'tip',
  description: 'Pays a little.',
  input: payment,
  effect: 'irreversible',
  approval: 'required',
  execute: (input, { idempotencyKey }) => {
    appendFileSync(BOOK, `${JSON.stringify({ ...input, key: idempotencyKey })}\n`);
    return { paid: input.amount };
  },
});

export const payer = agent({
  name: 'payer',
  input: payment,
  instructions: 'Pay what you are asked to pay.',
  tools: [pay],
  model: ruleModel('rule', ({ messages }) => {
    const last = messages.at(-1);
    if (last?.role === 'user') return { toolCalls: [{ tool: 'pay', args: JSON.parse(last.text) as object }] };
    if (last?.role !== 'tool') return 'done';
    return last.outcome.ok ? `paid ${JSON.stringify(last.outcome.value)}` : `not paid: ${last.outcome.error.code}`;
  }),
});

const LONG_MS = 600_000;

/** Goes on after it was told that it may not. */
export const tipper = workflow({ name: 'tipper', input: payment, tools: [tip] }, async (ctx, input) => {
  try {
    return await ctx.tool(tip, input);
  } catch {
    await ctx.sleep(LONG_MS);
    return 'not paid';
  }
});
