import type { RecordedRun } from '@perdure/run-contract';
import { agent, ruleModel, tool, workflow, type Behaviour, type WorkflowContext } from '@perdure/sdk';
import { ManualHost } from '@perdure/testing';
import { z } from 'zod';
import { candidateOf } from './candidate';
import { checkAll, type CheckReport, type UnreadRun } from './deploy-check';

const BUDGET_MS = 60_000;
const host = new ManualHost();
let begun: string[] = [];
beforeEach(() => {
  begun = [];
});

const charge = tool({
  name: 'charge',
  description: '',
  input: z.object({ amount: z.number() }),
  effect: 'idempotent',
  execute: () => void begun.push('charge'),
});
const bill = (run: (ctx: WorkflowContext, input: { n: number }) => unknown, input: z.ZodType = z.object({ n: z.number() })) =>
  workflow({ name: 'bill', input, tools: [charge] }, run as never) as unknown as Behaviour;

/** Waits in its second call, with one step recorded. */
const asleep = (changes: Partial<RecordedRun> = {}): RecordedRun => ({
  v: 1,
  tenant: 'acme',
  runId: 'r1',
  kind: 'workflow',
  name: 'bill',
  pool: 'default',
  status: 'suspended',
  revision: 4,
  buildId: 'old',
  input: { n: 1 },
  turn: 0,
  journal: [
    { type: 'got', call: '1', kind: 'step', name: 'price', outcome: { ok: true, value: 7 } },
    { type: 'made', call: '2', kind: 'sleep', name: 'sleep' },
  ],
  open: [{ call: '2', kind: 'sleep', name: 'sleep' }],
  ...changes,
});
const conversation = (changes: Partial<RecordedRun> = {}): RecordedRun => ({
  ...asleep(),
  kind: 'agent',
  name: 'clerk',
  turn: 1,
  turnsMax: 10,
  journal: [],
  open: [{ call: 't1.0', kind: 'tool', name: 'charge', args: { amount: 1 }, effectClass: 'idempotent' }],
  ...changes,
});

async function* lines(runs: readonly (RecordedRun | UnreadRun | string)[]): AsyncGenerator<string | UnreadRun> {
  for (const run of runs) yield typeof run === 'string' || 'problem' in run ? run : JSON.stringify(run);
}

function check(
  behaviours: readonly Behaviour[],
  runs: readonly (RecordedRun | UnreadRun | string)[],
  budgetMs = BUDGET_MS,
): Promise<CheckReport> {
  const candidate = candidateOf({ behaviours, tools: [] }, host.digest);
  return checkAll({ total: runs.length, runs: lines(runs) }, { host, candidate, budgetMs });
}

const unchanged = bill(async (ctx) => {
  await ctx.step('price', () => begun.push('price'));
  await ctx.sleep(1_000);
  await ctx.tool(charge, { amount: 1 });
});

describe('a workflow under a candidate', () => {
  it('goes on as it does when it makes the recorded calls; nothing runs again and nothing new begins', async () => {
    expect(await check([unchanged], [asleep()])).toMatchObject({ checked: 1, same: 1, different: [] });
    const further = bill(async (ctx) => {
      await Promise.all([ctx.step('price', () => begun.push('price')), ctx.sleep(1)]);
    });
    const other = bill(async (ctx) => {
      await ctx.step('price', () => begun.push('price'));
      await Promise.all([ctx.sleep(1), ctx.step('new', () => begun.push('new')), ctx.tool(charge, { amount: 1 })]);
    });
    await check([further], [asleep()]);
    expect(await check([other], [asleep()])).toMatchObject({ same: 1 });
    expect(begun).toEqual([]);
  });

  it.each<[string, (ctx: WorkflowContext) => unknown, object]>([
    [
      'makes another call',
      (ctx) => ctx.step('cost', () => 1),
      { call: '1', expected: 'step "price"', found: 'step "cost"', position: 0 },
    ],
    [
      'goes another way on a recorded result',
      async (ctx) => ((await ctx.step<number>('price', () => 0)) > 5 ? ctx.step('discount', () => 1) : ctx.sleep(1)),
      { call: '2', expected: 'sleep', found: 'step "discount"', position: 1 },
    ],
    [
      'comes to an end early',
      (ctx) => ctx.step('price', () => 1),
      { call: '2', expected: 'sleep', found: 'the code made no such call', position: 1 },
    ],
    [
      'fails after what is recorded',
      async (ctx) => {
        await ctx.step('price', () => 1);
        void ctx.sleep(1);
        throw new TypeError('no such thing');
      },
      { call: 'end', found: 'the run fails: TypeError: no such thing' },
    ],
  ])('is named with call, expected and found when it %s', async (_, run, at) => {
    const { different, same } = await check([bill(run)], [asleep()]);
    expect(same).toBe(0);
    expect(different).toMatchObject([{ name: 'bill', buildId: 'old', runIds: ['r1'], at }]);
  });

  it('differs when it completes where it waited', async () => {
    const hasty = bill(async (ctx) => {
      await ctx.step('price', () => 1);
      void ctx.sleep(1);
      return 'done';
    });
    expect((await check([hasty], [asleep()])).different).toMatchObject([{ at: { found: 'the run completes' } }]);
    expect(await check([hasty], [asleep({ status: 'active' })])).toMatchObject({ same: 1 });
  });

  it('differs when its input is none any more', async () => {
    const strict = bill(() => 1, z.object({ n: z.number().min(5) }));
    expect((await check([strict], [asleep()])).different[0]?.at.found).toContain('InvalidInput');
  });

  it('goes on as it does when the change asks for its version', async () => {
    const changed = bill(async (ctx) => {
      await ctx.step('price', () => 1);
      if (ctx.version('fee', { min: 0, max: 1 }) === 1) await ctx.step('fee', () => 1);
      await ctx.sleep(1);
    });
    expect(await check([changed], [asleep()])).toMatchObject({ same: 1 });
  });
});

describe('an agent under a candidate', () => {
  const clerk = (options: { tools?: readonly (typeof charge)[]; model?: string; turnsMax?: number; input?: z.ZodType } = {}) =>
    agent({
      name: 'clerk',
      instructions: 'In other words.',
      input: options.input ?? z.object({ n: z.number() }),
      tools: options.tools ?? [charge],
      model: ruleModel(options.model ?? 'acme/two', () => 'x'),
      limits: { turnsMax: options.turnsMax ?? 10 },
    }) as unknown as Behaviour;
  const asking = conversation({ open: [{ call: 't2', kind: 'model', name: 'acme/one' }] });

  it('goes on as it does whatever its instructions and the version of its model are', async () => {
    expect(await check([clerk()], [conversation(), { ...asking, runId: 'r2' }])).toMatchObject({ same: 2, different: [] });
  });

  it.each<[string, { candidate: Behaviour; run?: RecordedRun; found: RegExp }]>([
    ['the tool that is open is no more', { candidate: clerk({ tools: [] }), found: /no tool/ }],
    [
      'the arguments that are open do not fit',
      {
        candidate: clerk({ tools: [{ ...charge, input: z.object({ amount: z.string() }) } as never] }),
        found: /arguments that do not fit/,
      },
    ],
    [
      'the open tool has another effect class',
      { candidate: clerk({ tools: [{ ...charge, effect: 'irreversible' }] }), found: /the tool is irreversible/ },
    ],
    [
      'its model is of another provider',
      { candidate: clerk({ model: 'other/two' }), run: asking, found: /the model other\/two/ },
    ],
    ['it has no turns left', { candidate: clerk({ turnsMax: 1 }), found: /limit of 1 turns/ }],
    ['its input does not fit', { candidate: clerk({ input: z.object({ n: z.string() }) }), found: /the run fails/ }],
    ['it is not hosted in its pool any more', { candidate: unchanged, found: /no agent of that name/ }],
  ])('differs when %s', async (_, { candidate, run = conversation(), found }) => {
    expect((await check([candidate], [run])).different).toMatchObject([
      { name: 'clerk', at: { found: expect.stringMatching(found) } },
    ]);
  });
});

describe('the report of a check', () => {
  it('groups by build and difference, and tries runs in the same state once', async () => {
    const changed = bill((ctx) => ctx.step('cost', () => 1));
    const runs = [asleep(), asleep({ runId: 'r2' }), asleep({ runId: 'r3', buildId: 'older' })];
    const report = await check([changed], runs);
    expect(report).toMatchObject({ total: 3, checked: 3, repeated: 2 });
    expect(report.different.map(({ buildId, runIds }) => [buildId, runIds])).toEqual([
      ['old', ['r1', 'r2']],
      ['older', ['r3']],
    ]);
  });

  it('leaves out what other pools serve, and counts what ended meanwhile', async () => {
    const elsewhere = conversation({ runId: 'r2', name: 'other', pool: 'gpu' });
    const runs = [elsewhere, { runId: 'r3', problem: 'RunAlreadyEnded', ended: true }];
    expect(await check([unchanged], runs)).toMatchObject({ elsewhere: 1, ended: 1, different: [], unchecked: [] });
  });

  it('names what was not checked: what was not read, what is no run, and how many for want of time', async () => {
    const report = await check([unchanged], [{ runId: 'r2', problem: 'gone', ended: false }, '{"runId":"r4"}', asleep()]);
    expect(report.unchecked.map(({ runId }) => runId)).toEqual(['r2', 'r4']);
    expect(await check([unchanged], [asleep(), asleep({ runId: 'r2' })], 0)).toMatchObject({ checked: 0, outOfTime: 2 });
  });
});
