import { z } from 'zod';
import { FakeOwner } from '../spec-kit/fake-owner';
import { VirtualHost } from '../spec-kit/virtual-host';
import { workflow } from '../workflow';
import type { WorkflowContext } from './definitions';

type Code = (ctx: WorkflowContext) => unknown;

const flow = (run: Code) => workflow({ name: 'flow', input: z.unknown() }, run);
const FEES = { min: 0, max: 1 };

/** Runs `before` to its end, forgets all but the first `count` facts, and goes on with each of `after` in turn. */
async function changed(before: Code, count: number, ...after: readonly Code[]) {
  const owner = new FakeOwner(new VirtualHost(), { behaviour: flow(before) });
  await owner.startWorker();
  owner.activate();
  await owner.finish();
  const outcomes: unknown[] = [];
  for (const code of after) {
    owner.rewind(Math.min(count, owner.facts.length - 1));
    await owner.crash(flow(code));
    owner.rearm();
    outcomes.push(await owner.finish());
  }
  return { owner, outcomes };
}

const completed = (output: unknown) => ({ status: 'completed', output });

describe('the version of changed code', () => {
  const before: Code = async (ctx) => {
    await ctx.step('price', () => 10);
    await ctx.step('ship', () => 1);
    await ctx.step('thank', () => 1);
    return 'before';
  };
  const after: Code = async (ctx) => {
    await ctx.step('price', () => 10);
    const version = ctx.version('fees', FEES);
    if (version === 1) await ctx.step('fee', () => 2);
    await ctx.step('ship', () => 1);
    await ctx.step('thank', () => 1);
    return [version, ctx.version('fees', FEES)];
  };

  it('is the newest in a run that comes by for the first time, and stays so when it is replayed', async () => {
    const all = await changed(after, Infinity, after, after);
    expect(all.outcomes).toEqual([completed([1, 1]), completed([1, 1])]);
    const { owner } = all;
    expect(owner.run.items.map((item) => ('name' in item ? item.name : ''))).toEqual([
      'price',
      'version fees',
      'fee',
      'ship',
      'thank',
    ]);
  });

  it('is the oldest in a run that came by before the change, then and ever after', async () => {
    const { outcomes } = await changed(before, 2, after, after);
    expect(outcomes).toEqual([completed([0, 0]), completed([0, 0])]);
  });

  it('is the newest in a run that was under way and had not come so far', async () => {
    const { outcomes } = await changed(before, 1, after);
    expect(outcomes).toEqual([completed([1, 1])]);
  });

  it('is the oldest where only the intention of what follows is recorded', async () => {
    const asleep: Code = async (ctx) => {
      await ctx.step('price', () => 10);
      await ctx.sleep(1_000);
      return 'before';
    };
    const awake: Code = async (ctx) => {
      await ctx.step('price', () => 10);
      const version = ctx.version('fees', FEES);
      if (version === 1) await ctx.step('fee', () => 2);
      await ctx.sleep(1_000);
      return version;
    };
    expect((await changed(asleep, 2, awake)).outcomes).toEqual([completed(0)]);
  });

  it('does not count a recorded value that was asked for before it as something to come', async () => {
    const valued: Code = async (ctx) => {
      await ctx.step('price', () => 10);
      ctx.now();
      return ctx.version('fees', FEES);
    };
    expect((await changed(valued, 2, valued)).outcomes).toEqual([completed(1)]);
  });

  it('does not count a recorded result that was asked for before it as something to come', async () => {
    const both =
      (priced: Code): Code =>
      (ctx) =>
        ctx.all([
          async (branch) => {
            await branch.step('price', () => 10);
            return priced(ctx);
          },
          (branch) => branch.step('stock', () => 7),
        ]);
    const asking: Code = (ctx) => ctx.version('fees', FEES);
    expect(
      (
        await changed(
          both(() => 'before'),
          2,
          both(asking),
        )
      ).outcomes,
    ).toEqual([completed([1, 7])]);
  });

  it('is what it was when the code knows newer ones', async () => {
    const newer: Code = async (ctx) => {
      await ctx.step('price', () => 10);
      const version = ctx.version('fees', { min: 1, max: 2 });
      await ctx.step('fee', () => 2);
      return version;
    };
    expect((await changed(after, 3, newer)).outcomes).toEqual([completed(1)]);
  });

  it('need not be asked for any more', async () => {
    const without: Code = async (ctx) => {
      await ctx.step('price', () => 10);
      await ctx.step('fee', () => 2);
      await ctx.step('ship', () => 1);
      await ctx.step('thank', () => 1);
      return 'only the new way';
    };
    expect((await changed(after, Infinity, without)).outcomes).toEqual([completed('only the new way')]);
  });

  it('diverges under code that has forgotten it', async () => {
    const forgetful: Code = async (ctx) => {
      await ctx.step('price', () => 10);
      return ctx.version('fees', { min: 2, max: 3 });
    };
    expect((await changed(after, 3, forgetful)).outcomes).toEqual([
      {
        status: 'diverged',
        text: 'version:fees@1: expected version 1 of fees, found code that knows versions 2 to 3',
      },
    ]);
  });

  it('wants a name and a range', async () => {
    const wrong: Code = (ctx) => ctx.version('fees', { min: 2, max: 1 });
    const { owner } = await changed(() => 1, Infinity, wrong);
    expect(owner.run.outcome).toMatchObject({ status: 'failed', error: { code: 'InvalidVersion' } });
  });
});
