import { agent, ruleModel, tool, workflow } from '@perdure/sdk';
import { z } from 'zod';

const DAY_MS = 24 * 3_600_000;
const MONTH_MS = 30 * DAY_MS;
const MONTHS = 12;

/** What a real one would send; a test looks into it. */
export const outbox: string[] = [];

export const charge = tool({
  name: 'charge',
  description: 'Charges the card of a customer',
  input: z.object({ customer: z.string(), cents: z.number().int().positive() }),
  effect: 'idempotent',
  execute: ({ customer, cents }) => {
    outbox.push(`charged ${customer} ${cents}`);
    return { charged: cents };
  },
});

const mail = tool({
  name: 'mail',
  description: 'Writes to a customer',
  input: z.object({ customer: z.string(), text: z.string() }),
  effect: 'idempotent',
  execute: ({ customer, text }) => {
    outbox.push(`wrote to ${customer}: ${text}`);
    return 'sent';
  },
});

/** Says goodbye in a letter of its own; with a real model, in better words. */
export const farewell = agent({
  name: 'farewell',
  input: z.object({ customer: z.string(), months: z.number() }),
  instructions: 'Write to the customer, who has left. Be kind and short.',
  model: ruleModel('kind', ({ messages }) => {
    const told = JSON.stringify(messages);
    if (messages.some(({ role }) => role === 'tool')) return 'written';
    const customer = /"customer\\*":\\*"(\w+)/.exec(told)?.[1] ?? 'friend';
    return { toolCalls: [{ tool: 'mail', args: { customer, text: 'Thank you for the time with us.' } }] };
  }),
  tools: [mail],
});

/** A year of a customer: a charge every month, until somebody cancels; then a letter. */
export const subscription = workflow(
  { name: 'subscription', input: z.object({ customer: z.string(), cents: z.number().int().positive() }) },
  async (ctx, { customer, cents }) => {
    let months = 0;
    for (; months < MONTHS; months += 1) {
      await ctx.tool(charge, { customer, cents });
      const cancelled = await ctx.waitFor('cancel', { timeoutMs: MONTH_MS });
      if (!cancelled.timedOut) break;
    }
    await ctx.child(farewell, { customer, months });
    return { months };
  },
);

export default [subscription, farewell, charge];
