import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { agent, ruleModel, tool, workflow } from '@perdure/sdk';
import { z } from 'zod';

// What the worker tells by itself, outside the engine: when the last piece of work of a run began, in which process.
const book = process.env.PERDURE_BENCH_BOOK ?? '/dev/null';

function note(what: string, label: string, more: object = {}): void {
  appendFileSync(book, `${JSON.stringify({ what, label, pid: process.pid, atMs: Date.now(), ...more })}\n`);
}

const input = z.object({ label: z.string(), size: z.number().int().positive(), holdMs: z.number() });
/** Uses of tools in one turn: with the model's part, ten facts. */
export const USES_A_TURN = 4;
export const FACTS_A_TURN = 2 + 2 * USES_A_TURN;
/** After the recovery: enough for a 99th percentile. */
export const TURNS_AFTER = 120;

const look = tool({
  name: 'look',
  description: 'Looks at something small.',
  input: z.object({ n: z.number() }),
  effect: 'pure',
  execute: ({ n }) => ({ n, text: 'a result of the size that results have when they are small' }),
});
/** Begins in the process that holds the run, and keeps it busy until somebody kills that process, or for so long. */
const hold = tool({
  name: 'hold',
  description: 'Takes its time.',
  input: z.object({ label: z.string(), holdMs: z.number() }),
  effect: 'pure',
  execute: async ({ label, holdMs }) => {
    note('hold', label);
    await pause(holdMs);
  },
});

/** When the model was asked, by run. */
const asked = new Map<string, number[]>();

export const talker = agent({
  name: 'talker',
  instructions: 'Go on.',
  input,
  tools: [look, hold],
  limits: { turnsMax: 1_000_000 },
  model: ruleModel('bench/talker', ({ messages }) => {
    const { label, size, holdMs } = JSON.parse(messages[0]?.role === 'user' ? messages[0].text : '{}') as z.infer<typeof input>;
    const turns = messages.reduce((count, { role }) => (role === 'assistant' ? count + 1 : count), 0);
    const times = asked.get(label) ?? [];
    asked.set(label, [...times, performance.now()]);
    const last = Math.ceil(size / FACTS_A_TURN);
    if (turns === last) return { toolCalls: [{ tool: 'hold', args: { label, holdMs } }] };
    if (turns > last + TURNS_AFTER) {
      note('asked', label, { times: asked.get(label)?.slice(-TURNS_AFTER) });
      return 'done';
    }
    const uses = turns > last ? 1 : USES_A_TURN;
    return { toolCalls: Array.from({ length: uses }, (_, n) => ({ tool: 'look', args: { n } })) };
  }),
});

/** Results to replay, then work that begins when all of them are given. */
export const replayer = workflow({ name: 'replayer', input }, async (ctx, { label, size, holdMs }) => {
  let sum = 0;
  for (let n = 0; n < size; n += 1) {
    const { n: given } = await ctx.step('tick', () => ({ n, ok: true }), { pure: true });
    sum += given;
  }
  await ctx.step('hold', async () => {
    note('hold', label);
    await pause(holdMs);
  });
  return sum;
});

export default [talker, replayer];
