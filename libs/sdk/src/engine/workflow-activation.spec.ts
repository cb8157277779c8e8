import { Terminal } from '@perdure/kernel';
import { z } from 'zod';
import { ruleModel } from '../rule-model';
import { FakeOwner, type FakeOwnerOptions } from '../spec-kit/fake-owner';
import { VirtualHost } from '../spec-kit/virtual-host';
import { tool } from '../tool';
import { workflow } from '../workflow';
import { WINDOW_ENTRIES_MAX } from './bounds';
import type { WorkflowContext } from './definitions';

const anything = z.unknown();

function started(run: (ctx: WorkflowContext, input: unknown) => unknown, options: Partial<FakeOwnerOptions> = {}) {
  const host = new VirtualHost();
  const owner = new FakeOwner(host, { behaviour: workflow({ name: 'flow', input: anything }, run), ...options });
  const begin = async (): Promise<void> => {
    await owner.startWorker();
    expect(owner.activate()).toEqual({ claim: 'accepted' });
  };
  return { host, owner, begin };
}

async function outcomeOf(run: (ctx: WorkflowContext, input: unknown) => unknown, options: Partial<FakeOwnerOptions> = {}) {
  const { owner, begin } = started(run, options);
  await begin();
  return { owner, outcome: await owner.finish() };
}

describe('a workflow', () => {
  it('completes with what its code returns', async () => {
    const { outcome } = await outcomeOf((_, input) => ({ echo: input }), { input: { a: 1 } });
    expect(outcome).toEqual({ status: 'completed', output: { echo: { a: 1 } } });
  });

  it('tells the text of each model call under its own name', async () => {
    const model = ruleModel('m', ({ messages }) => `re: ${(messages[0] as { text: string }).text}`, { pieces: (text) => [text] });
    const { owner, outcome } = await outcomeOf((ctx) =>
      ctx.all([(left) => left.model(model, { prompt: 'a' }), (right) => right.model(model, { prompt: 'b' })]),
    );
    expect(outcome).toMatchObject({ status: 'completed', output: [{ text: 're: a' }, { text: 're: b' }] });
    expect(owner.told).toMatchObject([
      { epoch: 1, attempt: 1, offset: 0, text: 're: a' },
      { epoch: 1, attempt: 1, offset: 0, text: 're: b' },
    ]);
    expect(new Set(owner.told.map(({ call }) => call)).size).toBe(2);
  });

  it('records a step that declares nothing before the code goes on', async () => {
    const recordedBefore: number[] = [];
    const { owner, begin } = started(async (ctx) => {
      for (let index = 0; index < 3; index += 1) {
        await ctx.step('count', () => index);
        recordedBefore.push(owner.run.items.length);
      }
      return recordedBefore.length;
    });
    await begin();
    expect(await owner.finish()).toEqual({ status: 'completed', output: 3 });
    expect(recordedBefore).toEqual([1, 2, 3]);
  });

  it('sends a hundred pure steps and the end in one request', async () => {
    const { owner, outcome } = await outcomeOf(async (ctx) => {
      let sum = 0;
      for (let index = 0; index < 100; index += 1) sum += await ctx.step('add', () => index, { pure: true });
      return sum;
    });
    expect(outcome).toEqual({ status: 'completed', output: 4950 });
    expect(owner.run.items).toHaveLength(100);
    expect(owner.requests).toBe(2);
  });

  it('sends what piles up while a request is under way in the next, in order and within the window', async () => {
    let mostAhead = 0;
    const world: { owner?: FakeOwner } = {};
    const add = (index: number): number => {
      mostAhead = Math.max(mostAhead, index - (world.owner?.run.items.length ?? 0));
      return index;
    };
    const run = async (ctx: WorkflowContext): Promise<string> => {
      for (let index = 0; index < 3_000; index += 1) await ctx.step('add', () => add(index), { pure: true });
      return 'done';
    };
    const { owner, begin } = started(run, { replyMs: 3 });
    world.owner = owner;
    await begin();
    expect(await owner.finish()).toEqual({ status: 'completed', output: 'done' });
    expect(owner.run.items.map((item) => item.call)).toEqual(Array.from({ length: 3_000 }, (_, index) => String(index + 1)));
    expect(owner.requests).toBeLessThan(40);
    expect(mostAhead).toBeGreaterThan(300);
    expect(mostAhead).toBeLessThanOrEqual(WINDOW_ENTRIES_MAX + 1);
  });

  it('runs branches concurrently and sleeps without holding a slot', async () => {
    const { host, owner, begin } = started(async (ctx) => {
      const begunAtMs = ctx.now();
      const values = await ctx.all([
        async (scope) => {
          await scope.sleep(60_000);
          return scope.step('late', () => 'late');
        },
        (scope) => scope.step('early', () => 'early'),
      ]);
      return { values, tookMs: ctx.now() - begunAtMs >= 60_000 };
    });
    await begin();
    await host.until(() => owner.run.letGo === 'suspended');
    expect(owner.engine.status().freeSlots).toBe(10);
    expect(await owner.finish()).toEqual({ status: 'completed', output: { values: ['late', 'early'], tookMs: true } });
    expect(owner.claims.map(({ claim }) => claim)).toEqual(['accepted', 'accepted']);
  });

  it('gives a tool the same key at each attempt and retries as declared', async () => {
    const keys: string[] = [];
    const flaky = tool({
      name: 'flaky',
      description: '',
      input: z.object({ n: z.number() }),
      effect: 'idempotent',
      execute: ({ n }, { idempotencyKey, attempt }) => {
        keys.push(`${idempotencyKey}#${attempt}`);
        if (attempt < 3) throw new Error('not yet');
        return n * 2;
      },
    });
    const { outcome } = await outcomeOf((ctx) => ctx.tool(flaky, { n: 21 }), { tools: [flaky] });
    expect(outcome).toEqual({ status: 'completed', output: 42 });
    expect(keys).toEqual(['acme/run1/0/1#1', 'acme/run1/0/1#2', 'acme/run1/0/1#3']);
  });

  it('fails with the error that its code throws', async () => {
    const { outcome } = await outcomeOf(() => {
      throw new Terminal('CardDeclined', 'no money');
    });
    expect(outcome).toEqual({ status: 'failed', error: { code: 'CardDeclined', message: 'no money', reaction: 'terminal' } });
  });
});
