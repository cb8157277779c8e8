import { Retryable, Terminal } from '@perdure/kernel';
import { z } from 'zod';
import { agent } from '../agent';
import { ruleModel } from '../rule-model';
import { FakeOwner } from '../spec-kit/fake-owner';
import { PROBE_AFTER_MS } from '../spec-kit/fake-run';
import { VirtualHost } from '../spec-kit/virtual-host';
import { tool, type ToolOptions } from '../tool';
import { workflow } from '../workflow';
import type { Behaviour, Probed, Tool, ToolScope } from './definitions';

type Act = (scope: ToolScope, times: number) => unknown;

const never = (): Promise<never> => new Promise(() => undefined);

/** A tool that must be claimed, the agent or workflow that uses it once, and the worker that hosts both. */
async function world(
  kind: 'agent' | 'workflow',
  act: Act,
  more: Partial<Pick<ToolOptions<z.ZodType, unknown>, 'probe' | 'effect' | 'timeoutMs'>> & { readonly output?: z.ZodType } = {},
) {
  const host = new VirtualHost();
  const scopes: ToolScope[] = [];
  const pay = tool({
    name: 'pay',
    description: '',
    input: z.object({ amount: z.number() }),
    timeoutMs: 1_000,
    retry: { attemptsMax: 3 },
    ...(more as object),
    execute: (_, scope) => {
      scopes.push(scope);
      return act(scope, scopes.length);
    },
  }) as unknown as Tool;
  const behaviour = kind === 'agent' ? agentOf(pay) : workflowOf(pay);
  const owner = new FakeOwner(host, { behaviour, tools: [pay] });
  await owner.startWorker();
  return { host, owner, scopes };
}

function workflowOf(pay: Tool): Behaviour {
  const options = { name: 'flow', input: z.unknown(), tools: [pay] };
  return workflow(options, (ctx) => ctx.tool(pay, { amount: 5 })) as unknown as Behaviour;
}

function agentOf(pay: Tool): Behaviour {
  const model = ruleModel('rules', ({ messages }) => {
    const last = messages.at(-1);
    if (last?.role !== 'tool') return { toolCalls: [{ tool: 'pay', args: { amount: 5 } }] };
    return last.outcome.ok ? String(last.outcome.value) : last.outcome.error.code;
  });
  return agent({ name: 'payer', input: z.unknown(), instructions: '', model, tools: [pay] }) as unknown as Behaviour;
}

const types = (owner: FakeOwner): readonly string[] =>
  owner.facts.map(({ type }) => type).filter((type) => type.startsWith('effect-') || type.startsWith('probe-'));
const happened = { happened: true, result: 'paid' } as const;

describe.each(['agent', 'workflow'] as const)('an effect of an %s that must not be doubled', (kind) => {
  it('is claimed, and begins by the answer to its claim', async () => {
    const { owner, scopes } = await world(kind, () => 'paid');
    owner.activate();
    expect(await owner.finish()).toMatchObject({ status: 'completed', output: 'paid' });
    expect(types(owner).slice(-2)).toEqual(['effect-claimed', 'effect-result']);
    const claimed = owner.facts.find(({ type }) => type === 'effect-claimed');
    expect(claimed).toMatchObject({ attempt: 1, executionId: scopes[0]?.executionId });
  });

  it('does not begin while its claim is not granted, whatever the owner instructs', async () => {
    const { host, owner, scopes } = await world(kind, () => 'paid');
    owner.grants = false;
    owner.activate();
    await host.until(() => types(owner).includes('effect-claimed'));
    owner.tell();
    await host.passes(500);
    expect(scopes).toEqual([]);
  });

  it('does not begin when the answer comes after the window, and is claimed anew under another execution', async () => {
    const { host, owner, scopes } = await world(kind, () => 'paid');
    owner.replyMs = 6_000;
    owner.activate();
    await host.until(() => types(owner).includes('effect-not-started'));
    expect(scopes).toEqual([]);
    owner.replyMs = 0;
    expect(await owner.finish()).toMatchObject({ output: 'paid' });
    const ids = owner.facts.flatMap((fact) => (fact.type === 'effect-claimed' ? [fact.executionId] : []));
    expect(new Set(ids).size).toBeGreaterThan(1);
    expect(scopes.map(({ executionId }) => executionId)).toEqual([ids.at(-1)]);
  });

  it.each<[string, Act, object]>([
    [
      'throws what it does not know',
      () => Promise.reject(new Error('socket closed')),
      { because: 'error', error: { message: 'socket closed' } },
    ],
    ['does not end in time', never, { because: 'timed-out', error: { code: 'ToolTimedOut' } }],
    ['returns what cannot be written', () => ({ big: 1n }), { because: 'error', error: { code: 'OutputNotSerialisable' } }],
    ['returns what does not fit', () => 7, { because: 'error', error: { code: 'InvalidOutput' } }],
  ])('is unknown when its tool %s', async (_, act, expected) => {
    const { host, owner, scopes } = await world(kind, act, { output: z.union([z.string(), z.object({ big: z.bigint() })]) });
    owner.activate();
    await host.until(() => types(owner).includes('effect-unknown'));
    expect(owner.facts.find(({ type }) => type === 'effect-unknown')).toMatchObject(expected);
    await host.passes(60_000);
    expect(scopes).toHaveLength(1);
  });

  it('has not happened when its tool says so by a typed error, and is tried again if that is what it asks for', async () => {
    const { owner, scopes } = await world(kind, (_, times) => {
      if (times === 1) throw new Retryable('Busy', 'later');
      return 'paid';
    });
    owner.activate();
    expect(await owner.finish()).toMatchObject({ output: 'paid' });
    expect(types(owner).filter((type) => type === 'effect-claimed')).toHaveLength(2);
    expect(scopes.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(new Set(scopes.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
  });

  it('ends with the typed error that says that it never will', async () => {
    const { owner } = await world(kind, () => Promise.reject(new Terminal('NoMoney', 'refused')));
    owner.activate();
    const end = await owner.finish();
    expect(JSON.stringify(end)).toContain('NoMoney');
    expect(types(owner)).not.toContain('effect-unknown');
  });

  it.each<[string, Probed, number]>([
    ['is confirmed with what the probe found', happened, 1],
    ['is run again when the probe says that it did not happen', { happened: false }, 2],
  ])('lost with its worker %s', async (_, answer, times) => {
    const asked: { executionId: string; atMs: number }[] = [];
    const { host, owner, scopes } = await world(kind, (_scope, n) => (n === 1 ? never() : 'paid'), {
      effect: 'probeable',
      probe: (_input, { executionId }) => {
        asked.push({ executionId, atMs: host.nowMs });
        return answer;
      },
    });
    owner.activate();
    await host.until(() => scopes.length === 1);
    const lostAtMs = host.nowMs;
    await owner.crash();
    expect(await owner.finish()).toMatchObject({ output: 'paid' });
    expect(scopes).toHaveLength(times);
    expect(asked).toEqual([{ executionId: scopes[0]?.executionId, atMs: expect.any(Number) as number }]);
    expect(asked[0]?.atMs).toBeGreaterThanOrEqual(lostAtMs + PROBE_AFTER_MS);
  });

  it('is asked about again while its probe cannot say, or fails, or answers nonsense', async () => {
    const answers: (() => unknown)[] = [
      () => ({ unknown: true, why: 'not booked yet' }),
      () => Promise.reject(new Error('no route')),
      () => 'yes',
      () => happened,
    ];
    const { owner } = await world(kind, () => Promise.reject(new Error('socket closed')), {
      effect: 'probeable',
      probe: () => (answers.shift() ?? (() => happened))() as Probed,
    });
    owner.activate();
    expect(await owner.finish()).toMatchObject({ output: 'paid' });
    const found = owner.facts.flatMap((fact) => (fact.type === 'probe-result' ? [fact.found] : []));
    expect(found).toMatchObject([
      { verdict: 'unknown', error: { code: 'ProbeUndecided', message: 'not booked yet' } },
      { verdict: 'unknown', error: { message: 'no route' } },
      { verdict: 'unknown', error: { code: 'InvalidProbe' } },
      { verdict: 'happened', result: 'paid' },
    ]);
  });

  it('in question lets the run go, and goes on with what a person says', async () => {
    const { host, owner, scopes } = await world(kind, () => Promise.reject(new Error('socket closed')));
    owner.activate();
    await host.until(() => owner.run.letGo === 'suspended');
    const [call = ''] = [...owner.run.calls.keys()];
    owner.tellOf(call, { ok: true, value: 'paid' });
    expect(await owner.finish()).toMatchObject({ output: 'paid' });
    expect(scopes).toHaveLength(1);
  });
});

describe('a tool', () => {
  const declared = { name: 'pay', description: '', input: z.unknown(), execute: () => 1 };

  it('that is probeable has a probe', () => {
    expect(() => tool({ ...declared, effect: 'probeable' })).toThrow(expect.objectContaining({ code: 'ProbeMissing' }));
    expect(tool({ ...declared, effect: 'probeable', probe: () => ({ happened: false }) }).probe).toBeDefined();
  });

  it('that may run again has none', () => {
    const probe = (): Probed<number> => ({ happened: false });
    expect(() => tool({ ...declared, effect: 'idempotent', probe })).toThrow(expect.objectContaining({ code: 'ProbeUseless' }));
  });

  it('that declares nothing is irreversible', () => {
    expect(tool(declared).effect).toBe('irreversible');
  });
});
