import { z } from 'zod';
import { FakeOwner } from '../spec-kit/fake-owner';
import { VirtualHost } from '../spec-kit/virtual-host';
import { workflow } from '../workflow';
import { milliseconds, termsOf, type AskOptions, type Duration } from './asking';
import type { WorkflowContext } from './definitions';

const form = z.object({ right: z.boolean(), why: z.string().default('none') });
const QUESTION = { title: 'Is it right?', form, assignee: 'user:mia' } as const;

describe('a question', () => {
  it('is asked in words and kept in milliseconds, with the form as a JSON Schema', () => {
    const terms = termsOf({
      ...QUESTION,
      due: '2 days',
      remind: ['1 day', 5],
      escalate: [{ after: '1.5 hours', to: 'role:head' }],
      expires: { after: '1 week', action: { answer: { right: false } } },
    });
    expect(terms).toMatchObject({
      title: 'Is it right?',
      assignee: 'user:mia',
      dueMs: 172_800_000,
      remindMs: [86_400_000, 5],
      escalate: [{ afterMs: 5_400_000, to: 'role:head' }],
      expires: { afterMs: 604_800_000, action: 'answer', answer: { right: false } },
      form: { type: 'object', required: ['right'], properties: { right: { type: 'boolean' } } },
    });
  });

  it.each<[string, Partial<AskOptions<typeof form>>]>([
    ['nobody', { assignee: 'mia' as never }],
    ['an answer that does not fit when nobody answers', { expires: { after: 1, action: { answer: {} as never } } }],
    ['a time that is none', { due: 'soon' as never }],
  ])('cannot be asked of or with %s', (_, more) => {
    expect(() => termsOf({ ...QUESTION, ...more })).toThrow(expect.objectContaining({ code: 'InvalidQuestion' }));
  });

  it.each<[Duration, number]>([
    ['1 second', 1_000],
    ['90 minutes', 5_400_000],
    [1.2, 2],
    [-1, 0],
  ])('of %s is %d ms', (text, expected) => expect(milliseconds(text)).toBe(expected));
});

describe('a workflow that asks', () => {
  const asks = workflow({ name: 'flow', input: z.unknown() }, async (ctx: WorkflowContext) => [
    await ctx.ask(QUESTION),
    (await ctx.ask({ ...QUESTION, expires: { after: 5, action: 'continue' } })) ?? 'nothing',
  ]);
  async function begun() {
    const host = new VirtualHost();
    const owner = new FakeOwner(host, { behaviour: asks });
    await owner.startWorker();
    owner.activate();
    await host.until(() => owner.run.letGo === 'suspended');
    return { host, owner };
  }

  it('holds no worker meanwhile, and is given the answer in its form, or nothing when nobody answered', async () => {
    const { host, owner } = await begun();
    owner.tellOf('1', { ok: true, value: { right: true } });
    await host.until(() => owner.run.calls.has('2') && owner.run.letGo === 'suspended');
    owner.tellOf('2', { ok: true, value: null });
    expect(await owner.finish()).toEqual({ status: 'completed', output: [{ right: true, why: 'none' }, 'nothing'] });
  });

  it('fails as the question has', async () => {
    const { owner } = await begun();
    owner.tellOf('1', { ok: false, error: { code: 'TaskExpired', message: 'x', reaction: 'terminal' } });
    expect(await owner.finish()).toMatchObject({ status: 'failed', error: { code: 'TaskExpired' } });
  });
});
