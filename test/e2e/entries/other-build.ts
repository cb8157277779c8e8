import { workflow } from '@perdure/sdk';
import { z } from 'zod';

/** What the first build does not host. */
export const newcomer = workflow({ name: 'newcomer', input: z.object({}) }, () => process.env.PERDURE_WORKER_ID);

/** The first build hosts this name too, with other code. */
export const sleeper = workflow({ name: 'sleeper', input: z.object({ ms: z.number() }) }, async (ctx, { ms }) => {
  await ctx.step('say', () => 'the newer build');
  await ctx.sleep(ms);
  return 'rested';
});

export default [newcomer, sleeper];
