import { openSync, writeSync } from 'node:fs';
import { workflow } from '@perdure/sdk';
import { z } from 'zod';

// What the worker really executed, told by itself and outside the engine: one line a run, appended at its end.
const book = openSync(process.env.PERDURE_BENCH_BOOK ?? '/dev/null', 'a');

const input = z.object({ steps: z.number().int().nonnegative(), pure: z.boolean().default(false) });

/** Sequential steps that do nothing: what is measured is the engine. */
export const steps = workflow({ name: 'steps', input }, async (ctx, { steps: count, pure }) => {
  const executed: number[] = [];
  const options = { pure };
  let sum = 0;
  for (let i = 0; i < count; i += 1) {
    const { i: given } = await ctx.step(
      'tick',
      () => {
        executed.push(i);
        return { ok: true, i };
      },
      options,
    );
    sum += given;
  }
  if (count > 0) writeSync(book, `${JSON.stringify({ runId: ctx.runId, executed })}\n`);
  return { sum };
});

/** The way of a run alone. */
export const nothing = workflow({ name: 'nothing', input: z.object({ n: z.number() }) }, (_ctx, { n }) => ({ n }));

export default [steps, nothing];
