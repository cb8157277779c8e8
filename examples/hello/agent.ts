import { agent, ruleModel, tool } from '@perdure/sdk';
import { z } from 'zod';

const greet = tool({
  name: 'greet',
  description: 'Says hello to somebody',
  input: z.object({ name: z.string() }),
  effect: 'idempotent',
  execute: ({ name }, { idempotencyKey }) => `Hello, ${name} (${idempotencyKey})`,
});

export default agent({
  name: 'hello',
  // A rule in place of a language model: it needs no key. Any model of the Vercel AI SDK fits here: aiSdkModel(openai('…')).
  model: ruleModel('politeness', ({ messages }) => {
    const last = messages.at(-1);
    if (last?.role === 'tool') return last.outcome.ok ? String(last.outcome.value) : 'Nobody was greeted.';
    return { text: '', toolCalls: [{ tool: 'greet', args: { name: 'Ada' } }] };
  }),
  instructions: 'Greet whoever the user names.',
  input: z.object({ name: z.string().default('Ada') }),
  tools: [greet],
});
