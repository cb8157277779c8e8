import { agent, Retryable, ruleModel, tool, workflow } from '@perdure/sdk';
import { z } from 'zod';

/** What is deployed when the runs begin; `deploy-v2` is what comes after it. */

export const order = z.object({ untilMs: z.number(), far: z.boolean() });
const use = z.object({ untilMs: z.number() });
export const errand = z.object({ tool: z.enum(['charge', 'lookup']), untilMs: z.number() });

/** Its first attempt asks to be left alone until then: the run waits with the use of the tool open. */
export function waiting(name: string) {
  return tool({
    name,
    description: `${name}, when it is time`,
    input: use,
    effect: 'idempotent',
    retry: { attemptsMax: 2 },
    execute: ({ untilMs }, { attempt }) => {
      if (attempt === 1)
        throw new Retryable('NotYet', 'It is not time yet.', { retryAfterMs: Math.max(0, untilMs - Date.now()) });
      return name;
    },
  });
}

/** One use of a tool, and what came of it. */
export const clerkRules = ruleModel('deploy/clerk', ({ messages }) => {
  const answered = messages.findLast((message) => message.role === 'tool');
  if (answered?.role === 'tool')
    return answered.outcome.ok ? `did ${answered.tool}` : `could not: ${answered.outcome.error.code}`;
  const { tool: name, untilMs } = JSON.parse(messages[0]?.role === 'user' ? messages[0].text : '{}') as z.infer<typeof errand>;
  return { toolCalls: [{ tool: name, args: { untilMs } }] };
});

export const clerk = agent({
  name: 'clerk',
  instructions: 'Do the errand.',
  input: errand,
  tools: [waiting('charge'), waiting('lookup')],
  model: clerkRules,
});

/** Those that are `far` wait behind the place that the next version changes, the others before it. */
export const shipping = workflow({ name: 'shipping', input: order }, async (ctx, { untilMs, far }) => {
  await ctx.step('price', () => 1);
  await ctx.sleep(far ? 1 : untilMs - ctx.now());
  await ctx.step('ship', () => 1);
  await ctx.sleep(far ? untilMs - ctx.now() : 1);
  return 'v1';
});

export default [clerk, shipping];
