import { z } from 'zod';
import { agent } from '../agent';
import { ruleModel } from '../rule-model';
import { FakeOwner } from '../spec-kit/fake-owner';
import { VirtualHost } from '../spec-kit/virtual-host';
import { tool } from '../tool';

const add = tool({
  name: 'add',
  description: 'adds two numbers',
  input: z.object({ a: z.number(), b: z.number() }),
  effect: 'pure',
  execute: ({ a, b }) => a + b,
});

/** Adds up its way to the target, one call of `add` a turn. */
const counter = agent({
  name: 'counter',
  input: z.object({ target: z.number() }),
  instructions: ({ target }) => `count to ${target}`,
  model: ruleModel('rules-1', ({ instructions, messages }) => {
    const last = messages.at(-1);
    const sum = last?.role === 'tool' && last.outcome.ok ? (last.outcome.value as number) : 0;
    if (sum >= Number(instructions.split(' ').at(-1))) return `reached ${sum}`;
    return { toolCalls: [{ tool: 'add', args: { a: sum, b: 1 } }] };
  }),
  tools: [add],
});

describe('an agent', () => {
  it('calls its model and its tools as the owner instructs', async () => {
    const owner = new FakeOwner(new VirtualHost(), { behaviour: counter, input: { target: 3 } });
    await owner.startWorker();
    owner.activate();
    expect(await owner.finish()).toEqual({ status: 'completed', output: 'reached 3' });
  });
});
