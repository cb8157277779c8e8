import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { agent, longTask, ruleModel, subagent, Terminal, workflow, type ChildOptions } from '@perdure/sdk';
import { z } from 'zod';
import { adder } from './behaviours';

const LOOK_EVERY_MS = 20;

/** Gives its number when the file is there. */
export const helper = workflow(
  { name: 'helper', input: z.object({ number: z.number(), until: z.string().optional() }) },
  async (ctx, { number, until }) =>
    ctx.step('help', async () => {
      while (until !== undefined && !existsSync(until) && !ctx.signal.aborted) await pause(LOOK_EVERY_MS);
      if (number < 0) throw new Terminal('NegativeNumber', 'I cannot help with that.', { details: { number } });
      return number;
    }),
);

/** As many helpers as are wanted, and what they give. */
export const family = workflow(
  { name: 'family', input: z.object({ children: z.number(), until: z.string().optional() }) },
  async (ctx, { children, until }) => {
    const numbers = Array.from({ length: children }, (_, number) => number);
    const given = await Promise.all(numbers.map((number) => ctx.child(helper, { number, until })));
    return given.reduce((sum, number) => sum + number, 0);
  },
);

/** One child of each kind, by definition and by name, and how a failure looks. */
export const mixed = workflow({ name: 'mixed', input: z.object({}) }, async (ctx) => {
  const sum = await ctx.child(adder, { left: 20, right: 22 });
  const named = await ctx.child('helper', { number: 7 });
  const failures: unknown[] = [];
  for (const [name, input] of [
    ['helper', { number: -1 }],
    ['helper', { wrong: true }],
    ['nobody-knows-it', {}],
  ] as const) {
    try {
      await ctx.child(name, input);
    } catch (error) {
      failures.push((error as Terminal).code);
    }
  }
  return { sum, named, failures };
});

/** Ends, or is cancelled, before its child. */
export const hasty = workflow(
  {
    name: 'hasty',
    input: z.object({ until: z.string(), parentClose: z.enum(['cancel', 'request', 'abandon']), waits: z.boolean() }),
  },
  async (ctx, { until, parentClose, waits }) => {
    const options: ChildOptions & { readonly detached: true } = { parentClose, detached: true };
    const { runId } = await ctx.child(helper, { number: 1, until }, options);
    if (waits) await ctx.child(helper, { number: 2, until }, { parentClose });
    return { runId };
  },
);

/** Asks two others at once, and tells what each came to. */
export const boss = agent({
  name: 'boss',
  instructions: 'Ask the others.',
  input: z.object({ until: z.string().optional() }),
  tools: [
    subagent(adder, { name: 'calculate', description: 'Adds.' }),
    subagent(helper, { description: 'Gives its number.', parentClose: 'abandon' }),
  ],
  model: ruleModel('boss-rules', ({ messages }) => {
    const { until } = JSON.parse(messages[0]?.role === 'user' ? messages[0].text : '{}') as { readonly until?: string };
    const answers = messages.flatMap((message) => (message.role === 'tool' ? [message.outcome] : []));
    if (answers.length === 0)
      return {
        toolCalls: [
          { tool: 'calculate', args: { left: 20, right: 22 } },
          { tool: 'helper', args: { number: 7, until } },
          { tool: 'helper', args: { number: -1 } },
        ],
      };
    return answers.map((outcome) => (outcome.ok ? JSON.stringify(outcome.value) : outcome.error.code)).join(', ');
  }),
});

/** Answers each question with its length, until somebody says that it is enough. */
export const oracle = workflow({ name: 'oracle', input: z.object({ questions: z.number() }) }, async (ctx, { questions }) => {
  const asked: unknown[] = [];
  for (let n = 0; n < questions; n += 1) {
    const { from, payload } = await ctx.receive<string>('question');
    asked.push(payload);
    if (from !== undefined) await ctx.send(from, 'answer', payload.length);
  }
  return asked;
});

/** Asks another run, all at once, and tells what it was answered. */
export const seeker = workflow(
  { name: 'seeker', input: z.object({ to: z.string(), questions: z.array(z.string()) }) },
  async (ctx, { to, questions }) => {
    try {
      await Promise.all(questions.map((question) => ctx.send(to, 'question', question)));
    } catch (error) {
      return (error as Terminal).code;
    }
    const answers: number[] = [];
    for (const _question of questions) answers.push((await ctx.receive<number>('answer', { schema: z.number() })).payload);
    return answers;
  },
);

/** Has somebody outside work for it, and tells what came of it. */
export const client = workflow(
  { name: 'client', input: z.object({ file: z.string(), timeoutMs: z.number().optional() }) },
  async (ctx, { file, timeoutMs }) => {
    const { token, result } = await ctx.callback({
      schema: z.object({ pages: z.number() }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    await ctx.step('tell', () => writeFileSync(file, token));
    try {
      return await result;
    } catch (error) {
      return (error as Terminal).code;
    }
  },
);

/** Handed over to somebody who reads a file, and taken back in the same way. */
const scan = longTask({
  name: 'scan',
  input: z.object({ file: z.string() }),
  output: z.object({ pages: z.number() }),
  effect: 'idempotent',
  begin: ({ file }, { token }) => writeFileSync(file, token),
  cancel: ({ file }) => writeFileSync(`${file}-cancelled`, ''),
});

/** Has a model that hands work over. */
const archivist = agent({
  name: 'archivist',
  input: z.object({ file: z.string() }),
  instructions: 'Have it scanned.',
  model: ruleModel('once', ({ messages }) => {
    const told = messages.find(({ role }) => role === 'tool');
    const file = /"file\\*":\\*"([^"\\]+)/.exec(JSON.stringify(messages))?.[1] ?? '';
    return told === undefined ? { toolCalls: [{ tool: 'scan', args: { file } }] } : JSON.stringify(told);
  }),
  tools: [subagent(scan, { description: 'Scans; takes long' })],
});

export default [scan, archivist, oracle, seeker, client, adder, helper, family, mixed, hasty, boss];
