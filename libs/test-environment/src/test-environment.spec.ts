import { agent, ruleModel, subagent, type Terminal, tool, workflow } from '@perdure/sdk';
import { z } from 'zod';
import { TestEnvironment, type TestEnvironmentOptions } from './test-environment';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const nothing = z.object({});

let environment: TestEnvironment | undefined;
afterEach(() => environment?.close());

async function environmentWith(options: TestEnvironmentOptions): Promise<TestEnvironment> {
  environment = await TestEnvironment.create(options);
  return environment;
}

const reminder = workflow({ name: 'reminder', input: nothing }, async (ctx) => {
  for (let weeks = 1; ; weeks += 1) {
    const paid = await ctx.waitFor<{ amount: number }>('paid', { timeoutMs: 7 * DAY_MS });
    if (!paid.timedOut) return { weeks, amount: paid.payload.amount };
  }
});

describe('time in a test environment', () => {
  it('passes as far as it must: a year of renewals', async () => {
    const renewed: string[] = [];
    const subscription = workflow({ name: 'subscription', input: nothing }, async (ctx) => {
      for (let month = 0; month < 12; month += 1) {
        await ctx.sleep(30 * DAY_MS);
        await ctx.step('renew', () => void renewed.push(env.now().toISOString()));
      }
      return 'a year';
    });
    const env = await environmentWith({ behaviours: [subscription] });
    const run = await env.client.start(subscription, {});
    expect(await run.result()).toBe('a year');
    expect([renewed.length, renewed[0]?.slice(0, 13), renewed[11]?.slice(0, 13)]).toEqual([12, '2026-01-31T00', '2026-12-27T00']);
  });

  it('passes by as much as the test says, and not beyond', async () => {
    const env = await environmentWith({ behaviours: [reminder], startAt: '2030-05-01T12:00:00Z' });
    const run = await env.client.start(reminder, {});
    await env.skip({ days: 17 });
    expect(env.now()).toEqual(new Date('2030-05-18T12:00:00Z'));
    expect((await env.facts(run.runId)).filter(({ type }) => type === 'TimerFired')).toHaveLength(2);
    await run.signal('paid', { amount: 12 });
    expect(await run.result()).toEqual({ weeks: 3, amount: 12 });
    expect(env.now().getTime() - new Date('2030-05-18T12:00:00Z').getTime()).toBeLessThan(HOUR_MS);
  });

  it('waits for what the code under test does in real time', async () => {
    const slow = workflow({ name: 'slow', input: nothing }, async (ctx) => {
      const real = await ctx.step('fetch', () => new Promise((resolve) => setTimeout(() => resolve('fetched'), 60)));
      return { real, at: env.now() };
    });
    const env = await environmentWith({ behaviours: [slow] });
    const before = env.now().getTime();
    const run = await env.client.start(slow, {});
    expect(await run.result()).toMatchObject({ real: 'fetched' });
    expect(env.now().getTime() - before).toBeLessThan(1_000);
  });

  it('does not pass for what will never happen: the test is told what is waited for', async () => {
    const env = await environmentWith({ behaviours: [workflow({ name: 'deaf', input: nothing }, (ctx) => ctx.waitFor('word'))] });
    const run = await env.client.start('deaf', {});
    const failure = await run.result().catch((error: unknown) => error as Terminal);
    expect(failure).toMatchObject({ code: 'NothingWillHappen' });
    expect((failure as Terminal).message).toMatch(/deaf .* is suspended, and waits for: .*signal.*word/);
  });

  it('does not pass for code that waits for a promise of its own', async () => {
    const stuck = workflow({ name: 'stuck', input: nothing }, () => new Promise(() => undefined));
    const env = await environmentWith({ behaviours: [stuck] });
    const run = await env.client.start(stuck, {});
    await expect(run.result()).rejects.toMatchObject({ code: 'NothingWillHappen' });
  });

  it('gives the same facts for the same seed', async () => {
    const story = async (): Promise<unknown> => {
      const env = await TestEnvironment.create({ behaviours: [reminder], seed: 5 });
      const run = await env.client.start(reminder, {}, { idempotencyKey: 'one' });
      await env.skip({ days: 10 });
      await run.signal('paid', { amount: 1 });
      await run.result();
      const facts = await env.facts(run.runId);
      await env.close();
      return facts;
    };
    expect(await story()).toEqual(await story());
  });
});

describe('what runs do in a test environment', () => {
  const attempts: number[] = [];
  const flaky = tool({
    name: 'flaky',
    description: 'Fails twice',
    input: nothing,
    effect: 'idempotent',
    retry: { attemptsMax: 3, initialDelayMs: HOUR_MS, factor: 2, delayMaxMs: DAY_MS },
    execute: (_, { attempt }) => {
      attempts.push(attempt);
      if (attempt < 3) throw new Error('not yet');
      return 'at last';
    },
  });

  it('retries after hours', async () => {
    const model = ruleModel('once', ({ messages }) =>
      messages.some(({ role }) => role === 'tool') ? 'done' : { toolCalls: [{ tool: 'flaky', args: {} }] },
    );
    const persistent = agent({ name: 'persistent', input: nothing, instructions: 'Go on.', model, tools: [flaky] });
    const env = await environmentWith({ behaviours: [persistent] });
    const run = await env.client.start(persistent, {});
    expect(await run.result()).toBe('done');
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('has children, and agents among them', async () => {
    const naps = workflow({ name: 'naps', input: z.object({ hours: z.number() }) }, async (ctx, { hours }) => {
      await ctx.sleep(hours * HOUR_MS);
      return hours;
    });
    const helper = agent({ name: 'helper', input: nothing, instructions: 'Help.', model: ruleModel('kind', () => 'helped') });
    const boss = agent({
      name: 'boss',
      input: nothing,
      instructions: 'Ask.',
      model: ruleModel('asks', ({ messages }) =>
        messages.some(({ role }) => role === 'tool') ? 'asked' : { toolCalls: [{ tool: 'helper', args: {} }] },
      ),
      tools: [subagent(helper, { description: 'Helps' })],
    });
    const parent = workflow({ name: 'parent', input: nothing }, async (ctx) => [
      ...(await Promise.all([1, 30, 700].map((hours) => ctx.child(naps, { hours })))),
      await ctx.child(boss, {}),
    ]);
    const env = await environmentWith({ behaviours: [naps, helper, boss, parent] });
    expect(await (await env.client.start(parent, {})).result()).toEqual([1, 30, 700, 'asked']);
  });

  it('is cut off by kill -9 and goes on, with what was durable', async () => {
    const done: string[] = [];
    const careful = workflow({ name: 'careful', input: nothing }, async (ctx) => {
      await ctx.step('first', () => void done.push('first'));
      await ctx.sleep(DAY_MS);
      await ctx.step('second', () => void done.push('second'));
      return done;
    });
    const env = await environmentWith({ behaviours: [careful] });
    const run = await env.client.start(careful, {});
    await env.settle();
    await env.restartWorkers();
    await env.skip({ hours: 12 });
    await env.restartServices();
    expect(await run.result()).toEqual(['first', 'second']);
  });

  it('is started by a schedule', async () => {
    const seen: string[] = [];
    const report = workflow({ name: 'report', input: nothing }, (ctx) =>
      ctx.step('write', () => void seen.push(env.now().toISOString().slice(0, 16))),
    );
    const env = await environmentWith({ behaviours: [report] });
    await env.client.schedules.create('weekly', {
      start: { name: report, input: {} },
      when: [{ type: 'cron', expression: '0 9 * * 1' }],
      timeZone: 'Europe/Berlin',
    });
    await env.skip({ days: 28 });
    expect(seen).toEqual(['2026-01-05T08:00', '2026-01-12T08:00', '2026-01-19T08:00', '2026-01-26T08:00']);
  });

  it('asks persons, whose answers the test gives', async () => {
    const paid: number[] = [];
    const pay = tool({
      name: 'pay',
      description: 'Pays',
      input: z.object({ amount: z.number() }),
      approval: 'required',
      execute: (_args) => void paid.push(_args.amount),
    });
    const payer = workflow({ name: 'payer', input: nothing }, async (ctx) => {
      await ctx.tool(pay, { amount: 7 });
      return ctx.tool(pay, { amount: 8 }).catch((error: unknown) => (error as Terminal).code);
    });
    const env = await environmentWith({ behaviours: [payer], tools: [pay] });
    const run = await env.client.start(payer, {});
    await env.skip({ hours: 5 });
    expect(paid).toEqual([]);
    await env.approve(run.runId, { by: 'ada' });
    await env.settle();
    expect(paid).toEqual([7]);
    await env.deny(run.runId, { by: 'ada', reason: 'too much' });
    expect([await run.result(), paid]).toEqual(['ApprovalDenied', [7]]);
    await expect(env.approve(run.runId, { call: '77' })).rejects.toMatchObject({ code: 'NoSuchApproval' });
  });

  it('waits for what persons answer, until the time for it is over', async () => {
    const asks = workflow({ name: 'asks', input: nothing }, async (ctx) => {
      const question = { title: 'Which?', form: z.object({ n: z.number() }), assignee: 'user:mia' } as const;
      const escalate = [{ after: '2 days', to: 'role:head' }] as const;
      const expires = { after: '7 days', action: { answer: { n: 0 } } } as const;
      const answered = await ctx.ask({ ...question, remind: ['1 day'], escalate, expires });
      return [answered, await ctx.ask({ ...question, expires })];
    });
    const env = await environmentWith({ behaviours: [asks] });
    await env.enroll('leo', ['clerk']);
    await env.enroll('eva', ['clerk', 'head']);
    const run = await env.client.start(asks, {});
    await env.skip({ days: 1.5 });
    const early = env.client.tasks.answer({ runId: run.runId, call: '1' }, { n: 1 }, { by: 'eva' });
    await expect(early).rejects.toMatchObject({ code: 'NotYourTask' });
    await env.skip({ days: 1 });
    await env.restartServices();
    const other = env.client.tasks.answer({ runId: run.runId, call: '1' }, { n: 1 }, { by: 'leo' });
    await expect(other).rejects.toMatchObject({ code: 'NotYourTask' });
    await env.client.tasks.answer({ runId: run.runId, call: '1' }, { n: 1 }, { by: 'eva' });
    expect(await run.result()).toEqual([{ n: 1 }, { n: 0 }]);
    const told = (await env.facts(run.runId)).filter(({ type }) => type.startsWith('Task'));
    expect(told.map(({ type, at }) => `${at.toISOString().slice(0, 10)} ${type}`)).toEqual([
      '2026-01-01 TaskAsked',
      '2026-01-02 TaskReminded',
      '2026-01-03 TaskEscalated',
      '2026-01-03 TaskAnswered',
      '2026-01-03 TaskAsked',
      '2026-01-10 TaskExpired',
    ]);
  });

  it('waits for whoever has the token of a callback, and never ends for good', async () => {
    let token = '';
    const asks = workflow({ name: 'asks', input: z.object({ round: z.number() }) }, async (ctx, { round }) => {
      const callback = await ctx.callback<{ ok: boolean }>();
      await ctx.step('give away', () => void (token = callback.token));
      await callback.result;
      return round === 2 ? 'done' : ctx.continueWith({ round: round + 1 });
    });
    const env = await environmentWith({ behaviours: [asks] });
    const run = await env.client.start(asks, { round: 1 });
    for (const _ of [1, 2]) {
      await env.skip({ days: 100 });
      await env.client.answer(token, { result: { ok: true } });
    }
    expect(await run.result()).toBe('done');
  });

  it('polls, through kill -9, and records only what is new', async () => {
    const looksAt: string[] = [];
    const delivery = workflow({ name: 'delivery', input: nothing }, (ctx) =>
      ctx.poll(
        'parcel',
        () => {
          looksAt.push(env.now().toISOString().slice(11, 19));
          return looksAt.length < 4 ? 'on its way' : 'delivered';
        },
        { everyMs: 60_000, until: (state) => state === 'delivered' },
      ),
    );
    const env = await environmentWith({ behaviours: [delivery] });
    const run = await env.client.start(delivery, {});
    await env.skip({ minutes: 1, seconds: 30 });
    await env.restartWorkers();
    expect(await run.result()).toBe('delivered');
    // Another worker does not know of the look that saw nothing new, and makes up for it.
    expect(looksAt).toEqual(['00:00:00', '00:01:00', '00:01:30', '00:02:00']);
    const recorded = (await env.facts(run.runId)).filter(({ type }) => type === 'StepsRecorded');
    expect(JSON.stringify(recorded).match(/on its way|delivered/g)).toEqual(['on its way', 'delivered']);
  });
});
