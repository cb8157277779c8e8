import { Retryable } from '@perdure/kernel';
import { z } from 'zod';
import { agent } from '../agent';
import { ruleModel } from '../rule-model';
import { FakeOwner, type FakeOwnerOptions } from '../spec-kit/fake-owner';
import { VirtualHost } from '../spec-kit/virtual-host';
import { tool } from '../tool';
import { SEGMENTS_AT_ONCE } from './bounds';
import type { Agent, Message, Model, Tool } from './definitions';

const add = tool({
  name: 'add',
  description: 'adds two numbers',
  input: z.object({ a: z.number(), b: z.number() }),
  effect: 'pure',
  execute: ({ a, b }) => a + b,
});

const given = (message: Message | undefined): number =>
  message?.role === 'tool' && message.outcome.ok ? (message.outcome.value as number) : 0;

/** Adds up its way to the target, one call of `add` a turn. */
const counting = ruleModel('rules-1', ({ instructions, messages }) => {
  const sum = given(messages.at(-1));
  if (sum >= Number(instructions.split(' ').at(-1))) return `reached ${sum}`;
  return { toolCalls: [{ tool: 'add', args: { a: sum, b: 1 } }] };
});

function agentOf(model: Model, tools: readonly Tool[] = [add as unknown as Tool], contextTurns?: number): Agent {
  return agent({
    name: 'agent',
    input: z.object({ target: z.number() }),
    instructions: ({ target }) => `count to ${target}`,
    model,
    tools,
    ...(contextTurns === undefined ? {} : { contextTurns }),
  }) as unknown as Agent;
}

async function begun(behaviour: Agent, target: unknown = 3, options: Partial<FakeOwnerOptions> = {}) {
  const host = new VirtualHost();
  const owner = new FakeOwner(host, { behaviour, input: { target }, ...options });
  await owner.startWorker();
  owner.activate();
  return { host, owner };
}

describe('an agent', () => {
  it('calls its model and its tools as the owner instructs', async () => {
    const { owner } = await begun(agentOf(counting));
    expect(await owner.finish()).toEqual({ status: 'completed', output: 'reached 3' });
  });

  it.each([
    ['whole', {}, undefined],
    ['in segments', { segmentItems: 3 }, undefined],
    ['in segments, of which the model is shown the newest turns', { segmentItems: 3 }, 2],
  ])(
    'has the same conversation on another worker, at every turn, when its journal comes %s',
    async (_, options, contextTurns) => {
      const hashes = (owner: FakeOwner) =>
        owner.run.items.map((item) => (item.type === 'decided' ? item.decision.promptHash : ''));
      const { owner } = await begun(agentOf(counting, undefined, contextTurns), 9, options);
      await owner.finish();
      const [facts, expected] = [[...owner.facts], hashes(owner)];
      for (let count = 1; count < facts.length; count += 1) {
        owner.facts.splice(0, Infinity, ...facts);
        owner.rewind(count);
        await owner.crash();
        expect(await owner.finish()).toEqual({ status: 'completed', output: 'reached 9' });
        expect(hashes(owner)).toEqual(expected);
      }
    },
  );

  describe('that has lived long', () => {
    it('goes on with a tool before its conversation is read', async () => {
      const readAtBegin: number[] = [];
      const world: { owner?: FakeOwner } = {};
      const watched = tool({
        ...add,
        execute: ({ a, b }) => {
          readAtBegin.push(world.owner?.segmentsRead.length ?? 0);
          return a + b;
        },
      });
      const { owner } = await begun(agentOf(counting, [watched as unknown as Tool]), 20, { segmentItems: 3 });
      world.owner = owner;
      await owner.finish();
      const decided = owner.facts.findLastIndex((fact) => fact.type === 'model-result' && fact.call === 't20');
      owner.rewind(decided + 1);
      owner.replyMs = 100;
      await owner.crash();
      expect(await owner.finish()).toEqual({ status: 'completed', output: 'reached 20' });
      expect(readAtBegin.at(-1)).toBeLessThanOrEqual(SEGMENTS_AT_ONCE);
      expect(owner.segmentsRead).toHaveLength(12);
    });

    it.each([[20], [200]])('shows its model the newest turns and reads no more, with %i turns as with fewer', async (turns) => {
      const shown: number[] = [];
      const model: Model = {
        ...counting,
        generate: (request) => {
          shown.push(request.messages.length);
          return counting.generate(request);
        },
      };
      const { owner } = await begun(agentOf(model, undefined, 4), turns, { segmentItems: 3 });
      await owner.finish();
      // The first message, and at most seven turns of two.
      expect(Math.max(...shown)).toBe(15);
      expect(Math.min(...shown.slice(4))).toBe(9);
      owner.rewind(owner.facts.findLastIndex(({ type }) => type === 'model-result'));
      await owner.crash();
      expect(await owner.finish()).toEqual({ status: 'completed', output: `reached ${turns}` });
      expect(owner.segmentsRead.length).toBeLessThanOrEqual(6);
      expect(shown.at(-1)).toBe(shown.at(-2));
    });

    it('gives no two uses of a tool the same id, also when the older turns are not shown', async () => {
      const { owner } = await begun(agentOf(counting, undefined, 2), 20);
      await owner.finish();
      const ids = owner.run.items.flatMap((item) => (item.type === 'decided' ? item.decision.toolCalls : []));
      expect(new Set(ids.map(({ toolCallId }) => toolCallId)).size).toBe(20);
    });

    it.each([[0], [1.5], [-3]])('refuses a context of %d turns', (turns) => {
      expect(() => agentOf(counting, undefined, turns)).toThrow(expect.objectContaining({ code: 'InvalidContext' }));
    });
  });

  it('tells the text of its model while it comes, and after a crash from the beginning, in a later epoch', async () => {
    let isCrashing = true;
    const model = ruleModel('m', () => 'so be it', {
      pieces: async function* (text) {
        yield text.slice(0, 3);
        if (isCrashing) await new Promise(() => undefined);
        yield text.slice(3);
      },
    });
    const { host, owner } = await begun(agentOf(model, []));
    await host.until(() => owner.told.length > 0);
    isCrashing = false;
    await owner.crash();
    expect(await owner.finish()).toEqual({ status: 'completed', output: 'so be it' });
    expect(owner.told).toMatchObject([
      { call: 't1', epoch: 1, attempt: 1, offset: 0, text: 'so ' },
      { call: 't1', epoch: 2, attempt: 1, offset: 0, text: 'so ' },
      { call: 't1', epoch: 2, attempt: 1, offset: 3, text: 'be it' },
    ]);
  });

  it.each([
    ['is run again', {}],
    ['is asked about', { effect: 'probeable' as const, probe: () => ({ happened: true as const, result: 9 }) }],
  ])(
    'is told whose arguments were executed instead of its own, in the same words on another worker, when the tool %s',
    async (_, declared) => {
      const edited = { by: ['grace', 'edsger'], args: { a: 4, b: 5 } };
      const shown: (Message | undefined)[] = [];
      const model = ruleModel('twice', ({ messages }) => {
        shown.push(messages.at(-1));
        return messages.length > 4 ? 'done' : { toolCalls: [{ tool: 'add', args: { a: 1, b: 1 } }] };
      });
      const hashes = (owner: FakeOwner) =>
        owner.run.items.map((item) => (item.type === 'decided' ? item.decision.promptHash : ''));
      const used = tool({ ...add, ...declared });
      const { owner } = await begun(agentOf(model, [used as unknown as Tool]), 3, { edited });
      await owner.finish();
      const [facts, expected] = [[...owner.facts], hashes(owner)];
      for (let count = 1; count < facts.length; count += 1) {
        owner.facts.splice(0, Infinity, ...facts);
        owner.rewind(count);
        await owner.crash();
        expect(await owner.finish()).toEqual({ status: 'completed', output: 'done' });
        expect(hashes(owner)).toEqual(expected);
        expect(shown.at(-1)).toMatchObject({ role: 'tool', outcome: { ok: true, value: 9 }, edited });
      }
    },
  );

  it('is told of unknown tools and of arguments that do not fit', async () => {
    const told: string[] = [];
    const model = ruleModel('wrong', ({ messages }) => {
      const outcomes = messages.flatMap((message) =>
        message.role === 'tool' && !message.outcome.ok ? [message.outcome.error.code] : [],
      );
      told.push(outcomes.join(','));
      if (outcomes.length === 0)
        return {
          toolCalls: [
            { tool: 'divide', args: {} },
            { tool: 'add', args: { a: 'x' } },
          ],
        };
      return 'understood';
    });
    const { owner } = await begun(agentOf(model));
    expect(await owner.finish()).toEqual({ status: 'completed', output: 'understood' });
    expect(told.at(-1)).toBe('UnknownTool,InvalidArguments');
  });

  it('runs the tools of one turn side by side', async () => {
    let [running, most] = [0, 0];
    const world: { host?: VirtualHost } = {};
    const slow = tool({
      name: 'slow',
      description: '',
      input: z.object({}),
      effect: 'pure',
      execute: () =>
        new Promise((resolve) => {
          running += 1;
          most = Math.max(most, running);
          world.host?.timers.after(50, () => resolve((running -= 1)));
        }),
    });
    const model = ruleModel('many', ({ messages }) =>
      messages.length > 1 ? 'done' : { toolCalls: [1, 2, 3].map(() => ({ tool: 'slow', args: {} })) },
    );
    const { host, owner } = await begun(agentOf(model, [slow as unknown as Tool]));
    world.host = host;
    await owner.finish();
    expect(most).toBe(3);
  });

  it('lets go while a retry is far away and goes on when it is due', async () => {
    const attempts: number[] = [];
    const flaky = tool({
      name: 'flaky',
      description: '',
      input: z.object({}),
      effect: 'idempotent',
      execute: (_, { attempt }) => {
        attempts.push(attempt);
        if (attempt < 3) throw new Error('not yet');
        return 'done';
      },
    });
    const model = ruleModel('one', ({ messages }) =>
      messages.length > 1 ? 'finished' : { toolCalls: [{ tool: 'flaky', args: {} }] },
    );
    const { owner } = await begun(agentOf(model, [flaky as unknown as Tool]));
    expect(await owner.finish()).toEqual({ status: 'completed', output: 'finished' });
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('reports a model that fails or replies with nonsense', async () => {
    const failing: Model = { id: 'm', generate: () => Promise.reject(new Retryable('Overloaded', 'later')) };
    const { owner, host } = await begun(agentOf(failing));
    await host.until(() => owner.facts.length > 1);
    expect(owner.facts[1]).toMatchObject({
      type: 'model-result',
      call: 't1',
      attempt: 1,
      result: { ok: false, error: { code: 'Overloaded' } },
    });
    const nonsense = { id: 'm', generate: () => Promise.resolve({ text: 7 }) } as unknown as Model;
    const second = await begun(agentOf(nonsense));
    await second.host.until(() => second.owner.facts.length > 1);
    expect(second.owner.facts[1]).toMatchObject({ result: { ok: false, error: { code: 'InvalidModelReply' } } });
  });

  it('fails when its input does not fit', async () => {
    const { owner } = await begun(agentOf(counting), 'three');
    expect(await owner.finish()).toMatchObject({ status: 'failed', error: { code: 'InvalidInput' } });
  });

  it('ends when it is cancelled, with the signal of its tool fired', async () => {
    const signals: AbortSignal[] = [];
    const deaf = tool({
      name: 'deaf',
      description: '',
      input: z.object({}),
      execute: (_, { signal }) => (signals.push(signal), new Promise(() => undefined)),
    });
    const model = ruleModel('one', () => ({ toolCalls: [{ tool: 'deaf', args: {} }] }));
    const { host, owner } = await begun(agentOf(model, [deaf as unknown as Tool]));
    await host.until(() => signals.length === 1);
    owner.cancel();
    expect(await owner.finish()).toEqual({ status: 'cancelled', reason: 'asked' });
    expect(signals[0]?.aborted).toBe(true);
  });

  it('does what its model has decided before it is handed over', async () => {
    const world: { host?: VirtualHost } = {};
    const slow = tool({
      ...add,
      name: 'add',
      execute: ({ a, b }) => new Promise<number>((resolve) => world.host?.timers.after(50, () => resolve(a + b))),
    });
    const { host, owner } = await begun(agentOf(counting, [slow as unknown as Tool]));
    world.host = host;
    await host.passes(10);
    let isEmpty = false;
    void owner.engine.drain().then(() => (isEmpty = true));
    await host.until(() => isEmpty);
    expect(owner.facts.at(-1)).toEqual({ type: 'handed-over' });
    expect(owner.run.instructions).toEqual([{ do: 'call-model', call: expect.any(String), attempt: 1 }]);
    await owner.crash();
    expect(await owner.finish()).toEqual({ status: 'completed', output: 'reached 3' });
  });
});
