import { agent, askPerson, ruleModel, workflow, type Duration } from '@perdure/sdk';
import { z } from 'zod';

const verdict = z.object({ approved: z.boolean(), amount: z.number() });

/** Asks a person, and ends with the answer. */
export const invoice = workflow(
  {
    name: 'invoice',
    input: z.object({ assignee: z.string(), expiresMs: z.number().optional(), remindMs: z.number().optional() }),
  },
  async (ctx, { assignee, expiresMs, remindMs }) => {
    const answer = await ctx.ask({
      title: 'Is this invoice right?',
      description: 'It came without an order.',
      form: verdict,
      assignee: assignee as 'user:mia',
      due: '2 days',
      ...(remindMs === undefined
        ? {}
        : { remind: [remindMs], escalate: [{ after: remindMs as Duration, to: 'user:eva' as const }] }),
      ...(expiresMs === undefined ? {} : { expires: { after: expiresMs, action: { answer: { approved: false, amount: 0 } } } }),
    });
    return answer;
  },
);

/** Its model asks a person, and answers with what that has said. */
export const clerk = agent({
  name: 'clerk',
  instructions: 'Ask when in doubt.',
  input: z.object({}),
  tools: [askPerson({ description: 'Asks accounting.', assignee: 'user:mia' })],
  model: ruleModel('clerk-rules', ({ messages }) => {
    const said = messages.flatMap((message) => (message.role === 'tool' ? [message.outcome] : []));
    if (said.length === 0) return { toolCalls: [{ tool: 'ask_person', args: { title: 'Which account?' } }] };
    return JSON.stringify(said);
  }),
});
