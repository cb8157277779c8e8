import { appendFileSync } from 'node:fs';
import { agent, ruleModel, tool, workflow, type Message } from '@perdure/sdk';
import { z } from 'zod';

const book = process.env.PERDURE_E2E_BOOK ?? '/dev/null';
const transfer = z.object({ to: z.string(), amount: z.number() });

/** Executed where the credential is; never without persons. */
export const wire = tool({
  name: 'wire',
  description: 'Sends money.',
  pool: 'treasury',
  input: transfer,
  effect: 'irreversible',
  approval: 'required',
  execute: (input, { idempotencyKey }) => {
    appendFileSync(book, `${JSON.stringify({ runId: idempotencyKey.split('/')[1], what: JSON.stringify(input) })}\n`);
    return { sent: input.amount };
  },
});

/** What it says at its end is what it was shown. */
function shown(message: Message | undefined): string {
  if (message?.role !== 'tool') return 'nothing';
  const { outcome, edited } = message;
  const whose = edited === undefined ? 'mine' : `${JSON.stringify(edited.args)} by ${edited.by.join(', ')}`;
  return outcome.ok ? `${JSON.stringify(outcome.value)}, ${whose}` : outcome.error.message;
}

export const treasurer = agent({
  name: 'treasurer',
  input: transfer,
  instructions: 'Send what you are asked to send.',
  tools: [wire],
  model: ruleModel('rule', ({ messages }) => {
    const last = messages.at(-1);
    if (last?.role === 'user') return { toolCalls: [{ tool: 'wire', args: JSON.parse(last.text) as object }] };
    return shown(last);
  }),
});

/** Its code is given the result, whoever's arguments it is of. */
export const payroll = workflow({ name: 'payroll', input: transfer, tools: [wire] }, (ctx, input) => ctx.tool(wire, input));
