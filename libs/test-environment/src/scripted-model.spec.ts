import { agent, tool } from '@perdure/sdk';
import { z } from 'zod';
import { scriptedModel } from './scripted-model';
import { TestEnvironment, type TestEnvironmentOptions } from './test-environment';

const looked: string[] = [];
/** The first so many looks never end. */
let hanging = 0;
const look = tool({
  name: 'look',
  description: 'Looks at something',
  input: z.object({ what: z.string() }),
  effect: 'pure',
  execute: ({ what }) => {
    looked.push(what);
    if (looked.length <= hanging) return new Promise<string>(() => undefined);
    return `${what} is green`;
  },
});
const provider = {
  id: 'dear',
  generate: () => Promise.reject(new Error('a test must not ask a provider')),
};
const gardener = agent({
  name: 'gardener',
  model: provider,
  instructions: 'Look after the garden.',
  input: z.object({}),
  tools: [look],
});
const script = scriptedModel('dear', [
  { toolCalls: [{ tool: 'look', args: { what: 'the garden' } }] },
  ({ messages }) => {
    const last = messages.at(-1);
    return last?.role === 'tool' && last.outcome.ok ? `I saw: ${String(last.outcome.value)}` : 'I saw nothing.';
  },
]);

let environment: TestEnvironment | undefined;
beforeEach(() => {
  looked.length = 0;
  hanging = 0;
});
afterEach(() => environment?.close());

async function environmentWith(options: TestEnvironmentOptions): Promise<TestEnvironment> {
  environment = await TestEnvironment.create(options);
  return environment;
}

describe('a scripted model', () => {
  it('stands in for the model with its id, and each run hears it from the beginning', async () => {
    const env = await environmentWith({ behaviours: [gardener], models: [script] });
    for (const _ of [1, 2]) {
      const run = await env.client.start(gardener, {});
      expect(await run.result()).toBe('I saw: the garden is green');
    }
    expect(looked).toEqual(['the garden', 'the garden']);
  });

  it('goes on where it was when its worker is killed in the middle of what it asked for', async () => {
    hanging = 1;
    const env = await environmentWith({ behaviours: [gardener], models: [script] });
    const run = await env.client.start(gardener, {});
    await env.skip('1 second', { whileExecuting: true });
    expect(looked).toHaveLength(1);
    await env.restartWorkers();
    expect(await run.result()).toBe('I saw: the garden is green');
    expect(looked).toHaveLength(2);
    expect((await env.facts(run.runId)).filter(({ type }) => type === 'ModelCallCompleted')).toHaveLength(2);
  });

  it('says so when it is over', async () => {
    const endless = scriptedModel('dear', [{ toolCalls: [{ tool: 'look', args: { what: 'the sky' } }] }]);
    const env = await environmentWith({ behaviours: [gardener], models: [endless] });
    const run = await env.client.start(gardener, {});
    await expect(run.result()).rejects.toMatchObject({ code: 'ScriptIsOver' });
  });

  it('that nobody has is a mistake of the test', async () => {
    const wanted = TestEnvironment.create({ behaviours: [gardener], models: [scriptedModel('deer', ['Hello.'])] });
    await expect(wanted).rejects.toMatchObject({ code: 'NoSuchModel' });
  });
});
