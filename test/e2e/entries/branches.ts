import { appendFileSync } from 'node:fs';
import { agent, ruleModel, Terminal, tool, workflow } from '@perdure/sdk';
import { z } from 'zod';

const book = process.env.PERDURE_E2E_BOOK ?? '/dev/null';

function note(runId: string, what: string): void {
  appendFileSync(book, `${JSON.stringify({ runId, what, pid: process.pid, atMs: Date.now() })}\n`);
}

const reserve = tool({
  name: 'reserve',
  description: 'Reserves a room.',
  input: z.object({ runId: z.string() }),
  effect: 'idempotent',
  execute: ({ runId }, { idempotencyKey }) => note(runId, `reserve ${idempotencyKey}`),
  compensate: ({ runId }, _, { idempotencyKey }) => note(runId, `release ${idempotencyKey}`),
});

/** Does something that can be undone, and asks before it ends. */
export const booking = workflow({ name: 'booking', input: z.object({}), tools: [reserve] }, async (ctx) => {
  await ctx.tool(reserve, { runId: ctx.runId });
  const isWanted = await ctx.waitFor('wanted', { schema: z.boolean() });
  if (!isWanted) throw new Terminal('NotWanted', 'Nobody wants the room.');
});

/** Says which of its models was asked. */
export const speaker = agent({
  name: 'speaker',
  instructions: 'Say who you are.',
  input: z.object({}),
  model: ruleModel('first-model', () => 'the first'),
  otherModels: [ruleModel('second-model', () => 'the second')],
});

/** Counts in passes, of which each knows nothing of the one before but its number. */
export const counter = workflow(
  { name: 'counter', input: z.object({ number: z.number(), last: z.number() }) },
  async (ctx, { number, last }) => {
    await ctx.step('count', () => number);
    await ctx.until(ctx.now());
    const told = await ctx.waitFor('go', { timeoutMs: 0 });
    return number < last ? ctx.continueWith({ number: number + 1, last }) : { number, told };
  },
);

export default [booking, speaker, counter];
