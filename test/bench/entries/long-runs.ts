import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { agent, ruleModel, tool, workflow, type Message } from '@perdure/sdk';
import { z } from 'zod';

// What the worker tells by itself, outside the engine: when the last piece of work of a run began, in which process.
const book = process.env.PERDURE_BENCH_BOOK ?? '/dev/null';

function note(what: string, label: string, more: object = {}): void {
  appendFileSync(book, `${JSON.stringify({ what, label, pid: process.pid, atMs: Date.now(), ...more })}\n`);
}

const input = z.object({
  label: z.string(),
  size: z.number().int().positive(),
  holdMs: z.number(),
  /** Where it is cut off: in a tool, whose arguments are recorded, or in the model, which is shown the conversation first. */
  cutOffIn: z.enum(['tool', 'model', 'step']),
});
type Input = z.infer<typeof input>;
/** Uses of tools in one turn: with the model's part, ten facts. */
export const USES_A_TURN = 4;
export const FACTS_A_TURN = 2 + 2 * USES_A_TURN;
/** After the recovery: enough for a 99th percentile. */
export const TURNS_AFTER = 120;

const look = tool({
  name: 'look',
  description: 'Looks at something small.',
  input: z.object({ turn: z.number(), n: z.number() }),
  effect: 'pure',
  // What brings nothing new would be taken for going in circles.
  execute: ({ turn, n }) => ({ turn, n, text: 'a result of the size that results have when they are small' }),
});
/** Begins in the process that holds the run, and keeps it busy until somebody kills that process, or for so long. */
async function holdHere({ label, holdMs }: Pick<Input, 'label' | 'holdMs'>): Promise<void> {
  note('hold', label);
  await pause(holdMs);
}

const hold = tool({
  name: 'hold',
  description: 'Takes its time.',
  input: z.object({ label: z.string(), turn: z.number(), holdMs: z.number() }),
  effect: 'pure',
  execute: async ({ label, turn, holdMs }) => {
    await holdHere({ label, holdMs });
    return { turn };
  },
});

/** When the model was asked, by run: the newest times. */
const asked = new Map<string, number[]>();

function noteAsked(label: string): readonly number[] {
  const times = [...(asked.get(label) ?? []).slice(-TURNS_AFTER), performance.now()];
  asked.set(label, times);
  return times;
}

/** Of a constant cost however long the conversation is: what the newest turn was is in its last message. */
function turnsIn(messages: readonly Message[]): number {
  const newest = messages.at(-1);
  if (newest?.role !== 'tool' || !newest.outcome.ok) return 0;
  return (newest.outcome.value as { readonly turn: number }).turn;
}

const model = ruleModel('bench/talker', async ({ messages }) => {
  const given = JSON.parse(messages[0]?.role === 'user' ? messages[0].text : '{}') as Input;
  const { label, size, holdMs, cutOffIn } = given;
  const turn = turnsIn(messages) + 1;
  const times = noteAsked(label);
  const last = Math.ceil(size / FACTS_A_TURN);
  if (turn === last && cutOffIn === 'model') await holdHere(given);
  if (turn === last && cutOffIn === 'tool') return { toolCalls: [{ tool: 'hold', args: { label, turn, holdMs } }] };
  if (turn > last + TURNS_AFTER) {
    note('asked', label, { times });
    return 'done';
  }
  const uses = turn > last ? 1 : USES_A_TURN;
  return { toolCalls: Array.from({ length: uses }, (_, n) => ({ tool: 'look', args: { turn, n } })) };
});

const talking = { instructions: 'Go on.', input, tools: [look, hold], limits: { turnsMax: 1_000_000 }, model };
/** Shows its model all that was ever said. */
export const talker = agent({ ...talking, name: 'talker' });
/** Shows its model the newest turns. */
export const windowed = agent({ ...talking, name: 'windowed', contextTurns: 50 });

/** Results to replay, then work that begins when all of them are given. */
export const replayer = workflow({ name: 'replayer', input }, async (ctx, { label, size, holdMs }) => {
  let sum = 0;
  for (let n = 0; n < size; n += 1) {
    const { n: given } = await ctx.step('tick', () => ({ n, ok: true }), { pure: true });
    sum += given;
  }
  await ctx.step('hold', () => holdHere({ label, holdMs }));
  return sum;
});

export default [talker, windowed, replayer];
