import { z } from 'zod';
import { FakeOwner } from '../spec-kit/fake-owner';
import { VirtualHost } from '../spec-kit/virtual-host';
import { workflow } from '../workflow';
import type { WorkflowContext } from './definitions';

async function reportedBy(run: (ctx: WorkflowContext) => unknown) {
  const behaviour = workflow({ name: 'pages', input: z.object({ page: z.number() }) }, run);
  const host = new VirtualHost();
  const owner = new FakeOwner(host, { behaviour, input: { page: 1 } });
  await owner.startWorker();
  owner.activate();
  await host.until(() => ['continued', 'failed'].includes(owner.facts.at(-1)?.type ?? ''));
  return owner.facts.at(-1);
}

describe('code that continues with another input', () => {
  it('reports it after what it has done, and nothing more', async () => {
    const last = await reportedBy(async (ctx) => {
      await ctx.step('read', () => 1);
      ctx.continueWith({ page: 2 });
    });
    expect(last).toEqual({ type: 'continued', input: { page: 2 } });
  });

  it.each([
    ['does not fit', { page: 'two' }],
    ['is none', undefined],
    ['cannot be written down', { page: 1n }],
  ])('fails when that %s', async (_, input) => {
    const last = await reportedBy((ctx) => ctx.continueWith(input));
    expect(last).toMatchObject({ type: 'failed' });
  });
});
