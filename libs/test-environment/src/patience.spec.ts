import { tool, workflow } from '@perdure/sdk';
import { z } from 'zod';
import { TestEnvironment, type TestEnvironmentOptions } from './test-environment';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = Date.parse('2026-01-01T00:00:00Z');
const nothing = z.object({});
const never = (): Promise<never> => new Promise(() => undefined);
const deaf = workflow({ name: 'deaf', input: nothing }, (ctx) => ctx.waitFor('word'));

let environment: TestEnvironment | undefined;
afterEach(() => environment?.close());

async function environmentWith(options: TestEnvironmentOptions): Promise<TestEnvironment> {
  environment = await TestEnvironment.create(options);
  return environment;
}

describe('code under test', () => {
  it('pauses for hours between the attempts of a step', async () => {
    let tries = 0;
    const dial = (): number => {
      tries += 1;
      if (tries < 4) throw new Error('busy');
      return tries;
    };
    const retry = { attemptsMax: 5, initialDelayMs: HOUR_MS, factor: 1, delayMaxMs: HOUR_MS };
    const stubborn = workflow({ name: 'stubborn', input: nothing }, (ctx) => ctx.step('dial', dial, { retry }));
    const env = await environmentWith({ behaviours: [stubborn] });
    const run = await env.client.start(stubborn, {});
    expect(await run.result()).toBe(4);
    expect(env.now().getTime() - START_MS).toBeGreaterThan(MINUTE_MS);
  });

  it('that does not end is named, instead of being waited for without end', async () => {
    const hangs = workflow({ name: 'hangs', input: nothing }, (ctx) => ctx.step('dial', never));
    const env = await environmentWith({ behaviours: [hangs], patienceMs: 50 });
    const run = await env.client.start(hangs, {});
    const failure = { code: 'CodeStillRuns', details: { executed: [expect.stringContaining('dial')] } };
    await expect(run.result()).rejects.toMatchObject(failure);
    await expect(env.skip({ days: 1 })).rejects.toMatchObject(failure);
  });

  it('runs out of time when the test lets time pass in spite of it', async () => {
    const hangs = tool({
      name: 'hangs',
      description: 'Hangs',
      input: nothing,
      effect: 'pure',
      timeoutMs: MINUTE_MS,
      execute: never,
    });
    const asks = workflow({ name: 'asks', input: nothing, tools: [hangs] }, (ctx) => ctx.tool(hangs, {}));
    const env = await environmentWith({ behaviours: [asks] });
    const run = await env.client.start(asks, {});
    await env.skip({ minutes: 10 }, { whileExecuting: true });
    await expect(run.result()).rejects.toMatchObject({ code: 'ToolTimedOut' });
  });

  it('is held by a worker of the pool that a tool of it names', async () => {
    const far = tool({
      name: 'far',
      description: 'Far',
      input: nothing,
      pool: 'elsewhere',
      effect: 'pure',
      execute: () => 'done',
    });
    const uses = workflow({ name: 'uses', input: nothing, tools: [far] }, (ctx) => ctx.tool(far, {}));
    const env = await environmentWith({ behaviours: [uses] });
    expect(await (await env.client.start(uses, {})).result()).toBe('done');
  });
});

describe('whoever waits', () => {
  it('is told that a run waits for ever, also while a schedule keeps time going', async () => {
    const tick = workflow({ name: 'tick', input: nothing }, () => Promise.resolve('tock'));
    const env = await environmentWith({ behaviours: [tick, deaf], leapsMax: 20 });
    const when = [{ type: 'cron' as const, expression: '0 9 * * *' }];
    await env.client.schedules.create('daily', { start: { name: tick, input: {} }, when });
    const run = await env.client.start(deaf, {});
    const runs = expect.arrayContaining([expect.objectContaining({ runId: run.runId, status: 'suspended' })]);
    await expect(run.result()).rejects.toMatchObject({ code: 'NothingWillHappen', details: { runs } });
  });

  it('is not told so of a run whose child sleeps while others go on', async () => {
    const sleeper = workflow({ name: 'sleeper', input: nothing }, async (ctx) => {
      await ctx.sleep(40 * 24 * HOUR_MS);
      return 'awake';
    });
    const parent = workflow({ name: 'parent', input: nothing }, (ctx) => ctx.child(sleeper, {}));
    const tick = workflow({ name: 'tick', input: nothing }, () => Promise.resolve('tock'));
    const env = await environmentWith({ behaviours: [tick, parent, sleeper], leapsMax: 20 });
    const when = [{ type: 'cron' as const, expression: '0 9 * * *' }];
    await env.client.schedules.create('daily', { start: { name: tick, input: {} }, when });
    expect(await (await env.client.start(parent, {})).result()).toBe('awake');
  });

  it('is let go when the environment is closed', async () => {
    const env = await environmentWith({
      behaviours: [workflow({ name: 'hangs', input: nothing }, (ctx) => ctx.step('x', never))],
    });
    const result = (await env.client.start('hangs', {})).result();
    await env.close();
    await expect(result).rejects.toMatchObject({ code: 'EnvironmentClosed' });
  });

  it('may put a clock of its own into this process', async () => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick'] });
    try {
      const env = await environmentWith({ behaviours: [deaf] });
      const run = await env.client.start(deaf, {});
      await env.skip({ days: 3 });
      await run.signal('word', 'heard');
      expect(await run.result()).toBe('heard');
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('the facts of a run', () => {
  it('are whole, however large what they hold', async () => {
    const big = workflow({ name: 'big', input: nothing }, (ctx) => ctx.step('big', () => 'x'.repeat(100_000)));
    const env = await environmentWith({ behaviours: [big] });
    const run = await env.client.start(big, {});
    await run.result();
    expect(JSON.stringify(await env.facts(run.runId)).length).toBeGreaterThan(100_000);
  });
});
