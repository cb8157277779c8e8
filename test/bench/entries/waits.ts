import { workflow } from '@perdure/sdk';
import { z } from 'zod';

/** Ends with the signal that it waits for. */
export const waiter = workflow({ name: 'waiter', input: z.object({ n: z.number() }) }, (ctx) => ctx.waitFor('go'));

export const sleeper = workflow({ name: 'sleeper', input: z.object({ ms: z.number() }) }, (ctx, { ms }) => ctx.sleep(ms));

/** Holds so many timers open, each of them so long. */
export const hoard = workflow(
  { name: 'hoard', input: z.object({ timers: z.number(), ms: z.number() }) },
  async (ctx, { timers, ms }) => {
    await Promise.all(Array.from({ length: timers }, () => ctx.sleep(ms)));
  },
);

/** Sleeps until many moments at once, evenly spread; ends when the last one has come. */
export const drip = workflow(
  { name: 'drip', input: z.object({ timers: z.number(), firstAtMs: z.number(), everyMs: z.number() }) },
  async (ctx, { timers, firstAtMs, everyMs }) => {
    await Promise.all(Array.from({ length: timers }, (_, n) => ctx.until(new Date(firstAtMs + n * everyMs))));
    return timers;
  },
);

export const leaf = workflow({ name: 'leaf', input: z.object({ n: z.number() }) }, (_ctx, { n }) => n);

/** Starts so many runs at once, and gives the sum of what they give. */
export const fan = workflow({ name: 'fan', input: z.object({ children: z.number() }) }, async (ctx, { children }) => {
  const numbers = Array.from({ length: children }, (_, n) => n);
  const given = await Promise.all(numbers.map((n) => ctx.child(leaf, { n })));
  return given.reduce((sum, n) => sum + n, 0);
});

export default [waiter, sleeper, hoard, drip, leaf, fan];
