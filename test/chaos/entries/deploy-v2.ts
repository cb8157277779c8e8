import { agent, workflow } from '@perdure/sdk';
import { clerkRules, errand, order, waiting } from './deploy-v1';

/** A breaking change of both: a step in the middle of the workflow, and a tool of the agent that is no more. */

export const clerk = agent({
  name: 'clerk',
  instructions: 'Do the errand, in other words.',
  input: errand,
  tools: [waiting('bill'), waiting('lookup')],
  model: clerkRules,
});

export const shipping = workflow({ name: 'shipping', input: order }, async (ctx, { untilMs, far }) => {
  await ctx.step('price', () => 1);
  await ctx.sleep(far ? 1 : untilMs - ctx.now());
  await ctx.step('pack', () => 1);
  await ctx.step('ship', () => 1);
  await ctx.sleep(far ? untilMs - ctx.now() : 1);
  return 'v2';
});

export default [clerk, shipping];
