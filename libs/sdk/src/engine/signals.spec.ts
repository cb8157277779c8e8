import { z } from 'zod';
import { agent } from '../agent';
import { ruleModel } from '../rule-model';
import { FakeOwner } from '../spec-kit/fake-owner';
import { VirtualHost } from '../spec-kit/virtual-host';
import { workflow } from '../workflow';
import type { Agent, Behaviour, Message, Model, Waited, WorkflowContext } from './definitions';

async function begun(behaviour: Behaviour) {
  const host = new VirtualHost();
  const owner = new FakeOwner(host, { behaviour });
  await owner.startWorker();
  owner.activate();
  return { host, owner };
}

const flow = (run: (ctx: WorkflowContext) => unknown) => workflow({ name: 'flow', input: z.unknown() }, run);

describe('a workflow that waits for a signal', () => {
  it('lets go of its worker meanwhile, and goes on with what was sent', async () => {
    const { host, owner } = await begun(flow((ctx) => ctx.waitFor('approved', { schema: z.object({ by: z.string() }) })));
    await host.until(() => owner.run.letGo === 'suspended');
    expect(owner.engine.status().freeSlots).toBe(10);
    owner.signal('approved', { by: 'ada', more: 1 });
    expect(await owner.finish()).toEqual({ status: 'completed', output: { by: 'ada' } });
  });

  it('is given at once what was sent before, in order', async () => {
    const code = flow(async (ctx) => {
      await ctx.sleep(60_000);
      return [await ctx.waitFor('go'), await ctx.waitFor('go')];
    });
    const { host, owner } = await begun(code);
    await host.until(() => owner.run.letGo === 'suspended');
    owner.signal('go', 1);
    owner.signal('go', 2);
    expect(await owner.finish()).toEqual({ status: 'completed', output: [1, 2] });
  });

  it.each([
    ['timed out when nothing comes', false, { timedOut: true }],
    ['the signal when it comes in time', true, { timedOut: false, payload: 7 }],
  ])('with a limit is told: %s', async (_, isSent, expected) => {
    const { host, owner } = await begun(flow((ctx): Promise<Waited> => ctx.waitFor('go', { timeoutMs: 60_000 })));
    await host.until(() => owner.run.letGo === 'suspended');
    if (isSent) owner.signal('go', 7);
    expect(await owner.finish()).toEqual({ status: 'completed', output: expected });
  });

  it('is given the same after a crash, wherever that happens', async () => {
    const code = flow(async (ctx) => {
      const first = await ctx.waitFor('go');
      const second = await ctx.waitFor<number>('go', { timeoutMs: 60_000 });
      return [first, second, await ctx.step('sum', () => 3)];
    });
    const { host, owner } = await begun(code);
    await host.until(() => owner.run.letGo === 'suspended');
    owner.signal('go', 1);
    owner.signal('go', 2);
    const expected = await owner.finish();
    const facts = [...owner.facts];
    for (let count = 0; count < facts.length; count += 1) {
      owner.facts.splice(0, Infinity, ...facts);
      owner.rewind(count);
      owner.rearm();
      await owner.crash();
      for (const rest of facts.slice(count)) if (rest.type === 'signal') owner.signal(rest.name, rest.payload);
      expect(await owner.finish()).toEqual(expected);
    }
  });

  it('fails with a typed error at a signal that does not fit, and at a name that cannot be one', async () => {
    const code = flow(async (ctx) => {
      const unnamed = await ctx.waitFor('no name').catch((error: { code: string }) => error.code);
      const unfit = await ctx.waitFor('go', { schema: z.number() }).catch((error: { code: string }) => error.code);
      return [unnamed, unfit];
    });
    const { host, owner } = await begun(code);
    await host.until(() => owner.run.letGo === 'suspended');
    owner.signal('go', 'text');
    expect(await owner.finish()).toEqual({ status: 'completed', output: ['InvalidName', 'InvalidSignal'] });
  });

  it('is woken by its cancel', async () => {
    const { host, owner } = await begun(flow((ctx) => ctx.waitFor('go')));
    await host.passes(10);
    owner.cancel();
    expect(await owner.finish()).toEqual({ status: 'cancelled', reason: 'asked' });
  });
});

const texts = (messages: readonly Message[]): string =>
  messages.map((message) => (message.role === 'tool' ? 'tool' : `${message.role} ${message.text}`)).join(' | ');

function agentOf(model: Model): Agent {
  return agent({ name: 'agent', input: z.unknown(), instructions: '', prompt: () => 'begin', model }) as unknown as Agent;
}

describe('an agent that is sent a signal', () => {
  it('sees it as a message before its next turn, on a warm worker as on a cold one', async () => {
    const seen: string[] = [];
    const model = ruleModel('m', ({ messages }) => {
      seen.push(texts(messages));
      return messages.filter(({ role }) => role === 'assistant').length < 2
        ? { toolCalls: [{ tool: 'none', args: {} }] }
        : 'done';
    });
    const world: { owner?: FakeOwner } = {};
    const sending: Model = {
      id: 'm',
      generate: (request) => {
        if (seen.length === 0) world.owner?.signal('stop', { by: 'ada' });
        return model.generate(request);
      },
    };
    const { owner } = await begun(agentOf(sending));
    world.owner = owner;
    await owner.finish();
    const warm = seen.at(-1);
    expect(warm).toBe('user begin | assistant  | tool | user stop: {"by":"ada"} | assistant  | tool');
    owner.rewind(owner.facts.length - 1);
    await owner.crash();
    await owner.finish();
    expect(seen.at(-1)).toBe(warm);
  });
});

describe('a cancel', () => {
  it('fires the signal of a model call that is under way, at once', async () => {
    const signals: AbortSignal[] = [];
    const model: Model = {
      id: 'm',
      generate: ({ signal }) =>
        new Promise((_, reject) => {
          signals.push(signal);
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
    };
    const { host, owner } = await begun(agentOf(model));
    await host.until(() => signals.length === 1);
    const before = host.nowMs;
    owner.cancel();
    expect(signals[0]?.aborted).toBe(true);
    await host.until(() => owner.facts.at(-1)?.type === 'cancelled');
    expect(owner.facts.map(({ type }) => type)).toEqual(['agent-begun', 'model-result', 'cancelled']);
    expect(host.nowMs).toBe(before);
  });
});
