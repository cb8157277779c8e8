import { workflow } from '@perdure/sdk';
import { z } from 'zod';

const wait = z.object({ how: z.enum(['sleep', 'until', 'signal', 'race']), ms: z.number() });

/** Waits in every way in which a timer ends a wait, one after another. */
export const waits = workflow({ name: 'waits', input: z.object({ waits: z.array(wait) }) }, async (ctx, { waits: planned }) => {
  for (const { how, ms } of planned) {
    if (how === 'sleep') await ctx.sleep(ms);
    if (how === 'until') await ctx.until(ctx.now() + ms);
    if (how === 'signal') await ctx.waitFor('never', { timeoutMs: ms });
    // Two timers under way, of which the longer one is left behind.
    if (how === 'race') await ctx.race([(one) => one.sleep(ms), (other) => other.sleep(2 * ms + 50)]);
  }
  return planned.length;
});

export default [waits];
