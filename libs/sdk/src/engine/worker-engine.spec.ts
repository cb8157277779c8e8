import { Cancelled, Retryable, Terminal } from '@perdure/kernel';
import { z } from 'zod';
import { FakeOwner, type FakeOwnerOptions } from '../spec-kit/fake-owner';
import { VirtualHost } from '../spec-kit/virtual-host';
import { tool } from '../tool';
import { workflow } from '../workflow';
import type { Behaviour, Tool, WorkflowContext } from './definitions';

type Code = (ctx: WorkflowContext, input: unknown) => unknown;

const flow = (run: Code): Behaviour => workflow({ name: 'flow', input: z.unknown() }, run);
const never = (): Promise<never> => new Promise(() => undefined);

async function begun(behaviour: Behaviour, options: Partial<FakeOwnerOptions> = {}) {
  const host = new VirtualHost();
  const owner = new FakeOwner(host, { behaviour, ...options });
  await owner.startWorker();
  owner.activate();
  return { host, owner };
}

async function outcomeOf(run: Code, options: Partial<FakeOwnerOptions> = {}) {
  const { owner } = await begun(flow(run), options);
  return owner.finish();
}

const NAP = 30_000;

describe('what code gives back', () => {
  const cyclic: Record<string, unknown> = { name: 'loop' };
  cyclic['self'] = cyclic;

  it('is null when it is nothing', async () => {
    expect(await outcomeOf(() => undefined)).toEqual({ status: 'completed', output: null });
  });

  it('is the same live as after a replay: a date is text', async () => {
    const outcome = await outcomeOf(async (ctx) => typeof (await ctx.step('when', () => ({ at: new Date(0) }))).at);
    expect(outcome).toEqual({ status: 'completed', output: 'string' });
  });

  it.each([
    ['a cycle', cyclic, 'self refers back to what contains it'],
    ['a bigint', { list: [1n] }, 'list[0] is a bigint'],
    ['a function', { call: () => 1 }, 'call is a function'],
    ['a map', { by: new Map() }, 'by is a Map'],
    ['not a number', { sum: Number.NaN }, 'sum is NaN'],
    ['a forgotten await', { later: Promise.resolve(1) }, 'later is a Promise'],
    ['bytes', new Uint8Array(2), 'it is a binary buffer'],
  ])('is refused when it is %s, saying where', async (_, value, where) => {
    const outcome = await outcomeOf((ctx) => ctx.step('make', () => value));
    expect(outcome).toMatchObject({
      status: 'failed',
      error: { code: 'OutputNotSerialisable', message: expect.stringContaining(where) },
    });
    expect(await outcomeOf(() => value)).toMatchObject({ status: 'failed', error: { code: 'OutputNotSerialisable' } });
  });

  it.each([
    ['ascii', 'x'.repeat(1_000_001)],
    ['three bytes a letter', '€'.repeat(400_000)],
  ])('is refused when it is too large: %s', async (_, text) => {
    expect(await outcomeOf(() => text)).toMatchObject({ status: 'failed', error: { code: 'PayloadTooLarge' } });
  });

  it.each([
    ['a string', 'gone', { code: 'NonErrorThrown', message: 'gone' }],
    ['nothing', undefined, { code: 'NonErrorThrown', message: 'undefined' }],
    ['a cycle', cyclic, { code: 'NonErrorThrown' }],
    ['an error without a name', Object.assign(new Error('bare'), { name: '' }), { code: 'Error', message: 'bare' }],
    [
      'a proxy that refuses',
      new Proxy(
        {},
        {
          getPrototypeOf: () => {
            throw new Error('no');
          },
        },
      ),
      { code: 'NonErrorThrown' },
    ],
    [
      'an error of ours',
      new Retryable('Busy', 'later', { retryAfterMs: 1.5, details: { at: cyclic } }),
      { code: 'Busy', reaction: 'retryable', retryAfterMs: 2 },
    ],
    ['a very long text', new Error('x'.repeat(100_000)), { code: 'Error' }],
  ])('is a typed error when it throws %s', async (_, thrown, error) => {
    const throws = (): never => {
      throw thrown as Error;
    };
    expect(await outcomeOf(throws)).toMatchObject({ status: 'failed', error });
    expect(await outcomeOf((ctx) => ctx.step('throw', throws))).toMatchObject({ status: 'failed', error });
  });
});

describe('a step', () => {
  it('is tried again when it says so, with jittered pauses', async () => {
    const attempts: number[] = [];
    const run: Code = (ctx) =>
      ctx.step(
        'unsteady',
        ({ attempt }) => {
          attempts.push(attempt);
          if (attempt < 3) throw new Error('not yet');
          return attempt;
        },
        { retry: { attemptsMax: 5 } },
      );
    expect(await outcomeOf(run)).toEqual({ status: 'completed', output: 3 });
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('is not tried again after a terminal error', async () => {
    let attempts = 0;
    const run: Code = (ctx) =>
      ctx.step(
        'wrong',
        () => {
          attempts += 1;
          throw new Terminal('Wrong', 'for good');
        },
        { retry: { attemptsMax: 5 } },
      );
    expect(await outcomeOf(run)).toMatchObject({ status: 'failed', error: { code: 'Wrong' } });
    expect(attempts).toBe(1);
  });
});

describe('a tool', () => {
  const stuck = (signals: AbortSignal[]): Tool =>
    tool({
      name: 'stuck',
      description: '',
      input: z.object({}),
      effect: 'idempotent',
      timeoutMs: 100,
      retry: { attemptsMax: 1 },
      execute: (_, { signal }) => (signals.push(signal), never()),
    });

  it('that never returns ends as ToolTimedOut, and its signal fires', async () => {
    const signals: AbortSignal[] = [];
    const tools = [stuck(signals)];
    const outcome = await outcomeOf((ctx) => ctx.tool(tools[0] as Tool, {}), { tools, attemptsMax: 1 });
    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'ToolTimedOut', reaction: 'retryable' } });
    expect(signals[0]?.aborted).toBe(true);
  });

  it('is refused when the worker does not host it', async () => {
    expect(await outcomeOf((ctx) => ctx.tool(stuck([]), {}))).toMatchObject({ status: 'failed', error: { code: 'UnknownTool' } });
  });

  it('is not called with arguments that do not fit', async () => {
    const sum = tool({ name: 'sum', description: '', input: z.object({ a: z.number() }), execute: ({ a }) => a });
    const outcome = await outcomeOf((ctx) => ctx.tool(sum, { a: 'one' as unknown as number }), { tools: [sum] });
    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'InvalidArguments' } });
  });

  it('that is idempotent and was under way when its worker was lost runs again', async () => {
    let calls = 0;
    const pay = tool({
      name: 'pay',
      description: '',
      input: z.object({}),
      effect: 'idempotent',
      execute: () => ((calls += 1) === 1 ? never() : 'paid'),
    });
    const { host, owner } = await begun(
      flow((ctx) => ctx.tool(pay, {})),
      { tools: [pay] },
    );
    await host.until(() => calls === 1);
    await owner.crash();
    expect(await owner.finish()).toMatchObject({ status: 'completed', output: 'paid' });
    expect(calls).toBe(2);
  });
});

describe('cancelling', () => {
  it('fires the signals, rejects open calls and reports when the code has ended', async () => {
    const seen: unknown[] = [];
    const { host, owner } = await begun(
      flow(async (ctx) => {
        try {
          await ctx.step(
            'wait',
            ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('stopped'))),
          );
        } catch (error) {
          seen.push(error);
          throw error;
        }
      }),
    );
    await host.passes(10);
    owner.cancel();
    expect(await owner.finish()).toEqual({ status: 'cancelled', reason: 'asked' });
    expect(seen[0]).toBeInstanceOf(Cancelled);
  });

  it('does not wait longer than the grace for code that ignores it', async () => {
    const { host, owner } = await begun(flow((ctx) => ctx.step('deaf', never)));
    await host.passes(10);
    const before = host.nowMs;
    owner.cancel();
    expect(await owner.finish()).toEqual({ status: 'cancelled', reason: 'asked' });
    expect(host.nowMs - before).toBe(5_000);
  });

  it('runs no code for a run that was cancelled before', async () => {
    let calls = 0;
    const host = new VirtualHost();
    const owner = new FakeOwner(host, { behaviour: flow(() => (calls += 1)) });
    await owner.startWorker();
    owner.cancelRequested = true;
    owner.activate();
    expect(await owner.finish()).toEqual({ status: 'cancelled', reason: 'asked' });
    expect(calls).toBe(0);
  });
});

describe('the worker', () => {
  it('lets go without a word when its epoch is over', async () => {
    const { host, owner } = await begun(
      flow((ctx) => ctx.step('slow', () => new Promise((resolve) => host.timers.after(100, () => resolve(1))))),
    );
    await host.passes(1);
    owner.epoch += 1;
    await host.until(() => owner.engine.status().activations.length === 0);
    expect(owner.facts).toEqual([]);
  });

  it('fails the run with the refusal when a report is refused for good', async () => {
    const { owner } = await begun(flow((ctx) => ctx.step('any', () => 1)));
    owner.refuseNext = 'PayloadTooLarge';
    expect(await owner.finish()).toMatchObject({ status: 'failed', error: { code: 'PayloadTooLarge' } });
    expect(owner.facts.map(({ type }) => type)).toEqual(['failed']);
  });

  it('drops what it holds when it is told to', async () => {
    const { owner } = await begun(flow((ctx) => ctx.step('long', never)));
    owner.send({ type: 'release', v: 1, tenant: 'acme', runId: 'run1', epoch: 1 });
    expect(owner.engine.status().activations).toEqual([]);
  });

  it('answers a repeated push, and refuses what is not for it', async () => {
    const { owner } = await begun(
      flow((ctx) => ctx.step('long', never)),
      { slots: 1 },
    );
    const order = {
      type: 'activate',
      v: 1,
      tenant: 'acme',
      runId: 'run1',
      kind: 'workflow',
      name: 'flow',
      buildId: 'build-1',
      epoch: 1,
      sessionId: 'session-1',
      revision: 0,
      input: {},
      segments: 0,
      journal: [],
      inbound: [],
      instructions: [],
      cancelRequested: false,
    };
    expect(owner.send(order)).toEqual({ claim: 'accepted' });
    expect(owner.send({ ...order, runId: 'run2' })).toEqual({ claim: 'refused', reason: 'no free slot' });
    expect(owner.send({ ...order, epoch: 2, sessionId: 'other' })).toMatchObject({ claim: 'refused' });
    expect(owner.send({ ...order, epoch: 2, buildId: 'other' })).toMatchObject({ claim: 'refused' });
    expect(owner.send({ ...order, epoch: 2, name: 'other' })).toMatchObject({ claim: 'refused' });
    expect(owner.send({ type: 'nonsense' })).toMatchObject({ claim: 'refused', reason: 'malformed message' });
    expect(
      owner.send({
        type: 'inbound',
        v: 1,
        tenant: 'acme',
        runId: 'run9',
        epoch: 1,
        inbound: [],
        instructions: [],
        cancelRequested: false,
      }),
    ).toEqual({ claim: 'unknown' });
    expect(owner.engine.status().activations).toEqual(['run1']);
  });

  it('goes on warm at the same memory, and asks for the journal when it has none', async () => {
    for (const warmRunsMax of [1, 0]) {
      let starts = 0;
      const { host, owner } = await begun(
        flow(async (ctx) => {
          starts += 1;
          await ctx.sleep(NAP);
          return 'awake';
        }),
        { warmRunsMax },
      );
      await host.until(() => owner.run.letGo === 'suspended');
      expect(await owner.finish()).toEqual({ status: 'completed', output: 'awake' });
      expect(starts).toBe(warmRunsMax === 1 ? 1 : 2);
      expect(owner.claims.map(({ claim }) => claim)).toEqual(
        warmRunsMax === 1 ? ['accepted', 'accepted'] : ['accepted', 'cold', 'accepted'],
      );
    }
  });

  it('sends a sleep and the letting go in one report', async () => {
    const { host, owner } = await begun(flow((ctx) => ctx.sleep(NAP)));
    const before = owner.requests;
    await host.until(() => owner.run.letGo === 'suspended');
    expect(owner.requests - before).toBeLessThanOrEqual(1);
    expect(owner.facts.map(({ type }) => type)).toEqual(['timer-set', 'suspended']);
  });

  it('stays with a short sleep', async () => {
    const { owner } = await begun(flow((ctx) => ctx.sleep(500)));
    await owner.finish();
    expect(owner.facts.map(({ type }) => type)).toEqual(['timer-set', 'timer-fired', 'delivered', 'completed']);
  });
});

describe('draining', () => {
  const twoSteps = (host: () => VirtualHost, begunSteps: string[]): Behaviour => {
    const slow = (name: string) => () =>
      new Promise((resolve) => {
        begunSteps.push(name);
        host().timers.after(100, () => resolve(name));
      });
    return flow(async (ctx) => [await ctx.step('one', slow('one')), await ctx.step('two', slow('two'))]);
  };

  it('a run that is to pause finishes what is under way, is handed over, and goes on later', async () => {
    const steps: string[] = [];
    const world: { host?: VirtualHost } = {};
    const { host, owner } = await begun(twoSteps(() => world.host as VirtualHost, steps));
    world.host = host;
    await host.passes(50);
    owner.pause();
    await host.until(() => owner.facts.at(-1)?.type === 'handed-over');
    expect(owner.facts.map(({ type }) => type)).toEqual(['step', 'handed-over']);
    expect(owner.engine.status()).toMatchObject({ draining: false, activations: [] });
    owner.pauseRequested = false;
    await owner.crash();
    expect(await owner.finish()).toEqual({ status: 'completed', output: ['one', 'two'] });
    expect(steps).toEqual(['one', 'two']);
  });

  it('records what is under way, begins nothing new, and another worker goes on', async () => {
    const steps: string[] = [];
    const world: { host?: VirtualHost } = {};
    const { host, owner } = await begun(twoSteps(() => world.host as VirtualHost, steps));
    world.host = host;
    await host.passes(50);
    let isEmpty = false;
    void owner.engine.drain().then(() => (isEmpty = true));
    expect(owner.engine.status()).toMatchObject({ draining: true, freeSlots: 0 });
    await host.until(() => isEmpty);
    expect(owner.facts.map(({ type }) => type)).toEqual(['step', 'handed-over']);
    expect(owner.activate()).toMatchObject({ claim: 'refused', reason: 'the worker is going away' });
    await owner.crash();
    expect(await owner.finish()).toEqual({ status: 'completed', output: ['one', 'two'] });
    expect(steps).toEqual(['one', 'two']);
  });

  it('hands over at the end of the grace whatever is under way', async () => {
    const { host, owner } = await begun(flow((ctx) => ctx.step('long', never)));
    await host.passes(10);
    let isEmpty = false;
    void owner.engine.drain().then(() => (isEmpty = true));
    await host.passes(10);
    expect(isEmpty).toBe(false);
    owner.engine.handOverNow();
    await host.until(() => isEmpty);
    expect(owner.facts.map(({ type }) => type)).toEqual(['handed-over']);
  });
});
