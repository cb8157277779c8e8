import type { RecordedEvent } from '@perdure/kernel';
import { TaskInbox, type TaskQuery } from './task-inbox';

const at = (runId: string, revision: number, ...[type, data = {}]: [string, object?]): RecordedEvent => ({
  id: `${runId}-${revision}`,
  type,
  data,
  metadata: {},
  stream: `run-default.${runId}`,
  revision,
  position: { commit: String(revision), prepare: String(revision) },
  recordedAtMs: 1_000 + revision,
});

const asked = (runId: string, revision = 5, more: object = {}): RecordedEvent =>
  at(runId, revision, 'TaskAsked', {
    call: '1',
    name: 'invoice',
    title: 'Which?',
    form: { type: 'object' },
    assignee: 'user:mia',
    askedAtMs: revision,
    remindAtMs: [],
    escalate: [],
    expires: { atMs: 900, action: 'fail' },
    ...more,
  });
const answered = (runId: string, revision: number): RecordedEvent =>
  at(runId, revision, 'TaskAnswered', { call: '1', by: 'mia', answer: 1 });

function inboxOf(facts: readonly RecordedEvent[], closedKept?: number): TaskInbox {
  const inbox = new TaskInbox(closedKept);
  for (const fact of facts) inbox.apply(fact);
  return inbox;
}
const statuses = (inbox: TaskInbox, query: Partial<TaskQuery> = {}): readonly string[] =>
  inbox.page({ tenant: 'default', limit: 10, ...query }).tasks.map(({ runId, status }) => `${runId} ${status}`);

describe('the inbox of what runs ask of persons', () => {
  it('says who may answer by now, and holds no form', () => {
    const inbox = inboxOf([
      asked('a'),
      at('a', 6, 'TaskDelegated', { call: '1', to: 'user:leo' }),
      at('a', 7, 'TaskEscalated', { call: '1', to: 'role:head' }),
    ]);
    const [line] = inbox.page({ tenant: 'default', limit: 1 }).tasks;
    expect(line).toMatchObject({ status: 'open', delegatedTo: 'user:leo', escalatedTo: 'role:head', asked: 5, expiresAtMs: 900 });
    expect(line).not.toHaveProperty('form');
    for (const who of ['user:mia', 'user:leo', 'role:head']) expect(statuses(inbox, { assignee: [who] })).toEqual(['a open']);
    expect(statuses(inbox, { assignee: ['user:eva'] })).toEqual([]);
  });

  it.each([
    ['answered', answered('a', 6), 'a answered'],
    ['expired', at('a', 6, 'TaskExpired', { call: '1' }), 'a expired'],
    ['ended with its run', at('a', 6, 'RunCancelled'), 'a ended'],
    ['ended when the run goes back', at('a', 6, 'RunRewound'), 'a ended'],
    ['open, of another tenant', { ...answered('a', 6), stream: 'run-other.a' }, 'a open'],
    ['open, at a fact of before', answered('a', 4), 'a open'],
  ])('is %s', (_, fact, expected) => {
    expect(statuses(inboxOf([asked('a'), fact]))).toEqual([expected]);
  });

  it('shows what is asked again by the same call', () => {
    const inbox = inboxOf([asked('a'), answered('a', 6), asked('a', 8)]);
    expect(statuses(inbox)).toEqual(['a open']);
  });

  it('is read page by page, oldest first, each line once', () => {
    const inbox = inboxOf([asked('b', 7), asked('a', 5), asked('c', 5), asked('d', 6)]);
    const first = inbox.page({ tenant: 'default', limit: 3 });
    const second = inbox.page({ tenant: 'default', limit: 3, after: first.next });
    expect([...first.tasks, ...second.tasks].map(({ runId }) => runId)).toEqual(['a', 'c', 'd', 'b']);
    expect(second.next).toBeUndefined();
  });

  it('keeps of those that wait no more the newest, and all that wait', () => {
    const facts = ['a', 'b', 'c'].flatMap((run) => [asked(run), answered(run, 6)]);
    expect(statuses(inboxOf([...facts, asked('d'), asked('e')], 2)).toSorted()).toEqual([
      'b answered',
      'c answered',
      'd open',
      'e open',
    ]);
  });

  it('is the same after it was stored', () => {
    const inbox = inboxOf([asked('a'), asked('b'), answered('b', 6)]);
    const other = new TaskInbox();
    other.restore(JSON.parse(JSON.stringify(inbox.snapshot())));
    expect(statuses(other)).toEqual(statuses(inbox));
  });
});
