import * as fc from 'fast-check';
import { z } from 'zod';
import { FakeOwner } from '../spec-kit/fake-owner';
import { program, programRun, steady, type Program } from '../spec-kit/random-program';
import { VirtualHost } from '../spec-kit/virtual-host';
import { tool } from '../tool';
import { workflow } from '../workflow';
import { FOREIGN_AWAIT_MS, SEGMENTS_AT_ONCE } from './bounds';
import type { WorkflowContext } from './definitions';

/** Another one explores other programs; found ones become specs of their own. */
const SEED = 20_251_122;

async function runOnce(steps: Program, seed: number, lossOf = 0) {
  const host = new VirtualHost(seed);
  const run = programRun(steps, host);
  const owner = new FakeOwner(host, { behaviour: run.behaviour, tools: run.tools, lossOf });
  await owner.startWorker();
  owner.activate();
  return { host, run, owner };
}

/** Goes on from the first `count` facts of a run on a new worker. */
async function goOn({ owner }: { owner: FakeOwner }, count: number) {
  owner.rewind(count);
  await owner.engine.stop();
  await owner.startWorker();
  owner.rearm();
  owner.activate();
  return owner.finish();
}

describe('replay', () => {
  it('of the whole journal gives exactly the same result, and runs no step again', async () => {
    await fc.assert(
      fc.asyncProperty(program, fc.nat(), async (steps, seed) => {
        const first = await runOnce(steps, seed);
        const outcome = await first.owner.finish();
        expect(outcome.status).toBe('completed');
        const begunBefore = first.run.begun.length;
        const recorded = new Set(first.owner.run.items.map((item) => ('name' in item ? item.name : '')));
        expect(await goOn(first, first.owner.facts.length - 1)).toEqual(outcome);
        expect(first.run.begun.slice(begunBefore).filter((name) => recorded.has(name))).toEqual([]);
      }),
      { numRuns: 60, seed: SEED },
    );
  });

  it('of every prefix of the journal comes to the same end', async () => {
    await fc.assert(
      fc.asyncProperty(program, fc.nat(), async (steps, seed) => {
        const first = await runOnce(steps, seed);
        const outcome = await first.owner.finish();
        const facts = [...first.owner.facts];
        for (let count = 0; count < facts.length; count += 1) {
          first.owner.facts.splice(0, Infinity, ...facts);
          const again = await goOn(first, count);
          expect(again.status).toBe('completed');
          expect(steady((again as { output?: unknown }).output)).toEqual(steady((outcome as { output?: unknown }).output));
        }
      }),
      { numRuns: 25, seed: SEED },
    );
  }, 60_000);

  it('after crashes at any moment, with lost requests and answers, repeats nothing that was recorded', async () => {
    await fc.assert(
      fc.asyncProperty(
        program,
        fc.nat(),
        fc.array(fc.constantFrom(0, 1, 5, 45, 700, 3_000), { maxLength: 4 }),
        async (steps, seed, crashes) => {
          const { host, run, owner } = await runOnce(steps, seed, 0.15);
          for (const afterMs of crashes) {
            await host.passes(afterMs);
            if (owner.isOver) break;
            const recorded = new Set(owner.run.items.map((item) => ('name' in item ? item.name : '')));
            run.onBegin = (name) => {
              if (recorded.has(name)) throw new Error(`${name} is recorded and runs again`);
            };
            await owner.crash();
          }
          const outcome = await owner.finish();
          expect(outcome.status).toBe('completed');
          expect(await goOn({ owner }, owner.facts.length - 1)).toEqual(outcome);
        },
      ),
      { numRuns: 100, seed: SEED },
    );
  }, 60_000);

  describe('of sealed segments', () => {
    const STEPS = 40;
    const SEGMENTS = 13;

    async function sealedRun() {
      const host = new VirtualHost();
      const steps = Array.from({ length: STEPS }, () => ({ op: 'step' as const, pure: false, takesMs: 0, fails: false }));
      const run = programRun(steps, host);
      const owner = new FakeOwner(host, { ...run, segmentItems: 3 });
      await owner.startWorker();
      owner.activate();
      return { host, run, owner, outcome: await owner.finish() };
    }

    it('reads each of them once, and then the tail', async () => {
      const { run, owner, outcome } = await sealedRun();
      expect(await goOn({ owner }, owner.facts.length - 1)).toEqual(outcome);
      expect(run.begun).toHaveLength(STEPS);
      expect(owner.segmentsRead).toEqual(Array.from({ length: SEGMENTS }, (_, index) => index));
    });

    it('asks for several at once, and for no more than that', async () => {
      const { owner } = await sealedRun();
      owner.rewind(owner.facts.length - 1);
      await owner.engine.stop();
      await owner.startWorker();
      owner.replyMs = 100;
      owner.activate();
      await owner.host.passes(50);
      expect(owner.segmentsRead).toHaveLength(SEGMENTS_AT_ONCE);
      await owner.host.passes(100);
      expect(owner.segmentsRead).toHaveLength(2 * SEGMENTS_AT_ONCE);
    });

    it('takes what arrives while they are slow to come for no sign that the code is at rest', async () => {
      const { owner, outcome } = await sealedRun();
      owner.rewind(owner.facts.length - 1);
      await owner.engine.stop();
      await owner.startWorker();
      owner.replyMs = 2 * FOREIGN_AWAIT_MS;
      owner.activate();
      owner.tell();
      expect(await owner.finish()).toEqual(outcome);
    });
  });
});

describe('divergence', () => {
  const lookup = tool({
    name: 'lookup',
    description: '',
    input: z.object({ id: z.number() }),
    effect: 'pure',
    execute: ({ id }) => id,
  });

  /** Runs `before` until `recorded` facts are there, then `after` over what is recorded. */
  async function diverged(before: (ctx: WorkflowContext) => unknown, after: (ctx: WorkflowContext) => unknown) {
    const flow = (run: (ctx: WorkflowContext) => unknown) => workflow({ name: 'flow', input: z.unknown() }, run);
    const owner = new FakeOwner(new VirtualHost(), { behaviour: flow(before), tools: [lookup] });
    await owner.startWorker();
    owner.activate();
    await owner.finish();
    owner.rewind(owner.facts.length - 1);
    await owner.crash(flow(after));
    return owner.finish();
  }

  it('names a call of another name', async () => {
    const outcome = await diverged(
      (ctx) => ctx.step('charge', () => 1),
      (ctx) => ctx.step('refund', () => 1),
    );
    expect(outcome).toEqual({ status: 'diverged', text: '1@0: expected step "charge", found step "refund"' });
  });

  it('names a call of another kind', async () => {
    const outcome = await diverged(
      (ctx) => ctx.now(),
      (ctx) => ctx.step('now', () => 1),
    );
    expect(outcome).toEqual({ status: 'diverged', text: '1@0: expected value "now", found step "now"' });
  });

  it('names other arguments of a tool', async () => {
    const outcome = await diverged(
      (ctx) => ctx.tool(lookup, { id: 1 }),
      (ctx) => ctx.tool(lookup, { id: 2 }),
    );
    expect(outcome).toEqual({
      status: 'diverged',
      text: '1@0: expected tool "lookup", found tool "lookup" with other arguments',
    });
  });

  it('names a recorded call that the code no longer makes, and begins nothing new before that', async () => {
    let begun = 0;
    const outcome = await diverged(
      (ctx) => ctx.all([(scope) => scope.step('a', () => 1), (scope) => scope.step('b', () => 2)]),
      (ctx) =>
        ctx.all([
          (scope) => scope.step('a', () => 1),
          async (scope) => {
            await scope.all([]);
            return scope.step('new', () => (begun += 1));
          },
        ]),
    );
    expect(outcome).toEqual({ status: 'diverged', text: '1.2.1@1: expected step "b", found the code made no such call' });
    expect(begun).toBe(0);
  });

  it('names what is left over when the code ends too early', async () => {
    const outcome = await diverged(
      async (ctx) => {
        await ctx.step('a', () => 1);
        await ctx.step('b', () => 2);
      },
      (ctx) => ctx.step('a', () => 1),
    );
    expect(outcome).toEqual({ status: 'diverged', text: '2@1: expected step "b", found the code made no such call' });
  });

  it('names a foreign await on replay', async () => {
    const outcome = await diverged(
      (ctx) => ctx.step('a', () => 1),
      () => new Promise(() => undefined),
    );
    expect(outcome).toMatchObject({ status: 'diverged', text: expect.stringContaining('ForeignAwait') });
  });

  it('names a foreign await live', async () => {
    const behaviour = workflow({ name: 'flow', input: z.unknown() }, async (ctx) => {
      await ctx.step('a', () => 1);
      await new Promise(() => undefined);
    });
    const owner = new FakeOwner(new VirtualHost(), { behaviour });
    await owner.startWorker();
    owner.activate();
    expect(await owner.finish()).toMatchObject({ status: 'diverged', text: expect.stringContaining('ForeignAwait') });
  });
});
