import { tool, workflow } from '@perdure/sdk';
import { z } from 'zod';

const charge = tool({
  name: 'charge',
  description: 'Charges a card, once per key',
  input: z.object({ cents: z.number().int().positive() }),
  effect: 'idempotent',
  execute: ({ cents }, { idempotencyKey }) => ({ charged: cents, receipt: idempotencyKey }),
});

/** Plain TypeScript: kill the worker anywhere in it, and it goes on there. */
export default workflow(
  { name: 'order', input: z.object({ items: z.array(z.number().int()) }), tools: [charge] },
  async (ctx, { items }) => {
    const cents = await ctx.step('total', () => items.reduce((sum, item) => sum + item, 0), { pure: true });
    const payment = await ctx.tool(charge, { cents });
    await ctx.sleep(1_000);
    return { ...payment, at: ctx.now() };
  },
);
