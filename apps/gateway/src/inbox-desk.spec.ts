import { inboxSubject } from '@perdure/approval-contract';
import { token, type RecordedEvent } from '@perdure/kernel';
import { LoopbackBus, ManualHost } from '@perdure/testing';
import { ApprovalInbox } from './approval-inbox';
import { ApprovalReader } from './approval-reader';
import { TaskInbox } from './task-inbox';
import { TaskReader } from './task-reader';
import { InboxDesk } from './inbox-desk';

const ARGS = { amount: 5 };
const asked: RecordedEvent = {
  id: '1',
  type: 'ApprovalRequested',
  data: { call: '1', name: 'payer', tool: 'pay', roles: ['finance'], requestedAtMs: 1, escalations: [] },
  metadata: {},
  stream: 'run-acme.run1',
  revision: 4,
  position: { commit: '4', prepare: '4' },
  recordedAtMs: 1,
};

const FORM = { type: 'object' };
const asksTask = {
  revision: 6,
  type: 'TaskAsked',
  atMs: 1,
  data: { call: '2', name: 'payer', title: 'Which?', form: FORM, assignee: 'user:mia', askedAtMs: 1 },
  metadata: {},
};
const askedTask: RecordedEvent = { ...asked, id: '2', type: 'TaskAsked', data: asksTask.data, revision: 6 };

/** As the broker maps it. */
const subject = inboxSubject.build(token('acme', 'tenant')).replace('perdure.req', 'perdure.part.7.req');

function world({ isComplete = true, facts = [asked] } = {}) {
  const host = new ManualHost();
  const bus = new LoopbackBus(host);
  const inbox = new ApprovalInbox();
  const taskInbox = new TaskInbox();
  for (const fact of facts) (fact.type === 'TaskAsked' ? taskInbox : inbox).apply(fact);
  if (isComplete) for (const each of [inbox, taskInbox]) each.caughtUp();
  const intended = { revision: 3, type: 'EffectIntended', atMs: 1, data: { call: '1', args: ARGS }, metadata: {} };
  const page = async (_: unknown, { from }: { from: number }) => ({
    facts: [intended, asksTask].filter((fact) => fact.revision === from),
  });
  const tasks = new TaskReader(taskInbox, { page });
  const desk = new InboxDesk({ bus, host, approvals: new ApprovalReader(inbox, { page }), tasks });
  desk.start();
  const ask = async (command: object): Promise<unknown> =>
    JSON.parse(await bus.request(subject, JSON.stringify({ v: 1, command }), { timeoutMs: 1_000 })) as unknown;
  return { ask, host };
}

const LIST = { type: 'ListApprovals', status: 'open' };
const GET = { type: 'GetApproval', runId: 'run1', call: '1' };

describe('what a gateway tells over the bus of approvals', () => {
  it('is what waits, of the tenant that asks', async () => {
    const { ask } = world({ facts: [asked, { ...asked, stream: 'run-other.run2' }] });
    expect(await ask(LIST)).toMatchObject({ ok: true, value: [{ runId: 'run1', tenant: 'acme', status: 'open' }] });
    expect(await ask({ ...LIST, role: 'director' })).toEqual({ ok: true, value: [] });
  });

  it('is one of them with its arguments', async () => {
    expect(await world().ask(GET)).toMatchObject({ ok: true, value: { call: '1', args: ARGS } });
  });

  it('is what persons are asked, and one of it with its form', async () => {
    const { ask } = world({ facts: [askedTask, asked] });
    const line = { runId: 'run1', tenant: 'acme', call: '2', asked: 6, title: 'Which?', status: 'open' };
    expect(await ask({ type: 'ListTasks' })).toMatchObject({ ok: true, value: { tasks: [line] } });
    expect(await ask({ type: 'ListTasks', assignee: 'role:head,user:leo' })).toEqual({ ok: true, value: { tasks: [] } });
    expect(await ask({ type: 'GetTask', runId: 'run1', call: '2' })).toMatchObject({ value: { ...line, form: FORM } });
    expect(await ask({ type: 'GetTask', runId: 'run1', call: '3' })).toMatchObject({ error: { code: 'NoSuchTask' } });
    const early = world({ isComplete: false });
    expect(await early.ask({ type: 'ListTasks' })).toMatchObject({ error: { code: 'InboxIncomplete' } });
  });

  it('is nothing while the log is not read to its end, but of what is known already', async () => {
    const { ask } = world({ isComplete: false });
    const incomplete = { ok: false, error: { code: 'InboxIncomplete', reaction: 'retryable' } };
    expect(await ask(LIST)).toMatchObject(incomplete);
    expect(await ask(GET)).toMatchObject({ ok: true });
    expect(await ask({ ...GET, call: '2' })).toMatchObject(incomplete);
  });

  it.each([
    ['a call that nobody asks about', 'NoSuchApproval', { ...GET, call: '2' }],
    ['a run that is none', 'NoSuchApproval', { ...GET, runId: 'run9' }],
    ['a name that cannot be one', 'MalformedRequest', { ...GET, runId: 'run1.>' }],
    ['what it does not do', 'MalformedRequest', { type: 'Decide' }],
    ['far too much', 'MalformedRequest', { ...GET, call: 'x'.repeat(5_000) }],
  ])('is a typed error for %s', async (_, code, command) => {
    const { ask, host } = world();
    expect(await ask(command)).toMatchObject({ ok: false, error: { code, reaction: 'terminal' } });
    expect(host.logged).toEqual([]);
  });
});
