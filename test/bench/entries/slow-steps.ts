import { openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { workflow } from '@perdure/sdk';
import { z } from 'zod';

const book = openSync(process.env.PERDURE_BENCH_BOOK ?? '/dev/null', 'a');

/** Steps that take time, each written down when it begins: a kill hits some of them in flight. */
export const slowSteps = workflow(
  { name: 'slow-steps', input: z.object({ steps: z.number().int(), stepMs: z.number() }) },
  async (ctx, { steps, stepMs }) => {
    let sum = 0;
    for (let i = 0; i < steps; i += 1) {
      const what = `slow ${i}`;
      sum += await ctx.step(what, async () => {
        writeSync(book, `${JSON.stringify({ runId: ctx.runId, what, pid: process.pid, atMs: Date.now() })}\n`);
        await sleep(stepMs);
        return i;
      });
    }
    return { sum };
  },
);

export default [slowSteps];
