import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { agent, ruleModel, tool, workflow } from '@perdure/sdk';
import { z } from 'zod';

const book = process.env.PERDURE_E2E_BOOK ?? '/dev/null';

function note(runId: string, what: string): void {
  appendFileSync(book, `${JSON.stringify({ runId, what, pid: process.pid, atMs: Date.now() })}\n`);
}

const add = tool({
  name: 'add',
  description: 'Adds two numbers.',
  input: z.object({ left: z.number(), right: z.number() }),
  effect: 'idempotent',
  execute: ({ left, right }) => left + right,
});

const throwsText = tool({
  name: 'throws_text',
  description: 'Throws something that is not an error.',
  input: z.object({}),
  effect: 'idempotent',
  retry: { attemptsMax: 1 },
  execute: () => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- what authors of tools do is what this is about
    throw 'plain text';
  },
});

const neverReturns = tool({
  name: 'never_returns',
  description: 'Ignores its signal and never returns.',
  input: z.object({}),
  effect: 'idempotent',
  timeoutMs: 300,
  retry: { attemptsMax: 1 },
  execute: () => new Promise<string>(() => undefined),
});

export const adder = agent({
  name: 'adder',
  instructions: 'Add.',
  input: z.object({ left: z.number(), right: z.number() }),
  tools: [add],
  model: ruleModel('adder-rules', ({ messages }) => {
    const answered = messages.findLast((message) => message.role === 'tool');
    if (answered?.role === 'tool' && answered.outcome.ok) return `sum ${String(answered.outcome.value)}`;
    const args: unknown = JSON.parse(messages[0]?.role === 'user' ? messages[0].text : '{}');
    return { toolCalls: [{ tool: 'add', args }] };
  }),
});

/** Tells what the tool that it was asked to use did to it. */
export const clumsy = agent({
  name: 'clumsy',
  instructions: 'Use the tool.',
  input: z.object({ tool: z.enum(['throws_text', 'never_returns', 'no_such_tool']) }),
  tools: [throwsText, neverReturns],
  model: ruleModel('clumsy-rules', ({ messages }) => {
    const answered = messages.findLast((message) => message.role === 'tool');
    if (answered?.role === 'tool')
      return answered.outcome.ok ? 'fine' : `${answered.outcome.error.code}: ${answered.outcome.error.message}`;
    const { tool: name } = JSON.parse(messages[0]?.role === 'user' ? messages[0].text : '{}') as { readonly tool: string };
    return { toolCalls: [{ tool: name, args: {} }] };
  }),
});

const OUTPUTS: Readonly<Record<string, () => unknown>> = {
  cyclic: () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    return cycle;
  },
  function: () => ({ call: () => 1 }),
  bigint: () => 1n,
  map: () => new Map(),
  huge: () => 'x'.repeat(2_000_000),
};

export const returns = workflow({ name: 'returns', input: z.object({ what: z.string() }) }, (_ctx, { what }) =>
  OUTPUTS[what]?.(),
);

/** Long enough for something to happen to whoever runs it; each step is written down. */
export const patient = workflow(
  { name: 'patient', input: z.object({ steps: z.number(), stepMs: z.number() }) },
  async (ctx, { steps, stepMs }) => {
    let sum = 0;
    for (let i = 0; i < steps; i += 1) {
      const name = `patient ${i}`;
      sum += await ctx.step(name, async () => {
        note(ctx.runId, name);
        await pause(stepMs);
        return i;
      });
    }
    return { sum };
  },
);

/** Looks at a file until it says that it is done. */
export const watcher = workflow(
  { name: 'watcher', input: z.object({ file: z.string(), everyMs: z.number() }) },
  (ctx, { file, everyMs }) => {
    const look = (): string => {
      note(ctx.runId, 'look');
      return existsSync(file) ? readFileSync(file, 'utf8') : 'absent';
    };
    return ctx.poll('file', look, { everyMs, until: (state) => state === 'done' });
  },
);

/** Remembers more than a message of the bus holds, then does one thing slowly. */
export const hoarder = workflow(
  { name: 'hoarder', input: z.object({ documents: z.number(), chars: z.number(), lastMs: z.number() }) },
  async (ctx, { documents, chars, lastMs }) => {
    let length = 0;
    for (let i = 0; i < documents; i += 1) length += (await ctx.step(`read ${i}`, () => '€'.repeat(chars))).length;
    await ctx.step('last', async () => {
      note(ctx.runId, 'last');
      await pause(lastMs);
    });
    return { length };
  },
);

export const sleeper = workflow({ name: 'sleeper', input: z.object({ ms: z.number() }) }, async (ctx, { ms }) => {
  await ctx.sleep(ms);
  return 'rested';
});

const WORDS = 30;
const WORD_MS = 60;

/** Says something, adds, and says at length which process it is, word for word; each time its model is asked is written down. */
export const speaker = agent({
  name: 'speaker',
  instructions: 'Speak.',
  input: z.object({ mark: z.string() }),
  tools: [add],
  model: ruleModel(
    'speaker-rules',
    ({ messages }) => {
      const { mark } = JSON.parse(messages[0]?.role === 'user' ? messages[0].text : '{}') as { readonly mark: string };
      const isFirst = messages.length === 1;
      note(mark, isFirst ? 'turn 1' : 'turn 2');
      if (isFirst) return { text: 'First I add. ', toolCalls: [{ tool: 'add', args: { left: 1, right: 2 } }] };
      return Array.from({ length: WORDS }, (_, word) => `${process.pid}:${word} `).join('');
    },
    {
      pieces: async function* (text) {
        for (const word of text.split(/(?<= )/)) {
          yield word;
          await pause(WORD_MS);
        }
      },
    },
  ),
});

/** Holds up the whole thread of the worker that runs it first; any other goes on at once. */
export const blocker = workflow(
  { name: 'blocker', input: z.object({ mark: z.string(), ms: z.number() }) },
  async (ctx, { mark, ms }) =>
    ctx.step('block', () => {
      note(ctx.runId, 'block');
      if (existsSync(mark)) return process.env.PERDURE_WORKER_ID;
      writeFileSync(mark, '');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
      return process.env.PERDURE_WORKER_ID;
    }),
);

export default [adder, clumsy, returns, patient, hoarder, sleeper, watcher, blocker, speaker];
